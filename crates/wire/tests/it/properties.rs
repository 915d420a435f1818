//! Whatever a client sends, it gets a typed answer: no panic, no hang, no bare 500.
//!
//! These are the fuzz targets of the hand-made parsers, bounded so that they run with every test.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::access::{Credential, Credentials, Secret};
use wire::{Access, CallInfo, Mode, Router};

use crate::toy::{Answer, info, send, service};

/// Knows every key, so that nothing is refused early.
struct Everybody;

impl Credentials for Everybody {
    fn find(&self, _: &str) -> Option<Credential> {
        Some(Credential {
            secret: Secret::new("secret"),
            account: "123456789012".to_owned(),
            principal: None,
            session_token: None,
            expires_unix_ms: None,
        })
    }
}

fn ask(
    mode: Mode,
    uri: &str,
    headers: &[(&'static str, Vec<u8>)],
    body: Vec<u8>,
) -> Option<Answer> {
    let mut request = Request::builder().method(Method::POST).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).ok()?);
    }
    let request = request.body(Full::new(Bytes::from(body))).ok()?;
    let router = Router::new(Access::new(mode, Arc::new(Everybody))).with(service());
    // 2015-08-30T12:36:00Z, so that some signed times are near.
    let call = CallInfo {
        now_unix_ms: 1_440_938_160_000,
        ..info()
    };
    Some(send(&router, request, call))
}

/// An answer of ours has an id, and a refusal names its kind.
fn check(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(!answer.header("x-amzn-requestid").is_empty());
    if !answer.status.is_success() {
        prop_assert!(!answer.header("x-amzn-errortype").is_empty());
        prop_assert!(answer.status != 500, "{}", answer.text());
    }
    Ok(())
}

/// Text made of pieces that mean something, and of noise.
fn pieces(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let noise = vec(0x20_u8..=0xff, 0..4);
    vec(prop_oneof![4 => word, 1 => noise], 0..14).prop_map(|all| all.concat())
}

const AUTHORIZATION: &[&str] = &[
    "AWS4-HMAC-SHA256 ",
    "Credential=AKID/20150830/us-east-1/toy/aws4_request",
    "Credential=",
    "SignedHeaders=host;x-amz-date",
    "SignedHeaders=host",
    "Signature=0000000000000000000000000000000000000000000000000000000000000000",
    "Signature=",
    ", ",
    ",",
    "=",
    "/",
    ";",
];

const QUERY: &[&str] = &[
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=AKID%2F20150830%2Fus-east-1%2Ftoy%2Faws4_request",
    "X-Amz-Date=20150830T123600Z",
    "X-Amz-Expires=60",
    "X-Amz-Expires=99999999999",
    "X-Amz-SignedHeaders=host",
    "X-Amz-Signature=00",
    "Action=Echo",
    "&",
    "&",
    "&",
    "=",
    "%",
    "%zz",
    "+",
];

const FORM: &[&str] = &[
    "Action=Echo&",
    "Tags.member.1.Key=a",
    "Tags.member.1=a",
    "Tags.member.99999999999=a",
    "Names.1=x",
    "Names",
    "Variables.entry.1.key=k",
    "Variables.entry.1.value=v",
    "Inner.MustBe=x",
    "Count=1",
    ".",
    "..",
    "=",
    "&",
    "%",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"Name\"",
    "\"Tags\"",
    "\"Variables\"",
    "\"Inner\"",
    "\"Count\"",
    "\"Kind\"",
    "\"When\"",
    "1",
    "-1e999",
    "1e400",
    "null",
    "true",
    "\"x\"",
    "\\u0000",
];

const PATH: &[&str] = &[
    "/",
    "/2015-03-31",
    "/things",
    "/f",
    "/runs",
    "/files",
    "/..",
    "/.",
    "%2F",
    "%",
    "%00",
    "{",
    "a",
    ":",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_authorization(text in pieces(AUTHORIZATION), date in pieces(&["20150830T123600Z", "T", "Z"]),
                         word in pieces(&["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"]),
                         body in vec(any::<u8>(), 0..40)) {
        for mode in [Mode::Off, Mode::Parse, Mode::Strict] {
            let headers = [("authorization", text.clone()), ("x-amz-date", date.clone()), ("host", b"h".to_vec()),
                           ("x-amz-content-sha256", word.clone())];
            if let Some(answer) = ask(mode, "/2015-03-31/things/f/runs", &headers, body.clone()) {
                check(&answer)?;
                // Nobody can sign with noise.
                prop_assert!(mode != Mode::Strict || !answer.status.is_success());
            }
        }
    }

    #[test]
    fn any_query_and_path(path in pieces(PATH), query in pieces(QUERY)) {
        let text = format!("/{}?{}", String::from_utf8_lossy(&path), String::from_utf8_lossy(&query));
        for mode in [Mode::Off, Mode::Strict] {
            if let Some(answer) = ask(mode, &text, &[("host", b"h".to_vec())], Vec::new()) {
                check(&answer)?;
                let is_public = text.starts_with("//files") || text.starts_with("/files");
                prop_assert!(mode != Mode::Strict || is_public || !answer.status.is_success(), "{}", text);
            }
        }
    }

    #[test]
    fn any_form(body in pieces(FORM)) {
        let kind = b"application/x-www-form-urlencoded".to_vec();
        let mut form = b"Action=Echo&".to_vec();
        form.extend_from_slice(&body);
        if let Some(answer) = ask(Mode::Off, "/", &[("content-type", kind)], form) {
            check(&answer)?;
            prop_assert!(answer.text().ends_with("Response>"));
        }
    }

    #[test]
    fn any_json(body in pieces(JSON)) {
        let target = ("x-amz-target", b"Toy_20260101.Echo".to_vec());
        if let Some(answer) = ask(Mode::Off, "/", &[target], body) {
            check(&answer)?;
            prop_assert!(answer.body.is_empty() || answer.json().is_object());
        }
    }
}
