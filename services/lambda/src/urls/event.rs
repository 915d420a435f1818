use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::request::Parts;
use serde_json::{Map, Value, json};
use tasks::Time;
use wire::CallInfo;

use super::From;

/// The host that a request is for, without its port.
pub(super) fn host(parts: &Parts) -> &str {
    let authority = text(&parts.headers, HOST.as_str())
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

/// The event of a request, payload format 2.0.  [Lambda guide: function URL payloads]
pub(super) fn of(parts: &Parts, body: &Bytes, host: &str, call: &CallInfo, from: &From) -> Vec<u8> {
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    set("version", "2.0".into());
    set("routeKey", "$default".into());
    set("rawPath", path.into());
    set("rawQueryString", query.into());
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        set("cookies", cookies.into());
    }
    set("headers", headers(parts, from).into_iter().collect());
    if !query.is_empty() {
        set(
            "queryStringParameters",
            parameters(query).into_iter().collect(),
        );
    }
    set("requestContext", context(parts, host, call, from));
    let is_binary = !is_text(&parts.headers) || std::str::from_utf8(body).is_err();
    if !body.is_empty() {
        set(
            "body",
            match is_binary {
                true => STANDARD.encode(body).into(),
                false => String::from_utf8_lossy(body).into(),
            },
        );
    }
    set("isBase64Encoded", (is_binary && !body.is_empty()).into());
    Value::Object(event).to_string().into_bytes()
}

fn context(parts: &Parts, host: &str, call: &CallInfo, from: &From) -> Value {
    let id = host.split('.').next().unwrap_or_default();
    let at = Time::from_unix_millis(call.now_unix_ms);
    let mut context = json!({
        "accountId": from.signer.as_ref().map_or("anonymous", |s| s.account.as_str()),
        "apiId": id,
        "domainName": host,
        "domainPrefix": id,
        "http": {
            "method": parts.method.as_str(),
            "path": parts.uri.path(),
            "protocol": "HTTP/1.1",
            "sourceIp": from.address.to_string(),
            "userAgent": text(&parts.headers, USER_AGENT.as_str()),
        },
        "requestId": call.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": at.access_date(),
        "timeEpoch": call.now_unix_ms,
    });
    if let (Some(signer), Some(members)) = (&from.signer, context.as_object_mut()) {
        let iam = json!({
            "accessKey": signer.access_key,
            "accountId": signer.account,
            "callerId": signer.user_id,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": signer.arn,
            "userId": signer.user_id,
        });
        members.insert("authorizer".to_owned(), json!({ "iam": iam }));
    }
    context
}

/// What the client sent, and what a load balancer would add. Values that came apart are joined.
fn headers(parts: &Parts, from: &From) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for name in parts.headers.keys().filter(|name| **name != COOKIE) {
        let values = parts.headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|v| String::from_utf8_lossy(v.as_bytes()))
            .collect();
        all.insert(name.as_str().to_owned(), values.join(",").into());
    }
    if let Some(authority) = parts.uri.authority() {
        let host = authority.as_str().into();
        all.entry("host".to_owned()).or_insert(host);
    }
    let mut add = |name: &str, value: String| drop(all.insert(name.to_owned(), value.into()));
    let forwarded = match text(&parts.headers, "x-forwarded-for") {
        Some(before) => format!("{before}, {}", from.address),
        None => from.address.to_string(),
    };
    let (host, port) = (host(parts), parts.headers.get(HOST));
    let port = port
        .and_then(|h| h.to_str().ok())
        .and_then(|h| h.strip_prefix(host)?.strip_prefix(':'))
        .unwrap_or("80");
    add("x-forwarded-for", forwarded);
    let missing = |name: &str| !parts.headers.contains_key(name);
    if missing("x-forwarded-port") {
        add("x-forwarded-port", port.to_owned());
    }
    if missing("x-forwarded-proto") {
        add("x-forwarded-proto", "http".to_owned());
    }
    add("x-amzn-trace-id", from.trace.clone());
    all
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Decoded; values of one name are joined.
fn parameters(query: &str) -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match all.get_mut(name.as_ref()) {
            Some(joined) => {
                joined.push(',');
                joined.push_str(&value);
            }
            None => drop(all.insert(name.into_owned(), value.into_owned())),
        }
    }
    all.into_iter().map(|(k, v)| (k, v.into())).collect()
}

/// Whether a body of this type is put into the event as it is.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let kind = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("text/")
        || [
            "application/json",
            "application/xml",
            "application/javascript",
        ]
        .contains(&kind.as_str())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}
