//! Delivery: what one part of the process sends to an ARN that another part owns.
//!
//! ```text
//! sender ── Outbox::post (durable) ──▶ targets ── Target::deliver ──▶ owner of the ARN
//! ```

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Waits;
use crate::Arn;

/// One message on its way to one ARN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// The same over all tries, at most 128 characters. A receiver that knows it already may take the
    /// second for the first, and uses it where its API shows an id of the message.
    pub id: String,
    pub to: Arn,
    pub sender: Sender,
    pub body: Bytes,
    /// In the order in which the receiver shows them.
    pub attributes: Vec<(String, Attribute)>,
    /// The subject of a notification (SNS).
    pub subject: Option<String>,
    /// The message group of a FIFO queue or topic.
    pub group: Option<String>,
    /// The deduplication id of a FIFO queue or topic.
    pub dedup: Option<String>,
    /// The value of `X-Amzn-Trace-Id`; it carries the chain of calls over queues and topics too.
    pub trace: Option<String>,
    /// What an event bus is told about the body, which is then the detail.
    pub event: Option<EventHead>,
}

/// Who sends, for the policy of the receiver and what it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// As policies name it: `sns.amazonaws.com`, `events.amazonaws.com`, `lambda.amazonaws.com`.
    pub service: &'static str,
    /// The topic, rule, function … that sends.
    pub source: Arn,
    /// The role in whose name it is sent, where there is one (destinations, schedules).
    pub role: Option<String>,
}

/// A message attribute, as SQS and SNS know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// `String`, `Number`, `Binary`, each perhaps with `.suffix`, or `String.Array`.
    pub kind: String,
    pub value: AttributeValue,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    Text(String),
    Binary(Bytes),
}

/// The envelope of an event on a bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventHead {
    pub source: String,
    pub detail_type: String,
    pub resources: Vec<String>,
}

/// Why a try did not deliver.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Undelivered {
    /// It never will: no such receiver, no permission, too large. `code` is the error code that the
    /// receiver's API would give.
    #[error("{code}: {message}")]
    Refused { code: String, message: String },
    /// It may later.
    #[error("{code}: {message}")]
    Later { code: String, message: String },
    /// It was not tried: the rate of the receiver is used up until then.
    #[error("{code}: {message}")]
    Busy {
        code: String,
        message: String,
        wait: Duration,
    },
}

/// Takes messages for the ARNs of one service. Its owner implements it.
#[async_trait]
pub trait Target: Send + Sync {
    /// Durable when it returns `Ok`; the parcel may come again after a crash.
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered>;
}

/// How long delivery is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Tries after the first.
    pub retries_max: u32,
    /// From the post on.
    pub age_max: Duration,
    pub waits: Waits,
}

/// A parcel, and what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posting {
    pub parcel: Parcel,
    pub patience: Patience,
    /// Where it goes when patience ends; sent once more for as long, with doubling waits and without
    /// a next one.
    pub dead_letter: Option<DeadLetter>,
}

/// The queue that takes what could not be delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    pub to: Arn,
    /// What the message says about the failure.
    pub style: DeadLetterStyle,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeadLetterStyle {
    /// The same body and attributes.  [SNS: dead-letter queues]
    Plain,
    /// With `RULE_ARN`, `TARGET_ARN`, `ERROR_CODE`, `ERROR_MESSAGE`, `EXHAUSTED_RETRY_CONDITION` and
    /// `RETRY_ATTEMPTS`.  [EventBridge: dead-letter queues]
    Rule { rule: Arn },
    /// The same of a schedule: `SCHEDULE_ARN` in place of the rule.  [EventBridge Scheduler]
    Schedule { schedule: Arn },
    /// This body with these attributes: the receiver got another form of the message than a queue does
    /// (a function, an HTTP endpoint).  [SNS: dead-letter queues]
    Other {
        body: Bytes,
        attributes: Vec<(String, Attribute)>,
    },
}

/// Nothing was accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not accepted for delivery: {0}")]
pub struct NotPosted(pub String);

/// Accepts messages for delivery. `targets` implements it.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Durable when it returns. A posting whose parcel has the id and receiver of an earlier one of the last minutes
    /// is taken for that one, so that a sender may post again what it is not sure of.
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted>;
}
