use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use store::{Expect, Record, Row, Space, Store, StoreError, Table};
use tasks::{Clock, Tasks};

use crate::attributes::{self, Attributes};
use crate::fault::Fault;
use crate::keep::Keep;
use crate::live::{Live, Lives};
use crate::moves::{Move, Moves};
use crate::names::QueueRef;

const SPACE: Space = Space("sqs");

/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// The stored queues of all accounts, and their messages.
pub struct Engine {
    queues: Table<Queue>,
    pub(crate) tasks: Tasks,
    pub(crate) keep: Keep,
    pub(crate) lives: Lives,
    pub(crate) moves: Moves,
    pub(crate) move_table: Table<Move>,
    known: Mutex<Cache>,
    needs_policies: AtomicBool,
    /// How long callers wait: by the machine's clock, wherever that of messages was moved to.
    pub(crate) waits: Clock,
}

/// Queues as they were last read. Only this process changes them.
#[derive(Default)]
struct Cache {
    queues: HashMap<QueueRef, Arc<Queue>>,
    /// Counts changes: what was read before one is not kept.
    changes: u64,
}

/// Queues that are kept in memory at once.
const CACHED_MAX: usize = 10_000;

/// One queue as it is stored.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Names the messages of this queue; no other queue has it, also none of the same name. Empty in
    /// queues of the time before messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
    pub(crate) created_s: i64,
    pub(crate) modified_s: i64,
    pub(crate) attributes: Attributes,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The scope of deduplication that was changed last, and until when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope_before: Option<(String, i64)>,
}

/// Seconds until another scope of deduplication counts: recorded answers of AWS show the old one after a
/// change.  [SQS API: SetQueueAttributes]
const SCOPE_S: i64 = 60;

impl Queue {
    pub(crate) fn is_fifo(&self) -> bool {
        attributes::is_fifo(&self.attributes)
    }

    /// What makes messages repeats, now.
    pub(crate) fn dedup_scope(&self, now_s: i64) -> Option<&str> {
        match &self.scope_before {
            Some((scope, until_s)) if now_s < *until_s => Some(scope),
            _ => self
                .attributes
                .get("DeduplicationScope")
                .map(String::as_str),
        }
    }

    /// Takes the checked attributes of a request.
    pub(crate) fn apply(&mut self, wanted: &Attributes, now_s: i64) {
        let before = self.dedup_scope(now_s).map(str::to_owned);
        attributes::apply(&mut self.attributes, wanted);
        let after = self.attributes.get("DeduplicationScope");
        if let Some(before) = before.filter(|before| Some(before) != after) {
            self.scope_before = Some((before, now_s.saturating_add(SCOPE_S)));
        }
        self.modified_s = now_s;
    }

    /// Of an attribute in seconds.
    pub(crate) fn millis(&self, attribute: &str) -> i64 {
        self.number(attribute).saturating_mul(1_000)
    }

    /// Checked when it was set; 0 for what is not set.
    pub(crate) fn number(&self, attribute: &str) -> i64 {
        let value = self.attributes.get(attribute);
        value.and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

impl Record for Queue {
    const KIND: &'static str = "queue";
    const VERSION: u8 = 1;
}

impl Engine {
    pub(crate) fn open(store: &Store, tasks: &Tasks, waits: &Clock) -> Engine {
        let keep = Keep::new(store);
        Engine {
            queues: Table::new(store, SPACE),
            tasks: tasks.clone(),
            lives: Lives::new(keep.clone(), tasks.clone()),
            moves: Moves::default(),
            move_table: Table::new(store, SPACE),
            keep,
            known: Mutex::default(),
            needs_policies: AtomicBool::new(false),
            waits: waits.clone(),
        }
    }

    /// From now on a service may send to a queue only if the queue's policy says so, as in AWS.
    pub fn require_policies(&self) {
        self.needs_policies.store(true, Ordering::Relaxed);
    }

    pub(crate) fn needs_policies(&self) -> bool {
        self.needs_policies.load(Ordering::Relaxed)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, at: &QueueRef) {
        let mut cache = self.cache();
        cache.changes += 1;
        cache.queues.remove(at);
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.tasks.clock().now().unix_secs()
    }

    async fn row(&self, queue: &QueueRef) -> Result<Option<Row<Queue>>, Fault> {
        Ok(self.queues.get(&parts(queue)).await?)
    }

    pub(crate) async fn find(&self, queue: &QueueRef) -> Result<Option<Queue>, Fault> {
        Ok(self.row(queue).await?.map(|row| row.value))
    }

    pub(crate) async fn queue(&self, at: &QueueRef) -> Result<Arc<Queue>, Fault> {
        let changes = {
            let cache = self.cache();
            if let Some(known) = cache.queues.get(at) {
                return Ok(known.clone());
            }
            cache.changes
        };
        let found = self.find(at).await?.ok_or(Fault::QueueDoesNotExist)?;
        let found = Arc::new(found);
        let mut cache = self.cache();
        if cache.changes == changes {
            if cache.queues.len() >= CACHED_MAX {
                cache.queues.clear();
            }
            cache.queues.insert(at.clone(), found.clone());
        }
        Ok(found)
    }

    /// The messages of a queue.
    pub(crate) async fn live(&self, at: &QueueRef, queue: &Queue) -> Result<Arc<Live>, Fault> {
        let delay_ms = queue.millis("DelaySeconds");
        let id = match queue.id.is_empty() {
            true => crate::message::md5_of(at.arn().as_bytes()),
            false => queue.id.clone(),
        };
        let live = self.lives.of(&id, queue.is_fifo(), delay_ms).await?;
        live.set_retention(queue.millis("MessageRetentionPeriod"));
        Ok(live)
    }

    /// The queue and its messages.
    pub(crate) async fn open_queue(&self, at: &QueueRef) -> Result<(Arc<Queue>, Arc<Live>), Fault> {
        let queue = self.queue(at).await?;
        let live = self.live(at, &queue).await?;
        Ok((queue, live))
    }

    /// Writes a new queue; `false` if there is one of that name.
    pub(crate) async fn insert(&self, at: &QueueRef, queue: &Queue) -> Result<bool, Fault> {
        let outcome = self.queues.put(&parts(at), queue, Expect::Absent).await;
        self.changed(at);
        match outcome {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads the queue, lets `edit` change it and writes it back, again if another writer was faster.
    pub(crate) async fn change(
        &self,
        at: &QueueRef,
        edit: impl Fn(&mut Queue) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let mut row = self.row(at).await?.ok_or(Fault::QueueDoesNotExist)?;
            edit(&mut row.value)?;
            let expect = Expect::At(row.rev);
            let outcome = self.queues.put(&parts(at), &row.value, expect).await;
            self.changed(at);
            match outcome {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn remove(&self, at: &QueueRef) -> Result<(), Fault> {
        let (_, live) = self.open_queue(at).await?;
        // A crash between the two leaves a queue without messages. So does a failure: what is asked of the
        // queue then finds it on the disk, as a start would.
        let removed = match live.end().await {
            Ok(()) => {
                let op = self.queues.delete_op(&parts(at), Expect::Any);
                self.queues.txn(vec![op]).await
            }
            Err(error) => Err(error),
        };
        self.changed(at);
        self.lives.forget(&live.id);
        removed?;
        live.clear_later();
        Ok(())
    }

    /// The queues of one account and region in the order of their names, from behind `after`.
    pub(crate) async fn list(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Queue>, Fault> {
        let after = after.map(|name| self.queues.key(&[account, region, name]));
        let rows = self
            .queues
            .scan(&[account, region], after.as_ref(), max)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

fn parts(queue: &QueueRef) -> [&str; 3] {
    [&queue.account, &queue.region, &queue.name]
}
