//! Makes batches last: first in the log, then, for many at once and in the background, in the database's file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, Durability, WriteTransaction};

use super::Disk;
use super::ahead::{Ahead, Appended, Found, Mark, Redo, entries};
use super::flush::Flusher;
use super::pages::Pages;
use super::seal::Damage;
use super::tables::{Basis, Failure, Tables, io_error, last_rev, prepare, save_ahead, save_rev};
use super::writer::{Batch, Effect, Job};
use crate::StoreError;

/// Bytes of pages in memory, above which they are brought to the disk.
const PAGES_BYTES_MAX: usize = 4 << 20;

/// The side of the database that only one commit at a time may use.
pub(crate) struct Committer {
    rev: u64,
    ahead: Ahead,
    flusher: Flusher,
    damage: Arc<Damage>,
    /// Whether the log holds what no commit for good has taken over.
    is_dirty: bool,
    /// What a commit for good has taken over and the disk may not have yet.
    taken_over: Option<Mark>,
    /// Whether the disk refused the pages the last time.
    is_behind: bool,
}

fn failed(error: &io::Error) -> StoreError {
    StoreError::Io(error.to_string().into())
}

/// Whether a batch is there, or the log must be emptied first.
type Ran = Option<Vec<Effect>>;

impl Committer {
    /// Opens the log of a database and plays it.
    pub(crate) fn open(
        disk: &dyn Disk,
        database: &Database,
        pages: &Pages,
        damage: &Arc<Damage>,
        secret: u64,
    ) -> Result<Committer, StoreError> {
        let log = disk.ahead()?;
        let bytes_max = disk.ahead_bytes_max();
        let lay_out = || {
            let made = Ahead::lay_out(&*log, bytes_max);
            made.map_err(|error| failed(&error))
        };
        let basis = match prepare(database, damage)? {
            Some(basis) => {
                if lay_out()? {
                    damage.note("the log in front of the database is not there".to_owned());
                }
                basis
            }
            None => {
                lay_out()?;
                let basis = Basis::lay_out(database, secret).map_err(io_error)?;
                pages.flush().map_err(|error| failed(&error))?;
                basis
            }
        };
        let opened = Ahead::open(log, basis.secret, basis.last, bytes_max);
        let (ahead, found) = opened.map_err(|error| failed(&error))?;
        let mut committer = Committer {
            rev: 0,
            ahead,
            flusher: Flusher::new(pages, disk.flushes_in_background())?,
            damage: damage.clone(),
            is_dirty: !found.frames.is_empty() || found.damaged > 0,
            taken_over: None,
            is_behind: false,
        };
        committer.play(database, &found)?;
        if found.damaged > 0 {
            committer.tell_damage(disk, &found);
        }
        Ok(committer)
    }

    /// For a database that was opened again: plays what it does not have of the log.
    pub(crate) fn reopen(&mut self, database: &Database) -> Result<(), StoreError> {
        let basis = prepare(database, &self.damage)?;
        let basis = basis.ok_or_else(|| StoreError::Damaged("the schema is gone".into()))?;
        let found = self.ahead.behind(basis.last);
        let found = found.map_err(|error| failed(&error))?;
        self.play(database, &found)
    }

    /// What could not be read is kept: the ring would write over it.
    fn tell_damage(&self, disk: &dyn Disk, found: &Found) {
        let name = format!("damaged/log-{:016x}", self.ahead.mark().number());
        let kept = self.ahead.content();
        let kept = kept.and_then(|bytes| disk.files().write(&name, &bytes));
        let where_to = match kept {
            Ok(()) => name,
            Err(error) => format!("not kept: {error}"),
        };
        let note = format!("log: {} batches of writes ({where_to})", found.damaged);
        self.damage.note(note);
    }

    /// The last revision given out.
    pub(crate) fn rev(&self) -> u64 {
        self.rev
    }

    /// Whether a crash now would cost work at the next start.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.is_dirty || self.taken_over.is_some() || self.ahead.has_failed()
    }

    /// How long to wait for something to write before that is mended: `idle`, or `again` after a failure.
    pub(crate) fn wait(&self, idle: Duration, again: Duration) -> Option<Duration> {
        let wait = if self.is_behind { again } else { idle };
        self.is_unsettled().then_some(wait)
    }

    /// One transaction for all jobs. The inner error is that of the log: the database is as it was.
    pub(crate) fn run(
        &mut self,
        database: &Database,
        jobs: &mut [Box<dyn Job>],
        is_synced: bool,
    ) -> Result<Result<Vec<Effect>, StoreError>, redb::Error> {
        let mut ran = self.attempt(database, jobs, is_synced)?;
        if let Ok(None) = ran {
            // Whoever waits for this batch waits for the disk.
            match self.settle(database)? {
                Ok(()) => ran = self.attempt(database, jobs, is_synced)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(ran.and_then(|effects| {
            effects.ok_or_else(|| StoreError::Io("the log has no room for this".into()))
        }))
    }

    fn attempt(
        &mut self,
        database: &Database,
        jobs: &mut [Box<dyn Job>],
        is_synced: bool,
    ) -> Result<Result<Ran, StoreError>, redb::Error> {
        let mut txn = database.begin_write()?;
        txn.set_durability(Durability::None)?;
        let (redo, effects, rev) = match apply_all(&txn, &self.damage, jobs, self.rev) {
            Ok(applied) => applied,
            Err(error) => {
                // The first error is the one to tell.
                let _ = txn.abort();
                return Err(error);
            }
        };
        if redo.is_empty() {
            txn.abort()?;
            return Ok(Ok(Some(effects)));
        }
        match self.ahead.append(redo, is_synced) {
            Ok(Appended::Done) => {
                self.is_dirty = true;
                txn.commit()?;
                self.rev = rev;
                Ok(Ok(Some(effects)))
            }
            Ok(Appended::NoRoom) => {
                txn.abort()?;
                Ok(Ok(None))
            }
            Err(error) => {
                txn.abort()?;
                Ok(Err(failed(&error)))
            }
        }
    }

    /// Between two batches: lets the database take over what the log holds, once it is worth it.
    pub(crate) fn go_on(&mut self, database: &Database) -> Result<(), redb::Error> {
        if let Some(flushed) = self.flusher.flushed() {
            self.tell_once(flushed);
        }
        let is_much = self.ahead.is_half_full() || self.flusher.pages().bytes() > PAGES_BYTES_MAX;
        if is_much && self.taken_over.is_none() && self.is_dirty {
            self.take_over(database)?;
            if let Some(flushed) = self.flusher.start() {
                self.tell_once(flushed);
            }
        }
        Ok(())
    }

    /// A commit for good, in memory: from here on the database's pages hold what the log holds.
    fn take_over(&mut self, database: &Database) -> Result<(), redb::Error> {
        let mark = self.ahead.mark();
        let mut txn = database.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        txn.set_quick_repair(true);
        let mut tables = Tables::new(&txn, &self.damage);
        let saved = save_ahead(&mut tables, mark.number()).map_err(Failure::into_error);
        drop(tables);
        if let Err(error) = saved {
            let _ = txn.abort();
            return Err(error);
        }
        txn.commit()?;
        (self.taken_over, self.is_dirty) = (Some(mark), false);
        Ok(())
    }

    fn release(&mut self, flushed: io::Result<()>) -> Result<(), StoreError> {
        self.is_behind = flushed.is_err();
        flushed.map_err(|error| failed(&error))?;
        if let Some(mark) = self.taken_over.take() {
            self.ahead.release(mark);
        }
        Ok(())
    }

    /// Nobody waits for this flush. If it failed, all is in the log, and whoever needs its room tries again.
    fn tell_once(&mut self, flushed: io::Result<()>) {
        let was_behind = self.is_behind;
        if let Err(error) = self.release(flushed)
            && !was_behind
        {
            tracing::warn!(%error, "the database stays behind its log");
        }
    }

    /// Makes everything last in the database alone, and waits for it. After it a crash costs no playing. The inner
    /// error is the disk's: all is kept in memory and in the log.
    pub(crate) fn settle(
        &mut self,
        database: &Database,
    ) -> Result<Result<(), StoreError>, redb::Error> {
        let taken_back = self.ahead.take_back();
        let flushed = self.flusher.wait();
        if let Err(error) = self.release(taken_back.and(flushed)) {
            return Ok(Err(error));
        }
        if !self.is_dirty {
            return Ok(Ok(()));
        }
        self.take_over(database)?;
        let flushed = self.flusher.wait();
        Ok(self.release(flushed))
    }

    /// Applies what the log holds. It lasts as the log does.
    fn play(&mut self, database: &Database, found: &Found) -> Result<(), StoreError> {
        if !found.is_empty() {
            let mut txn = database.begin_write().map_err(io_error)?;
            txn.set_durability(Durability::None).map_err(io_error)?;
            play(&txn, &self.damage, found).map_err(io_error)?;
            txn.commit().map_err(io_error)?;
        }
        self.rev = last_rev(database, &self.damage)?;
        Ok(())
    }
}

fn play(txn: &WriteTransaction, damage: &Damage, found: &Found) -> Result<(), redb::Error> {
    let mut tables = Tables::new(txn, damage);
    for (which, key, value) in found.frames.iter().flat_map(|body| entries(body)) {
        let done = match value {
            Some(value) => tables.put(which, key, value),
            None => tables.delete(which, key).map(drop),
        };
        done.map_err(Failure::into_error)?;
    }
    Ok(())
}

/// What the jobs change, what they do besides, and the last revision.
fn apply_all(
    txn: &WriteTransaction,
    damage: &Damage,
    jobs: &mut [Box<dyn Job>],
    rev: u64,
) -> Result<(Redo, Vec<Effect>, u64), redb::Error> {
    let mut batch = Batch::new(Tables::new(txn, damage), rev);
    for job in jobs {
        job.apply(&mut batch)?;
    }
    let last = batch.rev();
    if last != rev {
        save_rev(&mut batch.tables, last).map_err(Failure::into_error)?;
    }
    Ok((batch.tables.into_redo(), batch.effects, last))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tasks::{Clock, Ids, Tasks};

    use super::super::seal::seal;
    use super::super::tables::{ALL, SCHEMA_KEY, Which, named};
    use crate::embedded::{self, EmbeddedConfig};
    use crate::{Expect, Key, Op, Space, Store};

    const SPACE: Space = Space("s");

    /// A folder as the build before the log left it.
    fn folder_of_schema_2() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let database = redb::Database::create(dir.path().join("kiln.redb")).unwrap();
        let txn = database.begin_write().unwrap();
        for which in ALL {
            let mut table = txn.open_table(which.definition()).unwrap();
            let (key, value) = match which {
                Which::Meta => (SCHEMA_KEY.to_vec(), 2_u32.to_be_bytes().to_vec()),
                Which::Records => (
                    [&named(SPACE.0)[..], b"old"].concat(),
                    [&7_u64.to_be_bytes()[..], b"value"].concat(),
                ),
                _ => continue,
            };
            let sealed = seal(which, &key, &value);
            table.insert(&key[..], &sealed[..]).unwrap();
        }
        txn.commit().unwrap();
        dir
    }

    async fn value(store: &Store, name: &str) -> Option<Bytes> {
        let found = store.records.get(SPACE, &Key::of(&[name])).await.unwrap();
        found.map(|(value, _)| value)
    }

    #[tokio::test]
    async fn a_folder_of_the_build_before_is_taken_over() {
        let dir = folder_of_schema_2();
        let tasks = Tasks::new(Clock::real(), Ids::system());
        for n in 0..3 {
            let store = embedded::open(EmbeddedConfig::new(dir.path(), &tasks)).unwrap();
            assert_eq!(value(&store, "old").await.unwrap(), "value");
            assert_eq!(value(&store, "new").await.is_some(), n > 0);
            let put = Op::Put {
                key: Key::of(&["new"]),
                value: Bytes::from_static(b"there"),
                expect: Expect::Any,
            };
            store.records.txn(SPACE, vec![put]).await.unwrap();
            assert!(store.damage().is_empty(), "{:?}", store.damage());
            store.close().await;
        }
    }
}
