use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tasks::Time;
use tokio::sync::mpsc;

use crate::{Key, Rev, Space, Vault};

/// The primitives of one engine, held together.
#[derive(Clone)]
pub struct Store {
    pub records: Arc<dyn Records>,
    pub queue: Arc<dyn Queue>,
    pub log: Arc<dyn Log>,
    pub blobs: Arc<dyn Blobs>,
    pub leases: Arc<dyn Leases>,
    pub bus: Arc<dyn Bus>,
    pub lifecycle: Arc<dyn Lifecycle>,
    /// For what nobody shall read who has the stored bytes alone.
    pub vault: Arc<Vault>,
}

impl Store {
    /// Finishes all accepted writes and lets go of the disk. Every later call answers
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.lifecycle.close().await;
    }

    /// What was found damaged on the disk since the start, by name; at most a thousand. The rest stays in
    /// use: a damaged value answers [`StoreError::Damaged`], and lists leave it out.
    pub fn damage(&self) -> Vec<String> {
        self.lifecycle.damage()
    }
}

/// The health and the end of an engine.
#[async_trait]
pub trait Lifecycle: Send + Sync {
    async fn close(&self);
    fn damage(&self) -> Vec<String>;
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The expectation of an operation did not hold; nothing was written.
    #[error("record {0:?} is not at the expected revision")]
    Conflict(Key),
    #[error("{what} of {size} is over the limit of {max}")]
    TooLarge {
        what: &'static str,
        size: usize,
        max: usize,
    },
    /// More may not wait there; nothing was written.
    #[error("{what} with {max} messages: more may not wait")]
    Full { what: &'static str, max: u64 },
    /// The lease of a message or of a name is no longer held.
    #[error("the lease is no longer held")]
    Lost,
    #[error("blob {0} is not stored")]
    NoSuchBlob(Digest),
    /// The disk failed. A write may have happened or not: read again before deciding.
    #[error("storage failed: {0}")]
    Io(Arc<str>),
    #[error("stored bytes are damaged: {0}")]
    Damaged(Arc<str>),
    #[error("written by a newer Kiln (schema {found}, this one knows {known}): use that version")]
    Newer { found: u32, known: u32 },
    /// Another process works on the same data.
    #[error("{0} is in use by another Kiln; stop that one or give this one its own data directory")]
    InUse(Arc<str>),
    /// Nobody serves the subject, or the answer did not come in time.
    #[error("no answer from {0}")]
    Unanswered(Arc<str>),
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Io(_))
    }
}

/// What a record must be for an operation to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Any,
    Absent,
    At(Rev),
}

#[derive(Debug, Clone)]
pub enum Op {
    Put {
        key: Key,
        value: Bytes,
        expect: Expect,
    },
    Delete {
        key: Key,
        expect: Expect,
    },
}

/// One change that a watch tells.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: Key,
    /// `None`: deleted.
    pub value: Option<Bytes>,
    pub rev: Rev,
}

/// Small versioned state.
#[async_trait]
pub trait Records: Send + Sync {
    async fn get(&self, space: Space, key: &Key) -> Result<Option<(Bytes, Rev)>, StoreError>;

    /// At most `max` records whose keys start with `prefix`, in key order, from behind `after`.
    async fn scan(
        &self,
        space: Space,
        prefix: &Key,
        after: Option<&Key>,
        max: usize,
    ) -> Result<Vec<(Key, Bytes, Rev)>, StoreError>;

    /// Applies all operations or none; durable when it returns. At most 100 operations, one a key,
    /// 512 KiB a value.
    async fn txn(&self, space: Space, ops: Vec<Op>) -> Result<Rev, StoreError>;

    /// Changes under `prefix` from now on, in order, at least once. A slow reader loses the channel
    /// (it closes) and must scan again.
    fn watch(&self, space: Space, prefix: &Key) -> mpsc::Receiver<Change>;
}

/// A queue's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueId(pub String);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MsgId(pub String);

/// Proves that a message is leased.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Token(pub String);

#[derive(Debug, Clone)]
pub struct Leased {
    pub id: MsgId,
    pub body: Bytes,
    /// Counts from 1.
    pub attempt: u32,
    pub enqueued: Time,
    pub token: Token,
    pub until: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    pub due: u64,
    pub delayed: u64,
    pub leased: u64,
}

/// At least once, no order promised.
#[async_trait]
pub trait Queue: Send + Sync {
    /// With `dedup`, a message whose like was put within the last five minutes is taken for that one. Minutes
    /// while the store is closed do not count: who was killed between a put and its note puts again.
    async fn put(
        &self,
        queue: &QueueId,
        body: Bytes,
        not_before: Time,
        dedup: Option<&str>,
    ) -> Result<MsgId, StoreError>;

    /// Up to `max` due messages, leased for 30 s; waits at most `wait` for the first.
    async fn take(
        &self,
        queue: &QueueId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Leased>, StoreError>;

    async fn ack(&self, token: &Token) -> Result<(), StoreError>;
    async fn retry(&self, token: &Token, not_before: Time) -> Result<(), StoreError>;
    /// Gives the message another body, due then, with no attempts.
    async fn replace(&self, token: &Token, body: Bytes, not_before: Time)
    -> Result<(), StoreError>;
    async fn extend(&self, token: &Token, until: Time) -> Result<(), StoreError>;
    async fn depth(&self, queue: &QueueId) -> Result<Depth, StoreError>;

    /// When the next message of the queue is due or the next lease ends; `None`: it holds none.
    async fn next(&self, queue: &QueueId) -> Result<Option<Time>, StoreError>;

    /// At most `max` queues that hold messages and whose names start with `prefix`, from behind `after`,
    /// in an order of the engine's own.
    async fn queues(
        &self,
        prefix: &str,
        after: Option<&QueueId>,
        max: usize,
    ) -> Result<Vec<QueueId>, StoreError>;
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogId(pub String);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seq(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pos {
    Oldest,
    Latest,
    /// The first entry with this number or a later one.
    Seq(Seq),
    /// The first entry of this time or a later one.
    Time(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    pub not_before: Option<Time>,
    pub bytes_max: Option<u64>,
}

/// Ordered within a shard, immutable.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends all records or none; durable when it returns. Gives the number of the last one.
    async fn append(
        &self,
        log: &LogId,
        shard: u32,
        records: Vec<Bytes>,
        expect_tail: Option<Seq>,
    ) -> Result<Seq, StoreError>;

    /// At most `max` entries, and where to read on.
    async fn read(
        &self,
        log: &LogId,
        shard: u32,
        from: Pos,
        max: usize,
    ) -> Result<(Vec<(Seq, Time, Bytes)>, Pos), StoreError>;

    async fn trim(&self, log: &LogId, keep: Retention) -> Result<(), StoreError>;
}

/// The SHA-256 of a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Immutable bytes named by their digest.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Durable when it returns; the same bytes again cost no second copy.
    async fn put(&self, body: Bytes) -> Result<Digest, StoreError>;
    async fn get(&self, digest: &Digest) -> Result<Bytes, StoreError>;
    async fn contains(&self, digest: &Digest) -> Result<bool, StoreError>;
    /// Only a garbage collector calls this.
    async fn delete(&self, digest: &Digest) -> Result<(), StoreError>;
    async fn list(&self) -> Result<Vec<Digest>, StoreError>;
    /// The file that holds the blob, where the engine keeps files.
    fn path(&self, digest: &Digest) -> Option<PathBuf>;
}

/// Ownership of a name, with a number that grows with every owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub name: String,
    pub fence: u64,
    pub until: Time,
}

#[async_trait]
pub trait Leases: Send + Sync {
    /// `None`: somebody else holds it.
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<Option<Grant>, StoreError>;
    async fn renew(&self, grant: &mut Grant, ttl: Duration) -> Result<(), StoreError>;
    async fn release(&self, grant: Grant) -> Result<(), StoreError>;
}

/// Requests between nodes; not durable.
#[async_trait]
pub trait Bus: Send + Sync {
    async fn call(
        &self,
        to: &str,
        subject: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, StoreError>;
    /// Requests for `subject`, each with the sender of its answer.
    fn serve(&self, subject: &str) -> mpsc::Receiver<(Bytes, tokio::sync::oneshot::Sender<Bytes>)>;
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
