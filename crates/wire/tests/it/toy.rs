//! A service that speaks every protocol and answers with what it was asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::{
    Access, Blob, CallInfo, Context, Fault, Protocol, RawRequest, RawResponse, Router, Service,
    Timestamp,
};

pub(crate) const XMLNS: &str = "https://toy.example/doc/";
pub(crate) const NOW_MS: i64 = 1_795_000_000_000;
pub(crate) const REQUEST_ID: &str = "5e1c0000-0000-4000-8000-00000000cafe";

#[derive(Deserialize, Serialize, Debug, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Things {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) qualifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) length: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inner: Option<Inner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invocation: Option<String>,
}

#[derive(Deserialize, Serialize, Debug)]
pub(crate) enum Kind {
    #[serde(rename = "Zip")]
    Zip,
    Image,
}

#[derive(Deserialize, Serialize, Debug)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

#[derive(Deserialize, Serialize, Debug)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inner {
    pub(crate) must_be: String,
}

async fn echo(_: Arc<()>, _: Context, input: Things) -> Result<Things, Fault> {
    Ok(input)
}

async fn whoami(_: Arc<()>, cx: Context, _: Value) -> Result<Value, Fault> {
    Ok(json!({
        "Account": cx.account(),
        "Region": cx.region(),
        "Key": cx.access_key(),
        "Host": cx.host(),
        "Agent": cx.user_agent(),
        "Now": cx.now_unix_ms(),
        "Operation": cx.operation(),
        "Verified": cx.is_verified(),
    }))
}

async fn nothing(_: Arc<()>, _: Context, _: Things) -> Result<(), Fault> {
    Ok(())
}

/// Fails in the way that `Name` says.
async fn fail(_: Arc<()>, _: Context, input: Things) -> Result<(), Fault> {
    Err(match input.name.as_deref() {
        Some("client") => Fault::client("ResourceNotFoundException", 404, "Not <here>")
            .with_member("Reason", "Gone")
            .detail("secret"),
        Some("capital") => Fault::client("TooManyRequestsException", 429, "Rate Exceeded.")
            .capital_message()
            .with_header("Retry-After", "1"),
        Some("server") => Fault::server("KMSDisabledException", 502, "off"),
        Some("panic") => panic!("secret"),
        _ => Fault::internal("secret"),
    })
}

async fn raw(_: Arc<()>, cx: Context, request: RawRequest) -> Result<RawResponse, Fault> {
    let input: Things = request.input()?;
    let body = Bytes::from(format!(
        "{}:{}:{}",
        input.name.unwrap_or_default(),
        input.invocation.unwrap_or_default(),
        request.body.len()
    ));
    let answer = RawResponse::new(202).header("x-account", cx.account());
    Ok(match request.text("Qualifier") {
        Some(id) => answer.header("x-amzn-RequestId", id).body(body),
        None => answer.body(body),
    })
}

pub(crate) fn service() -> Service {
    let functions = "/2015-03-31/functions";
    assert!(functions.starts_with('/'));
    Service::new("toy", Arc::new(()))
        .target_prefix("Toy_20260101")
        .protocols([
            Protocol::RestJson,
            Protocol::Json11,
            Protocol::Query { xmlns: XMLNS },
        ])
        .internal_failure("ServiceException", "Something went wrong.")
        .path_member("Name")
        .operation("Echo", echo)
        .operation("RootEcho", echo)
        .root_only()
        .operation("Fail", fail)
        .operation("Nothing", nothing)
        .operation("WhoAmI", whoami)
        .not_built(["Later"])
        .rest("CreateThing", Method::POST, "/2015-03-31/things", 201, echo)
        .body_max(1000)
        .rest(
            "GetThing",
            Method::GET,
            "/2015-03-31/things/{Name}?Qualifier&count={Count}&IsOn&names={Names}&Share&When",
            200,
            echo,
        )
        .rest(
            "DeleteThing",
            Method::DELETE,
            "/2015-03-31/things/{Name}",
            204,
            nothing,
        )
        .rest(
            "FailThing",
            Method::PUT,
            "/2015-03-31/things/{Name}",
            200,
            fail,
        )
        .rest_raw(
            "RunThing",
            Method::POST,
            "/2015-03-31/things/{Name}/runs?Qualifier",
            raw,
        )
        .header("X-Amz-Invocation-Type", "Invocation")
        .body_max(100)
        .oversize(|members, bytes| {
            let name = members.get("Name").and_then(Value::as_str).unwrap_or("?");
            Fault::client(
                "RequestTooLargeException",
                413,
                format!("{name}: {bytes} bytes"),
            )
        })
        .rest_raw("Download", Method::GET, "/files/{Key+}", raw)
        .public()
        .rest_not_built([("LaterThing", Method::GET, "/2015-03-31/later/{Name}")])
        .build()
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) fn info() -> CallInfo {
    CallInfo {
        request_id: REQUEST_ID.to_owned(),
        now_unix_ms: NOW_MS,
        loopback: true,
    }
}

pub(crate) fn send<B>(router: &Router, request: Request<B>, info: CallInfo) -> Answer
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: std::fmt::Display,
{
    let response = router.handle(request, info).now_or_never();
    let (parts, body) = response.expect("nothing to wait for").into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.bytes().now_or_never().unwrap().unwrap(),
    }
}

/// Sends a request to the toy with checks off.
pub(crate) fn call(
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    send(&Router::new(Access::off()).with(service()), request, info())
}
