//! What happens between queues and receivers: waiting, dead letters, deduplication.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasks::{Clock, Time};

use crate::attributes;
use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::keep::{Keep, Trace};
use crate::live::{Ask, Draft, Live, Received};
use crate::message::{Message, hex, sequence_number};
use crate::names::QueueRef;

/// Looks of one receive at messages that were none any more.
const STALE_MAX: usize = 100;

pub(crate) const NO_DEDUP: &str = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";

impl Engine {
    /// Gives a message of a FIFO queue its deduplication id. Returns what makes a second message the
    /// same.
    pub(crate) fn deduplicate(
        &self,
        queue: &Queue,
        message: &mut Message,
    ) -> Result<String, Fault> {
        let attribute = |name| queue.attributes.get(name).map(String::as_str);
        if message.dedup.is_none() {
            if attribute("ContentBasedDeduplication") != Some("true") {
                return Err(Fault::InvalidParameterValue(NO_DEDUP.to_owned()));
            }
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &message.body);
            message.dedup = Some(hex(digest.as_ref()));
        }
        let id = message.dedup.as_deref().unwrap_or_default();
        // Neither part can hold a space.
        Ok(match queue.dedup_scope(self.now()) {
            Some("messageGroup") => {
                format!("{} {id}", message.group.as_deref().unwrap_or_default())
            }
            _ => id.to_owned(),
        })
    }

    /// Receives messages, waiting at most `wait` for the first.
    pub(crate) async fn receive(
        &self,
        at: &QueueRef,
        queue: &Queue,
        live: &Arc<Live>,
        ask: Ask,
        wait: Duration,
    ) -> Result<Vec<Received>, Fault> {
        let (clock, waits) = (self.tasks.clock(), &self.waits);
        let start = waits.monotonic();
        let grave = self.grave(queue).await;
        let ask = Ask {
            receives_max: grave.as_ref().map(|grave| grave.receives_max),
            ..ask
        };
        let mut stale = 0;
        loop {
            let mut news = std::pin::pin!(live.news().notified());
            // Listening starts before looking, so that no send falls between.
            news.as_mut().enable();
            let catch = live.look(&ask).await?;
            let is_stale = catch.is_stale || !catch.dead.is_empty();
            if let Some(grave) = &grave {
                self.bury(at, live, grave, catch.dead).await;
            }
            if !catch.received.is_empty() {
                return Ok(catch.received);
            }
            if is_stale && stale < STALE_MAX {
                stale += 1;
                continue;
            }
            let left = wait.saturating_sub(waits.monotonic().since(start));
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let next_ms = live.next_ms().map(|at| at.saturating_sub(live.now_ms()));
            let next = next_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
            tokio::select! {
                () = news => {}
                () = waits.sleep(left) => {}
                () = clock.sleep(next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    }

    /// Where the queue's dead messages go; none if the dead-letter queue is gone.
    async fn grave(&self, queue: &Queue) -> Option<Grave> {
        let redrive = attributes::redrive(&queue.attributes)?;
        let at = QueueRef::from_arn(&redrive.target)?;
        let target = self.queue(&at).await.ok()?;
        Some(Grave {
            live: self.live(&at, &target).await.ok()?,
            target,
            receives_max: redrive.receives_max,
        })
    }

    /// Moves dead messages. What fails stays in its queue for another visibility timeout.
    async fn bury(&self, from: &QueueRef, live: &Arc<Live>, grave: &Grave, dead: Vec<Received>) {
        for one in dead {
            let moved = self.bring(live, &grave.live, &grave.target, one, Some(from.arn()));
            if let Err(error) = moved.await {
                tracing::warn!(%error, queue = from.name, "a dead message stays in its queue");
            }
        }
    }

    /// Moves a message that is in flight to another queue in one transaction. `source`: the queue it
    /// died in.
    pub(crate) async fn bring(
        &self,
        from: &Arc<Live>,
        to: &Arc<Live>,
        target: &Queue,
        one: Received,
        source: Option<String>,
    ) -> Result<(), Fault> {
        let trace = Trace {
            seq: one.receipt.seq,
            parts: one.receipt.parts,
            is_saved: true,
            group: String::new(),
        };
        // The receive that found it dead was none.
        let received = match source {
            Some(_) => one.count.saturating_sub(1),
            None => 0,
        };
        let mut message = Message {
            received,
            first_ms: source.as_ref().map(|_| one.first_ms),
            ..one.message
        };
        if source.is_none() {
            // A message that was moved is a new one.  [SQS guide: dead-letter queue redrive]
            message.id = self.tasks.ids().uuid();
            message.sent_ms = to.now_ms();
        }
        message.source = source;
        let draft = Draft {
            message,
            delay_ms: match target.is_fifo() {
                true => target.millis("DelaySeconds"),
                false => 0,
            },
            dedup: None,
            with: Keep::delete_ops(&from.id, &trace),
        };
        let sent = to.send(vec![draft]).await?;
        sent.into_iter()
            .next()
            .ok_or(Fault::Overtaken)?
            .map_err(Fault::from)?;
        from.drop_places(std::iter::once(&trace));
        Ok(())
    }
}

/// A dead-letter queue.
struct Grave {
    live: Arc<Live>,
    target: Arc<Queue>,
    receives_max: u32,
}

impl Received {
    /// All that SQS tells of a message besides its attributes.
    pub(crate) fn system_attributes(
        &self,
        is_fifo: bool,
        clock: &Clock,
    ) -> BTreeMap<String, String> {
        let message = &self.message;
        let sequence = is_fifo.then(|| sequence_number(self.receipt.seq));
        let shown = |ms| {
            clock
                .shown(Time::from_unix_millis(ms))
                .unix_millis()
                .to_string()
        };
        let pairs = [
            ("SenderId", Some(message.sender.clone())),
            ("SentTimestamp", Some(shown(message.sent_ms))),
            ("ApproximateReceiveCount", Some(self.count.to_string())),
            (
                "ApproximateFirstReceiveTimestamp",
                Some(shown(self.first_ms)),
            ),
            ("SequenceNumber", sequence),
            ("MessageDeduplicationId", message.dedup.clone()),
            ("MessageGroupId", message.group.clone()),
            ("AWSTraceHeader", message.trace.clone()),
            ("DeadLetterQueueSourceArn", message.source.clone()),
        ];
        let told = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        told.collect()
    }
}
