use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{Expect, Op, Space, Store, StoreError, Table};
use tasks::{Tasks, Time};

use crate::fault::Fault;
use crate::frame::{self, Batch, Line, Span};
use crate::journal::{Found, Journal, JournalError, Search};
use crate::record::{Activity, Gone, Group, Stream, id_part, key_part};
use crate::sink::Sink;

const SPACE: Space = Space("logs");
/// Journals kept open; beyond that, those that nobody uses are closed.
const JOURNALS_MAX: usize = 1_024;
/// Files of log groups that stay open between two writes.
const FILES_MAX: usize = 256;
/// Searches that read files at the same time.
const SEARCHES_MAX: usize = 8;
/// Tries of a change that others come before.
const TRIES_MAX: u32 = 8;
/// Records of one transaction.
const OPS_MAX: usize = 50;

/// Log groups and streams in records, their events in files.
pub struct Engine {
    pub(crate) groups: Table<Group>,
    pub(crate) streams: Table<Stream>,
    pub(crate) gone: Table<Gone>,
    pub(crate) tasks: Tasks,
    pub(crate) sink: Sink,
    root: PathBuf,
    journals: Mutex<HashMap<u64, Arc<Journal>>>,
    /// Groups whose file may be open, the first to be closed first.
    open: Mutex<VecDeque<u64>>,
    /// What streams did since their records were saved, by stream id.
    activity: Mutex<HashMap<u64, Recent>>,
    searches: tokio::sync::Semaphore,
}

#[derive(Clone)]
struct Recent {
    group: u64,
    name: Arc<str>,
    activity: Activity,
}

/// Where a group belongs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(crate) fn new(store: &Store, root: &Path, tasks: &Tasks) -> Engine {
        Engine {
            groups: Table::new(store, SPACE),
            streams: Table::new(store, SPACE),
            gone: Table::new(store, SPACE),
            tasks: tasks.clone(),
            sink: Sink::default(),
            root: root.to_owned(),
            journals: Mutex::default(),
            open: Mutex::default(),
            activity: Mutex::default(),
            searches: tokio::sync::Semaphore::new(SEARCHES_MAX),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.tasks.clock().now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().unix_millis()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Function output that was dropped because the disk was slower, in lines.
    pub fn dropped_lines(&self) -> u64 {
        self.sink.dropped_lines()
    }

    pub(crate) async fn group(&self, at: &Place, name: &str) -> Result<Group, Fault> {
        let parts = [&*at.account, &*at.region, &*key_part(name)];
        let row = self.groups.get(&parts).await?;
        row.map(|row| row.value).ok_or(Fault::NoGroup)
    }

    /// All groups of a place, by name.
    pub(crate) async fn all_groups(&self, at: &Place) -> Result<Vec<Group>, Fault> {
        let rows = self.groups.all(&[&at.account, &at.region]).await?;
        let mut groups: Vec<Group> = rows.into_iter().map(|row| row.value).collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    pub(crate) async fn create_group(&self, at: &Place, group: &Group) -> Result<(), Fault> {
        let parts = [&*at.account, &*at.region, &*key_part(&group.name)];
        match self.groups.put(&parts, group, Expect::Absent).await {
            Err(StoreError::Conflict(_)) => Err(Fault::GroupExists),
            other => Ok(other.map(drop)?),
        }
    }

    /// Changes a group; `change` may run several times.
    pub(crate) async fn change_group(
        &self,
        at: &Place,
        name: &str,
        change: impl Fn(&mut Group) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        let key = key_part(name);
        let parts = [&*at.account, &*at.region, &*key];
        for _ in 0..TRIES_MAX {
            let mut row = self.groups.get(&parts).await?.ok_or(Fault::NoGroup)?;
            change(&mut row.value)?;
            match self
                .groups
                .put(&parts, &row.value, Expect::At(row.rev))
                .await
            {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Err(Fault::Aborted)
    }

    pub(crate) async fn delete_group(&self, at: &Place, name: &str) -> Result<(), Fault> {
        let group = self.group(at, name).await?;
        if group.is_protected {
            return Err(Fault::Protected);
        }
        // No flush may bring the group back half-way.
        let mut known = self.sink.known.lock().await;
        let parts = [&*at.account, &*at.region, &*key_part(name)];
        self.groups.delete(&parts, Expect::Any).await?;
        known.retain(|_, to| to.group != group.id);
        let id = id_part(group.id);
        let mut ops: Vec<Op> = Vec::new();
        for row in self.streams.all(&[&id]).await? {
            ops.push(
                self.streams
                    .delete_op(&[&id, &key_part(&row.value.name)], Expect::Any),
            );
        }
        for row in self.gone.all(&[&id]).await? {
            let key = row.key;
            ops.push(Op::Delete {
                key,
                expect: Expect::Any,
            });
        }
        for chunk in ops.chunks(OPS_MAX) {
            self.groups.txn(chunk.to_vec()).await?;
        }
        drop(known);
        lock(&self.activity).retain(|_, recent| recent.group != group.id);
        let journal = self.journal(at, group.id);
        self.blocking(move || journal.remove().map_err(JournalError::Io))
            .await?;
        lock(&self.journals).remove(&group.id);
        Ok(())
    }

    pub(crate) async fn stream(&self, group: &Group, name: &str) -> Result<Stream, Fault> {
        let row = self
            .streams
            .get(&[&id_part(group.id), &key_part(name)])
            .await?;
        let mut stream = row.map(|row| row.value).ok_or(Fault::NoStream)?;
        stream.activity = self.with_recent(&stream);
        Ok(stream)
    }

    /// All streams of a group, by name.
    pub(crate) async fn all_streams(&self, group: &Group) -> Result<Vec<Stream>, Fault> {
        let rows = self.streams.all(&[&id_part(group.id)]).await?;
        let mut streams: Vec<Stream> = rows.into_iter().map(|row| row.value).collect();
        for stream in &mut streams {
            stream.activity = self.with_recent(stream);
        }
        streams.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(streams)
    }

    pub(crate) async fn create_stream(&self, group: &Group, name: &str) -> Result<Stream, Fault> {
        let stream = Stream {
            name: name.to_owned(),
            id: self.tasks.ids().u64(),
            created_ms: self.now_ms(),
            activity: Activity::default(),
        };
        let parts = [&*id_part(group.id), &*key_part(name)];
        match self.streams.put(&parts, &stream, Expect::Absent).await {
            Err(StoreError::Conflict(_)) => Err(Fault::StreamExists),
            Err(other) => Err(other.into()),
            Ok(_) => Ok(stream),
        }
    }

    pub(crate) async fn delete_stream(&self, group: &Group, name: &str) -> Result<(), Fault> {
        let mut known = self.sink.known.lock().await;
        let stream = self.stream(group, name).await?;
        let id = id_part(group.id);
        let gone = Gone {
            deleted_ms: self.now_ms(),
        };
        let ops = vec![
            self.streams.delete_op(&[&id, &key_part(name)], Expect::Any),
            self.gone
                .put_op(&[&id, &id_part(stream.id)], &gone, Expect::Any)?,
        ];
        self.streams.txn(ops).await?;
        known.retain(|_, to| to.stream != stream.id);
        lock(&self.activity).remove(&stream.id);
        Ok(())
    }

    /// Ids of deleted streams whose events may still be in files.
    pub(crate) async fn gone_streams(&self, group: &Group) -> Result<HashSet<u64>, Fault> {
        let rows = self.gone.all(&[&id_part(group.id)]).await?;
        let ids = rows.iter().filter_map(|row| {
            let id = row.key.as_str().rsplit('/').next()?;
            u64::from_str_radix(id, 16).ok()
        });
        Ok(ids.collect())
    }

    pub(crate) fn journal(&self, at: &Place, group: u64) -> Arc<Journal> {
        let mut journals = lock(&self.journals);
        if journals.len() >= JOURNALS_MAX && !journals.contains_key(&group) {
            journals.retain(|_, journal| Arc::strong_count(journal) > 1);
        }
        let journal = journals.entry(group).or_insert_with(|| {
            let dir = self
                .root
                .join(&at.account)
                .join(&at.region)
                .join(id_part(group));
            Arc::new(Journal::new(&self.root, dir))
        });
        journal.clone()
    }

    /// Notes that the file of `group` will be open; gives the journal whose file is to be closed.
    fn opens(&self, group: u64) -> Option<Arc<Journal>> {
        let mut open = lock(&self.open);
        if open.contains(&group) {
            return None;
        }
        open.push_back(group);
        let surplus = if open.len() > FILES_MAX {
            open.pop_front()
        } else {
            None
        };
        drop(open);
        lock(&self.journals).get(&surplus?).cloned()
    }

    /// Writes lines of one stream; durable when it returns.
    pub(crate) async fn put(
        &self,
        at: &Place,
        group: &Group,
        stream: &Stream,
        lines: Vec<Line>,
    ) -> Result<(), Fault> {
        let name: Arc<str> = stream.name.as_str().into();
        let part = Part {
            stream: stream.id,
            name,
            lines,
        };
        self.write(at, group.id, vec![part], true).await?;
        Ok(())
    }

    /// Appends to the journal of one group.
    pub(crate) async fn write(
        &self,
        at: &Place,
        group: u64,
        parts: Vec<Part>,
        durable: bool,
    ) -> Result<(), Fault> {
        let ingested = self.now_ms();
        let journal = self.journal(at, group);
        {
            let mut activity = lock(&self.activity);
            for part in &parts {
                let done = Activity::of(Span::of(&part.lines), ingested);
                let recent = activity.entry(part.stream).or_insert_with(|| Recent {
                    group,
                    name: part.name.clone(),
                    activity: done,
                });
                recent.activity = recent.activity.join(done);
            }
        }
        let (writer, surplus) = (journal.clone(), self.opens(group));
        let append = move || {
            if let Some(surplus) = surplus {
                surplus.close();
            }
            let mut frames = Vec::new();
            let mut span = Span::EMPTY;
            for part in &parts {
                span = span.join(Span::of(&part.lines));
                frame::write(&mut frames, &part.batch(ingested));
            }
            writer.append(&frames, span, durable)
        };
        let is_full = self.blocking(append).await?;
        if is_full {
            self.save_activity(Some(group)).await?;
            self.blocking(move || journal.seal()).await?;
        }
        Ok(())
    }

    pub(crate) async fn search(
        &self,
        at: &Place,
        group: &Group,
        search: Search,
    ) -> Result<Found, Fault> {
        let _permit = self.searches.acquire().await;
        let journal = self.journal(at, group.id);
        self.blocking(move || journal.search(&search)).await
    }

    pub(crate) async fn bytes(&self, at: &Place, group: &Group) -> Result<u64, Fault> {
        let journal = self.journal(at, group.id);
        self.blocking(move || journal.bytes()).await
    }

    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, JournalError> + Send + 'static,
    {
        let done = self.tasks.blocking(work).await;
        let done = done.map_err(|panicked| Fault::Io(io::Error::other(panicked)))?;
        done.map_err(|error| match error {
            JournalError::Removed => Fault::NoGroup,
            JournalError::Io(error) => Fault::Io(error),
        })
    }

    fn with_recent(&self, stream: &Stream) -> Activity {
        let recent = lock(&self.activity).get(&stream.id).map(|r| r.activity);
        stream.activity.join(recent.unwrap_or_default())
    }

    /// Saves in the records what streams did, of one group or of all.
    pub(crate) async fn save_activity(&self, group: Option<u64>) -> Result<(), Fault> {
        let due: Vec<(u64, Recent)> = lock(&self.activity)
            .iter()
            .filter(|(_, recent)| group.is_none_or(|group| recent.group == group))
            .map(|(id, recent)| (*id, recent.clone()))
            .collect();
        for chunk in due.chunks(OPS_MAX) {
            let saved = futures_util::future::join_all(
                chunk.iter().map(|(id, recent)| self.save_one(*id, recent)),
            );
            for outcome in saved.await {
                outcome?;
            }
            let mut activity = lock(&self.activity);
            for (id, recent) in chunk {
                // What came meanwhile waits for the next time.
                if activity
                    .get(id)
                    .is_some_and(|now| now.activity == recent.activity)
                {
                    activity.remove(id);
                }
            }
        }
        Ok(())
    }

    async fn save_one(&self, id: u64, recent: &Recent) -> Result<(), Fault> {
        let (group, key) = (id_part(recent.group), key_part(&recent.name));
        let parts = [&*group, &*key];
        for _ in 0..TRIES_MAX {
            let Some(mut row) = self.streams.get(&parts).await? else {
                return Ok(());
            };
            let joined = row.value.activity.join(recent.activity);
            if row.value.id != id || joined == row.value.activity {
                return Ok(());
            }
            row.value.activity = joined;
            match self
                .streams
                .put(&parts, &row.value, Expect::At(row.rev))
                .await
            {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Err(Fault::Aborted)
    }
}

/// Lines of one stream on their way into a journal.
pub(crate) struct Part {
    pub(crate) stream: u64,
    pub(crate) name: Arc<str>,
    pub(crate) lines: Vec<Line>,
}

impl Part {
    fn batch(&self, ingested: i64) -> Batch<'_> {
        Batch {
            stream: self.stream,
            name: &self.name,
            ingested,
            lines: &self.lines,
        }
    }
}
