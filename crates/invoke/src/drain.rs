//! Asynchronous invocation, the running half: takes accepted events and brings each to its end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Leased, StoreError};
use tasks::{Progress, WorkError, Worker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::destination::{self, Condition};
use crate::event::{EventQueue, Stored, queue_id};
use crate::retry::{Policy, Verdict, verdict};
use crate::{Invoke, Outcome, Refused, Request};

/// Events that run at once.
const RUNNING_MAX: usize = 256;
/// Events taken at once.
const TAKE_MAX: usize = 16;
/// How long one look at the queue waits.
const TAKE_WAIT: Duration = Duration::from_secs(30);
/// An event that runs is held so long; after a crash it comes back then.
const LEASE: Duration = Duration::from_secs(30);
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(10);

struct Drain {
    invoke: Invoke,
    events: EventQueue,
    room: Arc<Semaphore>,
    taken: Vec<(Leased, OwnedSemaphorePermit)>,
    failed: Option<StoreError>,
}

impl Invoke {
    /// The worker that runs what `events` accepted.
    pub fn drain(&self, events: EventQueue) -> impl Worker + use<> {
        Drain {
            invoke: self.clone(),
            events,
            room: Arc::new(Semaphore::new(RUNNING_MAX)),
            taken: Vec::new(),
            failed: None,
        }
    }
}

#[async_trait]
impl Worker for Drain {
    fn name(&self) -> String {
        "asynchronous events".to_owned()
    }

    async fn wait(&mut self) {
        // The semaphore is never closed.
        let Ok(first) = self.room.clone().acquire_owned().await else {
            return;
        };
        let mut permits = vec![first];
        while permits.len() < TAKE_MAX {
            match self.room.clone().try_acquire_owned() {
                Ok(permit) => permits.push(permit),
                Err(_) => break,
            }
        }
        // Dropped in here, a taken event comes back when its lease ends.
        match self
            .events
            .queue
            .take(&queue_id(), permits.len(), TAKE_WAIT)
            .await
        {
            Ok(events) => self.taken = events.into_iter().zip(permits).collect(),
            Err(error) => self.failed = Some(error),
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        for (event, permit) in self.taken.drain(..) {
            let (invoke, events) = (self.invoke.clone(), self.events.clone());
            self.invoke.0.tasks.spawn("asynchronous event", async move {
                if let Err(error) = handle(&invoke, &events, &event).await {
                    // The lease ends and the event comes back.
                    tracing::warn!(message = %event.id.0, %error, "event not brought to its end");
                }
                drop(permit);
            });
        }
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(Progress::More),
        }
    }
}

/// One attempt, and what follows from it.
async fn handle(invoke: &Invoke, events: &EventQueue, event: &Leased) -> Result<(), StoreError> {
    let mut stored = match Stored::decode(&event.body) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::error!(message = %event.id.0, %error, "event dropped");
            return events.queue.ack(&event.token).await;
        }
    };
    let request = stored.request()?;
    let function = request.function.clone();
    let end = attempt(invoke, events, event, request).await?;
    let attached = invoke.0.functions.attached(&function);
    let config = attached.as_ref().and_then(|a| a.event_invoke.as_ref());
    let now = events.clock.now();
    let request = &stored.request;
    if is_cut_off(invoke, &end) {
        tracing::debug!(%request, "event left for the next start");
        return events.queue.retry(&event.token, now).await;
    }
    let policy = Policy::of(config);
    let verdict = verdict(&end, stored.failures, stored.accepted(), now, policy);
    let condition = match &verdict {
        Verdict::Done => Some(Condition::Success),
        Verdict::GiveUp(reason) => Some(Condition::Failure(reason)),
        Verdict::Later(_) | Verdict::Again(_) => None,
    };
    let destination = config
        .zip(condition)
        .and_then(|(config, condition)| condition.destination(config));
    if let (Some(arn), Some(condition)) = (destination, condition) {
        let record = destination::record(&stored, &function, condition, &end, now);
        // Before the event is let go: a crash in between tells it twice and never not at all.
        tell(invoke, events, &stored, arn, record).await?;
    }
    match verdict {
        Verdict::Done => events.queue.ack(&event.token).await,
        Verdict::Later(at) => events.queue.retry(&event.token, at).await,
        Verdict::Again(at) => {
            tracing::debug!(%request, failures = stored.failures + 1, "function failed, asked again");
            stored.failures += 1;
            // First the new one: a crash in between repeats an attempt and loses none.
            events
                .queue
                .put(&queue_id(), stored.encode()?, at, None)
                .await?;
            events.queue.ack(&event.token).await
        }
        Verdict::GiveUp(reason) => {
            tracing::warn!(%request, reason, "event given up");
            events.queue.ack(&event.token).await
        }
    }
}

/// Hands a record to its destination, durably.
async fn tell(
    invoke: &Invoke,
    events: &EventQueue,
    stored: &Stored,
    arn: &str,
    record: Vec<u8>,
) -> Result<(), StoreError> {
    let id = invoke.0.tasks.ids().uuid().parse().ok();
    match id.and_then(|id| destination::call_of(arn, record, id)) {
        Some(call) => {
            let once = format!("destination {arn} of {}", stored.request);
            events.accept_once(&call, Some(&once)).await
        }
        None => {
            let request = &stored.request;
            tracing::error!(%request, arn, "Kiln cannot deliver to this destination yet");
            Ok(())
        }
    }
}

/// Whether the call may have failed because the server goes down and took its environment along: that
/// is not held against the function.
fn is_cut_off(invoke: &Invoke, end: &Result<Outcome, Refused>) -> bool {
    let is_failure = !matches!(end, Ok(outcome) if outcome.function_error.is_none());
    is_failure && invoke.0.tasks.stop().is_requested()
}

/// Runs the function while the lease is renewed.
async fn attempt(
    invoke: &Invoke,
    events: &EventQueue,
    event: &Leased,
    request: Request,
) -> Result<Result<Outcome, Refused>, StoreError> {
    let mut run = std::pin::pin!(invoke.request_response(request));
    loop {
        tokio::select! {
            biased;
            end = &mut run => return Ok(end),
            () = events.clock.sleep(RENEW) => {
                let until = events.clock.now() + LEASE;
                if let Err(error) = events.queue.extend(&event.token, until).await {
                    // The call cannot be taken back. At worst it is made twice, which is allowed.
                    tracing::warn!(message = %event.id.0, %error, "lease not renewed");
                }
            }
        }
    }
}
