//! What happens at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::harness::Sns;

const ROUNDS: usize = 20;
const REQUESTS: usize = 8;

async fn topic(sns: &Sns, is_fifo: bool) -> String {
    let fifo = [
        ("Name", "t.fifo"),
        ("Attributes.entry.1.key", "FifoTopic"),
        ("Attributes.entry.1.value", "true"),
    ];
    let made = match is_fifo {
        true => sns.ok("CreateTopic", &fifo).await,
        false => sns.ok("CreateTopic", &[("Name", "t")]).await,
    };
    made.text("TopicArn")
}

/// On several threads, so that some of the requests meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_subscribe_the_same_at_the_same_time_get_one_subscription() {
    let sns = Arc::new(Sns::new().await);
    let arn = topic(&sns, false).await;
    for round in 0..ROUNDS {
        let requests = (0..REQUESTS).map(|_| {
            let (sns, arn) = (sns.clone(), arn.clone());
            let endpoint = format!("arn:aws:sqs:us-east-1:000000000000:q{round}");
            tokio::spawn(async move {
                let members = [
                    ("TopicArn", arn.as_str()),
                    ("Protocol", "sqs"),
                    ("Endpoint", endpoint.as_str()),
                ];
                sns.ok("Subscribe", &members).await.text("SubscriptionArn")
            })
        });
        let mut got = BTreeSet::new();
        for request in requests.collect::<Vec<_>>() {
            got.insert(request.await.unwrap());
        }
        assert_eq!(got.len(), 1, "round {round}: {got:?}");
    }
    assert_eq!(sns.stored().await, ROUNDS);
}

#[tokio::test]
async fn the_messages_of_a_group_go_out_in_the_order_of_their_numbers() {
    let sns = Sns::new().await;
    let arn = topic(&sns, true).await;
    let queue = [
        ("TopicArn", arn.as_str()),
        ("Protocol", "sqs"),
        ("Endpoint", "arn:aws:sqs:us-east-1:000000000000:q.fifo"),
    ];
    sns.ok("Subscribe", &queue).await;
    let publish = async |text: &str| {
        let message = [
            ("TopicArn", arn.as_str()),
            ("Message", text),
            ("MessageGroupId", "g"),
            ("MessageDeduplicationId", text),
        ];
        sns.ok("Publish", &message).await.text("SequenceNumber")
    };
    // The first one that reaches the outbox is held there until all have been sent.
    sns.hold_first_post();
    let release = async {
        sns.settle().await;
        sns.release_post();
    };
    let (a, b, c, ()) = tokio::join!(publish("a"), publish("b"), publish("c"), release);
    let mut expected = [(a, "a"), (b, "b"), (c, "c")];
    expected.sort();
    let posted = sns.posted();
    let order: Vec<&str> = posted
        .iter()
        .filter_map(|posting| posting.parcel.dedup.as_deref())
        .collect();
    assert_eq!(order, expected.map(|(_, text)| text));
}

#[tokio::test]
async fn a_topic_has_at_most_200_filter_policies() {
    let sns = Sns::new().await;
    let arn = topic(&sns, false).await;
    let subscribe = |number: usize| format!("arn:aws:sqs:us-east-1:000000000000:q{number}");
    let policy = r#"{"a":["x"]}"#;
    let mut last = String::new();
    for number in 0..201 {
        let endpoint = subscribe(number);
        let mut members = vec![
            ("TopicArn", arn.as_str()),
            ("Protocol", "sqs"),
            ("Endpoint", endpoint.as_str()),
        ];
        let filter = [
            ("Attributes.entry.1.key", "FilterPolicy"),
            ("Attributes.entry.1.value", policy),
        ];
        if number < 200 {
            members.extend(filter);
            last = sns.ok("Subscribe", &members).await.text("SubscriptionArn");
            continue;
        }
        let bare = members.clone();
        members.extend(filter);
        let many = (
            403,
            "FilterPolicyLimitExceeded",
            "Filter policy limit exceeded",
        );
        sns.refused("Subscribe", &members, many).await;
        let made = sns.ok("Subscribe", &bare).await.text("SubscriptionArn");
        let set = |subscription: &str, value: &'static str| {
            [
                ("SubscriptionArn", subscription.to_owned()),
                ("AttributeName", "FilterPolicy".to_owned()),
                ("AttributeValue", value.to_owned()),
            ]
        };
        let call = async |members: [(&str, String); 3]| {
            let members = members
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            sns.call("SetSubscriptionAttributes", &members).await
        };
        let refused = call(set(&made, policy)).await;
        assert_eq!(
            (refused.status, refused.text("Code").as_str()),
            (403, many.1)
        );
        // One that has a policy may get another, and leaves room when it has none.
        assert_eq!(call(set(&last, r#"{"a":["y"]}"#)).await.status, 200);
        assert_eq!(call(set(&last, "")).await.status, 200);
        assert_eq!(call(set(&made, policy)).await.status, 200);
    }
}
