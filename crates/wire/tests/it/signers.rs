//! What the signers of the Rust SDK and of botocore make is let in.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as Signing;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use wire::access::{Credential, Credentials, Principal, Secret};
use wire::{Access, CallInfo, Mode, Router};

use crate::toy::{Answer, NOW_MS, info, send, service};

const ACCESS_KEY: &str = "AKIAKILN00000000TEST";
const SECRET: &str = "a secret/with+odd=characters";
const TOKEN: &str = "token//of+temporary==credentials";

struct Known;

impl Credentials for Known {
    fn find(&self, access_key: &str) -> Option<Credential> {
        (access_key == ACCESS_KEY).then(|| Credential {
            secret: Secret::new(SECRET),
            account: "210987654321".to_owned(),
            principal: Some(Principal {
                arn: "arn:aws:sts::210987654321:assumed-role/r/s".to_owned(),
                user_id: "AROA:s".to_owned(),
            }),
            session_token: Some(Secret::new(TOKEN)),
            expires_unix_ms: None,
        })
    }
}

/// Method, path with query, headers, body.
type Plain = (
    Method,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");
const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

/// Requests whose spelling signers and verifiers like to disagree about.
const REQUESTS: &[Plain] = &[
    (Method::GET, "/2015-03-31/things/plain", &[], ""),
    (
        Method::GET,
        "/2015-03-31/things/arn%3Aaws%3Alambda%3Aus-east-1%3A210987654321%3Afunction%3Af?\
         Qualifier=%24LATEST",
        &[],
        "",
    ),
    (
        Method::GET,
        "/2015-03-31/things/a%20b%2Bc~d.e_f-g%25?names=b&names=a%20b&Qualifier=%C3%BC%2F%3D%26&\
         IsOn=true",
        &[],
        "",
    ),
    (
        Method::GET,
        "/2015-03-31/things/f?Qualifier=&names=",
        &[],
        "",
    ),
    (
        Method::POST,
        "/2015-03-31/things/",
        &[("content-type", "application/json")],
        "{\"Name\": \"ü\"}",
    ),
    (
        Method::POST,
        "/2015-03-31/things/f/runs",
        &[("x-amz-invocation-type", "Event"), ("x-odd", "  a   b  ")],
        "any bytes",
    ),
    (
        Method::POST,
        "/",
        &[JSON, ("x-amz-target", "Toy_20260101.Echo")],
        "{\"Count\": 1}",
    ),
    (
        Method::POST,
        "/",
        &[FORM],
        "Action=Echo&Version=1&Name=a+b%2B",
    ),
];

fn request(plain: &Plain) -> Request<Full<Bytes>> {
    let (method, uri, headers, body) = plain;
    let mut request = Request::builder()
        .method(method)
        .uri(*uri)
        .header("host", "127.0.0.1:4566");
    for (name, value) in *headers {
        request = request.header(*name, *value);
    }
    request
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap()
}

fn answer(request: Request<Full<Bytes>>, now_unix_ms: i64) -> Answer {
    let access = Access::new(Mode::Strict, Arc::new(Known));
    let router = Router::new(access).with(service());
    let call = CallInfo {
        now_unix_ms,
        loopback: false,
        ..info()
    };
    send(&router, request, call)
}

/// Signs with the Rust SDK's signer, as the settings say.
fn signed(plain: &Plain, settings: SigningSettings, secret: &str) -> Request<Full<Bytes>> {
    let identity = Signing::new(ACCESS_KEY, secret, Some(TOKEN.to_owned()), None, "test").into();
    let seconds = u64::try_from(NOW_MS / 1000).unwrap();
    let params = SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("toy")
        .time(UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(settings)
        .build()
        .unwrap();
    let mut request = request(plain);
    let uri = format!("http://127.0.0.1:4566{}", plain.1);
    let headers = request.headers().clone();
    let headers = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
    let body = SignableBody::Bytes(plain.3.as_bytes());
    let signable = SignableRequest::new(plain.0.as_str(), uri, headers, body).unwrap();
    let (instructions, _) = sign(signable, &params.into()).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
}

#[test]
fn kiln_s_own_signatures_are_right() {
    let signer = |secret: &str| wire::Signer {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(secret),
        session_token: Some(TOKEN.to_owned()),
        region: "eu-west-1".to_owned(),
        service: "toy",
    };
    for plain in REQUESTS {
        let sign = |secret| {
            let payload = plain.3.as_bytes();
            signer(secret)
                .sign(request(plain), payload, NOW_MS / 1000)
                .unwrap()
        };
        let good = answer(sign(SECRET), NOW_MS);
        assert!(good.status.is_success(), "{plain:?}: {}", good.text());
        assert_eq!(
            answer(sign("another secret"), NOW_MS).status,
            403,
            "{plain:?}"
        );
    }
}

#[test]
fn the_rust_sdk_s_signatures_are_right() {
    for plain in REQUESTS {
        let header = SigningSettings::default();
        let mut hashed = SigningSettings::default();
        hashed.payload_checksum_kind = aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
        let mut query = SigningSettings::default();
        query.signature_location = SignatureLocation::QueryParams;
        query.expires_in = Some(Duration::from_secs(60));
        for (how, settings) in [("header", header), ("hashed", hashed), ("query", query)] {
            let good = answer(signed(plain, settings.clone(), SECRET), NOW_MS);
            assert!(good.status.is_success(), "{how} {plain:?}: {}", good.text());
            let bad = answer(signed(plain, settings, "another secret"), NOW_MS);
            assert_eq!(bad.status, 403, "{how} {plain:?}: {}", bad.text());
        }
    }
}

#[test]
fn a_refusal_has_the_words_of_its_protocol() {
    let other = "not the secret";
    for (index, code, expected) in [
        (
            0,
            "InvalidSignatureException",
            "\"message\":\"The request signature we calculated",
        ),
        (
            6,
            "InvalidSignatureException",
            "\"__type\":\"InvalidSignatureException\"",
        ),
        (
            7,
            "SignatureDoesNotMatch",
            "<Code>SignatureDoesNotMatch</Code>",
        ),
    ] {
        let plain = &REQUESTS[index];
        let answer = answer(signed(plain, SigningSettings::default(), other), NOW_MS);
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("x-amzn-errortype"), code);
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    for (index, code) in [
        (0, "MissingAuthenticationTokenException"),
        (6, "MissingAuthenticationTokenException"),
        (7, "MissingAuthenticationToken"),
    ] {
        let answer = answer(request(&REQUESTS[index]), NOW_MS);
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("x-amzn-errortype"), code);
    }
    let unsigned = Request::builder()
        .uri("/files/k")
        .body(Full::default())
        .unwrap();
    assert_eq!(
        answer(unsigned, NOW_MS).status,
        202,
        "a public operation needs no signature"
    );
}

#[test]
fn a_verified_caller_is_who_its_key_says() {
    let plain = (
        Method::POST,
        "/",
        &[JSON, ("x-amz-target", "Toy_20260101.WhoAmI")] as &[_],
        "{}",
    );
    let answer = answer(signed(&plain, SigningSettings::default(), SECRET), NOW_MS);
    let json = answer.json();
    assert_eq!(json["Account"], "210987654321");
    assert_eq!(json["Region"], "eu-west-1");
    assert_eq!(json["Verified"], true);
}

/// Reads requests as JSON, signs each with botocore in header and in query form, and writes them.
const BOTOCORE: &str = r#"
import json, sys, time
try:
    from botocore.auth import SigV4Auth, SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(77)
work = json.load(sys.stdin)
keys = Credentials(work["key"], work["secret"], work["token"])
out = []
for item in work["requests"]:
    # botocore presigns by moving the body into the query, so only requests without one.
    for signer in (SigV4Auth,) if item["body"] else (SigV4Auth, SigV4QueryAuth):
        request = AWSRequest(item["method"], "http://127.0.0.1:4566" + item["uri"],
                             headers=dict(item["headers"]), data=item["body"].encode())
        request.context["payload_signing_enabled"] = True
        signer(keys, "toy", "eu-west-1").add_auth(request)
        prepared = request.prepare()
        headers = {n: v.decode() if isinstance(v, bytes) else v for n, v in prepared.headers.items()}
        out.append({"how": signer.__name__, "method": item["method"], "url": prepared.url,
                    "headers": headers, "body": item["body"]})
print(json.dumps({"now": int(time.time() * 1000), "requests": out}))
"#;

/// The requests as botocore signed them, or `None` where there is no botocore.
fn botocore() -> Option<Value> {
    let requests: Vec<Value> = REQUESTS
        .iter()
        .map(|(method, uri, headers, body)| {
            json!({"method": method.as_str(), "uri": uri, "headers": headers, "body": body})
        })
        .collect();
    let work = json!({"key": ACCESS_KEY, "secret": SECRET, "token": TOKEN, "requests": requests});
    let mut python = Command::new("python3")
        .args(["-c", BOTOCORE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    python
        .stdin
        .take()?
        .write_all(work.to_string().as_bytes())
        .unwrap();
    let output = python.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        return None;
    }
    assert!(output.status.success(), "botocore failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn botocore_s_signatures_are_right() {
    let Some(work) = botocore() else {
        println!("no python3 with botocore here; the end-to-end tests have their own");
        return;
    };
    let now = work["now"].as_i64().unwrap();
    let requests = work["requests"].as_array().unwrap();
    let bare = REQUESTS.iter().filter(|(.., body)| body.is_empty()).count();
    assert_eq!(requests.len(), REQUESTS.len() + bare);
    for item in requests {
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        let uri = text("url").replace("http://127.0.0.1:4566", "");
        for is_changed in [false, true] {
            let mut request = Request::builder()
                .method(text("method").as_str())
                .uri(&uri)
                .header("host", "127.0.0.1:4566");
            for (name, value) in item["headers"].as_object().unwrap() {
                request = request.header(name, value.as_str().unwrap());
            }
            let end = if is_changed { " " } else { "" };
            let body = Full::new(Bytes::from(text("body") + end));
            let answer = answer(request.body(body).unwrap(), now);
            let what = format!("{} {uri}: {}", text("how"), answer.text());
            assert_eq!(answer.status.is_success(), !is_changed, "{what}");
        }
    }
}
