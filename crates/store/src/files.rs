use std::collections::HashSet;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// The files beside the database. Names are relative, parts joined with `/`.
pub(crate) trait Files: Debug + Send + Sync {
    /// Puts a whole file there, durable when it returns; a crash leaves all of it or nothing.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()>;
    fn read(&self, name: &str) -> io::Result<Bytes>;
    /// Whether the file is there for good: it survives a crash from here on.
    fn contains(&self, name: &str) -> io::Result<bool>;
    /// Removing what is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Names of the files anywhere below `folder`, unordered.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    fn path(&self, name: &str) -> Option<PathBuf>;
}

/// Files of a folder of this machine.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    temporary: AtomicU64,
    /// Folders whose own names are known to survive a crash.
    durable: Mutex<HashSet<PathBuf>>,
}

/// Where unfinished files live; emptied at start.
const UNFINISHED: &str = "unfinished";

impl Folder {
    pub(crate) fn open(root: &Path) -> io::Result<Folder> {
        let unfinished = root.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        for entry in fs::read_dir(&unfinished)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Folder {
            root: root.to_owned(),
            temporary: AtomicU64::new(0),
            durable: Mutex::default(),
        })
    }

    /// Makes the names in the folder itself, and its own, survive a crash.
    pub(crate) fn sync_root(&self) -> io::Result<()> {
        sync_folder(&self.root)?;
        self.root.parent().map_or(Ok(()), |above| {
            // A relative root has the empty path above it.
            if above.as_os_str().is_empty() {
                return Ok(());
            }
            sync_folder(above)
        })
    }

    fn make_parents(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        let known = |folders: &Mutex<HashSet<PathBuf>>, add: bool| {
            let mut folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
            if add {
                folders.insert(parent.to_owned());
            }
            folders.contains(parent)
        };
        if known(&self.durable, false) {
            return Ok(());
        }
        fs::create_dir_all(parent)?;
        // Every new name on the way must itself survive a crash.
        let mut at = parent;
        while at != self.root {
            let Some(above) = at.parent() else { break };
            sync_folder(above)?;
            at = above;
        }
        known(&self.durable, true);
        Ok(())
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Files for Folder {
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.root.join(UNFINISHED).join(number.to_string());
        let path = self.root.join(name);
        let written = (|| {
            let mut file = File::create(&unfinished)?;
            file.write_all(content)?;
            file.sync_all()?;
            drop(file);
            self.make_parents(&path)?;
            fs::rename(&unfinished, &path)?;
            path.parent().map_or(Ok(()), sync_folder)
        })();
        if written.is_err() {
            // The next start empties the folder anyway.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        fs::read(self.root.join(name)).map(Bytes::from)
    }

    fn contains(&self, name: &str) -> io::Result<bool> {
        let path = self.root.join(name);
        let found = path.try_exists()?;
        if found {
            // Another writer of the same file may be between its rename and its sync.
            self.make_parents(&path)?;
            path.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let name = format!("{folder}/{name}");
                if entry.file_type()?.is_dir() {
                    folders.push(name);
                } else {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.root.join(name))
    }
}
