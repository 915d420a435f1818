use std::sync::Arc;

use super::{Live, State};
use crate::fault::Fault;
use crate::keep::Trace;
use crate::message::Message;
use crate::receipt::Receipt;
use crate::shelf::{Counts, Haul, Hold, Pick, Picked, Receipts};

/// [SQS quotas: in-flight messages]
const IN_FLIGHT_MAX: usize = 120_000;
/// How long the id of a receive stands for its answer.  [SQS API: ReceiveRequestAttemptId]
const ATTEMPT_MS: i64 = 5 * 60 * 1_000;
/// Ids of receives kept at once.
const ATTEMPTS_MAX: usize = 10_000;

/// What a receive wants.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) max: usize,
    pub(crate) visibility_ms: i64,
    pub(crate) attempt: Option<String>,
    /// Receives after which a message is dead, if there is a queue for it.
    pub(crate) receives_max: Option<u32>,
    pub(crate) retention_ms: i64,
    /// Waits for messages: a full flight is then an empty answer and no error.
    pub(crate) is_patient: bool,
    /// Outlives a crash: the count, and how long the messages are not seen.
    pub(crate) is_noted: bool,
}

/// The answer of an earlier receive.
pub(super) struct Attempt {
    until_ms: i64,
    picked: Vec<Picked>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) receipt: Receipt,
    pub(crate) count: u32,
    pub(crate) first_ms: i64,
}

/// What one look into the queue gave.
#[derive(Debug, Default)]
pub(crate) struct Catch {
    pub(crate) received: Vec<Received>,
    pub(crate) dead: Vec<Received>,
    /// Messages that were picked and were none any more: look again.
    pub(crate) is_stale: bool,
}

impl Live {
    /// Takes ready messages into flight. Writes nothing: after a crash they are ready again.
    pub(crate) async fn look(self: &Arc<Self>, ask: &Ask) -> Result<Catch, Fault> {
        let now_ms = self.now_ms();
        let haul = self.state().look(ask, now_ms, self.is_fifo)?;
        let mut catch = Catch::default();
        let mut over = Vec::new();
        let picked = haul.received.into_iter().map(|picked| (picked, true));
        for (picked, is_alive) in picked.chain(haul.dead.into_iter().map(|p| (p, false))) {
            let Some(message) = self.keep.read(&self.id, picked.seq).await? else {
                self.state().shelf.remove(picked.seq, "");
                catch.is_stale = true;
                continue;
            };
            if message.sent_ms.saturating_add(ask.retention_ms) <= now_ms {
                over.push(self.trace(picked.seq, message.parts));
                continue;
            }
            let received = self.received(message, picked);
            match is_alive {
                true => catch.received.push(received),
                false => catch.dead.push(received),
            }
        }
        if !over.is_empty() {
            catch.is_stale = true;
            self.erase(over).await?;
        }
        Ok(catch)
    }

    fn received(&self, message: Message, picked: Picked) -> Received {
        let Receipts {
            count,
            first_ms,
            nonce,
            ..
        } = picked.receipts;
        let receipt = Receipt {
            queue: self.id.clone(),
            seq: picked.seq,
            nonce,
            parts: message.parts,
        };
        Received {
            count: message.received.saturating_add(count),
            first_ms: message.first_ms.unwrap_or(first_ms),
            message,
            receipt,
        }
    }

    fn trace(&self, seq: u64, parts: u32) -> Trace {
        let is_saved = self.state().shelf.is_saved(seq);
        Trace {
            seq,
            parts,
            is_saved,
            group: String::new(),
        }
    }
}

impl State {
    fn look(&mut self, ask: &Ask, now_ms: i64, is_fifo: bool) -> Result<Haul, Fault> {
        if self.is_gone {
            return Err(Fault::QueueDoesNotExist);
        }
        let attempt = ask.attempt.as_ref().filter(|_| is_fifo);
        let until_ms = now_ms.saturating_add(ask.visibility_ms);
        if let Some(again) = attempt.and_then(|id| self.again(id, until_ms, now_ms)) {
            return Ok(again);
        }
        let Counts { in_flight, .. } = self.shelf.counts(now_ms);
        let room = IN_FLIGHT_MAX.saturating_sub(in_flight);
        if room == 0 && !ask.is_patient && !is_fifo {
            return Err(Fault::OverLimit(format!(
                "The maximum number of in flight messages is reached: {IN_FLIGHT_MAX}."
            )));
        }
        let pick = Pick {
            now_ms,
            until_ms,
            max: ask.max.min(room),
            receives_max: ask.receives_max,
            is_noted: ask.is_noted,
        };
        let next = &mut self.next;
        let haul = self.shelf.pick(pick, || {
            *next += 1;
            *next
        });
        if let Some(id) = attempt
            && !haul.received.is_empty()
        {
            self.attempts.retain(|_, old| old.until_ms > now_ms);
            if self.attempts.len() < ATTEMPTS_MAX {
                let until_ms = now_ms + ATTEMPT_MS;
                let picked = haul.received.clone();
                let attempt = Attempt { until_ms, picked };
                self.attempts.insert(id.clone(), attempt);
            }
        }
        Ok(haul)
    }

    /// The same messages once more, if nothing happened to any of them.
    fn again(&mut self, id: &str, until_ms: i64, now_ms: i64) -> Option<Haul> {
        let attempt = self.attempts.get(id).filter(|a| a.until_ms > now_ms)?;
        let received = attempt.picked.clone();
        let shelf = &mut self.shelf;
        let mut holds = received.iter();
        let is_held = |hold| matches!(hold, Hold::Held { .. });
        if !holds.all(|p| is_held(shelf.hold_of(p.seq, p.receipts.nonce, now_ms))) {
            self.attempts.remove(id);
            return None;
        }
        for picked in &received {
            shelf.change(picked.seq, until_ms, now_ms);
        }
        Some(Haul {
            received,
            dead: Vec::new(),
        })
    }
}
