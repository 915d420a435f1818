//! STS through the router, as a client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use wire::{Access, CallInfo, Router};

/// Sends a form as a client with this access key does, and gives status and body.
fn call(access_key: &str, form: &'static str) -> (StatusCode, String) {
    let router = Router::new(Access::off()).with(sts::service());
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/20261120/eu-west-1/sts/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00"
    );
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("host", "127.0.0.1:4566")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .header("authorization", scope)
        .body(Full::new(Bytes::from_static(form.as_bytes())))
        .unwrap();
    let info = CallInfo {
        request_id: "id-1".to_owned(),
        now_unix_ms: 0,
        loopback: true,
    };
    let response = router
        .handle(request, info)
        .now_or_never()
        .expect("nothing to wait for");
    assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
    assert_eq!(response.headers()["content-type"], "text/xml");
    let status = response.status();
    let body = response
        .into_body()
        .bytes()
        .now_or_never()
        .unwrap()
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn answer(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><UserId>{account}</UserId><Account>{account}</Account>\
         <Arn>arn:aws:iam::{account}:root</Arn></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    )
}

#[test]
fn an_access_key_of_twelve_digits_is_the_account() {
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    for (access_key, account) in [
        ("123456789012", "123456789012"),
        ("test", "000000000000"),
        ("AKIAEXAMPLE", "000000000000"),
    ] {
        let expected = (StatusCode::OK, answer(account));
        assert_eq!(call(access_key, form), expected, "{access_key}");
    }
}

#[test]
fn an_operation_that_is_not_built_says_so() {
    let (status, body) = call("test", "Action=AssumeRole&Version=2011-06-15");
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    assert!(
        body.contains("<Type>Receiver</Type><Code>NotImplementedException</Code>"),
        "{body}"
    );
    assert!(body.contains("docs/coverage.md"), "{body}");
}

#[test]
fn an_unknown_action_is_invalid() {
    let (status, body) = call("test", "Action=Fly&Version=2011-06-15");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = "<Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find \
                    operation Fly for version 2011-06-15</Message></Error>";
    assert!(body.contains(expected), "{body}");
    let (status, body) = call("test", "");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("<Code>MissingAction</Code>"), "{body}");
}
