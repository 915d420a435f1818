//! The platform's own log lines: START, END, REPORT and their JSON forms.
//! [Lambda guide: log formats; spec 4.7]

mod kind;

use std::fmt::Write;
use std::time::Duration;

use functions::LogLevel;
use model::{FunctionRef, Version};
use serde_json::{Value, json};
use tasks::Time;

pub(crate) use kind::ErrorType;

/// What the lines of one environment have in common.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) json: bool,
    /// Lines below it are dropped; JSON only.
    pub(crate) level: Level,
    /// As it was called.
    pub(crate) function: FunctionRef,
    pub(crate) version: Version,
    pub(crate) memory_mib: u32,
    /// `on-demand`, …
    pub(crate) initialization: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
}

impl Level {
    /// The least level of the platform's lines.
    pub(crate) fn of(configured: Option<LogLevel>) -> Level {
        match configured {
            Some(LogLevel::Trace | LogLevel::Debug) => Level::Debug,
            Some(LogLevel::Warn | LogLevel::Error | LogLevel::Fatal) => Level::Warn,
            Some(LogLevel::Info) | None => Level::Info,
        }
    }
}

/// The outcome of a phase as telemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// The function reported an error.
    Error(Option<ErrorType>),
    Timeout,
}

impl Status {
    pub(crate) fn error(kind: &'static str) -> Status {
        Status::Error(Some(ErrorType::Own(kind)))
    }
}

/// The figures of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) duration: Duration,
    /// Present if this invocation paid for the init phase.
    pub(crate) init: Option<Duration>,
    /// Present if its environment was restored for it.
    pub(crate) restore: Option<Restore>,
    pub(crate) memory_max_mib: u32,
    pub(crate) status: Status,
}

/// A part of an invocation.  [Lambda guide: Telemetry API, Span]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) start: Time,
    pub(crate) took: Duration,
}

/// The parts that are known, in their order.
pub(crate) type Spans = [Option<Span>; 3];

/// The response from the event to its first and to its last byte. `begun`: when the event went out.
pub(crate) fn response_spans(begun: Time, latency: Option<Duration>, whole: Duration) -> Spans {
    let Some(latency) = latency.map(|latency| latency.min(whole)) else {
        return [None; 3];
    };
    let span = |name, start, took| Some(Span { name, start, took });
    [
        span("responseLatency", begun, latency),
        span("responseDuration", begun.after(latency), whole - latency),
        None,
    ]
}

fn with_spans(mut record: Value, spans: &Spans) -> Value {
    let spans: Vec<Value> = spans.iter().flatten().map(span_record).collect();
    if let (false, Some(map)) = (spans.is_empty(), record.as_object_mut()) {
        map.insert("spans".to_owned(), spans.into());
    }
    record
}

fn span_record(span: &Span) -> Value {
    json!({"name": span.name, "start": span.start.iso_millis(), "durationMs": round3(ms(span.took))})
}

/// How long it took to restore a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restore {
    pub(crate) total: Duration,
    /// The runtime's part, with its hooks.  [Lambda guide: monitoring SnapStart]
    pub(crate) billed: Duration,
}

impl Restore {
    fn billed_ms(self) -> u64 {
        up_to_ms(self.billed)
    }
}

/// Whole milliseconds, rounded up, at least one.
fn up_to_ms(d: Duration) -> u64 {
    u64::try_from(d.as_micros().div_ceil(1_000))
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Figures {
    /// Whole milliseconds, rounded up; the init phase is billed since August 2025.  [Lambda pricing]
    pub(crate) fn billed_ms(&self) -> u64 {
        let restore = self.restore.map(|r| r.billed).unwrap_or_default();
        up_to_ms(self.duration + self.init.unwrap_or_default() + restore)
    }
}

/// The initialization type of versions that are restored.
pub(crate) const SNAP_START: &str = "snap-start";

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1_000.0
}

/// What the platform has to say: one source for lines of the log and for telemetry.
#[derive(Debug, Clone)]
pub(crate) enum Event<'a> {
    /// `python:3.13.v1` and its ARN, if it is known.
    InitStart(Option<(String, String)>),
    InitRuntimeDone(Status),
    InitReport {
        took: Duration,
        phase: &'static str,
        status: Status,
    },
    /// As [`Event::InitStart`].
    RestoreStart(Option<(String, String)>),
    RestoreRuntimeDone(Status),
    RestoreReport {
        took: Duration,
        status: Status,
    },
    Start {
        request: &'a str,
    },
    RuntimeDone {
        request: &'a str,
        took: Duration,
        /// Bytes of the response.
        produced: usize,
        status: Status,
        spans: Spans,
    },
    End {
        request: &'a str,
    },
    Report {
        request: &'a str,
        figures: Figures,
        spans: Spans,
    },
    /// A line as it is; no telemetry.
    Line(String),
}

impl Lines {
    /// The line of the log, if there is one in this format and at this level.
    pub(crate) fn line(&self, at: Time, event: &Event<'_>) -> Option<String> {
        if let Event::Line(text) = event {
            return Some(text.clone());
        }
        if !self.json {
            return self.text(event);
        }
        let (level, kind) = level(event);
        let is_told = level >= self.level && !matches!(event, Event::End { .. });
        is_told.then(|| json_line(&at.iso_millis(), kind, &self.record(event)))
    }

    /// The event of the Telemetry API.
    pub(crate) fn telemetry(&self, event: &Event<'_>) -> Option<(&'static str, Value)> {
        match event {
            Event::Line(_) => None,
            event => Some((level(event).1, self.record(event))),
        }
    }

    fn text(&self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::InitStart(version) => version.as_ref().map(|(version, arn)| {
                format!("INIT_START Runtime Version: {version}\tRuntime Version ARN: {arn}")
            }),
            Event::RestoreStart(version) => version.as_ref().map(|(version, arn)| {
                format!("RESTORE_START Runtime Version: {version}\tRuntime Version ARN: {arn}")
            }),
            Event::RestoreReport { took, status } => {
                let (duration, status) = (ms(*took), status_text(*status));
                Some(format!(
                    "RESTORE_REPORT Restore Duration: {duration:.2} ms\t{status}"
                ))
            }
            // No invocation pays for what ends in a snapshot.
            Event::InitReport { took, status, .. }
                if *status == Status::Success && self.initialization == SNAP_START =>
            {
                Some(format!("INIT_REPORT Init Duration: {:.2} ms\t", ms(*took)))
            }
            // A success is told by the invocation that pays for it.
            Event::InitReport { status, .. } if *status == Status::Success => None,
            Event::InitReport {
                took,
                phase,
                status,
            } => {
                let (duration, status) = (ms(*took), status_text(*status));
                Some(format!(
                    "INIT_REPORT Init Duration: {duration:.2} ms\tPhase: {phase}\t{status}"
                ))
            }
            Event::Start { request } => {
                let mut line = String::with_capacity(80);
                let _ = write!(line, "START RequestId: {request} Version: {}", self.version);
                Some(line)
            }
            Event::End { request } => Some(format!("END RequestId: {request}")),
            Event::Report {
                request, figures, ..
            } => Some(self.report(request, figures)),
            Event::InitRuntimeDone(_)
            | Event::RestoreRuntimeDone(_)
            | Event::RuntimeDone { .. }
            | Event::Line(_) => None,
        }
    }

    fn report(&self, request: &str, f: &Figures) -> String {
        let mut line = String::with_capacity(224);
        let _ = write!(
            line,
            "REPORT RequestId: {request}\tDuration: {:.2} ms\tBilled Duration: {} ms\t\
             Memory Size: {} MB\tMax Memory Used: {} MB\t",
            ms(f.duration),
            f.billed_ms(),
            self.memory_mib,
            f.memory_max_mib,
        );
        if let Some(init) = f.init {
            let _ = write!(line, "Init Duration: {:.2} ms\t", ms(init));
        }
        if let Some(restore) = f.restore {
            let (total, billed) = (ms(restore.total), restore.billed_ms());
            let _ = write!(
                line,
                "Restore Duration: {total:.2} ms\tBilled Restore Duration: {billed} ms\t"
            );
        }
        line.push_str(&status_text(f.status));
        line
    }

    /// What the start of a phase tells.
    fn begin(&self, version: Option<&(String, String)>) -> Value {
        let mut record = json!({
            "initializationType": self.initialization,
            "functionName": self.function.name.as_str(),
            "functionVersion": self.version.to_string(),
        });
        if let (Some((version, arn)), Some(map)) = (version, record.as_object_mut()) {
            map.insert("runtimeVersion".to_owned(), version.as_str().into());
            map.insert("runtimeVersionArn".to_owned(), arn.as_str().into());
        }
        record
    }

    /// The record of the event.  [Lambda guide: Telemetry API Event schema reference]
    fn record(&self, event: &Event<'_>) -> Value {
        match event {
            Event::InitStart(version) => {
                let mut record = self.begin(version.as_ref());
                if let Some(map) = record.as_object_mut() {
                    map.insert("phase".to_owned(), "init".into());
                }
                record
            }
            Event::RestoreStart(version) => self.begin(version.as_ref()),
            Event::RestoreRuntimeDone(status) => {
                with_status(json!({"initializationType": self.initialization}), *status)
            }
            Event::RestoreReport { took, status } => with_status(
                json!({
                    "initializationType": self.initialization,
                    "metrics": {"durationMs": round3(ms(*took))},
                }),
                *status,
            ),
            Event::InitRuntimeDone(status) => with_status(
                json!({"initializationType": self.initialization, "phase": "init"}),
                *status,
            ),
            Event::InitReport {
                took,
                phase,
                status,
            } => with_status(
                json!({
                    "initializationType": self.initialization,
                    "phase": phase,
                    "metrics": {"durationMs": round3(ms(*took))},
                }),
                *status,
            ),
            Event::Start { request } => json!({
                "requestId": request, "functionArn": self.function.to_string(), "version": self.version.to_string(),
            }),
            Event::RuntimeDone {
                request,
                took,
                produced,
                status,
                spans,
            } => {
                let record = json!({
                    "requestId": request,
                    "metrics": {"durationMs": round3(ms(*took)), "producedBytes": produced},
                });
                with_status(with_spans(record, spans), *status)
            }
            Event::End { request } => json!({"requestId": request}),
            Event::Report {
                request,
                figures,
                spans,
            } => {
                let mut metrics = json!({
                    "durationMs": round3(ms(figures.duration)),
                    "billedDurationMs": figures.billed_ms(),
                    "memorySizeMB": self.memory_mib,
                    "maxMemoryUsedMB": figures.memory_max_mib,
                });
                if let (Some(init), Some(map)) = (figures.init, metrics.as_object_mut()) {
                    map.insert("initDurationMs".to_owned(), round3(ms(init)).into());
                }
                if let (Some(restore), Some(map)) = (figures.restore, metrics.as_object_mut()) {
                    let (total, billed) = (round3(ms(restore.total)), restore.billed_ms());
                    map.insert("restoreDurationMs".to_owned(), total.into());
                    map.insert("billedRestoreDurationMs".to_owned(), billed.into());
                }
                let record = json!({
                    "requestId": request, "functionArn": self.function.to_string(), "metrics": metrics,
                });
                with_status(with_spans(record, spans), figures.status)
            }
            Event::Line(text) => text.as_str().into(),
        }
    }
}

/// An event as it stands in the log and in telemetry.
pub(crate) fn json_line(time: &str, kind: &str, record: &Value) -> String {
    format!(r#"{{"time":"{time}","type":"{kind}","record":{record}}}"#)
}

/// [spec 4.7]
fn level(event: &Event<'_>) -> (Level, &'static str) {
    let unless = |status: Status, usual| match status {
        Status::Success => usual,
        _ => Level::Warn,
    };
    match event {
        Event::InitStart(version) => {
            let level = if version.is_some() {
                Level::Info
            } else {
                Level::Debug
            };
            (level, "platform.initStart")
        }
        Event::InitRuntimeDone(status) => {
            (unless(*status, Level::Debug), "platform.initRuntimeDone")
        }
        Event::InitReport { status, .. } => (unless(*status, Level::Debug), "platform.initReport"),
        Event::RestoreStart(_) => (Level::Info, "platform.restoreStart"),
        Event::RestoreRuntimeDone(status) => {
            (unless(*status, Level::Debug), "platform.restoreRuntimeDone")
        }
        Event::RestoreReport { status, .. } => {
            (unless(*status, Level::Info), "platform.restoreReport")
        }
        Event::Start { .. } => (Level::Info, "platform.start"),
        Event::RuntimeDone { status, .. } => {
            (unless(*status, Level::Debug), "platform.runtimeDone")
        }
        Event::End { .. } => (Level::Info, "platform.end"),
        Event::Report { figures, .. } => (unless(figures.status, Level::Info), "platform.report"),
        Event::Line(_) => (Level::Info, "platform.fault"),
    }
}

fn with_status(mut record: Value, status: Status) -> Value {
    let (text, kind) = match &status {
        Status::Success => ("success", None),
        Status::Error(kind) => ("error", kind.as_ref()),
        Status::Timeout => ("timeout", None),
    };
    if let Some(map) = record.as_object_mut() {
        map.insert("status".to_owned(), text.into());
        if let Some(kind) = kind {
            map.insert("errorType".to_owned(), kind.as_str().into());
        }
    }
    record
}

fn status_text(status: Status) -> String {
    match status {
        Status::Success | Status::Error(None) => String::new(),
        Status::Error(Some(kind)) => format!("Status: error\tError Type: {}", kind.as_str()),
        Status::Timeout => "Status: timeout".to_owned(),
    }
}

fn round3(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: bool) -> Lines {
        Lines {
            json,
            level: Level::Info,
            function: FunctionRef {
                account: "000000000000".parse().unwrap(),
                region: "us-east-1".parse().unwrap(),
                name: "f".parse().unwrap(),
                qualifier: None,
            },
            version: Version::Latest,
            memory_mib: 128,
            initialization: "on-demand",
        }
    }

    fn figures(init: Option<u64>, status: Status) -> Figures {
        Figures {
            duration: Duration::from_micros(1_230),
            init: init.map(Duration::from_micros),
            restore: None,
            memory_max_mib: 36,
            status,
        }
    }

    #[test]
    fn text_lines_are_those_of_the_guide() {
        let l = lines(false);
        let at = Time::EPOCH;
        assert_eq!(
            l.line(at, &Event::Start { request: "r" }).unwrap(),
            "START RequestId: r Version: $LATEST"
        );
        assert_eq!(
            l.line(at, &Event::End { request: "r" }).unwrap(),
            "END RequestId: r"
        );
        assert_eq!(
            l.line(
                at,
                &Event::Report {
                    request: "r",
                    figures: figures(Some(100_450), Status::Success),
                    spans: [None; 3]
                }
            )
            .unwrap(),
            "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 102 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 100.45 ms\t"
        );
        assert_eq!(
            l.line(
                at,
                &Event::Report {
                    request: "r",
                    figures: figures(None, Status::Timeout),
                    spans: [None; 3]
                }
            )
            .unwrap(),
            "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout"
        );
        assert_eq!(
            l.line(
                at,
                &Event::InitReport {
                    took: Duration::from_micros(9_999_790),
                    phase: "init",
                    status: Status::Timeout
                }
            )
            .unwrap(),
            "INIT_REPORT Init Duration: 9999.79 ms\tPhase: init\tStatus: timeout"
        );
        assert_eq!(
            l.line(
                at,
                &Event::InitStart(Some(("python:3.13.v1".to_owned(), "arn:x".to_owned())))
            )
            .unwrap(),
            "INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: arn:x"
        );
    }

    #[test]
    fn a_restore_has_lines_and_figures_of_its_own() {
        let l = Lines {
            initialization: SNAP_START,
            ..lines(false)
        };
        let restored = Figures {
            restore: Some(Restore {
                total: Duration::from_micros(463_470),
                billed: Duration::from_micros(178_100),
            }),
            ..figures(None, Status::Success)
        };
        let version = || Some(("python:3.13.v1".to_owned(), "arn:x".to_owned()));
        let took = Duration::from_micros(412_560);
        let (phase, status) = ("init", Status::Success);
        for (event, line) in [
            (
                Event::RestoreStart(version()),
                "RESTORE_START Runtime Version: python:3.13.v1\tRuntime Version ARN: arn:x",
            ),
            (
                Event::RestoreReport { took, status },
                "RESTORE_REPORT Restore Duration: 412.56 ms\t",
            ),
            (
                Event::RestoreReport {
                    took,
                    status: Status::Timeout,
                },
                "RESTORE_REPORT Restore Duration: 412.56 ms\tStatus: timeout",
            ),
            (
                Event::InitReport {
                    took,
                    phase,
                    status,
                },
                "INIT_REPORT Init Duration: 412.56 ms\t",
            ),
            (
                Event::Report {
                    request: "r",
                    figures: restored,
                    spans: [None; 3],
                },
                "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 180 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tRestore Duration: 463.47 ms\tBilled Restore Duration: 179 ms\t",
            ),
        ] {
            assert_eq!(l.line(Time::EPOCH, &event).unwrap(), line);
        }
        let (kind, start) = l.telemetry(&Event::RestoreStart(version())).unwrap();
        assert_eq!(kind, "platform.restoreStart");
        assert_eq!(start["runtimeVersion"], "python:3.13.v1");
        assert!(start.get("phase").is_none());
        let (_, report) = l
            .telemetry(&Event::Report {
                request: "r",
                figures: restored,
                spans: [None; 3],
            })
            .unwrap();
        assert_eq!(report["metrics"]["restoreDurationMs"], 463.47);
        assert_eq!(report["metrics"]["billedRestoreDurationMs"], 179);
    }

    #[test]
    fn json_lines_are_telemetry_events() {
        let l = lines(true);
        let start: serde_json::Value =
            serde_json::from_str(&l.line(Time::EPOCH, &Event::Start { request: "r" }).unwrap())
                .unwrap();
        assert_eq!(start["type"], "platform.start");
        assert_eq!(start["record"]["requestId"], "r");
        let report: serde_json::Value = serde_json::from_str(
            &l.line(
                Time::EPOCH,
                &Event::Report {
                    request: "r",
                    figures: figures(None, Status::error("Runtime.ExitError")),
                    spans: [None; 3],
                },
            )
            .unwrap(),
        )
        .unwrap();
        assert_eq!(report["record"]["status"], "error");
        assert_eq!(report["record"]["errorType"], "Runtime.ExitError");
        assert_eq!(report["record"]["metrics"]["billedDurationMs"], 2);
        assert!(l.line(Time::EPOCH, &Event::End { request: "r" }).is_none());
    }

    #[test]
    fn lines_below_the_level_are_dropped() {
        let l = Lines {
            level: Level::Warn,
            ..lines(true)
        };
        assert!(
            l.line(Time::EPOCH, &Event::Start { request: "r" })
                .is_none()
        );
        assert!(
            l.line(
                Time::EPOCH,
                &Event::Report {
                    request: "r",
                    figures: figures(None, Status::Success),
                    spans: [None; 3]
                }
            )
            .is_none()
        );
        assert!(
            l.line(
                Time::EPOCH,
                &Event::Report {
                    request: "r",
                    figures: figures(None, Status::Timeout),
                    spans: [None; 3]
                }
            )
            .is_some()
        );
    }
}
