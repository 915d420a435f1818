//! What other services deliver.

use bytes::Bytes;
use model::Arn;
use model::ports::{Attribute, AttributeValue, Parcel, Sender, Target, Undelivered};
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
