use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::harness::{Sqs, bodies, over_both};

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        let sent = sqs.send(&url, "message-1").await;
        assert_eq!(sent["MD5OfMessageBody"], "3d6b824fd8c1520e9a047d21fee6fb1f");
        assert_eq!(sent.get("SequenceNumber"), None);
        assert_eq!(sqs.counts(&url).await, [1, 0, 0]);
        let got = sqs.receive(&url).await;
        assert_eq!(bodies(&got), ["message-1"]);
        assert_eq!(got[0]["MessageId"], sent["MessageId"]);
        assert_eq!(got[0]["MD5OfBody"], sent["MD5OfMessageBody"]);
        let attributes = got[0]["Attributes"].as_object().unwrap();
        let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "ApproximateFirstReceiveTimestamp",
                "ApproximateReceiveCount",
                "SenderId",
                "SentTimestamp"
            ]
        );
        assert_eq!(got[0]["Attributes"]["ApproximateReceiveCount"], "1");
        assert_eq!(sqs.counts(&url).await, [0, 0, 1]);
        assert!(sqs.bodies(&url).await.is_empty(), "in flight");
        sqs.delete(&url, &got[0]).await;
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
        sqs.delete(&url, &got[0]).await;
    })
    .await;
}

#[tokio::test]
async fn acknowledged_messages_survive_a_power_cut_and_deleted_ones_stay_away() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    for body in ["a", "b", "c"] {
        sqs.send(&url, body).await;
    }
    let got = sqs.receive(&url).await;
    sqs.delete(&url, &got[1]).await;
    let sqs = sqs.again();
    // Nobody holds what was in flight.
    let after = sqs.receive(&url).await;
    assert_eq!(bodies(&after), ["a", "c"]);
    // A handle of the time before is still good.
    sqs.delete(&url, &got[0]).await;
    sqs.pass_s(31).await;
    assert_eq!(sqs.bodies(&url).await, ["c"]);
    let sqs = sqs.again();
    assert_eq!(sqs.bodies(&url).await, ["c"]);
}

#[tokio::test]
async fn receives_are_counted_over_a_restart() {
    let sqs = Sqs::new();
    let url = sqs
        .create_with("q", json!({"VisibilityTimeout": "600"}))
        .await;
    sqs.send(&url, "a").await;
    assert_eq!(sqs.bodies(&url).await, ["a"]);
    // Written down late, without a write for each receive.
    sqs.pass_s(1).await;
    sqs.pass_s(1).await;
    let sqs = sqs.again();
    assert_eq!(sqs.counts(&url).await, [0, 0, 1], "visibility is known too");
    sqs.pass_s(600).await;
    let got = sqs.receive(&url).await;
    assert_eq!(got[0]["Attributes"]["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn an_unseen_message_comes_back_after_its_visibility_timeout() {
    over_both(async |sqs: Sqs| {
        let url = sqs
            .create_with("q", json!({"VisibilityTimeout": "5"}))
            .await;
        sqs.send(&url, "a").await;
        let first = sqs.receive(&url).await;
        sqs.pass_s(4).await;
        assert!(sqs.bodies(&url).await.is_empty());
        sqs.pass_s(1).await;
        let second = sqs.receive(&url).await;
        assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
        assert_eq!(
            second[0]["Attributes"]["ApproximateFirstReceiveTimestamp"],
            first[0]["Attributes"]["ApproximateFirstReceiveTimestamp"]
        );
        assert_ne!(second[0]["ReceiptHandle"], first[0]["ReceiptHandle"]);
        // A request may ask for another time.
        sqs.pass_s(5).await;
        let input = json!({"QueueUrl": url, "VisibilityTimeout": 0});
        for _ in 0..3 {
            let got = sqs.ok("ReceiveMessage", input.clone()).await;
            assert_eq!(got["Messages"][0]["Body"], "a", "at once");
        }
    })
    .await;
}

#[tokio::test]
async fn visibility_is_changed_one_by_one_and_in_batches() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        sqs.send(&url, "a").await;
        sqs.send(&url, "b").await;
        let got = sqs.receive(&url).await;
        let handle = &got[0]["ReceiptHandle"];
        let change = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0});
        sqs.ok("ChangeMessageVisibility", change.clone()).await;
        let again = sqs.receive(&url).await;
        assert_eq!(bodies(&again), ["a"]);
        // An earlier handle is as good as the last one while the message is in flight.
        sqs.ok("ChangeMessageVisibility", change.clone()).await;
        let again = sqs.receive(&url).await;
        assert_eq!(bodies(&again), ["a"]);
        // Of a message that is visible it changes nothing, and AWS does not mind.
        let open = json!({"QueueUrl": url, "ReceiptHandle": again[0]["ReceiptHandle"], "VisibilityTimeout": 0});
        sqs.ok("ChangeMessageVisibility", open).await;
        let held = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 9});
        sqs.ok("ChangeMessageVisibility", held).await;
        let again = sqs.receive(&url).await;
        assert_eq!(bodies(&again), ["a"]);
        assert!(sqs.bodies(&url).await.is_empty());
        let batch = json!({"QueueUrl": url, "Entries": [
            {"Id": "1", "ReceiptHandle": got[1]["ReceiptHandle"], "VisibilityTimeout": 100},
            {"Id": "2", "ReceiptHandle": "garbage", "VisibilityTimeout": 1},
            {"Id": "3", "ReceiptHandle": again[0]["ReceiptHandle"], "VisibilityTimeout": 43201},
        ]});
        let outcome = sqs.ok("ChangeMessageVisibilityBatch", batch).await;
        assert_eq!(outcome["Successful"], json!([{"Id": "1"}]));
        let failed = outcome["Failed"].as_array().unwrap();
        assert_eq!(failed[0]["Code"], "ReceiptHandleIsInvalid");
        assert_eq!(
            failed[1]["Message"],
            "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided."
        );
        sqs.pass_s(50).await;
        assert_eq!(sqs.bodies(&url).await, ["a"]);
        sqs.pass_s(50).await;
        let all: BTreeSet<String> = sqs.bodies(&url).await.into_iter().collect();
        assert_eq!(all, ["a", "b"].map(str::to_owned).into());
    })
    .await;
}

#[tokio::test]
async fn delays_of_queue_and_message_hold_messages_back() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create_with("q", json!({"DelaySeconds": "10"})).await;
        sqs.send(&url, "queue").await;
        let own = json!({"QueueUrl": url, "MessageBody": "own", "DelaySeconds": 3});
        sqs.ok("SendMessage", own).await;
        let none = json!({"QueueUrl": url, "MessageBody": "none", "DelaySeconds": 0});
        sqs.ok("SendMessage", none).await;
        assert_eq!(sqs.counts(&url).await, [1, 2, 0]);
        assert_eq!(sqs.bodies(&url).await, ["none"]);
        sqs.pass_s(3).await;
        assert_eq!(sqs.bodies(&url).await, ["own"]);
        sqs.pass_s(7).await;
        assert_eq!(sqs.bodies(&url).await, ["queue"]);
        let long = json!({"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 901});
        assert_eq!(
            sqs.call("SendMessage", long).await.1,
            "InvalidParameterValue;Sender"
        );
    })
    .await;
}

#[tokio::test]
async fn a_long_poll_ends_with_a_send_or_with_its_time() {
    let sqs = std::sync::Arc::new(Sqs::new());
    let url = sqs.create("q").await;
    let wait = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let poll = || {
        let (sqs, wait) = (sqs.clone(), wait.clone());
        tokio::spawn(async move { sqs.ok("ReceiveMessage", wait).await })
    };
    let first = poll();
    sqs.pass_s(19).await;
    assert!(!first.is_finished());
    sqs.send(&url, "a").await;
    assert_eq!(first.await.unwrap()["Messages"][0]["Body"], "a");
    let second = poll();
    sqs.pass_s(19).await;
    assert!(!second.is_finished());
    sqs.pass_s(1).await;
    assert_eq!(second.await.unwrap(), json!({}));
    // Also with a message that becomes visible.
    let third = poll();
    sqs.pass_s(10).await;
    assert_eq!(third.await.unwrap()["Messages"][0]["Body"], "a");
}

#[tokio::test]
async fn attributes_travel_with_their_digests() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let sent = sqs
            .ok(
                "SendMessage",
                json!({"QueueUrl": url, "MessageBody": "m",
                "MessageAttributes": {
                    "Foo": {"DataType": "String", "StringValue": "Bar"},
                    "Foo.n": {"DataType": "Number", "StringValue": "1"},
                    "bin": {"DataType": "Binary", "BinaryValue": "AAEC"},
                },
                "MessageSystemAttributes": {
                    "AWSTraceHeader": {"DataType": "String", "StringValue": trace},
                }}),
            )
            .await;
        assert_eq!(sent["MD5OfMessageAttributes"].as_str().unwrap().len(), 32);
        assert_eq!(
            sent["MD5OfMessageSystemAttributes"].as_str().unwrap().len(),
            32
        );
        let receive = async |system: Value, message: Value| {
            let input = json!({"QueueUrl": url, "VisibilityTimeout": 0,
                "MessageSystemAttributeNames": system, "MessageAttributeNames": message});
            let got = sqs.ok("ReceiveMessage", input).await;
            got["Messages"][0].clone()
        };
        let all = receive(json!(["AWSTraceHeader"]), json!(["All"])).await;
        assert_eq!(all["Attributes"], json!({"AWSTraceHeader": trace}));
        assert_eq!(
            all["MD5OfMessageAttributes"],
            sent["MD5OfMessageAttributes"]
        );
        assert_eq!(
            all["MessageAttributes"]["bin"],
            json!({"BinaryValue": "AAEC", "DataType": "Binary"})
        );
        let one = receive(json!([]), json!(["Foo"])).await;
        assert_eq!(
            one["MD5OfMessageAttributes"],
            "ae7155c6026991b6d54b11589678bf9c"
        );
        assert_eq!(one.get("Attributes"), None);
        let some = receive(json!([]), json!(["Foo.*", "none"])).await;
        assert_eq!(some["MessageAttributes"].as_object().unwrap().len(), 2);
        let none = receive(json!([]), json!([])).await;
        assert_eq!(none.get("MessageAttributes"), None);
        assert_eq!(none.get("MD5OfMessageAttributes"), None);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_the_words_of_aws() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create_with("q", json!({"MaximumMessageSize": "1024"})).await;
        let fifo = sqs.create_with("q.fifo", json!({"FifoQueue": "true"})).await;
        let value = "InvalidParameterValue";
        let attribute = |v: Value| json!({"QueueUrl": url, "MessageBody": "x", "MessageAttributes": v});
        for (operation, input, code, text) in [
            ("SendMessage", json!({"QueueUrl": url, "MessageBody": ""}), "MissingParameter",
             "The request must contain the parameter MessageBody."),
            ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x".repeat(1025)}), value,
             "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."),
            ("SendMessage", attribute(json!({"E": {"DataType": "String", "StringValue": ""}})), value,
             "Message (user) attribute 'E' must contain a non-empty value of type 'String'."),
            ("SendMessage", json!({"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "a b"}), value,
             "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."),
            ("SendMessage", json!({"QueueUrl": fifo, "MessageBody": "x"}), "MissingParameter",
             "The request must contain the parameter MessageGroupId."),
            ("SendMessage", json!({"QueueUrl": fifo, "MessageBody": "x", "MessageGroupId": "g"}), value,
             "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"),
            ("SendMessage", json!({"QueueUrl": fifo, "MessageBody": "x", "MessageGroupId": "g",
                "MessageDeduplicationId": "d", "DelaySeconds": 2}), value,
             "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."),
            ("ReceiveMessage", json!({"QueueUrl": url, "MaxNumberOfMessages": 11}), value,
             "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."),
            ("ReceiveMessage", json!({"QueueUrl": url, "WaitTimeSeconds": 21}), value,
             "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."),
            ("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": "garbage"}), "ReceiptHandleIsInvalid",
             "The input receipt handle \"garbage\" is not a valid receipt handle."),
            ("SendMessageBatch", json!({"QueueUrl": url}), "AWS.SimpleQueueService.EmptyBatchRequest",
             "There should be at least one SendMessageBatchRequestEntry in the request."),
            ("SendMessageBatch", json!({"QueueUrl": fifo, "Entries": [{"Id": "1", "MessageBody": "x"}]}), value,
             "The request must contain the parameter MessageGroupId."),
            ("SendMessageBatch", json!({"QueueUrl": fifo, "Entries": [{"Id": "1", "MessageBody": "x", "MessageGroupId": "g"}]}), value,
             "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"),
            ("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": [{"Id": "a:b", "ReceiptHandle": "x"}]}),
             "AWS.SimpleQueueService.InvalidBatchEntryId",
             "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."),
            ("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": [
                {"Id": "a", "ReceiptHandle": "x"}, {"Id": "a", "ReceiptHandle": "x"}]}),
             "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id a repeated."),
        ] {
            sqs.refused(operation, input, code, text).await;
        }
        let many: Vec<Value> = (0..11).map(|n| json!({"Id": n.to_string(), "MessageBody": "x"})).collect();
        sqs.refused("SendMessageBatch", json!({"QueueUrl": url, "Entries": many}),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.").await;
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn batches_tell_the_fate_of_each_entry() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create_with("q", json!({"MaximumMessageSize": "1024"})).await;
        let batch = json!({"QueueUrl": url, "Entries": [
            {"Id": "a", "MessageBody": "1"},
            {"Id": "long", "MessageBody": "x".repeat(1025)},
            {"Id": "odd", "MessageBody": "\u{1}"},
            {"Id": "b", "MessageBody": "2", "DelaySeconds": 1},
        ]});
        let sent = sqs.ok("SendMessageBatch", batch).await;
        let ids: Vec<_> = sent["Successful"].as_array().unwrap().iter().map(|e| e["Id"].clone()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(sent["Successful"][0]["MD5OfMessageBody"], "c4ca4238a0b923820dcc509a6f75849b");
        assert_eq!(
            sent["Failed"],
            json!([
                {"Id": "long", "SenderFault": true, "Code": "InvalidParameterValue",
                 "Message": "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."},
                {"Id": "odd", "SenderFault": true, "Code": "InvalidMessageContents",
                 "Message": "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"},
            ])
        );
        sqs.pass_s(1).await;
        let got = sqs.receive(&url).await;
        assert_eq!(bodies(&got), ["1", "2"]);
        let entries: Vec<Value> = got.iter().enumerate()
            .map(|(n, m)| json!({"Id": n.to_string(), "ReceiptHandle": m["ReceiptHandle"]})).collect();
        let deleted = sqs.ok("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": entries})).await;
        assert_eq!(deleted, json!({"Successful": [{"Id": "0"}, {"Id": "1"}]}));
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_mebibyte_comes_back_whole() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        let body = "0123456789abcdef".repeat(1 << 16);
        sqs.send(&url, &body).await;
        sqs.refused("SendMessage", json!({"QueueUrl": url, "MessageBody": format!("{body}x")}),
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.").await;
        let half = &body[..1 << 19];
        let batch = |second: &str| json!({"QueueUrl": url, "Entries": [
            {"Id": "a", "MessageBody": half}, {"Id": "b", "MessageBody": second}]});
        sqs.refused("SendMessageBatch", batch(&format!("{half}x")),
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.").await;
        sqs.ok("SendMessageBatch", batch(half)).await;
        let sqs = sqs.again();
        let got = sqs.receive(&url).await;
        assert_eq!(got.len(), 3);
        assert_eq!(got[0]["Body"], body);
        assert_eq!(got[1]["Body"], half);
        for message in &got {
            sqs.delete(&url, message).await;
        }
        let sqs = sqs.again();
        assert!(sqs.bodies(&url).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn messages_end_with_their_retention() {
    let sqs = Sqs::new();
    let url = sqs
        .create_with("q", json!({"MessageRetentionPeriod": "60"}))
        .await;
    sqs.send(&url, "old").await;
    sqs.pass_s(30).await;
    sqs.send(&url, "new").await;
    sqs.pass_s(30).await;
    assert_eq!(sqs.bodies(&url).await, ["new"]);
    assert_eq!(sqs.counts(&url).await, [0, 0, 1]);
    // Without a receiver the search for old messages finds them.
    sqs.send(&url, "unseen").await;
    sqs.pass_s(60).await;
    for _ in 0..10 {
        sqs.pass_s(1).await;
    }
    assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_purge_empties_the_queue_once_a_minute() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        for n in 0..40 {
            sqs.send(&url, &n.to_string()).await;
        }
        assert_eq!(sqs.bodies(&url).await.len(), 10);
        let purge = json!({"QueueUrl": url});
        sqs.ok("PurgeQueue", purge.clone()).await;
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
        sqs.send(&url, "after").await;
        let (status, ..) = sqs.call("PurgeQueue", purge.clone()).await;
        assert_eq!(status, 403);
        sqs.refused(
            "PurgeQueue",
            purge.clone(),
            "AWS.SimpleQueueService.PurgeQueueInProgress",
            "Only one PurgeQueue operation on q is allowed every 60 seconds.",
        )
        .await;
        // Durable before the records are gone.
        let sqs = sqs.again();
        assert_eq!(sqs.bodies(&url).await, ["after"]);
        sqs.pass_s(60).await;
        sqs.ok("PurgeQueue", purge).await;
        assert_eq!(sqs.counts(&url).await, [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_new_queue_of_an_old_name_has_none_of_its_messages() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    sqs.send(&url, "old").await;
    let old = sqs.receive(&url).await;
    sqs.send(&url, "old too").await;
    sqs.ok("DeleteQueue", json!({"QueueUrl": url})).await;
    let send = json!({"QueueUrl": url, "MessageBody": "x"});
    assert_eq!(
        sqs.call("SendMessage", send).await.1,
        "AWS.SimpleQueueService.NonExistentQueue;Sender"
    );
    sqs.create("q").await;
    assert!(sqs.bodies(&url).await.is_empty());
    let handle = old[0]["ReceiptHandle"].as_str().unwrap();
    sqs.refused(
        "DeleteMessage",
        json!({"QueueUrl": url, "ReceiptHandle": handle}),
        "ReceiptHandleIsInvalid",
        &format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
    .await;
}

#[tokio::test]
async fn the_older_protocol_has_its_own_words_for_a_missing_queue() {
    over_both(async |sqs: Sqs| {
        let url = "http://127.0.0.1:4566/000000000000/none";
        let (status, code, json) = sqs.call("ReceiveMessage", json!({"QueueUrl": url})).await;
        assert_eq!(
            (status, code.as_str()),
            (400, "AWS.SimpleQueueService.NonExistentQueue;Sender")
        );
        let text = json["message"].as_str().unwrap();
        assert!(
            text.starts_with("The specified queue does not exist"),
            "{text}"
        );
        let is_query = text.ends_with("for this wsdl version.");
        assert_eq!(is_query, json.get("__type").is_none());
    })
    .await;
    // In JSON errors have the names of their models.
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    for (operation, body, wanted) in [
        (
            "ReceiveMessage",
            json!({"QueueUrl": "http://127.0.0.1:4566/000000000000/none"}),
            "com.amazonaws.sqs#QueueDoesNotExist",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "!"}),
            "com.amazon.coral.service#InvalidParameterValueException",
        ),
        (
            "ChangeMessageVisibility",
            json!({"QueueUrl": url, "ReceiptHandle": "x"}),
            "com.amazon.coral.service#MissingRequiredParameterException",
        ),
    ] {
        let (_, _, json) = sqs.call(operation, body).await;
        assert_eq!(json["__type"], wanted, "{json}");
    }
}

#[tokio::test]
async fn a_queue_may_be_named_without_a_url() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        sqs.send("q", "by name").await;
        assert_eq!(sqs.bodies(&url).await, ["by name"]);
    })
    .await;
}

#[tokio::test]
async fn nobody_holds_a_message_for_more_than_twelve_hours() {
    over_both(async |sqs: Sqs| {
        let url = sqs.create("q").await;
        sqs.send(&url, "a").await;
        let got = sqs.receive(&url).await;
        let change = |got: &[Value], seconds: i64| {
            json!({"QueueUrl": url, "ReceiptHandle": got[0]["ReceiptHandle"], "VisibilityTimeout": seconds})
        };
        sqs.ok("ChangeMessageVisibility", change(&got, 43_200)).await;
        sqs.pass_s(1).await;
        let text = |seconds: i64| {
            format!("Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
        };
        sqs.refused("ChangeMessageVisibility", change(&got, 43_200), "InvalidParameterValue", &text(43_200)).await;
        sqs.ok("ChangeMessageVisibility", change(&got, 43_199)).await;
        // A power cut does not forget when it was received.
        sqs.pass_s(3).await;
        let sqs = sqs.again();
        sqs.refused("ChangeMessageVisibility", change(&got, 43_199), "InvalidParameterValue", &text(43_199)).await;
        // The next receive has twelve hours again.
        sqs.ok("ChangeMessageVisibility", change(&got, 0)).await;
        let got = sqs.receive(&url).await;
        sqs.ok("ChangeMessageVisibility", change(&got, 43_200)).await;
    })
    .await;
}

/// After a power cut that came before receives were written down.
#[tokio::test]
async fn a_handle_of_a_forgotten_receive_deletes_what_is_there_still() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    for (group, body) in [("g", "a"), ("h", "b")] {
        let input = json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": group});
        sqs.ok("SendMessage", input).await;
    }
    let got = sqs.receive(&url).await;
    let sqs = sqs.again();
    assert_eq!(sqs.counts(&url).await, [2, 0, 0]);
    sqs.delete(&url, &got[0]).await;
    sqs.delete(&url, &got[0]).await;
    assert_eq!(sqs.counts(&url).await, [1, 0, 0]);
    assert_eq!(sqs.bodies(&url).await, ["b"]);
}
