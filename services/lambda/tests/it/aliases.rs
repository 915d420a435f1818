use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS};

/// `f` with versions 1 and 2.
async fn api() -> Api {
    let api = Api::new().await;
    api.active("f").await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    let change = json!({"Description": "2"});
    api.call("PUT", &format!("{FUNCTIONS}/f/configuration"), change)
        .await;
    api.settle("f").await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    api
}

fn new(name: &str, version: &str) -> Value {
    json!({"Name": name, "FunctionVersion": version})
}

fn weighted(version: &str, weights: Value) -> Value {
    json!({"Name": "live", "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}})
}

fn without_revision(mut json: Value) -> Value {
    json.as_object_mut().unwrap().remove("RevisionId").unwrap();
    json
}

#[tokio::test]
async fn an_alias_is_answered_member_by_member() {
    let api = api().await;
    let path = format!("{FUNCTIONS}/f/aliases");
    let made = api
        .call("POST", &path, weighted("1", json!({"2": 0.2})))
        .await;
    let expected = json!({
        "AliasArn": format!("{ARN}:f:live"),
        "Description": "",
        "FunctionVersion": "1",
        "Name": "live",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
    });
    assert_eq!(
        (made.status, without_revision(made.json())),
        (201, expected)
    );
    let one = format!("{path}/live");
    assert_eq!(api.get(&one).await.json(), made.json());
    let cleared = json!({"RoutingConfig": {"AdditionalVersionWeights": {}}, "Description": "d"});
    let updated = api.call("PUT", &one, cleared).await.json();
    assert_ne!(updated["RevisionId"], made.json()["RevisionId"]);
    let expected = json!({"AliasArn": format!("{ARN}:f:live"), "Description": "d", "FunctionVersion": "1", "Name": "live"});
    assert_eq!(without_revision(updated), expected);
    let function = api
        .get(&format!("{FUNCTIONS}/f:live/configuration"))
        .await
        .json();
    assert_eq!(
        (&function["FunctionArn"], &function["Version"]),
        (&json!(format!("{ARN}:f:live")), &json!("1"))
    );
    for _ in 0..2 {
        assert_eq!(api.call("DELETE", &one, Value::Null).await.status, 204);
    }
}

#[tokio::test]
async fn aliases_are_listed_by_version_and_in_pages() {
    let api = api().await;
    let path = format!("{FUNCTIONS}/f/aliases");
    for (name, version) in [("c", "1"), ("a", "1"), ("b", "2"), ("d", "$LATEST")] {
        assert_eq!(
            api.call("POST", &path, new(name, version)).await.status,
            201
        );
    }
    let names = |json: &Value| -> Vec<Value> {
        json["Aliases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["Name"].clone())
            .collect()
    };
    assert_eq!(
        names(&api.get(&format!("{path}?FunctionVersion=1")).await.json()),
        ["a", "c"]
    );
    let first = api.get(&format!("{path}?MaxItems=3")).await.json();
    assert_eq!(names(&first), ["a", "b", "c"]);
    let marker = first["NextMarker"].as_str().unwrap();
    assert_eq!(
        names(&api.get(&format!("{path}?Marker={marker}")).await.json()),
        ["d"]
    );
}

#[tokio::test]
async fn aliases_are_refused_as_aws_refuses_them() {
    let api = api().await;
    let path = format!("{FUNCTIONS}/f/aliases");
    api.call("POST", &path, new("taken", "1")).await;
    let not_found = |arn: &str| {
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}:{arn}"),
        )
    };
    let invalid = |text: &str| (400, "InvalidParameterValueException", text.to_owned());
    let model = |text: &str| {
        (
            400,
            "ValidationException",
            format!("1 validation error detected: Value {text}"),
        )
    };
    let at = "at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map";
    let cases = [
        (
            new("taken", "1"),
            (
                409,
                "ResourceConflictException",
                format!("Alias already exists: {ARN}:f:taken"),
            ),
        ),
        (new("live", "10"), not_found("f:10")),
        (weighted("1", json!({"10": 0.5})), not_found("f:10")),
        (
            weighted("1", json!({"1": 0.5})),
            invalid(
                "Invalid function version 1. Function version 1 is already included in routing configuration.",
            ),
        ),
        (
            weighted("1", json!({"1": 0.1, "2": 0.2})),
            invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ),
        (
            weighted("$LATEST", json!({"1": 0.5})),
            invalid("$LATEST is not supported for an alias pointing to more than 1 version"),
        ),
        (
            weighted("1", json!({"2": 2.0})),
            model(&format!(
                "'{{2=2.0}}' {at} value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
            )),
        ),
        (
            weighted("1", json!({"2": -1.0})),
            model(&format!(
                "'{{2=-1.0}}' {at} value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
            )),
        ),
        (
            weighted("1", json!({"$LATEST": 0.5})),
            model(&format!(
                "'{{$LATEST=0.5}}' {at} keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
            )),
        ),
        (
            new("2024", "1"),
            model(
                "'2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
            ),
        ),
    ];
    for (body, (status, code, message)) in cases {
        let answer = api.call("POST", &path, body.clone()).await;
        assert_eq!(answer.error(), (status, code.to_owned(), message), "{body}");
    }
    let unknown = api
        .call("POST", &format!("{FUNCTIONS}/x/aliases"), new("live", "1"))
        .await;
    assert_eq!(unknown.error().2, format!("Function not found: {ARN}:x:1"));
    let get = api.get(&format!("{path}/none")).await;
    assert_eq!(
        get.error().2,
        format!("Cannot find alias arn: {ARN}:f:none")
    );
    let update = api
        .call("PUT", &format!("{path}/none"), json!({"Description": "d"}))
        .await;
    assert_eq!(update.error().2, format!("Alias not found: {ARN}:f:none"));
    let stale = api
        .call("PUT", &format!("{path}/taken"), json!({"RevisionId": "x"}))
        .await;
    assert_eq!(stale.status, 412);
    let used = api
        .call("DELETE", &format!("{FUNCTIONS}/f?Qualifier=1"), Value::Null)
        .await;
    assert_eq!(used.status, 409);
}
