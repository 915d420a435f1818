use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{Api, FUNCTIONS, encoded, request, with};

const LAYERS: &str = "/2018-10-31/layers";
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:layer";

fn versions(name: &str) -> String {
    format!("{LAYERS}/{name}/versions")
}

async fn publish(api: &Api, name: &str, more: Value) -> Value {
    let mut sent = json!({"Content": {"ZipFile": encoded(name)}});
    for (member, value) in more.as_object().unwrap() {
        sent = with(sent, member, value.clone());
    }
    let answer = api.call("POST", &versions(name), sent).await;
    assert_eq!(answer.status, 201, "{:?}", answer.json());
    answer.json()
}

async fn create(api: &Api, layers: Value) -> crate::harness::Answer {
    let sent = with(request("f"), "Layers", layers);
    api.call("POST", FUNCTIONS, sent).await
}

#[tokio::test]
async fn a_version_is_shown_as_it_was_published() {
    let api = Api::new().await;
    let more = json!({
        "Description": "d",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.13", "nodejs22.x"],
        "CompatibleArchitectures": ["arm64", "x86_64"],
    });
    let mut made = publish(&api, "l", more).await;
    let one = api.get(&format!("{}/1", versions("l"))).await.json();
    let arn = format!("{ARN}:l:1");
    let by_arn = format!("{LAYERS}?find=LayerVersion&Arn={arn}");
    let by_arn = api.get(&by_arn).await.json();
    let location = made["Content"]["Location"].take();
    for mut other in [one, by_arn] {
        other["Content"]["Location"].take();
        assert_eq!(other, made);
    }
    let path = location.as_str().unwrap();
    let path = path.strip_prefix("http://127.0.0.1:4566").unwrap();
    let zip = api.get(path).await;
    assert_eq!(zip.body, crate::harness::zip("l"));
    let size = zip.body.len();
    let created = made["CreatedDate"].as_str().unwrap();
    assert!(created.ends_with("+0000"), "{created}");
    let sha256 = made["Content"]["CodeSha256"].as_str().unwrap();
    assert_eq!(
        made,
        json!({
            "Content": {"CodeSha256": sha256, "CodeSize": size, "Location": null},
            "LayerArn": format!("{ARN}:l"),
            "LayerVersionArn": arn,
            "Version": 1,
            "Description": "d",
            "CreatedDate": created,
            "CompatibleRuntimes": ["python3.13", "nodejs22.x"],
            "CompatibleArchitectures": ["arm64", "x86_64"],
            "LicenseInfo": "MIT",
        })
    );
    let least = publish(&api, "m", json!({})).await;
    let members: HashSet<&str> = least
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "Content",
        "LayerArn",
        "LayerVersionArn",
        "Version",
        "Description",
        "CreatedDate",
    ];
    assert_eq!(members, HashSet::from(expected));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let api = Api::new().await;
    let python = json!({"CompatibleRuntimes": ["python3.13"]});
    let node = json!({"CompatibleRuntimes": ["nodejs22.x"], "CompatibleArchitectures": ["arm64"]});
    publish(&api, "a", python.clone()).await;
    publish(&api, "a", node.clone()).await;
    publish(&api, "b", python).await;
    publish(&api, "c", json!({})).await;
    let names = async |query: &str| -> Vec<(String, u64)> {
        let json = api.get(&format!("{LAYERS}?{query}")).await.json();
        let layers = json["Layers"].as_array().unwrap();
        layers
            .iter()
            .map(|l| {
                let name = l["LayerName"].as_str().unwrap();
                assert_eq!(l["LayerArn"], format!("{ARN}:{name}"));
                let version = &l["LatestMatchingVersion"]["Version"];
                (name.to_owned(), version.as_u64().unwrap())
            })
            .collect()
    };
    for (query, expected) in [
        ("", vec![("a", 2), ("b", 1), ("c", 1)]),
        ("CompatibleRuntime=python3.13", vec![("a", 1), ("b", 1)]),
        ("CompatibleArchitecture=arm64", vec![("a", 2)]),
        (
            "CompatibleRuntime=python3.13&CompatibleArchitecture=arm64",
            vec![],
        ),
        ("CompatibleRuntime=ruby3.4", vec![]),
    ] {
        let found = names(query).await;
        let found: Vec<(&str, u64)> = found.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        assert_eq!(found, expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut query = "MaxItems=1".to_owned();
    loop {
        let page = api.get(&format!("{LAYERS}?{query}")).await.json();
        seen.push(page["Layers"][0]["LayerName"].as_str().unwrap().to_owned());
        match page["NextMarker"].as_str() {
            Some(marker) => query = format!("MaxItems=1&Marker={marker}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c"]);
    let numbers = async |query: &str| -> (Vec<u64>, Option<String>) {
        let json = api.get(&format!("{}?{query}", versions("a"))).await.json();
        let list = json["LayerVersions"].as_array().unwrap();
        let numbers = list
            .iter()
            .map(|v| v["Version"].as_u64().unwrap())
            .collect();
        (numbers, json["NextMarker"].as_str().map(str::to_owned))
    };
    assert_eq!(numbers("").await, (vec![2, 1], None));
    assert_eq!(
        numbers("CompatibleRuntime=python3.13").await,
        (vec![1], None)
    );
    let (first, marker) = numbers("MaxItems=1").await;
    assert_eq!(first, [2]);
    let rest = numbers(&format!("Marker={}", marker.unwrap())).await;
    assert_eq!(rest, (vec![1], None));
    let none = api.get(&versions("nobody")).await;
    assert_eq!(
        (none.status, none.json()),
        (200, json!({"LayerVersions": []}))
    );
}

#[tokio::test]
async fn a_version_goes_and_its_functions_keep_it() {
    let api = Api::new().await;
    let made = publish(&api, "l", json!({})).await;
    let arn = made["LayerVersionArn"].clone();
    let created = create(&api, json!([arn])).await.json();
    let layers = json!([{"Arn": arn, "CodeSize": made["Content"]["CodeSize"]}]);
    assert_eq!(created["Layers"], layers);
    api.settle("f").await;
    let one = format!("{}/1", versions("l"));
    for _ in 0..2 {
        let gone = api.call("DELETE", &one, Value::Null).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    let configuration = format!("{FUNCTIONS}/f/configuration");
    assert_eq!(api.get(&configuration).await.json()["Layers"], layers);
    let none = "The resource you requested does not exist.".to_owned();
    let gone = (404, "ResourceNotFoundException".to_owned(), none);
    assert_eq!(api.get(&one).await.error(), gone);
    let none = api.call("PUT", &configuration, json!({"Layers": []})).await;
    assert_eq!(none.status, 200);
    assert_eq!(none.json().get("Layers"), None);
    assert_eq!(publish(&api, "l", json!({})).await["Version"], 2);
}

#[tokio::test]
async fn what_cannot_be_a_layer_is_refused_as_by_aws() {
    let api = Api::new().await;
    let content = json!({"ZipFile": encoded("1")});
    let named = services_named();
    for (name, sent, code, message) in [
        (
            "l",
            json!({"Content": content, "CompatibleRuntimes": ["invalidruntime", "nodejs20.x"], "CompatibleArchitectures": ["invalidarch"]}),
            "ValidationException",
            format!("2 validation errors detected: Value '[invalidruntime, nodejs20.x]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy enum value set: [{named}]; Value '[invalidarch]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"),
        ),
        (
            "l",
            json!({}),
            "ValidationException",
            "1 validation error detected: Value null at 'content' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            "l",
            json!({"Content": {"ZipFile": "eHh4"}}),
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned(),
        ),
        (
            "a.b",
            json!({"Content": content}),
            "ValidationException",
            r"1 validation error detected: Value 'a.b' at 'layerName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]{1,140}|[a-zA-Z0-9-_]{1,140})".to_owned(),
        ),
    ] {
        let answer = api.call("POST", &versions(name), sent).await;
        assert_eq!(answer.error(), (400, code.to_owned(), message));
    }
    for path in [
        format!("{}/0", versions("l")),
        format!("{}/-1", versions("l")),
    ] {
        for method in ["GET", "DELETE"] {
            let (status, code, message) = api.call(method, &path, Value::Null).await.error();
            assert_eq!(
                (status, code.as_str(), message.as_str()),
                (
                    400,
                    "InvalidParameterValueException",
                    "Layer Version Cannot be less than 1"
                )
            );
        }
    }
    let unversioned = format!("{LAYERS}?find=LayerVersion&Arn={ARN}:l");
    let (_, code, message) = api.get(&unversioned).await.error();
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with(&format!(
        "1 validation error detected: Value '{ARN}:l' at 'arn' failed to satisfy constraint"
    )));
    let (_, code, message) = api
        .get(&format!("{LAYERS}?CompatibleRuntime=no"))
        .await
        .error();
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with("1 validation error detected: Value 'no' at 'compatibleRuntime' failed to satisfy constraint: Member must satisfy enum value set: [ruby3.5, ruby2.6, "), "{message}");
}

/// As AWS lists them.
fn services_named() -> &'static str {
    "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2"
}

#[tokio::test]
async fn functions_may_not_name_just_any_layers() {
    let api = Api::new().await;
    for _ in 0..2 {
        publish(&api, "l", json!({})).await;
    }
    let (one, two) = (format!("{ARN}:l:1"), format!("{ARN}:l:2"));
    let gone = format!("{ARN}:l:9");
    let elsewhere = one.replace("us-east-1", "eu-west-1");
    let foreign = one.replace("000000000000", "111111111111");
    let twice = |a: &str, b: &str| {
        format!(
            "Two different versions of the same layer are not allowed to be referenced in the same function. {a} and {b} are versions of the same layer."
        )
    };
    for (layers, status, code, message) in [
        (json!([one, two]), 400, "InvalidParameterValueException", twice(&one, &two)),
        (json!([one, one]), 400, "InvalidParameterValueException", twice(&one, &one)),
        (json!([one, two, one, two, one, two]), 400, "InvalidParameterValueException", "Cannot reference more than 5 layers.".to_owned()),
        (json!([gone]), 400, "InvalidParameterValueException", format!("Layer version {gone} does not exist.")),
        (json!([elsewhere]), 400, "InvalidParameterValueException", "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.".to_owned()),
        (json!([foreign]), 403, "AccessDeniedException", format!("User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetLayerVersion on resource: {foreign} because no resource-based policy allows the lambda:GetLayerVersion action")),
    ] {
        let answer = create(&api, layers.clone()).await;
        assert_eq!(answer.error(), (status, code.to_owned(), message), "{layers}");
    }
    assert_eq!(create(&api, json!([one])).await.status, 201);
    for (layers, code) in [
        (json!([elsewhere]), "InvalidParameterValueException"),
        (json!([gone]), "ResourceConflictException"),
    ] {
        let (_, told, _) = create(&api, layers).await.error();
        assert_eq!(told, code, "the region is told before the taken name");
    }
    let (_, code, message) = create(&api, json!([format!("{ARN}:l")])).await.error();
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with(&format!("1 validation error detected: Value '[{ARN}:l]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, ")), "{message}");
}

#[tokio::test]
async fn the_policy_of_a_version_says_who_may_use_it() {
    let api = Api::new().await;
    publish(&api, "l", json!({})).await;
    let policy = format!("{}/1/policy", versions("l"));
    let statement = |id: &str, principal: &str| json!({"StatementId": id, "Action": "lambda:GetLayerVersion", "Principal": principal});
    let error =
        |status: u16, code: &str, message: &str| (status, code.to_owned(), message.to_owned());
    assert_eq!(
        api.get(&policy).await.error(),
        error(
            404,
            "ResourceNotFoundException",
            "No policy is associated with the given resource."
        )
    );
    let added = api.call("POST", &policy, statement("s1", "*")).await;
    assert_eq!(added.status, 201);
    let added = added.json();
    let text = format!(
        r#"{{"Sid":"s1","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"{ARN}:l:1"}}"#
    );
    assert_eq!(added["Statement"], text);
    let shown = api.get(&policy).await.json();
    assert_eq!(shown["RevisionId"], added["RevisionId"]);
    assert_eq!(
        shown["Policy"],
        format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{text}]}}"#)
    );
    let stale = format!("{policy}?RevisionId=wrong");
    let gone = format!("{}/2/policy", versions("l"));
    let stale_answer = error(
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id",
    );
    let no_version = format!("Layer version {ARN}:l:2 does not exist.");
    let no_version = error(404, "ResourceNotFoundException", &no_version);
    for (method, path, body, expected) in [
        (
            "POST",
            policy.as_str(),
            statement("s1", "*"),
            error(
                409,
                "ResourceConflictException",
                "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement.",
            ),
        ),
        ("POST", &stale, statement("s2", "*"), stale_answer.clone()),
        ("POST", &gone, statement("s1", "*"), no_version.clone()),
        ("GET", &gone, Value::Null, no_version.clone()),
        ("DELETE", &format!("{gone}/s1"), Value::Null, no_version),
        (
            "DELETE",
            &format!("{policy}/no"),
            Value::Null,
            error(
                404,
                "ResourceNotFoundException",
                "Statement no is not found in resource policy.",
            ),
        ),
        (
            "DELETE",
            &format!("{policy}/s1?RevisionId=wrong"),
            Value::Null,
            stale_answer,
        ),
        (
            "POST",
            policy.as_str(),
            with(statement("s2", "*"), "Action", json!("*")),
            error(
                400,
                "ValidationException",
                "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion",
            ),
        ),
    ] {
        let answer = api.call(method, path, body).await;
        assert_eq!(answer.error(), expected, "{method} {path}");
    }
    let organization = with(
        statement("s2", "*"),
        "OrganizationId",
        json!("o-0123456789"),
    );
    let added = api.call("POST", &policy, organization).await.json();
    let text: Value = serde_json::from_str(added["Statement"].as_str().unwrap()).unwrap();
    assert_eq!(
        text["Condition"],
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}})
    );
    for id in ["s1", "s2"] {
        let gone = api
            .call("DELETE", &format!("{policy}/{id}"), Value::Null)
            .await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
    }
    assert_eq!(api.get(&policy).await.status, 404);
}
