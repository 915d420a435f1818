//! What ends messages: deletion, visibility, purge; and what is written down late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use store::StoreError;

use super::{Live, pack};
use crate::fault::Fault;
use crate::keep::{Head, Keep, OPS_MAX, Trace};
use crate::receipt::Receipt;
use crate::shelf::{Hold, Seq};

/// Time between two purges.  [SQS API: PurgeQueue]
const PURGE_MS: i64 = 60_000;
/// Heads looked at in one search for messages that are too old.
const SWEEP: usize = 1_000;

/// Time from a receive to the end of its visibility, however often it is changed.
/// [SQS API: ChangeMessageVisibility]
const HELD_MS_MAX: i64 = 12 * 3_600 * 1_000;

/// Why a receipt handle is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheld {
    Expired,
    Gone,
    /// All its times together would be too long with so many seconds more.
    TooLong {
        asked_s: i64,
    },
}

impl Live {
    /// Deletes messages; durable when this returns. What is gone already is no fault.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), Unheld>>, Fault> {
        let now_ms = self.now_ms();
        let mut traces = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let seq = receipt.seq;
            let hold = self.state().shelf.hold_of(seq, receipt.nonce, now_ms);
            let (is_there, group) = match hold {
                Hold::Unmarked => match self.unmarked(seq).await? {
                    Some(head) => (true, head.group),
                    None => (false, String::new()),
                },
                _ => (true, String::new()),
            };
            // Another receiver of a FIFO queue must not lose the message.
            if self.is_fifo && is_there && !matches!(hold, Hold::Held { .. }) {
                outcomes.push(Err(Unheld::Expired));
                continue;
            }
            outcomes.push(Ok(()));
            if is_there {
                let trace = Trace {
                    seq,
                    parts: receipt.parts,
                    is_saved: self.state().shelf.is_saved(seq),
                    group,
                };
                traces.insert(seq, trace);
            }
        }
        if !traces.is_empty() {
            self.erase(traces.into_values().collect()).await?;
        }
        Ok(outcomes)
    }

    /// The record of a message that nothing in memory marks; none if it is gone.
    async fn unmarked(&self, seq: Seq) -> Result<Option<Head>, StoreError> {
        if seq <= self.state().purged {
            return Ok(None);
        }
        self.keep.head(&self.id, seq).await
    }

    /// Deletes the records, then the places.
    pub(super) async fn erase(self: &Arc<Self>, traces: Vec<Trace>) -> Result<(), Fault> {
        let live = self.clone();
        let erased = self.run("sqs delete", async move {
            let all = traces.iter().enumerate();
            let ops = all.map(|(index, trace)| (index, Keep::delete_ops(&live.id, trace)));
            for (indices, ops) in pack(ops.collect()) {
                live.keep.txn(ops).await?;
                live.drop_places(indices.iter().filter_map(|i| traces.get(*i)));
            }
            Ok::<(), StoreError>(())
        });
        Ok(erased.await??)
    }

    /// The records of these messages are gone.
    pub(crate) fn drop_places<'t>(&self, traces: impl Iterator<Item = &'t Trace>) {
        let mut state = self.state();
        for trace in traces {
            state.shelf.remove(trace.seq, &trace.group);
            if self.is_fifo {
                // The next of its group may be free.
                self.news.notify_one();
            }
        }
    }

    /// Holds a message for another time, from now on.
    pub(crate) async fn change(
        &self,
        receipt: &Receipt,
        visibility_ms: i64,
    ) -> Result<Result<(), Unheld>, StoreError> {
        let now_ms = self.now_ms();
        let hold = self
            .state()
            .shelf
            .hold_of(receipt.seq, receipt.nonce, now_ms);
        match hold {
            Hold::Unmarked if self.unmarked(receipt.seq).await?.is_none() => {
                return Ok(Err(Unheld::Gone));
            }
            // AWS does not mind, and changes nothing.
            Hold::Unmarked | Hold::Expired => return Ok(Ok(())),
            Hold::Held { .. } => {}
        }
        let until_ms = now_ms.saturating_add(visibility_ms);
        if let Hold::Held { since_ms } = hold
            && until_ms.saturating_sub(since_ms) > HELD_MS_MAX
        {
            let asked_s = visibility_ms / 1_000;
            return Ok(Err(Unheld::TooLong { asked_s }));
        }
        self.state().shelf.change(receipt.seq, until_ms, now_ms);
        // Those who wait know an earlier or later time than this.
        self.news.notify_waiters();
        self.news.notify_one();
        Ok(Ok(()))
    }

    /// Empties the queue; durable when this returns. The records go later.
    pub(crate) async fn purge(self: &Arc<Self>, name: &str) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        let last = {
            let mut state = self.state();
            if state.is_gone {
                return Err(Fault::QueueDoesNotExist);
            }
            if state.purged_ms.is_some_and(|last| now_ms - last < PURGE_MS) {
                return Err(Fault::PurgeQueueInProgress(name.to_owned()));
            }
            state.purged_ms = Some(now_ms);
            state.next()
        };
        let live = self.clone();
        let purged = self.run("sqs purge", async move {
            live.keep.set_purged(&live.id, last).await?;
            let mut state = live.state();
            state.purged = last;
            state.shelf.purge(last);
            state.recent.clear();
            Ok::<(), StoreError>(())
        });
        purged.await??;
        self.clear_later();
        Ok(())
    }

    /// The queue is being deleted: nothing comes in or out any more, and a start finds no message.
    pub(crate) async fn end(&self) -> Result<(), StoreError> {
        self.state().is_gone = true;
        self.news.notify_waiters();
        self.keep.set_purged(&self.id, Seq::MAX).await
    }

    pub(crate) fn clear_later(self: &Arc<Self>) {
        let live = self.clone();
        let stop = self.tasks.stop();
        self.tasks.spawn("sqs clear", async move {
            let mut more = true;
            while more && !stop.is_requested() {
                more = match live.keep.clear(&live.id).await {
                    Ok(more) => more,
                    Err(error) => {
                        // The next start goes on.
                        tracing::warn!(%error, queue = live.id, "purged messages are not cleared");
                        false
                    }
                };
            }
        });
    }

    pub(super) async fn forget_receipts(&self, seqs: Vec<Seq>) -> Result<(), StoreError> {
        for page in seqs.chunks(OPS_MAX) {
            let ops = page
                .iter()
                .map(|seq| Keep::forget_receipts_op(&self.id, *seq));
            self.keep.txn(ops.collect()).await?;
        }
        Ok(())
    }

    /// Writes down receives of messages that were not deleted soon after.
    pub(crate) async fn save_receipts(&self) -> Result<(), StoreError> {
        if !self.state().shelf.has_unsaved() {
            return Ok(());
        }
        loop {
            let due = self.state().shelf.unsaved(OPS_MAX);
            let is_all = due.len() < OPS_MAX;
            let ops = due
                .into_iter()
                .map(|(seq, receipts, at_ms)| Keep::receipts_op(&self.id, seq, receipts, at_ms));
            self.keep.txn(ops.collect()).await?;
            if is_all {
                return Ok(());
            }
        }
    }

    /// Deletes messages that are too old, of those behind `after`. Returns where to go on.
    pub(crate) async fn sweep(self: &Arc<Self>, after: Option<Seq>) -> Result<Option<Seq>, Fault> {
        let now_ms = self.now_ms();
        let retention_ms = self.retention_ms.load(Ordering::Relaxed);
        let heads = self.keep.heads(&self.id, after, SWEEP).await?;
        let is_old = |sent_ms: i64| sent_ms.saturating_add(retention_ms) <= now_ms;
        let old = heads.iter().filter(|head| is_old(head.sent_ms));
        let traces: Vec<Trace> = old
            .map(|head| Trace {
                seq: head.seq,
                parts: head.parts,
                is_saved: self.state().shelf.is_saved(head.seq),
                group: head.group.clone(),
            })
            .collect();
        if !traces.is_empty() {
            self.erase(traces).await?;
        }
        let last = heads.last().map(|head| head.seq);
        Ok(last.filter(|_| heads.len() == SWEEP))
    }
}
