use serde_json::{Value, json};

use crate::harness::{
    ARN, Api, FUNCTIONS, active, and, encoded, minimal, pending, request, tamed, with,
};

fn version(number: &str) -> Value {
    and(
        minimal(),
        json!({"FunctionArn": format!("{ARN}:f:{number}"), "Version": number}),
    )
}

#[tokio::test]
async fn a_version_is_answered_with_its_number() {
    let api = Api::new().await;
    api.active("f").await;
    let path = format!("{FUNCTIONS}/f/versions");
    let one = api
        .call("POST", &path, json!({"Description": "first"}))
        .await;
    let expected = and(and(version("1"), active()), json!({"Description": "first"}));
    assert_eq!((one.status, tamed(one.json())), (201, expected.clone()));
    let again = api
        .call("POST", &path, json!({"Description": "other"}))
        .await;
    assert_eq!((again.status, again.json()), (201, one.json()));
    for name in ["f:1", "f?Qualifier=1"] {
        let got = api.get(&format!("{FUNCTIONS}/{name}")).await.json();
        assert_eq!(tamed(got["Configuration"].clone()), expected, "{name}");
    }
    let list = api.get(&path).await.json();
    let without_states = and(version("1"), json!({"Description": "first"}));
    assert_eq!(
        tamed(list),
        json!({"Versions": [version("$LATEST"), without_states]})
    );
}

#[tokio::test]
async fn publishing_is_guarded_by_hash() {
    let api = Api::new().await;
    api.active("f").await;
    let json = api
        .get(&format!("{FUNCTIONS}/f/configuration"))
        .await
        .json();
    let path = format!("{FUNCTIONS}/f/versions");
    let wrong = api.call("POST", &path, json!({"CodeSha256": "x"})).await;
    let sha = json["CodeSha256"].as_str().unwrap();
    assert_eq!(
        wrong.error().2,
        format!(
            "CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with the CodeSHA256 in $LATEST."
        )
    );
    assert_eq!(
        api.call("POST", &path, json!({"CodeSha256": sha}))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_new_function_can_be_published_at_once() {
    let api = Api::new().await;
    let answer = api
        .call(
            "POST",
            FUNCTIONS,
            with(request("f"), "Publish", json!(true)),
        )
        .await;
    let expected = and(and(minimal(), pending()), json!({"Version": "1"}));
    assert_eq!((answer.status, tamed(answer.json())), (201, expected));
    api.settle("f").await;
    let one = api
        .get(&format!("{FUNCTIONS}/f:1/configuration"))
        .await
        .json();
    assert_eq!(tamed(one), and(version("1"), active()));
}

#[tokio::test]
async fn new_code_can_be_published_at_once() {
    let api = Api::new().await;
    api.active("f").await;
    let update = json!({"ZipFile": encoded("2"), "Publish": true});
    let answer = api
        .call("PUT", &format!("{FUNCTIONS}/f/code"), update)
        .await;
    assert_eq!(
        (answer.status, tamed(answer.json())),
        (200, and(version("1"), pending()))
    );
    let latest = api.get(&format!("{FUNCTIONS}/f:$LATEST")).await.json();
    assert_eq!(latest["Configuration"]["LastUpdateStatus"], "InProgress");
}

#[tokio::test]
async fn all_versions_of_all_functions_are_listed_in_pages() {
    let api = Api::new().await;
    for name in ["a", "b", "c"] {
        api.call(
            "POST",
            FUNCTIONS,
            with(request(name), "Publish", json!(true)),
        )
        .await;
    }
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let page = api
            .get(&format!(
                "{FUNCTIONS}?FunctionVersion=ALL&MaxItems=4{marker}"
            ))
            .await
            .json();
        let list = page["Functions"].as_array().unwrap();
        seen.extend(
            list.iter()
                .map(|f| f["FunctionArn"].as_str().unwrap().to_owned()),
        );
        match page.get("NextMarker") {
            Some(next) => marker = format!("&Marker={}", next.as_str().unwrap()),
            None => break,
        }
    }
    let all = ["a:$LATEST", "a:1", "b:$LATEST", "b:1", "c:$LATEST", "c:1"];
    assert_eq!(seen, all.map(|name| format!("{ARN}:{name}")));
}

#[tokio::test]
async fn versions_come_in_pages() {
    let api = Api::new().await;
    api.active("f").await;
    for n in 0..3 {
        let change = json!({"Description": n.to_string()});
        api.call("PUT", &format!("{FUNCTIONS}/f/configuration"), change)
            .await;
        api.settle("f").await;
        api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
            .await;
    }
    let path = format!("{FUNCTIONS}/f/versions?MaxItems=2");
    let first = api.get(&path).await.json();
    let numbers = |json: &Value| -> Vec<Value> {
        json["Versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["Version"].clone())
            .collect()
    };
    assert_eq!(numbers(&first), ["$LATEST", "1"]);
    let next = first["NextMarker"].as_str().unwrap();
    let second = api.get(&format!("{path}&Marker={next}")).await.json();
    assert_eq!(numbers(&second), ["2", "3"]);
    assert!(second.get("NextMarker").is_none());
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let api = Api::new().await;
    api.call(
        "POST",
        FUNCTIONS,
        with(request("f"), "Publish", json!(true)),
    )
    .await;
    api.settle("f").await;
    let gone = api
        .call("DELETE", &format!("{FUNCTIONS}/f?Qualifier=1"), json!(null))
        .await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(api.get(&format!("{FUNCTIONS}/f:1")).await.status, 404);
    assert_eq!(api.get(&format!("{FUNCTIONS}/f")).await.status, 200);
    let gone = api
        .call("DELETE", &format!("{FUNCTIONS}/f"), json!(null))
        .await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(
        api.call("DELETE", &format!("{FUNCTIONS}/f"), json!(null))
            .await
            .status,
        404
    );
}
