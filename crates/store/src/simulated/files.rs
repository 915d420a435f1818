use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use tasks::Ids;

use super::Disk;
use crate::files::Files;

/// A folder of whole files: what is seen now, and what a power loss leaves for certain.
#[derive(Default, Clone)]
pub(super) struct SimFiles {
    seen: BTreeMap<String, Bytes>,
    durable: BTreeMap<String, Bytes>,
    /// Names that changed since they were last synced.
    pending: BTreeSet<String>,
    /// Bytes of files that have no name yet.
    unnamed: usize,
}

impl SimFiles {
    pub(super) fn bytes(&self) -> usize {
        self.seen.values().map(Bytes::len).sum::<usize>() + self.unnamed
    }

    pub(super) fn flip(&mut self, mut byte: usize, mask: u8) -> Option<String> {
        for (name, content) in &mut self.seen {
            if byte >= content.len() {
                byte -= content.len();
                continue;
            }
            let mut damaged = content.to_vec();
            if let Some(place) = damaged.get_mut(byte) {
                *place ^= mask;
            }
            *content = damaged.into();
            let name = name.clone();
            self.durable.insert(name.clone(), content.clone());
            return Some(name);
        }
        None
    }

    /// A name that was not synced is there or not, by toss.
    pub(super) fn after_power_loss(&self, dice: &Ids) -> SimFiles {
        let mut left = self.durable.clone();
        for name in &self.pending {
            if dice.u64().is_multiple_of(2) {
                match self.seen.get(name) {
                    Some(content) => left.insert(name.clone(), content.clone()),
                    None => left.remove(name),
                };
            }
        }
        SimFiles::holding(left)
    }

    pub(super) fn after_process_loss(&self) -> SimFiles {
        SimFiles::holding(self.seen.clone())
    }

    fn holding(files: BTreeMap<String, Bytes>) -> SimFiles {
        SimFiles {
            seen: files.clone(),
            durable: files,
            pending: BTreeSet::new(),
            unnamed: 0,
        }
    }

    fn sync(&mut self, name: &str) {
        if self.pending.remove(name) {
            match self.seen.get(name) {
                Some(content) => self.durable.insert(name.to_owned(), content.clone()),
                None => self.durable.remove(name),
            };
        }
    }
}

impl Disk {
    /// Content, its sync, the name, its sync: a fault may strike at each.
    fn write_steps(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        state.room_for(content.len())?;
        state.files.unnamed = content.len();
        state.step()?;
        state.step()?;
        state.files.unnamed = 0;
        let content = Bytes::copy_from_slice(content);
        state.files.seen.insert(name.to_owned(), content);
        state.files.pending.insert(name.to_owned());
        state.step()?;
        state.files.sync(name);
        Ok(())
    }
}

impl Files for Disk {
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let written = self.write_steps(name, content);
        self.lock().files.unnamed = 0;
        written
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let state = self.lock();
        let found = state.files.seen.get(name).cloned();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn contains(&self, name: &str) -> io::Result<bool> {
        let mut state = self.lock();
        let found = state.files.seen.contains_key(name);
        if found {
            state.step()?;
            state.files.sync(name);
        }
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        if state.files.seen.remove(name).is_some() {
            state.files.pending.insert(name.to_owned());
        }
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        let below = format!("{folder}/");
        let names = state.files.seen.keys();
        Ok(names.filter(|n| n.starts_with(&below)).cloned().collect())
    }

    fn path(&self, _name: &str) -> Option<PathBuf> {
        None
    }
}
