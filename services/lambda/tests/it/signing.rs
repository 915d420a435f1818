//! Code signing configurations and runtime management.  [SIG-3]

use serde_json::{Value, json};

use crate::harness::{ARN, Api};

const CONFIGS: &str = "/2020-04-22/code-signing-configs";
const OF_FUNCTION: &str = "/2020-06-30/functions";
const PROFILE: &str = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test";

async fn api() -> Api {
    let api = Api::new().await;
    api.active("f").await;
    api
}

fn new(policy: &str) -> Value {
    json!({
        "Description": "d",
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy},
    })
}

/// With the ARN in the form that a path has.
async fn made(api: &Api) -> (Value, String, String) {
    let made = api.call("POST", CONFIGS, new("Enforce")).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    let config = made.json()["CodeSigningConfig"].clone();
    let arn = config["CodeSigningConfigArn"].as_str().unwrap().to_owned();
    let path = format!("{CONFIGS}/{}", arn.replace(':', "%3A"));
    (config, arn, path)
}

#[tokio::test]
async fn a_configuration_is_kept_and_used_by_functions() {
    let api = api().await;
    let (config, arn, path) = made(&api).await;
    let id = config["CodeSigningConfigId"].as_str().unwrap();
    assert!(id.starts_with("csc-") && id.len() == 21, "{id}");
    assert_eq!(
        arn,
        format!("arn:aws:lambda:us-east-1:000000000000:code-signing-config:{id}")
    );
    let mut expected = new("Enforce");
    for name in [
        "CodeSigningConfigId",
        "CodeSigningConfigArn",
        "LastModified",
    ] {
        expected[name] = config[name].clone();
    }
    assert_eq!(config, expected);
    let policy = json!({"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}});
    let updated = api.call("PUT", &path, policy).await.json();
    expected["CodeSigningPolicies"] = json!({"UntrustedArtifactOnDeployment": "Warn"});
    expected["LastModified"] = updated["CodeSigningConfig"]["LastModified"].clone();
    assert_eq!(updated, json!({"CodeSigningConfig": expected}));
    assert_eq!(api.get(&path).await.json(), updated);
    let all = api.get(CONFIGS).await.json();
    assert_eq!(all, json!({"CodeSigningConfigs": [expected]}));

    let mut born = crate::harness::request("g");
    born["CodeSigningConfigArn"] = json!(arn);
    let created = api.call("POST", crate::harness::FUNCTIONS, born).await;
    assert_eq!(created.status, 201, "{:?}", created.json());
    let own = format!("{OF_FUNCTION}/g/code-signing-config");
    let of_new = api.get(&own).await.json();
    assert_eq!(of_new["CodeSigningConfigArn"], json!(arn));
    assert_eq!(api.call("DELETE", &own, Value::Null).await.status, 204);

    let own = format!("{OF_FUNCTION}/f/code-signing-config");
    assert_eq!(api.get(&own).await.json(), json!({}));
    let put = api
        .call("PUT", &own, json!({"CodeSigningConfigArn": arn}))
        .await;
    let link = json!({"CodeSigningConfigArn": arn, "FunctionName": "f"});
    assert_eq!((put.status, put.json()), (200, link.clone()));
    assert_eq!(api.get(&own).await.json(), link);
    let users = api.get(&format!("{path}/functions")).await.json();
    assert_eq!(users, json!({"FunctionArns": [format!("{ARN}:f")]}));
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, 409);
    assert_eq!(api.call("DELETE", &own, Value::Null).await.status, 204);
    assert_eq!(api.get(&own).await.json(), json!({}));
    assert_eq!(api.call("DELETE", &own, Value::Null).await.status, 204);
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(
        api.get(CONFIGS).await.json(),
        json!({"CodeSigningConfigs": []})
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_words_of_aws() {
    let api = api().await;
    let (_, arn, path) = made(&api).await;
    let other = format!("{}_", &arn[..arn.len() - 1]).replace('_', "0");
    let none = format!("{}0", &path[..path.len() - 1]);
    let gone = (
        404,
        "ResourceNotFoundException".to_owned(),
        format!("The Lambda code signing configuration {other} can not be found."),
    );
    for (method, path) in [
        ("GET", none.clone()),
        ("PUT", none.clone()),
        ("DELETE", none.clone()),
        ("GET", format!("{none}/functions")),
    ] {
        let body = if method == "PUT" {
            json!({})
        } else {
            Value::Null
        };
        let answer = api.call(method, &path, body).await;
        assert_eq!(answer.json().get("Type"), None, "{method} {path}");
        assert_eq!(answer.error(), gone, "{method} {path}");
    }
    let no_function = (
        404,
        "ResourceNotFoundException".to_owned(),
        format!("Function not found: {ARN}:x"),
    );
    let no_config = (
        404,
        "CodeSigningConfigNotFoundException".to_owned(),
        format!(
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {other}."
        ),
    );
    for (method, function, arn, expected) in [
        ("PUT", "x", &arn, &no_function),
        ("PUT", "f", &other, &no_config),
        ("PUT", "x", &other, &no_config),
        ("GET", "x", &arn, &no_function),
        ("DELETE", "x", &arn, &no_function),
    ] {
        let path = format!("{OF_FUNCTION}/{function}/code-signing-config");
        let body = if method == "PUT" {
            json!({"CodeSigningConfigArn": arn})
        } else {
            Value::Null
        };
        assert_eq!(
            &api.call(method, &path, body).await.error(),
            expected,
            "{method} {function} {arn}"
        );
    }
    let invalid = json!({"AllowedPublishers": {"SigningProfileVersionArns": []}, "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Maybe"}});
    let message = "2 validation errors detected: Value '[]' at 'allowedPublishers.signingProfileVersionArns' failed to satisfy constraint: Member must have length greater than or equal to 1; Value 'Maybe' at 'codeSigningPolicies.untrustedArtifactOnDeployment' failed to satisfy constraint: Member must satisfy enum value set: [Warn, Enforce]";
    assert_eq!(api.call("POST", CONFIGS, invalid).await.error().2, message);
}

#[tokio::test]
async fn runtime_management_is_kept_and_shown() {
    let api = api().await;
    let path = "/2021-07-20/functions/f/runtime-management-config";
    let arn = format!("{ARN}:f");
    let auto = json!({"UpdateRuntimeOn": "Auto", "FunctionArn": arn});
    assert_eq!(api.get(path).await.json(), auto);
    let configuration = api
        .get("/2015-03-31/functions/f/configuration")
        .await
        .json();
    let release = configuration["RuntimeVersionConfig"]["RuntimeVersionArn"].clone();
    let manual = json!({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": release});
    let mut expected = manual.clone();
    expected["FunctionArn"] = json!(arn);
    let put = api.call("PUT", path, manual).await;
    assert_eq!((put.status, put.json()), (200, expected.clone()));
    assert_eq!(api.get(path).await.json(), expected);
    let update = json!({"UpdateRuntimeOn": "FunctionUpdate"});
    api.call("PUT", path, update).await;
    assert_eq!(
        api.get(path).await.json()["UpdateRuntimeOn"],
        "FunctionUpdate"
    );
    let other = "arn:aws:lambda:us-east-1::runtime:0000";
    for bad in [
        json!({"UpdateRuntimeOn": "Manual"}),
        json!({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": other}),
        json!({"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": release}),
    ] {
        let refused = api.call("PUT", path, bad.clone()).await.error();
        assert_eq!(
            (refused.0, refused.1.as_str()),
            (400, "InvalidParameterValueException"),
            "{bad}"
        );
    }
    api.call("PUT", path, json!({"UpdateRuntimeOn": "Auto"}))
        .await;
    assert_eq!(api.get(path).await.json(), auto);
    let none = api
        .call(
            "PUT",
            &path.replace("/f/", "/x/"),
            json!({"UpdateRuntimeOn": "Auto"}),
        )
        .await;
    assert_eq!(none.error().2, format!("Function not found: {ARN}:x"));
}
