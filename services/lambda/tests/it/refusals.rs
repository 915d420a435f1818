use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS, and, encoded, request, with};

/// Sends CreateFunction with one member changed; nothing may be kept.
async fn check(api: &Api, change: Value, expected: (u16, &str, &str)) {
    let mut sent = request("f");
    for (member, value) in change.as_object().unwrap() {
        sent = with(sent, member, value.clone());
    }
    let answer = api.call("POST", FUNCTIONS, sent).await;
    let (status, code, message) = expected;
    assert_eq!(
        answer.error(),
        (status, code.to_owned(), message.to_owned()),
        "{change}"
    );
    assert_eq!(api.get(&format!("{FUNCTIONS}/f")).await.status, 404);
}

#[tokio::test]
async fn values_that_break_the_model_are_told_in_its_words() {
    let api = Api::new().await;
    let pattern = |value: &str, field: &str, pattern: &str| {
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"
        )
    };
    let other = |value: &str, field: &str, rule: &str| {
        format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must {rule}"
        )
    };
    let cases = [
        (json!({"Role": "r1"}), pattern("r1", "role", r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")),
        (json!({"Handler": "a b"}), pattern("a b", "handler", r"[^\s]+")),
        (json!({"Timeout": 901}), other("901", "timeout", "have value less than or equal to 900")),
        (json!({"Timeout": 0}), other("0", "timeout", "have value greater than or equal to 1")),
        (json!({"MemorySize": 127}), other("127", "memorySize", "have value greater than or equal to 128")),
        (json!({"EphemeralStorage": {"Size": 511}}), other("511", "ephemeralStorage.size", "have value greater than or equal to 512")),
        (json!({"Architectures": ["x86_64", "arm64"]}), other("[x86_64, arm64]", "architectures", "have length less than or equal to 1")),
        (json!({"Architectures": ["X86_64"]}), other("[X86_64]", "architectures", "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]")),
        (json!({"SnapStart": {"ApplyOn": "invalidOption"}}), other("invalidOption", "snapStart.applyOn", "satisfy enum value set: [PublishedVersions, None]")),
        (json!({"VpcConfig": {"SubnetIds": ["bad-1"]}}), other("[bad-1]", "vpcConfig.subnetIds", "satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*]")),
        (json!({"Role": null}), "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null".to_owned()),
    ];
    for (change, message) in cases {
        check(&api, change, (400, "ValidationException", &message)).await;
    }
}

#[tokio::test]
async fn all_that_breaks_the_model_is_told_at_once() {
    let api = Api::new().await;
    let sent = and(
        request("f"),
        json!({"Timeout": 0, "MemorySize": 1, "Role": "r"}),
    );
    let (_, _, message) = api.call("POST", FUNCTIONS, sent).await.error();
    assert!(
        message.starts_with("3 validation errors detected: Value "),
        "{message}"
    );
    assert_eq!(message.matches("; Value ").count(), 2);
}

#[tokio::test]
async fn values_that_make_no_sense_are_refused() {
    let api = Api::new().await;
    let unzip = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let cases = [
        (json!({"Code": {"ZipFile": "bm8gemlw"}}), unzip),
        (
            json!({"Code": {"ZipFile": ""}}),
            "Uploaded file must be a non-empty zip",
        ),
        (
            json!({"Code": {}}),
            "Please provide a source for function code.",
        ),
        (
            json!({"Runtime": null}),
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            json!({"Handler": null}),
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            json!({"MemorySize": 10_241}),
            "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
        ),
        (
            json!({"Runtime": "python3.7"}),
            "The runtime parameter of python3.7 is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
        ),
        (
            json!({"Environment": {"Variables": {"AWS_REGION": "x"}}}),
            "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION",
        ),
    ];
    for (change, message) in cases {
        check(
            &api,
            change,
            (400, "InvalidParameterValueException", message),
        )
        .await;
    }
}

#[tokio::test]
async fn a_request_that_is_no_request_changes_nothing() {
    let api = Api::new().await;
    for body in [
        "{",
        "[]",
        "\"x\"",
        r#"{"FunctionName": 7}"#,
        r#"{"Timeout": "soon"}"#,
        r#"{"Code": {"ZipFile": "*"}}"#,
    ] {
        let answer = api.send(http::Request::post(FUNCTIONS), body).await;
        let (status, code, _) = answer.error();
        assert_eq!(
            (status, code.as_str()),
            (400, "SerializationException"),
            "{body}"
        );
    }
    assert_eq!(api.get(FUNCTIONS).await.json(), json!({"Functions": []}));
}

#[tokio::test]
async fn sizes_have_their_own_refusals() {
    let api = Api::new().await;
    let zeros = "A".repeat(52_428_804 / 3 * 4);
    let sent = with(request("f"), "Code", json!({"ZipFile": zeros}));
    let too_large = |message: &str| {
        (
            413,
            "RequestEntityTooLargeException".to_owned(),
            message.to_owned(),
        )
    };
    assert_eq!(
        api.call("POST", FUNCTIONS, sent).await.error(),
        too_large("Zipped size must be smaller than 52428800 bytes")
    );
    let sent = with(request("f"), "Description", json!("x".repeat(70_167_211)));
    assert_eq!(
        api.call("POST", FUNCTIONS, sent).await.error(),
        too_large("Request must be smaller than 70167211 bytes for the CreateFunction operation")
    );
}

#[tokio::test]
async fn conflicts_are_told_with_the_state() {
    let api = Api::new().await;
    api.create("f").await;
    let conflict = |message: String| (409, "ResourceConflictException".to_owned(), message);
    assert_eq!(
        api.create("f").await.error(),
        conflict("Function already exist: f".to_owned())
    );
    let (code, settings) = (
        format!("{FUNCTIONS}/f/code"),
        format!("{FUNCTIONS}/f/configuration"),
    );
    let update = json!({"ZipFile": encoded("2")});
    assert_eq!(
        api.call("PUT", &code, update.clone()).await.error(),
        conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending".to_owned())
    );
    api.settle("f").await;
    assert_eq!(api.call("PUT", &code, update.clone()).await.status, 200);
    let busy = conflict(format!(
        "The operation cannot be performed at this time. An update is in progress for resource: {ARN}:f"
    ));
    assert_eq!(api.call("PUT", &code, update).await.error(), busy);
    assert_eq!(api.call("PUT", &settings, json!({})).await.error(), busy);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let api = Api::new().await;
    api.active("f").await;
    let text = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id";
    let stale = (
        412,
        "PreconditionFailedException".to_owned(),
        text.to_owned(),
    );
    for (method, path, body) in [
        (
            "PUT",
            "code",
            json!({"ZipFile": encoded("2"), "RevisionId": "x"}),
        ),
        ("PUT", "configuration", json!({"RevisionId": "x"})),
        ("POST", "versions", json!({"RevisionId": "x"})),
    ] {
        let answer = api
            .call(method, &format!("{FUNCTIONS}/f/{path}"), body)
            .await;
        assert_eq!(answer.error(), stale, "{path}");
    }
    let json = api
        .get(&format!("{FUNCTIONS}/f/configuration"))
        .await
        .json();
    let right = json!({"RevisionId": json["RevisionId"], "Description": "d"});
    assert_eq!(
        api.call("PUT", &format!("{FUNCTIONS}/f/configuration"), right)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn updates_are_checked_like_new_functions() {
    let api = Api::new().await;
    api.active("f").await;
    let path = format!("{FUNCTIONS}/f/configuration");
    for (body, code) in [
        (json!({"Role": "r1"}), "ValidationException"),
        (json!({"Timeout": 901}), "ValidationException"),
        (
            json!({"Runtime": "non-existent-runtime"}),
            "InvalidParameterValueException",
        ),
        (
            json!({"Environment": {"Variables": {"X": "name of one letter"}}}),
            "ValidationException",
        ),
    ] {
        assert_eq!(
            api.call("PUT", &path, body.clone()).await.error().1,
            code,
            "{body}"
        );
    }
    let image = json!({"ImageUri": "x"});
    let (_, _, message) = api
        .call("PUT", &format!("{FUNCTIONS}/f/code"), image)
        .await
        .error();
    assert_eq!(
        message,
        "Please don't provide ImageUri when updating a function with packageType Zip."
    );
    for (method, path) in [
        ("PUT", "x/code"),
        ("PUT", "x/configuration"),
        ("POST", "x/versions"),
    ] {
        let answer = api
            .call(
                method,
                &format!("{FUNCTIONS}/{path}"),
                json!({"ZipFile": encoded("2")}),
            )
            .await;
        assert_eq!(
            answer.error().2,
            format!("Function not found: {ARN}:x"),
            "{path}"
        );
    }
    let qualified = api
        .call("PUT", &format!("{FUNCTIONS}/f:1/configuration"), json!({}))
        .await;
    assert_eq!(qualified.status, 400);
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let api = Api::new().await;
    let answer = api.get("/2025-11-30/capacity-providers").await;
    assert_eq!(
        (answer.status, answer.header("x-amzn-errortype")),
        (501, Some("NotImplementedException"))
    );
    for change in [
        json!({"Code": {"S3Bucket": "bucket", "S3Key": "k"}}),
        json!({"PackageType": "Image", "Code": {"ImageUri": "x"}}),
    ] {
        let answer = api.call("POST", FUNCTIONS, and(request("f"), change)).await;
        assert_eq!(answer.status, 501);
    }
}

#[tokio::test]
async fn an_environment_that_is_too_long_is_shown_in_the_order_of_the_request() {
    let api = Api::new().await;
    let body = with(
        request("f"),
        "Environment",
        json!({"Variables": {"SMALL_VAR": "ok", "LARGE_VAR": "x".repeat(4_064)}}),
    );
    let (_, _, message) = api.call("POST", FUNCTIONS, body).await.error();
    assert!(
        message.contains(r#"String measured: {"SMALL_VAR":"ok","LARGE_VAR":"xxx"#),
        "{message}"
    );
}
