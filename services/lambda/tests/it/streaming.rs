//! InvokeWithResponseStream and InvokeAsync.  [INV-19, INV-20]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use sandbox::fake::Reply;
use serde_json::{Value, json};

use crate::harness::{ARN, Answer, Api};

const STREAM: &str = "/2021-11-15/functions";

/// Name and payload of each event of an answer.
fn events(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let mut rest = &answer.body[..];
    let mut events = Vec::new();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
    while !rest.is_empty() {
        let (message, after) = rest.split_at(number(&rest[..4]));
        let headers = number(&message[4..8]);
        let text = String::from_utf8_lossy(&message[12..12 + headers]).into_owned();
        let names = ["PayloadChunk", "InvokeComplete"];
        let name = names.iter().find(|name| text.contains(**name)).unwrap();
        let payload = message[12 + headers..message.len() - 4].to_vec();
        events.push(((*name).to_owned(), payload));
        rest = after;
    }
    events
}

fn chunk(text: &str) -> (String, Vec<u8>) {
    ("PayloadChunk".to_owned(), text.as_bytes().to_vec())
}

fn complete(event: &(String, Vec<u8>)) -> Value {
    assert_eq!(event.0, "InvokeComplete");
    serde_json::from_slice(&event.1).unwrap()
}

async fn invoke(api: &Api, name: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    let path = format!("{STREAM}/{name}/response-streaming-invocations?{query}");
    let mut request = Request::post(path);
    for (header, value) in headers {
        request = request.header(*header, *value);
    }
    api.send(request, body).await
}

async fn api(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Api {
    let api = Api::with(|fake| fake.answers(move |_| reply())).await;
    api.active("f").await;
    api
}

#[tokio::test]
async fn a_streamed_response_is_chunks_and_an_end() {
    let api = api(|| Reply::success("").streams(Some("text/plain"), &[b"one", b"two"])).await;
    let answer = invoke(&api, "f", &[], "{}").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.amazon.eventstream")
    );
    assert_eq!(answer.header("x-amz-executed-version"), Some("$LATEST"));
    let events = events(&answer);
    assert_eq!(events[..2], [chunk("one"), chunk("two")]);
    assert_eq!(complete(&events[2]), json!({}));
}

#[tokio::test]
async fn a_buffered_result_is_one_chunk() {
    let api = api(|| Reply::success("{\"a\":1}")).await;
    let events = events(&invoke(&api, "f", &[], "{}").await);
    assert_eq!(events[0], chunk("{\"a\":1}"));
    assert_eq!((events.len(), complete(&events[1])), (2, json!({})));
}

#[tokio::test]
async fn errors_of_the_function_are_in_the_last_event() {
    const ERROR: &str = r#"{"errorMessage":"x","errorType":"E"}"#;
    let early = api(|| Reply::error("E", ERROR)).await;
    let late = api(|| Reply::error("E", ERROR).streams(None, &[b"a"])).await;
    for (api, chunks) in [(early, 0), (late, 1)] {
        let events = events(&invoke(&api, "f", &[], "{}").await);
        assert_eq!(events.len(), chunks + 1);
        let end = json!({"ErrorCode": "Unhandled", "ErrorDetails": ERROR});
        assert_eq!(complete(&events[chunks]), end);
    }
}

#[tokio::test]
async fn the_log_tail_comes_with_the_last_event() {
    let api = api(|| Reply::success("1").prints("a line")).await;
    let tail = [("X-Amz-Log-Type", "Tail")];
    let events = events(&invoke(&api, "f", &tail, "{}").await);
    let end = complete(&events[1]);
    let log = STANDARD.decode(end["LogResult"].as_str().unwrap()).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(
        log.contains("a line\n") && log.contains("REPORT RequestId"),
        "{log}"
    );
}

#[tokio::test]
async fn a_version_is_run_by_its_qualifier() {
    let api = api(|| Reply::success("1")).await;
    api.call("POST", "/2015-03-31/functions/f/versions", json!({}))
        .await;
    let answer = invoke(&api, "f?Qualifier=1", &[], "{}").await;
    assert_eq!(answer.header("x-amz-executed-version"), Some("1"));
}

#[tokio::test]
async fn a_dry_run_streams_nothing() {
    let api = api(Reply::never).await;
    let dry = [("X-Amz-Invocation-Type", "DryRun")];
    let answer = invoke(&api, "f", &dry, "").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
}

#[tokio::test]
async fn what_cannot_begin_is_an_ordinary_error() {
    let api = api(|| Reply::success("1")).await;
    for (name, header, body, status, code, text) in [
        (
            "x",
            ("X", "y"),
            "{}",
            404,
            "ResourceNotFoundException",
            "function:x:$LATEST",
        ),
        (
            "f?Qualifier=7",
            ("X", "y"),
            "{}",
            404,
            "ResourceNotFoundException",
            "function:f:7",
        ),
        (
            "f",
            ("X", "y"),
            "{",
            400,
            "InvalidRequestContentException",
            "payload into json",
        ),
        (
            "f",
            ("X-Amz-Invocation-Type", "Event"),
            "{}",
            400,
            "ValidationException",
            "Member must satisfy enum value set: [RequestResponse, DryRun]",
        ),
    ] {
        let (got, kind, message) = invoke(&api, name, &[header], body).await.error();
        assert_eq!((got, kind.as_str()), (status, code), "{message}");
        assert!(message.contains(text), "{message}");
    }
}

#[tokio::test]
async fn the_old_asynchronous_call_queues_an_event() {
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let api = Api::with(move |fake| {
        fake.answers(move |call| {
            told.send(call.payload.clone()).unwrap();
            Reply::success("null")
        })
    });
    let api = api.await;
    api.active("f").await;
    let path = |name: &str| format!("/2014-11-13/functions/{name}/invoke-async/");
    let answer = api.send(Request::post(path("f")), "{\"k\": 2}").await;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    assert_eq!(&calls.recv().await.unwrap()[..], b"{\"k\": 2}");
    let unknown = api.send(Request::post(path("x")), "{}").await.error();
    let message = format!("Function not found: {ARN}:x:$LATEST");
    assert_eq!(
        unknown,
        (404, "ResourceNotFoundException".to_owned(), message)
    );
    let bad = api.send(Request::post(path("f")), "{").await.error();
    assert_eq!(
        (bad.0, bad.1.as_str()),
        (400, "InvalidRequestContentException")
    );
    let long = format!("\"{}\"", "x".repeat(1_048_576));
    let over = api.send(Request::post(path("f")), long).await.error();
    assert_eq!((over.0, over.1.as_str()), (413, "RequestTooLargeException"));
}
