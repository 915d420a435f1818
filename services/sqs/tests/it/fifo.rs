use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Sqs, bodies, over_both};

async fn fifo(sqs: &Sqs, attributes: Value) -> String {
    let mut all = json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"});
    for (name, value) in attributes.as_object().unwrap() {
        all[name] = value.clone();
    }
    sqs.create_with("q.fifo", all).await
}

async fn send(sqs: &Sqs, url: &str, group: &str, body: &str) -> Value {
    let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group});
    sqs.ok("SendMessage", input).await
}

#[tokio::test]
async fn a_group_is_in_order_and_waits_for_what_is_in_flight() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({})).await;
        let mut numbers = Vec::new();
        for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3")] {
            let sent = send(&sqs, &url, group, body).await;
            numbers.push(sent["SequenceNumber"].as_str().unwrap().to_owned());
        }
        assert!(numbers.is_sorted() && numbers.iter().all(|n| n.len() == 20));
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 2, "AttributeNames": ["All"]});
        let got = sqs.ok("ReceiveMessage", input).await["Messages"].clone();
        let got = got.as_array().unwrap();
        assert_eq!(bodies(got), ["a1", "a2"]);
        assert_eq!(got[0]["Attributes"]["MessageGroupId"], "a");
        assert_eq!(got[0]["Attributes"]["SequenceNumber"], numbers[0].as_str());
        assert!(
            got[0]["Attributes"]["MessageDeduplicationId"]
                .as_str()
                .unwrap()
                .len()
                == 64
        );
        assert_eq!(sqs.bodies(&url).await, ["b1"], "a3 waits for its group");
        sqs.delete(&url, &got[0]).await;
        assert!(sqs.bodies(&url).await.is_empty());
        sqs.delete(&url, &got[1]).await;
        assert_eq!(sqs.bodies(&url).await, ["a3"]);
    })
    .await;
}

/// What AWS was seen to do: a message in flight holds up those behind it, not those before it.
#[tokio::test]
async fn messages_before_the_one_in_flight_may_be_received() {
    for (extended, expected) in [(0, &[][..]), (1, &["foo"][..]), (2, &["foo", "bar"][..])] {
        let sqs = Sqs::new();
        let url = fifo(&sqs, json!({"VisibilityTimeout": "1"})).await;
        for body in ["foo", "bar", "baz"] {
            send(&sqs, &url, "1", body).await;
        }
        let got = sqs.receive(&url).await;
        assert_eq!(bodies(&got), ["foo", "bar", "baz"]);
        let change = json!({"QueueUrl": url, "VisibilityTimeout": 4,
            "ReceiptHandle": got[extended]["ReceiptHandle"]});
        sqs.ok("ChangeMessageVisibility", change).await;
        sqs.pass(Duration::from_millis(2_500)).await;
        assert_eq!(sqs.bodies(&url).await, expected, "{extended}");
    }
}

#[tokio::test]
async fn the_same_message_is_taken_once_in_five_minutes() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({})).await;
        let first = send(&sqs, &url, "g", "x").await;
        assert_eq!(send(&sqs, &url, "h", "x").await, first, "of whatever group");
        let got = sqs.receive(&url).await;
        assert_eq!(bodies(&got), ["x"]);
        sqs.delete(&url, &got[0]).await;
        assert_eq!(
            send(&sqs, &url, "g", "x").await,
            first,
            "also when it is deleted"
        );
        // And after a power cut.
        let sqs = sqs.again();
        sqs.pass_s(299).await;
        assert_eq!(send(&sqs, &url, "g", "x").await, first);
        sqs.pass_s(1).await;
        assert_ne!(send(&sqs, &url, "g", "x").await, first);
        let own = json!({"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g",
            "MessageDeduplicationId": "own"});
        sqs.ok("SendMessage", own).await;
        assert_eq!(sqs.counts(&url).await, [2, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn the_scope_of_deduplication_may_be_the_group() {
    let sqs = Sqs::new();
    let scope =
        json!({"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"});
    let url = fifo(&sqs, scope).await;
    for group in ["g", "h", "g"] {
        send(&sqs, &url, group, "x").await;
    }
    assert_eq!(sqs.counts(&url).await, [2, 0, 0]);
}

#[tokio::test]
async fn a_batch_knows_its_own_repeats() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({})).await;
        let entry = |id: &str, body: &str| json!({"Id": id, "MessageBody": body, "MessageGroupId": "g"});
        let batch = json!({"QueueUrl": url, "Entries": [entry("1", "x"), entry("2", "y"), entry("3", "x")]});
        let sent = sqs.ok("SendMessageBatch", batch).await;
        assert_eq!(sent["Successful"][0]["MessageId"], sent["Successful"][2]["MessageId"]);
        assert_eq!(sqs.bodies(&url).await, ["x", "y"]);
    })
    .await;
}

#[tokio::test]
async fn a_late_handle_deletes_nothing() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({"VisibilityTimeout": "1"})).await;
        send(&sqs, &url, "g", "x").await;
        let got = sqs.receive(&url).await;
        sqs.pass_s(1).await;
        let handle = got[0]["ReceiptHandle"].as_str().unwrap();
        sqs.refused("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle}),
            "InvalidParameterValue",
            &format!("Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")).await;
        assert_eq!(sqs.bodies(&url).await, ["x"]);
    })
    .await;
}

#[tokio::test]
async fn order_and_groups_survive_a_power_cut() {
    let sqs = Sqs::new();
    let url = fifo(&sqs, json!({})).await;
    for n in 0..20 {
        send(&sqs, &url, ["a", "b"][n % 2], &format!("{n:02}")).await;
    }
    let got = sqs.receive(&url).await;
    sqs.delete(&url, &got[0]).await;
    let sqs = sqs.again();
    let mut seen = Vec::new();
    loop {
        let got = sqs.receive(&url).await;
        if got.is_empty() {
            break;
        }
        for message in &got {
            sqs.delete(&url, message).await;
        }
        seen.extend(bodies(&got));
    }
    assert_eq!(seen.len(), 19);
    for parity in [0, 1] {
        let of_group = |body: &&String| body.parse::<usize>().unwrap() % 2 == parity;
        assert!(seen.iter().filter(of_group).is_sorted(), "{seen:?}");
    }
    let next = send(&sqs, &url, "a", "next").await;
    let last = send(&sqs, &url, "a", "last").await;
    assert!(next["SequenceNumber"].as_str() < last["SequenceNumber"].as_str());
}

#[tokio::test]
async fn the_delay_of_a_fifo_queue_counts_for_what_is_in_it() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({"DelaySeconds": "10"})).await;
        let input =
            json!({"QueueUrl": url, "MessageBody": "a", "MessageGroupId": "g", "DelaySeconds": 0});
        sqs.ok("SendMessage", input).await;
        assert_eq!(sqs.counts(&url).await, [0, 1, 0]);
        let set = json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "2"}});
        sqs.ok("SetQueueAttributes", set).await;
        sqs.pass_s(2).await;
        assert_eq!(sqs.bodies(&url).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn a_receive_can_be_asked_for_again() {
    over_both(async |sqs: Sqs| {
        let url = fifo(&sqs, json!({})).await;
        send(&sqs, &url, "g", "a").await;
        send(&sqs, &url, "g", "b").await;
        let attempt = json!({"QueueUrl": url, "ReceiveRequestAttemptId": "one", "MaxNumberOfMessages": 1,
            "AttributeNames": ["All"]});
        let first = sqs.ok("ReceiveMessage", attempt.clone()).await;
        assert_eq!(first["Messages"][0]["Body"], "a");
        sqs.pass_s(20).await;
        assert_eq!(sqs.ok("ReceiveMessage", attempt.clone()).await, first);
        // Its time began again.
        sqs.pass_s(29).await;
        assert_eq!(sqs.counts(&url).await, [1, 0, 1]);
        sqs.delete(&url, &first["Messages"][0]).await;
        let next = sqs.ok("ReceiveMessage", attempt).await;
        assert_eq!(next["Messages"][0]["Body"], "b");
    })
    .await;
}

#[tokio::test]
async fn a_purge_forgets_deduplication_ids() {
    let sqs = Sqs::new();
    let url = fifo(&sqs, json!({})).await;
    send(&sqs, &url, "g", "x").await;
    sqs.ok("PurgeQueue", json!({"QueueUrl": url})).await;
    send(&sqs, &url, "g", "x").await;
    let sqs = sqs.again();
    assert_eq!(sqs.bodies(&url).await, ["x"]);
}

#[tokio::test]
async fn a_fair_queue_gives_quiet_groups_their_turn() {
    let sqs = Sqs::new();
    let url = sqs.create("fair").await;
    let sent = json!({"QueueUrl": url, "MessageBody": "m", "MessageGroupId": "g"});
    assert_eq!(
        sqs.ok("SendMessage", sent).await.get("SequenceNumber"),
        None
    );
    for n in 0..20 {
        send(&sqs, &url, "noisy", &format!("noisy {n}")).await;
    }
    send(&sqs, &url, "quiet", "quiet").await;
    let got = sqs.receive(&url).await;
    assert!(
        bodies(&got).contains(&"quiet".to_owned()),
        "{:?}",
        bodies(&got)
    );
    assert_eq!(got[0]["Attributes"]["MessageGroupId"], "g");
}

#[tokio::test]
async fn a_group_that_was_served_goes_behind_the_others() {
    let sqs = Sqs::new();
    let url = fifo(&sqs, json!({"VisibilityTimeout": "0"})).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")] {
        send(&sqs, &url, group, body).await;
    }
    let one = async || {
        let input = json!({"QueueUrl": url, "VisibilityTimeout": 1});
        let got = sqs.ok("ReceiveMessage", input).await["Messages"][0].clone();
        (got["Body"].as_str().unwrap().to_owned(), got)
    };
    let (body, first) = one().await;
    assert_eq!(body, "a1");
    sqs.delete(&url, &first).await;
    assert_eq!(one().await.0, "b1");
    send(&sqs, &url, "d", "d1").await;
    // What was sent after the first receive comes after its group; what comes back waits anew.
    sqs.pass_s(1).await;
    for expected in ["c1", "a2", "b1", "d1"] {
        assert_eq!(one().await.0, expected);
    }
}

/// What AWS was seen to do within the first seconds.
#[tokio::test]
async fn another_scope_of_deduplication_counts_after_a_while() {
    let scope =
        |scope: &str| json!({"ContentBasedDeduplication": "true", "DeduplicationScope": scope});
    for (before, after, at_once, late) in [
        ("queue", "messageGroup", 1, 2),
        ("messageGroup", "queue", 2, 3),
    ] {
        let sqs = Sqs::new();
        let url = fifo(&sqs, scope(before)).await;
        send(&sqs, &url, "a", "x").await;
        let set = json!({"QueueUrl": url, "Attributes": {"DeduplicationScope": after}});
        sqs.ok("SetQueueAttributes", set).await;
        let shown = sqs.ok(
            "GetQueueAttributes",
            json!({"QueueUrl": url, "AttributeNames": ["All"]}),
        );
        assert_eq!(shown.await["Attributes"]["DeduplicationScope"], after);
        send(&sqs, &url, "b", "x").await;
        assert_eq!(sqs.counts(&url).await[0], at_once, "{before}");
        sqs.pass_s(60).await;
        send(&sqs, &url, "c", "x").await;
        assert_eq!(sqs.counts(&url).await[0], late, "{before}");
    }
}
