//! What destinations and dead-letter queues of asynchronous calls hear.  [spec ASY-9 to ASY-22]

use std::time::Duration;

use functions::EventInvoke;
use model::lineage::Lineage;
use model::ports::{
    Attribute, AttributeValue, EventHead, Parcel, Patience, Posting, Sender, Waits,
};
use model::{Arn, FunctionRef, Version};
use serde::Serialize;
use serde_json::value::RawValue;
use tasks::Time;

use crate::event::Stored;
use crate::target::derived_id;
use crate::{EventQueue, Outcome, Refused};

/// How long a destination that does not answer is tried.
const PATIENCE: Patience = Patience {
    retries_max: 1_000,
    age_max: Duration::from_secs(6 * 3_600),
    waits: Waits::Doubling,
};
/// Bytes of a record: no receiver takes more.  [SQS, EventBridge, Lambda quotas]
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Characters of the error message that a dead-letter queue gets.  [Lambda guide: dead-letter queues]
const MESSAGE_MAX: usize = 1_024;
const LAMBDA: &str = "lambda.amazonaws.com";
/// The attribute by which a dead letter is known.
const ERROR_REQUEST: &str = "RequestID";

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
    /// Why it was given up: `RetriesExhausted`, `EventAgeExceeded`, `ZeroReservedConcurrency`.
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

/// Why nothing can be posted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("it is no ARN")]
    NoArn,
    #[error("{size} bytes are over the limit of {RECORD_BYTES_MAX}")]
    TooLarge { size: usize },
}

/// An event at its end.
pub(crate) struct Told<'a> {
    pub(crate) stored: &'a Stored,
    pub(crate) function: &'a FunctionRef,
    pub(crate) condition: Condition,
    /// The last attempt.
    pub(crate) end: &'a Result<Outcome, Refused>,
    pub(crate) now: Time,
    /// The execution role, in whose name it is sent.
    pub(crate) role: Option<String>,
}

impl Told<'_> {
    /// The record for a destination.
    pub(crate) fn record(&self, to: &str) -> Result<Posting, Unsendable> {
        let mut posting = self.posting(to, "destination", self.body())?;
        if posting.parcel.to.service == "events" {
            let outcome = match self.condition {
                Condition::Success => "Success",
                Condition::Failure(_) => "Failure",
            };
            posting.parcel.event = Some(EventHead {
                source: "lambda".to_owned(),
                detail_type: format!("Lambda Function Invocation Result - {outcome}"),
                resources: vec![to.to_owned(), self.qualified_arn()],
            });
        }
        Ok(posting)
    }

    /// The event itself, with what went wrong.
    pub(crate) fn dead_letter(&self, to: &str) -> Result<Posting, Unsendable> {
        let body = self.stored.payload().get().as_bytes().to_vec();
        let mut posting = self.posting(to, "dead letter", body)?;
        let (code, message) = self.error();
        posting.parcel.attributes = [
            (ERROR_REQUEST, "String", Some(self.stored.request.clone())),
            ("ErrorCode", "Number", code.map(str::to_owned)),
            ("ErrorMessage", "String", Some(message)),
        ]
        .into_iter()
        .filter_map(|(name, kind, value)| {
            let kind = kind.to_owned();
            let value = AttributeValue::Text(value.filter(|text| !text.is_empty())?);
            Some((name.to_owned(), Attribute { kind, value }))
        })
        .collect();
        Ok(posting)
    }

    /// Code and message for a dead-letter queue.
    fn error(&self) -> (Option<&'static str>, String) {
        let (code, message) = match self.end {
            Ok(outcome) => (Some("200"), message_in(&outcome.payload)),
            // No call was made that could have a status.
            Err(error @ Refused::SwitchedOff) => (None, error.to_string()),
            Err(error @ Refused::NotFound { .. }) => (Some("404"), error.to_string()),
            Err(error @ (Refused::Throttled { .. } | Refused::Recursive)) => {
                (Some("429"), error.to_string())
            }
            Err(error @ Refused::NotReady { .. }) => (Some("409"), error.to_string()),
            Err(error) => (Some("500"), error.to_string()),
        };
        (code, message.chars().take(MESSAGE_MAX).collect())
    }

    fn posting(&self, to: &str, what: &str, body: Vec<u8>) -> Result<Posting, Unsendable> {
        if body.len() > RECORD_BYTES_MAX {
            return Err(Unsendable::TooLarge { size: body.len() });
        }
        let source: Arn = self
            .function
            .unqualified_arn()
            .parse()
            .map_err(|_| Unsendable::NoArn)?;
        let chain = Lineage::of(self.stored.trace.as_deref()).and(self.function);
        let trace = chain.put(self.stored.trace.as_deref().unwrap_or_default());
        Ok(Posting {
            parcel: Parcel {
                id: derived_id(&[what, &self.stored.request, to]).to_string(),
                to: to.parse().map_err(|_| Unsendable::NoArn)?,
                sender: Sender {
                    service: LAMBDA,
                    source,
                    role: self.role.clone(),
                },
                body: body.into(),
                attributes: Vec::new(),
                subject: None,
                group: None,
                dedup: None,
                trace: Some(trace),
                event: None,
            },
            patience: PATIENCE,
            dead_letter: None,
        })
    }

    /// With `$LATEST` where the caller named nothing.
    fn qualified_arn(&self) -> String {
        let qualifier = self.function.qualifier.as_ref();
        let qualifier = qualifier.map_or_else(|| Version::Latest.to_string(), ToString::to_string);
        format!("{}:{qualifier}", self.function.unqualified_arn())
    }

    fn body(&self) -> Vec<u8> {
        let attempts = self.stored.failures + u32::from(self.end.is_ok());
        let answer = self.end.as_ref().ok();
        let record = InvocationRecord {
            version: "1.0",
            timestamp: self.now.iso_millis(),
            request_context: RequestContext {
                request_id: &self.stored.request,
                function_arn: self.qualified_arn(),
                condition: self.condition.as_str(),
                approximate_invoke_count: attempts,
            },
            request_payload: self.stored.payload(),
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
}

/// A runtime of the user's own may answer with something that is no JSON: then it is told as text.
fn as_json(payload: &[u8]) -> Box<RawValue> {
    let raw = serde_json::from_slice::<Box<RawValue>>(payload);
    raw.unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(payload);
        serde_json::value::to_raw_value(&text).unwrap_or_default()
    })
}

/// The message of an error that a function gave; the whole answer if it holds none.
fn message_in(payload: &[u8]) -> String {
    let error: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    let message = error.as_ref().and_then(|e| e.get("errorMessage")?.as_str());
    message.map_or_else(
        || String::from_utf8_lossy(payload).into_owned(),
        str::to_owned,
    )
}

impl EventQueue {
    /// Counts what a function sent and nobody got.
    pub fn not_delivered(&self, parcel: &Parcel) {
        if parcel.sender.service == LAMBDA {
            let is_dead_letter = parcel.attributes.iter().any(|(n, _)| n == ERROR_REQUEST);
            self.undelivered(&parcel.sender.source.to_string(), is_dead_letter);
        }
    }

    pub(crate) fn undelivered(&self, function: &str, is_dead_letter: bool) {
        self.counters
            .count(function, |counts| match is_dead_letter {
                true => counts.dead_letter_errors += 1,
                false => counts.destination_failures += 1,
            });
    }
}

#[cfg(test)]
mod tests;
