use http::Method;
use serde_json::{Value, json};

use crate::toy::{Answer, REQUEST_ID, call};

fn get(uri: &str) -> Answer {
    call(Method::GET, uri, &[], "")
}

#[test]
fn members_come_from_path_query_headers_and_body() {
    let answer = get(
        "/2015-03-31/things/arn%3Aaws%3Athing?Qualifier=%24LATEST&count=7&IsOn=true\
                      &names=a&names=b&Share=0.25&When=2026-11-20T21%3A10%3A00Z",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-amzn-requestid"), REQUEST_ID);
    assert_eq!(
        answer.json(),
        json!({
            "Name": "arn:aws:thing", "Qualifier": "$LATEST", "Count": 7, "IsOn": true,
            "Names": ["a", "b"], "Share": 0.25, "When": 1_795_209_000,
        })
    );
    assert_eq!(
        get("/2015-03-31/things/f?names=a").json()["Names"],
        json!(["a"])
    );
    let body = json!({
        "Name": "f", "Count": 3, "Length": 5_000_000_000_i64, "Code": "aGk=", "Kind": "Zip",
        "Tags": [{"Key": "k"}], "Variables": {"A": "1"}, "Unknown": [1], "Qualifier": null,
        "Inner": {"MustBe": "x"},
    });
    for path in ["/2015-03-31/things", "/2015-03-31/things/"] {
        let answer = call(Method::POST, path, &[], body.to_string());
        assert_eq!(answer.status, 201);
        let mut expected = body.clone();
        let members = expected.as_object_mut().unwrap();
        members.remove("Unknown");
        members.remove("Qualifier");
        members["Tags"] = json!([{"Key": "k", "Value": null}]);
        assert_eq!(answer.json(), expected);
    }
}

#[test]
fn an_empty_answer_has_no_body_and_no_type() {
    let answer = call(Method::DELETE, "/2015-03-31/things/f", &[], "");
    assert_eq!((answer.status.as_u16(), answer.text()), (204, ""));
    assert!(!answer.headers.contains_key("content-type"));
}

#[test]
fn a_raw_operation_gets_its_body_untouched() {
    let headers = [
        ("x-amz-invocation-type", "Event"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = call(
        Method::POST,
        "/2015-03-31/things/f/runs",
        &headers,
        "not json",
    );
    assert_eq!(answer.status, 202);
    assert_eq!(answer.text(), "f:Event:8");
    assert_eq!(answer.header("x-amzn-requestid"), REQUEST_ID);
    let answer = call(
        Method::POST,
        "/2015-03-31/things/f/runs?Qualifier=own-id",
        &[],
        "",
    );
    assert_eq!(answer.header("x-amzn-requestid"), "own-id");
    assert_eq!(get("/files/a/b%2Fc").status, 202);
}

#[test]
fn wrong_types_are_refused_in_the_words_of_aws() {
    let list = "Start of list found where not expected";
    let map = "Start of structure or map found where not expected.";
    for (body, message) in [
        (
            r#"{"Count": "7"}"#,
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Count": 1.5}"#,
            "DECIMAL_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Count": 3000000000}"#,
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Count": true}"#,
            "TRUE_VALUE can not be converted to an Integer",
        ),
        (r#"{"Count": []}"#, list),
        (r#"{"Count": {}}"#, map),
        (
            r#"{"Length": "x"}"#,
            "STRING_VALUE can not be converted to a Long",
        ),
        (
            r#"{"Name": 7}"#,
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            r#"{"Name": false}"#,
            "FALSE_VALUE can not be converted to a String",
        ),
        (r#"{"Name": {}}"#, map),
        (
            r#"{"IsOn": "true"}"#,
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (r#"{"Tags": "x"}"#, "Expected list or null"),
        (r#"{"Tags": {}}"#, map),
        (r#"{"Tags": ["x"]}"#, "Unexpected value type in payload"),
        (r#"{"Variables": "x"}"#, "Expected map or null"),
        (r#"{"Variables": []}"#, list),
        (r#"{"Code": "a b"}"#, "Invalid base64 value"),
        (
            r#"{"When": "soon"}"#,
            "STRING_VALUE can not be converted to milliseconds since epoch",
        ),
        ("[]", list),
        ("7", "Unexpected value type in payload"),
    ] {
        let answer = call(Method::POST, "/2015-03-31/things", &[], body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.header("x-amzn-errortype"), "SerializationException");
        assert_eq!(
            answer.json(),
            json!({"Type": "User", "message": message}),
            "{body}"
        );
    }
    let answer = call(Method::POST, "/2015-03-31/things", &[], "{\"a\": tru}");
    assert_eq!(answer.header("x-amzn-errortype"), "SerializationException");
    let answer = get("/2015-03-31/things/f?count=seven");
    assert_eq!(
        answer.json()["message"],
        "STRING_VALUE can not be converted to an Integer"
    );
}

#[test]
fn values_outside_of_the_model_are_a_validation_error() {
    for (body, message) in [
        (
            r#"{"Kind": "Tar"}"#,
            "1 validation error detected: Value 'Tar' at 'kind' failed to satisfy constraint: \
             Member must satisfy enum value set: [Zip, Image]",
        ),
        (
            r#"{"Inner": {}}"#,
            "1 validation error detected: Value null at 'inner.mustBe' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            r#"{"Inner": {"MustBe": null}}"#,
            "1 validation error detected: Value null at 'inner.mustBe' failed to satisfy \
             constraint: Member must not be null",
        ),
    ] {
        let answer = call(Method::POST, "/2015-03-31/things", &[], body);
        assert_eq!(answer.status, 400, "{body}");
        // This service speaks the query protocol too, whose word it is.
        assert_eq!(answer.header("x-amzn-errortype"), "ValidationError");
        assert_eq!(answer.json()["message"], message);
    }
}

#[test]
fn faults_have_the_envelope_of_rest_json() {
    for (name, status, code, body) in [
        (
            "client",
            404,
            "ResourceNotFoundException",
            json!({"Type": "User", "message": "Not <here>", "Reason": "Gone"}),
        ),
        (
            "capital",
            429,
            "TooManyRequestsException",
            json!({"Type": "User", "Message": "Rate Exceeded."}),
        ),
        (
            "server",
            502,
            "KMSDisabledException",
            json!({"Type": "Service", "message": "off"}),
        ),
        (
            "internal",
            500,
            "ServiceException",
            json!({"Type": "Service", "message": "Something went wrong."}),
        ),
        (
            "panic",
            500,
            "ServiceException",
            json!({"Type": "Service", "message": "Something went wrong."}),
        ),
    ] {
        let answer = call(Method::PUT, &format!("/2015-03-31/things/{name}"), &[], "");
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header("x-amzn-errortype"), code);
        assert_eq!(answer.header("x-amzn-requestid"), REQUEST_ID);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.json(), body);
    }
    let answer = call(Method::PUT, "/2015-03-31/things/capital", &[], "");
    assert_eq!(answer.header("retry-after"), "1");
}

#[test]
fn a_path_that_is_no_operation_cannot_be_authorised() {
    for (method, uri) in [
        (Method::GET, "/"),
        (Method::GET, "/2015-03-31/nothing"),
        (Method::PATCH, "/2015-03-31/things/f"),
        (Method::GET, "/2015-03-31/things//runs"),
        (Method::OPTIONS, "*"),
    ] {
        let answer = call(method, uri, &[], "body");
        assert_eq!(answer.status, 403, "{uri}");
        assert_eq!(answer.header("x-amzn-errortype"), "AccessDeniedException");
        assert_eq!(
            answer.json(),
            json!({
                "Type": "User",
                "Message": "Unable to determine service/operation name to be authorized",
            })
        );
    }
}

#[test]
fn an_operation_that_is_not_built_says_so() {
    let answer = get("/2015-03-31/later/f");
    assert_eq!(answer.status, 501);
    assert_eq!(answer.header("x-amzn-errortype"), "NotImplementedException");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("LaterThing"), "{message}");
    assert!(message.contains("docs/coverage.md"), "{message}");
}

#[test]
fn the_description_names_every_operation_with_its_route() {
    let described = crate::toy::service().describe();
    let operations = described["operations"].as_array().unwrap();
    let find = |name: &str| operations.iter().find(|o| o["name"] == name).unwrap();
    assert_eq!(
        find("GetThing")["route"]["path"],
        "/2015-03-31/things/{Name}"
    );
    assert_eq!(find("GetThing")["route"]["method"], "GET");
    assert_eq!(
        find("GetThing")["route"]["query"][1],
        json!({"parameter": "count", "member": "Count"})
    );
    assert_eq!(find("CreateThing")["status"], 201);
    assert_eq!(find("LaterThing")["built"], false);
    assert_eq!(find("Echo")["route"], Value::Null);
    assert_eq!(
        find("RunThing")["headers"][0],
        json!({"header": "x-amz-invocation-type", "member": "Invocation"})
    );
}
