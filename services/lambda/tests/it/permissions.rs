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

fn policy_path(arn: &str) -> String {
    format!("/2026-07-09/resource-policy/{}", arn.replace(':', "%3A"))
}

#[tokio::test]
async fn a_policy_is_put_as_a_whole_and_removed() {
    let api = Api::new().await;
    api.active("f").await;
    let arn = format!("{ARN}:f");
    let path = policy_path(&arn);
    let added =
        json!({"StatementId": "a", "Action": "lambda:InvokeFunction", "Principal": "111111111111"});
    api.call("POST", &format!("{FUNCTIONS}/f/policy"), added)
        .await;
    let before = api.get(&path).await.json();
    let own = api.get(&format!("{FUNCTIONS}/f/policy")).await.json();
    assert_eq!(before, own);

    let deny = json!({"Sid": "d", "Effect": "Deny", "Principal": {"AWS": "222222222222"},
        "Action": "lambda:GetFunction", "Resource": arn});
    let document = json!({"Version": "2012-10-17", "Statement": [deny]}).to_string();
    let stale = json!({"Policy": document, "RevisionId": "00000000-0000-0000-0000-000000000000"});
    assert_eq!(api.call("PUT", &path, stale).await.status, 412);
    let new = json!({"Policy": document, "RevisionId": before["RevisionId"]});
    let put = api.call("PUT", &path, new).await;
    let shown = json!({"Version": "2012-10-17", "Id": "default", "Statement": [deny]});
    let text = put.json()["Policy"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), shown);
    assert_eq!(api.get(&path).await.json(), put.json());
    let own = api.get(&format!("{FUNCTIONS}/f/policy")).await.json();
    assert_eq!(own["Policy"], put.json()["Policy"]);

    let stale = format!(
        "{path}?RevisionId={}",
        before["RevisionId"].as_str().unwrap()
    );
    assert_eq!(api.call("DELETE", &stale, Value::Null).await.status, 412);
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, 204);
    let none = (
        404,
        "ResourceNotFoundException".to_owned(),
        "The resource you requested does not exist.".to_owned(),
    );
    assert_eq!(api.get(&path).await.error(), none);
    assert_eq!(api.call("DELETE", &path, Value::Null).await.error(), none);
    let of_nobody = json!({"Policy": document.replace(":f\"", ":x\"")});
    let refused = api
        .call("PUT", &policy_path(&format!("{ARN}:x")), of_nobody)
        .await;
    assert_eq!(refused.error().2, format!("Function not found: {ARN}:x"));
}

#[tokio::test]
async fn functions_without_a_capacity_provider_do_not_scale_by_configuration() {
    let api = Api::new().await;
    api.active("f").await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    let path = "/2025-11-30/functions/f/function-scaling-config";
    let config = json!({"FunctionScalingConfig": {"MinExecutionEnvironments": 1}});
    for (method, path, code, status) in [
        (
            "PUT",
            format!("{path}?Qualifier=1"),
            "InvalidParameterValueException",
            400,
        ),
        (
            "GET",
            format!("{path}?Qualifier=1"),
            "InvalidParameterValueException",
            400,
        ),
        (
            "GET",
            format!("{path}?Qualifier=2"),
            "ResourceNotFoundException",
            404,
        ),
        ("GET", path.to_owned(), "ValidationException", 400),
        (
            "GET",
            format!("{path}?Qualifier=live"),
            "ValidationException",
            400,
        ),
    ] {
        let body = if method == "PUT" {
            config.clone()
        } else {
            Value::Null
        };
        let refused = api.call(method, &path, body).await.error();
        assert_eq!(
            (refused.0, refused.1.as_str()),
            (status, code),
            "{method} {path}"
        );
    }
}
