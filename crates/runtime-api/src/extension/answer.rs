//! What the Extensions API answers. Pure.

use bytes::Bytes;
use model::Call;
use serde_json::{Map, Value, json};

use super::roster::{EXTENSIONS_MAX, Refusal};

/// What an environment's extensions are told about the function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub version: String,
    pub handler: String,
    pub account: String,
}

/// An answer to an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Registered {
        id: String,
        body: String,
    },
    Accepted,
    Refused(Refusal),
    EmptyName,
    InvalidRequest(String),
    MissingId,
    InvalidId,
    MissingErrorType,
    /// The answer to a subscription: status, body.
    Subscription(u16, String),
}

impl Reply {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Reply::Registered { id, body } => {
                whole("200 OK", &[("Lambda-Extension-Identifier", id)], body)
            }
            Reply::Accepted => whole("202 Accepted", &[], "{\"status\":\"OK\"}\n"),
            Reply::Refused(refusal) => {
                let (kind, message) = text(refusal);
                forbidden(kind, &message)
            }
            Reply::EmptyName => forbidden("Extension.InvalidExtensionName", "Empty extension name"),
            Reply::InvalidRequest(why) => forbidden("InvalidRequestFormat", why),
            Reply::MissingId => forbidden(
                "Extension.MissingExtensionIdentifier",
                "Missing Lambda-Extension-Identifier header",
            ),
            Reply::InvalidId => forbidden(
                "Extension.InvalidExtensionIdentifier",
                "Invalid Lambda-Extension-Identifier",
            ),
            Reply::MissingErrorType => forbidden(
                "Extension.MissingHeader",
                "Lambda-Extension-Function-Error-Type not found",
            ),
            Reply::Subscription(status, body) => {
                let status = match status {
                    200 => "200 OK",
                    202 => "202 Accepted",
                    400 => "400 Bad Request",
                    _ => "403 Forbidden",
                };
                whole(status, &[], body)
            }
        }
    }
}

/// Types and texts.  [Lambda runtime interface emulator]
fn text(refusal: &Refusal) -> (&'static str, String) {
    match refusal {
        Refusal::RegistrationClosed => (
            "Extension.RegistrationClosed",
            "Extension registration closed already".to_owned(),
        ),
        Refusal::NameTaken => (
            "Extension.InvalidExtensionState",
            "Extension with this name already registered".to_owned(),
        ),
        Refusal::TooMany => (
            "Extension.TooManyExtensions",
            format!("Extension limit ({EXTENSIONS_MAX}) reached"),
        ),
        Refusal::InvalidEvent { event, why } => {
            ("Extension.InvalidEventType", format!("{event}: {why}"))
        }
        Refusal::UnknownId(id) => (
            "Extension.UnknownExtensionIdentifier",
            format!("Unknown extension {id}"),
        ),
        Refusal::Transition { from, to, who } => (
            "Extension.InvalidExtensionState",
            format!(
                "State transition from {} to {} failed for extension {who}. \
                 Error: State transition is not allowed",
                from.name(),
                to.name()
            ),
        ),
    }
}

pub(crate) fn error_body(kind: &str, message: &str) -> String {
    json!({"errorMessage": message, "errorType": kind}).to_string()
}

fn forbidden(kind: &str, message: &str) -> Bytes {
    let mut body = error_body(kind, message);
    body.push('\n');
    whole("403 Forbidden", &[], &body)
}

fn whole(status: &str, headers: &[(&str, &str)], body: &str) -> Bytes {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    Bytes::from(text)
}

/// The body of `/register`.
pub(crate) fn registration(function: &Function, with_account: bool) -> String {
    let mut body = Map::new();
    if with_account {
        body.insert("accountId".to_owned(), function.account.as_str().into());
    }
    body.insert("functionName".to_owned(), function.name.as_str().into());
    body.insert(
        "functionVersion".to_owned(),
        function.version.as_str().into(),
    );
    body.insert("handler".to_owned(), function.handler.as_str().into());
    Value::Object(body).to_string()
}

/// The event that tells an extension of an invocation, whole.
pub(crate) fn invoke_event(call: &Call, event_id: &str) -> Bytes {
    let body = json!({
        "eventType": "INVOKE",
        "deadlineMs": call.deadline_unix_ms,
        "requestId": call.request.to_string(),
        "invokedFunctionArn": call.invoked_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": call.trace},
    });
    event(event_id, &body)
}

/// The event that tells an extension that the environment ends, whole.
pub(crate) fn shutdown_event(reason: &str, deadline_unix_ms: i64, event_id: &str) -> Bytes {
    let body = json!({
        "eventType": "SHUTDOWN",
        "shutdownReason": reason,
        "deadlineMs": deadline_unix_ms,
    });
    event(event_id, &body)
}

fn event(id: &str, body: &Value) -> Bytes {
    let headers = [("Lambda-Extension-Event-Identifier", id)];
    whole("200 OK", &headers, &body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::roster::Standing;

    #[test]
    fn every_refusal_has_the_type_and_text_of_the_api() {
        for (reply, kind, message) in [
            (
                Reply::Refused(Refusal::RegistrationClosed),
                "Extension.RegistrationClosed",
                "Extension registration closed already",
            ),
            (
                Reply::Refused(Refusal::TooMany),
                "Extension.TooManyExtensions",
                "Extension limit (10) reached",
            ),
            (
                Reply::Refused(Refusal::UnknownId("x".into())),
                "Extension.UnknownExtensionIdentifier",
                "Unknown extension x",
            ),
            (
                Reply::Refused(Refusal::Transition {
                    from: Standing::Ready,
                    to: Standing::InitError,
                    who: "x".into(),
                }),
                "Extension.InvalidExtensionState",
                "State transition from Ready to InitError failed for extension x. Error: State transition is not allowed",
            ),
            (
                Reply::EmptyName,
                "Extension.InvalidExtensionName",
                "Empty extension name",
            ),
            (
                Reply::MissingErrorType,
                "Extension.MissingHeader",
                "Lambda-Extension-Function-Error-Type not found",
            ),
            (
                Reply::InvalidRequest("\"".into()),
                "InvalidRequestFormat",
                "\"",
            ),
        ] {
            let bytes = reply.bytes();
            let text = std::str::from_utf8(&bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["errorType"], kind);
            assert_eq!(body["errorMessage"], message);
        }
    }

    #[test]
    fn the_account_is_told_only_if_asked_for() {
        let function = Function {
            name: "f".into(),
            version: "$LATEST".into(),
            handler: "i.h".into(),
            account: "000000000000".into(),
        };
        assert_eq!(
            registration(&function, false),
            r#"{"functionName":"f","functionVersion":"$LATEST","handler":"i.h"}"#
        );
        assert!(registration(&function, true).contains(r#""accountId":"000000000000""#));
    }
}
