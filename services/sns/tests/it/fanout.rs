use serde_json::Value;

use crate::harness::Sns;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

#[tokio::test]
async fn a_message_goes_to_each_subscription_that_wants_it() {
    let sns = Sns::new().await;
    let arn = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    let of = |protocol: &'static str, endpoint: &'static str| {
        vec![
            ("TopicArn", arn.as_str()),
            ("Protocol", protocol),
            ("Endpoint", endpoint),
        ]
    };
    sns.ok("Subscribe", &of("sqs", QUEUE)).await;
    sns.ok("Subscribe", &of("lambda", FUNCTION)).await;
    let mut filtered = of("sqs", "arn:aws:sqs:us-east-1:000000000000:other");
    filtered.extend([
        ("Attributes.entry.1.key", "FilterPolicy"),
        ("Attributes.entry.1.value", r#"{"a":["x"]}"#),
    ]);
    sns.ok("Subscribe", &filtered).await;
    let id = sns
        .ok(
            "Publish",
            &[("TopicArn", &arn), ("Message", "m"), ("Subject", "s")],
        )
        .await
        .text("MessageId");
    let posted = sns.posted();
    assert_eq!(posted.len(), 2);
    for posting in posted {
        let body: Value = serde_json::from_slice(&posting.parcel.body).unwrap();
        let notification = match posting.parcel.to.service.as_str() {
            "sqs" => body,
            _ => body["Records"][0]["Sns"].clone(),
        };
        assert_eq!(notification["MessageId"], id.as_str());
        assert_eq!(
            (&notification["Message"], &notification["Subject"]),
            (&"m".into(), &"s".into())
        );
        assert_eq!(notification["SignatureVersion"], "1");
    }
    let with_attribute = [
        ("TopicArn", arn.as_str()),
        ("Message", "m"),
        ("MessageAttributes.entry.1.Name", "a"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "x"),
    ];
    sns.ok("Publish", &with_attribute).await;
    assert_eq!(sns.posted().len(), 3);
}

#[tokio::test]
async fn a_fifo_topic_numbers_messages_and_knows_those_it_has_seen() {
    let sns = Sns::new().await;
    let make = [
        ("Name", "t.fifo"),
        ("Attributes.entry.1.key", "FifoTopic"),
        ("Attributes.entry.1.value", "true"),
    ];
    let arn = sns.ok("CreateTopic", &make).await.text("TopicArn");
    let queue = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
    sns.ok(
        "Subscribe",
        &[("TopicArn", &arn), ("Protocol", "sqs"), ("Endpoint", queue)],
    )
    .await;
    let needs_group = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics";
    sns.refused(
        "Publish",
        &[("TopicArn", &arn), ("Message", "m")],
        (400, "InvalidParameter", needs_group),
    )
    .await;
    let send = |dedup: &'static str| {
        [
            ("TopicArn", arn.as_str()),
            ("Message", "m"),
            ("MessageGroupId", "g"),
            ("MessageDeduplicationId", dedup),
        ]
    };
    let first = sns.ok("Publish", &send("1")).await;
    let again = sns.ok("Publish", &send("1")).await;
    assert_eq!(first.text("MessageId"), again.text("MessageId"));
    assert_eq!(first.text("SequenceNumber"), again.text("SequenceNumber"));
    let second = sns.ok("Publish", &send("2")).await;
    assert!(second.text("SequenceNumber") > first.text("SequenceNumber"));
    let posted = sns.posted();
    assert_eq!(posted.len(), 2);
    assert_eq!(
        (
            posted[0].parcel.group.as_deref(),
            posted[0].parcel.dedup.as_deref()
        ),
        (Some("g"), Some("1"))
    );
}

#[tokio::test]
async fn the_trace_of_a_call_goes_on_with_its_messages() {
    let sns = Sns::new().await;
    let arn = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    sns.ok(
        "Subscribe",
        &[("TopicArn", &arn), ("Protocol", "sqs"), ("Endpoint", QUEUE)],
    )
    .await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:00000001:3";
    for (headers, wanted) in [
        (vec![("x-amzn-trace-id", trace)], Some(trace)),
        (vec![], None),
    ] {
        let message = [("TopicArn", arn.as_str()), ("Message", "m")];
        let answer = sns.call_with("Publish", &message, &headers).await;
        assert_eq!(answer.status, 200);
        assert_eq!(sns.posted()[0].parcel.trace.as_deref(), wanted);
    }
}
