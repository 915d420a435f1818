use model::ports::{EventHead, Parcel, Sender, Target, Undelivered};
use serde_json::{Value, json};

use crate::harness::{Events, to_queue};

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/b";

#[tokio::test]
async fn buses_are_made_shown_and_deleted() {
    let events = Events::new().await;
    let made = events
        .ok("CreateEventBus", json!({"Name": "b", "Description": "d"}))
        .await;
    assert_eq!(made, json!({"EventBusArn": BUS, "Description": "d"}));
    let shown = events.ok("DescribeEventBus", json!({"Name": BUS})).await;
    assert_eq!(shown["Name"], "b");
    assert_eq!(shown["CreationTime"], 1_700_000_000);
    let listed = events.ok("ListEventBuses", json!({})).await;
    assert_eq!(listed["EventBuses"][0]["Name"], "b");
    assert_eq!(listed["EventBuses"][1]["Name"], "default");
    for (operation, name, code, message) in [
        (
            "CreateEventBus",
            "b",
            "ResourceAlreadyExistsException",
            "Event bus b already exists.",
        ),
        (
            "DeleteEventBus",
            "default",
            "ValidationException",
            "Cannot delete event bus default.",
        ),
        (
            "DescribeEventBus",
            "x",
            "ResourceNotFoundException",
            "Event bus x does not exist.",
        ),
    ] {
        let input = json!({"Name": name});
        events.refused(operation, input, (code, message)).await;
    }
    events.ok("DeleteEventBus", json!({"Name": "b"})).await;
    let listed = events
        .ok("ListEventBuses", json!({"NamePrefix": "b"}))
        .await;
    assert_eq!(listed, json!({"EventBuses": []}));
}

#[tokio::test]
async fn permissions_are_statements_of_the_policy() {
    let events = Events::new().await;
    events.ok("CreateEventBus", json!({"Name": "b"})).await;
    for (id, principal) in [("one", "111111111111"), ("two", "*")] {
        let input = json!({
            "EventBusName": "b", "Action": "events:PutEvents", "Principal": principal,
            "StatementId": id,
        });
        events.ok("PutPermission", input).await;
    }
    let shown = events.ok("DescribeEventBus", json!({"Name": "b"})).await;
    let policy: Value = serde_json::from_str(shown["Policy"].as_str().unwrap()).unwrap();
    let statement = |id: &str, principal: Value| {
        json!({
            "Sid": id, "Effect": "Allow", "Principal": principal, "Action": "events:PutEvents",
            "Resource": BUS,
        })
    };
    let account = json!({"AWS": "arn:aws:iam::111111111111:root"});
    let all = [statement("one", account), statement("two", json!("*"))];
    assert_eq!(policy, json!({"Version": "2012-10-17", "Statement": all}));
    let remove = json!({"EventBusName": "b", "StatementId": "one"});
    events.ok("RemovePermission", remove.clone()).await;
    let gone = "Statement with the provided id does not exist.";
    events
        .refused(
            "RemovePermission",
            remove,
            ("ResourceNotFoundException", gone),
        )
        .await;
    let all = json!({"EventBusName": "b", "RemoveAllPermissions": true});
    events.ok("RemovePermission", all).await;
    let shown = events.ok("DescribeEventBus", json!({"Name": "b"})).await;
    assert_eq!(shown.get("Policy"), None);
}

fn parcel(to: &str, from: &str, event: Option<EventHead>, body: &Value) -> Parcel {
    Parcel {
        id: "00000000-0000-4000-8000-000000000009".to_owned(),
        to: to.parse().unwrap(),
        sender: Sender {
            service: "lambda.amazonaws.com",
            source: from.parse().unwrap(),
            role: None,
        },
        body: body.to_string().into(),
        attributes: Vec::new(),
        subject: None,
        group: None,
        dedup: None,
        trace: Some("Root=1-0-0;Lineage=x".to_owned()),
        event,
    }
}

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST";

#[tokio::test]
async fn a_destination_of_a_function_becomes_an_event() {
    let events = Events::new().await;
    events
        .rule("r", json!({"source": ["lambda"]}), to_queue("q"))
        .await;
    let bus = BUS.replace("/b", "/default");
    let head = EventHead {
        source: "lambda".to_owned(),
        detail_type: "Lambda Function Invocation Result - Success".to_owned(),
        resources: vec![bus.clone(), FUNCTION.to_owned()],
    };
    let sent = parcel(&bus, FUNCTION, Some(head), &json!({"responsePayload": 7}));
    events.engine.deliver(&sent).await.unwrap();
    let postings = events.kept.take();
    let body: Value = serde_json::from_slice(&postings[0].parcel.body).unwrap();
    assert_eq!(body["source"], "lambda");
    assert_eq!(body["resources"], json!([bus, FUNCTION]));
    assert_eq!(body["detail"], json!({"responsePayload": 7}));
    assert_eq!(postings[0].parcel.trace, sent.trace);
    // The same parcel again gives the same event.
    events.engine.deliver(&sent).await.unwrap();
    assert!(events.kept.take().is_empty());
}

#[tokio::test]
async fn an_event_keeps_its_identity_from_bus_to_bus_and_no_circle_is_endless() {
    let events = Events::new().await;
    events.ok("CreateEventBus", json!({"Name": "b"})).await;
    let any = json!({"source": ["s"]});
    events
        .rule("out", any.clone(), json!({"Id": "b", "Arn": BUS}))
        .await;
    let rule = json!({"Name": "in", "EventBusName": "b", "EventPattern": any.to_string()});
    events.ok("PutRule", rule).await;
    let circle = json!({"Id": "b", "Arn": BUS});
    let targets = json!({"Rule": "in", "EventBusName": "b", "Targets": [to_queue("q"), circle]});
    events.ok("PutTargets", targets).await;
    let put = events.put(json!({"n": 1})).await;
    let mut first = events.kept.take();
    let mut parcel = first.remove(0).parcel;
    for hop in 1..=10 {
        events.engine.deliver(&parcel).await.unwrap();
        let mut sent = events.kept.take();
        let body: Value = serde_json::from_slice(&sent[0].parcel.body).unwrap();
        assert_eq!(body["id"], put["Entries"][0]["EventId"], "{hop}");
        // The same id means the same event: the queue has it once, the circle goes on.
        parcel = sent.pop().unwrap().parcel;
        parcel.id = format!("hop {hop}");
        events.kept.forget();
    }
    let end = events.engine.deliver(&parcel).await;
    assert!(matches!(end, Err(Undelivered::Refused { .. })), "{end:?}");
}

#[tokio::test]
async fn an_event_has_another_id_in_another_region() {
    let events = Events::new().await;
    let elsewhere = BUS
        .replace("us-east-1", "eu-west-1")
        .replace("/b", "/default");
    events
        .rule(
            "out",
            json!({"source": ["s"]}),
            json!({"Id": "b", "Arn": elsewhere}),
        )
        .await;
    let rule = json!({"ResourceARN": elsewhere});
    assert_eq!(
        events.ok("ListTagsForResource", rule).await["Tags"],
        json!([])
    );
    let put = events.put(json!({"n": 1})).await;
    let parcel = events.kept.take().remove(0).parcel;
    let pattern = json!({"source": ["s"]}).to_string();
    events
        .ok(
            "PutRule",
            json!({"Name": "in", "EventBusName": elsewhere, "EventPattern": pattern}),
        )
        .await;
    let targets = json!({"Rule": "in", "EventBusName": elsewhere, "Targets": [to_queue("q")]});
    events.ok("PutTargets", targets).await;
    events.engine.deliver(&parcel).await.unwrap();
    let (_, body) = events.kept.bodies().remove(0);
    assert_ne!(body["id"], put["Entries"][0]["EventId"]);
    assert_eq!(body["detail"], json!({"n": 1}));
    assert_eq!(body["region"], "us-east-1");
}

#[tokio::test]
async fn another_account_needs_the_policy_of_the_bus() {
    let events = Events::new().await;
    let bus = BUS.replace("/b", "/default");
    let head = EventHead {
        source: "s".to_owned(),
        detail_type: "t".to_owned(),
        resources: Vec::new(),
    };
    let stranger = FUNCTION.replace("000000000000", "111111111111");
    let sent = parcel(&bus, &stranger, Some(head), &json!({}));
    let refused = events.engine.deliver(&sent).await.unwrap_err();
    assert!(
        matches!(&refused, Undelivered::Refused { code, .. } if code == "AccessDeniedException"),
        "{refused:?}"
    );
    let open = json!({
        "Action": "events:PutEvents", "Principal": "111111111111", "StatementId": "s",
    });
    events.ok("PutPermission", open).await;
    events.engine.deliver(&sent).await.unwrap();
    let gone = parcel(BUS, FUNCTION, None, &json!({}));
    let refused = events.engine.deliver(&gone).await.unwrap_err();
    assert!(
        matches!(&refused, Undelivered::Refused { code, .. } if code == "ResourceNotFoundException"),
        "{refused:?}"
    );
}
