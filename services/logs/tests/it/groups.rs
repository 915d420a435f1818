use serde_json::json;

use crate::harness::{Logs, NO_GROUP, NO_STREAM, names};

#[tokio::test]
async fn a_group_is_described_as_it_was_created() {
    let logs = Logs::new().await;
    let input = json!({"logGroupName": "/aws/lambda/f", "tags": {"team": "a"}});
    logs.ok("CreateLogGroup", input).await;
    let answer = logs.ok("DescribeLogGroups", json!({})).await;
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f";
    let expected = json!({"logGroups": [{
        "logGroupName": "/aws/lambda/f",
        "creationTime": logs.now_ms(),
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
        "deletionProtectionEnabled": false,
    }]});
    assert_eq!(answer, expected);
    let tags = logs
        .ok("ListTagsForResource", json!({"resourceArn": arn}))
        .await;
    assert_eq!(tags, json!({"tags": {"team": "a"}}));
}

#[tokio::test]
async fn a_group_exists_once_and_is_gone_after_its_deletion() {
    let logs = Logs::new().await;
    let g = json!({"logGroupName": "g"});
    logs.group("g").await;
    let exists = (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    );
    logs.refused("CreateLogGroup", g.clone(), exists).await;
    logs.stream("g", "s").await;
    logs.put("g", "s", &[0]).await;
    assert_eq!(logs.segments().len(), 1);
    logs.ok("DeleteLogGroup", g.clone()).await;
    assert!(logs.segments().is_empty());
    for operation in [
        "DeleteLogGroup",
        "DeleteRetentionPolicy",
        "ListTagsLogGroup",
        "DescribeLogStreams",
        "FilterLogEvents",
    ] {
        logs.refused(operation, g.clone(), NO_GROUP).await;
    }
    logs.group("g").await;
    let streams = logs.ok("DescribeLogStreams", g.clone()).await;
    assert_eq!(streams, json!({"logStreams": []}));
    let events = logs.ok("FilterLogEvents", g).await;
    assert_eq!(events, json!({"events": [], "searchedLogStreams": []}));
}

#[tokio::test]
async fn names_that_break_the_model_are_refused_in_its_words() {
    let logs = Logs::new().await;
    let broken = |value: &str, member: &str, wanted: &str| {
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy \
             constraint: {wanted}"
        )
    };
    let pattern = "Member must satisfy regular expression pattern: ";
    let text = broken(
        "a b",
        "logGroupName",
        &format!("{pattern}[\\.\\-_/#A-Za-z0-9]+"),
    );
    let input = json!({"logGroupName": "a b"});
    logs.refused(
        "CreateLogGroup",
        input,
        ("InvalidParameterException", &text),
    )
    .await;
    let text = broken(
        "",
        "logGroupName",
        "Member must have length greater than or equal to 1",
    );
    let input = json!({"logGroupName": ""});
    logs.refused(
        "CreateLogGroup",
        input,
        ("InvalidParameterException", &text),
    )
    .await;
    let text = broken("a:b", "logStreamName", &format!("{pattern}[^:*]*"));
    let input = json!({"logGroupName": "g", "logStreamName": "a:b"});
    logs.refused(
        "CreateLogStream",
        input,
        ("InvalidParameterException", &text),
    )
    .await;
    let text = "1 validation error detected: Value null at 'logGroupName' failed to satisfy \
                constraint: Member must not be null";
    logs.refused(
        "CreateLogGroup",
        json!({}),
        ("InvalidParameterException", text),
    )
    .await;
    let text = broken(
        "51",
        "limit",
        "Member must have value less than or equal to 50",
    );
    let input = json!({"limit": 51});
    logs.refused(
        "DescribeLogGroups",
        input,
        ("InvalidParameterException", &text),
    )
    .await;
}

#[tokio::test]
async fn groups_are_listed_by_name_in_pages() {
    let logs = Logs::new().await;
    for name in [
        "/aws/lambda/b",
        "/aws/lambda-x",
        "/aws/lambda/a",
        "other",
        "/aws/lambda/c",
    ] {
        logs.group(name).await;
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let mut input = json!({"logGroupNamePrefix": "/aws/lambda", "limit": 2});
        if let Some(token) = &token {
            input["nextToken"] = json!(token);
        }
        let page = logs.ok("DescribeLogGroups", input).await;
        seen.extend(names(&page, "logGroups", "logGroupName"));
        match page["nextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    let expected = [
        "/aws/lambda-x",
        "/aws/lambda/a",
        "/aws/lambda/b",
        "/aws/lambda/c",
    ];
    assert_eq!(seen, expected);
    let page = logs
        .ok("DescribeLogGroups", json!({"logGroupNamePattern": "the"}))
        .await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), ["other"]);
    let both = json!({"logGroupNamePrefix": "a", "logGroupNamePattern": "b"});
    let text = "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.";
    logs.refused(
        "DescribeLogGroups",
        both,
        ("InvalidParameterException", text),
    )
    .await;
    let page = logs
        .ok("ListLogGroups", json!({"logGroupNamePattern": "^oth|da/a"}))
        .await;
    assert_eq!(
        names(&page, "logGroups", "logGroupName"),
        ["/aws/lambda/a", "other"]
    );
}

#[tokio::test]
async fn a_retention_is_one_of_the_valid_ones() {
    let logs = Logs::new().await;
    logs.group("g").await;
    let days = |days: i64| json!({"logGroupName": "g", "retentionInDays": days});
    logs.ok("PutRetentionPolicy", days(7)).await;
    let groups = logs.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 7);
    let text = "Invalid retention value. Valid values are: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, \
                180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]";
    logs.refused(
        "PutRetentionPolicy",
        days(8),
        ("InvalidParameterException", text),
    )
    .await;
    logs.ok("DeleteRetentionPolicy", json!({"logGroupName": "g"}))
        .await;
    let groups = logs.ok("DescribeLogGroups", json!({})).await;
    assert!(groups["logGroups"][0].get("retentionInDays").is_none());
    let input = json!({"logGroupName": "none", "retentionInDays": 1});
    logs.refused("PutRetentionPolicy", input, NO_GROUP).await;
}

#[tokio::test]
async fn tags_are_added_and_removed_by_arn_and_by_name() {
    let logs = Logs::new().await;
    logs.group("g").await;
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g:*";
    logs.ok(
        "TagResource",
        json!({"resourceArn": arn, "tags": {"a": "1", "b": "2"}}),
    )
    .await;
    logs.ok(
        "TagLogGroup",
        json!({"logGroupName": "g", "tags": {"c": "3"}}),
    )
    .await;
    logs.ok(
        "UntagResource",
        json!({"resourceArn": arn, "tagKeys": ["a", "z"]}),
    )
    .await;
    logs.ok("UntagLogGroup", json!({"logGroupName": "g", "tags": ["b"]}))
        .await;
    let tags = logs
        .ok("ListTagsLogGroup", json!({"logGroupName": "g"}))
        .await;
    assert_eq!(tags, json!({"tags": {"c": "3"}}));
    let many: serde_json::Map<_, _> = (0..50).map(|i| (format!("k{i}"), json!("v"))).collect();
    let text = "A resource can have no more than 50 tags.";
    let input = json!({"resourceArn": arn, "tags": many});
    logs.refused("TagResource", input, ("TooManyTagsException", text))
        .await;
}

#[tokio::test]
async fn a_protected_group_is_not_deleted() {
    let logs = Logs::new().await;
    logs.group("g").await;
    let protect = |on: bool| json!({"logGroupIdentifier": "g", "deletionProtectionEnabled": on});
    logs.ok("PutLogGroupDeletionProtection", protect(true))
        .await;
    let (status, answer) = logs
        .call("DeleteLogGroup", json!({"logGroupName": "g"}))
        .await;
    assert_eq!(
        (status, answer["__type"].as_str()),
        (400, Some("ValidationException"))
    );
    logs.ok("PutLogGroupDeletionProtection", protect(false))
        .await;
    logs.ok("DeleteLogGroup", json!({"logGroupName": "g"}))
        .await;
}

#[tokio::test]
async fn an_identifier_of_a_wrong_form_is_not_shown() {
    let logs = Logs::new().await;
    let input = json!({"logGroupIdentifier": "g:*", "logStreamName": "s"});
    let text = r"1 validation error detected: Value at 'logGroupIdentifier' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w#+=/:,.@-]*";
    logs.refused("GetLogEvents", input, ("InvalidParameterException", text))
        .await;
}

#[tokio::test]
async fn streams_are_created_described_and_deleted() {
    let logs = Logs::new().await;
    let s = |name: &str| json!({"logGroupName": "g", "logStreamName": name});
    logs.refused("CreateLogStream", s("a"), NO_GROUP).await;
    logs.group("g").await;
    for name in [
        "2026/11/20/[$LATEST]b",
        "2026/11/20/[$LATEST]a",
        "2026/11/19/[7]c",
    ] {
        logs.stream("g", name).await;
    }
    let exists = (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    );
    logs.refused("CreateLogStream", s("2026/11/19/[7]c"), exists)
        .await;
    logs.put("g", "2026/11/20/[$LATEST]b", &[-5_000, -1_000])
        .await;
    logs.put("g", "2026/11/19/[7]c", &[-9_000]).await;
    let of = |input| logs.ok("DescribeLogStreams", input);
    let all = of(json!({"logGroupName": "g"})).await;
    let by_name = [
        "2026/11/19/[7]c",
        "2026/11/20/[$LATEST]a",
        "2026/11/20/[$LATEST]b",
    ];
    assert_eq!(names(&all, "logStreams", "logStreamName"), by_name);
    let b = &all["logStreams"][2];
    assert_eq!(b["firstEventTimestamp"], logs.now_ms() - 5_000);
    assert_eq!(b["lastEventTimestamp"], logs.now_ms() - 1_000);
    assert_eq!(b["lastIngestionTime"], logs.now_ms());
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:2026/11/20/[$LATEST]b";
    assert_eq!(b["arn"], arn);
    assert!(all["logStreams"][1].get("lastEventTimestamp").is_none());
    let latest = of(json!({
        "logGroupName": "g", "orderBy": "LastEventTime", "descending": true, "limit": 2
    }));
    let latest = latest.await;
    let by_time = ["2026/11/20/[$LATEST]b", "2026/11/19/[7]c"];
    assert_eq!(names(&latest, "logStreams", "logStreamName"), by_time);
    let rest = of(json!({
        "logGroupName": "g", "orderBy": "LastEventTime", "descending": true,
        "nextToken": latest["nextToken"],
    }));
    let rest = rest.await;
    assert_eq!(
        names(&rest, "logStreams", "logStreamName"),
        ["2026/11/20/[$LATEST]a"]
    );
    let some = of(json!({"logGroupName": "g", "logStreamNamePrefix": "2026/11/20"})).await;
    assert_eq!(names(&some, "logStreams", "logStreamName").len(), 2);
    let both = json!({
        "logGroupName": "g", "logStreamNamePrefix": "2026", "orderBy": "LastEventTime"
    });
    let text = "Cannot order by LastEventTime with a logStreamNamePrefix.";
    logs.refused(
        "DescribeLogStreams",
        both,
        ("InvalidParameterException", text),
    )
    .await;
    logs.ok("DeleteLogStream", s("2026/11/19/[7]c")).await;
    logs.refused("DeleteLogStream", s("2026/11/19/[7]c"), NO_STREAM)
        .await;
}

#[tokio::test]
async fn operations_that_are_not_built_say_so() {
    let logs = Logs::new().await;
    let (status, answer) = logs.call("StartQuery", json!({})).await;
    assert_eq!(status, 501);
    assert!(
        answer.to_string().contains("NotImplementedException"),
        "{answer}"
    );
}
