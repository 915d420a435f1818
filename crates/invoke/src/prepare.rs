//! SnapStart: runs the init phase of a version before the version is active.
//! [Lambda guide: SnapStart]

use std::sync::Arc;

use async_trait::async_trait;
use functions::{Deployed, Failure, Optimization, Unprepared};
use model::Exit;
use sandbox::{InitReport, StartError};
use tasks::{Progress, WorkError, Worker};

use crate::Invoke;
use crate::errors;
use crate::pool::Purpose;
use crate::snapshots::{Found, init_limit};
use crate::starter::StartFailure;
use crate::sync::{init_events, lines, runtime_version, tell_init};

/// Takes versions from their line. Several are prepared at a time, as many as may start at once.
pub(crate) struct Preparer {
    invoke: Invoke,
    line: Unprepared,
    next: Option<Arc<Deployed>>,
}

impl Preparer {
    pub(crate) fn new(invoke: Invoke, line: Unprepared) -> Preparer {
        Preparer {
            invoke,
            line,
            next: None,
        }
    }
}

#[async_trait]
impl Worker for Preparer {
    fn name(&self) -> String {
        "prepare versions with SnapStart".to_owned()
    }

    async fn wait(&mut self) {
        if self.next.is_none() {
            self.next = self.line.next().await;
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let Some(version) = self.next.take() else {
            return Ok(Progress::Done);
        };
        let invoke = self.invoke.clone();
        let tasks = &self.invoke.0.tasks;
        tasks.spawn("prepare a version", async move {
            invoke.prepare(version).await;
        });
        Ok(Progress::More)
    }
}

impl Invoke {
    async fn prepare(&self, version: Arc<Deployed>) {
        let inner = &self.0;
        let Ok(_permit) = inner.starts.acquire().await else {
            return;
        };
        let outcome = self.try_init(&version).await;
        // What the end of the server broke off is done again by the next one.
        if inner.is_shut() {
            return;
        }
        let outcome = outcome.map(|is_kept| match is_kept {
            true => Optimization::On,
            false => Optimization::Off,
        });
        if let Err(failure) = &outcome {
            tracing::info!(%version, code = failure.code, "init of a version failed");
        }
        if let Err(error) = inner.functions.prepared(&version, outcome).await {
            tracing::warn!(%version, %error, "a version stays pending until the next start");
        }
    }

    /// Whether there is a snapshot then.
    async fn try_init(&self, version: &Arc<Deployed>) -> Result<bool, Failure> {
        let starter = &self.0.starter;
        let pool = self.0.new_pool(version, Purpose::OnDemand);
        let planned = starter.plan(version, pool.purpose, None).await;
        let planned = planned.map_err(|e| unplanned(&e))?;
        let tell = |report: InitReport| {
            let lines = lines(version, &version.function, pool.purpose);
            let runtime = runtime_version(version, &version.function.region);
            let now = self.0.tasks.clock().now();
            tell_init(&planned.log, &lines, now, init_events(runtime, report));
        };
        match starter.snapshot(&planned).await {
            Some(Ok(Found::Snapshot { made, .. })) => {
                made.into_iter().for_each(tell);
                return Ok(true);
            }
            Some(Ok(Found::Nothing { made: Some(report) })) => {
                tell(report);
                return Ok(false);
            }
            Some(Ok(Found::Nothing { made: None })) | None => {}
            Some(Err(error)) => {
                starter.abandon(&planned);
                return Err(failed(&error));
            }
        }
        let limit = init_limit(version);
        match starter.start(&planned, limit, pool.seat()).await {
            Ok(live) => {
                tell(*live.environment.init());
                starter.stop(live);
                Ok(false)
            }
            Err(error) => {
                starter.abandon(&planned);
                Err(failed(&error))
            }
        }
    }
}

fn failure(code: &str, reason: impl Into<String>) -> Failure {
    Failure {
        code: code.to_owned(),
        reason: reason.into(),
    }
}

fn unplanned(why: &StartFailure) -> Failure {
    match why {
        StartFailure::MissingRuntime(missing) => failure("InvalidRuntime", missing.message.clone()),
        StartFailure::Unusable(reason) => failure("InvalidConfiguration", reason.clone()),
        StartFailure::Sandbox(error) => failed(error),
    }
}

/// [Lambda API: StateReasonCode]
fn failed(error: &StartError) -> Failure {
    match error {
        StartError::InitFailed { error, .. } => failure(
            "FunctionError.RuntimeInitError",
            format!("The init phase failed: {}", text(&error.payload)),
        ),
        StartError::InitTimedOut { waited } => failure(
            "FunctionError.InitTimeout",
            format!("The init phase took longer than {} s.", waited.as_secs()),
        ),
        StartError::InitExited { exit, .. } => failure(
            match exit {
                Exit::Extension(..) => "FunctionError.ExtensionInitError",
                Exit::OutOfMemory => "FunctionError.InitResourceExhausted",
                Exit::Lost => "InternalError",
                Exit::Code(_) | Exit::Signal(_) => "FunctionError.RuntimeInitError",
            },
            format!("The init phase failed: {}", errors::exit_message(*exit)),
        ),
        StartError::ExtensionNotLaunched { name, reason, kind } => failure(
            match *kind {
                "TooManyExtensions" => "FunctionError.TooManyExtensions",
                "PermissionDenied" => "FunctionError.PermissionDenied",
                _ => "FunctionError.ExtensionInitError",
            },
            errors::extension_message(name, reason, kind),
        ),
        StartError::BadEntrypoint { reason, .. } => {
            failure("FunctionError.InvalidEntryPoint", reason.clone())
        }
        StartError::BadWorkingDir { reason } => {
            failure("FunctionError.InvalidWorkingDirectory", reason.clone())
        }
        StartError::BadTaskConfig { reason } => failure("InvalidConfiguration", reason.clone()),
        StartError::NoCapacity(_) | StartError::Backend(_) | StartError::Unheard => {
            failure("InternalError", error.to_string())
        }
    }
}

/// What a runtime reported, as `Type: message` if it has these.
fn text(payload: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let member = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
    let kind = member("errorType").unwrap_or("Runtime.Unknown");
    let message: String = member("errorMessage")
        .unwrap_or_default()
        .chars()
        .take(REASON_CHARS_MAX)
        .collect();
    format!("{kind}: {message}")
}

/// Longest message of a function that a version's state repeats.
const REASON_CHARS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const INIT_LIMIT_MIN: Duration = Duration::from_secs(130);

    #[test]
    fn every_end_of_an_init_phase_has_its_code() {
        let took = Duration::ZERO;
        for (error, code, reason) in [
            (
                StartError::InitTimedOut {
                    waited: INIT_LIMIT_MIN,
                },
                "FunctionError.InitTimeout",
                "The init phase took longer than 130 s.",
            ),
            (
                StartError::InitExited {
                    exit: Exit::Code(7),
                    took,
                },
                "FunctionError.RuntimeInitError",
                "The init phase failed: Runtime exited with error: exit status 7",
            ),
            (
                StartError::BadEntrypoint {
                    path: "/var/task/bootstrap".to_owned(),
                    reason: "no such file".to_owned(),
                },
                "FunctionError.InvalidEntryPoint",
                "no such file",
            ),
            (
                StartError::BadWorkingDir {
                    reason: "the working directory doesn't exist: /srv".to_owned(),
                },
                "FunctionError.InvalidWorkingDirectory",
                "the working directory doesn't exist: /srv",
            ),
            (
                StartError::ExtensionNotLaunched {
                    name: "closed".to_owned(),
                    reason: "permission denied".to_owned(),
                    kind: "PermissionDenied",
                },
                "FunctionError.PermissionDenied",
                "fork/exec /opt/extensions/closed: permission denied",
            ),
            (
                StartError::ExtensionNotLaunched {
                    name: "eleventh".to_owned(),
                    reason: "too many extensions".to_owned(),
                    kind: "TooManyExtensions",
                },
                "FunctionError.TooManyExtensions",
                "ErrTooManyExtensions",
            ),
            (
                StartError::InitExited {
                    exit: Exit::Lost,
                    took,
                },
                "InternalError",
                "The init phase failed: The sandbox has ended",
            ),
            (
                StartError::NoCapacity("full".to_owned()),
                "InternalError",
                "no capacity: full",
            ),
        ] {
            assert_eq!(failed(&error), failure(code, reason));
        }
    }

    #[test]
    fn the_reason_tells_what_the_runtime_reported() {
        let report = br#"{"errorType": "KeyError", "errorMessage": "'x'", "stackTrace": []}"#;
        assert_eq!(text(report), "KeyError: 'x'");
        assert_eq!(text(b"no json"), "Runtime.Unknown: ");
    }
}
