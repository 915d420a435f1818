use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::simulated::{self, Disk, Image};
use wire::{Access, CallInfo, Router};

/// SQS on one simulated disk.
pub(crate) struct Sqs {
    router: Router,
    disk: Disk,
}

impl Sqs {
    pub(crate) fn new() -> Sqs {
        let (store, disk, _) = simulated::open(7);
        Sqs::on(&store, disk)
    }

    pub(crate) fn after(image: Image) -> Sqs {
        let (store, disk, _) = simulated::reopen(image).unwrap();
        Sqs::on(&store, disk)
    }

    fn on(store: &store::Store, disk: Disk) -> Sqs {
        let service = sqs::service(sqs::open(store, disk.tasks()));
        let router = Router::new(Access::off()).with(service);
        Sqs { router, disk }
    }

    pub(crate) fn crash(&self) -> Image {
        self.disk.crash()
    }

    /// Status, the older protocol's error code, and the answer.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> (u16, String, Value) {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("host", "127.0.0.1:4566")
            .body(body.to_string())
            .unwrap();
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: 0,
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let code = response.headers().get("x-amzn-query-error");
        let code = code.map_or("", |c| c.to_str().unwrap()).to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (status, code, json)
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, _, json) = self.call(operation, body).await;
        assert_eq!(status, 200, "{operation}: {json}");
        json
    }

    pub(crate) async fn create(&self, name: &str) -> String {
        let made = self.ok("CreateQueue", json!({"QueueName": name})).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }
}
