use std::time::Duration;

use model::ports::DeadLetterStyle;
use serde_json::{Value, json};

use crate::harness::{Events, queue, to_queue};

#[tokio::test]
async fn an_event_goes_to_every_rule_that_it_matches() {
    let events = Events::new().await;
    events
        .rule("a", json!({"detail": {"n": [1]}}), to_queue("qa"))
        .await;
    events
        .rule("b", json!({"source": ["s"]}), to_queue("qb"))
        .await;
    events
        .rule("c", json!({"source": ["t"]}), to_queue("qc"))
        .await;
    events
        .rule("d", json!({"source": ["s"]}), to_queue("qd"))
        .await;
    events.ok("DisableRule", json!({"Name": "d"})).await;
    let put = events.put(json!({"n": 1})).await;
    let id = put["Entries"][0]["EventId"].clone();
    assert_eq!(
        put,
        json!({"FailedEntryCount": 0, "Entries": [{"EventId": id}]})
    );
    let event = json!({
        "version": "0", "id": id, "detail-type": "t", "source": "s", "account": "000000000000",
        "time": "2023-11-14T22:13:20Z", "region": "us-east-1", "resources": [], "detail": {"n": 1},
    });
    let expected = ["qa", "qb"].map(|q| (q.to_owned(), event.clone()));
    assert_eq!(events.kept.bodies(), expected);
}

#[tokio::test]
async fn what_a_posting_says_comes_from_rule_and_target() {
    let events = Events::new().await;
    let target = json!({
        "Id": "t", "Arn": queue("q.fifo"), "RoleArn": "arn:aws:iam::000000000000:role/r",
        "SqsParameters": {"MessageGroupId": "g"},
        "DeadLetterConfig": {"Arn": queue("dlq")},
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
    });
    events.rule("r", json!({"source": ["s"]}), target).await;
    let entry = json!({
        "Source": "s", "DetailType": "t", "Detail": "{}", "TraceHeader": "Root=1-2-3",
        "Time": 1_600_000_000, "Resources": ["x"],
    });
    events.ok("PutEvents", json!({"Entries": [entry]})).await;
    let posting = events.kept.take().remove(0);
    let rule = "arn:aws:events:us-east-1:000000000000:rule/r";
    assert_eq!(posting.parcel.sender.service, "events.amazonaws.com");
    assert_eq!(posting.parcel.sender.source.to_string(), rule);
    assert_eq!(posting.parcel.group.as_deref(), Some("g"));
    assert_eq!(posting.parcel.trace.as_deref(), Some("Root=1-2-3"));
    assert_eq!(posting.patience.retries_max, 3);
    assert_eq!(posting.patience.age_max, Duration::from_secs(60));
    let dead = posting.dead_letter.unwrap();
    assert_eq!(dead.to.to_string(), queue("dlq"));
    let rule = rule.parse().unwrap();
    assert_eq!(dead.style, DeadLetterStyle::Rule { rule });
    let body: Value = serde_json::from_slice(&posting.parcel.body).unwrap();
    assert_eq!(body["time"], "2020-09-13T12:26:40Z");
    assert_eq!(body["resources"], json!(["x"]));
}

#[tokio::test]
async fn entries_are_refused_one_by_one() {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["s"]}), to_queue("q"))
        .await;
    let entries = json!([
        {"DetailType": "t", "Detail": "{}"},
        {"Source": "s", "Detail": "{}"},
        {"Source": "s", "DetailType": "t"},
        {"Source": "s", "DetailType": "t", "Detail": "[]"},
        {"Source": "aws.s3", "DetailType": "t", "Detail": "{}"},
        {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "nowhere"},
        {"Source": "s", "DetailType": "t", "Detail": "{}"},
    ]);
    let answer = events.ok("PutEvents", json!({"Entries": entries})).await;
    assert_eq!(answer["FailedEntryCount"], 5);
    for (at, code, message) in [
        (
            0,
            "InvalidArgument",
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            1,
            "InvalidArgument",
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
        (
            2,
            "InvalidArgument",
            "Parameter Detail is not valid. Reason: Detail is a required argument.",
        ),
        (3, "MalformedDetail", "Detail is malformed."),
        (
            4,
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ),
    ] {
        let expected = json!({"ErrorCode": code, "ErrorMessage": message});
        assert_eq!(answer["Entries"][at], expected);
    }
    assert!(answer["Entries"][5]["EventId"].is_string());
    assert_eq!(events.kept.take().len(), 1);
}

#[tokio::test]
async fn a_call_has_ten_entries_and_a_megabyte() {
    let events = Events::new().await;
    let entry = |detail: &str| json!({"Source": "s", "DetailType": "t", "Detail": detail});
    let eleven: Vec<Value> = (0..11).map(|_| entry("{}")).collect();
    let one = "PutEventsRequestEntry(time=null, source=s, resources=null, detailType=t, detail={}, \
               eventBusName=null, traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null)";
    let all = [one; 11].join(", ");
    let message = format!(
        "1 validation error detected: Value '[{all}]' at 'entries' failed to satisfy constraint: \
         Member must have length less than or equal to 10"
    );
    let over = ("ValidationException", message.as_str());
    events
        .refused("PutEvents", json!({"Entries": eleven}), over)
        .await;
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes));
    let fits = json!({"Entries": [entry(&long((1 << 20) - 10))]});
    events.ok("PutEvents", fits).await;
    let over = json!({"Entries": [entry(&long((1 << 20) - 9))]});
    let message = "Total size of the entries in the request is over the limit.";
    events
        .refused("PutEvents", over, ("ValidationException", message))
        .await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_outbox_did_not_take() {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["s"]}), to_queue("q"))
        .await;
    *events.kept.is_full.lock().unwrap() = true;
    let entry = json!({"Source": "s", "DetailType": "t", "Detail": "{}"});
    let (status, _) = events.call("PutEvents", json!({"Entries": [entry]})).await;
    assert_eq!(status, 500);
}

#[tokio::test]
async fn a_log_group_gets_the_event_as_a_line() {
    let events = Events::new().await;
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/g:*";
    let target = json!({"Id": "l", "Arn": group, "InputPath": "$.detail"});
    events.rule("r", json!({"source": ["s"]}), target).await;
    events.put(json!({"n": 1})).await;
    let lines = events.kept.lines.lock().unwrap().clone();
    assert_eq!(&*lines[0].0.group, "/aws/events/g");
    assert_eq!(lines[0].1, "{\"n\":1}");
}

#[tokio::test]
async fn rules_outlive_a_crash() {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["s"]}), to_queue("q"))
        .await;
    let events = Events::after(events.crash(), events.kept.clone()).await;
    events.put(json!({})).await;
    assert_eq!(events.kept.take().len(), 1);
}
