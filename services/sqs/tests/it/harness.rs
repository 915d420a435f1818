use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::simulated::{self, Disk, Image};
use tasks::{Ids, Tasks};
use wire::{Access, CallInfo, Router};

use crate::query;

/// How the client of a test speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speech {
    Json,
    Query,
}

/// SQS on one simulated disk.
pub(crate) struct Sqs {
    pub(crate) engine: std::sync::Arc<sqs::Engine>,
    router: Router,
    disk: Disk,
    /// Of this life of the server alone: they end with it.
    tasks: Tasks,
    speech: Speech,
}

impl Drop for Sqs {
    fn drop(&mut self) {
        self.tasks.request_stop();
    }
}

/// Runs a case over both protocols.
pub(crate) async fn over_both(case: impl AsyncFn(Sqs)) {
    for speech in [Speech::Json, Speech::Query] {
        eprintln!("over {speech:?}");
        case(Sqs::speaking(speech)).await;
    }
}

impl Sqs {
    pub(crate) fn new() -> Sqs {
        Sqs::speaking(Speech::Json)
    }

    fn speaking(speech: Speech) -> Sqs {
        let (store, disk, _) = simulated::open(7);
        Sqs::on(&store, disk, speech)
    }

    pub(crate) fn after(image: Image) -> Sqs {
        let (store, disk, _) = simulated::reopen(image).unwrap();
        Sqs::on(&store, disk, Speech::Json)
    }

    /// The same server on what a power cut leaves of the disk.
    pub(crate) fn again(&self) -> Sqs {
        let (store, disk, _) = simulated::reopen(self.disk.crash()).unwrap();
        Sqs::on(&store, disk, self.speech)
    }

    fn on(store: &store::Store, disk: Disk, speech: Speech) -> Sqs {
        let tasks = Tasks::new(disk.clock().clone(), Ids::seeded(disk.ids().u64()));
        let engine = sqs::open(store, &tasks);
        let router = Router::new(Access::off()).with(sqs::service(engine.clone()));
        Sqs {
            engine,
            router,
            disk,
            tasks,
            speech,
        }
    }

    pub(crate) fn clock(&self) -> &tasks::Clock {
        self.disk.clock()
    }

    pub(crate) fn control(&self) -> tasks::ClockControl {
        self.disk.control()
    }

    pub(crate) fn crash(&self) -> Image {
        self.disk.crash()
    }

    /// Moves the clock and lets the background work go on.
    pub(crate) async fn pass(&self, time: Duration) {
        settle().await;
        self.disk.control().advance(time);
        settle().await;
    }

    pub(crate) async fn pass_s(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// Status, the older protocol's error code, and the answer.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> (u16, String, Value) {
        let request = Request::post("/").header("host", "127.0.0.1:4566");
        let request = match self.speech {
            Speech::Json => request
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amz-target", format!("AmazonSQS.{operation}"))
                .body(body.to_string()),
            Speech::Query => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(query::form(operation, &body)),
        };
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: 0,
            loopback: true,
        };
        let response = self.router.handle(request.unwrap(), call).await;
        let status = response.status().as_u16();
        let code = response.headers().get("x-amzn-query-error");
        let code = code.map_or("", |c| c.to_str().unwrap()).to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        match self.speech {
            Speech::Json => {
                let json = serde_json::from_slice(&body).unwrap_or(json!({}));
                (status, code, json)
            }
            Speech::Query => query::answer(status, operation, std::str::from_utf8(&body).unwrap()),
        }
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, _, json) = self.call(operation, body).await;
        assert_eq!(status, 200, "{operation}: {json}");
        json
    }

    /// A call that must be refused with this code and text.
    pub(crate) async fn refused(&self, operation: &str, body: Value, code: &str, text: &str) {
        let (status, got, json) = self.call(operation, body).await;
        assert!(status >= 400, "{operation}: {json}");
        assert_eq!(got, format!("{code};Sender"), "{operation}: {json}");
        assert_eq!(json["message"], text, "{operation}");
    }

    pub(crate) async fn create(&self, name: &str) -> String {
        self.create_with(name, json!({})).await
    }

    pub(crate) async fn create_with(&self, name: &str, attributes: Value) -> String {
        let input = json!({"QueueName": name, "Attributes": attributes});
        let made = self.ok("CreateQueue", input).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, url: &str, body: &str) -> Value {
        let input = json!({"QueueUrl": url, "MessageBody": body});
        self.ok("SendMessage", input).await
    }

    /// Up to ten messages that are ready.
    pub(crate) async fn receive(&self, url: &str) -> Vec<Value> {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"]});
        let answer = self.ok("ReceiveMessage", input).await;
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn bodies(&self, url: &str) -> Vec<String> {
        bodies(&self.receive(url).await)
    }

    pub(crate) async fn delete(&self, url: &str, message: &Value) {
        let input = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
        self.ok("DeleteMessage", input).await;
    }

    /// Ready, delayed and in flight.
    pub(crate) async fn counts(&self, url: &str) -> [u64; 3] {
        let input = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        let all = self.ok("GetQueueAttributes", input).await;
        ["", "Delayed", "NotVisible"].map(|state| {
            let name = format!("ApproximateNumberOfMessages{state}");
            all["Attributes"][name].as_str().unwrap().parse().unwrap()
        })
    }
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn bodies(messages: &[Value]) -> Vec<String> {
    let body = |m: &Value| m["Body"].as_str().unwrap().to_owned();
    messages.iter().map(body).collect()
}
