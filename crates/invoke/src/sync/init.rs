//! The init phase that failed: once more, as part of the invocation, and what is said of it.

use std::time::Duration;

use model::{Exit, Unfinished};
use sandbox::StartError;

use super::refused;
use super::run::Run;
use crate::errors;
use crate::handle::{Outcome, Refused};
use crate::report::{Event, Figures, Status};
use crate::starter::{Planned, StartFailure};

impl Run<'_> {
    /// The init phase failed before: it is part of the invocation now.  [Lambda guide: failures
    /// during the init phase]
    pub(super) async fn call_with_init(&self, planned: Planned) -> Result<Outcome, Refused> {
        planned.log.telemetry().reopen();
        self.begin(&planned.log);
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
                let spent = clock.monotonic().since(started);
                let left = limit.saturating_sub(spent);
                let answer = self.ask(&mut live, left).await;
                return Ok(self.conclude(live, answer, None, spent).await);
            }
            Err(error) => error,
        };
        let took = clock.monotonic().since(started);
        self.inner.starter.abandon(&planned);
        let id = self.request.request_id.as_str();
        let (payload, status) = match &error {
            StartError::InitFailed { error, .. } => (error.payload.clone(), Status::Error(None)),
            StartError::InitTimedOut { .. } => {
                let end = Unfinished::TimedOut;
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                (errors::body(&end, id, self.timeout()), Status::Timeout)
            }
            StartError::InitExited { exit, .. } => {
                let end = Unfinished::Crashed(*exit);
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                (
                    errors::body(&end, id, self.timeout()),
                    Status::Error(Some(errors::error_type(&end))),
                )
            }
            StartError::ExtensionNotLaunched { name, reason, .. } => {
                let kind = "Extension.LaunchError";
                let text = errors::launch_message(name, reason);
                self.push(
                    &planned.log,
                    Event::Line(format!("RequestId: {id} Error: {text}\n{kind}")),
                );
                (
                    errors::exit_body(kind, id, &text),
                    Status::Error(Some(kind)),
                )
            }
            StartError::BadEntrypoint { reason, .. } => {
                let kind = "Runtime.InvalidEntrypoint";
                let text = serde_json::to_string(reason).unwrap_or_default();
                let text = text.trim_matches('"');
                (errors::exit_body(kind, id, text), Status::Error(Some(kind)))
            }
            StartError::NoCapacity(_) | StartError::Backend(_) | StartError::Unheard => {
                return Err(refused(StartFailure::Sandbox(error)));
            }
        };
        let status = named(status, &error);
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
}

/// What the log says of a failed init phase; nothing if the platform failed.
pub(crate) fn init_failure(error: &StartError) -> Option<(Duration, Status)> {
    let (took, status) = match error {
        StartError::InitFailed { took, .. } => (*took, Status::Error(Some("Runtime.Unknown"))),
        StartError::InitTimedOut { waited } => (*waited, Status::Timeout),
        StartError::InitExited { took, exit } => {
            (*took, Status::Error(Some(errors::exit_type(*exit))))
        }
        StartError::ExtensionNotLaunched { .. } => {
            (Duration::ZERO, Status::Error(Some("Extension.LaunchError")))
        }
        StartError::BadEntrypoint { .. } => (
            Duration::ZERO,
            Status::Error(Some("Runtime.InvalidEntrypoint")),
        ),
        StartError::NoCapacity(_) | StartError::Backend(_) | StartError::Unheard => return None,
    };
    Some((took, named(status, error)))
}

/// A status with the type that the runtime reported for its failed init.
fn named(status: Status, error: &StartError) -> Status {
    match (status, error) {
        (Status::Error(_), StartError::InitFailed { error, .. }) => {
            Status::Error(Some(known_type(error.kind.as_deref())))
        }
        (status, _) => status,
    }
}

/// `Runtime.X` and `Function.X` of the spec's list stay, all else is `Runtime.Unknown`.  [spec 4.8]
fn known_type(kind: Option<&str>) -> &'static str {
    const KNOWN: &[&str] = &[
        "Runtime.ImportModuleError",
        "Runtime.HandlerNotFound",
        "Runtime.MalformedHandlerName",
        "Runtime.UserCodeSyntaxError",
        "Runtime.UnhandledPromiseRejection",
        "Runtime.MarshalError",
        "Runtime.UnmarshalError",
        "Runtime.NodejsExit",
        "Runtime.ExitError",
        "Function.Unknown",
    ];
    kind.and_then(|kind| KNOWN.iter().find(|known| **known == kind))
        .unwrap_or(&"Runtime.Unknown")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_error_types_reach_the_log() {
        assert_eq!(
            known_type(Some("Runtime.ImportModuleError")),
            "Runtime.ImportModuleError"
        );
        assert_eq!(known_type(Some("Runtime.<script>")), "Runtime.Unknown");
        assert_eq!(known_type(None), "Runtime.Unknown");
    }
}
