//! Mobile push: applications and endpoints are records, and what is published to them goes nowhere.

use crate::harness::Sns;

const APP: &str = "arn:aws:sns:us-east-1:000000000000:app/ADM/a";
const NULL: &str = "1 validation error detected: Value null at 'attributes' failed to satisfy constraint: Member must not be null";

fn attribute<'a>(name: &'a str, value: &'a str) -> [(&'a str, &'a str); 2] {
    [
        ("Attributes.entry.1.key", name),
        ("Attributes.entry.1.value", value),
    ]
}

async fn application(sns: &Sns) -> String {
    let members = [
        ("Name", "a"),
        ("Platform", "ADM"),
        ("Attributes.entry.1.key", "PlatformPrincipal"),
        ("Attributes.entry.1.value", "p"),
        ("Attributes.entry.2.key", "PlatformCredential"),
        ("Attributes.entry.2.value", "c"),
    ];
    let made = sns.ok("CreatePlatformApplication", &members).await;
    made.text("PlatformApplicationArn")
}

async fn endpoint(sns: &Sns, token: &str) -> String {
    let members = [("PlatformApplicationArn", APP), ("Token", token)];
    let made = sns.ok("CreatePlatformEndpoint", &members).await;
    made.text("EndpointArn")
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_told_in_the_words_of_aws() {
    let sns = Sns::new().await;
    let named = ("PlatformApplicationArn", APP);
    let [key, value] = attribute("Enabled", "true");
    let set = "SetPlatformApplicationAttributes";
    let short = "Invalid parameter: PlatformApplicationArn Reason: An ARN must have at least 6 elements, not 1";
    let wrong = ("PlatformApplicationArn", "x");
    sns.refused(set, &[wrong], (400, "InvalidParameter", short))
        .await;
    sns.refused(set, &[named], (400, "ValidationError", NULL))
        .await;
    let gone = (404, "NotFound", "PlatformApplication does not exist");
    sns.refused(set, &[named, key, value], gone).await;
    for operation in [
        "GetPlatformApplicationAttributes",
        "ListEndpointsByPlatformApplication",
    ] {
        sns.refused(operation, &[named], gone).await;
    }
    sns.refused("CreatePlatformEndpoint", &[named, ("Token", "t")], gone)
        .await;
    sns.ok("DeletePlatformApplication", &[named]).await;
    let endpoint = [(
        "EndpointArn",
        "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/a",
    )];
    let slashes = "Invalid parameter: EndpointArn Reason: Wrong number of slashes in relative portion of the ARN.";
    let wanted = (400, "InvalidParameter", slashes);
    sns.refused("GetEndpointAttributes", &endpoint, wanted)
        .await;
    for (name, value, text) in [
        (
            "PlatformPrincipal",
            "p",
            "PlatformPrincipal attribute provided without PlatformCredential",
        ),
        (
            "PlatformCredential",
            "c",
            "PlatformCredential attribute provided without PlatformPrincipal",
        ),
    ] {
        let [key, value] = attribute(name, value);
        let text = format!("Invalid parameter: Attributes Reason: {text}");
        let members = [("Name", "a"), ("Platform", "ADM"), key, value];
        let wanted = (400, "InvalidParameter", text.as_str());
        sns.refused("CreatePlatformApplication", &members, wanted)
            .await;
    }
}

#[tokio::test]
async fn applications_are_made_changed_listed_and_deleted() {
    let sns = Sns::new().await;
    assert_eq!(application(&sns).await, APP);
    assert_eq!(application(&sns).await, APP, "once");
    let named = ("PlatformApplicationArn", APP);
    let shown = sns.ok("GetPlatformApplicationAttributes", &[named]).await;
    assert!(!shown.xml.contains("Platform</key>") && !shown.xml.contains("Credential"));
    assert_eq!(
        (shown.text("key"), shown.text("value")),
        ("Enabled".to_owned(), "true".to_owned())
    );
    let [key, value] = attribute("SuccessFeedbackSampleRate", "50");
    sns.ok("SetPlatformApplicationAttributes", &[named, key, value])
        .await;
    let listed = sns.ok("ListPlatformApplications", &[]).await;
    assert_eq!(listed.texts("PlatformApplicationArn"), [APP]);
    assert_eq!(listed.texts("value"), ["true", "50"]);
    let token = endpoint(&sns, "t").await;
    sns.ok("DeletePlatformApplication", &[named]).await;
    assert_eq!(
        sns.ok("ListPlatformApplications", &[])
            .await
            .texts("member")
            .len(),
        0
    );
    let gone = (404, "NotFound", "Endpoint does not exist");
    sns.refused("GetEndpointAttributes", &[("EndpointArn", &token)], gone)
        .await;
}

#[tokio::test]
async fn an_endpoint_is_one_for_each_token() {
    let sns = Sns::new().await;
    application(&sns).await;
    let arn = endpoint(&sns, "t").await;
    assert!(
        arn.starts_with("arn:aws:sns:us-east-1:000000000000:endpoint/ADM/a/"),
        "{arn}"
    );
    assert_eq!(endpoint(&sns, "t").await, arn);
    assert_ne!(endpoint(&sns, "u").await, arn);
    let [key, value] = attribute("Enabled", "false");
    let other = [("PlatformApplicationArn", APP), ("Token", "t"), key, value];
    let text = format!(
        "Invalid parameter: Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
    );
    sns.refused(
        "CreatePlatformEndpoint",
        &other,
        (400, "InvalidParameter", &text),
    )
    .await;
    let set = "SetEndpointAttributes";
    let named = ("EndpointArn", arn.as_str());
    let long = "A".repeat(2_050);
    for (name, value, why) in [
        (
            "PlatformPrincipal",
            "x",
            "Invalid attribute name: PlatformPrincipal",
        ),
        ("InvalidKey", "x", "Invalid attribute name: InvalidKey"),
        (
            "CustomUserData",
            long.as_str(),
            "Invalid value for attribute: CustomUserData: must be at most 2048 bytes long in UTF-8 encoding",
        ),
    ] {
        let [key, value] = attribute(name, value);
        let text = format!("Invalid parameter: Attributes Reason: {why}");
        sns.refused(set, &[named, key, value], (400, "InvalidParameter", &text))
            .await;
    }
    sns.refused(set, &[named], (400, "ValidationError", NULL))
        .await;
    let both = [
        ("PlatformApplicationArn", APP),
        ("Token", "v"),
        ("CustomUserData", "one"),
        ("Attributes.entry.1.key", "CustomUserData"),
        ("Attributes.entry.1.value", "two"),
    ];
    let made = sns
        .ok("CreatePlatformEndpoint", &both)
        .await
        .text("EndpointArn");
    let shown = sns
        .ok("GetEndpointAttributes", &[("EndpointArn", &made)])
        .await;
    assert_eq!(shown.texts("key"), ["CustomUserData", "Enabled", "Token"]);
    assert_eq!(shown.texts("value"), ["two", "true", "v"]);
    let listed = sns.ok(
        "ListEndpointsByPlatformApplication",
        &[("PlatformApplicationArn", APP)],
    );
    assert_eq!(listed.await.texts("EndpointArn").len(), 3);
    sns.ok("DeleteEndpoint", &[named]).await;
    sns.ok("DeleteEndpoint", &[named]).await;
    let gone = (404, "NotFound", "Endpoint does not exist");
    sns.refused("GetEndpointAttributes", &[named], gone).await;
}

#[tokio::test]
async fn what_goes_to_phones_and_apps_is_accepted_unless_they_are_off() {
    let sns = Sns::new().await;
    application(&sns).await;
    let arn = endpoint(&sns, "t").await;
    let push = [("TargetArn", arn.as_str()), ("Message", "m")];
    assert!(sns.ok("Publish", &push).await.has("MessageId"));
    let sms = [("PhoneNumber", "+15550100"), ("Message", "m")];
    assert!(sns.ok("Publish", &sms).await.has("MessageId"));
    let structured = |text: &'static str| {
        [
            ("TargetArn", arn.as_str()),
            ("Message", text),
            ("MessageStructure", "json"),
        ]
    };
    sns.ok("Publish", &structured(r#"{"ADM": "{}"}"#)).await;
    let none = "Invalid parameter: JSON must contain an entry for 'default' or 'ADM'.";
    sns.refused(
        "Publish",
        &structured(r#"{"GCM": "{}"}"#),
        (400, "InvalidParameter", none),
    )
    .await;
    let topic = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    let subscribe = |endpoint| {
        [
            ("TopicArn", topic.as_str()),
            ("Protocol", "application"),
            ("Endpoint", endpoint),
        ]
    };
    let wrong = "Invalid parameter: Application endpoint arn invalid:x";
    sns.refused(
        "Subscribe",
        &subscribe("x"),
        (400, "InvalidParameter", wrong),
    )
    .await;
    let made = sns
        .ok("Subscribe", &subscribe(&arn))
        .await
        .text("SubscriptionArn");
    assert!(made.starts_with(&topic), "confirmed at once: {made}");
    sns.ok("Publish", &[("TopicArn", &topic), ("Message", "m")])
        .await;
    assert_eq!(sns.posted().len(), 0);
    let [key, value] = attribute("Enabled", "false");
    sns.ok(
        "SetEndpointAttributes",
        &[("EndpointArn", arn.as_str()), key, value],
    )
    .await;
    let off = (400, "EndpointDisabled", "Endpoint is disabled");
    sns.refused("Publish", &push, off).await;
    sns.ok(
        "SetPlatformApplicationAttributes",
        &[("PlatformApplicationArn", APP), key, value],
    )
    .await;
    let off = (
        400,
        "PlatformApplicationDisabled",
        "Platform application is disabled",
    );
    sns.refused("Publish", &push, off).await;
    sns.ok("DeleteEndpoint", &[("EndpointArn", &arn)]).await;
    let gone =
        "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
    sns.refused("Publish", &push, (400, "InvalidParameter", gone))
        .await;
    let status = sns.ok("GetSMSSandboxAccountStatus", &[]).await;
    assert_eq!(status.text("IsInSandbox"), "true");
}
