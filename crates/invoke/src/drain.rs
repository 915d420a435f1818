//! Asynchronous invocation, the running half: takes accepted events and brings each to its end.

use std::sync::Arc;

use async_trait::async_trait;
use functions::EventInvoke;
use model::FunctionRef;
use model::ports::{Outbox, Posting};
use store::{Handler, LanesConfig, Leased, Next, StoreError};
use tasks::{Time, Worker};

use crate::admission::Throttle;
use crate::destination::{self, Condition, Told};
use crate::event::{EventQueue, Stored};
use crate::gates::Gates;
use crate::retry::{Policy, Verdict, verdict};
use crate::{Invoke, Outcome, Refused, Request};

/// Events that run at once; one function alone gets half of them.
const RUNNING_MAX: usize = 256;
/// Bytes of those.
const RUNNING_BYTES_MAX: usize = 128 << 20;

struct Attempts {
    invoke: Invoke,
    events: EventQueue,
    outbox: Arc<dyn Outbox>,
    gates: Gates,
}

impl Invoke {
    /// The worker that runs what `events` accepted; destinations hear through `outbox`.
    pub fn drain(&self, events: &EventQueue, outbox: Arc<dyn Outbox>) -> impl Worker + use<> {
        let attempts = Attempts {
            invoke: self.clone(),
            events: events.clone(),
            outbox,
            gates: Gates::default(),
        };
        let config = LanesConfig {
            handled_max: RUNNING_MAX,
            bytes_max: RUNNING_BYTES_MAX,
        };
        events.lanes.drain(Arc::new(attempts), config)
    }
}

#[async_trait]
impl Handler for Attempts {
    async fn handle(&self, message: &Leased) -> Result<Next, StoreError> {
        let read = Stored::decode(&message.body).and_then(|stored| {
            let request = stored.request()?;
            Ok((stored, request))
        });
        let (stored, request) = match read {
            Ok(read) => read,
            // Another version may read it.
            Err(error) => {
                let why = error.to_string();
                return Ok(Next::Aside { why });
            }
        };
        let function = request.function.clone();
        let end = match self.is_too_old(&stored, &function) {
            // It waited until nobody wants it any more: for its turn, or for a server that was away.
            true => Err(Refused::Throttled {
                reason: Throttle::Rate.reason(),
            }),
            false => self.attempt(&stored, request).await,
        };
        let now = self.events.now();
        if self.is_cut_off(&end) {
            tracing::debug!(request = stored.request, "event left for the next start");
            return Ok(Next::At(now));
        }
        self.follow(stored, &function, &end, now).await
    }
}

impl Attempts {
    /// [Lambda API: MaximumEventAgeInSeconds]
    fn is_too_old(&self, stored: &Stored, function: &FunctionRef) -> bool {
        let attached = self.invoke.0.functions.attached(function);
        let config = attached.as_ref().and_then(|a| a.event_invoke.as_ref());
        let age = self.events.now().since(stored.accepted());
        let is_too_old = age >= Policy::of(config).age_max;
        if is_too_old {
            self.count_age(stored, &function.unqualified_arn());
        }
        is_too_old
    }

    fn count_age(&self, stored: &Stored, function: &str) {
        let age = self.events.now().since(stored.accepted());
        self.events.counters.count(function, |counts| {
            counts.age = age;
            counts.age_max = counts.age_max.max(age);
        });
    }

    /// Runs the function, unless it is switched off.
    async fn attempt(&self, stored: &Stored, request: Request) -> Result<Outcome, Refused> {
        let function = &request.function;
        let call = self.invoke.0.functions.resolve_call(function);
        let most = match call.ok().and_then(|call| call.reserved) {
            Some(0) => return Err(Refused::SwitchedOff),
            Some(reserved) => (reserved as usize).min(RUNNING_MAX),
            None => RUNNING_MAX,
        };
        let arn = function.unqualified_arn();
        let inner = &self.invoke.0;
        let is_starting = || inner.starts.available_permits() < inner.config.starts_max;
        let clock = inner.tasks.clock();
        let _turn = self.gates.turn(&arn, most, clock, is_starting).await;
        self.count_age(stored, &arn);
        inner.courtesy.turn().await;
        self.invoke.run(request).await
    }

    /// Whether the call may have failed because the server goes down and took its environment along:
    /// that is not held against the function.
    fn is_cut_off(&self, end: &Result<Outcome, Refused>) -> bool {
        let is_failure = !matches!(end, Ok(outcome) if outcome.function_error.is_none());
        is_failure && self.invoke.0.tasks.stop().is_requested()
    }

    /// What becomes of an event after an attempt.
    async fn follow(
        &self,
        mut stored: Stored,
        function: &FunctionRef,
        end: &Result<Outcome, Refused>,
        now: Time,
    ) -> Result<Next, StoreError> {
        let attached = self.invoke.0.functions.attached(function);
        let config = attached.as_ref().and_then(|a| a.event_invoke.as_ref());
        let policy = Policy::of(config);
        let request = &stored.request;
        let verdict = verdict(end, stored.failures, stored.accepted(), now, policy);
        self.write_down(&stored, function, end, &verdict);
        match verdict {
            Verdict::Done => {
                self.tell(&stored, function, config, Condition::Success, end, now)
                    .await?;
                Ok(Next::Done)
            }
            Verdict::Later(at) => Ok(Next::At(at)),
            Verdict::Again(at) => {
                stored.failures += 1;
                let (request, failures) = (&stored.request, stored.failures);
                tracing::debug!(request, failures, "function failed, asked again");
                let body = stored.encode()?;
                Ok(Next::Changed { body, at })
            }
            Verdict::GiveUp(reason) => {
                let arn = function.unqualified_arn();
                tracing::warn!(request, function = arn, reason, "event given up");
                self.events.counters.count(&arn, |counts| {
                    counts.dropped += 1;
                    if matches!(end, Err(Refused::Recursive)) {
                        counts.recursive_dropped += 1;
                    }
                });
                let condition = Condition::Failure(reason);
                self.tell(&stored, function, config, condition, end, now)
                    .await?;
                Ok(Next::Done)
            }
        }
    }

    fn write_down(
        &self,
        stored: &Stored,
        function: &FunctionRef,
        end: &Result<Outcome, Refused>,
        verdict: &Verdict,
    ) {
        let to = function.to_string();
        let subject = stored.subject(&to);
        let outcome = match end {
            Ok(outcome) => outcome.function_error.unwrap_or("Success").to_owned(),
            Err(refused) => refused.to_string(),
        };
        let next = match verdict {
            Verdict::Later(at) | Verdict::Again(at) => Some(*at),
            Verdict::Done | Verdict::GiveUp(_) => None,
        };
        let journal = &self.events.journal;
        journal.attempted(&subject, outcome, next);
        match verdict {
            Verdict::Done => journal.ended(&subject, "Success"),
            Verdict::GiveUp(reason) => journal.ended(&subject, reason),
            Verdict::Later(_) | Verdict::Again(_) => {}
        }
    }

    /// Hands to the outbox what destination and dead-letter queue shall hear. It comes before the event is
    /// let go, and a repetition is known by its id: a crash in between tells it twice at worst.
    async fn tell(
        &self,
        stored: &Stored,
        function: &FunctionRef,
        config: Option<&EventInvoke>,
        condition: Condition,
        end: &Result<Outcome, Refused>,
        now: Time,
    ) -> Result<(), StoreError> {
        let latest = self
            .invoke
            .0
            .functions
            .resolve(&function.with_qualifier(None));
        let latest = latest.ok().map(|deployed| deployed.config.clone());
        let told = Told {
            stored,
            function,
            condition,
            end,
            now,
            role: latest.as_ref().map(|config| config.role.to_string()),
        };
        let mut postings = Vec::new();
        if let Some(arn) = config.and_then(|config| condition.destination(config)) {
            self.add(&mut postings, &told, told.record(arn), arn, false);
        }
        // Versions have the dead-letter queue of `$LATEST`.  [Lambda guide: dead-letter queues]
        let dead_letter = latest.as_ref().and_then(|c| c.dead_letter.as_deref());
        if let (Some(arn), Condition::Failure(_)) = (dead_letter, condition) {
            self.add(&mut postings, &told, told.dead_letter(arn), arn, true);
        }
        if postings.is_empty() {
            return Ok(());
        }
        let posted = self.outbox.post(postings).await;
        posted.map_err(|error| StoreError::Io(error.to_string().into()))
    }

    /// What can never be posted is counted here; what can, by who delivers.
    fn add(
        &self,
        postings: &mut Vec<Posting>,
        told: &Told<'_>,
        posting: Result<Posting, destination::Unsendable>,
        arn: &str,
        is_dead_letter: bool,
    ) {
        match posting {
            Ok(posting) => postings.push(posting),
            Err(error) => {
                let request = &told.stored.request;
                tracing::warn!(request, to = arn, %error, "not delivered");
                let function = told.function.unqualified_arn();
                self.events.undelivered(&function, is_dead_letter);
            }
        }
    }
}
