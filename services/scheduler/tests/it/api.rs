use serde_json::{Value, json};

use crate::harness::{QUEUE, Scheduler, input};

const ARN: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s";
const GROUP: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g";

async fn refused(scheduler: &Scheduler, call: (&str, &str, Value), expected: (u16, &str)) {
    let (status, answer) = scheduler.call(call.0, call.1, call.2).await;
    assert_eq!(answer["Message"], expected.1, "{answer}");
    assert_eq!(status, expected.0, "{answer}");
}

#[tokio::test]
async fn a_schedule_shows_what_it_was_made_with_and_the_defaults() {
    let scheduler = Scheduler::new().await;
    let more = json!({"StartDate": 1_800_000_000, "Description": "d"});
    let made = input("rate(5 minutes)", more.clone());
    let made = scheduler.ok("POST", "/schedules/s", made).await;
    assert_eq!(made, json!({"ScheduleArn": ARN}));
    let shown = scheduler.get("/schedules/s").await;
    let expected = json!({
        "ActionAfterCompletion": "NONE", "Arn": ARN, "CreationDate": 1_700_000_000,
        "Description": "d", "FlexibleTimeWindow": {"Mode": "OFF"}, "GroupName": "default",
        "LastModificationDate": 1_700_000_000, "Name": "s",
        "ScheduleExpression": "rate(5 minutes)", "ScheduleExpressionTimezone": "UTC",
        "StartDate": 1_800_000_000, "State": "ENABLED",
        "Target": {
            "Arn": QUEUE, "RoleArn": "arn:aws:iam::000000000000:role/r",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185},
        },
    });
    assert_eq!(shown, expected);
    let changed = input("rate(6 minutes)", json!({"State": "DISABLED"}));
    scheduler.ok("PUT", "/schedules/s", changed).await;
    let shown = scheduler.get("/schedules/s?groupName=default").await;
    assert_eq!(shown["State"], "DISABLED");
    assert_eq!(shown.get("Description"), None);
    let listed = scheduler
        .get("/schedules?State=DISABLED&NamePrefix=s")
        .await;
    assert_eq!(listed["Schedules"][0]["Target"], json!({"Arn": QUEUE}));
    scheduler.ok("DELETE", "/schedules/s", Value::Null).await;
    let gone = (404, "Schedule s does not exist.");
    refused(&scheduler, ("GET", "/schedules/s", Value::Null), gone).await;
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let scheduler = Scheduler::new().await;
    let none = || json!({});
    for (input, status, message) in [
        (
            input("cron(0 1 * * * *)", none()),
            400,
            "Invalid Schedule Expression cron(0 1 * * * *).",
        ),
        (
            input("at(2021-12-31)", none()),
            400,
            "Invalid Schedule Expression at(2021-12-31).",
        ),
        (
            input("rate(1 day)", json!({"GroupName": "g"})),
            404,
            "Schedule group g does not exist.",
        ),
        (
            input("rate(1 day)", json!({"State": "ON"})),
            400,
            "1 validation error detected: Value 'ON' at 'state' failed to satisfy constraint: \
             Member must satisfy enum value set: [ENABLED, DISABLED]",
        ),
    ] {
        let call = ("POST", "/schedules/s", input);
        refused(&scheduler, call, (status, message)).await;
    }
    for arn in [
        "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
        "arn:aws:kinesis:us-east-1:000000000000:stream/s",
    ] {
        let target = json!({"Arn": arn, "RoleArn": "arn:aws:iam::000000000000:role/r"});
        let input = input("rate(1 day)", json!({"Target": target}));
        let (status, answer) = scheduler.call("POST", "/schedules/s", input).await;
        assert_eq!(status, 501, "{answer}");
    }
}

#[tokio::test]
async fn the_same_name_is_a_conflict_unless_it_is_the_same_request() {
    let scheduler = Scheduler::new().await;
    let with = |token: &str| input("rate(1 day)", json!({"ClientToken": token}));
    scheduler.ok("POST", "/schedules/s", with("a")).await;
    scheduler.ok("POST", "/schedules/s", with("a")).await;
    let exists = (409, "Schedule s already exists.");
    refused(&scheduler, ("POST", "/schedules/s", with("b")), exists).await;
}

#[tokio::test]
async fn a_group_goes_with_its_schedules() {
    let scheduler = Scheduler::new().await;
    let tags = json!({"Tags": [{"Key": "k", "Value": "v"}]});
    let made = scheduler.ok("POST", "/schedule-groups/g", tags).await;
    assert_eq!(made, json!({"ScheduleGroupArn": GROUP}));
    let inside = input("rate(1 day)", json!({"GroupName": "g"}));
    scheduler.ok("POST", "/schedules/s", inside).await;
    let listed = scheduler.get("/schedules?ScheduleGroup=g").await;
    assert_eq!(listed["Schedules"][0]["GroupName"], "g");
    let groups = scheduler.get("/schedule-groups").await;
    assert_eq!(groups["ScheduleGroups"][0]["Name"], "default");
    assert_eq!(groups["ScheduleGroups"][1]["State"], "ACTIVE");
    scheduler
        .ok("DELETE", "/schedule-groups/g", Value::Null)
        .await;
    let listed = scheduler.get("/schedules").await;
    assert_eq!(listed, json!({"Schedules": []}));
    let gone = (404, "Schedule group g does not exist.");
    refused(&scheduler, ("GET", "/schedule-groups/g", Value::Null), gone).await;
}

#[tokio::test]
async fn groups_have_tags() {
    let scheduler = Scheduler::new().await;
    scheduler.ok("POST", "/schedule-groups/g", json!({})).await;
    let path = format!("/tags/{}", GROUP.replace('/', "%2F"));
    let tags = json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]});
    scheduler.ok("POST", &path, tags).await;
    let untag = format!("{path}?TagKeys=a");
    scheduler.ok("DELETE", &untag, Value::Null).await;
    let listed = scheduler.get(&path).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "b", "Value": "2"}]}));
    let of_schedule = format!("/tags/{}", ARN.replace('/', "%2F"));
    let (status, _) = scheduler.call("GET", &of_schedule, Value::Null).await;
    assert_eq!(status, 400);
}
