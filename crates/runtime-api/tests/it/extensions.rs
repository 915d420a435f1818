use std::sync::{Arc, Mutex};

use bytes::Bytes;
use runtime_api::{Due, Facts, Function, Host, InitEnd, Reply, Standing, Subscriber, Telemetry};
use serde_json::{Value, json};

use crate::client::{Answer, Client, REQUEST, call, invocation, path, with_session_of};

const REGISTER: &str = "/2020-01-01/extension/register";
const NEXT: &str = "/2020-01-01/extension/event/next";
const BOTH: &[u8] = br#"{"events":["INVOKE","SHUTDOWN"]}"#;
const INVOKE: &[u8] = br#"{"events":["INVOKE"]}"#;

#[derive(Default)]
struct Kept(Mutex<Vec<Arc<Subscriber>>>);

impl Host for Kept {
    fn time(&self) -> String {
        "2026-01-02T03:04:05.678Z".to_owned()
    }

    fn subscribed(&self, subscriber: Arc<Subscriber>) {
        self.0.lock().unwrap().push(subscriber);
    }
}

fn facts(external: &[&str]) -> Facts {
    Facts {
        seed: "e".to_owned(),
        external: external.iter().map(|e| (*e).to_owned()).collect(),
        function: Arc::new(Function {
            name: "f".to_owned(),
            version: "$LATEST".to_owned(),
            handler: "i.h".to_owned(),
            account: "000000000000".to_owned(),
        }),
        telemetry: Telemetry::default(),
        stopwatch: None,
        credentials: None,
        host: None,
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

async fn register(client: &mut Client, name: &str, body: &[u8]) -> Answer {
    let header = format!("Lambda-Extension-Name: {name}\r\n");
    client.post(REGISTER, &header, body).await
}

/// Registers and gives the header that identifies the extension from then on.
async fn registered(client: &mut Client, name: &str, body: &[u8]) -> String {
    let answer = register(client, name, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.header("Lambda-Extension-Identifier").unwrap();
    format!("Lambda-Extension-Identifier: {id}\r\n")
}

#[test]
fn an_extension_learns_of_the_function_and_of_its_invocations() {
    with_session_of(facts(&["ext"]), |mut handle, address| async move {
        let mut runtime = Client::connect(address).await;
        let mut client = Client::connect(address).await;
        let extension = async {
            let header =
                "Lambda-Extension-Name: ext\r\nLambda-Extension-Accept-Feature: accountId\r\n";
            let answer = client.post(REGISTER, header, BOTH).await;
            assert_eq!(
                json(&answer),
                json!({
                    "functionName": "f", "functionVersion": "$LATEST", "handler": "i.h",
                    "accountId": "000000000000",
                })
            );
            let id = answer.header("Lambda-Extension-Identifier").unwrap();
            let header = format!("Lambda-Extension-Identifier: {id}\r\n");
            let event = client.ask("GET", NEXT, &header, b"").await;
            assert!(event.header("Lambda-Extension-Event-Identifier").is_some());
            assert_eq!(
                json(&event),
                json!({
                    "eventType": "INVOKE",
                    "deadlineMs": 1_700_000_000_123_i64,
                    "requestId": REQUEST,
                    "invokedFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                    "tracing": {
                        "type": "X-Amzn-Trace-Id",
                        "value": "Root=1-00000000-000000000000000000000000;Sampled=0",
                    },
                })
            );
            let event = client.ask("GET", NEXT, &header, b"").await;
            assert_eq!(
                json(&event),
                json!({"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 7})
            );
        };
        let function = async {
            runtime.get(&path("invocation/next")).await;
            runtime.post(&invocation("response"), "", b"1").await;
            runtime
                .send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
                .await;
        };
        let server = async {
            assert!(handle.registered().await.is_ok());
            assert_eq!(handle.init_end().await, InitEnd::Ready);
            handle.close_registration();
            assert!(handle.has_extensions());
            let reply = handle.invoke(call(b"1"), None).await;
            assert_eq!(reply, Reply::Response(Bytes::from_static(b"1")));
            handle.idle().await;
            assert_eq!(handle.shut_down("spindown", 7), ["ext"]);
        };
        tokio::join!(extension, function, server);
    });
}

#[test]
fn the_environment_is_idle_when_its_extensions_are() {
    with_session_of(facts(&["ext"]), |mut handle, address| async move {
        let mut runtime = Client::connect(address).await;
        let mut client = Client::connect(address).await;
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let extension = async {
            let header = registered(&mut client, "ext", INVOKE).await;
            client.ask("GET", NEXT, &header, b"").await;
            gone.await.unwrap();
            client
                .send(format!("GET {NEXT} HTTP/1.1\r\n{header}\r\n").as_bytes())
                .await;
        };
        let function = async {
            runtime.get(&path("invocation/next")).await;
            runtime.post(&invocation("response"), "", b"1").await;
            runtime
                .send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
                .await;
        };
        let server = async {
            assert_eq!(handle.init_end().await, InitEnd::Ready);
            handle.invoke(call(b"1"), None).await;
            handle.runtime_idle().await;
            assert_eq!(handle.extensions()[0].standing, Standing::Running);
            go.send(()).unwrap();
            handle.idle().await;
            assert_eq!(handle.extensions()[0].standing, Standing::Ready);
        };
        tokio::join!(extension, function, server);
    });
}

#[test]
fn wrong_requests_are_refused_with_the_types_of_the_api() {
    with_session_of(facts(&["ext"]), |mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let refused = |answer: Answer| {
            assert_eq!(answer.status, 403, "{}", answer.text());
            json(&answer)["errorType"].as_str().unwrap().to_owned()
        };
        let answer = client.post(REGISTER, "", BOTH).await;
        assert_eq!(refused(answer), "Extension.InvalidExtensionName");
        let answer = register(&mut client, "ext", b"{").await;
        assert_eq!(refused(answer), "InvalidRequestFormat");
        let answer = register(&mut client, "ext", br#"{"configurationKeys":["A"]}"#).await;
        assert_eq!(refused(answer), "InvalidRequestFormat");
        let answer = register(&mut client, "ext", br#"{"events":["RESUME"]}"#).await;
        assert_eq!(refused(answer), "Extension.InvalidEventType");
        let answer = register(&mut client, "inner", BOTH).await;
        assert_eq!(refused(answer), "Extension.InvalidEventType");
        let answer = client.get(NEXT).await;
        assert_eq!(refused(answer), "Extension.MissingExtensionIdentifier");
        let answer = client
            .ask("GET", NEXT, "Lambda-Extension-Identifier: x\r\n", b"")
            .await;
        assert_eq!(refused(answer), "Extension.InvalidExtensionIdentifier");
        let id = "Lambda-Extension-Identifier: 00000000-0000-4000-8000-000000000000\r\n";
        let answer = client.ask("GET", NEXT, id, b"").await;
        assert_eq!(refused(answer), "Extension.UnknownExtensionIdentifier");
        let header = registered(&mut client, "ext", BOTH).await;
        let answer = register(&mut client, "ext", BOTH).await;
        assert_eq!(refused(answer), "Extension.InvalidExtensionState");
        let answer = client
            .post("/2020-01-01/extension/init/error", &header, b"")
            .await;
        assert_eq!(refused(answer), "Extension.MissingHeader");
        for n in 1..10 {
            registered(&mut client, &format!("inner{n}"), INVOKE).await;
        }
        let answer = register(&mut client, "inner10", INVOKE).await;
        assert_eq!(refused(answer), "Extension.TooManyExtensions");
        handle.close_registration();
        let answer = register(&mut client, "late", INVOKE).await;
        assert_eq!(refused(answer), "Extension.RegistrationClosed");
    });
}

#[test]
fn an_extension_that_gives_up_ends_the_init_phase() {
    for (what, standing) in [("init", Standing::InitError), ("exit", Standing::ExitError)] {
        with_session_of(facts(&["ext"]), |mut handle, address| async move {
            let mut client = Client::connect(address).await;
            let header = registered(&mut client, "ext", BOTH).await;
            let header = format!("{header}Lambda-Extension-Function-Error-Type: Ext.Broken\r\n");
            let target = format!("/2020-01-01/extension/{what}/error");
            let answer = client.post(&target, &header, b"{}").await;
            assert_eq!(
                (answer.status, answer.text()),
                (202, "{\"status\":\"OK\"}\n")
            );
            let InitEnd::Extension(extension) = handle.init_end().await else {
                panic!("{what}: no failure");
            };
            assert_eq!(extension.standing, standing);
            assert_eq!(extension.error_type.as_deref(), Some("Ext.Broken"));
        });
    }
}

#[test]
fn the_end_of_an_extension_is_a_failure_until_the_environment_ends() {
    with_session_of(facts(&["ext"]), |mut handle, address| async move {
        let mut client = Client::connect(address).await;
        registered(&mut client, "ext", BOTH).await;
        assert_eq!(handle.extension_exited("ext"), Standing::Registered);
        assert_eq!(handle.extension_failure().await.standing, Standing::Exited);
    });
}

#[test]
fn a_subscriber_gets_events_from_the_start_of_the_environment() {
    let host = Arc::new(Kept::default());
    let facts = Facts {
        host: Some(host.clone()),
        ..facts(&["ext"])
    };
    let hub = facts.telemetry.clone();
    with_session_of(facts, |mut handle, address| async move {
        let category = runtime_api::Category::Platform;
        hub.emit(
            category,
            "2026-01-02T03:04:05.000Z",
            "platform.initStart",
            &json!({}),
        );
        let mut client = Client::connect(address).await;
        let header = registered(&mut client, "ext", BOTH).await;
        let body = json!({
            "schemaVersion": "2022-12-13", "types": ["platform"],
            "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/"},
        });
        let text = body.to_string();
        let answer = client
            .ask("PUT", "/2022-07-01/telemetry", &header, text.as_bytes())
            .await;
        assert_eq!((answer.status, answer.text()), (200, "\"OK\""));
        let wrong = text.replace("8080", "9001");
        let answer = client
            .ask("PUT", "/2022-07-01/telemetry", &header, wrong.as_bytes())
            .await;
        assert_eq!(answer.status, 400);
        assert_eq!(json(&answer)["errorType"], "ValidationError");
        let subscriber = host.0.lock().unwrap()[0].clone();
        assert_ne!(subscriber.due(), Due::Empty);
        let kinds: Vec<String> = subscriber
            .take("")
            .iter()
            .map(|t| serde_json::from_str::<Value>(t).unwrap()["type"].to_string())
            .collect();
        assert_eq!(
            kinds,
            [
                r#""platform.initStart""#,
                r#""platform.telemetrySubscription""#
            ]
        );
        handle.close_registration();
        let answer = client
            .ask("PUT", "/2022-07-01/telemetry", &header, text.as_bytes())
            .await;
        assert_eq!(answer.status, 403);
        assert_eq!(json(&answer)["errorType"], "Telemetry.SubscriptionClosed");
    });
}

#[test]
fn without_a_way_in_subscriptions_are_accepted_and_do_nothing() {
    with_session_of(facts(&["ext"]), |handle, address| async move {
        let _handle = handle;
        let mut client = Client::connect(address).await;
        let header = registered(&mut client, "ext", BOTH).await;
        let answer = client.ask("PUT", "/2020-08-15/logs", &header, b"{}").await;
        assert_eq!(answer.status, 202);
        assert_eq!(json(&answer)["errorType"], "Logs.NotSupported");
    });
}
