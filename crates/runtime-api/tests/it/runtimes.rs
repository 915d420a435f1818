//! Runtimes that others wrote, unmodified, and our own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use lambda_runtime::{Error, LambdaEvent, service_fn, streaming};
use model::Call;
use runtime_api::{InitEnd, Piece, Reply, SessionHandle, response_stream};
use serde_json::{Value, json};

use crate::client::{REQUEST, call, with_session};

/// Ends the process with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This binary again, as a function that was built with the crate `lambda_runtime`.
fn rust_function(test: &str, address: SocketAddr) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]);
    start(command, address)
}

fn start(mut command: Command, address: SocketAddr) -> Process {
    let child = command
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "f")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

#[test]
#[ignore = "runs in a child process"]
fn the_function_of_the_child() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(lambda_runtime::run(service_fn(function)))
        .unwrap();
}

async fn function(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload == json!("fail") {
        return Err("as told".into());
    }
    let client = event.context.client_context.map(|c| c.custom);
    Ok(json!([event.payload, event.context.request_id, client]))
}

#[test]
#[ignore = "runs in a child process"]
fn the_streaming_function_of_the_child() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(lambda_runtime::run(service_fn(streaming_function)))
        .unwrap();
}

async fn streaming_function(
    _: LambdaEvent<Value>,
) -> Result<streaming::Response<streaming::Body>, Error> {
    let (mut sender, body) = streaming::channel();
    #[allow(clippy::disallowed_methods)] // a function of its own process
    tokio::spawn(async move {
        for part in ["one", "two"] {
            sender.send_data(part.into()).await.unwrap();
        }
    });
    Ok(streaming::Response::from(body))
}

async fn value(handle: &mut SessionHandle, call: Call) -> Value {
    match handle.invoke(call, None).await {
        Reply::Response(body) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_crate_lambda_runtime_runs_unmodified() {
    with_session(|mut handle, address| async move {
        let _child = rust_function("runtimes::the_function_of_the_child", address);
        assert_eq!(handle.init_end().await, InitEnd::Ready);
        for n in 0..3 {
            let call = Call {
                client_context: Some(r#"{"custom":{"a":"b"},"env":{}}"#.into()),
                ..call(n.to_string().as_bytes())
            };
            let want = json!([n, REQUEST, {"a": "b"}]);
            assert_eq!(value(&mut handle, call).await, want);
        }
        let Reply::Error(error) = handle.invoke(call(b"\"fail\""), None).await else {
            panic!("no error")
        };
        let body: Value = serde_json::from_slice(&error.payload).unwrap();
        assert_eq!(body["errorMessage"], "as told");
        handle.idle().await;
    });
}

#[test]
fn the_crate_lambda_runtime_streams_unmodified() {
    with_session(|mut handle, address| async move {
        let _child = rust_function("runtimes::the_streaming_function_of_the_child", address);
        assert_eq!(handle.init_end().await, InitEnd::Ready);
        let (writer, mut reader) = response_stream(1_000);
        let read = async {
            let Some(Piece::Begin { content_type }) = reader.next().await else {
                panic!("no beginning")
            };
            let http = "application/vnd.awslambda.http-integration-response";
            assert_eq!(content_type.as_deref(), Some(http));
            let mut all = Vec::new();
            while let Some(Piece::Bytes(bytes)) = reader.next().await {
                all.extend_from_slice(&bytes);
            }
            all
        };
        let (reply, all) = tokio::join!(handle.invoke(call(b"1"), Some(writer)), read);
        assert_eq!(reply, Reply::Response(Default::default()));
        // The crate writes a prelude of JSON and eight zero bytes.
        assert!(all.ends_with(b"\0\0\0\0\0\0\0\0onetwo"), "{all:?}");
    });
}
