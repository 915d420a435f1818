use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS, and};

fn new(id: &str) -> Value {
    json!({"StatementId": id, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"})
}

async fn api() -> Api {
    let api = Api::new().await;
    api.active("f").await;
    api
}

#[tokio::test]
async fn a_statement_is_a_text_of_json_in_the_order_of_aws() {
    let api = api().await;
    let path = format!("{FUNCTIONS}/f/policy");
    let more = json!({"SourceArn": "arn:aws:s3:::b", "SourceAccount": "000000000000"});
    let added = api.call("POST", &path, and(new("s3"), more)).await;
    let statement = format!(
        r#"{{"Sid":"s3","Effect":"Allow","Principal":{{"Service":"s3.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"{ARN}:f","Condition":{{"ArnLike":{{"AWS:SourceArn":"arn:aws:s3:::b"}},"StringEquals":{{"AWS:SourceAccount":"000000000000"}}}}}}"#
    );
    assert_eq!(added.status, 201);
    let text = added.json()["Statement"].as_str().unwrap().to_owned();
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parsed(&text), parsed(&statement));
    assert!(
        text.starts_with(r#"{"Sid":"s3","Effect":"Allow","Principal":"#),
        "{text}"
    );
    let policy = api.get(&path).await.json();
    let whole = parsed(policy["Policy"].as_str().unwrap());
    assert_eq!(
        whole,
        json!({"Version": "2012-10-17", "Id": "default", "Statement": [parsed(&statement)]})
    );
    assert_eq!(policy["RevisionId"].as_str().unwrap().len(), 36);
    for (principal, shown) in [
        ("*", json!("*")),
        (
            "111111111111",
            json!({"AWS": "arn:aws:iam::111111111111:root"}),
        ),
        (
            "arn:aws:iam::000000000000:user/u",
            json!({"AWS": "arn:aws:iam::000000000000:user/u"}),
        ),
    ] {
        let id = format!("p{}", principal.len());
        let added = api
            .call(
                "POST",
                &path,
                and(new(&id), json!({"Principal": principal})),
            )
            .await;
        assert_eq!(
            parsed(added.json()["Statement"].as_str().unwrap())["Principal"],
            shown
        );
    }
}

#[tokio::test]
async fn statements_are_removed_by_id() {
    let api = api().await;
    let path = format!("{FUNCTIONS}/f/policy");
    api.call("POST", &path, new("a")).await;
    let gone = api.call("DELETE", &format!("{path}/a"), Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(
        api.get(&path).await.error().2,
        "The resource you requested does not exist."
    );
}

#[tokio::test]
async fn policies_are_refused_as_aws_refuses_them() {
    let api = api().await;
    let not_found = |arn: &str| {
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}:{arn}"),
        )
    };
    let invalid = |text: &str| (400, "InvalidParameterValueException", text.to_owned());
    api.call("POST", &format!("{FUNCTIONS}/f/policy"), new("taken"))
        .await;
    let stale = "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id";
    let cases = [
        ("POST", "x/policy", new("a"), not_found("x")),
        ("POST", "f/policy?Qualifier=42", new("a"), not_found("f:42")),
        ("POST", "f/policy?Qualifier=with-%24-but", new("a"), not_found("f:with-$-but")),
        ("POST", "f:none/policy", new("a"), (404, "ResourceNotFoundException", format!("Cannot find alias arn: {ARN}:f:none"))),
        ("POST", "f/policy?Qualifier=$LATEST", new("a"), invalid("We currently do not support adding policies for $LATEST.")),
        ("POST", "f/policy", and(new("a"), json!({"Principal": "invalid.nonaws.com"})), invalid("The provided principal was invalid. Please check the principal and try again.")),
        ("POST", "f/policy", new("taken"), (409, "ResourceConflictException", "The statement id (taken) provided already exists. Please provide a new statement id, or remove the existing statement.".to_owned())),
        ("POST", "f/policy", and(new("a"), json!({"RevisionId": "x"})), (412, "PreconditionFailedException", stale.to_owned())),
        ("POST", "f/policy", new("example.com"), (400, "ValidationException", "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)".to_owned())),
        ("DELETE", "f/policy/none", Value::Null, (404, "ResourceNotFoundException", "Statement none is not found in resource policy.".to_owned())),
        ("DELETE", "x/policy/a", Value::Null, (404, "ResourceNotFoundException", format!("No policy found for: {ARN}:x"))),
        ("DELETE", "f/policy/a?Qualifier=none", Value::Null, (404, "ResourceNotFoundException", format!("Cannot find alias arn: {ARN}:f:none"))),
    ];
    for (method, path, body, (status, code, message)) in cases {
        let answer = api.call(method, &format!("{FUNCTIONS}/{path}"), body).await;
        assert_eq!(
            answer.error(),
            (status, code.to_owned(), message),
            "{method} {path}"
        );
    }
    // Each is as long as one may be; together they are more than a policy may hold.
    let long = json!({"SourceArn": format!("arn:aws:s3:::{}", "x".repeat(9_900))});
    let mut codes = Vec::new();
    for id in ["a", "b", "c"] {
        let path = format!("{FUNCTIONS}/f/policy");
        let answer = api.call("POST", &path, and(new(id), long.clone())).await;
        codes.push(answer.error().1);
    }
    assert_eq!(codes, ["", "", "PolicyLengthExceededException"]);
}

#[tokio::test]
async fn loops_are_ended_unless_they_are_allowed() {
    let api = api().await;
    let path = "/2024-08-31/functions/f/recursion-config";
    assert_eq!(
        api.get(path).await.json(),
        json!({"RecursiveLoop": "Terminate"})
    );
    let put = api
        .call("PUT", path, json!({"RecursiveLoop": "Allow"}))
        .await;
    assert_eq!(
        (put.status, put.json()),
        (200, json!({"RecursiveLoop": "Allow"}))
    );
    assert_eq!(
        api.get(path).await.json(),
        json!({"RecursiveLoop": "Allow"})
    );
    let bad = api
        .call("PUT", path, json!({"RecursiveLoop": "InvalidValue"}))
        .await;
    assert_eq!(
        bad.error().2,
        "1 validation error detected: Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: Member must satisfy enum value set: [Terminate, Allow]"
    );
}
