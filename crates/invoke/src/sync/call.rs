//! The usual call: ask, report, and give the environment back or end it.

use std::time::Duration;

use model::{Concluded, Exit, Unfinished};
use sandbox::{Answer, StopReason};

use super::run::{Run, tell};
use crate::errors;
use crate::handle::Outcome;
use crate::pool::Live;
use crate::report::{Event, Figures, Span, Spans, Status, response_spans};

impl Run<'_> {
    /// The usual call: the environment waits for an event.
    pub(super) async fn call(&self, mut live: Live) -> Outcome {
        let init = live.init.take();
        let timeout = self.timeout().duration();
        self.begin(&live.log);
        let answer = self.ask(&mut live, timeout).await;
        self.conclude(live, answer, init, Duration::ZERO).await
    }

    /// Has the environment answer, in pieces if that is wanted.
    pub(super) async fn ask(&self, live: &mut Live, limit: Duration) -> Answer {
        let lineage = self.lineage();
        let call = self.event(limit, &lineage);
        live.keys.issued.begin(&call.trace);
        match &self.to {
            None => live.environment.invoke(call, limit).await,
            Some(to) => live.environment.stream(call, limit, to.clone()).await,
        }
    }

    /// Reports, and gives the environment back or ends it.
    pub(super) async fn conclude(
        &self,
        mut live: Live,
        answer: Answer,
        init: Option<Duration>,
        spent: Duration,
    ) -> Outcome {
        let memory_mib = self.lines.memory_mib;
        let begun = self.now().before(answer.duration);
        let spans = response_spans(begun, answer.latency, answer.duration);
        let mut figures = Figures {
            duration: answer.duration + spent,
            init,
            restore: live.restore.take(),
            memory_max_mib: answer.memory_max_mib.unwrap_or_default().min(memory_mib),
            status: Status::Success,
        };
        let (payload, error) = match answer.ending {
            Ok(Concluded::Success(payload)) => (payload, None),
            Ok(Concluded::Error(error)) => {
                figures.status = Status::Error(None);
                (error.payload, Some("Unhandled"))
            }
            Err(end) => {
                let id = self.request.request_id.as_str();
                let body = errors::body(&end, id, self.timeout());
                if end.is_timeout() {
                    figures.duration = self.timeout().duration();
                    figures.status = Status::Timeout;
                } else {
                    figures.status = Status::error(errors::error_type(&end));
                }
                if end == Unfinished::Crashed(Exit::OutOfMemory) {
                    figures.memory_max_mib = memory_mib;
                }
                if end == Unfinished::Crashed(Exit::Lost) {
                    tracing::error!(request = id, "a sandbox has ended by itself");
                }
                self.push(&live.log, Event::Line(self.failure_line(&end)));
                self.runtime_done(&live.log, &figures, 0, spans);
                let log_tail = self.finish(&live.log, &figures, [None; 3]);
                if matches!(end, Unfinished::ResponseTooLarge(_)) {
                    self.give_back(live);
                } else if end.is_timeout() {
                    self.discard_for(live, StopReason::Timeout);
                } else {
                    self.discard(live);
                }
                return self.outcome(body, Some("Unhandled"), log_tail);
            }
        };
        let mut outcome = self.outcome(payload, error, None);
        let phase = if live.environment.has_extensions() {
            self.end_of_phase(&mut live, &mut figures, &outcome, spans)
                .await
        } else {
            self.runtime_done(&live.log, &figures, outcome.payload.len(), spans);
            (Ok(()), [None; 3])
        };
        let (phase, overhead) = phase;
        outcome.log_tail = self.finish(&live.log, &figures, overhead);
        match phase {
            Ok(()) => self.give_back(live),
            Err(reason) => self.discard_for(live, reason),
        }
        outcome
    }

    /// Waits until the runtime and all extensions are done, at most until the function's time is
    /// over; the caller has its answer meanwhile, unless it wants the report too.
    async fn end_of_phase(
        &self,
        live: &mut Live,
        figures: &mut Figures,
        outcome: &Outcome,
        mut spans: Spans,
    ) -> (Result<(), StopReason>, Spans) {
        let clock = self.inner.tasks.clock();
        let begin = clock.monotonic();
        let before = figures.duration;
        let (answered, mut runtime_idle) = (self.now(), None);
        if !self.request.want_log {
            tell(&self.early, outcome);
        }
        let limit = self.timeout().duration().saturating_sub(before);
        let produced = outcome.payload.len();
        let settled = clock
            .timeout(limit, async {
                live.environment.runtime_ready().await?;
                let took = clock.monotonic().since(begin);
                figures.duration = before + took;
                let (start, name) = (answered, "runtimeOverhead");
                if let [Some(_), _, overhead] = &mut spans {
                    *overhead = Some(Span { name, start, took });
                }
                self.runtime_done(&live.log, figures, produced, spans);
                runtime_idle = Some((self.now(), clock.monotonic()));
                live.environment.ready().await
            })
            .await;
        let overhead = runtime_idle.map(|(start, since)| Span {
            name: "extensionOverhead",
            start,
            took: clock.monotonic().since(since),
        });
        figures.duration = (before + clock.monotonic().since(begin)).min(self.timeout().duration());
        let phase = match settled {
            Ok(Ok(())) => Ok(()),
            Ok(Err(exit)) => {
                let end = Unfinished::Crashed(exit);
                figures.status = Status::error(errors::error_type(&end));
                self.push(&live.log, Event::Line(self.failure_line(&end)));
                Err(StopReason::Failure)
            }
            Err(_) => {
                figures.status = Status::Timeout;
                self.push(
                    &live.log,
                    Event::Line(self.failure_line(&Unfinished::TimedOut)),
                );
                Err(StopReason::Timeout)
            }
        };
        (phase, [overhead, None, None])
    }
}
