//! The journal of asynchronous events: what became of each, and of what followed from it.
//!
//! Notes are kept in memory up to a number of bytes and written behind, in batches, to a log of the store: a
//! crash may lose the last moment of the journal, never an event.

mod tree;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Log, LogId, Pos, Retention, Seq, Store, StoreError};
use tasks::{Progress, Tasks, Time, WorkError, Worker};
use tokio::sync::Notify;

pub use tree::{Node, Step, Tree};

/// Bytes of the notes in memory; the oldest go first.
const MEMORY_BYTES_MAX: usize = 32 << 20;
/// Bytes of the log; the oldest go first.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Notes that wait to be written, and their bytes; more are kept in memory only.
const UNWRITTEN_MAX: usize = 10_000;
const UNWRITTEN_BYTES_MAX: usize = 16 << 20;
/// Notes of one write.
const BATCH_MAX: usize = 1_000;
/// How long notes are gathered for a write.
const LINGER: Duration = Duration::from_millis(200);
/// A longer payload is not kept: its event cannot be replayed.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// What a note takes beside its texts.
const NOTE_BYTES: usize = 256;
/// Writes between two looks at the size of the log.
const TRIM_EVERY: u32 = 100;

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    at_us: i64,
    /// The same for all that follows from one request.
    root: String,
    /// The request id of an event, the id of a parcel.
    id: String,
    /// The function of an event with its qualifier, the receiver of a parcel.
    to: String,
    /// Who caused it: the parcel of an event, the sender of a parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum What {
    Accepted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Box<RawValue>>,
    },
    /// `outcome`: `Success`, `Unhandled`, or why it did not run.
    Attempt {
        outcome: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_us: Option<i64>,
    },
    Ended {
        condition: String,
    },
    Delivery {
        attempt: u32,
        outcome: String,
    },
}

impl Note {
    fn bytes(&self) -> usize {
        let what = match &self.what {
            What::Accepted { payload } => payload.as_ref().map_or(0, |p| p.get().len()),
            What::Attempt { outcome: text, .. }
            | What::Delivery { outcome: text, .. }
            | What::Ended { condition: text } => text.len(),
        };
        let from = self.from.as_ref().map_or(0, String::len);
        NOTE_BYTES + self.root.len() + self.id.len() + self.to.len() + from + what
    }
}

/// Clones share one journal.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    tasks: Tasks,
    kept: Mutex<Kept>,
    /// Whether somebody writes.
    is_written: AtomicBool,
    unwritten: Mutex<Unwritten>,
    news: Notify,
    lost: AtomicU64,
}

/// What waits to be written.
#[derive(Default)]
struct Unwritten {
    notes: VecDeque<Bytes>,
    bytes: usize,
}

impl Unwritten {
    /// False: there is no room.
    fn push(&mut self, note: Bytes) -> bool {
        let bytes = self.bytes + note.len();
        let has_room = self.notes.len() < UNWRITTEN_MAX && bytes <= UNWRITTEN_BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.notes.push_back(note);
        }
        has_room
    }

    fn take(&mut self) -> Vec<Bytes> {
        let count = self.notes.len().min(BATCH_MAX);
        let batch: Vec<Bytes> = self.notes.drain(..count).collect();
        self.bytes -= batch.iter().map(Bytes::len).sum::<usize>();
        batch
    }
}

#[derive(Default)]
struct Kept {
    notes: VecDeque<Arc<Note>>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, note: Arc<Note>) {
        self.bytes += note.bytes();
        self.notes.push_back(note);
        while self.bytes > MEMORY_BYTES_MAX
            && let Some(oldest) = self.notes.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }
}

fn log_id() -> LogId {
    LogId("event-journal".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event or a parcel, for its notes.
pub struct Subject<'a> {
    pub trace: Option<&'a str>,
    pub id: &'a str,
    pub to: &'a str,
    pub from: Option<&'a str>,
}

/// An accepted event, to run it once more.
#[derive(Debug, Clone)]
pub struct Past {
    /// With its qualifier.
    pub function: String,
    pub payload: Bytes,
    /// The trace header of what it belongs to, if it had one.
    pub trace: Option<String>,
}

impl Journal {
    pub(crate) fn new(store: &Store, tasks: &Tasks) -> Journal {
        Journal(Arc::new(Inner {
            log: store.log.clone(),
            tasks: tasks.clone(),
            kept: Mutex::default(),
            is_written: AtomicBool::new(false),
            unwritten: Mutex::default(),
            news: Notify::new(),
            lost: AtomicU64::new(0),
        }))
    }

    pub(crate) fn accepted(&self, subject: &Subject<'_>, payload: &RawValue) {
        let payload = (payload.get().len() <= PAYLOAD_BYTES_MAX).then(|| payload.to_owned());
        self.note(subject, What::Accepted { payload });
    }

    pub(crate) fn attempted(&self, subject: &Subject<'_>, outcome: String, next: Option<Time>) {
        let next_us = next.map(Time::unix_micros);
        self.note(subject, What::Attempt { outcome, next_us });
    }

    pub(crate) fn ended(&self, subject: &Subject<'_>, condition: &str) {
        let condition = condition.to_owned();
        self.note(subject, What::Ended { condition });
    }

    /// A try to deliver a parcel, `attempt` from 1.
    pub fn delivered(&self, subject: &Subject<'_>, attempt: u32, outcome: String) {
        self.note(subject, What::Delivery { attempt, outcome });
    }

    fn note(&self, subject: &Subject<'_>, what: What) {
        let root = subject.trace.and_then(model::lineage::root);
        let note = Note {
            at_us: self.0.tasks.clock().now().unix_micros(),
            root: root.unwrap_or(subject.id).to_owned(),
            id: subject.id.to_owned(),
            to: subject.to.to_owned(),
            from: subject.from.map(str::to_owned),
            what,
        };
        if self.0.is_written.load(Ordering::Relaxed) {
            let bytes = serde_json::to_vec(&note);
            let is_taken = bytes.is_ok_and(|bytes| lock(&self.0.unwritten).push(bytes.into()));
            if !is_taken {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
            }
            self.0.news.notify_one();
        }
        lock(&self.0.kept).push(Arc::new(note));
    }

    /// The way of the event or parcel with this id, from where it began; `None` if nothing is known of it.
    pub fn trace(&self, id: &str) -> Option<Tree> {
        let notes: Vec<Arc<Note>> = lock(&self.0.kept).notes.iter().cloned().collect();
        tree::grow(&notes, id)
    }

    /// An event as it was accepted; `None` if it is not known, or was too long to keep.
    pub fn past(&self, id: &str) -> Option<Past> {
        let kept = lock(&self.0.kept);
        kept.notes.iter().find_map(|note| match &note.what {
            What::Accepted { payload } if note.id == id => Some(Past {
                function: note.to.clone(),
                payload: Bytes::copy_from_slice(payload.as_ref()?.get().as_bytes()),
                trace: (note.root != note.id).then(|| format!("Root={}", note.root)),
            }),
            _ => None,
        })
    }

    /// The worker that writes notes down, and reads those of earlier processes.
    pub fn worker(&self) -> impl Worker + use<> {
        self.0.is_written.store(true, Ordering::Relaxed);
        Writer {
            journal: self.clone(),
            is_read: false,
            writes: 0,
            batch: Vec::new(),
            tail: None,
        }
    }
}

struct Writer {
    journal: Journal,
    is_read: bool,
    writes: u32,
    /// Notes of a write that failed, or that is being done.
    batch: Vec<Bytes>,
    /// The last entry that is known to be written.
    tail: Option<Seq>,
}

impl Writer {
    async fn read(&mut self) -> Result<(), StoreError> {
        let inner = &self.journal.0;
        let mut tail = None;
        let mut earlier = Kept::default();
        let mut from = Pos::Oldest;
        loop {
            let (records, next) = inner.log.read(&log_id(), 0, from, BATCH_MAX).await?;
            if records.is_empty() {
                break;
            }
            for (seq, _, bytes) in records {
                tail = Some(seq);
                // One of another form is of no use here.
                if let Ok(note) = serde_json::from_slice(&bytes) {
                    earlier.push(Arc::new(note));
                }
            }
            from = next;
        }
        let mut kept = lock(&inner.kept);
        for note in std::mem::take(&mut kept.notes) {
            earlier.push(note);
        }
        *kept = earlier;
        drop(kept);
        self.tail = tail;
        Ok(())
    }

    /// Writes the batch once, also if a write that failed was done all the same.
    async fn write(&mut self) -> Result<(), StoreError> {
        let (log, id) = (&self.journal.0.log, log_id());
        let written = log.append(&id, 0, self.batch.clone(), self.tail);
        self.tail = match (written.await, self.tail) {
            (Ok(seq), _) => Some(seq),
            // Nobody else writes there.
            (Err(StoreError::Conflict(_)), Some(Seq(tail))) => {
                Some(Seq(tail + self.batch.len() as u64))
            }
            (Err(error), _) => return Err(error),
        };
        self.batch.clear();
        Ok(())
    }
}

#[async_trait]
impl Worker for Writer {
    fn name(&self) -> String {
        "event journal".to_owned()
    }

    async fn wait(&mut self) {
        if !self.is_read || !self.batch.is_empty() {
            return;
        }
        let inner = &self.journal.0;
        inner.news.notified().await;
        // A machine's moment, also when the clock stands still.
        let gathered = inner
            .tasks
            .clock()
            .timeout(LINGER, std::future::pending::<()>());
        let _ = gathered.await; // it always ends late
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        if !self.is_read {
            self.read().await?;
            self.is_read = true;
        }
        let inner = &self.journal.0;
        if self.batch.is_empty() {
            self.batch = lock(&inner.unwritten).take();
        }
        if self.batch.is_empty() {
            return Ok(Progress::More);
        }
        if self.batch.len() == BATCH_MAX {
            inner.news.notify_one();
        }
        // What fails is kept and tried again; what comes meanwhile waits, as far as there is room.
        self.write().await?;
        let inner = &self.journal.0;
        let lost = inner.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "notes of the journal found no room to wait");
        }
        self.writes += 1;
        if self.writes.is_multiple_of(TRIM_EVERY) {
            let keep = Retention {
                bytes_max: Some(LOG_BYTES_MAX),
                ..Retention::default()
            };
            inner.log.trim(&log_id(), keep).await?;
        }
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_to_be_written_is_bounded_by_its_bytes() {
        let mut unwritten = Unwritten::default();
        let note = Bytes::from(vec![b'x'; PAYLOAD_BYTES_MAX]);
        let taken = (0..UNWRITTEN_MAX).take_while(|_| unwritten.push(note.clone()));
        assert_eq!(taken.count(), UNWRITTEN_BYTES_MAX / PAYLOAD_BYTES_MAX);
        assert!(!unwritten.push(note.clone()));
        let written = unwritten.take().len();
        assert_eq!(
            (written, unwritten.bytes),
            (UNWRITTEN_BYTES_MAX / PAYLOAD_BYTES_MAX, 0)
        );
        let small = Bytes::from_static(b"{}");
        let taken = (0..=UNWRITTEN_MAX).take_while(|_| unwritten.push(small.clone()));
        assert_eq!(taken.count(), UNWRITTEN_MAX);
        assert_eq!(unwritten.take().len(), BATCH_MAX);
    }

    #[tokio::test]
    async fn notes_of_a_write_that_failed_are_written_once() {
        let (store, disk, _) = store::simulated::open(3);
        let journal = Journal::new(&store, disk.tasks());
        let mut writer = Writer {
            journal: journal.clone(),
            is_read: false,
            writes: 0,
            batch: Vec::new(),
            tail: None,
        };
        journal.0.is_written.store(true, Ordering::Relaxed);
        let mut failures = 0;
        for n in 0..24_u64 {
            let id = format!("event {n}");
            let subject = Subject {
                trace: None,
                id: &id,
                to: "f",
                from: None,
            };
            journal.ended(&subject, "Success");
            // One step after the other: writes, syncs, and what of them was done when they failed.
            disk.fail_at(disk.operations() + n);
            while let Err(error) = writer.work().await {
                failures += 1;
                assert!(failures < 100, "{error}");
            }
        }
        assert!(failures > 0);
        let (entries, _) = store
            .log
            .read(&log_id(), 0, Pos::Oldest, 100)
            .await
            .unwrap();
        let seen: Vec<String> = entries
            .iter()
            .map(|(_, _, bytes)| serde_json::from_slice::<Note>(bytes).unwrap().id)
            .collect();
        let expected: Vec<String> = (0..24).map(|n| format!("event {n}")).collect();
        assert_eq!(seen, expected);
    }
}
