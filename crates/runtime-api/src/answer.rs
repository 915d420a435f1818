//! What the API answers: fixed texts and the head of an event. Pure.

use bytes::{BufMut, Bytes, BytesMut};
use model::Call;

use crate::state::Refusal;

pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n\
    Content-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Pong,
    /// To `/restore/next`: go on.
    Restored,
    Credentials(Bytes),
    NoCredentials,
    NotFound,
    WrongMethod,
    BadRequest,
    Refused(Refusal),
    InvalidResponseMode,
    /// The most that is allowed, in bytes.
    TooLarge(u64),
    Truncated,
}

impl Answer {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Answer::Accepted => Bytes::from_static(ACCEPTED),
            Answer::Pong => text("200 OK", "pong"),
            Answer::Restored => text("200 OK", ""),
            Answer::Credentials(content) => text("200 OK", &String::from_utf8_lossy(content)),
            Answer::NoCredentials => text(
                "404 Not Found",
                "cannot get credentials for the provided token\n",
            ),
            Answer::NotFound => text("404 Not Found", "404 page not found\n"),
            Answer::WrongMethod => text("405 Method Not Allowed", ""),
            Answer::BadRequest => text("400 Bad Request", "400 Bad Request\n"),
            Answer::Refused(Refusal::RequestId) => {
                error("400 Bad Request", "InvalidRequestID", "Invalid request ID")
            }
            Answer::Refused(Refusal::Transition { from, to }) => error(
                "403 Forbidden",
                "InvalidStateTransition",
                &format!(
                    "State transition from {from} to {to} failed for runtime. \
                     Error: State transition is not allowed"
                ),
            ),
            Answer::InvalidResponseMode => error(
                "400 Bad Request",
                "InvalidFunctionResponseMode",
                "Invalid function response mode",
            ),
            Answer::TooLarge(max) => error(
                "413 Request Entity Too Large",
                "RequestEntityTooLarge",
                &format!("Exceeded maximum allowed payload size ({max} bytes)."),
            ),
            Answer::Truncated => error(
                "400 Bad Request",
                "TruncatedHTTPRequest",
                "HTTP request detected as truncated",
            ),
        }
    }
}

fn text(status: &str, body: &str) -> Bytes {
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    ))
}

/// The texts hold nothing that JSON escapes.
fn error(status: &str, kind: &str, message: &str) -> Bytes {
    let body = format!("{{\"errorMessage\":\"{message}\",\"errorType\":\"{kind}\"}}\n");
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    ))
}

/// The head of the answer to `/next`; the event follows it.
pub(crate) fn event_head(call: &Call, attempt: u64) -> Bytes {
    let mut head = BytesMut::with_capacity(768);
    head.put_slice(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    field(&mut head, "Content-Length", &call.payload.len().to_string());
    field(
        &mut head,
        "Lambda-Runtime-Aws-Request-Id",
        call.request.as_str(),
    );
    field(
        &mut head,
        "Lambda-Runtime-Invocation-Id",
        &attempt.to_string(),
    );
    let deadline = call.deadline_unix_ms.to_string();
    field(&mut head, "Lambda-Runtime-Deadline-Ms", &deadline);
    field(
        &mut head,
        "Lambda-Runtime-Invoked-Function-Arn",
        &call.invoked_arn,
    );
    field(&mut head, "Lambda-Runtime-Trace-Id", &call.trace);
    for (name, value) in [
        ("Lambda-Runtime-Client-Context", &call.client_context),
        ("Lambda-Runtime-Cognito-Identity", &call.cognito_identity),
        ("Lambda-Runtime-Aws-Tenant-Id", &call.tenant_id),
    ] {
        field(&mut head, name, value.as_deref().unwrap_or_default());
    }
    head.put_slice(b"\r\n");
    head.freeze()
}

/// Empty values are left out. Control characters become blanks: the client context is the caller's
/// own text, and JSON allows newlines between its tokens.
fn field(head: &mut BytesMut, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    head.put_slice(name.as_bytes());
    head.put_slice(b": ");
    if value.bytes().any(|b| b.is_ascii_control()) {
        let clean: Vec<u8> = value
            .bytes()
            .map(|b| if b.is_ascii_control() { b' ' } else { b })
            .collect();
        head.put_slice(&clean);
    } else {
        head.put_slice(value.as_bytes());
    }
    head.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &Answer) -> (String, String) {
        let text = String::from_utf8(answer.bytes().to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = format!("Content-Length: {}", body.len());
        assert!(head.contains(&length), "{head}");
        (
            head.lines().next().unwrap_or_default().to_owned(),
            body.to_owned(),
        )
    }

    #[test]
    fn errors_have_the_texts_of_the_api() {
        let transition = Refusal::Transition {
            from: "Ready",
            to: "InvocationResponse",
        };
        for (answer, status, kind) in [
            (Answer::Refused(Refusal::RequestId), 400, "InvalidRequestID"),
            (Answer::Refused(transition), 403, "InvalidStateTransition"),
            (
                Answer::InvalidResponseMode,
                400,
                "InvalidFunctionResponseMode",
            ),
            (Answer::TooLarge(9), 413, "RequestEntityTooLarge"),
            (Answer::Truncated, 400, "TruncatedHTTPRequest"),
        ] {
            let (line, body) = body(&answer);
            assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
            assert!(
                body.contains(&format!("\"errorType\":\"{kind}\"")),
                "{body}"
            );
        }
        assert_eq!(body(&Answer::Accepted).1, "{\"status\":\"OK\"}\n");
        assert_eq!(body(&Answer::Pong).1, "pong");
    }

    #[test]
    fn the_callers_text_cannot_add_a_header() {
        let mut head = BytesMut::new();
        field(&mut head, "A", "{\r\nB: c\0\"é\"}");
        assert_eq!(&head[..], "A: {  B: c \"é\"}\r\n".as_bytes());
    }
}
