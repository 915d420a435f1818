use serde_json::{Value, json};

use crate::harness::{Events, queue, to_queue};

const RULE: &str = "arn:aws:events:us-east-1:000000000000:rule/r";

#[tokio::test]
async fn a_rule_shows_what_it_was_made_with() {
    let events = Events::new().await;
    let pattern = json!({"source": ["s"]}).to_string();
    let rule = json!({"Name": "r", "EventPattern": pattern, "Description": "d"});
    let made = events.ok("PutRule", rule).await;
    assert_eq!(made, json!({"RuleArn": RULE}));
    let shape = json!({
        "Name": "r", "Arn": RULE, "EventPattern": pattern, "State": "ENABLED",
        "Description": "d", "EventBusName": "default",
    });
    let listed = events.ok("ListRules", json!({})).await;
    assert_eq!(listed, json!({"Rules": [shape]}));
    let mut described = shape;
    described["CreatedBy"] = json!("000000000000");
    let name = json!({"Name": "r"});
    assert_eq!(events.ok("DescribeRule", name.clone()).await, described);
    events.ok("DisableRule", name.clone()).await;
    assert_eq!(
        events.ok("DescribeRule", name.clone()).await["State"],
        "DISABLED"
    );
    events.ok("DeleteRule", name.clone()).await;
    events.ok("DeleteRule", name.clone()).await;
    let gone = (
        "ResourceNotFoundException",
        "Rule r does not exist on EventBus default.",
    );
    events.refused("DescribeRule", name, gone).await;
}

#[tokio::test]
async fn a_rule_needs_a_pattern_or_a_schedule_that_are_valid() {
    let events = Events::new().await;
    let schedule = "Parameter ScheduleExpression is not valid.";
    for (input, code, message) in [
        (
            json!({"Name": "r"}),
            "ValidationException",
            "Parameter(s) EventPattern or ScheduleExpression must be specified.",
        ),
        (
            json!({"Name": "r", "ScheduleExpression": "rate(1 minutes)"}),
            "ValidationException",
            schedule,
        ),
        (
            json!({"Name": "r", "ScheduleExpression": "cron(0 1 * * * *)"}),
            "ValidationException",
            schedule,
        ),
        (
            json!({"Name": "r", "EventPattern": "{\"int\": 42}"}),
            "InvalidEventPatternException",
            "Event pattern is not valid. Reason: \"int\" must be an object or an array\n at \
             [Source: (String)\"{\"int\": 42}\"; line: 1, column: 11]",
        ),
        (
            json!({"Name": "r", "EventPattern": "{\"a\":[1]}", "EventBusName": "b"}),
            "ResourceNotFoundException",
            "Event bus b does not exist.",
        ),
        (
            json!({"Name": "!", "EventPattern": "{\"a\":[1]}"}),
            "ValidationException",
            "1 validation error detected: Value '!' at 'name' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+",
        ),
    ] {
        events.refused("PutRule", input, (code, message)).await;
    }
    events.ok("CreateEventBus", json!({"Name": "b"})).await;
    let elsewhere =
        json!({"Name": "r", "EventBusName": "b", "ScheduleExpression": "rate(1 minute)"});
    let only = "ScheduleExpression is supported only on the default event bus.";
    events
        .refused("PutRule", elsewhere, ("ValidationException", only))
        .await;
}

#[tokio::test]
async fn targets_come_and_go_and_outlive_an_update_of_the_rule() {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["s"]}), to_queue("q"))
        .await;
    let rule = json!({"Rule": "r"});
    let listed = events.ok("ListTargetsByRule", rule.clone()).await;
    assert_eq!(listed, json!({"Targets": [to_queue("q")]}));
    let again = json!({"Name": "r", "EventPattern": json!({"source": ["t"]}).to_string()});
    events.ok("PutRule", again).await;
    assert_eq!(events.ok("ListTargetsByRule", rule.clone()).await, listed);
    let names = json!({"TargetArn": queue("q")});
    let names = events.ok("ListRuleNamesByTarget", names).await;
    assert_eq!(names, json!({"RuleNames": ["r"]}));
    let kept = (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    );
    events
        .refused("DeleteRule", json!({"Name": "r"}), kept)
        .await;
    let removed = events
        .ok("RemoveTargets", json!({"Rule": "r", "Ids": ["q"]}))
        .await;
    assert_eq!(removed, json!({"FailedEntryCount": 0, "FailedEntries": []}));
    let listed = events.ok("ListTargetsByRule", rule).await;
    assert_eq!(listed, json!({"Targets": []}));
}

#[tokio::test]
async fn a_target_that_contradicts_itself_is_refused() {
    let events = Events::new().await;
    let rule = json!({"Name": "r", "EventPattern": json!({"source": ["s"]}).to_string()});
    events.ok("PutRule", rule).await;
    let with = |more: Value| {
        let mut target = to_queue("q");
        let members = more.as_object().unwrap().clone();
        target.as_object_mut().unwrap().extend(members);
        json!({"Rule": "r", "Targets": [target]})
    };
    for (more, message) in [
        (
            json!({"Input": "1", "InputPath": "$.detail"}),
            "Only one of Input, InputPath, or InputTransformer must be provided for target q.",
        ),
        (
            json!({"InputTransformer": {"InputTemplate": "\"<nope>\""}}),
            "InputTemplate for target q contains invalid placeholder nope.",
        ),
        (
            json!({"Input": "{"}),
            "JSON syntax error in input for target q.",
        ),
        (
            json!({"Arn": queue("q.fifo")}),
            "Parameter(s) MessageGroupId must be specified for target: q.",
        ),
        (
            json!({"Id": "!@#$@!#$"}),
            "1 validation error detected: Value '!@#$@!#$' at 'targets.1.member.id' failed to \
             satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+",
        ),
    ] {
        let expected = ("ValidationException", message);
        events.refused("PutTargets", with(more), expected).await;
    }
    let six: Vec<Value> = (0..6).map(|n| to_queue(&n.to_string())).collect();
    let over = "The requested resource exceeds the maximum number allowed.";
    let six = json!({"Rule": "r", "Targets": six});
    events
        .refused("PutTargets", six, ("LimitExceededException", over))
        .await;
    let kinesis = json!({"Id": "k", "Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"});
    let kinesis = json!({"Rule": "r", "Targets": [kinesis]});
    let (status, answer) = events.call("PutTargets", kinesis).await;
    assert_eq!(status, 501, "{answer}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let events = Events::new().await;
    for n in 0..5 {
        let pattern = json!({"source": ["s"]}).to_string();
        let rule = json!({"Name": format!("r{n}"), "EventPattern": pattern});
        events.ok("PutRule", rule).await;
    }
    let first = events.ok("ListRules", json!({"Limit": 3})).await;
    assert_eq!(first["Rules"].as_array().unwrap().len(), 3);
    let next = json!({"Limit": 3, "NextToken": first["NextToken"]});
    let second = events.ok("ListRules", next).await;
    assert_eq!(second["Rules"][1]["Name"], "r4");
    assert_eq!(second.get("NextToken"), None);
}

#[tokio::test]
async fn a_pattern_is_tried_on_an_event() {
    let events = Events::new().await;
    let event = json!({
        "id": "1", "source": "order", "detail-type": "Test", "account": "0", "region": "r",
        "time": "2022-07-13T13:48:01Z",
    });
    for (source, expected) in [("order", true), ("shipment", false)] {
        let pattern = json!({"source": [source]}).to_string();
        let input = json!({"Event": event.to_string(), "EventPattern": pattern});
        let answer = events.ok("TestEventPattern", input).await;
        assert_eq!(answer, json!({"Result": expected}));
    }
    for event in ["plain string", "[\"list\"]", "{\"testEvent\": \"value\"}"] {
        let input = json!({"Event": event, "EventPattern": "{\"a\": [1]}"});
        let refused = ("ValidationException", "Parameter Event is not valid.");
        events.refused("TestEventPattern", input, refused).await;
    }
}

#[tokio::test]
async fn tags_belong_to_rules_and_buses() {
    let events = Events::new().await;
    let pattern = json!({"source": ["s"]}).to_string();
    let tags = json!([{"Key": "a", "Value": "1"}]);
    let rule = json!({"Name": "r", "EventPattern": pattern, "Tags": tags});
    events.ok("PutRule", rule).await;
    for (arn, before) in [
        (RULE, 1),
        ("arn:aws:events:us-east-1:000000000000:event-bus/default", 0),
    ] {
        let list = json!({"ResourceARN": arn});
        let listed = events.ok("ListTagsForResource", list.clone()).await;
        assert_eq!(listed["Tags"].as_array().unwrap().len(), before);
        let more = json!({"ResourceARN": arn, "Tags": [{"Key": "b", "Value": "2"}]});
        events.ok("TagResource", more).await;
        let less = json!({"ResourceARN": arn, "TagKeys": ["a", "none"]});
        events.ok("UntagResource", less).await;
        let listed = events.ok("ListTagsForResource", list).await;
        assert_eq!(listed, json!({"Tags": [{"Key": "b", "Value": "2"}]}));
    }
    let gone = json!({"ResourceARN": RULE.replace("rule/r", "rule/x")});
    let message = "Rule x does not exist on EventBus default.";
    events
        .refused(
            "ListTagsForResource",
            gone,
            ("ResourceNotFoundException", message),
        )
        .await;
}
