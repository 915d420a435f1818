//! Collects what an environment prints and sends it to the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::LogTail;
use model::ports::{LogLine, LogSink, LogStreamRef};
use sandbox::{Output, OutputLine};

/// Lines held back before they go to the sink as one batch.
const BATCH_LINES_MAX: usize = 256;
/// A batch is sent when it is this old, so that a long invocation can be watched.
const BATCH_AGE_MS_MAX: i64 = 1_000;

/// The log of one environment: its stream, what is not sent yet and the tail of the running call.
pub(crate) struct EnvironmentLog {
    stream: LogStreamRef,
    sink: Arc<dyn LogSink>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<LogLine>,
    tail: Option<LogTail>,
}

impl EnvironmentLog {
    pub(crate) fn new(stream: LogStreamRef, sink: Arc<dyn LogSink>) -> EnvironmentLog {
        EnvironmentLog {
            stream,
            sink,
            state: Mutex::default(),
        }
    }

    pub(crate) fn stream(&self) -> &LogStreamRef {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on lines also go to the tail of a call, if the caller wants one.
    pub(crate) fn begin(&self, want_tail: bool) {
        self.lock().tail = want_tail.then(LogTail::default);
    }

    /// Ends the call: gives its tail and sends everything that waits.
    pub(crate) fn end(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let tail = state.tail.take();
        let lines = std::mem::take(&mut state.waiting);
        drop(state);
        self.send(lines);
        tail.map(LogTail::into_bytes)
    }

    pub(crate) fn push(&self, unix_ms: i64, message: String) {
        let mut state = self.lock();
        if let Some(tail) = &mut state.tail {
            tail.push(message.as_bytes());
            if !message.ends_with('\n') {
                tail.push(b"\n");
            }
        }
        if message.trim_end_matches(['\r', '\n']).is_empty() {
            return; // CloudWatch keeps no empty events.  [CloudWatch Logs API: InputLogEvent]
        }
        state.waiting.push(LogLine { unix_ms, message });
        let full = state.waiting.len() >= BATCH_LINES_MAX;
        let lines = if full {
            std::mem::take(&mut state.waiting)
        } else {
            Vec::new()
        };
        drop(state);
        self.send(lines);
    }

    /// Sends everything that waits.
    pub(crate) fn flush(&self) {
        let lines = std::mem::take(&mut self.lock().waiting);
        self.send(lines);
    }

    /// Sends what waits if its first line is old.
    pub(crate) fn flush_old(&self, now_unix_ms: i64) {
        let mut state = self.lock();
        let old = state
            .waiting
            .first()
            .is_some_and(|l| now_unix_ms - l.unix_ms >= BATCH_AGE_MS_MAX);
        let lines = if old {
            std::mem::take(&mut state.waiting)
        } else {
            Vec::new()
        };
        drop(state);
        self.send(lines);
    }

    fn send(&self, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            self.sink.append(&self.stream, lines);
        }
    }
}

impl Output for EnvironmentLog {
    fn line(&self, line: OutputLine) {
        self.push(line.unix_ms, line.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl LogSink for Kept {
        fn append(&self, _to: &LogStreamRef, lines: Vec<LogLine>) {
            self.0
                .lock()
                .unwrap()
                .extend(lines.into_iter().map(|l| l.message));
        }
    }

    fn log() -> (Arc<Kept>, EnvironmentLog) {
        let kept = Arc::new(Kept::default());
        let stream = LogStreamRef {
            account: "000000000000".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            group: "/aws/lambda/f".into(),
            stream: "s".into(),
        };
        (kept.clone(), EnvironmentLog::new(stream, kept))
    }

    #[test]
    fn the_tail_holds_the_lines_of_its_call_only() {
        let (kept, log) = log();
        log.push(1, "init".to_owned());
        log.begin(true);
        log.push(2, "START".to_owned());
        log.push(3, "two\nlines".to_owned());
        assert_eq!(log.end().unwrap(), b"START\ntwo\nlines\n");
        assert_eq!(*kept.0.lock().unwrap(), ["init", "START", "two\nlines"]);
        log.begin(false);
        assert_eq!(log.end(), None);
    }

    #[test]
    fn empty_lines_are_in_the_tail_and_not_in_the_stream() {
        let (kept, log) = log();
        log.begin(true);
        for line in ["\n", "a\n", "\r\n", " \n"] {
            log.push(1, line.to_owned());
        }
        assert_eq!(log.end().unwrap(), b"\na\n\r\n \n");
        assert_eq!(*kept.0.lock().unwrap(), ["a\n", " \n"]);
    }

    #[test]
    fn old_lines_are_sent_while_the_call_runs() {
        let (kept, log) = log();
        log.push(1_000, "a".to_owned());
        log.flush_old(1_999);
        assert!(kept.0.lock().unwrap().is_empty());
        log.flush_old(2_000);
        assert_eq!(*kept.0.lock().unwrap(), ["a"]);
    }
}
