use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS};

const CONFIGS: &str = "/2019-09-25/functions";

fn path(function: &str) -> String {
    format!("{CONFIGS}/{function}/event-invoke-config")
}

fn shown(json: &Value) -> Value {
    let mut json = json.clone();
    assert!(json["LastModified"].is_number(), "{json}");
    json.as_object_mut().unwrap().remove("LastModified");
    json
}

/// [ASY-8]
#[tokio::test]
async fn put_replaces_and_update_merges() {
    let api = Api::new().await;
    api.active("f").await;
    let none = json!({"OnSuccess": {}, "OnFailure": {}});
    let put = api
        .call("PUT", &path("f"), json!({"MaximumEventAgeInSeconds": 60}))
        .await;
    assert_eq!(put.status, 200, "{:?}", put.json());
    let arn = format!("{ARN}:f:$LATEST");
    assert_eq!(
        shown(&put.json()),
        json!({"FunctionArn": arn, "MaximumEventAgeInSeconds": 60, "DestinationConfig": none})
    );
    let both = json!({
        "FunctionArn": arn, "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0,
        "DestinationConfig": none,
    });
    let update = api
        .call("POST", &path("f"), json!({"MaximumRetryAttempts": 0}))
        .await;
    assert_eq!(shown(&update.json()), both);
    assert_eq!(shown(&api.get(&path("f")).await.json()), both);
    let latest = api.get(&format!("{}?Qualifier=%24LATEST", path("f"))).await;
    assert_eq!(shown(&latest.json()), both);
    let list = api.get(&format!("{}/list", path("f"))).await.json();
    let list = list["FunctionEventInvokeConfigs"].as_array().unwrap();
    assert_eq!(list.iter().map(shown).collect::<Vec<_>>(), [both]);
    let whole = api
        .call("PUT", &path("f"), json!({"MaximumRetryAttempts": 1}))
        .await;
    assert_eq!(whole.json().get("MaximumEventAgeInSeconds"), None);
    let gone = api.call("DELETE", &path("f"), Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    let list = api.get(&format!("{}/list", path("f"))).await.json();
    assert_eq!(list, json!({"FunctionEventInvokeConfigs": []}));
}

/// [ASY-24]
#[tokio::test]
async fn bad_configurations_are_refused_as_aws_refuses_them() {
    let api = Api::new().await;
    api.active("f").await;
    let to = |arn: &str| json!({"DestinationConfig": {"OnSuccess": {"Destination": arn}}});
    let sns = "arn:aws:iam:us-east-1:000000000000:function:f";
    let printed = format!(
        "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={sns}), onFailure=null) is invalid."
    );
    let gone = format!("{ARN}:gone");
    let config = "doesn't have an EventInvokeConfig";
    for (method, function, body, code, message) in [
        ("PUT", "none", json!({"MaximumRetryAttempts": 1}), "ResourceNotFoundException", "The function doesn't exist.".to_owned()),
        ("PUT", "none", json!({}), "InvalidParameterValueException", "You must specify at least one of error handling or destination setting.".to_owned()),
        ("PUT", "f", to(&gone), "InvalidParameterValueException", format!("The destination ARN {gone} is invalid.")),
        ("PUT", "f", to(&format!("{ARN}:f")), "InvalidParameterValueException", "You can't specify the function as a destination for itself.".to_owned()),
        ("PUT", "f", to(sns), "InvalidParameterValueException", printed),
        ("PUT", "f:nine", json!({"MaximumRetryAttempts": 1}), "ResourceNotFoundException", "The function doesn't exist.".to_owned()),
        ("PUT", "f", json!({"MaximumRetryAttempts": 3}), "ValidationException", "1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: Member must have value less than or equal to 2".to_owned()),
        ("POST", "f", json!({"MaximumRetryAttempts": 0}), "ResourceNotFoundException", format!("The function {ARN}:f:$LATEST {config}")),
        ("GET", "f:nine", Value::Null, "ResourceNotFoundException", format!("The function {ARN}:f:nine {config}")),
        ("DELETE", "none", Value::Null, "ResourceNotFoundException", format!("The function {ARN}:none:$LATEST {config}")),
    ] {
        let (_, got_code, got) = api.call(method, &path(function), body).await.error();
        assert_eq!((got_code.as_str(), got.as_str()), (code, message.as_str()), "{method} {function}");
    }
}

#[tokio::test]
async fn a_configuration_goes_with_its_alias_and_function() {
    let api = Api::new().await;
    api.active("f").await;
    let alias = json!({"Name": "live", "FunctionVersion": "$LATEST"});
    let aliases = format!("{FUNCTIONS}/f/aliases");
    for _ in 0..2 {
        assert_eq!(api.call("POST", &aliases, alias.clone()).await.status, 201);
        assert_eq!(api.get(&path("f:live")).await.status, 404);
        let put = json!({"MaximumRetryAttempts": 1});
        assert_eq!(api.call("PUT", &path("f:live"), put).await.status, 200);
        let one = format!("{aliases}/live");
        assert_eq!(api.call("DELETE", &one, Value::Null).await.status, 204);
    }
    let put = json!({"MaximumRetryAttempts": 1});
    assert_eq!(api.call("PUT", &path("f"), put).await.status, 200);
    let one = format!("{FUNCTIONS}/f");
    assert_eq!(api.call("DELETE", &one, Value::Null).await.status, 204);
    api.active("f").await;
    assert_eq!(api.get(&path("f")).await.status, 404);
}
