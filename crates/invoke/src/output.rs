//! Collects what an environment prints and sends it to the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::LogTail;
use model::ports::{LogLine, LogSink, LogStreamRef};
use sandbox::{Category, Extension, Output, OutputLine, Telemetry, extension_line};
use serde_json::Value;
use tasks::Time;

use crate::report::{Event, Level, Lines, json_line};

/// Lines held back before they go to the sink as one batch.
const BATCH_LINES_MAX: usize = 256;
/// A batch is sent when it is this old, so that a long invocation can be watched.
const BATCH_AGE_MS_MAX: i64 = 1_000;

/// The log of one environment: its stream, what is not sent yet and the tail of the running call.
pub(crate) struct EnvironmentLog {
    stream: LogStreamRef,
    sink: Arc<dyn LogSink>,
    state: Mutex<State>,
    telemetry: Telemetry,
    /// The format is JSON, and what is below this level is left out.
    json: Option<Level>,
}

struct State {
    waiting: Vec<LogLine>,
    /// Of the call that runs, or of the init phase for the call that it belongs to.
    tail: Option<LogTail>,
    /// There was no call yet, and nothing was sent before one.
    is_early: bool,
}

impl Default for State {
    fn default() -> State {
        State {
            waiting: Vec::new(),
            tail: Some(LogTail::default()),
            is_early: true,
        }
    }
}

impl EnvironmentLog {
    pub(crate) fn new(stream: LogStreamRef, sink: Arc<dyn LogSink>) -> EnvironmentLog {
        EnvironmentLog {
            stream,
            sink,
            state: Mutex::default(),
            telemetry: Telemetry::default(),
            json: None,
        }
    }

    pub(crate) fn in_json(mut self, level: Option<Level>) -> EnvironmentLog {
        self.json = level;
        self
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Says what the platform has to say, in the log and to subscribers.
    pub(crate) fn say(&self, at: Time, lines: &Lines, event: &Event<'_>) {
        if let Some(line) = lines.line(at, event) {
            // How an environment began is in the log alone.  [observed]
            let is_start = matches!(
                event,
                Event::InitStart(_) | Event::RestoreStart(_) | Event::RestoreReport { .. }
            );
            self.add(at.unix_millis(), line, !is_start);
        }
        if self.telemetry.is_on()
            && let Some((kind, record)) = lines.telemetry(event)
        {
            let time = at.iso_millis();
            self.telemetry
                .emit(Category::Platform, &time, kind, &record);
        }
    }

    pub(crate) fn stream(&self) -> &LogStreamRef {
        &self.stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on lines also go to the tail of a call, if the caller wants one. What the init phase said
    /// that was run for the first call is in its tail too.  [observed]
    pub(crate) fn begin(&self, want_tail: bool) {
        let mut state = self.lock();
        let early = state.tail.take().filter(|_| state.is_early);
        state.is_early = false;
        state.tail = want_tail.then(|| early.unwrap_or_default());
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
        self.add(unix_ms, message, true);
    }

    fn add(&self, unix_ms: i64, message: String, is_in_tail: bool) {
        let mut state = self.lock();
        if let Some(tail) = state.tail.as_mut().filter(|_| is_in_tail) {
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

    /// Sends everything that waits. No call begins here: what was said so far is in no tail.
    pub(crate) fn flush(&self) {
        let mut state = self.lock();
        state.tail = state.tail.take().filter(|_| !state.is_early);
        let lines = std::mem::take(&mut state.waiting);
        drop(state);
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
        if self.telemetry.is_on() {
            let (category, kind) = if line.is_extension {
                (Category::Extension, "extension")
            } else {
                (Category::Function, "function")
            };
            let time = Time::from_unix_millis(line.unix_ms).iso_millis();
            self.telemetry
                .emit(category, &time, kind, &record(&line.message, self.json));
        }
        self.push(line.unix_ms, line.message);
    }

    /// The line and the event that tell how an extension came up.  [spec 4.7]
    fn extension(&self, extension: &Extension, unix_ms: i64) {
        let record = extension_record(extension);
        let (kind, time) = (
            "platform.extension",
            Time::from_unix_millis(unix_ms).iso_millis(),
        );
        if self.telemetry.is_on() {
            self.telemetry
                .emit(Category::Platform, &time, kind, &record);
        }
        let level = if extension.error_type.is_some() {
            Level::Warn
        } else {
            Level::Info
        };
        match self.json {
            None => self.push(unix_ms, extension_line(extension)),
            Some(least) if level >= least => self.push(unix_ms, json_line(&time, kind, &record)),
            Some(_) => {}
        }
    }
}

/// In the JSON format a line that is a JSON object is told as that.  [Lambda guide: Telemetry API]
fn record(message: &str, json: Option<Level>) -> Value {
    let as_json = || serde_json::from_str(message).ok().filter(Value::is_object);
    let parsed = json.and_then(|_| as_json());
    parsed.unwrap_or_else(|| message.into())
}

fn extension_record(extension: &Extension) -> Value {
    let mut record = serde_json::json!({
        "name": extension.name,
        "state": extension.standing.name(),
        "events": extension.events.names(),
    });
    if let (Some(why), Some(map)) = (&extension.error_type, record.as_object_mut()) {
        map.insert("errorType".to_owned(), why.as_str().into());
    }
    record
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
    fn the_tail_holds_the_lines_of_its_call_and_of_the_init_for_it() {
        let (kept, log) = log();
        log.push(1, "init".to_owned());
        log.begin(true);
        log.push(2, "START".to_owned());
        log.push(3, "two\nlines".to_owned());
        assert_eq!(log.end().unwrap(), b"init\nSTART\ntwo\nlines\n");
        assert_eq!(*kept.0.lock().unwrap(), ["init", "START", "two\nlines"]);
        log.begin(false);
        assert_eq!(log.end(), None);
        log.push(4, "between".to_owned());
        log.begin(true);
        assert_eq!(log.end().unwrap(), b"");
    }

    #[test]
    fn an_init_phase_for_nobody_is_in_no_tail() {
        for (flushes, wants) in [(true, true), (false, false)] {
            let (_, log) = log();
            log.push(1, "init".to_owned());
            if flushes {
                log.flush();
            }
            log.begin(wants);
            log.push(2, "START".to_owned());
            assert_eq!(log.end(), wants.then(|| b"START\n".to_vec()));
            log.begin(true);
            assert_eq!(log.end().unwrap(), b"");
        }
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
