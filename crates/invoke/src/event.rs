//! Asynchronous invocation, the accepting half: one durable write.

use bytes::Bytes;
use model::{FunctionRef, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Lane, Lanes, Store, StoreError};
use tasks::{Ids, Tasks, Time};

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

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("asynchronous event: {what}").into())
}

impl EventQueue {
    pub fn new(store: &Store, tasks: &Tasks) -> EventQueue {
        EventQueue {
            lanes: Lanes::new(store, tasks, LANES),
            tasks: tasks.clone(),
            counters: EventCounters::default(),
            journal: Journal::new(store, tasks),
        }
    }

    /// Takes an event over; it survives every crash from here on and will run at least once.
    ///
    /// # Errors
    /// Fails if it cannot be stored, or if its payload is no JSON.
    pub async fn accept(&self, request: &Request) -> Result<(), StoreError> {
        self.accept_once(request, None, None).await
    }

    /// Takes an event over that `from` caused, as the journal tells it.
    ///
    /// # Errors
    /// As [`EventQueue::accept`].
    pub async fn accept_from(&self, request: &Request, from: &str) -> Result<(), StoreError> {
        self.accept_once(request, None, Some(from)).await
    }

    /// The same; a second one with the same `dedup` within minutes is taken for the first.
    pub(crate) async fn accept_once(
        &self,
        request: &Request,
        dedup: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let stored = Stored::new(request, now, self.tasks.ids())?;
        let function = request.function.unqualified_arn();
        let lane = Lane::Free(["/", &function].concat());
        self.lanes.put(&lane, stored.encode()?, now, dedup).await?;
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
