use serde_json::json;

use crate::harness::{ARN, Api, FUNCTIONS, request, with};

#[tokio::test]
async fn a_function_answers_to_every_form_of_its_name() {
    let api = Api::new().await;
    api.active("f").await;
    for name in [
        "f",
        "function%3Af",
        "000000000000%3Afunction%3Af",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
        "arn:aws:lambda:us-east-1:000000000000:function:f",
    ] {
        let json = api
            .get(&format!("{FUNCTIONS}/{name}/configuration"))
            .await
            .json();
        assert_eq!(json["FunctionArn"], format!("{ARN}:f"), "{name}");
    }
    for name in [
        "f?Qualifier=$LATEST",
        "f:$LATEST",
        "f:%24LATEST?Qualifier=%24LATEST",
    ] {
        let json = api.get(&format!("{FUNCTIONS}/{name}")).await.json();
        assert_eq!(
            json["Configuration"]["FunctionArn"],
            format!("{ARN}:f:$LATEST"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_function_can_be_created_by_arn() {
    let api = Api::new().await;
    for (name, bare) in [
        (format!("{ARN}:f"), "f"),
        ("000000000000:function:g".to_owned(), "g"),
    ] {
        let json = api.create(&name).await.json();
        assert_eq!(json["FunctionName"], bare);
        assert_eq!(json["FunctionArn"], format!("{ARN}:{bare}"));
        assert_eq!(
            json["LoggingConfig"]["LogGroup"],
            format!("/aws/lambda/{bare}")
        );
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told_as_aws_tells_them() {
    let api = Api::new().await;
    api.active("f").await;
    let (other, long) = (
        "arn:aws:lambda:eu-west-1:000000000000:function:f",
        "a".repeat(65),
    );
    let not_found = |arn: &str| {
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}:{arn}"),
        )
    };
    let cases = [
        ("GET", "x".to_owned(), not_found("x")),
        ("GET", "f:7".to_owned(), not_found("f:7")),
        ("GET", "f?Qualifier=live".to_owned(), not_found("f:live")),
        ("GET", "f?Qualifier=%24latest".to_owned(), not_found("f:$latest")),
        ("GET", long.clone(), not_found(&long)),
        ("DELETE", "x".to_owned(), not_found("x")),
        ("DELETE", "x?Qualifier=7".to_owned(), not_found("x")),
        ("DELETE", "f?Qualifier=%24latest".to_owned(), not_found("f")),
        (
            "GET",
            other.to_owned(),
            (404, "ResourceNotFoundException", "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')".to_owned()),
        ),
        (
            "GET",
            "f:1?Qualifier=2".to_owned(),
            (400, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.".to_owned()),
        ),
        (
            "DELETE",
            "f?Qualifier=$LATEST".to_owned(),
            (400, "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function.".to_owned()),
        ),
        (
            "DELETE",
            "f?Qualifier=live".to_owned(),
            (400, "InvalidParameterValueException", "Deletion of aliases is not currently supported.".to_owned()),
        ),
        (
            "GET",
            "my-function!".to_owned(),
            (400, "ValidationException", r"1 validation error detected: Value 'my-function!' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?".to_owned()),
        ),
        (
            "GET",
            "f?Qualifier=invalid!".to_owned(),
            (400, "ValidationException", r"1 validation error detected: Value 'invalid!' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".to_owned()),
        ),
    ];
    for (method, path, (status, code, message)) in cases {
        let answer = api
            .call(method, &format!("{FUNCTIONS}/{path}"), json!(null))
            .await;
        assert_eq!(
            answer.error(),
            (status, code.to_owned(), message),
            "{method} {path}"
        );
    }
    let missing = api.get(&format!("{FUNCTIONS}/x")).await.json();
    assert_eq!(
        missing,
        json!({"Type": "User", "Message": format!("Function not found: {ARN}:x")})
    );
}

#[tokio::test]
async fn a_new_name_has_its_own_limits() {
    let api = Api::new().await;
    let long = "a".repeat(65);
    let (status, code, message) = api.create(&long).await.error();
    assert_eq!(
        (status, code.as_str()),
        (400, "InvalidParameterValueException")
    );
    assert_eq!(
        message,
        format!(
            "1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"
        )
    );
    let arn = format!("{ARN}:{}", "a".repeat(100));
    let (_, code, message) = api.create(&arn).await.error();
    assert_eq!(code, "ValidationException");
    assert!(
        message.ends_with("Member must have length less than or equal to 140"),
        "{message}"
    );
    let elsewhere = request("111111111111:function:f");
    let answer = api.call("POST", FUNCTIONS, elsewhere).await;
    assert_eq!(
        (answer.status, answer.header("x-amzn-errortype")),
        (403, Some("AccessDeniedException"))
    );
    assert_eq!(answer.json()["Message"], json!(null));
    let unnamed = with(request("f"), "FunctionName", json!(null));
    let (_, _, message) = api.call("POST", FUNCTIONS, unnamed).await.error();
    assert_eq!(
        message,
        "1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null"
    );
}
