//! The messages of one queue at work: the index in memory, the records on the disk, those who wait.
//!
//! Nothing is answered before it is on the disk; the index changes after it. Each write runs in a
//! task of its own, so that a client that goes away leaves no half of it.

mod receive;
mod send;
mod settle;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{Op, StoreError};
use tasks::Tasks;
use tokio::sync::{Notify, OnceCell, oneshot};

use crate::fault::Fault;
use crate::keep::{Keep, OPS_MAX, TXN_BYTES_MAX};
use crate::recent::Recent;
use crate::shelf::{Counts, Seq, Shelf};

pub(crate) use receive::{Ask, Received};
pub(crate) use send::{Draft, Sent};
pub(crate) use settle::Unheld;

/// The queues whose messages were asked for since the start.
pub(crate) struct Lives {
    keep: Keep,
    tasks: Tasks,
    all: Mutex<HashMap<String, Arc<OnceCell<Arc<Live>>>>>,
}

/// The messages of one queue.
pub(crate) struct Live {
    /// No other queue ever has it, also none of the same name.
    pub(crate) id: String,
    is_fifo: bool,
    keep: Keep,
    tasks: Tasks,
    /// How long messages live.
    retention_ms: AtomicI64,
    state: Mutex<State>,
    /// There may be something to receive.
    news: Notify,
    /// A message with a deduplication id was stored, or not.
    settled: Notify,
}

struct State {
    shelf: Shelf,
    next: Seq,
    recent: Recent,
    attempts: HashMap<String, receive::Attempt>,
    /// Messages up to this one are purged, and when.
    purged: Seq,
    purged_ms: Option<i64>,
    is_gone: bool,
}

impl State {
    fn next(&mut self) -> Seq {
        self.next += 1;
        self.next
    }
}

impl Lives {
    pub(crate) fn new(keep: Keep, tasks: Tasks) -> Lives {
        Lives {
            keep,
            tasks,
            all: Mutex::default(),
        }
    }

    /// The messages of the queue, read from the disk when first asked for.
    pub(crate) async fn of(
        &self,
        id: &str,
        is_fifo: bool,
        delay_ms: i64,
    ) -> Result<Arc<Live>, StoreError> {
        let cell = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            match all.get(id) {
                Some(cell) => cell.clone(),
                None => all.entry(id.to_owned()).or_default().clone(),
            }
        };
        let open = || Live::open(id, is_fifo, delay_ms, &self.keep, &self.tasks);
        cell.get_or_try_init(open).await.cloned()
    }

    /// Those that are open.
    pub(crate) fn open(&self) -> Vec<Arc<Live>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values()
            .filter_map(|cell| cell.get().cloned())
            .collect()
    }

    pub(crate) fn forget(&self, id: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(id);
    }
}

impl Live {
    async fn open(
        id: &str,
        is_fifo: bool,
        delay_ms: i64,
        keep: &Keep,
        tasks: &Tasks,
    ) -> Result<Arc<Live>, StoreError> {
        // A crash ended its deletion half-way: the queue is there still, its messages are not.
        if keep.purged(id).await? == Seq::MAX {
            while keep.clear(id).await? {}
        }
        let next = keep.open(id).await?;
        let purged = keep.purged(id).await?;
        let now_ms = tasks.clock().steady().unix_millis();
        let mut shelf = Shelf::new(is_fifo);
        let mut receipts: HashMap<_, _> = keep
            .receipts(id)
            .await?
            .into_iter()
            .map(|(seq, receipts, at_ms)| (seq, (receipts, at_ms)))
            .collect();
        let mut after = Some(purged);
        loop {
            /// Heads read at once.
            const PAGE: usize = 1_000;
            let page = keep.heads(id, after, PAGE).await?;
            for head in &page {
                // The delay of a FIFO queue is the queue's, whatever it was at the send.
                let at_ms = match is_fifo {
                    true => head.sent_ms.saturating_add(delay_ms),
                    false => head.at_ms,
                };
                match receipts.remove(&head.seq) {
                    Some((receipts, until_ms)) => {
                        shelf.restore(head.seq, &head.group, receipts, until_ms, now_ms);
                    }
                    None => shelf.put(head.seq, &head.group, at_ms, now_ms),
                }
            }
            after = page.last().map(|head| head.seq);
            if page.len() < PAGE {
                break;
            }
        }
        let mut recent = Recent::default();
        let mut knowns = keep.knowns(id).await?;
        knowns.retain(|known| known.seq > purged);
        recent.restore(knowns, now_ms);
        let live = Arc::new(Live {
            id: id.to_owned(),
            is_fifo,
            keep: keep.clone(),
            tasks: tasks.clone(),
            retention_ms: AtomicI64::new(i64::MAX),
            state: Mutex::new(State {
                shelf,
                next,
                recent,
                attempts: HashMap::new(),
                purged,
                purged_ms: None,
                is_gone: false,
            }),
            news: Notify::new(),
            settled: Notify::new(),
        });
        // Receives of messages that were deleted while these were written.
        let orphans = receipts.into_keys().filter(|seq| *seq > purged);
        live.forget_receipts(orphans.collect()).await?;
        Ok(live)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the steady clock, as all times of messages: what hides a message or lets it live lasts as long as it
    /// was said, whatever the wall clock is set to meanwhile.
    pub(crate) fn now_ms(&self) -> i64 {
        self.tasks.clock().steady().unix_millis()
    }

    pub(crate) fn counts(&self) -> Counts {
        let now_ms = self.now_ms();
        self.state().shelf.counts(now_ms)
    }

    /// Another delay of a FIFO queue counts for what is in it already.
    pub(crate) fn shift_delays(&self, by_ms: i64) {
        if self.is_fifo {
            self.state().shelf.shift_delays(by_ms);
            self.news.notify_waiters();
        }
    }

    pub(crate) fn set_retention(&self, ms: i64) {
        self.retention_ms.store(ms, Ordering::Relaxed);
    }

    /// Tells that there may be something to receive.
    pub(crate) fn news(&self) -> &Notify {
        &self.news
    }

    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.state().shelf.next_ms()
    }

    /// Runs a write to its end, whatever becomes of the caller.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (tell, told) = oneshot::channel();
        self.tasks.spawn(name, async move {
            // Nobody may listen any more.
            let _ = tell.send(work.await);
        });
        let stopped = |_| Fault::Store(StoreError::Closed);
        told.await.map_err(stopped)
    }
}

/// Joins writes that belong together each, as many into one transaction as it takes.
pub(crate) fn pack(all: Vec<(usize, Vec<Op>)>) -> Vec<(Vec<usize>, Vec<Op>)> {
    let mut packed: Vec<(Vec<usize>, Vec<Op>)> = Vec::new();
    let mut bytes = 0;
    for (index, ops) in all {
        let size: usize = ops.iter().map(op_bytes).sum();
        match packed.last_mut() {
            Some((indices, last))
                if last.len() + ops.len() <= OPS_MAX && bytes + size <= TXN_BYTES_MAX =>
            {
                bytes += size;
                indices.push(index);
                last.extend(ops);
            }
            _ => {
                bytes = size;
                packed.push((vec![index], ops));
            }
        }
    }
    packed
}

fn op_bytes(op: &Op) -> usize {
    match op {
        Op::Put { value, .. } => value.len(),
        Op::Delete { .. } => 0,
    }
}
