//! Connections and API destinations.

use std::time::Duration;

use model::ports::{Parcel, Target, Unanswered, Undelivered};
use serde_json::{Value, json};

use crate::harness::{Events, answer};

const URL: &str = "https://example.com/*/orders";

fn basic() -> Value {
    json!({"BasicAuthParameters": {"Username": "user", "Password": "s3cret"}})
}

fn oauth() -> Value {
    json!({"OAuthParameters": {
        "AuthorizationEndpoint": "https://example.com/token", "HttpMethod": "POST",
        "ClientParameters": {"ClientID": "me", "ClientSecret": "s3cret"},
    }})
}

async fn connection(events: &Events, kind: &str, auth: Value) -> Value {
    let input = json!({"Name": "c", "AuthorizationType": kind, "AuthParameters": auth});
    events.ok("CreateConnection", input).await
}

/// A destination `d` of the connection, and a rule that sends everything to it.
async fn destination(events: &Events, connection: &Value, more: Value) -> Value {
    let mut input = json!({"Name": "d", "ConnectionArn": connection["ConnectionArn"],
        "InvocationEndpoint": URL, "HttpMethod": "POST"});
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = events.ok("CreateApiDestination", input).await;
    let target = json!({"Id": "t", "Arn": made["ApiDestinationArn"], "InputPath": "$.detail",
        "HttpParameters": {"PathParameterValues": ["$.detail.shop"], "HeaderParameters": {"X-T": "t"}}});
    events.rule("r", json!({"source": ["s"]}), target).await;
    made
}

/// Puts an event; what lies in the outbox then.
async fn parcel(events: &Events) -> Parcel {
    events.put(json!({"shop": "north", "n": 1})).await;
    events.kept.take().remove(0).parcel
}

/// One try, when the destination has its next turn.
async fn deliver(events: &Events, parcel: &Parcel) -> Result<(), Undelivered> {
    events.advance(Duration::from_secs(1)).await;
    events.engine.deliver(parcel).await
}

fn code(delivered: Result<(), Undelivered>) -> (bool, String) {
    match delivered {
        Ok(()) => panic!("it was delivered"),
        Err(Undelivered::Refused { message, .. }) => (true, message),
        Err(Undelivered::Later { message, .. } | Undelivered::Busy { message, .. }) => {
            (false, message)
        }
    }
}

#[tokio::test]
async fn a_connection_shows_no_secret() {
    let events = Events::new().await;
    let auth = json!({"BasicAuthParameters": {"Username": "user", "Password": "s3cret"},
        "InvocationHttpParameters": {"HeaderParameters": [
            {"Key": "a", "Value": "open", "IsValueSecret": false},
            {"Key": "b", "Value": "s3cret", "IsValueSecret": true}]}});
    let made = connection(&events, "BASIC", auth).await;
    assert_eq!(made["ConnectionState"], "AUTHORIZED");
    let arn = made["ConnectionArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:events:us-east-1:000000000000:connection/c/"));
    let shown = events.ok("DescribeConnection", json!({"Name": "c"})).await;
    let expected = json!({
        "BasicAuthParameters": {"Username": "user"},
        "InvocationHttpParameters": {"HeaderParameters": [
            {"Key": "a", "Value": "open", "IsValueSecret": false}, {"Key": "b", "IsValueSecret": true}]},
    });
    assert_eq!(shown["AuthParameters"], expected);
    assert_eq!(shown["AuthorizationType"], "BASIC");
    let listed = events
        .ok("ListConnections", json!({"NamePrefix": "c"}))
        .await;
    for answer in [shown, listed.clone()] {
        assert!(!answer.to_string().contains("s3cret"), "{answer}");
    }
    assert_eq!(listed["Connections"][0].get("AuthParameters"), None);
    let none = events.ok("ListConnections", json!({"ConnectionState": "AUTHORIZING"}));
    assert_eq!(none.await["Connections"], json!([]));
    let update = json!({"Name": "c", "Description": "new", "AuthParameters": {"BasicAuthParameters": {"Username": "other"}}});
    events.ok("UpdateConnection", update).await;
    let shown = events.ok("DescribeConnection", json!({"Name": "c"})).await;
    assert_eq!(
        shown["AuthParameters"]["BasicAuthParameters"]["Username"],
        "other"
    );
    let state = |answer: Value| answer["ConnectionState"].clone();
    assert_eq!(
        state(
            events
                .ok("DeauthorizeConnection", json!({"Name": "c"}))
                .await
        ),
        "DEAUTHORIZING"
    );
    let shown = events.ok("DescribeConnection", json!({"Name": "c"})).await;
    assert_eq!(
        (shown.get("AuthParameters"), state(shown.clone())),
        (None, json!("DEAUTHORIZED"))
    );
    assert_eq!(
        state(events.ok("DeleteConnection", json!({"Name": "c"})).await),
        "DELETING"
    );
    let text = "Failed to describe the connection(s). Connection 'c' does not exist.";
    let expected = ("ResourceNotFoundException", text);
    events
        .refused("DescribeConnection", json!({"Name": "c"}), expected)
        .await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_as_aws_does() {
    let events = Events::new().await;
    let made = connection(&events, "BASIC", basic()).await;
    let connection_input = |name: &str, kind: &str, auth: Value| json!({"Name": name, "AuthorizationType": kind, "AuthParameters": auth});
    let destination_input = |name: &str, arn: &Value, url: &str, method: &str| json!({"Name": name, "ConnectionArn": arn, "InvocationEndpoint": url, "HttpMethod": method});
    let arn = &made["ConnectionArn"];
    let pattern = r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$";
    for (operation, input, code, text) in [
        ("CreateConnection", connection_input("c", "BASIC", basic()), "ResourceAlreadyExistsException",
         "Connection c already exists.".to_owned()),
        ("CreateConnection", connection_input("x", "NONE", json!({})), "ValidationException",
         "1 validation error detected: Value 'NONE' at 'authorizationType' failed to satisfy constraint: Member must satisfy enum value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]".to_owned()),
        ("CreateConnection", connection_input("a b", "BASIC", basic()), "ValidationException",
         r"1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+".to_owned()),
        ("CreateConnection", connection_input("x", "API_KEY", basic()), "ValidationException",
         "AuthParameters are not valid for the authorization type API_KEY.".to_owned()),
        ("CreateApiDestination", destination_input("d", &json!("wrong"), URL, "CONNECT"), "ValidationException",
         format!("2 validation errors detected: Value 'wrong' at 'connectionArn' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}; Value 'CONNECT' at 'httpMethod' failed to satisfy constraint: Member must satisfy enum value set: [HEAD, POST, PATCH, DELETE, PUT, GET, OPTIONS]")),
        ("CreateApiDestination", destination_input("d", arn, "ftp://h", "POST"), "ValidationException",
         "Parameter InvocationEndpoint is not valid. Reason: it is no URL".to_owned()),
        ("CreateApiDestination", destination_input("d", &json!("arn:aws:events:us-east-1:000000000000:connection/c/1"), URL, "POST"),
         "ResourceNotFoundException", "Connection 'c' does not exist.".to_owned()),
        ("DescribeApiDestination", json!({"Name": "d"}), "ResourceNotFoundException",
         "Failed to describe the api-destination(s). An api-destination 'd' does not exist.".to_owned()),
    ] {
        events.refused(operation, input, (code, &text)).await;
    }
}

#[tokio::test]
async fn a_rule_calls_an_endpoint() {
    let events = Events::new().await;
    let made = connection(&events, "BASIC", basic()).await;
    let made = destination(&events, &made, json!({})).await;
    assert_eq!(made["ApiDestinationState"], "ACTIVE");
    let shown = events
        .ok("DescribeApiDestination", json!({"Name": "d"}))
        .await;
    assert_eq!(shown["InvocationRateLimitPerSecond"], 300);
    let parcel = parcel(&events).await;
    assert!(
        !format!("{parcel:?}").contains("s3cret"),
        "no secret leaves the records"
    );
    deliver(&events, &parcel).await.unwrap();
    let got = events.outside.take().remove(0);
    assert_eq!(got.line, "POST https://example.com/north/orders");
    assert_eq!(got.header("authorization"), Some("Basic dXNlcjpzM2NyZXQ="));
    assert_eq!(got.header("x-t"), Some("t"));
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap(),
        json!({"shop": "north", "n": 1})
    );
}

#[tokio::test]
async fn an_answer_says_whether_another_try_helps() {
    let events = Events::new().await;
    let made = connection(&events, "BASIC", basic()).await;
    destination(&events, &made, json!({})).await;
    let parcel = parcel(&events).await;
    for (next, is_final) in [
        (Ok(answer(404, "")), true),
        (Ok(answer(503, "")), false),
        (Err(Unanswered::Failed("no answer".to_owned())), false),
        (
            Err(Unanswered::Forbidden("an internal address".to_owned())),
            true,
        ),
    ] {
        events.outside.say(next);
        assert_eq!(code(deliver(&events, &parcel).await).0, is_final);
    }
    events
        .ok("DeauthorizeConnection", json!({"Name": "c"}))
        .await;
    let expected = (false, "The connection is deauthorized.".to_owned());
    assert_eq!(code(deliver(&events, &parcel).await), expected);
    events
        .ok("DeleteApiDestination", json!({"Name": "d"}))
        .await;
    assert!(code(deliver(&events, &parcel).await).0);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let events = Events::new().await;
    events.outside.say(Ok(answer(503, "")));
    let made = connection(&events, "OAUTH_CLIENT_CREDENTIALS", oauth()).await;
    assert_eq!(made["ConnectionState"], "AUTHORIZING");
    events.outside.say(Ok(answer(
        200,
        r#"{"access_token": "t1", "expires_in": 3600}"#,
    )));
    let made = destination(&events, &made, json!({})).await;
    assert_eq!(made["ApiDestinationState"], "INACTIVE");
    events.advance(Duration::from_secs(10)).await;
    let shown = events
        .ok("DescribeApiDestination", json!({"Name": "d"}))
        .await;
    assert_eq!(shown["ApiDestinationState"], "ACTIVE");
    let asked = events.outside.take();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].line, "POST https://example.com/token");
    assert_eq!(
        asked[1].body,
        "grant_type=client_credentials&client_id=me&client_secret=s3cret"
    );
    let parcel = parcel(&events).await;
    for _ in 0..2 {
        deliver(&events, &parcel).await.unwrap();
        let got = events.outside.take();
        assert_eq!(got.len(), 1, "no token is asked for");
        assert_eq!(got[0].header("authorization"), Some("Bearer t1"));
    }
    events.outside.say(Ok(answer(401, "")));
    assert!(!code(deliver(&events, &parcel).await).0);
    events
        .outside
        .say(Ok(answer(200, r#"{"access_token": "t2"}"#)));
    deliver(&events, &parcel).await.unwrap();
    let got = events.outside.take();
    assert_eq!(got[2].header("authorization"), Some("Bearer t2"));
}

#[tokio::test]
async fn a_connection_that_gets_no_token_says_why() {
    let events = Events::new().await;
    events.outside.say(Ok(answer(400, "")));
    connection(&events, "OAUTH_CLIENT_CREDENTIALS", oauth()).await;
    events.advance(Duration::from_secs(1)).await;
    let shown = events.ok("DescribeConnection", json!({"Name": "c"})).await;
    assert_eq!(shown["ConnectionState"], "DEAUTHORIZED");
    assert_eq!(
        shown["StateReason"],
        "The authorization endpoint answered 400."
    );
}
