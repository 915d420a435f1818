use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Events, to_queue};

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:us-east-1:000000000000:archive/a";
const START: i64 = 1_700_000_000;

async fn with_archive() -> Events {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["s"]}), to_queue("q"))
        .await;
    events
        .rule("other", json!({"source": ["s"]}), to_queue("other"))
        .await;
    let archive = json!({
        "ArchiveName": "a", "EventSourceArn": BUS, "RetentionDays": 1,
        "EventPattern": json!({"detail": {"keep": [true]}}).to_string(),
    });
    events.ok("CreateArchive", archive).await;
    events
}

fn replay(name: &str, from: i64, to: i64) -> Value {
    json!({
        "ReplayName": name, "EventSourceArn": ARCHIVE, "EventStartTime": from, "EventEndTime": to,
        "Destination": {
            "Arn": BUS, "FilterArns": ["arn:aws:events:us-east-1:000000000000:rule/r"],
        },
    })
}

async fn put_at(events: &Events, n: i64, time: i64) {
    let detail = json!({"keep": true, "n": n}).to_string();
    let entry = json!({"Source": "s", "DetailType": "t", "Detail": detail, "Time": time});
    events.ok("PutEvents", json!({"Entries": [entry]})).await;
}

#[tokio::test]
async fn an_archive_keeps_what_its_pattern_takes_until_it_is_too_old() {
    let events = with_archive().await;
    events.put(json!({"keep": true})).await;
    events.put(json!({"keep": false})).await;
    let name = json!({"ArchiveName": "a"});
    let shown = events.ok("DescribeArchive", name.clone()).await;
    assert_eq!(shown["EventCount"], 1);
    assert!(shown["SizeBytes"].as_i64().unwrap() > 100);
    assert_eq!(shown["State"], "ENABLED");
    assert_eq!(shown["ArchiveArn"], ARCHIVE);
    for _ in 0..26 {
        events.advance(Duration::from_secs(3_600)).await;
    }
    let shown = events.ok("DescribeArchive", name.clone()).await;
    assert_eq!(shown["EventCount"], 0);
    events.ok("DeleteArchive", name.clone()).await;
    let gone = ("ResourceNotFoundException", "Archive a does not exist.");
    events.refused("DescribeArchive", name, gone).await;
}

#[tokio::test]
async fn a_replay_sends_again_in_the_order_of_time() {
    let events = with_archive().await;
    for (n, time) in [(1, 300), (2, 100), (3, 200), (4, 900), (5, 50)] {
        put_at(&events, n, START + time).await;
    }
    events.kept.take();
    let started = events
        .ok("StartReplay", replay("again", START + 100, START + 900))
        .await;
    assert_eq!(started["State"], "STARTING");
    events.advance(Duration::ZERO).await;
    let bodies = events.kept.bodies();
    let sent: Vec<(String, Value)> = bodies
        .iter()
        .map(|(to, body)| (to.clone(), body["detail"]["n"].clone()))
        .collect();
    let expected = [2, 3, 1].map(|n| ("q".to_owned(), json!(n)));
    assert_eq!(sent, expected);
    assert_eq!(bodies[0].1["replay-name"], "again");
    let shown = events
        .ok("DescribeReplay", json!({"ReplayName": "again"}))
        .await;
    assert_eq!(shown["State"], "COMPLETED");
    assert_eq!(shown["EventLastReplayedTime"], START + 300);
    // What is sent again is not archived again.
    let archive = events
        .ok("DescribeArchive", json!({"ArchiveName": "a"}))
        .await;
    assert_eq!(archive["EventCount"], 5);
}

#[tokio::test]
async fn a_replay_goes_on_after_a_crash_and_sends_nothing_twice() {
    let events = with_archive().await;
    for n in 0..3 {
        put_at(&events, n, START + n).await;
    }
    events.kept.take();
    events
        .ok("StartReplay", replay("again", START, START + 9))
        .await;
    let kept = events.kept.clone();
    let events = Events::after(events.crash(), kept).await;
    events.advance(Duration::ZERO).await;
    let first = events.kept.take().len();
    let events = Events::after(events.crash(), events.kept.clone()).await;
    events.advance(Duration::ZERO).await;
    assert_eq!((first, events.kept.take().len()), (3, 0));
}

#[tokio::test]
async fn a_replay_that_cannot_be_is_refused() {
    let events = with_archive().await;
    events.ok("CreateEventBus", json!({"Name": "b"})).await;
    let with = |member: &str, value: Value| {
        let mut input = replay("x", START, START + 1);
        input[member] = value;
        input
    };
    for (input, code, message) in [
        (
            with("EventSourceArn", json!(ARCHIVE.replace("/a", "/z"))),
            "ValidationException",
            "Parameter EventSourceArn is not valid. Reason: Archive z does not exist.",
        ),
        (
            with("EventEndTime", json!(START)),
            "ValidationException",
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
        ),
        (
            {
                let mut both = with("EventEndTime", json!(START));
                both["Destination"] = json!({"Arn": BUS.replace("default", "b")});
                both
            },
            "ValidationException",
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
        ),
        (
            with("Destination", json!({"Arn": BUS.replace("default", "b")})),
            "ValidationException",
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
        ),
        (
            with("Destination", json!({"Arn": BUS.replace("default", "z")})),
            "ResourceNotFoundException",
            "Event bus z does not exist.",
        ),
    ] {
        events.refused("StartReplay", input, (code, message)).await;
    }
    events
        .ok("StartReplay", replay("x", START, START + 1))
        .await;
    let again = replay("x", START, START + 1);
    let exists = ("ResourceAlreadyExistsException", "Replay x already exists.");
    events.refused("StartReplay", again, exists).await;
}

#[tokio::test]
async fn an_archive_shows_a_rule_that_only_it_changes() {
    let events = with_archive().await;
    let name = "Events-Archive-a";
    let listed = events.ok("ListRules", json!({})).await;
    let names: Vec<&str> = listed["Rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["Name"].as_str().unwrap())
        .collect();
    assert_eq!(names, [name, "other", "r"]);
    let rule = events.ok("DescribeRule", json!({"Name": name})).await;
    assert_eq!(rule["ManagedBy"], "prod.vhs.events.aws.internal");
    assert_eq!(rule["State"], "ENABLED");
    let pattern: Value = serde_json::from_str(rule["EventPattern"].as_str().unwrap()).unwrap();
    let expected = json!({"detail": {"keep": [true]}, "replay-name": [{"exists": false}]});
    assert_eq!(pattern, expected);
    let targets = events.ok("ListTargetsByRule", json!({"Rule": name})).await;
    let target = &targets["Targets"][0];
    assert_eq!(target["Arn"], "arn:aws:events:us-east-1:::");
    assert_eq!(target["InputTransformer"]["InputPathsMap"], json!({}));
    let template = target["InputTransformer"]["InputTemplate"]
        .as_str()
        .unwrap();
    assert!(
        template.contains("\"event\": <aws.events.event.json>"),
        "{template}"
    );
    let text = "Rule Events-Archive-a is managed by an AWS service and can't be changed directly.";
    let managed = ("ManagedRuleException", text);
    for (operation, input) in [
        ("DeleteRule", json!({"Name": name})),
        ("DisableRule", json!({"Name": name})),
        (
            "PutRule",
            json!({"Name": name, "EventPattern": "{\"source\": [\"x\"]}"}),
        ),
        ("RemoveTargets", json!({"Rule": name, "Ids": ["a"]})),
    ] {
        events.refused(operation, input, managed).await;
    }
    events.put(json!({"keep": true})).await;
    assert_eq!(events.kept.take().len(), 2, "it sends nothing itself");
    events
        .ok("DeleteArchive", json!({"ArchiveName": "a"}))
        .await;
    let gone = "Rule Events-Archive-a does not exist on EventBus default.";
    let gone = ("ResourceNotFoundException", gone);
    events
        .refused("DescribeRule", json!({"Name": name}), gone)
        .await;
}
