//! What an environment is told about extensions.
//! [Lambda guide: Extensions API, Telemetry API]

use std::sync::Arc;
use std::time::Duration;

use model::{Death, Exit, Fault};
use runtime_api::{Credentials, Extension, Facts, Function, Host, Standing, Telemetry};
use tasks::{Clock, Mono};

use crate::EnvironmentSpec;

/// Where external extensions lie, inside.
pub const EXTENSIONS_DIR: &str = "/opt/extensions";
/// Longest shutdown if there are external extensions; the share of the runtime.
/// [Lambda guide: shutdown phase]
pub(crate) const SHUTDOWN_MAX: Duration = Duration::from_millis(2_000);
pub(crate) const SHUTDOWN_RUNTIME_MAX: Duration = Duration::from_millis(300);
/// Longest shutdown if all extensions live inside the runtime.
pub(crate) const SHUTDOWN_INTERNAL_MAX: Duration = Duration::from_millis(500);

/// The extensions of an environment; by default there are none to start, but the runtime may bring
/// some of its own.
#[derive(Clone, Default)]
pub struct Extensions {
    /// The files of [`EXTENSIONS_DIR`]: each is started before the runtime, which waits until all
    /// have registered. At most ten, or the environment does not start.
    pub external: Vec<String>,
    /// What extensions are told about the function.
    pub function: Arc<Function>,
    /// Where the platform puts its events; subscribers get them from there.
    pub telemetry: Telemetry,
}

/// Why an environment is stopped, as its extensions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It is not needed any more.
    Spindown,
    /// An invocation took too long.
    Timeout,
    /// The runtime or an extension failed.
    Failure,
}

impl StopReason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            StopReason::Spindown => "spindown",
            StopReason::Timeout => "timeout",
            StopReason::Failure => "failure",
        }
    }
}

/// The variables of an external extension: the function's, without what belongs to the runtime.
/// [Lambda guide: environment variables of extensions]
pub(crate) fn variables(all: &[(String, String)]) -> Vec<(String, String)> {
    const HIDDEN: &[&str] = &[
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    ];
    let seen = |name: &str| !name.starts_with('_') && !HIDDEN.contains(&name);
    all.iter().filter(|(name, _)| seen(name)).cloned().collect()
}

/// What the session of an environment knows. `host`: delivers telemetry.
pub(crate) fn facts(
    spec: &EnvironmentSpec,
    host: Option<Arc<dyn Host>>,
    (clock, zero): (&Clock, Mono),
) -> Facts {
    let clock = clock.clone();
    Facts {
        seed: spec.id.clone(),
        external: spec.extensions.external.clone(),
        function: spec.extensions.function.clone(),
        telemetry: spec.extensions.telemetry.clone(),
        credentials: spec.credentials.clone(),
        stopwatch: Some(Arc::new(move || clock.monotonic().since(zero))),
        host,
    }
}

/// Where the function asks for its credentials, if it does. `api`: the port of the Runtime API.
pub(crate) fn credential_variables(spec: &EnvironmentSpec, port: u16) -> Vec<(String, String)> {
    let Some(credentials) = &spec.credentials else {
        return Vec::new();
    };
    let address = format!("http://127.0.0.1:{port}{}", Credentials::PATH);
    vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), address),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(),
            credentials.token().to_owned(),
        ),
    ]
}

/// How an extension failed that ended like this, or that says it will.
pub(crate) fn fallen(extension: &Extension, death: Death) -> Exit {
    let fault = match extension.standing {
        Standing::InitError => Fault::Init,
        Standing::ExitError => Fault::Exit,
        _ => Fault::Crash,
    };
    Exit::Extension(fault, death)
}

/// The `Error Type` of an extension that could not be started.  [spec 4.8]
pub(crate) fn launch_error(errno: i32) -> &'static str {
    if errno == rustix::io::Errno::ACCESS.raw_os_error() {
        "PermissionDenied"
    } else {
        "UnknownError"
    }
}

/// The line of the log that tells how an extension came up.  [spec 4.2]
#[must_use]
pub fn extension_line(extension: &Extension) -> String {
    let events = extension.events.names().join(", ");
    let state = extension.standing.name();
    let mut line = format!(
        "EXTENSION\tName: {}\tState: {state}\tEvents: [{events}]",
        extension.name
    );
    if let Some(why) = &extension.error_type {
        line.push_str("\tError Type: ");
        line.push_str(why);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_sees_the_function_s_variables_but_not_the_runtime_s() {
        let given = [
            "A",
            "AWS_ACCESS_KEY_ID",
            "AWS_LAMBDA_FUNCTION_NAME",
            "PATH",
            "_HANDLER",
            "_X_AMZN_TRACE_ID",
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_XRAY_CONTEXT_MISSING",
            "LAMBDA_TASK_ROOT",
        ];
        let all: Vec<_> = given
            .iter()
            .map(|n| ((*n).to_owned(), "x".to_owned()))
            .collect();
        let names: Vec<String> = variables(&all).into_iter().map(|(n, _)| n).collect();
        assert_eq!(
            names,
            ["A", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_FUNCTION_NAME", "PATH"]
        );
    }
}
