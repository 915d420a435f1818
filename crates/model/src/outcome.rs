use bytes::Bytes;

use crate::RequestId;

/// Longest payload of a synchronous invocation: 6 MiB.  [Lambda quotas]
pub const PAYLOAD_SYNC_MAX: usize = 6_291_456;
/// Longest buffered answer: 6 MiB and 100 bytes.  [Lambda runtime interface emulator]
pub const RESPONSE_MAX: usize = 6_291_556;

/// One invocation as the runtime sees it.
#[derive(Clone, Debug)]
pub struct Call {
    pub request: RequestId,
    /// The event, passed through unchanged.
    pub payload: Bytes,
    /// Milliseconds since the Unix epoch.
    pub deadline_unix_ms: i64,
    /// As called: unqualified, or with the qualifier that the caller gave.
    pub invoked_arn: String,
    /// `Root=…;Parent=…;Sampled=…`
    pub trace: String,
    /// The decoded JSON of `X-Amz-Client-Context`.
    pub client_context: Option<String>,
    /// The JSON of `Lambda-Runtime-Cognito-Identity`.
    pub cognito_identity: Option<String>,
    /// Of a function with tenant isolation.
    pub tenant_id: Option<String>,
}

/// The function answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concluded {
    Success(Bytes),
    Error(FunctionError),
}

/// The function ran and reported an error of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The header `Lambda-Runtime-Function-Error-Type`, if the runtime sent one.
    pub kind: Option<String>,
    /// JSON, as the runtime posted it.
    pub payload: Bytes,
}

/// The function did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The deadline passed; the environment was killed.
    TimedOut,
    /// The same, after the whole of a streamed answer and before its trailers.
    TrailersTimedOut,
    /// The runtime process ended during the invocation.
    Crashed(Exit),
    /// The answer was longer than this, in bytes: [`RESPONSE_MAX`] unless it was streamed.
    ResponseTooLarge(u64),
    /// The runtime broke off in the middle of its answer.
    Truncated,
}

impl Unfinished {
    pub fn is_timeout(&self) -> bool {
        matches!(self, Unfinished::TimedOut | Unfinished::TrailersTimedOut)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// The kernel killed it for exceeding its memory limit.
    OutOfMemory,
    /// The sandbox itself ended, and all processes with it; not the function's fault.
    Lost,
    /// Not the runtime but an extension ended, or gave up.
    Extension(Fault, Death),
}

/// What an extension did wrong.  [Lambda guide: extension errors]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It reported that it could not start.
    Init,
    /// It reported that it must end.
    Exit,
    /// It ended without a report.
    Crash,
}

/// How the process of an extension ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Code(i32),
    Signal(i32),
}

pub type Ending = Result<Concluded, Unfinished>;

/// The last 4 KiB of an invocation's log.  [Lambda API: LogResult]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail(Vec<u8>);

impl LogTail {
    pub const MAX: usize = 4_096;

    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 4 * LogTail::MAX {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(LogTail::MAX));
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tail_keeps_the_last_four_kibibytes() {
        let mut tail = LogTail::default();
        (0..10_000u32).for_each(|n| tail.push(format!("{n}\n").as_bytes()));
        let bytes = tail.into_bytes();
        assert_eq!(bytes.len(), LogTail::MAX);
        assert!(bytes.ends_with(b"9998\n9999\n"));
    }
}
