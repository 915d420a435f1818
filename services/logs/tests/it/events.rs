use serde_json::{Value, json};

use crate::harness::{Logs, NO_GROUP, NO_STREAM, messages, names};

async fn with_stream() -> Logs {
    let logs = Logs::new().await;
    logs.group("g").await;
    logs.stream("g", "s").await;
    logs
}

fn of_stream(more: Value) -> Value {
    let mut input = json!({"logGroupName": "g", "logStreamName": "s"});
    let more = more.as_object().unwrap().clone();
    input.as_object_mut().unwrap().extend(more);
    input
}

#[tokio::test]
async fn events_are_read_back_with_their_times() {
    let logs = with_stream().await;
    let answer = logs.put("g", "s", &[-20, -10, 0]).await;
    assert!(answer["nextSequenceToken"].is_string());
    assert!(answer.get("rejectedLogEventsInfo").is_none());
    let got = logs.ok("GetLogEvents", of_stream(json!({}))).await;
    assert_eq!(messages(&got), ["-20", "-10", "0"]);
    let now = logs.now_ms();
    let first = json!({"timestamp": now - 20, "message": "-20", "ingestionTime": now});
    assert_eq!(got["events"][0], first);
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let logs = with_stream().await;
    let events = json!([{"timestamp": logs.now_ms(), "message": "m"}]);
    let put = |group: &str, stream: &str| json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
    logs.refused("PutLogEvents", put("none", "s"), NO_GROUP)
        .await;
    logs.refused("PutLogEvents", put("g", "none"), NO_STREAM)
        .await;
    let get = |group: &str, stream: &str| json!({"logGroupName": group, "logStreamName": stream});
    logs.refused("GetLogEvents", get("none", "s"), NO_GROUP)
        .await;
    logs.refused("GetLogEvents", get("g", "none"), NO_STREAM)
        .await;
    let filter = json!({"logGroupName": "g", "logStreamNames": ["s", "none"]});
    logs.refused("FilterLogEvents", filter, NO_STREAM).await;
    let wrong = of_stream(json!({"nextToken": "f/12/s"}));
    let text = "The specified nextToken is invalid.";
    logs.refused("GetLogEvents", wrong, ("InvalidParameterException", text))
        .await;
}

#[tokio::test]
async fn tokens_walk_forward_and_rest_at_the_end() {
    let logs = with_stream().await;
    logs.put("g", "s", &[-50, -40, -30, -20, -10]).await;
    let get = |more: Value| logs.ok("GetLogEvents", of_stream(more));
    let first = get(json!({"startFromHead": true, "limit": 2})).await;
    assert_eq!(messages(&first), ["-50", "-40"]);
    let second = get(json!({"nextToken": first["nextForwardToken"], "limit": 2})).await;
    assert_eq!(messages(&second), ["-30", "-20"]);
    let third = get(json!({"nextToken": second["nextForwardToken"], "limit": 2})).await;
    assert_eq!(messages(&third), ["-10"]);
    let end = get(json!({"nextToken": third["nextForwardToken"], "limit": 2})).await;
    assert!(messages(&end).is_empty());
    assert_eq!(end["nextForwardToken"], third["nextForwardToken"]);
    let back = get(json!({"nextToken": third["nextBackwardToken"], "limit": 3})).await;
    assert_eq!(messages(&back), ["-40", "-30", "-20"]);
    let start = get(json!({"nextToken": first["nextBackwardToken"]})).await;
    assert!(messages(&start).is_empty());
    assert_eq!(start["nextBackwardToken"], first["nextBackwardToken"]);
    logs.put("g", "s", &[0]).await;
    let news = get(json!({"nextToken": end["nextForwardToken"]})).await;
    assert_eq!(messages(&news), ["0"]);
}

#[tokio::test]
async fn without_a_token_the_latest_events_come() {
    let logs = with_stream().await;
    let empty = logs.ok("GetLogEvents", of_stream(json!({}))).await;
    logs.put("g", "s", &[-50, -40, -30]).await;
    let latest = logs
        .ok("GetLogEvents", of_stream(json!({"limit": 2})))
        .await;
    assert_eq!(messages(&latest), ["-40", "-30"]);
    let older = of_stream(json!({"nextToken": latest["nextBackwardToken"]}));
    assert_eq!(messages(&logs.ok("GetLogEvents", older).await), ["-50"]);
    let since = of_stream(json!({"nextToken": empty["nextForwardToken"]}));
    assert_eq!(messages(&logs.ok("GetLogEvents", since).await).len(), 3);
}

#[tokio::test]
async fn the_end_time_counts_in_a_filter_and_not_in_a_get() {
    let logs = with_stream().await;
    logs.put("g", "s", &[-30, -20, -10]).await;
    let now = logs.now_ms();
    let range = json!({"startTime": now - 20, "endTime": now - 10});
    let got = logs.ok("GetLogEvents", of_stream(range)).await;
    assert_eq!(messages(&got), ["-20"]);
    let range = json!({"logGroupName": "g", "startTime": now - 20, "endTime": now - 10});
    let got = logs.ok("FilterLogEvents", range).await;
    assert_eq!(messages(&got), ["-20", "-10"]);
}

#[tokio::test]
async fn a_filter_interleaves_streams_by_time_in_pages() {
    let logs = with_stream().await;
    logs.stream("g", "t").await;
    logs.stream("g", "u/1").await;
    logs.put("g", "s", &[-50, -20]).await;
    logs.put("g", "t", &[-40, -10]).await;
    logs.put("g", "u/1", &[-30, -20]).await;
    let mut seen = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let mut token = None;
    loop {
        let mut input = json!({"logGroupName": "g", "limit": 4, "interleaved": true});
        if let Some(token) = &token {
            input["nextToken"] = json!(token);
        }
        let page = logs.ok("FilterLogEvents", input).await;
        seen.extend(messages(&page));
        ids.extend(names(&page, "events", "eventId"));
        match page["nextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ["-50", "-40", "-30", "-20", "-20", "-10"]);
    assert_eq!(ids.len(), 6);
    assert!(ids.iter().all(|id| id.len() == 56));
    let some = |input| logs.ok("FilterLogEvents", input);
    let named = some(json!({"logGroupName": "g", "logStreamNames": ["t", "s"]})).await;
    assert_eq!(
        names(&named, "events", "logStreamName"),
        ["s", "t", "s", "t"]
    );
    let prefix = some(json!({"logGroupName": "g", "logStreamNamePrefix": "u/"})).await;
    assert_eq!(messages(&prefix), ["-30", "-20"]);
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    let by_arn = some(json!({"logGroupIdentifier": arn, "filterPattern": "-10"})).await;
    assert_eq!(messages(&by_arn).len(), 5, "a minus excludes");
    let word = some(json!({"logGroupName": "g", "filterPattern": "\"-10\""})).await;
    assert_eq!(messages(&word), ["-10"]);
    let both = json!({"logGroupName": "g", "logStreamNames": ["s"], "logStreamNamePrefix": "s"});
    let (status, answer) = logs.call("FilterLogEvents", both).await;
    assert_eq!(
        (status, answer["__type"].as_str()),
        (400, Some("InvalidParameterException"))
    );
}

#[tokio::test]
async fn json_messages_are_filtered_by_their_members() {
    let logs = with_stream().await;
    let now = logs.now_ms();
    let event = |message: &str| json!({"timestamp": now, "message": message});
    let events = json!([
        event("{\"level\": \"ERROR\", \"ms\": 12}"),
        event("{\"level\": \"INFO\", \"ms\": 900}"),
        event("level ERROR"),
    ]);
    logs.ok("PutLogEvents", of_stream(json!({"logEvents": events})))
        .await;
    for (pattern, count) in [
        ("{ $.level = \"ERROR\" }", 1),
        ("{ $.ms > 10 }", 2),
        ("ERROR", 2),
        ("", 3),
    ] {
        let input = json!({"logGroupName": "g", "filterPattern": pattern});
        let found = logs.ok("FilterLogEvents", input).await;
        assert_eq!(messages(&found).len(), count, "{pattern}");
    }
    let input = json!({"logGroupName": "g", "filterPattern": "{ $.level"});
    let refusal = ("InvalidParameterException", "Invalid filter pattern");
    logs.refused("FilterLogEvents", input, refusal).await;
}

#[tokio::test]
async fn the_events_of_a_deleted_stream_are_not_seen_again() {
    let logs = with_stream().await;
    logs.stream("g", "t").await;
    logs.put("g", "s", &[-20]).await;
    logs.put("g", "t", &[-10]).await;
    logs.ok("DeleteLogStream", of_stream(json!({}))).await;
    let all = json!({"logGroupName": "g"});
    assert_eq!(
        messages(&logs.ok("FilterLogEvents", all.clone()).await),
        ["-10"]
    );
    logs.stream("g", "s").await;
    assert!(messages(&logs.ok("GetLogEvents", of_stream(json!({}))).await).is_empty());
    logs.put("g", "s", &[0]).await;
    assert_eq!(
        messages(&logs.ok("FilterLogEvents", all).await),
        ["-10", "0"]
    );
}

#[tokio::test]
async fn rejected_events_are_told_and_the_others_kept() {
    let logs = with_stream().await;
    let hour = 3_600_000;
    let answer = logs.put("g", "s", &[-20 * hour, 0, 3 * hour]).await;
    let rejected = json!({"tooNewLogEventStartIndex": 2});
    assert_eq!(answer["rejectedLogEventsInfo"], rejected);
    let answer = logs.put("g", "s", &[-24 * 15 * hour]).await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1})
    );
    let got = logs.ok("GetLogEvents", of_stream(json!({}))).await;
    assert_eq!(messages(&got).len(), 2);
}
