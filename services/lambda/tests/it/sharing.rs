//! Functions that other accounts may use.  [INV-10, IAM-8]

use http::Request;
use http::request::Builder;
use serde_json::{Value, json};

use crate::harness::{ARN, Answer, Api, FUNCTIONS};

const OTHER: &str = "111111111111";

/// A request of the root of another account.
fn request(method: &str, path: &str) -> Builder {
    let scope = format!("{OTHER}/20261121/us-east-1/lambda/aws4_request");
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={}",
        "0".repeat(64)
    );
    let request = Request::builder().method(method).uri(path);
    request.header("authorization", signed)
}

async fn from_elsewhere(api: &Api, method: &str, path: &str, body: Value) -> Answer {
    let request = request(method, path);
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    api.send(request, text).await
}

fn named(arn: &str) -> String {
    format!("{FUNCTIONS}/{}", arn.replace(':', "%3A"))
}

async fn permit(api: &Api, id: &str, action: &str, qualifier: &str) {
    let statement = json!({"StatementId": id, "Action": action, "Principal": OTHER});
    let path = format!("{FUNCTIONS}/f/policy{qualifier}");
    let added = api.call("POST", &path, statement).await;
    assert_eq!(added.status, 201, "{:?}", added.json());
}

async fn invoke(api: &Api, arn: &str, kind: &str) -> Answer {
    let path = format!("{}/invocations", named(arn));
    let request = request("POST", &path).header("X-Amz-Invocation-Type", kind);
    api.send(request, "{}").await
}

#[tokio::test]
async fn a_call_from_another_account_needs_a_statement() {
    let api = Api::new().await;
    api.active("f").await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    let arn = format!("{ARN}:f");
    let denied = format!(
        "User: arn:aws:iam::{OTHER}:root is not authorized to perform: lambda:InvokeFunction on resource: {arn} because no resource-based policy allows the lambda:InvokeFunction action"
    );
    for kind in ["RequestResponse", "Event", "DryRun"] {
        let refused = invoke(&api, &arn, kind).await.error();
        assert_eq!(
            refused,
            (403, "AccessDeniedException".to_owned(), denied.clone()),
            "{kind}"
        );
    }
    permit(&api, "s", "lambda:InvokeFunction", "").await;
    for (kind, status) in [("RequestResponse", 200), ("Event", 202), ("DryRun", 204)] {
        assert_eq!(invoke(&api, &arn, kind).await.status, status, "{kind}");
    }
    // A statement is about exactly what its policy belongs to.
    let version = format!("{arn}:1");
    assert_eq!(invoke(&api, &version, "DryRun").await.status, 403);
    permit(&api, "s", "lambda:InvokeFunction", "?Qualifier=1").await;
    assert_eq!(invoke(&api, &version, "DryRun").await.status, 204);
    // What does not exist is not told apart from what is not shared.
    let none = format!("{ARN}:none");
    assert_eq!(invoke(&api, &none, "DryRun").await.status, 403);
}

#[tokio::test]
async fn control_operations_are_shared_one_by_one() {
    let api = Api::new().await;
    api.active("f").await;
    let path = named(&format!("{ARN}:f"));
    let get = async || from_elsewhere(&api, "GET", &path, Value::Null).await;
    let denied = get().await.error();
    assert_eq!(
        (denied.0, denied.1.as_str()),
        (403, "AccessDeniedException")
    );
    assert!(denied.2.contains("lambda:GetFunction on resource"));
    permit(&api, "s", "lambda:GetFunction", "").await;
    let shown = get().await;
    assert_eq!(
        shown.json()["Configuration"]["FunctionArn"],
        format!("{ARN}:f")
    );
    let delete = from_elsewhere(&api, "DELETE", &path, Value::Null).await;
    assert_eq!(delete.status, 403);
    // These are never shared.
    permit(&api, "t", "lambda:*", "").await;
    let configuration = format!("{path}/configuration");
    let update = from_elsewhere(&api, "PUT", &configuration, json!({"Timeout": 4})).await;
    assert_eq!(update.status, 403);
    let delete = from_elsewhere(&api, "DELETE", &path, Value::Null).await;
    assert_eq!(delete.status, 204);
}

#[tokio::test]
async fn a_denial_goes_before_everything_else() {
    let api = Api::new().await;
    api.active("f").await;
    let arn = format!("{ARN}:f");
    let statement = |effect: &str, who: &str, action: &str| {
        json!({"Sid": effect, "Effect": effect, "Principal": {"AWS": who}, "Action": action,
            "Resource": arn})
    };
    let document = json!({"Version": "2012-10-17", "Statement": [
        statement("Allow", OTHER, "lambda:*"),
        statement("Deny", OTHER, "lambda:InvokeFunction"),
        statement("Deny", "000000000000", "lambda:DeleteFunction"),
    ]});
    let path = format!("/2026-07-09/resource-policy/{}", arn.replace(':', "%3A"));
    let put = api
        .call("PUT", &path, json!({"Policy": document.to_string()}))
        .await;
    assert_eq!(put.status, 200, "{:?}", put.json());
    let refused = invoke(&api, &arn, "DryRun").await.error();
    assert!(
        refused
            .2
            .ends_with("with an explicit deny in a resource-based policy"),
        "{refused:?}"
    );
    let shown = from_elsewhere(&api, "GET", &named(&arn), Value::Null).await;
    assert_eq!(shown.status, 200);
    // The own account needs no statement, but can be denied.
    assert_eq!(
        api.get(&format!("{FUNCTIONS}/f/configuration"))
            .await
            .status,
        200
    );
    let delete = api
        .call("DELETE", &format!("{FUNCTIONS}/f"), Value::Null)
        .await;
    assert_eq!(delete.status, 403, "{:?}", delete.json());
}
