use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use invoke::Outcome;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use wire::{Body, RawResponse};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Headers that belong to one connection; a function cannot set them.  [RFC 9110, 7.6.1]
const OF_CONNECTION: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The response of a function that answered as a whole.  [Lambda guide: function URL responses]
pub(super) fn of(outcome: &Outcome) -> RawResponse {
    if outcome.function_error.is_some() {
        return match is_timeout(&outcome.payload) {
            true => plain(504, "Gateway Timeout"),
            false => failed(),
        };
    }
    if serde_json::from_slice::<&RawValue>(&outcome.payload).is_err() {
        return failed();
    }
    let head = serde_json::from_slice::<Head>(&outcome.payload);
    if let Ok(head) = head
        && head.status_code.is_some()
    {
        return head.response().unwrap_or_else(failed);
    }
    let body = match serde_json::from_slice::<String>(&outcome.payload) {
        Ok(text) => Bytes::from(text),
        Err(_) => compact(&outcome.payload).into(),
    };
    let mut response = RawResponse::new(200).body(body);
    response.headers.insert(CONTENT_TYPE, JSON);
    response
}

/// The function failed, or what it gave is no response.
pub(super) fn failed() -> RawResponse {
    plain(502, "Internal Server Error")
}

fn plain(status: u16, text: &'static str) -> RawResponse {
    let mut response = RawResponse::new(status).body(Bytes::from_static(text.as_bytes()));
    response.headers.insert(CONTENT_TYPE, JSON);
    response
}

fn is_timeout(payload: &[u8]) -> bool {
    let error = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    error.get("errorType").and_then(Value::as_str) == Some("Sandbox.Timedout")
}

/// The same JSON without white space between its tokens.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |byte: &&u8| {
        let is_space = !is_text && byte.is_ascii_whitespace();
        match (is_text, is_escaped, **byte) {
            (true, true, _) => is_escaped = false,
            (true, false, b'\\') => is_escaped = true,
            (_, false, b'"') => is_text = !is_text,
            _ => {}
        }
        !is_space
    };
    json.iter().filter(keep).copied().collect()
}

/// What a function says of its response. The body of a stream is not in it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Head {
    status_code: Option<Value>,
    headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<Value>,
    is_base64_encoded: Option<Value>,
}

impl Head {
    /// The response without its body; `None` if it is malformed.
    pub(super) fn start(&self) -> Option<RawResponse> {
        let status = match &self.status_code {
            Some(Value::Number(number)) => u16::try_from(number.as_u64()?).ok()?,
            Some(Value::String(text)) => text.parse().ok()?,
            None => 200,
            Some(_) => return None,
        };
        if !(200..=599).contains(&status) {
            return None;
        }
        let mut response = RawResponse::new(status);
        for (name, value) in self.headers.iter().flatten() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => return None,
            };
            if !OF_CONNECTION.contains(&name.as_str()) {
                let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
                response.headers.insert(name, value);
            }
        }
        for cookie in self.cookies.iter().flatten() {
            let cookie = HeaderValue::from_bytes(cookie.as_bytes()).ok()?;
            response.headers.append(SET_COOKIE, cookie);
        }
        response.headers.entry(CONTENT_TYPE).or_insert(JSON);
        Some(response)
    }

    fn response(self) -> Option<RawResponse> {
        let start = self.start()?;
        let is_base64 = match self.is_base64_encoded {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is)) => is,
            Some(_) => return None,
        };
        let body = match self.body {
            None | Some(Value::Null) => Body::empty(),
            Some(Value::String(text)) if is_base64 => STANDARD.decode(text).ok()?.into(),
            Some(Value::String(text)) => text.into_bytes().into(),
            Some(_) => return None,
        };
        Some(start.body(body))
    }
}

#[cfg(test)]
mod tests {
    use model::Version;

    use super::*;

    async fn shown(payload: &'static str) -> (u16, String, String) {
        let outcome = Outcome {
            executed_version: Version::Latest,
            payload: Bytes::from_static(payload.as_bytes()),
            function_error: None,
            log_tail: None,
        };
        let response = of(&outcome);
        let mut headers: Vec<String> = response
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        let body = response.body.bytes().await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (response.status.as_u16(), headers.join("\n"), body)
    }

    #[tokio::test]
    async fn what_a_function_gives_becomes_a_response() {
        let json = "content-type: application/json";
        let bad = (502, json, "Internal Server Error");
        let cases = [
            // Without a status code it is the body, written without white space.
            (r#"{"hello": "world"}"#, (200, json, r#"{"hello":"world"}"#)),
            (
                r#"["hello", 3, true, "a \" b"]"#,
                (200, json, r#"["hello",3,true,"a \" b"]"#),
            ),
            (r#""hello""#, (200, json, "hello")),
            ("3.1", (200, json, "3.1")),
            ("true", (200, json, "true")),
            ("null", (200, json, "null")),
            (
                r#"{"body": "b", "headers": {"a": "b"}}"#,
                (200, json, r#"{"body":"b","headers":{"a":"b"}}"#),
            ),
            (r#"{"headers": 1}"#, (200, json, r#"{"headers":1}"#)),
            // With one it is a whole response.
            (
                r#"{"statusCode": 200, "body": "body123"}"#,
                (200, json, "body123"),
            ),
            (
                r#"{"statusCode": "418", "body": "teapot", "isBase64Encoded": false}"#,
                (418, json, "teapot"),
            ),
            (r#"{"statusCode": 204}"#, (204, json, "")),
            (
                r#"{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}"#,
                (200, json, "hi"),
            ),
            (
                r#"{"statusCode": 201, "headers": {"Content-Type": "text/html", "My-N": 1, "Content-Length": "9"}, "cookies": ["a=1; Secure", "b=2"], "body": "<p>"}"#,
                (
                    201,
                    "content-type: text/html\nmy-n: 1\nset-cookie: a=1; Secure\nset-cookie: b=2",
                    "<p>",
                ),
            ),
            // What is no response is told to nobody.
            (r#"{"statusCode": "x"}"#, bad),
            (r#"{"statusCode": 99}"#, bad),
            (r#"{"statusCode": [200]}"#, bad),
            (r#"{"statusCode": 200, "body": {"a": 1}}"#, bad),
            (
                r#"{"statusCode": 200, "body": "no base64!", "isBase64Encoded": true}"#,
                bad,
            ),
            (r#"{"statusCode": 200, "headers": {"a b": "c"}}"#, bad),
            (r#"{"statusCode": 200, "headers": {"a": ["c"]}}"#, bad),
        ];
        for (payload, (status, headers, body)) in cases {
            let expected = (status, headers.to_owned(), body.to_owned());
            assert_eq!(shown(payload).await, expected, "{payload}");
        }
    }
}
