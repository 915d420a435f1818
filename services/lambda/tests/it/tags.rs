use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS, request, with};

fn many(n: usize) -> Value {
    (0..n)
        .map(|i| (format!("k{i}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn tags_come_and_go() {
    let api = Api::new().await;
    api.active("f").await;
    let path = format!("/2017-03-31/tags/{ARN}:f").replace(':', "%3A");
    let tag = api
        .call("POST", &path, json!({"Tags": {"a": "1", "b": "2"}}))
        .await;
    assert_eq!((tag.status, tag.body.len()), (204, 0));
    api.call("POST", &path, json!({"Tags": {"b": "3", "c": ""}}))
        .await;
    assert_eq!(
        api.get(&path).await.json(),
        json!({"Tags": {"a": "1", "b": "3", "c": ""}})
    );
    let gone = api
        .call(
            "DELETE",
            &format!("{path}?tagKeys=a&tagKeys=b&tagKeys=none"),
            json!(null),
        )
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(api.get(&path).await.json(), json!({"Tags": {"c": ""}}));
    api.call("DELETE", &format!("{path}?tagKeys=c"), json!(null))
        .await;
    assert_eq!(api.get(&path).await.json(), json!({"Tags": {}}));
    assert!(
        api.get(&format!("{FUNCTIONS}/f"))
            .await
            .json()
            .get("Tags")
            .is_none()
    );
}

#[tokio::test]
async fn tags_are_refused_as_aws_refuses_them() {
    let api = Api::new().await;
    api.active("f").await;
    let tags = json!({"Tags": {"a": "1"}});
    let on_version =
        "Tags on function aliases and versions are not supported. Please specify a function ARN.";
    let too_many = "Number of tags exceeds resource tag limit.";
    let cases = [
        ("POST", format!("{ARN}:x"), tags.clone(), 404, format!("Function not found: {ARN}:x")),
        ("POST", format!("{ARN}:f:1"), tags.clone(), 400, on_version.to_owned()),
        ("POST", format!("{ARN}:f:$LATEST"), tags, 400, on_version.to_owned()),
        ("POST", format!("{ARN}:f"), json!({"Tags": many(51)}), 400, too_many.to_owned()),
        ("POST", format!("{ARN}:f"), json!({"Tags": {}}), 400, "An error occurred and the request cannot be processed.".to_owned()),
        ("DELETE", format!("{ARN}:f"), json!(null), 400, "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null".to_owned()),
        ("GET", format!("{ARN}:x"), json!(null), 404, format!("Function not found: {ARN}:x")),
    ];
    for (method, arn, body, status, message) in cases {
        let answer = api
            .call(method, &format!("/2017-03-31/tags/{arn}"), body)
            .await;
        let got = answer.error();
        assert_eq!((got.0, got.2), (status, message), "{method} {arn}");
    }
    let malformed = api.get("/2017-03-31/tags/arn:aws:something").await.error();
    assert!(
        malformed
            .2
            .starts_with("1 validation error detected: Value 'arn:aws:something' at 'resource'")
    );
    let created = api
        .call("POST", FUNCTIONS, with(request("g"), "Tags", many(51)))
        .await;
    assert_eq!(created.error().2, too_many);
}
