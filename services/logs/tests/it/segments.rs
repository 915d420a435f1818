use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Logs, messages};

const DAY: Duration = Duration::from_secs(86_400);

/// Puts `count` events of 200 KiB, five seconds apart, in streams that take turns.
async fn fill(logs: &Logs, streams: usize, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for i in 0..count {
        let message = format!("{i:04} {}", "x".repeat(200 << 10));
        let stream = format!("s{}", i % streams);
        let event = json!({"timestamp": logs.now_ms(), "message": message});
        let input = json!({"logGroupName": "g", "logStreamName": stream, "logEvents": [event]});
        logs.ok("PutLogEvents", input).await;
        all.push(message[..4].to_owned());
        logs.advance(Duration::from_secs(5)).await;
    }
    all
}

fn short(answer: &Value) -> Vec<String> {
    messages(answer).iter().map(|m| m[..4].to_owned()).collect()
}

async fn walk(logs: &Logs, operation: &str, start: Value, token: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut input = start;
    loop {
        let page = logs.ok(operation, input.clone()).await;
        let next = page[token].clone();
        if next.is_null() || next == input["nextToken"] {
            pages.push(short(&page));
            return pages;
        }
        pages.push(short(&page));
        input["nextToken"] = next;
    }
}

#[tokio::test]
async fn pages_walk_through_all_segments_in_both_directions() {
    let logs = Logs::new().await;
    logs.group("g").await;
    logs.stream("g", "s0").await;
    logs.stream("g", "s1").await;
    let all = fill(&logs, 2, 60).await;
    assert!(logs.segments().len() >= 3, "{:?}", logs.segments());
    let logs = logs.killed_and_started().await;
    let filter = json!({"logGroupName": "g"});
    let pages = walk(&logs, "FilterLogEvents", filter, "nextToken").await;
    assert!(pages.len() > 5, "pages hold one MiB");
    assert_eq!(pages.concat(), all);
    let even: Vec<String> = all.iter().step_by(2).cloned().collect();
    let mut start = json!({"logGroupName": "g", "logStreamName": "s0", "startFromHead": true});
    let pages = walk(&logs, "GetLogEvents", start.clone(), "nextForwardToken").await;
    assert_eq!(pages.concat(), even);
    start["startFromHead"] = json!(false);
    let mut pages = walk(&logs, "GetLogEvents", start, "nextBackwardToken").await;
    pages.reverse();
    assert_eq!(pages.concat(), even);
}

#[tokio::test]
async fn a_torn_tail_costs_only_itself() {
    let logs = Logs::new().await;
    logs.group("g").await;
    logs.stream("g", "s").await;
    logs.put("g", "s", &[-30, -20]).await;
    let segment = logs.segments().remove(0);
    let whole = std::fs::metadata(&segment).unwrap().len();
    logs.put("g", "s", &[-10]).await;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&segment)
        .unwrap();
    let longer = file.metadata().unwrap().len();
    assert!(longer > whole);
    file.set_len(longer - 3).unwrap();
    let logs = logs.killed_and_started().await;
    let all = json!({"logGroupName": "g"});
    assert_eq!(
        messages(&logs.ok("FilterLogEvents", all.clone()).await),
        ["-30", "-20"]
    );
    assert_eq!(std::fs::metadata(&segment).unwrap().len(), whole);
    logs.put("g", "s", &[0]).await;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&segment)
        .unwrap();
    file.write_all(&[0xff; 100]).unwrap();
    let logs = logs.killed_and_started().await;
    assert_eq!(
        messages(&logs.ok("FilterLogEvents", all).await),
        ["-30", "-20", "0"]
    );
}

#[tokio::test]
async fn retention_hides_expired_events_and_deletes_their_segments() {
    let logs = Logs::new().await;
    logs.group("g").await;
    logs.stream("g", "s0").await;
    fill(&logs, 1, 45).await;
    let before = logs.segments().len();
    assert!(before >= 3);
    logs.ok(
        "PutRetentionPolicy",
        json!({"logGroupName": "g", "retentionInDays": 1}),
    )
    .await;
    logs.advance(2 * DAY).await;
    logs.put("g", "s0", &[0]).await;
    let left = logs
        .ok("FilterLogEvents", json!({"logGroupName": "g"}))
        .await;
    assert_eq!(messages(&left), ["0"]);
    for _ in 0..20_000 {
        logs.advance(Duration::from_secs(3_600)).await;
        if logs.segments().len() < before {
            break;
        }
        std::thread::yield_now();
    }
    assert!(logs.segments().len() < before, "{:?}", logs.segments());
}
