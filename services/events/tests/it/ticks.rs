use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Events, to_queue};

const MINUTE: Duration = Duration::from_secs(60);

async fn schedule(events: &Events, expression: &str) {
    let rule = json!({"Name": "r", "ScheduleExpression": expression});
    events.ok("PutRule", rule).await;
    let targets = json!({"Rule": "r", "Targets": [to_queue("q")]});
    events.ok("PutTargets", targets).await;
}

fn times(events: &Events) -> Vec<String> {
    let bodies = events.kept.bodies().into_iter();
    bodies
        .map(|(_, body)| body["time"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_rate_sends_a_scheduled_event_each_time() {
    let events = Events::new().await;
    schedule(&events, "rate(1 minute)").await;
    events.advance(Duration::from_secs(59)).await;
    assert!(events.kept.bodies().is_empty());
    events.advance(Duration::from_secs(1)).await;
    let (_, mut body) = events.kept.bodies().remove(0);
    assert!(body["id"].is_string());
    body["id"] = Value::Null;
    let rule = "arn:aws:events:us-east-1:000000000000:rule/r";
    let expected = json!({
        "version": "0", "id": null, "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": "2023-11-14T22:14:20Z", "region": "us-east-1",
        "resources": [rule], "detail": {},
    });
    assert_eq!(body, expected);
    events.advance(MINUTE).await;
    assert_eq!(times(&events), ["2023-11-14T22:15:20Z"]);
    events.ok("DisableRule", json!({"Name": "r"})).await;
    events.advance(MINUTE * 3).await;
    assert!(times(&events).is_empty());
    events.ok("EnableRule", json!({"Name": "r"})).await;
    events.advance(MINUTE).await;
    assert_eq!(times(&events).len(), 1);
}

#[tokio::test]
async fn cron_ticks_at_the_minute() {
    let events = Events::new().await;
    schedule(&events, "cron(0 10 * * ? *)").await;
    events.advance(Duration::from_secs(86_400)).await;
    assert_eq!(times(&events), ["2023-11-15T10:00:00Z"]);
    events.advance(Duration::from_secs(86_400)).await;
    assert_eq!(times(&events), ["2023-11-16T10:00:00Z"]);
}

#[tokio::test]
async fn no_tick_is_lost_or_doubled_by_a_crash() {
    let events = Events::new().await;
    schedule(&events, "rate(1 minute)").await;
    events.advance(MINUTE).await;
    assert_eq!(times(&events), ["2023-11-14T22:14:20Z"]);
    let events = Events::after(events.crash(), events.kept.clone()).await;
    events.advance(MINUTE * 3).await;
    assert_eq!(
        times(&events),
        [
            "2023-11-14T22:15:20Z",
            "2023-11-14T22:16:20Z",
            "2023-11-14T22:17:20Z"
        ]
    );
}

#[tokio::test]
async fn a_tick_that_could_not_be_posted_comes_later() {
    let events = Events::new().await;
    schedule(&events, "rate(1 minute)").await;
    *events.kept.is_full.lock().unwrap() = true;
    events.advance(MINUTE).await;
    *events.kept.is_full.lock().unwrap() = false;
    events.advance(MINUTE).await;
    assert_eq!(
        times(&events),
        ["2023-11-14T22:14:20Z", "2023-11-14T22:15:20Z"]
    );
}

#[tokio::test]
async fn ticks_older_than_a_day_are_left_out() {
    let events = Events::new().await;
    schedule(&events, "rate(1 day)").await;
    events.advance(Duration::from_secs(5 * 86_400 + 10)).await;
    let times = times(&events);
    assert_eq!(times, ["2023-11-19T22:13:20Z"]);
}
