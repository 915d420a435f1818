//! Responses that the caller reads while the function writes them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use invoke::{Outcome, Part, Streamed};
use serde_json::{Map, Value};
use wire::eventstream::{self, Message};
use wire::{Body, BodyError, Context, Fault, RawRequest, RawResponse};

use crate::Lambda;
use crate::operations::call::{Asked, refused};

/// What goes wrong before the function begins to answer is an ordinary error; afterwards it is part of
/// the last event.  [Lambda API: InvokeWithResponseStream]
pub(crate) async fn invoke_with_response_stream(
    lambda: Arc<Lambda>,
    cx: Context,
    request: RawRequest,
) -> Result<RawResponse, Fault> {
    let asked = Asked::read(&lambda, &cx, &request, &["RequestResponse", "DryRun"])?;
    if asked.kind == "DryRun" {
        return asked.dry_run(&lambda);
    }
    let target = asked.target.clone();
    let call = asked.call(&cx, &request)?;
    let streamed = lambda.invoke.response_stream(call).await;
    let streamed = streamed.map_err(|why| refused(why, &target))?;
    let version = streamed.executed_version.to_string();
    Ok(RawResponse::new(200)
        .header("Content-Type", eventstream::CONTENT_TYPE)
        .header("X-Amz-Executed-Version", &version)
        .body(events(streamed)))
}

/// One event for each part. A lost invocation cuts the connection.
fn events(streamed: Streamed) -> Body {
    let frames = stream::unfold(streamed, |mut streamed| async {
        let frame = match streamed.next().await {
            Ok(Some(Part::Bytes(bytes))) => Ok(Message::blob("PayloadChunk").encode(&bytes)),
            Ok(Some(Part::End(outcome))) => Ok(complete(&outcome)),
            Ok(None) => return None,
            Err(lost) => Err(BodyError::from(lost)),
        };
        Some((frame.map(Frame::data), streamed))
    });
    Body::stream(StreamBody::new(frames))
}

/// [Lambda API: InvokeWithResponseStreamCompleteEvent]
fn complete(outcome: &Outcome) -> Bytes {
    let mut members = Map::new();
    if let Some(error) = outcome.function_error {
        let details = String::from_utf8_lossy(&outcome.payload);
        members.insert("ErrorCode".to_owned(), error.into());
        members.insert("ErrorDetails".to_owned(), details.into());
    }
    if let Some(log) = &outcome.log_tail {
        members.insert("LogResult".to_owned(), STANDARD.encode(log).into());
    }
    let json = Value::Object(members).to_string();
    Message::json("InvokeComplete").encode(json.as_bytes())
}
