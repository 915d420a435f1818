use crate::harness::Sns;

#[tokio::test]
async fn a_topic_is_made_once_and_differences_are_refused() {
    let sns = Sns::new().await;
    let make = [
        ("Name", "t"),
        ("Attributes.entry.1.key", "DisplayName"),
        ("Attributes.entry.1.value", "one"),
    ];
    let arn = sns.ok("CreateTopic", &make).await.text("TopicArn");
    assert!(arn.ends_with(":t"), "{arn}");
    assert_eq!(
        sns.ok("CreateTopic", &[("Name", "t")])
            .await
            .text("TopicArn"),
        arn
    );
    let other = [
        ("Name", "t"),
        ("Attributes.entry.1.key", "DisplayName"),
        ("Attributes.entry.1.value", "two"),
    ];
    let differs =
        "Invalid parameter: Attributes Reason: Topic already exists with different attributes";
    sns.refused("CreateTopic", &other, (400, "InvalidParameter", differs))
        .await;
    sns.refused(
        "CreateTopic",
        &[("Name", "t.fifo")],
        (400, "InvalidParameter", "Invalid parameter: Topic Name"),
    )
    .await;
    assert!(sns.ok("ListTopics", &[]).await.xml.contains(&arn));
    sns.ok("DeleteTopic", &[("TopicArn", &arn)]).await;
    sns.refused(
        "GetTopicAttributes",
        &[("TopicArn", &arn)],
        (404, "NotFound", "Topic does not exist"),
    )
    .await;
    sns.ok("DeleteTopic", &[("TopicArn", &arn)]).await;
}

#[tokio::test]
async fn endpoints_and_attributes_of_subscriptions_are_checked() {
    let sns = Sns::new().await;
    let arn = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    for (protocol, endpoint, wanted) in [
        (
            "test-protocol",
            "x",
            "Invalid parameter: Amazon SNS does not support this protocol string: test-protocol",
        ),
        (
            "sqs",
            "http://host/000000000000/q",
            "Invalid parameter: SQS endpoint ARN",
        ),
        (
            "sms",
            "NAA+15551234567",
            "Invalid SMS endpoint: NAA+15551234567",
        ),
        (
            "sqs",
            "arn:aws:sqs:us-east-1:000000000000:q.fifo",
            "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
        ),
        (
            "http",
            "http://internal.example/",
            "Invalid parameter: Endpoint Reason: it is internal",
        ),
    ] {
        let members = [
            ("TopicArn", arn.as_str()),
            ("Protocol", protocol),
            ("Endpoint", endpoint),
        ];
        sns.refused("Subscribe", &members, (400, "InvalidParameter", wanted))
            .await;
    }
    // Whether there is such a topic comes first.
    let unknown = [
        ("TopicArn", "arn:aws:sns:us-east-1:000000000000:none"),
        ("Protocol", "sqs"),
        ("Endpoint", "x"),
    ];
    let wanted = (404, "NotFound", "Topic does not exist");
    sns.refused("Subscribe", &unknown, wanted).await;
    let mail = [
        ("TopicArn", arn.as_str()),
        ("Protocol", "email"),
        ("Endpoint", "a@b"),
    ];
    assert_eq!(
        sns.ok("Subscribe", &mail).await.text("SubscriptionArn"),
        "pending confirmation"
    );
    let listed = sns
        .ok("ListSubscriptionsByTopic", &[("TopicArn", &arn)])
        .await;
    assert_eq!(listed.text("SubscriptionArn"), "PendingConfirmation");
}
