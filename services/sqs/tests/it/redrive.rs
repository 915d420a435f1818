use serde_json::{Value, json};

use crate::harness::{Sqs, bodies, over_both};

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000";

/// A queue `q` whose messages die after `receives` in `dead`.
async fn pair(sqs: &Sqs, receives: u32, fifo: bool) -> (String, String) {
    let (suffix, kind) = match fifo {
        true => (
            ".fifo",
            json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
        ),
        false => ("", json!({})),
    };
    let dead = sqs
        .create_with(&format!("dead{suffix}"), kind.clone())
        .await;
    let policy =
        json!({"deadLetterTargetArn": format!("{ARN}:dead{suffix}"), "maxReceiveCount": receives});
    let mut attributes = kind;
    attributes["RedrivePolicy"] = policy.to_string().into();
    attributes["VisibilityTimeout"] = "1".into();
    let url = sqs.create_with(&format!("q{suffix}"), attributes).await;
    (url, dead)
}

#[tokio::test]
async fn a_message_that_is_received_too_often_dies() {
    over_both(async |sqs: Sqs| {
        let (url, dead) = pair(&sqs, 2, false).await;
        let sent = sqs.send(&url, "poison").await;
        for count in ["1", "2"] {
            let got = sqs.receive(&url).await;
            assert_eq!(got[0]["Attributes"]["ApproximateReceiveCount"], count);
            sqs.pass_s(1).await;
        }
        assert!(sqs.bodies(&url).await.is_empty());
        let sqs = sqs.again();
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
        let got = sqs.receive(&dead).await;
        assert_eq!(bodies(&got), ["poison"]);
        assert_eq!(got[0]["MessageId"], sent["MessageId"]);
        let attributes = &got[0]["Attributes"];
        assert_eq!(attributes["ApproximateReceiveCount"], "3");
        assert_eq!(attributes["DeadLetterQueueSourceArn"], format!("{ARN}:q"));
    })
    .await;
}

#[tokio::test]
async fn the_next_of_a_group_follows_a_dead_one() {
    let sqs = Sqs::new();
    let (url, dead) = pair(&sqs, 1, true).await;
    for body in ["1", "2"] {
        let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": "g"});
        sqs.ok("SendMessage", input).await;
    }
    let one = json!({"QueueUrl": url});
    sqs.ok("ReceiveMessage", one.clone()).await;
    sqs.pass_s(1).await;
    let got = sqs.ok("ReceiveMessage", one).await;
    assert_eq!(got["Messages"][0]["Body"], "2");
    assert_eq!(sqs.bodies(&dead).await, ["1"]);
}

#[tokio::test]
async fn without_its_dead_letter_queue_a_message_stays() {
    let sqs = Sqs::new();
    let (url, dead) = pair(&sqs, 1, false).await;
    sqs.send(&url, "a").await;
    sqs.ok("DeleteQueue", json!({"QueueUrl": dead})).await;
    for _ in 0..3 {
        assert_eq!(sqs.bodies(&url).await, ["a"]);
        sqs.pass_s(1).await;
    }
}

#[tokio::test]
async fn a_dead_letter_queue_must_be_there_and_willing() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        let dead = sqs.create("dead").await;
        sqs.create_with("dead.fifo", json!({"FifoQueue": "true"}))
            .await;
        let policy = |name: &str| {
            json!({"deadLetterTargetArn": format!("{ARN}:{name}"), "maxReceiveCount": 1})
                .to_string()
        };
        let set =
            |name: &str| json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": policy(name)}});
        let refused = async |name: &str, reason: &str| {
            let text = format!(
                "Value {} for parameter RedrivePolicy is invalid. Reason: {reason}",
                policy(name)
            );
            sqs.refused(
                "SetQueueAttributes",
                set(name),
                "InvalidParameterValue",
                &text,
            )
            .await;
        };
        refused("none", "Dead letter target does not exist.").await;
        refused(
            "dead.fifo",
            "Dead letter queue must be same type of queue as the source.",
        )
        .await;
        let allow = async |allow: Value| {
            let input =
                json!({"QueueUrl": dead, "Attributes": {"RedriveAllowPolicy": allow.to_string()}});
            sqs.ok("SetQueueAttributes", input).await;
        };
        let unwilling = "Dead letter target does not allow this queue as a source.";
        allow(json!({"redrivePermission": "denyAll"})).await;
        refused("dead", unwilling).await;
        allow(json!({"redrivePermission": "byQueue", "sourceQueueArns": [format!("{ARN}:other")]}))
            .await;
        refused("dead", unwilling).await;
        allow(json!({"redrivePermission": "byQueue", "sourceQueueArns": [format!("{ARN}:q")]}))
            .await;
        sqs.ok("SetQueueAttributes", set("dead")).await;
    })
    .await;
}

async fn bury(sqs: &Sqs, url: &str, bodies: &[&str]) {
    for body in bodies {
        sqs.send(url, body).await;
    }
    sqs.receive(url).await;
    sqs.pass_s(1).await;
    assert!(sqs.bodies(url).await.is_empty());
}

async fn tasks(sqs: &Sqs) -> Vec<Value> {
    let input = json!({"SourceArn": format!("{ARN}:dead"), "MaxResults": 10});
    let mut all = sqs.ok("ListMessageMoveTasks", input).await["Results"].clone();
    all.as_array_mut().map(std::mem::take).unwrap_or_default()
}

/// Numbers are text in the older protocol.
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_task_moves_dead_messages_back() {
    over_both(async |sqs: Sqs| {
        let (url, dead) = pair(&sqs, 1, false).await;
        let sent = sqs.send(&url, "first").await;
        bury(&sqs, &url, &["a", "b"]).await;
        let start = json!({"SourceArn": format!("{ARN}:dead")});
        let started = sqs.ok("StartMessageMoveTask", start).await;
        assert!(started["TaskHandle"].is_string());
        sqs.pass_s(0).await;
        let all = tasks(&sqs).await;
        assert_eq!(all[0]["Status"], "COMPLETED");
        assert_eq!(number(&all[0]["ApproximateNumberOfMessagesMoved"]), 3);
        assert_eq!(number(&all[0]["ApproximateNumberOfMessagesToMove"]), 3);
        assert_eq!(all[0].get("TaskHandle"), None);
        assert_eq!(all[0].get("DestinationArn"), None);
        assert_eq!(sqs.counts(&dead).await, [0, 0, 0]);
        let got = sqs.receive(&url).await;
        assert_eq!(bodies(&got), ["first", "a", "b"]);
        assert_ne!(got[0]["MessageId"], sent["MessageId"], "a new message");
        assert_eq!(got[0]["Attributes"]["ApproximateReceiveCount"], "1");
        assert_eq!(got[0]["Attributes"].get("DeadLetterQueueSourceArn"), None);
    })
    .await;
}

#[tokio::test]
async fn a_slow_task_is_one_at_a_time_and_can_be_cancelled() {
    over_both(async |sqs: Sqs| {
        let (url, dead) = pair(&sqs, 1, false).await;
        let other = sqs.create("other").await;
        bury(&sqs, &url, &["a", "b", "c", "d"]).await;
        let start = json!({"SourceArn": format!("{ARN}:dead"),
            "DestinationArn": format!("{ARN}:other"), "MaxNumberOfMessagesPerSecond": 1});
        let handle = sqs.ok("StartMessageMoveTask", start.clone()).await["TaskHandle"].clone();
        sqs.pass_s(1).await;
        assert_eq!(sqs.counts(&other).await[0], 2);
        let all = tasks(&sqs).await;
        assert_eq!((&all[0]["Status"], &all[0]["TaskHandle"]), (&json!("RUNNING"), &handle));
        sqs.refused("StartMessageMoveTask", start, "InvalidParameterValue",
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.").await;
        // It goes on after a power cut.
        let sqs = sqs.again();
        let _ = tasks(&sqs).await;
        sqs.pass_s(0).await;
        assert_eq!(sqs.counts(&other).await[0], 3);
        let cancelled = sqs.ok("CancelMessageMoveTask", json!({"TaskHandle": handle})).await;
        assert_eq!(number(&cancelled["ApproximateNumberOfMessagesMoved"]), 1, "since the start");
        sqs.pass_s(5).await;
        assert_eq!(tasks(&sqs).await[0]["Status"], "CANCELLED");
        assert_eq!(sqs.counts(&other).await[0], 3);
        sqs.refused("CancelMessageMoveTask", json!({"TaskHandle": handle}),
            "ResourceNotFoundException", "Task does not exist.").await;
        sqs.pass_s(30).await;
        assert_eq!(sqs.bodies(&dead).await, ["d"]);
    })
    .await;
}

#[tokio::test]
async fn move_tasks_are_refused_as_aws_does() {
    over_both(async |sqs: Sqs| {
        let (url, _) = pair(&sqs, 1, false).await;
        bury(&sqs, &url, &["a"]).await;
        let missing = |name: &str| format!("The resource that you specified for the {name} parameter doesn't exist.");
        for (operation, input, code, text) in [
            ("StartMessageMoveTask", json!({"SourceArn": format!("{ARN}:q")}), "InvalidParameterValue",
             "Source queue must be configured as a Dead Letter Queue.".to_owned()),
            ("StartMessageMoveTask", json!({"SourceArn": format!("{ARN}:none")}), "ResourceNotFoundException",
             missing("SourceArn")),
            ("StartMessageMoveTask", json!({"SourceArn": format!("{ARN}:dead"), "DestinationArn": format!("{ARN}:none")}),
             "ResourceNotFoundException", missing("DestinationArn")),
            ("CancelMessageMoveTask", json!({"TaskHandle": "x"}), "InvalidParameterValue",
             "Value for parameter TaskHandle is invalid.".to_owned()),
        ] {
            sqs.refused(operation, input, code, &text).await;
        }
        // The place that it came from is gone.
        sqs.ok("DeleteQueue", json!({"QueueUrl": url})).await;
        let other = sqs.create("other").await;
        let policy = json!({"deadLetterTargetArn": format!("{ARN}:dead"), "maxReceiveCount": 1}).to_string();
        sqs.ok("SetQueueAttributes", json!({"QueueUrl": other, "Attributes": {"RedrivePolicy": policy}})).await;
        sqs.ok("StartMessageMoveTask", json!({"SourceArn": format!("{ARN}:dead")})).await;
        sqs.pass_s(0).await;
        let all = tasks(&sqs).await;
        assert_eq!(all[0]["Status"], "FAILED");
        assert_eq!(all[0]["FailureReason"], "AWS.SimpleQueueService.NonExistentQueue");
    })
    .await;
}

/// What the dead process was moving is not waited for, and none of it stays behind.
#[tokio::test]
async fn a_task_that_a_power_cut_stops_leaves_nothing_behind() {
    let sqs = Sqs::new();
    let (url, dead) = pair(&sqs, 1, false).await;
    let other = sqs.create("other").await;
    let all: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for some in all.chunks(10) {
        bury(&sqs, &url, some).await;
    }
    let start = json!({"SourceArn": format!("{ARN}:dead"),
        "DestinationArn": format!("{ARN}:other"), "MaxNumberOfMessagesPerSecond": 1});
    sqs.ok("StartMessageMoveTask", start).await;
    // Long enough for what is written down late.
    sqs.pass_s(1).await;
    sqs.pass_s(1).await;
    sqs.pass_s(1).await;
    let sqs = sqs.again();
    for _ in 0..40 {
        sqs.pass_s(1).await;
    }
    assert_eq!(tasks(&sqs).await[0]["Status"], "COMPLETED");
    assert_eq!(sqs.counts(&dead).await, [0, 0, 0]);
    assert_eq!(sqs.counts(&other).await, [30, 0, 0]);
}

#[tokio::test]
async fn a_dead_letter_queue_may_have_its_own() {
    over_both(async |sqs: Sqs| {
        let (url, dead) = pair(&sqs, 1, false).await;
        let last = sqs.create("last").await;
        let policy = json!({"deadLetterTargetArn": format!("{ARN}:last"), "maxReceiveCount": 1});
        let set = json!({"QueueUrl": dead, "Attributes":
            {"RedrivePolicy": policy.to_string(), "VisibilityTimeout": "1"}});
        sqs.ok("SetQueueAttributes", set).await;
        bury(&sqs, &url, &["a"]).await;
        assert_eq!(sqs.bodies(&dead).await, ["a"]);
        sqs.pass_s(1).await;
        assert!(sqs.bodies(&dead).await.is_empty());
        let sqs = sqs.again();
        let got = sqs.receive(&last).await;
        assert_eq!(bodies(&got), ["a"]);
        assert_eq!(
            got[0]["Attributes"]["DeadLetterQueueSourceArn"],
            format!("{ARN}:dead")
        );
        // And back, one queue at a time. A message that was moved comes from nowhere.
        sqs.pass_s(30).await;
        for (source, named, target) in [("last", None, &dead), ("dead", Some("q"), &url)] {
            let mut start = json!({"SourceArn": format!("{ARN}:{source}")});
            if let Some(name) = named {
                start["DestinationArn"] = format!("{ARN}:{name}").into();
            }
            sqs.ok("StartMessageMoveTask", start).await;
            sqs.pass_s(0).await;
            assert_eq!(sqs.counts(target).await, [1, 0, 0], "{source}");
        }
    })
    .await;
}

/// One receive buries no more than so many; the rest waits for the next.
#[tokio::test]
async fn a_live_message_is_found_behind_many_dead_ones() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    let dead = sqs.create("dead").await;
    for n in 0..250 {
        sqs.send(&url, &n.to_string()).await;
    }
    let zero = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 1});
    for _ in 0..25 {
        sqs.ok("ReceiveMessage", zero.clone()).await;
    }
    sqs.send(&url, "alive").await;
    sqs.pass_s(1).await;
    let policy = json!({"deadLetterTargetArn": format!("{ARN}:dead"), "maxReceiveCount": 1});
    let set = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": policy.to_string()}});
    sqs.ok("SetQueueAttributes", set).await;
    assert_eq!(sqs.bodies(&url).await, ["alive"]);
    assert_eq!(sqs.counts(&dead).await, [250, 0, 0]);
}
