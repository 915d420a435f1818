use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Request;
use http_body_util::BodyExt;
use model::ports::{NotPosted, Outbox, Posting};
use serde_json::{Value, json};
use store::simulated::{self, Disk, Image};
use tasks::{ClockControl, Time};
use wire::{Access, CallInfo, Router};

pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

/// Keeps what was posted, as the real one does: one parcel for each id and receiver.
#[derive(Default)]
pub(crate) struct Kept {
    postings: Mutex<Vec<Posting>>,
    seen: Mutex<HashSet<(String, String)>>,
}

/// One process's way to what is kept; a crash shuts it, as the loops of the dead process run on.
pub(crate) struct Door {
    kept: Arc<Kept>,
    pub(crate) is_shut: AtomicBool,
}

#[async_trait]
impl Outbox for Door {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Err(NotPosted("shut".to_owned()));
        }
        for posting in postings {
            let parcel = &posting.parcel;
            let key = (parcel.id.clone(), parcel.to.to_string());
            if self.kept.seen.lock().unwrap().insert(key) {
                self.kept.postings.lock().unwrap().push(posting);
            }
        }
        Ok(())
    }
}

impl Kept {
    /// What was posted since the last time.
    pub(crate) fn take(&self) -> Vec<Posting> {
        std::mem::take(&mut *self.postings.lock().unwrap())
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        let taken = self.take().into_iter();
        taken
            .map(|p| serde_json::from_slice(&p.parcel.body).unwrap())
            .collect()
    }

    /// The times in the bodies.
    pub(crate) fn times(&self) -> Vec<String> {
        let bodies = self.bodies().into_iter();
        bodies
            .map(|body| body["time"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The service on one simulated disk.
pub(crate) struct Scheduler {
    pub(crate) kept: Arc<Kept>,
    pub(crate) door: Arc<Door>,
    router: Router,
    disk: Disk,
    control: ClockControl,
}

impl Scheduler {
    pub(crate) async fn new() -> Scheduler {
        let (store, disk, control) = simulated::open(7);
        Scheduler::on(&store, disk, control, Arc::default()).await
    }

    pub(crate) async fn after(image: Image, kept: Arc<Kept>) -> Scheduler {
        let (store, disk, control) = simulated::reopen(image).unwrap();
        Scheduler::on(&store, disk, control, kept).await
    }

    async fn on(
        store: &store::Store,
        disk: Disk,
        control: ClockControl,
        kept: Arc<Kept>,
    ) -> Scheduler {
        let door = Arc::new(Door {
            kept: kept.clone(),
            is_shut: AtomicBool::new(false),
        });
        let opened = scheduler::open(store, door.clone(), disk.tasks());
        let router = Router::new(Access::off()).with(scheduler::service(opened.await.unwrap()));
        let scheduler = Scheduler {
            kept,
            door,
            router,
            disk,
            control,
        };
        scheduler.settle().await;
        scheduler
    }

    pub(crate) fn crash(&self) -> Image {
        self.door.is_shut.store(true, Ordering::Relaxed);
        self.disk.crash()
    }

    pub(crate) async fn settle(&self) {
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

    pub(crate) fn now(&self) -> Time {
        self.disk.clock().now()
    }

    /// Sets the wall clock alone.
    pub(crate) fn jump_to(&self, wall: Time) {
        self.control.jump_to(wall);
    }

    pub(crate) async fn call(&self, method: &str, path: &str, input: Value) -> (u16, Value) {
        let body = match &input {
            Value::Null => String::new(),
            input => input.to_string(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: self.disk.clock().now().unix_millis(),
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, method: &str, path: &str, input: Value) -> Value {
        let (status, answer) = self.call(method, path, input).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null).await
    }

    /// A schedule `s` to the queue.
    pub(crate) async fn schedule(&self, expression: &str, more: Value) {
        self.ok("POST", "/schedules/s", input(expression, more))
            .await;
    }
}

pub(crate) fn input(expression: &str, more: Value) -> Value {
    let mut input = json!({
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": QUEUE, "RoleArn": "arn:aws:iam::000000000000:role/r"},
    });
    if let Value::Object(more) = more {
        input.as_object_mut().unwrap().extend(more);
    }
    input
}
