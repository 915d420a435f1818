use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{
    ARN, Api, FUNCTIONS, active, and, encoded, minimal, pending, request, tamed, updating, with,
    zip,
};

#[tokio::test]
async fn a_created_function_is_answered_member_by_member() {
    let api = Api::new().await;
    let answer = api.create("f").await;
    assert_eq!(answer.status, 201);
    assert_eq!(tamed(answer.json()), and(minimal(), pending()));
    assert_eq!(answer.json()["CodeSize"], zip("1").len());
    let date = answer.json()["LastModified"].as_str().unwrap().to_owned();
    assert_eq!(date, "2023-11-14T22:13:20.000+0000");
    api.settle("f").await;
    let answer = api.get(&format!("{FUNCTIONS}/f/configuration")).await;
    assert_eq!(
        (answer.status, tamed(answer.json())),
        (200, and(minimal(), active()))
    );
}

#[tokio::test]
async fn a_function_is_answered_with_its_code_and_tags() {
    let api = Api::new().await;
    let tagged = with(request("f"), "Tags", json!({"k": "v"}));
    api.call("POST", FUNCTIONS, tagged).await;
    api.settle("f").await;
    let answer = api.get(&format!("{FUNCTIONS}/f")).await;
    let expected = json!({
        "Code": {"Location": "<location>", "RepositoryType": "S3"},
        "Configuration": and(minimal(), active()),
        "Tags": {"k": "v"},
    });
    assert_eq!(tamed(answer.json()), expected);
}

#[tokio::test]
async fn the_location_gives_the_exact_zip_for_ten_minutes() {
    let api = Api::new().await;
    api.active("f").await;
    let json = api.get(&format!("{FUNCTIONS}/f")).await.json();
    let location = json["Code"]["Location"].as_str().unwrap().to_owned();
    let path = location.strip_prefix("http://127.0.0.1:4566").unwrap();
    let answer = api.get(path).await;
    assert_eq!((answer.status, &answer.body), (200, &zip("1")));
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    let forged = path.replace("Signature=", "Signature=00");
    assert_eq!(api.get(&forged).await.status, 403);
    let later = path.replace("Expires=1", "Expires=9");
    assert_eq!(api.get(&later).await.status, 403);
    api.advance(Duration::from_secs(601));
    assert_eq!(api.get(path).await.status, 403);
}

#[tokio::test]
async fn every_setting_comes_back() {
    let api = Api::new().await;
    let settings = json!({
        "Description": "d",
        "Timeout": 900,
        "MemorySize": 10_240,
        "Environment": {"Variables": {"AB": "c"}},
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 10_240},
        "TracingConfig": {"Mode": "Active"},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0", "LocalMountPath": "/mnt/x"}],
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN", "LogGroup": "g"},
    });
    let answer = api
        .call("POST", FUNCTIONS, and(request("f"), settings.clone()))
        .await;
    assert_eq!(answer.status, 201, "{:?}", answer.json());
    assert_eq!(
        tamed(answer.json()),
        and(and(minimal(), pending()), settings)
    );
}

#[tokio::test]
async fn an_empty_environment_is_not_an_absent_one() {
    let api = Api::new().await;
    for empty in [json!({}), json!({"Variables": {}})] {
        let name = format!("f{}", empty.as_object().unwrap().len());
        let answer = api
            .call(
                "POST",
                FUNCTIONS,
                with(request(&name), "Environment", empty),
            )
            .await;
        assert_eq!(answer.json()["Environment"], json!({"Variables": {}}));
    }
}

#[tokio::test]
async fn an_update_keeps_what_was_not_sent() {
    let api = Api::new().await;
    let first = json!({"Environment": {"Variables": {"AB": "c", "DE": "f"}}, "Timeout": 9});
    api.call("POST", FUNCTIONS, and(request("f"), first)).await;
    api.settle("f").await;
    let path = format!("{FUNCTIONS}/f/configuration");
    let change = json!({"Environment": {"Variables": {"AB": "x"}}, "Description": "d"});
    let answer = api.call("PUT", &path, change.clone()).await;
    let expected = and(and(minimal(), json!({"Timeout": 9})), change);
    assert_eq!(
        (answer.status, tamed(answer.json())),
        (200, and(expected.clone(), updating()))
    );
    api.settle("f").await;
    assert_eq!(tamed(api.get(&path).await.json()), and(expected, active()));
}

#[tokio::test]
async fn settings_can_be_taken_away() {
    let api = Api::new().await;
    let first = json!({
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    });
    let created = api
        .call("POST", FUNCTIONS, and(request("f"), first))
        .await
        .json();
    let vpc = &created["VpcConfig"];
    assert_eq!(vpc["Ipv6AllowedForDualStack"], false);
    assert!(vpc["VpcId"].as_str().unwrap().starts_with("vpc-"));
    api.settle("f").await;
    let none = json!({
        "DeadLetterConfig": {"TargetArn": ""},
        "KMSKeyArn": "",
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    });
    let answer = api
        .call("PUT", &format!("{FUNCTIONS}/f/configuration"), none)
        .await
        .json();
    let vpc = json!({"Ipv6AllowedForDualStack": false, "SecurityGroupIds": [], "SubnetIds": [], "VpcId": ""});
    assert_eq!(
        tamed(answer),
        and(and(minimal(), updating()), json!({"VpcConfig": vpc}))
    );
}

#[tokio::test]
async fn new_code_changes_the_hash_once_it_is_no_dry_run() {
    let api = Api::new().await;
    api.active("f").await;
    let before = api
        .get(&format!("{FUNCTIONS}/f/configuration"))
        .await
        .json();
    let path = format!("{FUNCTIONS}/f/code");
    let dry = json!({"ZipFile": encoded("2"), "DryRun": true});
    let answer = api.call("PUT", &path, dry).await.json();
    assert_ne!(answer["CodeSha256"], before["CodeSha256"]);
    assert_eq!(
        api.get(&format!("{FUNCTIONS}/f/configuration"))
            .await
            .json(),
        before
    );
    let answer = api
        .call("PUT", &path, json!({"ZipFile": encoded("2")}))
        .await;
    assert_eq!(tamed(answer.json()), and(minimal(), updating()));
    assert_ne!(answer.json()["CodeSha256"], before["CodeSha256"]);
    api.settle("f").await;
    let arm = json!({"ZipFile": encoded("2"), "Architectures": ["arm64"]});
    assert_eq!(
        api.call("PUT", &path, arm).await.json()["Architectures"],
        json!(["arm64"])
    );
}

#[tokio::test]
async fn lists_leave_states_out_and_come_in_pages() {
    let api = Api::new().await;
    for n in 0..60 {
        api.create(&format!("f{n:02}")).await;
    }
    let names = |json: &Value| -> Vec<String> {
        let list = json["Functions"].as_array().unwrap();
        list.iter()
            .map(|f| f["FunctionName"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = api.get(&format!("{FUNCTIONS}?MaxItems=1000")).await.json();
    assert_eq!(names(&first).len(), 50);
    let marker = first["NextMarker"].as_str().unwrap();
    let second = api
        .get(&format!("{FUNCTIONS}?Marker={marker}"))
        .await
        .json();
    assert_eq!(names(&second).len(), 10);
    assert!(second.get("NextMarker").is_none());
    assert_eq!(names(&second)[0], "f50");
    let one = api.get(&format!("{FUNCTIONS}?MaxItems=1")).await.json();
    let expected = and(
        minimal(),
        json!({
            "FunctionName": "f00",
            "FunctionArn": format!("{ARN}:f00"),
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f00"},
        }),
    );
    assert_eq!(tamed(one["Functions"][0].clone()), expected);
    assert_eq!(api.get(&format!("{FUNCTIONS}?Marker=x!")).await.status, 400);
}

#[tokio::test]
async fn nothing_is_listed_as_an_empty_list() {
    let api = Api::new().await;
    assert_eq!(
        api.get(&format!("{FUNCTIONS}/")).await.json(),
        json!({"Functions": []})
    );
}

#[tokio::test]
async fn accounts_and_regions_see_their_own_functions_only() {
    let api = Api::new().await;
    api.create("f").await;
    for (key, region) in [("111111111111", "us-east-1"), ("000000000000", "eu-west-1")] {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/lambda/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = http::Request::get(FUNCTIONS).header("authorization", scope);
        assert_eq!(api.send(request, "").await.json(), json!({"Functions": []}));
    }
}

#[tokio::test]
async fn the_account_counts_what_it_holds() {
    let api = Api::new().await;
    api.create("f").await;
    let answer = api.get("/2016-08-19/account-settings/").await.json();
    let expected = json!({
        "AccountLimit": {
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1_000,
            "TotalCodeSize": 322_122_547_200u64,
            "UnreservedConcurrentExecutions": 1_000,
        },
        "AccountUsage": {"FunctionCount": 1, "TotalCodeSize": zip("1").len()},
    });
    assert_eq!(answer, expected);
    let concurrency = api.get("/2019-09-30/functions/f/concurrency").await;
    assert_eq!((concurrency.status, concurrency.json()), (200, json!({})));
}

#[test]
fn the_helper_encodes_what_it_zips() {
    assert_eq!(STANDARD.decode(encoded("1")).unwrap(), zip("1"));
}
