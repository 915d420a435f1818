//! What ends messages: deletion, visibility, purge; and what is written down late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use store::StoreError;

use super::{Live, pack};
use crate::fault::Fault;
use crate::keep::{Keep, OPS_MAX, Trace};
use crate::receipt::Receipt;
use crate::shelf::{Hold, Seq};

/// Time between two purges.  [SQS API: PurgeQueue]
const PURGE_MS: i64 = 60_000;
/// Heads looked at in one search for messages that are too old.
const SWEEP: usize = 1_000;

/// Why a receipt handle is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheld {
    Expired,
    Gone,
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
            let mut state = self.state();
            let hold = state.shelf.hold_of(receipt.seq, receipt.nonce, now_ms);
            // Another receiver of a FIFO queue must not lose the message.
            if self.is_fifo && hold == Hold::Expired {
                outcomes.push(Err(Unheld::Expired));
                continue;
            }
            outcomes.push(Ok(()));
            if hold != Hold::Gone {
                let trace = Trace {
                    seq: receipt.seq,
                    parts: receipt.parts,
                    is_saved: state.shelf.is_saved(receipt.seq),
                };
                traces.insert(receipt.seq, trace);
            }
        }
        if !traces.is_empty() {
            self.erase(traces.into_values().collect()).await?;
        }
        Ok(outcomes)
    }

    /// Deletes the records, then the places.
    pub(super) async fn erase(self: &Arc<Self>, traces: Vec<Trace>) -> Result<(), Fault> {
        let live = self.clone();
        let erased = self.run("sqs delete", async move {
            let all = traces.iter().enumerate();
            let ops = all.map(|(index, trace)| (index, Keep::delete_ops(&live.id, *trace)));
            for (indices, ops) in pack(ops.collect()) {
                live.keep.txn(ops).await?;
                let seqs = indices.iter().filter_map(|i| traces.get(*i)).map(|t| t.seq);
                live.drop_places(seqs);
            }
            Ok::<(), StoreError>(())
        });
        Ok(erased.await??)
    }

    /// The records of these messages are gone.
    pub(crate) fn drop_places(&self, seqs: impl Iterator<Item = Seq>) {
        let mut state = self.state();
        for seq in seqs {
            state.shelf.remove(seq);
            if self.is_fifo {
                // The next of its group may be free.
                self.news.notify_one();
            }
        }
    }

    /// Holds a message for another time, from now on.
    pub(crate) fn change(&self, receipt: &Receipt, visibility_ms: i64) -> Result<(), Unheld> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        match state.shelf.hold_of(receipt.seq, receipt.nonce, now_ms) {
            Hold::Gone => Err(Unheld::Gone),
            // AWS does not mind, and changes nothing.
            Hold::Expired => Ok(()),
            Hold::Held => {
                let until_ms = now_ms.saturating_add(visibility_ms);
                state.shelf.change(receipt.seq, until_ms, now_ms);
                drop(state);
                // Those who wait know an earlier or later time than this.
                self.news.notify_waiters();
                self.news.notify_one();
                Ok(())
            }
        }
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

    /// The queue is deleted: nothing comes in or out any more.
    pub(crate) async fn end(self: &Arc<Self>) -> Result<(), Fault> {
        self.keep.set_purged(&self.id, Seq::MAX).await?;
        Ok(())
    }

    pub(crate) fn close(self: &Arc<Self>) {
        self.state().is_gone = true;
        self.news.notify_waiters();
        self.clear_later();
    }

    fn clear_later(self: &Arc<Self>) {
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
            })
            .collect();
        if !traces.is_empty() {
            self.erase(traces).await?;
        }
        let last = heads.last().map(|head| head.seq);
        Ok(last.filter(|_| heads.len() == SWEEP))
    }
}
