//! The wall clock is set forward and back while messages are sent and received: what hides a message, and what
//! lets it live, lasts as long as it was said.  [R4]
//!
//! KILN_CLOCK_JUMPS sets how often; `cargo xtask torture clock` runs the full form.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tasks::{Ids, Time};

use crate::harness::Sqs;

const JUMPS: u64 = 60;
const JUMP_S_MAX: u64 = 86_400;
/// How long messages live, and how often the server looks for those that are too old.
const RETENTION_S: u64 = 600;

struct Message {
    sent: u64,
    /// Seconds of the trial from which it may be received.
    at: u64,
}

#[tokio::test]
async fn messages_are_hidden_and_live_as_long_as_was_said_however_the_clock_jumps() {
    let text = std::env::var("KILN_CLOCK_JUMPS").ok();
    let jumps: u64 = text.and_then(|text| text.parse().ok()).unwrap_or(JUMPS);
    let dice = Ids::system();
    let roll = |sides: u64| dice.u64() % sides;
    let sqs = Sqs::new();
    let retention = json!({"MessageRetentionPeriod": RETENTION_S.to_string()});
    let url = sqs.create_with("q", retention).await;
    let mut messages: BTreeMap<String, Message> = BTreeMap::new();
    let (mut now, mut next, mut looked) = (0, 0, 0);
    for _ in 0..jumps {
        let by = i64::try_from(1 + roll(JUMP_S_MAX)).unwrap() * 1_000_000;
        let by = if roll(2) == 0 { by } else { -by };
        let wall = sqs.clock().now().unix_micros().saturating_add(by);
        sqs.control().jump_to(Time::from_unix_micros(wall));
        // Some come, some of them late.
        for _ in 0..2 {
            let (body, delay) = (format!("m{next}"), roll(20));
            next += 1;
            let input = json!({"QueueUrl": url, "MessageBody": body, "DelaySeconds": delay});
            sqs.ok("SendMessage", input).await;
            let at = now + delay;
            messages.insert(body, Message { sent: now, at });
        }
        let passed = roll(40);
        sqs.pass(Duration::from_secs(passed)).await;
        now += passed;
        // Exactly those that are due, to the second.
        messages.retain(|_, message| message.sent + RETENTION_S > now);
        let due = messages.iter().filter(|(_, message)| message.at <= now);
        let due: Vec<String> = due.map(|(body, _)| body.clone()).collect();
        let hidden = 1 + roll(60);
        let mut got = Vec::new();
        loop {
            let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": hidden,
                "AttributeNames": ["SentTimestamp"]});
            let answer = sqs.ok("ReceiveMessage", input).await;
            let some = answer["Messages"].as_array().cloned().unwrap_or_default();
            if some.is_empty() {
                break;
            }
            for one in some {
                let body = one["Body"].as_str().unwrap().to_owned();
                let message = messages
                    .get_mut(&body)
                    .unwrap_or_else(|| panic!("{body} is too old"));
                message.at = now + hidden;
                looked += 1;
                // What is shown is the wall clock as it is set now.
                let sent = one["Attributes"]["SentTimestamp"].as_str().unwrap();
                let age = sqs.clock().now().unix_millis() - sent.parse::<i64>().unwrap();
                assert_eq!(u64::try_from(age).unwrap(), (now - message.sent) * 1_000);
                got.push(body);
            }
        }
        got.sort();
        assert_eq!(got, due, "at {now} s");
    }
    eprintln!(
        "FOUND R4 | message seen early, late or too old | {jumps} | 0 | {looked} receives, exact to the second"
    );
}
