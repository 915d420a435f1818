use std::sync::atomic::Ordering;
use std::time::Duration;

use model::ports::DeadLetterStyle;
use serde_json::{Value, json};

use crate::harness::{QUEUE, Scheduler};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const ARN: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s";

fn to_queue(more: Value) -> Value {
    let mut target = json!({"Arn": QUEUE, "RoleArn": "arn:aws:iam::000000000000:role/r"});
    let members = more.as_object().unwrap().clone();
    target.as_object_mut().unwrap().extend(members);
    json!({"Target": target})
}

#[tokio::test]
async fn a_rate_begins_at_once_and_goes_on() {
    let scheduler = Scheduler::new().await;
    scheduler.schedule("rate(1 minute)", json!({})).await;
    scheduler.settle().await;
    let mut body = scheduler.kept.bodies().remove(0);
    assert!(body["id"].is_string());
    body["id"] = Value::Null;
    let expected = json!({
        "version": "0", "id": null, "detail-type": "Scheduled Event", "source": "aws.scheduler",
        "account": "000000000000", "time": "2023-11-14T22:13:20Z", "region": "us-east-1",
        "resources": [ARN], "detail": "{}",
    });
    assert_eq!(body, expected);
    scheduler.advance(MINUTE).await;
    assert_eq!(scheduler.kept.times(), ["2023-11-14T22:14:20Z"]);
}

#[tokio::test]
async fn what_a_posting_says_comes_from_the_target() {
    let scheduler = Scheduler::new().await;
    let target = to_queue(json!({
        "Input": "{\"at\": \"<aws.scheduler.scheduled-time>\", \"s\": \"<aws.scheduler.schedule-arn>\"}",
        "DeadLetterConfig": {"Arn": format!("{QUEUE}-dead")},
        "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 90},
        "SqsParameters": {"MessageGroupId": "g"},
    }));
    scheduler.schedule("rate(1 day)", target).await;
    scheduler.settle().await;
    let posting = scheduler.kept.take().remove(0);
    let body: Value = serde_json::from_slice(&posting.parcel.body).unwrap();
    assert_eq!(body, json!({"at": "2023-11-14T22:13:20Z", "s": ARN}));
    assert_eq!(posting.parcel.group.as_deref(), Some("g"));
    assert_eq!(posting.parcel.sender.service, "scheduler.amazonaws.com");
    assert_eq!(posting.parcel.sender.source.to_string(), ARN);
    assert_eq!(posting.patience.retries_max, 2);
    assert_eq!(posting.patience.age_max, Duration::from_secs(90));
    let schedule = ARN.parse().unwrap();
    let dead = posting.dead_letter.unwrap();
    assert_eq!(dead.style, DeadLetterStyle::Schedule { schedule });
}

#[tokio::test]
async fn a_bus_gets_an_event() {
    let scheduler = Scheduler::new().await;
    let target = json!({
        "Arn": "arn:aws:events:us-east-1:000000000000:event-bus/default",
        "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": "{\"n\": 1}",
        "EventBridgeParameters": {"Source": "s", "DetailType": "t"},
    });
    scheduler
        .schedule("rate(1 day)", json!({"Target": target}))
        .await;
    scheduler.settle().await;
    let parcel = scheduler.kept.take().remove(0).parcel;
    let head = parcel.event.unwrap();
    assert_eq!((&*head.source, &*head.detail_type), ("s", "t"));
    assert_eq!(&parcel.body[..], b"{\"n\": 1}");
}

#[tokio::test]
async fn once_is_once_and_the_schedule_goes_if_it_shall() {
    let scheduler = Scheduler::new().await;
    let more = json!({
        "ActionAfterCompletion": "DELETE", "ScheduleExpressionTimezone": "America/New_York",
    });
    scheduler.schedule("at(2023-11-15T05:00:00)", more).await;
    scheduler.advance(DAY * 3).await;
    // That is further than the day for which the target waits; what came in time is below.
    assert!(scheduler.kept.bodies().is_empty());
    let (status, _) = scheduler.call("GET", "/schedules/s", Value::Null).await;
    assert_eq!(status, 404);
    scheduler
        .schedule("at(2023-11-18T05:00:00)", json!({}))
        .await;
    scheduler.advance(DAY).await;
    assert_eq!(scheduler.kept.times(), ["2023-11-18T05:00:00Z"]);
    scheduler.advance(DAY).await;
    assert!(scheduler.kept.bodies().is_empty());
    scheduler.get("/schedules/s").await;
}

#[tokio::test]
async fn a_window_sends_later_but_within_it() {
    let scheduler = Scheduler::new().await;
    let window = json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5});
    let more = json!({"FlexibleTimeWindow": window, "StartDate": 1_700_003_600});
    scheduler.schedule("rate(1 hour)", more).await;
    scheduler.advance(Duration::from_secs(3_600)).await;
    let early = scheduler.kept.times().len();
    scheduler.advance(MINUTE * 5).await;
    let late = scheduler.kept.times();
    assert_eq!(early + late.len(), 1);
}

#[tokio::test]
async fn no_tick_is_lost_or_doubled_by_a_crash() {
    let scheduler = Scheduler::new().await;
    scheduler.schedule("rate(1 minute)", json!({})).await;
    scheduler.advance(MINUTE).await;
    assert_eq!(scheduler.kept.times().len(), 2);
    let scheduler = Scheduler::after(scheduler.crash(), scheduler.kept.clone()).await;
    scheduler.advance(MINUTE * 2).await;
    assert_eq!(
        scheduler.kept.times(),
        ["2023-11-14T22:15:20Z", "2023-11-14T22:16:20Z"]
    );
}

#[tokio::test]
async fn a_tick_that_was_posted_but_not_written_down_is_sent_once() {
    let scheduler = Scheduler::new().await;
    scheduler.schedule("rate(1 minute)", json!({})).await;
    scheduler.settle().await;
    assert_eq!(scheduler.kept.times().len(), 1);
    let before = scheduler.crash();
    scheduler.door.is_shut.store(false, Ordering::Relaxed);
    // The old process goes on and posts the next tick; its write is lost with the crash.
    scheduler.advance(MINUTE).await;
    assert_eq!(scheduler.kept.times(), ["2023-11-14T22:14:20Z"]);
    scheduler.door.is_shut.store(true, Ordering::Relaxed);
    let scheduler = Scheduler::after(before, scheduler.kept.clone()).await;
    scheduler.advance(MINUTE).await;
    assert_eq!(scheduler.kept.times(), ["2023-11-14T22:15:20Z"]);
}

#[tokio::test]
async fn a_change_of_the_target_moves_no_tick() {
    let scheduler = Scheduler::new().await;
    scheduler.schedule("rate(1 minute)", json!({})).await;
    scheduler.advance(Duration::from_secs(30)).await;
    scheduler.kept.take();
    let input = crate::harness::input("rate(1 minute)", to_queue(json!({"Input": "7"})));
    scheduler.ok("PUT", "/schedules/s", input).await;
    scheduler.settle().await;
    assert!(scheduler.kept.take().is_empty());
    scheduler.advance(Duration::from_secs(30)).await;
    assert_eq!(scheduler.kept.bodies(), [json!(7)]);
}
