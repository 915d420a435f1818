//! What the destinations of asynchronous calls hear.  [spec ASY-15 to ASY-21]

use functions::EventInvoke;
use model::{FunctionRef, RequestId, Version};
use serde::Serialize;
use serde_json::value::RawValue;
use tasks::Time;

use crate::event::Stored;
use crate::{Outcome, Refused, Request};

/// The body of the message that a destination gets.  [Lambda guide: invocation record]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: String,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// What becomes of an event in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Success,
    /// Why it was given up: `RetriesExhausted`, `EventAgeExceeded`.
    Failure(&'static str),
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Condition::Success => "Success",
            Condition::Failure(why) => why,
        }
    }

    /// The ARN that hears of it.
    pub(crate) fn destination(self, config: &EventInvoke) -> Option<&str> {
        match self {
            Condition::Success => config.on_success.as_deref(),
            Condition::Failure(_) => config.on_failure.as_deref(),
        }
    }
}

/// The record of one event. `end` is its last attempt.
pub(crate) fn record(
    stored: &Stored,
    function: &FunctionRef,
    condition: Condition,
    end: &Result<Outcome, Refused>,
    now: Time,
) -> Vec<u8> {
    let attempts = stored.failures + u32::from(end.is_ok());
    let qualifier = function
        .qualifier
        .as_ref()
        .map_or_else(|| Version::Latest.to_string(), ToString::to_string);
    let answer = end.as_ref().ok();
    let record = InvocationRecord {
        version: "1.0",
        timestamp: now.iso_millis(),
        request_context: RequestContext {
            request_id: &stored.request,
            function_arn: format!("{}:{qualifier}", function.unqualified_arn()),
            condition: condition.as_str(),
            approximate_invoke_count: attempts,
        },
        request_payload: stored.payload(),
        response_context: answer.map(|outcome| ResponseContext {
            status_code: 200,
            executed_version: outcome.executed_version.to_string(),
            function_error: outcome.function_error,
        }),
        response_payload: answer.map(|outcome| as_json(&outcome.payload)),
    };
    // Maps with text keys always encode.
    serde_json::to_vec(&record).unwrap_or_default()
}

/// A runtime of the user's own may answer with something that is no JSON: then it is told as text.
fn as_json(payload: &[u8]) -> Box<RawValue> {
    let raw = serde_json::from_slice::<Box<RawValue>>(payload);
    raw.unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(payload);
        serde_json::value::to_raw_value(&text).unwrap_or_default()
    })
}

/// The call of a function that is the destination; `None` if `arn` names none.
pub(crate) fn call_of(arn: &str, record: Vec<u8>, id: RequestId) -> Option<Request> {
    let mut parts = arn.splitn(8, ':').skip(2);
    let mut next = || parts.next().unwrap_or_default();
    let (service, region, account, kind, name, qualifier) =
        (next(), next(), next(), next(), next(), next());
    if (service, kind) != ("lambda", "function") {
        return None;
    }
    let qualifier = match qualifier {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    Some(Request {
        function: FunctionRef {
            account: account.parse().ok()?,
            region: region.parse().ok()?,
            name: name.parse().ok()?,
            qualifier,
        },
        payload: record.into(),
        request_id: id,
        client_context: None,
        cognito_identity: None,
        trace: None,
        want_log: false,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn function() -> FunctionRef {
        FunctionRef {
            account: "000000000000".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            name: "f".parse().unwrap(),
            qualifier: None,
        }
    }

    fn stored() -> Stored {
        let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let request = call_of(arn, br#"{"a": 1}"#.to_vec(), id).unwrap();
        Stored::new(&request, Time::from_unix_secs(0)).unwrap()
    }

    fn told(condition: Condition, end: Result<Outcome, Refused>) -> Value {
        let record = record(
            &stored(),
            &function(),
            condition,
            &end,
            Time::from_unix_secs(1),
        );
        serde_json::from_slice(&record).unwrap()
    }

    #[test]
    fn a_handled_event_is_told_with_its_answer() {
        let end = Ok(Outcome {
            executed_version: Version::Latest,
            payload: Bytes::from_static(br#"{"b":2}"#),
            function_error: None,
            log_tail: None,
        });
        assert_eq!(
            told(Condition::Success, end),
            json!({
                "version": "1.0",
                "timestamp": "1970-01-01T00:00:01.000Z",
                "requestContext": {
                    "requestId": "00000000-0000-4000-8000-000000000001",
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
        let told = told(
            Condition::Failure("EventAgeExceeded"),
            Err(Refused::Throttled { reason: "x" }),
        );
        assert_eq!(told.get("responseContext"), None);
        assert_eq!(told.get("responsePayload"), None);
        let context = told.get("requestContext").unwrap();
        assert_eq!(context["condition"], "EventAgeExceeded");
        assert_eq!(context["approximateInvokeCount"], 0);
    }

    #[test]
    fn only_functions_are_called() {
        let id = || "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let of = |arn: &str| call_of(arn, Vec::new(), id()).map(|r| r.function.to_string());
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:g:live";
        assert_eq!(of(arn).as_deref(), Some(arn));
        assert_eq!(of("arn:aws:sqs:us-east-1:000000000000:q"), None);
        assert_eq!(of("arn:aws:lambda:us-east-1:000000000000:layer:l:1"), None);
    }
}
