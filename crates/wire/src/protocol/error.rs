use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::Protocol;
use crate::Fault;
use crate::fault::Kind;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// What a service's protocol says where a [`Fault`] leaves it open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Code and message of the internal failure.
    pub(crate) internal: (&'static str, &'static str),
    /// Code of a value that breaks the model.
    pub(crate) validation: &'static str,
    /// Whether the service spells `Message`.
    pub(crate) is_capital: bool,
}

/// The answer to a refused or failed request.
pub(crate) fn refusal(
    protocol: Protocol,
    style: &Style,
    fault: Fault,
    request_id: &str,
) -> (StatusCode, HeaderMap, Bytes) {
    let fault = fault.into_inner();
    let (code, message) = match fault.kind {
        Kind::Internal => (style.internal.0.into(), Some(style.internal.1.to_owned())),
        Kind::Invalid => (style.validation.into(), fault.message),
        Kind::Client | Kind::Server => (fault.code, fault.message),
    };
    let is_server = fault.status.is_server_error();
    let mut headers = HeaderMap::with_capacity(4 + fault.headers.len());
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(protocol.content_type()),
    );
    if let Ok(code) = HeaderValue::from_str(&code) {
        headers.insert(ERROR_TYPE, code);
    }
    headers.extend(fault.headers);
    let side = if is_server { "Receiver" } else { "Sender" };
    let body = match protocol {
        Protocol::Query { xmlns } => super::xml::error(
            xmlns,
            side,
            fault.query_code.unwrap_or(&code),
            fault.query_message.or(message.as_deref()),
            request_id,
        ),
        Protocol::RestJson | Protocol::Json10 | Protocol::Json11 => {
            let mut body = Map::new();
            let query = fault.query_code.map(|code| format!("{code};{side}"));
            if let Some(Ok(query)) = query.map(|q| HeaderValue::from_str(&q)) {
                headers.insert(QUERY_ERROR, query);
            }
            if protocol != Protocol::RestJson {
                body.insert("__type".to_owned(), code.into_owned().into());
            } else if fault.is_typed {
                let side = if is_server { "Service" } else { "User" };
                body.insert("Type".to_owned(), side.into());
            }
            if let Some(message) = message {
                let key = match style.is_capital || fault.capital_message {
                    true => "Message",
                    false => "message",
                };
                body.insert(key.to_owned(), message.into());
            }
            body.extend(fault.members);
            Bytes::from(Value::Object(body).to_string())
        }
    };
    (fault.status, headers, body)
}
