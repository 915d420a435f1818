//! The init phase that failed: once more, as part of the invocation, and what is said of it.

use std::time::Duration;

use model::{Exit, FunctionError, Unfinished};
use sandbox::StartError;

use super::refused;
use super::run::Run;
use crate::errors;
use crate::handle::{Outcome, Refused};
use crate::output::EnvironmentLog;
use crate::report::{ErrorType, Event, Figures, Status};
use crate::starter::{Planned, StartFailure};

impl Run<'_> {
    /// The init phase failed before: it is part of the invocation now.  [Lambda guide: failures
    /// during the init phase]
    pub(super) async fn call_with_init(&self, planned: Planned) -> Result<Outcome, Refused> {
        planned.log.telemetry().reopen();
        let clock = self.inner.tasks.clock();
        let started = clock.monotonic();
        let limit = self.timeout().duration();
        let Ok(_permit) = self.inner.starts.acquire().await else {
            let detail = "the server is going down".to_owned();
            return Err(Refused::Internal { detail });
        };
        let seat = self.pool.seat();
        let error = match self.inner.starter.start(&planned, limit, seat).await {
            Ok(mut live) => {
                drop(_permit);
                self.pool.watch_log(&live.log);
                live.init = None;
                live.tenant.clone_from(&self.request.tenant);
                let took = clock.monotonic().since(started);
                self.init_over(&live.log, "invoke", (took, Status::Success));
                self.begin(&live.log);
                let spent = clock.monotonic().since(started);
                let left = limit.saturating_sub(spent);
                let answer = self.ask(&mut live, left).await;
                return Ok(self.conclude(live, answer, None, spent).await);
            }
            Err(error) => error,
        };
        let took = clock.monotonic().since(started);
        let Some(report) = init_failure(&error) else {
            self.inner.starter.abandon(&planned);
            return Err(refused(StartFailure::Sandbox(error)));
        };
        self.init_over(&planned.log, "invoke", report);
        self.begin(&planned.log);
        self.inner.starter.abandon(&planned);
        let id = self.request.request_id.as_str();
        let (payload, status) = match &error {
            StartError::InitFailed { error, .. } => (error.payload.clone(), reported(error)),
            StartError::InitTimedOut { .. } => {
                let end = Unfinished::TimedOut;
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                (errors::body(&end, id, self.timeout()), Status::Timeout)
            }
            StartError::InitExited { exit, .. } => {
                let end = Unfinished::Crashed(*exit);
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                let status = Status::error(errors::error_type(&end));
                (errors::body(&end, id, self.timeout()), status)
            }
            not_launched => {
                let Some((kind, text)) = errors::not_launched(not_launched) else {
                    return Err(refused(StartFailure::Sandbox(error)));
                };
                let line = format!("RequestId: {id} Error: {text}\n{kind}");
                self.push(&planned.log, Event::Line(line));
                (errors::exit_body(kind, id, &text), Status::error(kind))
            }
        };
        let figures = Figures {
            duration: took.min(limit),
            init: None,
            restore: None,
            memory_max_mib: memory_used(&error, self.lines.memory_mib),
            status,
        };
        let log_tail = self.finish(&planned.log, &figures, [None; 3]);
        Ok(self.outcome(payload, Some("Unhandled"), log_tail))
    }

    /// Tells the end of an init phase. Of the one within an invocation (`invoke`) it is told before the invocation
    /// begins.  [observed]
    pub(super) fn init_over(
        &self,
        log: &EnvironmentLog,
        phase: &'static str,
        init: (Duration, Status),
    ) {
        let (took, status) = init;
        self.push(log, Event::InitRuntimeDone(status));
        self.push(
            log,
            Event::InitReport {
                took,
                phase,
                status,
            },
        );
    }
}

/// What the log says of a failed init phase; nothing if the platform failed.
pub(crate) fn init_failure(error: &StartError) -> Option<(Duration, Status)> {
    let (took, status) = match error {
        StartError::InitFailed { took, error } => (*took, reported(error)),
        StartError::InitTimedOut { waited } => (*waited, Status::Timeout),
        StartError::InitExited { took, exit } => (*took, Status::error(errors::exit_type(*exit))),
        other => {
            let (kind, _) = errors::not_launched(other)?;
            (Duration::ZERO, Status::error(kind))
        }
    };
    Some((took, status))
}

/// What the runtime reported of its failed init.
fn reported(error: &FunctionError) -> Status {
    Status::Error(Some(ErrorType::reported(error.kind.as_deref())))
}

fn memory_used(error: &StartError, memory_mib: u32) -> u32 {
    match error {
        StartError::InitExited {
            exit: Exit::OutOfMemory,
            ..
        } => memory_mib,
        _ => 0,
    }
}
