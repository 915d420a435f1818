use sandbox::StartError;
use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS};

const AHEAD: &str = "/2019-09-30/functions";

fn change(function: &str) -> String {
    format!("/2017-10-31/functions/{function}/concurrency")
}

fn shown(function: &str) -> String {
    format!("{AHEAD}/{function}/concurrency")
}

fn ahead(function: &str, qualifier: &str) -> String {
    format!("{AHEAD}/{function}/provisioned-concurrency?Qualifier={qualifier}")
}

fn reserve(n: i64) -> Value {
    json!({"ReservedConcurrentExecutions": n})
}

fn provision(n: i64) -> Value {
    json!({"ProvisionedConcurrentExecutions": n})
}

/// `f` with version 1 and the alias `live`.
async fn published(api: &Api) {
    api.active("f").await;
    let versions = format!("{FUNCTIONS}/f/versions");
    api.call("POST", &versions, json!({})).await;
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    api.call("POST", &format!("{FUNCTIONS}/f/aliases"), alias)
        .await;
}

/// CON-6, CON-8, CON-10
#[tokio::test]
async fn reserved_concurrency_is_set_shown_and_removed() {
    let api = Api::new().await;
    api.active("f").await;
    assert_eq!(api.get(&shown("f")).await.json(), json!({}));
    for n in [0, 5] {
        let put = api.call("PUT", &change("f"), reserve(n)).await;
        assert_eq!((put.status, put.json()), (200, reserve(n)));
        assert_eq!(api.get(&shown("f")).await.json(), reserve(n));
    }
    let function = api.get(&format!("{FUNCTIONS}/f")).await.json();
    assert_eq!(function["Concurrency"], reserve(5));
    let settings = api.get("/2016-08-19/account-settings").await.json();
    let limit = &settings["AccountLimit"];
    assert_eq!(limit["ConcurrentExecutions"], 1_000);
    assert_eq!(limit["UnreservedConcurrentExecutions"], 995);
    for _ in 0..2 {
        let gone = api.call("DELETE", &change("f"), Value::Null).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    assert_eq!(api.get(&shown("f")).await.json(), json!({}));
}

/// CON-7, CON-9
#[tokio::test]
async fn bad_reservations_are_refused_as_aws_refuses_them() {
    let api = Api::new().await;
    published(&api).await;
    api.call("PUT", &ahead("f", "1"), provision(2)).await;
    let only = "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.";
    let below = "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].";
    let lower = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].";
    for (name, n, status, message) in [
        ("f:1", 1, 400, only.to_owned()),
        ("f:live", 1, 400, only.to_owned()),
        ("f", 901, 400, below.to_owned()),
        ("f", 1, 400, lower.to_owned()),
        ("none", 1, 404, format!("Function not found: {ARN}:none:$LATEST")),
        ("none", 9_999, 404, format!("Function not found: {ARN}:none:$LATEST")),
        ("f", -1, 400, "1 validation error detected: Value '-1' at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 0".to_owned()),
    ] {
        let raw = api.call("PUT", &change(name), reserve(n)).await;
        let has_type = raw.json().get("Type").is_some();
        assert_eq!(has_type, message != lower, "{name} {n}");
        let answer = raw.error();
        assert_eq!((answer.0, answer.2), (status, message), "{name} {n}");
    }
    let none = api.call("PUT", &change("f"), json!({})).await.error();
    assert!(
        none.2
            .contains("Value null at 'reservedConcurrentExecutions'")
    );
    assert_eq!(api.get(&shown("f")).await.json(), json!({}));
}

/// CON-5, CON-8
#[tokio::test]
async fn a_reservation_of_none_throttles_with_its_reason() {
    let api = Api::new().await;
    api.active("f").await;
    api.call("PUT", &change("f"), reserve(0)).await;
    let invoke = format!("{FUNCTIONS}/f/invocations");
    let refused = api.call("POST", &invoke, json!({})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.json(),
        json!({
            "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
            "Type": "User",
            "message": "Rate Exceeded.",
        })
    );
    api.call("DELETE", &change("f"), Value::Null).await;
    assert_eq!(api.call("POST", &invoke, json!({})).await.status, 200);
}

/// Asks until the state is no more `IN_PROGRESS`.
async fn settled(api: &Api, path: &str) -> Value {
    for _ in 0..2_000 {
        api.advance(std::time::Duration::from_millis(100));
        tokio::task::yield_now().await;
        let json = api.get(path).await.json();
        if json["Status"] != "IN_PROGRESS" {
            return json;
        }
    }
    panic!("it stays in progress");
}

fn config(requested: u32, ready: u32, status: &str) -> Value {
    json!({
        "RequestedProvisionedConcurrentExecutions": requested,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "AvailableProvisionedConcurrentExecutions": ready,
        "Status": status,
    })
}

fn undated(mut json: Value) -> Value {
    let date = json.as_object_mut().unwrap().remove("LastModified");
    assert!(date.unwrap().as_str().unwrap().ends_with("+0000"));
    json
}

/// CON-11
#[tokio::test]
async fn provisioned_concurrency_becomes_ready() {
    let api = Api::new().await;
    published(&api).await;
    for (qualifier, other) in [("1", "live"), ("live", "1")] {
        let path = ahead("f", qualifier);
        let put = api.call("PUT", &path, provision(5)).await;
        assert_eq!(
            (put.status, undated(put.json())),
            (202, config(5, 0, "IN_PROGRESS"))
        );
        let ready = settled(&api, &path).await;
        assert_eq!(undated(ready.clone()), config(5, 5, "READY"));
        let list = format!("{AHEAD}/f/provisioned-concurrency?List=ALL");
        let mut item = ready;
        item["FunctionArn"] = format!("{ARN}:f:{qualifier}").into();
        assert_eq!(
            api.get(&list).await.json(),
            json!({"ProvisionedConcurrencyConfigs": [item]})
        );
        let refused = api.call("PUT", &ahead("f", other), provision(1)).await;
        let message = match other {
            "live" => {
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            }
            _ => "Version is pointed by a Provisioned Concurrency alias",
        };
        let (status, code, text) = refused.error();
        assert_eq!((status, &*text), (409, message));
        assert_eq!(code, "ResourceConflictException");
        for _ in 0..2 {
            assert_eq!(api.call("DELETE", &path, Value::Null).await.status, 204);
        }
        let (status, code, text) = api.get(&path).await.error();
        assert_eq!(
            (status, &*code, &*text),
            (
                404,
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function"
            )
        );
    }
}

/// CON-11
#[tokio::test]
async fn a_failed_init_fails_provisioned_concurrency() {
    let api = Api::with(|fake| {
        fake.init_fails(|_| {
            Some(StartError::InitExited {
                exit: model::Exit::Code(1),
                took: std::time::Duration::from_millis(1),
            })
        })
    })
    .await;
    published(&api).await;
    let path = ahead("f", "live");
    api.call("PUT", &path, provision(1)).await;
    let mut expected = config(1, 0, "FAILED");
    expected["StatusReason"] = "FUNCTION_ERROR_INIT_FAILURE".into();
    assert_eq!(undated(settled(&api, &path).await), expected);
}

/// CON-16
#[tokio::test]
async fn bad_provisioned_concurrency_is_refused_as_aws_refuses_it() {
    let api = Api::new().await;
    published(&api).await;
    let alias = |f: &str, q: &str| format!("Cannot find alias arn: {ARN}:{f}:{q}");
    let function = |f: &str, q: &str| format!("Function not found: {ARN}:{f}:{q}");
    let resource = "The function resource provided must be an alias or a published version.";
    let unpublished =
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    for (method, name, qualifier, n, status, message) in [
        ("PUT", "none", "no", 1, 404, alias("none", "no")),
        ("GET", "none", "no", 1, 404, alias("none", "no")),
        ("PUT", "none", "1", 1, 404, function("none", "1")),
        ("DELETE", "none", "1", 1, 404, function("none", "1")),
        ("PUT", "f", "no", 1, 404, alias("f", "no")),
        ("DELETE", "f", "no", 1, 404, alias("f", "no")),
        ("GET", "f", "10", 1, 404, function("f", "10")),
        ("PUT", "f", "%24LATEST", 1, 400, unpublished.to_owned()),
        ("GET", "f", "%24LATEST", 1, 400, resource.to_owned()),
        ("DELETE", "f", "%24LATEST", 1, 400, resource.to_owned()),
        ("PUT", "f", "1", 0, 400, "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1".to_owned()),
        ("PUT", "f", "1", 1_001, 400, "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].".to_owned()),
        ("PUT", "f", "1", 901, 400, "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].".to_owned()),
    ] {
        let answer = api.call(method, &ahead(name, qualifier), provision(n)).await;
        let (got, _, text) = answer.error();
        assert_eq!((got, text), (status, message), "{method} {name} {qualifier}");
    }
    api.call("PUT", &change("f"), reserve(2)).await;
    let more = api
        .call("PUT", &ahead("f", "1"), provision(3))
        .await
        .error();
    assert_eq!(
        (more.0, &*more.2),
        (
            400,
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )
    );
    let list = format!("{AHEAD}/none/provisioned-concurrency?List=ALL");
    let missing = api.get(&list).await.error();
    assert_eq!(missing.2, format!("Function not found: {ARN}:none"));
}
