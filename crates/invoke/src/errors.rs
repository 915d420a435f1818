//! What a caller sees when a function did not answer.  [Lambda guide: error types, observed bodies]

use bytes::Bytes;
use model::{Death, Exit, Fault, Timeout, Unfinished};

/// The `errorType` of an ending without an answer.
pub(crate) fn error_type(end: &Unfinished) -> &'static str {
    match end {
        Unfinished::TimedOut => "Sandbox.Timedout",
        Unfinished::Crashed(exit) => exit_type(*exit),
        Unfinished::ResponseTooLarge(_) => "Function.ResponseSizeTooLarge",
        Unfinished::Truncated => "Runtime.TruncatedResponse",
        Unfinished::Lost(_) => "Sandbox.Failure",
    }
}

/// The text behind `RequestId: <id> Error: `, which is also what the log shows.
pub(crate) fn message(end: &Unfinished, timeout: Timeout) -> String {
    match end {
        Unfinished::TimedOut => format!("Task timed out after {}.00 seconds", timeout.secs()),
        Unfinished::Crashed(exit) => exit_message(*exit),
        Unfinished::ResponseTooLarge(max) => {
            format!("Response payload size exceeded maximum allowed payload size ({max} bytes).")
        }
        Unfinished::Truncated => "Response is truncated".to_owned(),
        Unfinished::Lost(_) => "The environment was lost".to_owned(),
    }
}

/// The `errorType` of a process that ended.
pub(crate) fn exit_type(exit: Exit) -> &'static str {
    match exit {
        Exit::Extension(Fault::Init, _) => "Extension.InitError",
        Exit::Extension(Fault::Exit, _) => "Extension.ExitError",
        Exit::Extension(Fault::Crash, _) => "Extension.Crash",
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
        Exit::Extension(_, Death::Code(0)) => "exit code 0".to_owned(),
        Exit::Extension(_, Death::Code(code)) => format!("exit status {code}"),
        Exit::Extension(_, Death::Signal(signal)) => format!("signal: {}", signal_name(signal)),
    }
}

/// How AWS words that an extension could not be started.  [observed]
pub(crate) fn launch_message(name: &str, reason: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name.replace(['"', '\\'], "");
    format!("fork/exec /opt/extensions/{name}: {reason}")
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

/// `{"errorType":…,"errorMessage":"RequestId: … Error: …"}`; `text` holds nothing to escape.
pub(crate) fn exit_body(kind: &str, request: &str, text: &str) -> Bytes {
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
