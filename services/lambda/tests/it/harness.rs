use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use ::invoke::{Catalog, EventQueue, Invoke, InvokeConfig, Parts, SessionKeys};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use functions::{Functions, FunctionsConfig};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use model::Arn;
use model::ports::{NoLogs, QueueFacts, QueueMessage, QueueReader, Unread};
use sandbox::fake::Fake;
use serde_json::{Value, json};
use store::simulated;
use tasks::{ClockControl, Tasks};
use wire::{Access, CallInfo, Router};

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/r";
pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function";
pub(crate) const FUNCTIONS: &str = "/2015-03-31/functions";
pub(crate) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000001";

/// Queues `q` and `q.fifo`, and `slow`, whose messages come back too early.
struct Queues;

#[async_trait::async_trait]
impl QueueReader for Queues {
    async fn facts(&self, queue: &Arn) -> Result<QueueFacts, Unread> {
        let seconds = match queue.resource.as_str() {
            "q" | "q.fifo" => 30,
            "slow" => 2,
            _ => {
                return Err(Unread {
                    code: "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
                    message: "The specified queue does not exist.".to_owned(),
                    is_retryable: false,
                });
            }
        };
        Ok(QueueFacts {
            is_fifo: queue.resource.ends_with(".fifo"),
            visibility_timeout: Duration::from_secs(seconds),
        })
    }

    async fn receive(&self, _: &Arn, _: usize, _: Duration) -> Result<Vec<QueueMessage>, Unread> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &Arn, _: &[String]) -> Result<(), Unread> {
        Ok(())
    }

    async fn hold(&self, _: &Arn, _: &str, _: Duration) -> Result<(), Unread> {
        Ok(())
    }
}

/// The service on one simulated disk.
pub(crate) struct Api {
    router: Router,
    clock: ClockControl,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    /// The error's code, and its message under whichever key it stands.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let message = json.get("message").or_else(|| json.get("Message"));
        let code = self.header("x-amzn-errortype").unwrap_or_default();
        let message = message.and_then(Value::as_str).unwrap_or_default();
        (self.status, code.to_owned(), message.to_owned())
    }
}

impl Api {
    pub(crate) async fn new() -> Api {
        Api::with(|fake| fake).await
    }

    pub(crate) async fn with(script: impl FnOnce(Fake) -> Fake) -> Api {
        let (store, disk, clock) = simulated::open(3);
        let tasks = disk.tasks().clone();
        let folder = tempfile::tempdir().unwrap();
        let config = FunctionsConfig::new(folder.path().to_owned());
        let functions = Functions::open(config, &store, &tasks).await.unwrap();
        let parts = Parts {
            functions: functions.clone(),
            sandbox: Arc::new(script(Fake::new(disk.clock()))),
            catalog: Arc::new(Catalog::new(
                Vec::new(),
                None,
                folder.path().join("runtimes"),
            )),
            sink: Arc::new(NoLogs),
            keys: SessionKeys::default(),
            tasks: tasks.clone(),
        };
        let invoke = Invoke::new(InvokeConfig::default(), parts);
        let events = EventQueue::new(&store, &tasks);
        let outbox = targets::DurableOutbox::open(&store, &tasks);
        tasks.add(invoke.drain(&events, Arc::new(outbox)));
        let deps = lambda::Deps {
            functions,
            invoke,
            events,
            tasks: tasks.clone(),
            control_rates: false,
            url_base: lambda::UrlBase::new("localhost", 4566),
            queues: Arc::new(Queues),
            roles: None,
        };
        let hosts = lambda::urls(&deps);
        let router = Router::new(Access::off()).with_hosts(hosts);
        Api {
            router: router.with(lambda::service(deps)),
            clock,
            tasks,
            _folder: folder,
        }
    }

    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        let has_host = request
            .headers_ref()
            .is_some_and(|h| h.contains_key("host"));
        let request = match has_host {
            true => request,
            false => request.header("host", "127.0.0.1:4566"),
        };
        let request: Request<Full<Bytes>> = request.body(Full::new(body.into())).unwrap();
        let call = CallInfo {
            request_id: REQUEST_ID.to_owned(),
            now_unix_ms: self.tasks.clock().now().unix_millis(),
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(Request::builder().method(method).uri(path), text)
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    pub(crate) async fn create(&self, name: &str) -> Answer {
        self.call("POST", FUNCTIONS, request(name)).await
    }

    /// A function that is active.
    pub(crate) async fn active(&self, name: &str) {
        let answer = self.create(name).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        self.settle(name).await;
    }

    /// Lets the time of settling pass and waits until the change is in force.
    pub(crate) async fn settle(&self, name: &str) {
        for _ in 0..1_000 {
            self.clock.advance(FunctionsConfig::SETTLE);
            tokio::task::yield_now().await;
            let json = self
                .get(&format!("{FUNCTIONS}/{name}/configuration"))
                .await
                .json();
            if json["State"] == "Active" && json["LastUpdateStatus"] == "Successful" {
                return;
            }
        }
        panic!("{name} does not settle");
    }

    pub(crate) fn advance(&self, by: std::time::Duration) {
        self.clock.advance(by);
    }
}

pub(crate) fn zip(text: &str) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner().into()
}

pub(crate) fn encoded(text: &str) -> String {
    STANDARD.encode(zip(text))
}

/// The least that CreateFunction needs.
pub(crate) fn request(name: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "provided.al2023",
        "Role": ROLE,
        "Handler": "a.b",
        "Code": {"ZipFile": encoded("1")},
    })
}

/// The same with one member set; null takes it away.
pub(crate) fn with(mut request: Value, member: &str, value: Value) -> Value {
    let members = request.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(member),
        value => members.insert(member.to_owned(), value),
    };
    request
}

/// Puts words in the place of what differs from run to run.
pub(crate) fn tamed(mut json: Value) -> Value {
    match &mut json {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let word = match name.as_str() {
                    "RevisionId" => "<revision>",
                    "LastModified" => "<date>",
                    "CodeSha256" => "<sha256>",
                    "CodeSize" => "<size>",
                    "RuntimeVersionArn" => "<runtime>",
                    "Location" => "<location>",
                    _ => {
                        *value = tamed(value.take());
                        continue;
                    }
                };
                *value = word.into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| *v = tamed(v.take())),
        _ => {}
    }
    json
}

/// What AWS answers for `f` with nothing but the least set; without states.
pub(crate) fn minimal() -> Value {
    json!({
        "Architectures": ["x86_64"],
        "CodeSha256": "<sha256>",
        "CodeSize": "<size>",
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": format!("{ARN}:f"),
        "FunctionName": "f",
        "Handler": "a.b",
        "LastModified": "<date>",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "MemorySize": 128,
        "PackageType": "Zip",
        "RevisionId": "<revision>",
        "Role": ROLE,
        "Runtime": "provided.al2023",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    })
}

pub(crate) fn and(mut json: Value, more: Value) -> Value {
    let members = json.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    json
}

/// The members that tell a function's state.
pub(crate) fn pending() -> Value {
    json!({
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime>"},
    })
}

pub(crate) fn active() -> Value {
    json!({
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "<runtime>"},
    })
}

pub(crate) fn updating() -> Value {
    and(
        active(),
        json!({
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }),
    )
}
