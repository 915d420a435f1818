//! What a caller sees when a function did not answer.  [Lambda guide: error types, observed bodies]

use bytes::Bytes;
use model::{Death, Exit, Fault, Timeout, Unfinished};
use sandbox::StartError;

/// The `errorType` of an ending without an answer.
pub(crate) fn error_type(end: &Unfinished) -> &'static str {
    match end {
        Unfinished::TimedOut => "Sandbox.Timedout",
        Unfinished::Crashed(exit) => exit_type(*exit),
        Unfinished::ResponseTooLarge(_) => "Function.ResponseSizeTooLarge",
        Unfinished::TrailersTimedOut => "Sandbox.TimeoutResponseTrailer",
        Unfinished::Truncated => "Runtime.TruncatedResponse",
    }
}

/// The text behind `RequestId: <id> Error: `, which is also what the log shows.
pub(crate) fn message(end: &Unfinished, timeout: Timeout) -> String {
    match end {
        Unfinished::TimedOut | Unfinished::TrailersTimedOut => {
            format!("Task timed out after {}.00 seconds", timeout.secs())
        }
        Unfinished::Crashed(exit) => exit_message(*exit),
        Unfinished::ResponseTooLarge(max) => {
            format!("Response payload size exceeded maximum allowed payload size ({max} bytes).")
        }
        Unfinished::Truncated => "Response is truncated".to_owned(),
    }
}

/// The `errorType` of a process that ended.
pub(crate) fn exit_type(exit: Exit) -> &'static str {
    match exit {
        Exit::Extension(Fault::Init, _) => "Extension.InitError",
        Exit::Extension(Fault::Exit, _) => "Extension.ExitError",
        Exit::Extension(Fault::Crash, _) => "Extension.Crash",
        Exit::Lost => "Sandbox.Failure",
        Exit::Code(_) | Exit::Signal(_) | Exit::OutOfMemory => "Runtime.ExitError",
    }
}

/// How AWS words the end of a runtime process, or of an extension.  [observed]
pub(crate) fn exit_message(exit: Exit) -> String {
    match exit {
        Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
        Exit::Code(code) => format!("Runtime exited with error: exit status {code}"),
        Exit::Signal(signal) => {
            format!("Runtime exited with error: signal: {}", signal_name(signal))
        }
        Exit::OutOfMemory => "Runtime exited with error: signal: killed".to_owned(),
        Exit::Lost => "The sandbox has ended".to_owned(),
        Exit::Extension(_, Death::Code(0)) => "exit code 0".to_owned(),
        Exit::Extension(_, Death::Code(code)) => format!("exit status {code}"),
        Exit::Extension(_, Death::Signal(signal)) => format!("signal: {}", signal_name(signal)),
    }
}

/// How AWS words that a program could not be started.  [observed]
pub(crate) fn launch_message(path: &str, reason: &str) -> String {
    let path: String = path.chars().filter(|c| !c.is_control()).collect();
    let path = path.replace(['"', '\\'], "");
    format!("fork/exec {path}: {reason}")
}

/// How AWS words that an extension could not be started.  [observed; Runtime Interface Emulator]
pub(crate) fn extension_message(name: &str, reason: &str, kind: &str) -> String {
    match kind {
        "TooManyExtensions" => "ErrTooManyExtensions".to_owned(),
        _ => launch_message(&format!("/opt/extensions/{name}"), reason),
    }
}

/// Type and message of a program that could not be started: the runtime's, or an extension's.
/// `None`: the start failed otherwise.  [spec 4.8]
pub(crate) fn not_launched(error: &StartError) -> Option<(&'static str, String)> {
    Some(match error {
        StartError::ExtensionNotLaunched { name, reason, kind } => (
            "Extension.LaunchError",
            extension_message(name, reason, kind),
        ),
        StartError::BadEntrypoint { reason, .. } => ("Runtime.InvalidEntrypoint", reason.clone()),
        StartError::BadWorkingDir { reason } => ("Runtime.InvalidWorkingDir", reason.clone()),
        StartError::BadTaskConfig { reason } => ("Runtime.InvalidTaskConfig", reason.clone()),
        StartError::InitFailed { .. }
        | StartError::InitTimedOut { .. }
        | StartError::InitExited { .. }
        | StartError::NoCapacity(_)
        | StartError::Backend(_)
        | StartError::Unheard => return None,
    })
}

/// The JSON body that the caller gets.
pub(crate) fn body(end: &Unfinished, request: &str, timeout: Timeout) -> Bytes {
    let kind = error_type(end);
    let text = message(end, timeout);
    match end {
        Unfinished::ResponseTooLarge(_) => {
            format!(r#"{{"errorMessage":"{text}","errorType":"{kind}"}}"#).into()
        }
        _ => exit_body(kind, request, &text),
    }
}

/// `{"errorType":…,"errorMessage":"RequestId: … Error: …"}`
pub(crate) fn exit_body(kind: &str, request: &str, text: &str) -> Bytes {
    let text = serde_json::to_string(text).unwrap_or_default();
    let text = text.trim_matches('"');
    format!(r#"{{"errorType":"{kind}","errorMessage":"RequestId: {request} Error: {text}"}}"#)
        .into()
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_the_body_that_aws_sends() {
        let timeout = Timeout::from_secs(3).unwrap();
        let cases = [
            (
                Unfinished::TimedOut,
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r Error: Task timed out after 3.00 seconds"}"#,
            ),
            (
                Unfinished::TrailersTimedOut,
                r#"{"errorType":"Sandbox.TimeoutResponseTrailer","errorMessage":"RequestId: r Error: Task timed out after 3.00 seconds"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Lost),
                r#"{"errorType":"Sandbox.Failure","errorMessage":"RequestId: r Error: The sandbox has ended"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Code(0)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited without providing a reason"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Code(127)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited with error: exit status 127"}"#,
            ),
            (
                Unfinished::Crashed(Exit::OutOfMemory),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited with error: signal: killed"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Extension(Fault::Crash, Death::Code(0))),
                r#"{"errorType":"Extension.Crash","errorMessage":"RequestId: r Error: exit code 0"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Extension(Fault::Init, Death::Code(2))),
                r#"{"errorType":"Extension.InitError","errorMessage":"RequestId: r Error: exit status 2"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Extension(Fault::Exit, Death::Signal(9))),
                r#"{"errorType":"Extension.ExitError","errorMessage":"RequestId: r Error: signal: killed"}"#,
            ),
            (
                Unfinished::Crashed(Exit::Signal(11)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited with error: signal: segmentation fault"}"#,
            ),
            (
                Unfinished::ResponseTooLarge(6_291_556),
                r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
            ),
        ];
        for (end, expected) in cases {
            assert_eq!(body(&end, "r", timeout), expected, "{end:?}");
        }
    }
}
