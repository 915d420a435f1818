//! Request bodies, never longer than their operation allows.

use std::pin::pin;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::Fault;

/// A body beyond its limit is read on to this many bytes and thrown away, so that a client which
/// sends before it listens gets the answer. Then the connection is cut.
const DISCARD_BYTES_MAX: u64 = 160 << 20;

/// Most bytes that are set aside because a client announced them.
const RESERVE_BYTES_MAX: u64 = 1 << 20;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overrun {
    TooLong {
        bytes: u64,
        bytes_max: u64,
    },
    /// The client went away, was too slow, or broke the framing.
    Broken(String),
}

impl Overrun {
    pub(super) fn fault(self, operation: &str) -> Fault {
        match self {
            Overrun::TooLong { bytes_max, .. } => Fault::client(
                "RequestEntityTooLargeException",
                413,
                format!(
                    "Request must be smaller than {bytes_max} bytes for the {operation} operation"
                ),
            ),
            Overrun::Broken(why) => Fault::client(
                "RequestTimeoutException",
                408,
                "The request body was not received in full.",
            )
            .detail(why),
        }
    }
}

/// The whole body, without a copy if it came in one piece.
pub(super) async fn whole<B>(body: B, bytes_max: u64) -> Result<Bytes, Overrun>
where
    B: http_body::Body,
    B::Data: Buf,
    B::Error: std::fmt::Display,
{
    let hint = body.size_hint();
    if hint.lower() > bytes_max {
        let announced = hint.lower();
        let bytes = count(body, 0).await.max(announced);
        return Err(Overrun::TooLong { bytes, bytes_max });
    }
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut bytes: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Overrun::Broken(e.to_string()))?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        let length = data.remaining();
        bytes = bytes.saturating_add(length as u64);
        if bytes > bytes_max {
            let bytes = count(body, bytes).await;
            return Err(Overrun::TooLong { bytes, bytes_max });
        }
        if bytes == length as u64 {
            first = data.copy_to_bytes(length);
            continue;
        }
        if rest.is_empty() {
            let reserve = hint.lower().min(RESERVE_BYTES_MAX).max(bytes);
            rest.reserve(usize::try_from(reserve).unwrap_or_default());
            rest.put(std::mem::take(&mut first));
        }
        rest.put(data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// Reads and forgets a body whose request is refused.
pub(super) async fn discard<B>(body: B)
where
    B: http_body::Body,
    B::Data: Buf,
{
    count(body, 0).await;
}

/// How long the body is, given that `bytes` of it are read already; stops at the limit.
async fn count<B>(body: B, mut bytes: u64) -> u64
where
    B: http_body::Body,
    B::Data: Buf,
{
    let mut body = pin!(body);
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Buf::remaining);
        bytes = bytes.saturating_add(length as u64);
        if bytes > DISCARD_BYTES_MAX {
            break;
        }
    }
    bytes
}
