//! Delivery policies that say how many notifications an endpoint gets a second.

use std::time::Duration;

use model::ports::{Target, Undelivered};

use crate::harness::Sns;

const RATE: u32 = 2;
/// What waits for longer comes again later.
const TURN_WAIT_S: usize = 10;

#[tokio::test]
async fn an_endpoint_gets_no_more_than_its_delivery_policy_says_and_waiting_is_no_try() {
    let sns = Sns::new().await;
    let topic = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    let members = [
        ("TopicArn", topic.as_str()),
        ("Protocol", "http"),
        ("Endpoint", "http://h/"),
    ];
    sns.ok("Subscribe", &members).await;
    let handshake = sns.posted().remove(0).parcel;
    let body: serde_json::Value = serde_json::from_slice(&handshake.body).unwrap();
    let confirm = [
        ("TopicArn", topic.as_str()),
        ("Token", body["Token"].as_str().unwrap()),
    ];
    let made = sns
        .ok("ConfirmSubscription", &confirm)
        .await
        .text("SubscriptionArn");
    let policy = format!(r#"{{"throttlePolicy":{{"maxReceivesPerSecond":{RATE}}}}}"#);
    let set = [
        ("SubscriptionArn", made.as_str()),
        ("AttributeName", "DeliveryPolicy"),
        ("AttributeValue", policy.as_str()),
    ];
    sns.ok("SetSubscriptionAttributes", &set).await;
    sns.ok("Publish", &[("TopicArn", &topic), ("Message", "m")])
        .await;
    let parcel = sns.posted().remove(0).parcel;
    let web = sns::WebTarget::new(&sns.engine);
    let tries = (0..=TURN_WAIT_S * RATE as usize + 1).map(|_| web.deliver(&parcel));
    let run = async {
        for _ in 0..=TURN_WAIT_S {
            sns.pass(Duration::from_secs(1)).await;
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(tries), run);
    let is_busy =
        |answer: &&Result<(), Undelivered>| matches!(answer, Err(Undelivered::Busy { .. }));
    assert_eq!(answers.iter().filter(is_busy).count(), 1, "{answers:?}");
    let last = answers.last().unwrap();
    let Err(Undelivered::Busy { wait, .. }) = last else {
        panic!("{last:?}");
    };
    assert_eq!(*wait, Duration::from_secs(TURN_WAIT_S as u64));
    assert_eq!(sns.sent(), TURN_WAIT_S * RATE as usize + 1);
    // Handshakes wait for nobody.
    assert!(matches!(
        web.deliver(&handshake).await,
        Err(Undelivered::Later { .. })
    ));
}
