//! Asynchronous invocation, the accepting half: one durable write.

use bytes::Bytes;
use model::{FunctionRef, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Aside, Lane, Lanes, Room, Store, StoreError, Tally};
use tasks::{Ids, Tasks, Time};

use crate::admission::Throttle;
use crate::lineage;
use crate::{EventCounters, Journal, Request, Subject};

/// Events that were accepted and not handled yet, a lane for each function. Clones share them.
#[derive(Clone)]
pub struct EventQueue {
    pub(crate) lanes: Lanes,
    pub(crate) tasks: Tasks,
    pub(crate) counters: EventCounters,
    pub(crate) journal: Journal,
}

/// The stored form of an event. Older ones must stay readable.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    account: String,
    region: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qualifier: Option<String>,
    /// The same over all attempts.
    pub(crate) request: String,
    accepted_us: i64,
    /// Attempts that the function failed.
    #[serde(default)]
    pub(crate) failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// As it was sent.
    payload: Box<RawValue>,
}

/// Every lane begins with it. Before there were lanes it was the one queue of all events, which is now
/// the lane without a name.
const LANES: &str = "lambda-events";

/// Events that wait or run at once, as far as nothing else is configured.
const EVENTS_MAX: u64 = 4_000_000;
/// Of those, the events of one function.
const FUNCTION_EVENTS_MAX: u64 = 2_000_000;

/// [Lambda API: TooManyRequestsException, Reason]
const CALLER_RATE: &str = "CallerRateLimitExceeded";

/// How many events may wait.
#[derive(Debug, Clone, Copy)]
pub struct EventLimits {
    pub function_max: u64,
    pub all_max: u64,
}

impl Default for EventLimits {
    fn default() -> EventLimits {
        EventLimits {
            function_max: FUNCTION_EVENTS_MAX,
            all_max: EVENTS_MAX,
        }
    }
}

/// Why an event was not taken over. Nothing was written, unless the store says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// Too many wait.  [Lambda API: TooManyRequestsException, Reason]
    #[error("too many events wait: {reason}")]
    Throttled { reason: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("asynchronous event: {what}").into())
}

/// What the function does too often, or all callers together.
fn not_put(error: StoreError) -> NotAccepted {
    let reason = match error {
        StoreError::Full { what: "lane", .. } => Throttle::Rate.reason(),
        StoreError::Full { .. } => CALLER_RATE,
        other => return NotAccepted::Store(other),
    };
    NotAccepted::Throttled { reason }
}

impl EventQueue {
    pub fn new(store: &Store, tasks: &Tasks) -> EventQueue {
        EventQueue {
            lanes: Lanes::new(store, tasks, LANES),
            tasks: tasks.clone(),
            counters: EventCounters::default(),
            journal: Journal::new(store, tasks),
        }
        .with_limits(EventLimits::default())
    }

    #[must_use]
    pub fn with_limits(self, limits: EventLimits) -> EventQueue {
        let room = Room {
            lane_max: limits.function_max,
            all_max: limits.all_max,
        };
        EventQueue {
            lanes: self.lanes.with_room(room),
            ..self
        }
    }

    /// Events that wait or run, and how many functions have some.
    pub fn tally(&self) -> Tally {
        self.lanes.tally()
    }

    /// Events that this version cannot read; they stay where they are.
    pub fn unreadable(&self) -> Vec<Aside> {
        self.lanes.aside()
    }

    /// Takes an event over; it survives every crash from here on and will run at least once.
    ///
    /// # Errors
    /// Fails if too many wait, if it cannot be stored, or if its payload is no JSON.
    pub async fn accept(&self, request: &Request) -> Result<(), NotAccepted> {
        self.accept_once(request, None, None).await
    }

    /// Takes an event over that `from` caused, as the journal tells it.
    ///
    /// # Errors
    /// As [`EventQueue::accept`].
    pub async fn accept_from(&self, request: &Request, from: &str) -> Result<(), NotAccepted> {
        self.accept_once(request, None, Some(from)).await
    }

    /// The same; a second one with the same `dedup` within minutes is taken for the first.
    pub(crate) async fn accept_once(
        &self,
        request: &Request,
        dedup: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), NotAccepted> {
        let now = self.now();
        let stored = Stored::new(request, now, self.tasks.ids())?;
        let function = request.function.unqualified_arn();
        let lane = Lane::Free(["/", &function].concat());
        let put = self.lanes.put(&lane, stored.encode()?, now, dedup).await;
        put.map_err(not_put)?;
        self.counters
            .count(&function, |counts| counts.received += 1);
        let to = request.function.to_string();
        let subject = Subject {
            from,
            ..stored.subject(&to)
        };
        self.journal.accepted(&subject, stored.payload());
        Ok(())
    }

    /// What became of each event, and of what followed from it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What happened to events, by the ARN of their function.
    pub fn counters(&self) -> &EventCounters {
        &self.counters
    }

    pub(crate) fn now(&self) -> Time {
        self.tasks.clock().now()
    }
}

impl Stored {
    pub(crate) fn new(request: &Request, accepted: Time, ids: &Ids) -> Result<Stored, StoreError> {
        let f = &request.function;
        let payload = serde_json::from_slice(&request.payload).map_err(|_| damaged("payload"))?;
        Ok(Stored {
            account: f.account.to_string(),
            region: f.region.to_string(),
            name: f.name.to_string(),
            qualifier: f.qualifier.as_ref().map(ToString::to_string),
            request: request.request_id.to_string(),
            accepted_us: accepted.unix_micros(),
            failures: 0,
            client_context: request.client_context.clone(),
            tenant: request.tenant.clone(),
            // All attempts and what follows from them have one root.
            trace: Some(lineage::rooted(request.trace.as_deref(), accepted, ids)),
            payload,
        })
    }

    pub(crate) fn encode(&self) -> Result<Bytes, StoreError> {
        let bytes = serde_json::to_vec(self).map_err(|_| damaged("does not encode"))?;
        Ok(bytes.into())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Stored, StoreError> {
        serde_json::from_slice(bytes).map_err(|_| damaged("does not decode"))
    }

    /// For the journal; `to` is the function with its qualifier.
    pub(crate) fn subject<'a>(&'a self, to: &'a str) -> Subject<'a> {
        Subject {
            trace: self.trace.as_deref(),
            id: &self.request,
            to,
            from: None,
        }
    }

    pub(crate) fn payload(&self) -> &RawValue {
        &self.payload
    }

    pub(crate) fn accepted(&self) -> Time {
        Time::from_unix_micros(self.accepted_us)
    }

    /// The invocation that it asks for.
    pub(crate) fn request(&self) -> Result<Request, StoreError> {
        let qualifier = match &self.qualifier {
            Some(text) => Some(text.parse().map_err(|_| damaged("qualifier"))?),
            None => None,
        };
        let request_id: RequestId = self.request.parse().map_err(|_| damaged("request id"))?;
        Ok(Request {
            function: FunctionRef {
                account: self.account.parse().map_err(|_| damaged("account"))?,
                region: self.region.parse().map_err(|_| damaged("region"))?,
                name: self.name.parse().map_err(|_| damaged("function name"))?,
                qualifier,
            },
            payload: Bytes::copy_from_slice(self.payload.get().as_bytes()),
            request_id,
            client_context: self.client_context.clone(),
            cognito_identity: None,
            trace: self.trace.clone(),
            want_log: false,
            tenant: self.tenant.clone(),
        })
    }
}
