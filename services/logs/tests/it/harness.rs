use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use model::ports::{LogLine, LogSink, LogStreamRef};
use serde_json::{Value, json};
use store::Store;
use store::simulated::{self, Disk};
use tasks::ClockControl;
use wire::{Access, CallInfo, Router};

pub(crate) const NO_GROUP: (&str, &str) = (
    "ResourceNotFoundException",
    "The specified log group does not exist.",
);
pub(crate) const NO_STREAM: (&str, &str) = (
    "ResourceNotFoundException",
    "The specified log stream does not exist.",
);

/// The service on a simulated store and a folder of its own.
pub(crate) struct Logs {
    pub(crate) engine: Arc<logs::Engine>,
    router: Router,
    store: Store,
    disk: Disk,
    control: ClockControl,
    dir: tempfile::TempDir,
}

impl Logs {
    pub(crate) async fn new() -> Logs {
        let (store, disk, control) = simulated::open(11);
        Logs::on(store, disk, control, tempfile::tempdir().unwrap()).await
    }

    async fn on(store: Store, disk: Disk, control: ClockControl, dir: tempfile::TempDir) -> Logs {
        let engine = logs::open(&store, &dir.path().join("logs"), disk.tasks())
            .await
            .unwrap();
        let router = Router::new(Access::off()).with(logs::service(engine.clone()));
        Logs {
            engine,
            router,
            store,
            disk,
            control,
            dir,
        }
    }

    /// The process ends without a word and starts again; records are as the store has them.
    pub(crate) async fn killed_and_started(self) -> Logs {
        Logs::on(self.store, self.disk, self.control, self.dir).await
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.disk.clock().now().unix_millis()
    }

    /// Moves the clock and lets loops that became due do their work.
    pub(crate) async fn advance(&self, by: Duration) {
        tokio::task::yield_now().await;
        self.control.advance(by);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> (u16, Value) {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{operation}"))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20231114/us-east-1/logs/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=00",
            )
            .body(input.to_string())
            .unwrap();
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: self.now_ms(),
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        let (status, answer) = self.call(operation, input).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// A call that must be refused with this code and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value, expected: (&str, &str)) {
        let (status, answer) = self.call(operation, input).await;
        let code = answer["__type"].as_str().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!((code, message), expected, "{operation}: {answer}");
        assert_eq!(status, 400, "{operation}");
    }

    pub(crate) async fn group(&self, name: &str) {
        self.ok("CreateLogGroup", json!({"logGroupName": name}))
            .await;
    }

    pub(crate) async fn stream(&self, group: &str, name: &str) {
        let input = json!({"logGroupName": group, "logStreamName": name});
        self.ok("CreateLogStream", input).await;
    }

    /// Puts events at these distances from now, in milliseconds; each message is its distance.
    pub(crate) async fn put(&self, group: &str, stream: &str, distances: &[i64]) -> Value {
        let now = self.now_ms();
        let events: Vec<Value> = distances
            .iter()
            .map(|d| json!({"timestamp": now + d, "message": d.to_string()}))
            .collect();
        let input = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
        self.ok("PutLogEvents", input).await
    }

    pub(crate) fn print(&self, group: &str, stream: &str, lines: &[&str]) {
        let to = LogStreamRef {
            account: "000000000000".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            group: group.into(),
            stream: stream.into(),
        };
        let unix_ms = self.now_ms();
        let lines = lines.iter().map(|line| LogLine {
            unix_ms,
            message: (*line).to_owned(),
        });
        self.engine.append(&to, lines.collect());
    }

    /// Files of all segments.
    /// Files of the segments that this process holds open.
    pub(crate) fn open_segments(&self) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let paths = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let folder = self.dir.path().canonicalize().unwrap().join("logs");
        paths.filter(|path| path.starts_with(&folder)).count()
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("logs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

pub(crate) fn messages(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().unwrap();
    let text = events
        .iter()
        .map(|e| e["message"].as_str().unwrap().to_owned());
    text.collect()
}

pub(crate) fn names(answer: &Value, list: &str, member: &str) -> Vec<String> {
    let items = answer[list].as_array().unwrap();
    let text = items.iter().map(|i| i[member].as_str().unwrap().to_owned());
    text.collect()
}
