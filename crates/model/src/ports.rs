//! What one part of the process may ask of another without depending on it.
//!
//! A port is a trait that its user sees and its owner implements; `server` joins the two.

mod delivery;
mod queue;
mod roles;
mod waits;
mod web;

use std::sync::Arc;

pub use delivery::{
    Attribute, AttributeValue, DeadLetter, DeadLetterStyle, EventHead, NotPosted, Outbox, Parcel,
    Patience, Posting, Sender, Target, Undelivered,
};
pub use queue::{QueueFacts, QueueMessage, QueueReader, Unread};
pub use roles::{PoliciesUnread, Roles};
pub use waits::{Growth, Phases, Waits};
pub use web::{Unanswered, Web, WebAnswer, WebRequest};

use crate::{Account, Region};

/// One line (or one framed message) of a log, with its time in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub unix_ms: i64,
    pub message: String,
}

/// Where a batch of log lines belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogStreamRef {
    pub account: Account,
    pub region: Region,
    pub group: Arc<str>,
    pub stream: Arc<str>,
}

/// Takes the output of functions; `services/logs` implements it.
///
/// Neither call waits: a sink with no room drops the batch and counts it, so that no log can slow
/// an invocation down.
pub trait LogSink: Send + Sync {
    fn append(&self, to: &LogStreamRef, lines: Vec<LogLine>);
}

/// A sink that keeps nothing, for tests.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoLogs;

impl LogSink for NoLogs {
    fn append(&self, _to: &LogStreamRef, _lines: Vec<LogLine>) {}
}
