use std::collections::HashMap;
use std::sync::Arc;

use store::{Op, StoreError};

use super::{Live, State, pack};
use crate::fault::Fault;
use crate::keep::{Keep, Known};
use crate::message::Message;
use crate::recent::{Claim, WINDOW_MS};
use crate::shelf::Seq;

/// Deduplication ids deleted with one write.
const OVER_MAX: usize = 4;

/// A message that wants into the queue.
pub(crate) struct Draft {
    pub(crate) message: Message,
    pub(crate) delay_ms: i64,
    /// What makes a second message the same as this.
    pub(crate) dedup: Option<String>,
    /// Written and deleted with it: the message in the queue that it comes from.
    pub(crate) with: Vec<Op>,
}

/// A message that is in the queue, or one that was taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) seq: Seq,
    pub(crate) id: String,
}

/// What becomes of one message of a batch.
enum Step {
    Write(Seq, Box<Draft>),
    Known(Sent),
    /// The same as an earlier one of the batch.
    Like(usize),
}

impl Live {
    /// Stores messages; each is durable when this returns.
    pub(crate) async fn send(
        self: &Arc<Self>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Result<Sent, StoreError>>, Fault> {
        let steps = self.claim(drafts).await?;
        let live = self.clone();
        self.run("sqs send", async move { live.write(steps).await })
            .await
    }

    /// Gives every message its number, once no other message with the same deduplication id is on
    /// its way.
    async fn claim(&self, drafts: Vec<Draft>) -> Result<Vec<Step>, Fault> {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            // Listening starts before looking, so that nothing falls between.
            settled.as_mut().enable();
            if let Some(claims) = self.try_claim(&drafts)? {
                return Ok(self.number(drafts, claims));
            }
            settled.await;
        }
    }

    /// All claims or none: who held one and waited for another could wait for ever.
    fn try_claim(&self, drafts: &[Draft]) -> Result<Option<Vec<Option<Step>>>, Fault> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        if state.is_gone {
            return Err(Fault::QueueDoesNotExist);
        }
        let mut own: HashMap<&str, usize> = HashMap::new();
        let mut claims = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.iter().enumerate() {
            let Some(key) = draft.dedup.as_deref() else {
                claims.push(None);
                continue;
            };
            if let Some(first) = own.get(key) {
                claims.push(Some(Step::Like(*first)));
                continue;
            }
            match state.recent.claim(key, now_ms) {
                Claim::New => {
                    own.insert(key, index);
                    claims.push(None);
                }
                Claim::Known(Known { seq, id, .. }) => {
                    claims.push(Some(Step::Known(Sent { seq, id })));
                }
                Claim::Pending => {
                    own.into_keys().for_each(|key| state.recent.release(key));
                    return Ok(None);
                }
            }
        }
        Ok(Some(claims))
    }

    fn number(&self, drafts: Vec<Draft>, claims: Vec<Option<Step>>) -> Vec<Step> {
        let mut state = self.state();
        let each = drafts.into_iter().zip(claims);
        each.map(|(draft, claim)| {
            claim.unwrap_or_else(|| {
                let seq = state.next();
                let group = draft.message.group.as_deref().unwrap_or_default();
                state.shelf.begin(seq, group);
                Step::Write(seq, Box::new(draft))
            })
        })
        .collect()
    }

    async fn write(&self, steps: Vec<Step>) -> Vec<Result<Sent, StoreError>> {
        let mut failed: HashMap<usize, StoreError> = HashMap::new();
        let mut writes = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if let Step::Write(seq, draft) = step {
                match self.ops(*seq, draft).await {
                    Ok(ops) => writes.push((index, ops)),
                    Err(error) => drop(failed.insert(index, error)),
                }
            }
        }
        for (indices, ops) in pack(writes) {
            if let Err(error) = self.keep.txn(ops).await {
                failed.extend(indices.into_iter().map(|index| (index, error.clone())));
            }
        }
        let sent = self.settle(steps, &failed);
        self.settled.notify_waiters();
        sent
    }

    async fn ops(&self, seq: Seq, draft: &Draft) -> Result<Vec<Op>, StoreError> {
        let at_ms = draft.message.sent_ms.saturating_add(draft.delay_ms);
        let message = &draft.message;
        let mut ops = self.keep.write_parts(&self.id, seq, at_ms, message).await?;
        if let Some(known) = draft.known(seq) {
            ops.push(Keep::known_op(&self.id, &known));
            let over = self.state().recent.take_over(self.now_ms(), OVER_MAX);
            ops.extend(over.into_iter().map(|seq| Keep::forget_op(&self.id, seq)));
        }
        ops.extend(draft.with.iter().cloned());
        Ok(ops)
    }

    fn settle(
        &self,
        steps: Vec<Step>,
        failed: &HashMap<usize, StoreError>,
    ) -> Vec<Result<Sent, StoreError>> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let mut sent: Vec<Result<Sent, StoreError>> = Vec::with_capacity(steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            let outcome = match (step, failed.get(&index)) {
                (Step::Known(sent), _) => Ok(sent),
                (Step::Like(first), _) => match sent.get(first) {
                    Some(first) => first.clone(),
                    None => Err(StoreError::Closed),
                },
                (Step::Write(seq, draft), Some(error)) => {
                    state.give_up(seq, &draft);
                    Err(error.clone())
                }
                (Step::Write(seq, draft), None) => {
                    state.stored(seq, &draft, now_ms);
                    self.news.notify_one();
                    let id = draft.message.id;
                    Ok(Sent { seq, id })
                }
            };
            sent.push(outcome);
        }
        sent
    }
}

impl Draft {
    fn known(&self, seq: Seq) -> Option<Known> {
        let key = self.dedup.clone()?;
        Some(Known {
            seq,
            until_ms: self.message.sent_ms.saturating_add(WINDOW_MS),
            id: self.message.id.clone(),
            key,
        })
    }

    fn group(&self) -> &str {
        self.message.group.as_deref().unwrap_or_default()
    }
}

impl State {
    fn give_up(&mut self, seq: Seq, draft: &Draft) {
        self.shelf.abandon(seq, draft.group());
        if let Some(key) = &draft.dedup {
            self.recent.release(key);
        }
    }

    fn stored(&mut self, seq: Seq, draft: &Draft, now_ms: i64) {
        if let Some(known) = draft.known(seq) {
            self.recent.settle(known);
        }
        // A purge that came between took it along.
        if seq <= self.purged {
            self.shelf.abandon(seq, draft.group());
            return;
        }
        let at_ms = draft.message.sent_ms.saturating_add(draft.delay_ms);
        self.shelf.put(seq, draft.group(), at_ms, now_ms);
    }
}
