use bytes::Bytes;
use serde_json::{Value, json};
use tasks::Ids;

use super::*;
use crate::Request;

const ID: &str = "00000000-0000-4000-8000-000000000001";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";

fn function() -> FunctionRef {
    FunctionRef {
        account: "000000000000".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        name: "f".parse().unwrap(),
        qualifier: None,
    }
}

fn stored() -> Stored {
    let request = Request {
        function: function(),
        payload: Bytes::from_static(br#"{"a":  1}"#),
        request_id: ID.parse().unwrap(),
        client_context: None,
        cognito_identity: None,
        trace: Some("Root=1-00000000-000000000000000000000000".to_owned()),
        want_log: false,
        tenant: None,
    };
    Stored::new(&request, Time::from_unix_secs(0), &Ids::seeded(1)).unwrap()
}

fn outcome(payload: &'static [u8], function_error: Option<&'static str>) -> Outcome {
    Outcome {
        executed_version: Version::Latest,
        payload: Bytes::from_static(payload),
        function_error,
        log_tail: None,
    }
}

fn with<T>(
    condition: Condition,
    end: Result<Outcome, Refused>,
    look: impl FnOnce(Told<'_>) -> T,
) -> T {
    look(Told {
        stored: &stored(),
        function: &function(),
        condition,
        end: &end,
        now: Time::from_unix_secs(1),
        role: Some("arn:aws:iam::000000000000:role/r".to_owned()),
    })
}

fn body(condition: Condition, end: Result<Outcome, Refused>) -> Value {
    let posting = with(condition, end, |told| told.record(QUEUE).unwrap());
    serde_json::from_slice(&posting.parcel.body).unwrap()
}

fn attributes(end: Result<Outcome, Refused>) -> Vec<(String, String, String)> {
    let letter = with(Condition::Failure("x"), end, |told| {
        told.dead_letter(QUEUE).unwrap()
    });
    assert_eq!(&letter.parcel.body[..], br#"{"a":  1}"#, "as it was sent");
    let attributes = letter.parcel.attributes.into_iter();
    attributes
        .map(|(name, attribute)| match attribute.value {
            AttributeValue::Text(text) => (name, attribute.kind, text),
            AttributeValue::Binary(_) => panic!("{name} is binary"),
        })
        .collect()
}

fn row(name: &str, kind: &str, value: &str) -> (String, String, String) {
    (name.to_owned(), kind.to_owned(), value.to_owned())
}

#[test]
fn a_handled_event_is_told_with_its_answer() {
    assert_eq!(
        body(Condition::Success, Ok(outcome(br#"{"b":2}"#, None))),
        json!({
            "version": "1.0",
            "timestamp": "1970-01-01T00:00:01.000Z",
            "requestContext": {
                "requestId": ID,
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                "condition": "Success",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"a": 1},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "responsePayload": {"b": 2},
        })
    );
}

#[test]
fn an_event_that_never_ran_has_no_answer() {
    let told = body(
        Condition::Failure("EventAgeExceeded"),
        Err(Refused::Throttled { reason: "x" }),
    );
    assert_eq!(told.get("responseContext"), None);
    assert_eq!(told.get("responsePayload"), None);
    let context = told.get("requestContext").unwrap();
    assert_eq!(context["condition"], "EventAgeExceeded");
    assert_eq!(context["approximateInvokeCount"], 0);
}

/// [ASY-20, ASY-23] The trace goes on, with the run of the function in its chain.
#[test]
fn a_record_is_sent_in_the_name_of_the_role_with_the_trace() {
    let sent = with(Condition::Success, Ok(outcome(b"1", None)), |told| {
        told.record(QUEUE).unwrap().parcel
    });
    assert_eq!(sent.sender.service, "lambda.amazonaws.com");
    assert_eq!(
        sent.sender.role.as_deref(),
        Some("arn:aws:iam::000000000000:role/r")
    );
    let trace = sent.trace.unwrap();
    assert!(trace.starts_with("Root=1-00000000-"), "{trace}");
    assert_eq!(Lineage::of(Some(&trace)).runs(&function()), 1);
    assert_eq!(sent.event, None);
}

/// [ASY-22]
#[test]
fn a_bus_gets_an_event() {
    for (condition, end) in [
        (Condition::Success, "Success"),
        (Condition::Failure("RetriesExhausted"), "Failure"),
    ] {
        let sent = with(condition, Ok(outcome(b"1", None)), |told| {
            told.record(BUS).unwrap().parcel.event.unwrap()
        });
        assert_eq!(sent.source, "lambda");
        assert_eq!(
            sent.detail_type,
            format!("Lambda Function Invocation Result - {end}")
        );
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST";
        assert_eq!(sent.resources, [BUS, arn]);
    }
}

/// [ASY-11]
#[test]
fn a_dead_letter_says_what_went_wrong() {
    let failed = outcome(br#"{"errorMessage":"no"}"#, Some("Unhandled"));
    assert_eq!(
        attributes(Ok(failed)),
        [
            row("RequestID", "String", ID),
            row("ErrorCode", "Number", "200"),
            row("ErrorMessage", "String", "no"),
        ]
    );
    assert_eq!(
        attributes(Err(Refused::Throttled { reason: "x" })),
        [
            row("RequestID", "String", ID),
            row("ErrorCode", "Number", "429"),
            row("ErrorMessage", "String", "Rate Exceeded."),
        ]
    );
    let off = attributes(Err(Refused::SwitchedOff));
    assert!(
        off.iter().all(|(name, _, _)| name != "ErrorCode"),
        "{off:?}"
    );
}

#[test]
fn a_message_is_cut() {
    let long = format!("{{\"errorMessage\":\"{}\"}}", "ä".repeat(2_000));
    let failed = outcome(long.leak().as_bytes(), Some("Unhandled"));
    let told = attributes(Ok(failed));
    assert_eq!(told[2].2, "ä".repeat(MESSAGE_MAX));
}

#[test]
fn what_can_never_be_sent_says_so() {
    let large = vec![b'1'; RECORD_BYTES_MAX].leak();
    let end = Ok(outcome(large, None));
    let sent = with(Condition::Success, end, |told| told.record(QUEUE));
    assert!(matches!(sent, Err(Unsendable::TooLarge { .. })));
    let end = Ok(outcome(b"1", None));
    let sent = with(Condition::Success, end, |told| told.record("q"));
    assert_eq!(sent, Err(Unsendable::NoArn));
}

#[test]
fn ids_are_the_same_when_it_is_told_again() {
    let id = |to: &'static str| {
        with(Condition::Success, Ok(outcome(b"1", None)), |told| {
            told.record(to).unwrap().parcel.id
        })
    };
    assert_eq!(id(QUEUE), id(QUEUE));
    assert_ne!(id(QUEUE), id(BUS));
    let letter = with(Condition::Failure("x"), Ok(outcome(b"1", None)), |told| {
        told.dead_letter(QUEUE).unwrap().parcel.id
    });
    assert_ne!(id(QUEUE), letter);
}
