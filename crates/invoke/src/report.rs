//! The platform's own log lines: START, END, REPORT and their JSON forms.
//! [Lambda guide: log formats; spec 4.7]

use std::fmt::Write;
use std::time::Duration;

use tasks::Time;

/// What the lines of one environment have in common.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) json: bool,
    /// Lines below it are dropped; JSON only.
    pub(crate) level: Level,
    pub(crate) function_arn: String,
    pub(crate) function_name: String,
    pub(crate) version: String,
    pub(crate) memory_mib: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
}

/// The outcome of a phase as telemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// The function reported an error.
    Error(Option<&'static str>),
    Timeout,
}

/// The figures of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) duration: Duration,
    /// Present if this invocation paid for the init phase.
    pub(crate) init: Option<Duration>,
    pub(crate) memory_max_mib: u32,
    pub(crate) status: Status,
}

impl Figures {
    /// Whole milliseconds, rounded up; the init phase is billed since August 2025.  [Lambda pricing]
    pub(crate) fn billed_ms(&self) -> u64 {
        let total = self.duration + self.init.unwrap_or_default();
        u64::try_from(total.as_micros().div_ceil(1_000))
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1_000.0
}

impl Lines {
    fn json(
        &self,
        at: Time,
        level: Level,
        kind: &str,
        record: &serde_json::Value,
    ) -> Option<String> {
        (level >= self.level).then(|| {
            format!(
                r#"{{"time":"{}","type":"{kind}","record":{record}}}"#,
                at.iso_millis()
            )
        })
    }

    /// `runtime_version`: `python:3.13.v1` and its ARN, if it is known.
    pub(crate) fn init_start(
        &self,
        at: Time,
        runtime_version: Option<(String, String)>,
    ) -> Option<String> {
        if self.json {
            let mut record = serde_json::json!({
                "initializationType": "on-demand",
                "phase": "init",
                "functionName": self.function_name,
                "functionVersion": self.version,
            });
            let mut level = Level::Debug;
            if let (Some((version, arn)), Some(map)) = (&runtime_version, record.as_object_mut()) {
                level = Level::Info;
                map.insert("runtimeVersion".to_owned(), version.as_str().into());
                map.insert("runtimeVersionArn".to_owned(), arn.as_str().into());
            }
            return self.json(at, level, "platform.initStart", &record);
        }
        let (version, arn) = runtime_version?;
        Some(format!(
            "INIT_START Runtime Version: {version}\tRuntime Version ARN: {arn}"
        ))
    }

    pub(crate) fn start(&self, at: Time, request: &str) -> Option<String> {
        if self.json {
            let record = serde_json::json!({
                "requestId": request, "functionArn": self.function_arn, "version": self.version,
            });
            return self.json(at, Level::Info, "platform.start", &record);
        }
        let mut line = String::with_capacity(80);
        let _ = write!(line, "START RequestId: {request} Version: {}", self.version);
        Some(line)
    }

    pub(crate) fn end(&self, request: &str) -> Option<String> {
        (!self.json).then(|| format!("END RequestId: {request}"))
    }

    pub(crate) fn report(&self, at: Time, request: &str, f: &Figures) -> Option<String> {
        if self.json {
            return self.report_json(at, request, f);
        }
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
        line.push_str(&status_text(f.status));
        Some(line)
    }

    fn report_json(&self, at: Time, request: &str, f: &Figures) -> Option<String> {
        let mut metrics = serde_json::json!({
            "durationMs": round3(ms(f.duration)),
            "billedDurationMs": f.billed_ms(),
            "memorySizeMB": self.memory_mib,
            "maxMemoryUsedMB": f.memory_max_mib,
        });
        if let (Some(init), Some(map)) = (f.init, metrics.as_object_mut()) {
            map.insert("initDurationMs".to_owned(), round3(ms(init)).into());
        }
        let (status, kind) = match f.status {
            Status::Success => ("success", None),
            Status::Error(kind) => ("error", kind),
            Status::Timeout => ("timeout", None),
        };
        let mut record = serde_json::json!({
            "requestId": request, "functionArn": self.function_arn, "status": status, "metrics": metrics,
        });
        if let (Some(kind), Some(map)) = (kind, record.as_object_mut()) {
            map.insert("errorType".to_owned(), kind.into());
        }
        let level = if f.status == Status::Success {
            Level::Info
        } else {
            Level::Warn
        };
        self.json(at, level, "platform.report", &record)
    }

    pub(crate) fn init_report(
        &self,
        at: Time,
        took: Duration,
        phase: &str,
        status: Status,
    ) -> Option<String> {
        if self.json {
            let (text, kind) = match status {
                Status::Success => ("success", None),
                Status::Error(kind) => ("error", kind),
                Status::Timeout => ("timeout", None),
            };
            let mut record = serde_json::json!({
                "initializationType": "on-demand",
                "phase": phase,
                "status": text,
                "metrics": {"durationMs": round3(ms(took))},
            });
            if let (Some(kind), Some(map)) = (kind, record.as_object_mut()) {
                map.insert("errorType".to_owned(), kind.into());
            }
            return self.json(at, Level::Warn, "platform.initReport", &record);
        }
        let duration = ms(took);
        let status = status_text(status);
        Some(format!(
            "INIT_REPORT Init Duration: {duration:.2} ms\tPhase: {phase}\t{status}"
        ))
    }
}

fn status_text(status: Status) -> String {
    match status {
        Status::Success | Status::Error(None) => String::new(),
        Status::Error(Some(kind)) => format!("Status: error\tError Type: {kind}"),
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
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            function_name: "f".to_owned(),
            version: "$LATEST".to_owned(),
            memory_mib: 128,
        }
    }

    fn figures(init: Option<u64>, status: Status) -> Figures {
        Figures {
            duration: Duration::from_micros(1_230),
            init: init.map(Duration::from_micros),
            memory_max_mib: 36,
            status,
        }
    }

    #[test]
    fn text_lines_are_those_of_the_guide() {
        let l = lines(false);
        let at = Time::EPOCH;
        assert_eq!(
            l.start(at, "r").unwrap(),
            "START RequestId: r Version: $LATEST"
        );
        assert_eq!(l.end("r").unwrap(), "END RequestId: r");
        assert_eq!(
            l.report(at, "r", &figures(Some(100_450), Status::Success))
                .unwrap(),
            "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 102 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 100.45 ms\t"
        );
        assert_eq!(
            l.report(at, "r", &figures(None, Status::Timeout)).unwrap(),
            "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout"
        );
        assert_eq!(
            l.init_report(
                at,
                Duration::from_micros(9_999_790),
                "init",
                Status::Timeout
            )
            .unwrap(),
            "INIT_REPORT Init Duration: 9999.79 ms\tPhase: init\tStatus: timeout"
        );
        assert_eq!(
            l.init_start(at, Some(("python:3.13.v1".to_owned(), "arn:x".to_owned())))
                .unwrap(),
            "INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: arn:x"
        );
    }

    #[test]
    fn json_lines_are_telemetry_events() {
        let l = lines(true);
        let start: serde_json::Value =
            serde_json::from_str(&l.start(Time::EPOCH, "r").unwrap()).unwrap();
        assert_eq!(start["type"], "platform.start");
        assert_eq!(start["record"]["requestId"], "r");
        let report: serde_json::Value = serde_json::from_str(
            &l.report(
                Time::EPOCH,
                "r",
                &figures(None, Status::Error(Some("Runtime.ExitError"))),
            )
            .unwrap(),
        )
        .unwrap();
        assert_eq!(report["record"]["status"], "error");
        assert_eq!(report["record"]["errorType"], "Runtime.ExitError");
        assert_eq!(report["record"]["metrics"]["billedDurationMs"], 2);
        assert!(l.end("r").is_none());
    }

    #[test]
    fn lines_below_the_level_are_dropped() {
        let l = Lines {
            level: Level::Warn,
            ..lines(true)
        };
        assert!(l.start(Time::EPOCH, "r").is_none());
        assert!(
            l.report(Time::EPOCH, "r", &figures(None, Status::Success))
                .is_none()
        );
        assert!(
            l.report(Time::EPOCH, "r", &figures(None, Status::Timeout))
                .is_some()
        );
    }
}
