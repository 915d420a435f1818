use http::Method;
use serde_json::json;

use crate::toy::{Answer, NOW_MS, REQUEST_ID, call};

fn target(target: &str, version: &str, body: &str) -> Answer {
    let kind = format!("application/x-amz-json-{version}");
    let headers = [("x-amz-target", target), ("content-type", kind.as_str())];
    call(Method::POST, "/", &headers, body.to_owned())
}

#[test]
fn the_target_header_names_the_operation() {
    for version in ["1.0", "1.1"] {
        let answer = target("Toy_20260101.Echo", version, r#"{"Name": "f", "Count": 1}"#);
        assert_eq!(answer.status, 200);
        let kind = format!("application/x-amz-json-{version}");
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("x-amzn-requestid"), REQUEST_ID);
        assert_eq!(answer.json(), json!({"Name": "f", "Count": 1}));
    }
    let answer = target("Toy_20260101.Nothing", "1.1", "");
    assert_eq!((answer.status.as_u16(), answer.text()), (200, ""));
}

#[test]
fn faults_have_the_envelope_of_aws_json() {
    let answer = target("Toy_20260101.Fail", "1.1", r#"{"Name": "client"}"#);
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(
        answer.json(),
        json!({"__type": "ResourceNotFoundException", "message": "Not <here>", "Reason": "Gone"})
    );
    let answer = target("Toy_20260101.Fail", "1.0", "{}");
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.json(),
        json!({"__type": "ServiceException", "message": "Something went wrong."})
    );
}

#[test]
fn an_unknown_target_is_an_unknown_operation() {
    for name in [
        "Toy_20260101.Fly",
        "Other_1.Echo",
        "Echo",
        "",
        "Toy_20260101.GetThing",
    ] {
        let answer = target(name, "1.1", "{}");
        assert_eq!(answer.status, 400, "{name}");
        assert_eq!(answer.json()["__type"], "UnknownOperationException");
    }
    let answer = target("Toy_20260101.Later", "1.1", "{}");
    assert_eq!(answer.status, 501);
    assert_eq!(answer.json()["__type"], "NotImplementedException");
}

#[test]
fn the_context_tells_who_calls() {
    let scope = "AWS4-HMAC-SHA256 Credential=123456789012/20261120/eu-west-1/toy/aws4_request, \
                 SignedHeaders=host, Signature=00";
    let headers = [
        ("x-amz-target", "Toy_20260101.WhoAmI"),
        ("authorization", scope),
        ("host", "localhost:4566"),
        ("user-agent", "aws-cli"),
    ];
    let answer = call(Method::POST, "/", &headers, "");
    assert_eq!(
        answer.json(),
        json!({
            "Account": "123456789012", "Region": "eu-west-1", "Key": "123456789012",
            "Host": "localhost:4566", "Agent": "aws-cli", "Now": NOW_MS, "Operation": "WhoAmI",
            "Verified": false,
        })
    );
}
