use model::ports::{Parcel, Sender, Target as _, Undelivered};

use crate::harness::Sns;

const OWNER: &str = "000000000000";
const OTHER: &str = "111111111111";

fn refusal(account: &str, action: &str, topic: &str, because: &str) -> String {
    format!(
        "User: arn:aws:iam::{account}:root is not authorized to perform: SNS:{action} on resource: \
         {topic} {because}"
    )
}

fn silent(action: &str) -> String {
    format!("because no resource-based policy allows the SNS:{action} action")
}

const DENIED: &str = "with an explicit deny in a resource-based policy";

/// An operation, the action that the policy must allow, and its members.
type Call<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);

async fn topic(sns: &Sns) -> String {
    sns.ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn")
}

#[tokio::test]
async fn other_accounts_need_a_statement_for_each_action() {
    let sns = Sns::new().await;
    let arn = topic(&sns).await;
    let other = sns.of_account(OTHER);
    let named = ("TopicArn", arn.as_str());
    let queue = format!("arn:aws:sqs:us-east-1:{OTHER}:q");
    let calls: [Call<'_>; 8] = [
        ("Publish", "Publish", vec![named, ("Message", "m")]),
        (
            "PublishBatch",
            "Publish",
            vec![
                named,
                ("PublishBatchRequestEntries.member.1.Id", "a"),
                ("PublishBatchRequestEntries.member.1.Message", "m"),
            ],
        ),
        (
            "Subscribe",
            "Subscribe",
            vec![named, ("Protocol", "sqs"), ("Endpoint", &queue)],
        ),
        ("GetTopicAttributes", "GetTopicAttributes", vec![named]),
        (
            "SetTopicAttributes",
            "SetTopicAttributes",
            vec![
                named,
                ("AttributeName", "DisplayName"),
                ("AttributeValue", "d"),
            ],
        ),
        (
            "ListSubscriptionsByTopic",
            "ListSubscriptionsByTopic",
            vec![named],
        ),
        (
            "AddPermission",
            "AddPermission",
            vec![
                named,
                ("Label", "own"),
                ("AWSAccountId.member.1", OTHER),
                ("ActionName.member.1", "Publish"),
            ],
        ),
        ("DeleteTopic", "DeleteTopic", vec![named]),
    ];
    for (operation, action, members) in &calls {
        let text = refusal(OTHER, action, &arn, &silent(action));
        other
            .refused(operation, members, (403, "AuthorizationError", &text))
            .await;
    }
    assert_eq!(sns.posted().len(), 0);
    for (operation, action, members) in &calls {
        let allow = [
            named,
            ("Label", "l"),
            ("AWSAccountId.member.1", OTHER),
            ("ActionName.member.1", action),
        ];
        sns.ok("AddPermission", &allow).await;
        other.ok(operation, members).await;
        if *operation != "DeleteTopic" {
            sns.ok("RemovePermission", &[named, ("Label", "l")]).await;
        }
    }
}

#[tokio::test]
async fn a_denial_counts_for_the_owner_too_and_conditions_are_asked() {
    let sns = Sns::new().await;
    let arn = topic(&sns).await;
    let statement = |effect: &str, action: &str, condition: &str| {
        format!(
            r#"{{"Effect":"{effect}","Principal":"*","Action":"SNS:{action}","Resource":"{arn}","Condition":{condition}}}"#
        )
    };
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{},{}]}}"#,
        statement(
            "Deny",
            "Publish",
            r#"{"StringEquals":{"aws:PrincipalAccount":"000000000000"}}"#
        ),
        statement(
            "Allow",
            "Subscribe",
            r#"{"StringLike":{"sns:Endpoint":"https://*.example.com/*"}}"#
        ),
    );
    let set = [
        ("TopicArn", arn.as_str()),
        ("AttributeName", "Policy"),
        ("AttributeValue", policy.as_str()),
    ];
    sns.ok("SetTopicAttributes", &set).await;
    let message = [("TopicArn", arn.as_str()), ("Message", "m")];
    let text = refusal(OWNER, "Publish", &arn, DENIED);
    sns.refused("Publish", &message, (403, "AuthorizationError", &text))
        .await;
    let other = sns.of_account(OTHER);
    let subscribe = |endpoint: &'static str| {
        [
            ("TopicArn", arn.as_str()),
            ("Protocol", "https"),
            ("Endpoint", endpoint),
        ]
    };
    let good = subscribe("https://a.example.com/hook");
    other.ok("Subscribe", &good).await;
    let text = refusal(OTHER, "Subscribe", &arn, &silent("Subscribe"));
    let bad = subscribe("https://example.org/hook");
    other
        .refused("Subscribe", &bad, (403, "AuthorizationError", &text))
        .await;
}

fn parcel(arn: &str, service: &'static str, role: Option<&str>) -> Parcel {
    Parcel {
        id: "parcel".to_owned(),
        to: arn.parse().unwrap(),
        sender: Sender {
            service,
            source: "arn:aws:events:us-east-1:000000000000:rule/r"
                .parse()
                .unwrap(),
            role: role.map(str::to_owned),
        },
        body: "m".into(),
        attributes: Vec::new(),
        subject: None,
        group: None,
        dedup: None,
        trace: None,
        event: None,
    }
}

#[tokio::test]
async fn services_publish_as_the_policy_says() {
    const EVENTS: &str = "events.amazonaws.com";
    let (ours, theirs) = (
        "arn:aws:iam::000000000000:role/r",
        "arn:aws:iam::111111111111:role/r",
    );
    let statement = |effect: &str, rule: &str| {
        format!(
            r#"{{"Statement":{{"Effect":"{effect}","Principal":{{"Service":"{EVENTS}"}},"Action":"sns:Publish","Resource":"*","Condition":{{"ArnLike":{{"aws:SourceArn":"arn:aws:events:*:*:rule/{rule}"}}}}}}}}"#
        )
    };
    for (is_strict, policy, role, is_let_in) in [
        (false, None, None, true),
        (false, Some(statement("Deny", "*")), None, false),
        (false, Some(statement("Deny", "other")), None, true),
        (false, None, Some(theirs), false),
        (true, None, None, false),
        (true, Some(statement("Allow", "r")), None, true),
        (true, Some(statement("Allow", "other")), None, false),
        (true, None, Some(ours), true),
        (true, None, Some(theirs), false),
    ] {
        let sns = Sns::with_policies(is_strict).await;
        let arn = topic(&sns).await;
        if let Some(policy) = &policy {
            let set = [
                ("TopicArn", arn.as_str()),
                ("AttributeName", "Policy"),
                ("AttributeValue", policy),
            ];
            sns.ok("SetTopicAttributes", &set).await;
        }
        let delivered = sns::TopicTarget::new(&sns.engine)
            .deliver(&parcel(&arn, EVENTS, role))
            .await;
        match delivered {
            Ok(()) => assert!(is_let_in, "{is_strict} {policy:?} {role:?}"),
            Err(Undelivered::Refused { code, .. }) => {
                assert!(!is_let_in, "{is_strict} {policy:?} {role:?}");
                assert_eq!(code, "AuthorizationError");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_queue_of_another_account_is_asked_first() {
    let sns = Sns::new().await;
    let arn = topic(&sns).await;
    let queue = format!("arn:aws:sqs:us-east-1:{OTHER}:q");
    let subscribe = [
        ("TopicArn", arn.as_str()),
        ("Protocol", "sqs"),
        ("Endpoint", queue.as_str()),
        ("ReturnSubscriptionArn", "true"),
    ];
    let made = sns
        .ok("Subscribe", &subscribe)
        .await
        .text("SubscriptionArn");
    let [asked] = sns.posted().try_into().unwrap();
    assert_eq!(asked.parcel.to.to_string(), queue);
    assert!(asked.parcel.attributes.is_empty());
    let body: serde_json::Value = serde_json::from_slice(&asked.parcel.body).unwrap();
    assert_eq!(body["Type"], "SubscriptionConfirmation");
    let message = [("TopicArn", arn.as_str()), ("Message", "m")];
    sns.ok("Publish", &message).await;
    assert_eq!(sns.posted().len(), 0);
    let token = body["Token"].as_str().unwrap();
    let confirm = [("TopicArn", arn.as_str()), ("Token", token)];
    let other = sns.of_account(OTHER);
    let confirmed = other.ok("ConfirmSubscription", &confirm).await;
    assert_eq!(confirmed.text("SubscriptionArn"), made);
    sns.ok("Publish", &message).await;
    assert_eq!(sns.posted().len(), 1);
}
