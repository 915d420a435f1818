use bytes::Bytes;
use model::FunctionError;
use runtime_api::{InitEnd, Reply};

use crate::client::{Client, REQUEST, call, invocation, path, with_session};

fn error(kind: Option<&str>, payload: &str) -> FunctionError {
    FunctionError {
        kind: kind.map(str::to_owned),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

#[test]
fn an_event_goes_out_and_its_answer_comes_back() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        for n in 0..3u32 {
            let event = format!("{{\"n\":{n}}}");
            let runtime = async {
                let next = client.get(&path("invocation/next")).await;
                assert_eq!(next.status, 200);
                assert_eq!(next.text(), event);
                let posted = client.post(&invocation("response"), "", b"42").await;
                assert_eq!(
                    (posted.status, posted.text()),
                    (202, "{\"status\":\"OK\"}\n")
                );
            };
            let server = async {
                assert_eq!(handle.init_end().await, InitEnd::Ready);
                handle.idle().await;
                let reply = handle.invoke(call(event.as_bytes()), None).await;
                assert_eq!(reply, Reply::Response(Bytes::from_static(b"42")));
            };
            tokio::join!(runtime, server);
        }
    });
}

#[test]
fn an_event_that_comes_before_the_runtime_asks_is_kept_for_it() {
    with_session(|mut handle, address| async move {
        let runtime = async {
            tokio::task::yield_now().await;
            let mut client = Client::connect(address).await;
            let next = client.get(&path("invocation/next")).await;
            assert_eq!(next.text(), "1");
            // A runtime that asks again before it answered gets the same event.
            let mut other = Client::connect(address).await;
            assert_eq!(other.get(&path("invocation/next")).await, next);
            client.post(&invocation("response"), "", b"").await;
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"1"), None), runtime);
        assert_eq!(reply, Reply::Response(Bytes::new()));
    });
}

#[test]
fn the_event_carries_the_headers_of_the_invocation() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let runtime = async {
            let next = client.get(&path("invocation/next")).await;
            for (name, value) in [
                ("Content-Type", "application/json"),
                ("Lambda-Runtime-Aws-Request-Id", REQUEST),
                ("Lambda-Runtime-Deadline-Ms", "1700000000123"),
                (
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:000000000000:function:f",
                ),
                (
                    "Lambda-Runtime-Trace-Id",
                    "Root=1-00000000-000000000000000000000000;Sampled=0",
                ),
                ("Lambda-Runtime-Client-Context", "{ \"custom\":{}}"),
                (
                    "Lambda-Runtime-Cognito-Identity",
                    "{\"cognitoIdentityId\":\"i\"}",
                ),
                ("Lambda-Runtime-Aws-Tenant-Id", "blue"),
            ] {
                assert_eq!(next.header(name), Some(value), "{name}");
            }
            let id = next.header("Lambda-Runtime-Invocation-Id").unwrap();
            let wrong = format!("Lambda-Runtime-Invocation-Id: {id}0\r\n");
            let posted = client.post(&invocation("response"), &wrong, b"1").await;
            assert_eq!(posted.status, 400);
            let right = format!("Lambda-Runtime-Invocation-Id: {id}\r\n");
            let posted = client.post(&invocation("response"), &right, b"1").await;
            assert_eq!(posted.status, 202);
        };
        let call = model::Call {
            client_context: Some("{\n\"custom\":{}}".into()),
            cognito_identity: Some("{\"cognitoIdentityId\":\"i\"}".into()),
            tenant_id: Some("blue".into()),
            ..call(b"{}")
        };
        tokio::join!(handle.invoke(call, None), runtime);
    });
}

#[test]
fn an_init_error_ends_the_init_phase() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let body = br#"{"errorType":"X"}"#;
        let headers = "Lambda-Runtime-Function-Error-Type: Runtime.X\r\n";
        let posted = client.post(&path("init/error"), headers, body).await;
        assert_eq!(posted.status, 202);
        let end = InitEnd::Failed(error(Some("Runtime.X"), r#"{"errorType":"X"}"#));
        assert_eq!(handle.init_end().await, end);

        let next = client.get(&path("invocation/next")).await;
        assert_eq!(next.status, 403);
        assert_eq!(
            next.text(),
            "{\"errorMessage\":\"State transition from InitError to Ready failed for runtime. Error: \
             State transition is not allowed\",\"errorType\":\"InvalidStateTransition\"}\n"
        );
    });
}

#[test]
fn restore_hooks_run_at_once_and_may_fail() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        assert_eq!(client.get(&path("restore/next")).await.status, 200);
        let headers = "Lambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\r\n";
        let posted = client.post(&path("restore/error"), headers, b"{}").await;
        assert_eq!(posted.status, 202);
        let end = InitEnd::Failed(error(Some("Runtime.AfterRestoreError"), "{}"));
        assert_eq!(handle.init_end().await, end);
    });
}

#[test]
fn an_invocation_error_is_passed_on() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let cause = "Content-Type: application/vnd.aws.lambda.error.cause+json\r\n";
        for (headers, body, want) in [
            (
                "Lambda-Runtime-Function-Error-Type: ValueError\r\n",
                r#"{"errorMessage":"no"}"#,
                error(Some("ValueError"), r#"{"errorMessage":"no"}"#),
            ),
            ("", "not JSON", error(None, "not JSON")),
            (
                cause,
                r#"{"errorMessage":"no","causes":[1]}"#,
                error(None, r#"{"errorMessage":"no"}"#),
            ),
            (cause, "not JSON", error(None, "\"Invalid error body\"")),
        ] {
            let runtime = async {
                client.get(&path("invocation/next")).await;
                let posted = client
                    .post(&invocation("error"), headers, body.as_bytes())
                    .await;
                assert_eq!(posted.status, 202);
            };
            let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
            assert_eq!(reply, Reply::Error(want));
        }
    });
}

#[test]
fn a_streamed_answer_is_gathered_and_its_trailers_may_hold_an_error() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let streaming = "Lambda-Runtime-Function-Response-Mode: streaming\r\n\
                         Trailer: Lambda-Runtime-Function-Error-Type\r\n";
        for (body, want) in [
            (
                "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                Reply::Response("abc".into()),
            ),
            (
                "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: E\r\n\
                 Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
                Reply::Error(error(Some("E"), "{}")),
            ),
        ] {
            let runtime = async {
                client.get(&path("invocation/next")).await;
                let posted = client
                    .chunked(&invocation("response"), streaming, body)
                    .await;
                assert_eq!(posted.status, 202);
            };
            let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
            assert_eq!(reply, want);
        }
    });
}

#[test]
fn an_unknown_response_mode_is_refused_and_ends_the_invocation() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let runtime = async {
            client.get(&path("invocation/next")).await;
            let mode = "Lambda-Runtime-Function-Response-Mode: magic\r\n";
            let posted = client.post(&invocation("response"), mode, b"1").await;
            assert_eq!(posted.status, 400);
            assert!(posted.text().contains("InvalidFunctionResponseMode"));
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
        let Reply::Error(error) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(
            error.kind.as_deref(),
            Some("Runtime.InvalidResponseModeHeader")
        );
    });
}

#[test]
fn answers_out_of_turn_are_refused() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let early = client.post(&invocation("response"), "", b"1").await;
        assert_eq!(early.status, 400);
        assert_eq!(
            early.text(),
            "{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n"
        );
        let runtime = async {
            client.get(&path("invocation/next")).await;
            let wrong = path("invocation/00000000-0000-0000-0000-000000000000/response");
            assert_eq!(client.post(&wrong, "", b"1").await.status, 400);
            assert_eq!(
                client.post(&path("init/error"), "", b"{}").await.status,
                403
            );
            assert_eq!(
                client.post(&invocation("response"), "", b"1").await.status,
                202
            );
            let again = client.post(&invocation("response"), "", b"1").await;
            assert_eq!(again.status, 403);
            assert!(
                again
                    .text()
                    .contains("from RuntimeResponseSentState to InvocationResponse")
            );
        };
        tokio::join!(handle.invoke(call(b"{}"), None), runtime);
    });
}

#[test]
fn a_late_answer_to_an_abandoned_call_is_refused() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        {
            let next = path("invocation/next");
            let mut invoke = Box::pin(handle.invoke(call(b"1"), None));
            tokio::select! {
                biased;
                _ = &mut invoke => panic!("nobody answered"),
                next = client.get(&next) => assert_eq!(next.text(), "1"),
            }
        }
        assert_eq!(
            client
                .post(&invocation("response"), "", b"late")
                .await
                .status,
            400
        );
        let runtime = async {
            assert_eq!(client.get(&path("invocation/next")).await.text(), "2");
            client.post(&invocation("response"), "", b"ok").await;
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"2"), None), runtime);
        assert_eq!(reply, Reply::Response("ok".into()));
    });
}

#[test]
fn other_requests_do_not_touch_the_session() {
    with_session(|handle, address| async move {
        let _kept = handle;
        let mut client = Client::connect(address).await;
        let ping = client.get("/2018-06-01/ping").await;
        assert_eq!((ping.status, ping.text()), (200, "pong"));
        assert_eq!(client.get("/nothing").await.status, 404);
        assert_eq!(client.post("/nothing", "", b"some body").await.status, 404);
        assert_eq!(
            client.post(&path("invocation/next"), "", b"").await.status,
            405
        );
        assert_eq!(client.get("/2018-06-01/ping").await.status, 200);
    });
}

#[test]
fn a_runtime_may_answer_and_ask_in_one_write() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let next = format!("GET {} HTTP/1.1\r\n\r\n", path("invocation/next"));
        client.send(next.as_bytes()).await;
        for n in 0..3 {
            let runtime = async {
                if n > 0 {
                    assert_eq!(client.answer().await.status, 202);
                }
                assert_eq!(client.answer().await.text(), n.to_string());
                let head = format!("POST {} HTTP/1.1", invocation("response"));
                let both = format!("{head}\r\nContent-Length: 2\r\n\r\nok{next}");
                client.send(both.as_bytes()).await;
            };
            let server = async {
                let reply = handle.invoke(call(n.to_string().as_bytes()), None).await;
                assert_eq!(reply, Reply::Response("ok".into()));
                handle.idle().await;
            };
            tokio::join!(runtime, server);
        }
    });
}
