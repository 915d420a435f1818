use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use invoke::{Part, Streamed};
use wire::{Body, BodyError, RawResponse};

use super::answer::{self, Head};
use super::refused;

/// The type of a stream that begins with a [`Head`].
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
/// What stands between the head and the body.
const END_OF_HEAD: [u8; 8] = [0; 8];
/// Longest head of a stream, in bytes: as long as the head of a request may be.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// The response of a function that writes while the client reads.
pub(super) async fn of(mut streamed: Streamed) -> RawResponse {
    let kind = streamed.content_type.clone();
    if kind.as_deref().is_some_and(|k| k.starts_with(WITH_HEAD)) {
        return with_head(streamed).await;
    }
    // A function that fails before its first byte has not begun to answer.
    let first = match streamed.next().await {
        Ok(Some(Part::Bytes(first))) => first,
        Ok(Some(Part::End(outcome))) if outcome.function_error.is_some() => {
            return answer::of(&outcome);
        }
        Ok(_) => Bytes::new(),
        Err(why) => return refused(&why),
    };
    let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
    let mut response = RawResponse::new(200);
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers.insert(CONTENT_TYPE, kind);
    }
    response.body(rest(first, streamed))
}

async fn with_head(mut streamed: Streamed) -> RawResponse {
    let mut seen = BytesMut::new();
    loop {
        match streamed.next().await {
            Ok(Some(Part::Bytes(bytes))) => seen.extend_from_slice(&bytes),
            Ok(_) => return answer::failed(),
            Err(why) => return refused(&why),
        }
        let end = seen
            .windows(END_OF_HEAD.len())
            .position(|w| w == END_OF_HEAD);
        let Some(end) = end else {
            if seen.len() > HEAD_BYTES_MAX {
                return answer::failed();
            }
            continue;
        };
        let head = seen.split_to(end);
        let first = seen.split_off(END_OF_HEAD.len()).freeze();
        let start = serde_json::from_slice::<Head>(&head).ok();
        return match start.and_then(|head| head.start()) {
            Some(start) => start.body(rest(first, streamed)),
            None => answer::failed(),
        };
    }
}

/// What follows. A function that fails now cuts the response off.
fn rest(first: Bytes, streamed: Streamed) -> Body {
    let begin = (!first.is_empty()).then_some(first);
    let frames = stream::unfold((begin, streamed), |(begin, mut streamed)| async {
        if let Some(first) = begin {
            return Some((Ok(Frame::data(first)), (None, streamed)));
        }
        let frame = match streamed.next().await {
            Ok(Some(Part::Bytes(bytes))) => Ok(Frame::data(bytes)),
            Ok(Some(Part::End(outcome))) if outcome.function_error.is_some() => {
                Err(BodyError::from("the function failed while it answered"))
            }
            Ok(_) => return None,
            Err(lost) => Err(BodyError::from(lost)),
        };
        Some((frame, (None, streamed)))
    });
    Body::stream(StreamBody::new(frames))
}
