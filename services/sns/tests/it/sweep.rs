use std::time::Duration;

use crate::harness::Sns;

const HOUR: Duration = Duration::from_secs(3_600);

async fn subscribe(sns: &Sns, arn: &str, endpoint: &str) -> (String, String) {
    let made = sns
        .ok(
            "Subscribe",
            &[
                ("TopicArn", arn),
                ("Protocol", "http"),
                ("Endpoint", endpoint),
                ("ReturnSubscriptionArn", "true"),
            ],
        )
        .await;
    let [asked] = sns.posted().try_into().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&asked.parcel.body).unwrap();
    let token = body["Token"].as_str().unwrap().to_owned();
    (made.text("SubscriptionArn"), token)
}

#[tokio::test]
async fn subscriptions_wait_two_days_for_their_token() {
    let sns = Sns::new().await;
    let arn = sns
        .ok("CreateTopic", &[("Name", "t")])
        .await
        .text("TopicArn");
    let (good, good_token) = subscribe(&sns, &arn, "http://a.example/").await;
    let (late, late_token) = subscribe(&sns, &arn, "http://b.example/").await;
    let token = |token: &str| {
        vec![
            ("TopicArn".to_owned(), arn.clone()),
            ("Token".to_owned(), token.to_owned()),
        ]
    };
    let confirm = async |text: &str| {
        let members = token(text);
        let members: Vec<(&str, &str)> = members
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        sns.call("ConfirmSubscription", &members).await
    };
    sns.pass(47 * HOUR).await;
    assert_eq!(confirm(&good_token).await.text("SubscriptionArn"), good);
    assert_eq!(sns.stored().await, 2);
    sns.pass(2 * HOUR).await;
    assert_eq!(confirm(&late_token).await.status, 400);
    let gone = [("SubscriptionArn", late.as_str())];
    assert_eq!(
        sns.call("GetSubscriptionAttributes", &gone).await.status,
        404
    );
    assert_eq!(sns.stored().await, 1, "what is over was not swept");

    // An ended one may be restored for as long.
    sns.ok("Unsubscribe", &[("SubscriptionArn", &good)]).await;
    let [told] = sns.posted().try_into().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&told.parcel.body).unwrap();
    let again = body["Token"].as_str().unwrap();
    sns.pass(47 * HOUR).await;
    assert_eq!(confirm(again).await.text("SubscriptionArn"), good);
    sns.pass(100 * HOUR).await;
    assert_eq!(sns.stored().await, 1, "a confirmed one stays");
    sns.ok("Unsubscribe", &[("SubscriptionArn", &good)]).await;
    sns.pass(49 * HOUR).await;
    assert_eq!(sns.stored().await, 0);
}

#[tokio::test]
async fn deduplication_ids_go_after_five_minutes_in_pages() {
    let sns = Sns::new().await;
    let make = [
        ("Name", "t.fifo"),
        ("Attributes.entry.1.key", "FifoTopic"),
        ("Attributes.entry.1.value", "true"),
    ];
    let arn = sns.ok("CreateTopic", &make).await.text("TopicArn");
    let publish = async |dedup: &str| {
        let message = [
            ("TopicArn", arn.as_str()),
            ("Message", "m"),
            ("MessageGroupId", "g"),
            ("MessageDeduplicationId", dedup),
        ];
        sns.ok("Publish", &message).await.text("MessageId")
    };
    let first = publish("0").await;
    // More than a page.
    for number in 1..250 {
        publish(&number.to_string()).await;
    }
    assert_eq!(publish("0").await, first);
    assert_eq!(sns.remembered().await, 250);
    sns.pass(Duration::from_secs(301)).await;
    assert_eq!(sns.remembered().await, 0);
    assert_ne!(publish("0").await, first);

    // A new topic of the same name knows nothing of the old one's messages.
    let second = publish("x").await;
    sns.ok("DeleteTopic", &[("TopicArn", &arn)]).await;
    sns.pass(Duration::from_secs(1)).await;
    sns.ok("CreateTopic", &make).await;
    assert_ne!(publish("x").await, second);
}
