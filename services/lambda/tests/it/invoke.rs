use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use sandbox::fake::Reply;
use serde_json::json;

use crate::harness::{ARN, Answer, Api, FUNCTIONS, REQUEST_ID};

async fn invoke(api: &Api, name: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut request = Request::post(format!("{FUNCTIONS}/{name}"));
    for (header, value) in headers {
        request = request.header(*header, *value);
    }
    api.send(request, body).await
}

async fn echo() -> Api {
    let api = Api::with(|fake| {
        fake.answers(|call| Reply::success(call.payload.clone()).prints("a line"))
    });
    let api = api.await;
    api.active("f").await;
    api
}

#[tokio::test]
async fn an_answer_is_the_function_s_own_bytes() {
    let api = echo().await;
    let answer = invoke(&api, "f/invocations", &[], "{\"k\":  1}").await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &b"{\"k\":  1}"[..])
    );
    assert_eq!(answer.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(answer.header("x-amz-function-error"), None);
    assert_eq!(answer.header("x-amz-log-result"), None);
    assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID));
}

#[tokio::test]
async fn no_payload_is_an_empty_object() {
    let api = echo().await;
    assert_eq!(
        &invoke(&api, "f/invocations", &[], "").await.body[..],
        b"{}"
    );
}

#[tokio::test]
async fn a_function_that_is_still_pending_is_made_ready() {
    let api = Api::with(|fake| fake.answers(|call| Reply::success(call.payload.clone()))).await;
    api.create("f").await;
    assert_eq!(invoke(&api, "f/invocations", &[], "1").await.status, 200);
}

#[tokio::test]
async fn an_error_of_the_function_is_a_header() {
    let api = Api::with(|fake| {
        fake.answers(|_| {
            Reply::error(
                "ValueError",
                r#"{"errorMessage":"x","errorType":"ValueError"}"#,
            )
        })
    });
    let api = api.await;
    api.active("f").await;
    let answer = invoke(&api, "f/invocations", &[], "{}").await;
    assert_eq!(
        (answer.status, answer.header("x-amz-function-error")),
        (200, Some("Unhandled"))
    );
    assert_eq!(answer.json()["errorType"], "ValueError");
}

#[tokio::test]
async fn the_log_tail_comes_when_asked_for() {
    let api = echo().await;
    let answer = invoke(&api, "f/invocations", &[("X-Amz-Log-Type", "Tail")], "{}").await;
    let log = STANDARD
        .decode(answer.header("x-amz-log-result").unwrap())
        .unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(
        log.contains(&format!("START RequestId: {REQUEST_ID} Version: $LATEST")),
        "{log}"
    );
    assert!(
        log.contains("a line\n") && log.contains("REPORT RequestId"),
        "{log}"
    );
}

#[tokio::test]
async fn a_version_is_run_by_its_number() {
    let api = echo().await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    for name in ["f:1/invocations", "f/invocations?Qualifier=1"] {
        let answer = invoke(&api, name, &[], "{}").await;
        assert_eq!(answer.header("x-amz-executed-version"), Some("1"), "{name}");
    }
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let api = Api::with(|fake| fake.answers(|_| Reply::never())).await;
    api.active("f").await;
    let dry = [("X-Amz-Invocation-Type", "DryRun")];
    let answer = invoke(&api, "f/invocations", &dry, "").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(invoke(&api, "x/invocations", &dry, "").await.status, 404);
}

#[tokio::test]
async fn an_event_is_accepted_and_runs_later() {
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let api = Api::with(move |fake| {
        fake.answers(move |call| {
            told.send(call.payload.clone()).unwrap();
            Reply::success("null")
        })
    });
    let api = api.await;
    api.active("f").await;
    let event = [("X-Amz-Invocation-Type", "Event")];
    let answer = invoke(&api, "f/invocations", &event, "{\"k\": 1}").await;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    assert_eq!(answer.header("x-amz-executed-version"), None);
    assert_eq!(&calls.recv().await.unwrap()[..], b"{\"k\": 1}");
    assert_eq!(
        invoke(&api, "x/invocations", &event, "{}").await.status,
        404
    );
}

#[tokio::test]
async fn calls_that_cannot_be_are_refused() {
    let api = echo().await;
    let not_found = |arn: &str| {
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}:{arn}"),
        )
    };
    type Case<'a> = (
        &'a str,
        Vec<(&'a str, &'a str)>,
        &'static str,
        (u16, &'a str, String),
    );
    let cases: Vec<Case<'_>> = vec![
        ("x/invocations", vec![], "{}", not_found("x:$LATEST")),
        ("f/invocations?Qualifier=9", vec![], "{}", not_found("f:9")),
        ("f:live/invocations", vec![], "{}", not_found("f:live")),
        (
            "f/invocations",
            vec![("X-Amz-Invocation-Type", "Sync")],
            "{}",
            (400, "ValidationException", "1 validation error detected: Value 'Sync' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]".to_owned()),
        ),
        (
            "f/invocations",
            vec![("X-Amz-Client-Context", "%%%")],
            "{}",
            (400, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.".to_owned()),
        ),
    ];
    for (name, headers, body, (status, code, message)) in cases {
        let answer = invoke(&api, name, &headers, body).await;
        assert_eq!(answer.error(), (status, code.to_owned(), message), "{name}");
    }
    let (status, code, message) = invoke(&api, "f/invocations", &[], "{").await.error();
    assert_eq!(
        (status, code.as_str()),
        (400, "InvalidRequestContentException")
    );
    assert!(
        message.starts_with("Could not parse request body into json: "),
        "{message}"
    );
}

#[tokio::test]
async fn a_payload_has_its_limit() {
    let api = echo().await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let text = |n: usize| format!("\"{}\"", "x".repeat(n - 2));
    let fits = api.send(Request::post(&path), text(6_291_456)).await;
    assert_eq!((fits.status, fits.body.len()), (200, 6_291_456));
    let over = api.send(Request::post(&path), text(6_291_457)).await;
    assert_eq!(
        over.error(),
        (
            413,
            "RequestTooLargeException".to_owned(),
            "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)".to_owned()
        )
    );
    let event = Request::post(&path).header("X-Amz-Invocation-Type", "Event");
    let over = api.send(event, text(1_048_577)).await;
    assert_eq!(
        over.error().2,
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
    );
}
