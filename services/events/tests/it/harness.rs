use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Request;
use http_body_util::BodyExt;
use model::ports::{
    LogLine, LogSink, LogStreamRef, NotPosted, Outbox, Posting, Unanswered, Web, WebAnswer,
    WebRequest,
};
use serde_json::{Value, json};
use store::simulated::{self, Disk, Image};
use tasks::{ClockControl, Time};
use wire::{Access, CallInfo, Router};

/// Keeps what was posted, as the real one does: one parcel for each id and receiver.
#[derive(Default)]
pub(crate) struct Kept {
    postings: Mutex<Vec<Posting>>,
    seen: Mutex<HashSet<(String, String)>>,
    pub(crate) lines: Mutex<Vec<(LogStreamRef, String)>>,
    pub(crate) is_full: Mutex<bool>,
}

#[async_trait]
impl Outbox for Kept {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        if *self.is_full.lock().unwrap() {
            return Err(NotPosted("full".to_owned()));
        }
        for posting in postings {
            let parcel = &posting.parcel;
            let key = (parcel.id.clone(), parcel.to.to_string());
            if self.seen.lock().unwrap().insert(key) {
                self.postings.lock().unwrap().push(posting);
            }
        }
        Ok(())
    }
}

/// One process's way to what is kept; a crash shuts it, as the loops of the dead process run on.
struct Door {
    kept: Arc<Kept>,
    is_shut: AtomicBool,
}

#[async_trait]
impl Outbox for Door {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Err(NotPosted("the process is dead".to_owned()));
        }
        self.kept.post(postings).await
    }
}

/// A request as an endpoint got it.
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Endpoints outside: they answer what the test says, then 200.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) got: Mutex<Vec<Got>>,
    pub(crate) answers: Mutex<Vec<Result<WebAnswer, Unanswered>>>,
}

pub(crate) fn answer(status: u16, body: &'static str) -> WebAnswer {
    WebAnswer {
        status,
        headers: Vec::new(),
        retry_after: None,
        body: body.as_bytes().into(),
    }
}

impl Outside {
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    pub(crate) fn say(&self, next: Result<WebAnswer, Unanswered>) {
        self.answers.lock().unwrap().push(next);
    }
}

#[async_trait]
impl Web for Outside {
    fn check(&self, url: &str) -> Result<(), Unanswered> {
        let is_good = url.starts_with("https://");
        let bad = || Unanswered::Forbidden("it is no URL".to_owned());
        is_good.then_some(()).ok_or_else(bad)
    }

    async fn send(&self, request: WebRequest<'_>) -> Result<WebAnswer, Unanswered> {
        let headers = request.headers.iter();
        self.got.lock().unwrap().push(Got {
            line: format!("{} {}", request.method, request.url),
            headers: headers
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            body: String::from_utf8(request.body.to_vec()).unwrap(),
        });
        let mut answers = self.answers.lock().unwrap();
        match answers.is_empty() {
            true => Ok(answer(200, "")),
            false => answers.remove(0),
        }
    }
}

impl LogSink for Kept {
    fn append(&self, to: &LogStreamRef, lines: Vec<LogLine>) {
        let lines = lines.into_iter().map(|line| (to.clone(), line.message));
        self.lines.lock().unwrap().extend(lines);
    }
}

impl Kept {
    /// What was posted since the last time.
    pub(crate) fn take(&self) -> Vec<Posting> {
        std::mem::take(&mut *self.postings.lock().unwrap())
    }

    /// Takes every parcel for a new one from now on.
    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    /// Receivers and bodies of it.
    pub(crate) fn bodies(&self) -> Vec<(String, Value)> {
        let taken = self.take().into_iter();
        taken
            .map(|p| {
                let body = serde_json::from_slice(&p.parcel.body).unwrap();
                let to = p.parcel.to.resource.clone();
                (to, body)
            })
            .collect()
    }
}

/// EventBridge on one simulated disk.
pub(crate) struct Events {
    pub(crate) engine: Arc<events::Engine>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) outside: Arc<Outside>,
    door: Arc<Door>,
    router: Router,
    pub(crate) disk: Disk,
    control: ClockControl,
}

impl Events {
    pub(crate) async fn new() -> Events {
        let (store, disk, control) = simulated::open(7);
        Events::on(&store, disk, control, Arc::default()).await
    }

    pub(crate) async fn after(image: Image, kept: Arc<Kept>) -> Events {
        let (store, disk, control) = simulated::reopen(image).unwrap();
        Events::on(&store, disk, control, kept).await
    }

    async fn on(
        store: &store::Store,
        disk: Disk,
        control: ClockControl,
        kept: Arc<Kept>,
    ) -> Events {
        let door = Arc::new(Door {
            kept: kept.clone(),
            is_shut: AtomicBool::new(false),
        });
        let outside = Arc::new(Outside::default());
        let opened = events::open(
            store,
            door.clone(),
            kept.clone(),
            outside.clone(),
            disk.tasks(),
        );
        let engine = opened.await.unwrap();
        let router = Router::new(Access::off()).with(events::service(engine.clone()));
        let events = Events {
            engine,
            kept,
            outside,
            door,
            router,
            disk,
            control,
        };
        events.settle().await;
        events
    }

    pub(crate) fn crash(&self) -> Image {
        self.door.is_shut.store(true, Ordering::Relaxed);
        self.disk.crash()
    }

    pub(crate) fn now(&self) -> Time {
        self.disk.clock().now()
    }

    async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock and lets loops that became due do their work.
    pub(crate) async fn advance(&self, by: Duration) {
        self.settle().await;
        self.control.advance(by);
        self.settle().await;
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> (u16, Value) {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AWSEvents.{operation}"))
            .body(input.to_string())
            .unwrap();
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: self.now().unix_millis(),
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
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

    /// A rule of the default bus with one target.
    pub(crate) async fn rule(&self, name: &str, pattern: Value, target: Value) {
        let rule = json!({"Name": name, "EventPattern": pattern.to_string()});
        self.ok("PutRule", rule).await;
        let targets = json!({"Rule": name, "Targets": [target]});
        self.ok("PutTargets", targets).await;
    }

    /// Puts one event with source `s` and type `t`.
    pub(crate) async fn put(&self, detail: Value) -> Value {
        let entry = json!({"Source": "s", "DetailType": "t", "Detail": detail.to_string()});
        self.ok("PutEvents", json!({"Entries": [entry]})).await
    }
}

pub(crate) fn queue(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

/// A target that is a queue.
pub(crate) fn to_queue(name: &str) -> Value {
    json!({"Id": name, "Arn": queue(name)})
}
