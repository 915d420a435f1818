//! What other services deliver.

use std::time::Duration;

use bytes::Bytes;
use model::Arn;
use model::ports::{Attribute, AttributeValue, Parcel, QueueReader, Sender, Target, Undelivered};
use serde_json::json;

use crate::harness::{Sqs, bodies};

fn arn(text: &str) -> Arn {
    text.parse().unwrap()
}

fn parcel(id: &str, queue: &str) -> Parcel {
    Parcel {
        id: id.to_owned(),
        to: arn(&format!("arn:aws:sqs:us-east-1:000000000000:{queue}")),
        sender: Sender {
            service: "sns.amazonaws.com",
            source: arn("arn:aws:sns:us-east-1:000000000000:topic"),
            role: None,
        },
        body: Bytes::from_static(b"hello"),
        attributes: vec![(
            "a".to_owned(),
            Attribute {
                kind: "String".to_owned(),
                value: AttributeValue::Text("x".to_owned()),
            },
        )],
        subject: None,
        group: None,
        dedup: None,
        trace: Some("Root=1-0-0;Lineage=1".to_owned()),
        event: None,
    }
}

#[tokio::test]
async fn a_parcel_becomes_one_message_however_often_it_comes() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    let id = "11111111-2222-4333-8444-555555555555";
    for _ in 0..2 {
        sqs.engine.deliver(&parcel(id, "q")).await.unwrap();
    }
    let sqs = sqs.again();
    sqs.engine.deliver(&parcel(id, "q")).await.unwrap();
    let got = sqs.receive(&url).await;
    assert_eq!(bodies(&got), ["hello"]);
    assert_eq!(got[0]["MessageId"], id);
    assert_eq!(got[0]["MessageAttributes"]["a"]["StringValue"], "x");
    assert_eq!(
        got[0]["Attributes"]["AWSTraceHeader"],
        "Root=1-0-0;Lineage=1"
    );
    assert_eq!(got[0]["Attributes"]["SenderId"], "AIDAIT2UOQQY3AUEKVGXU");
}

#[tokio::test]
async fn a_fifo_queue_takes_group_and_deduplication_from_the_parcel() {
    let sqs = Sqs::new();
    let url = sqs
        .create_with("q.fifo", json!({"FifoQueue": "true"}))
        .await;
    let refused = sqs
        .engine
        .deliver(&parcel("1", "q.fifo"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Undelivered::Refused { code, .. } if code == "MissingParameter"));
    for id in ["1", "2"] {
        let parcel = Parcel {
            group: Some("g".to_owned()),
            dedup: Some("d".to_owned()),
            ..parcel(id, "q.fifo")
        };
        sqs.engine.deliver(&parcel).await.unwrap();
    }
    let got = sqs.receive(&url).await;
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["Attributes"]["MessageGroupId"], "g");
    assert_eq!(got[0]["Attributes"]["MessageDeduplicationId"], "d");
}

#[tokio::test]
async fn what_never_will_arrive_is_refused() {
    let sqs = Sqs::new();
    let refused = sqs.engine.deliver(&parcel("1", "none")).await.unwrap_err();
    assert_eq!(
        refused,
        Undelivered::Refused {
            code: "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            message: "The specified queue does not exist.".to_owned(),
        }
    );
    sqs.create_with("small", json!({"MaximumMessageSize": "1024"}))
        .await;
    let long = Parcel {
        body: Bytes::from(vec![b'x'; 1_100]),
        ..parcel("2", "small")
    };
    let refused = sqs.engine.deliver(&long).await.unwrap_err();
    assert!(
        matches!(refused, Undelivered::Refused { code, .. } if code == "InvalidParameterValue")
    );
}

#[tokio::test]
async fn the_policy_of_a_queue_says_which_services_may_send() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    let set = async |effect: &str, topic: &str| {
        let policy = json!({"Version": "2012-10-17", "Statement": {
            "Effect": effect, "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:000000000000:q",
            "Condition": {"ArnEquals": {"aws:SourceArn": format!("arn:aws:sns:us-east-1:000000000000:{topic}")}},
        }});
        let set = json!({"QueueUrl": url, "Attributes": {"Policy": policy.to_string()}});
        sqs.ok("SetQueueAttributes", set).await;
    };
    let mut number = 0;
    let mut deliver = async || {
        number += 1;
        let delivered = sqs.engine.deliver(&parcel(&number.to_string(), "q")).await;
        match delivered {
            Ok(()) => true,
            Err(Undelivered::Refused { code, .. }) if code == "AccessDenied" => false,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(deliver().await, "no policy, and none is asked for");
    set("Deny", "topic").await;
    assert!(!deliver().await, "a denial always counts");
    sqs.engine.require_policies();
    set("Allow", "other").await;
    assert!(!deliver().await, "another topic is allowed");
    set("Allow", "topic").await;
    assert!(deliver().await);
}

#[tokio::test]
async fn an_event_source_reads_as_a_consumer_does() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    sqs.engine.deliver(&parcel("1", "q")).await.unwrap();
    let queue = arn("arn:aws:sqs:us-east-1:000000000000:q");
    let facts = sqs.engine.facts(&queue).await.unwrap();
    assert!(!facts.is_fifo && facts.visibility_timeout == Duration::from_secs(30));
    let read = async || {
        let read = QueueReader::receive(&*sqs.engine, &queue, 10, Duration::ZERO);
        read.await.unwrap()
    };
    let got = read().await;
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body, "hello");
    assert_eq!(got[0].attributes[0].0, "a");
    assert!(
        got[0]
            .system
            .iter()
            .any(|(name, _)| name == "AWSTraceHeader")
    );
    assert!(read().await.is_empty());
    sqs.engine
        .hold(&queue, &got[0].receipt, Duration::ZERO)
        .await
        .unwrap();
    let got = read().await;
    let receipts = [got[0].receipt.clone()];
    QueueReader::delete(&*sqs.engine, &queue, &receipts)
        .await
        .unwrap();
    QueueReader::delete(&*sqs.engine, &queue, &receipts)
        .await
        .unwrap();
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    let none = arn("arn:aws:sqs:us-east-1:000000000000:none");
    let unread = sqs.engine.facts(&none).await.unwrap_err();
    assert_eq!(unread.code, "AWS.SimpleQueueService.NonExistentQueue");
    assert!(!unread.is_retryable);
}
