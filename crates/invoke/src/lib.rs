//! The invocation path: resolve → admit → lease → run → report.
//!
//! ```text
//!   Request ─▶ sync ─▶ Functions::resolve      memory only
//!                ├──▶ Admission::admit         a counter; the permit is released by drop
//!                ├──▶ Pool::lease              newest idle environment, or a new one
//!                ├──▶ Environment::invoke      the sandbox
//!                └──▶ report                   START/END/REPORT, tail, log sink
//! ```
//!
//! An asynchronous event takes one durable write ([`EventQueue::accept`]) and then the same path, from a
//! worker ([`Invoke::drain`]), at least once.
//!
//! No store I/O when an environment is warm. Nothing here knows who calls: `services/lambda` is one
//! caller. Start with [`Invoke::request_response`].

mod admission;
mod counters;
mod courtesy;
mod credentials;
mod destination;
mod drain;
mod errors;
mod event;
mod freezer;
mod gates;
mod handle;
mod journal;
mod launch;
mod left;
mod lineage;
mod output;
mod pace;
mod pool;
mod prepare;
mod provisioned;
mod report;
mod retry;
mod scaling;
mod snapshots;
mod starter;
mod streamed;
mod sync;
mod target;
mod unattended;

pub use counters::{EventCounters, EventCounts};
pub use credentials::{Issued, SessionKeys};
pub use event::{EventLimits, EventQueue, NotAccepted};
pub use handle::{Invoke, InvokeConfig, Outcome, Parts, Refused, Request};
pub use journal::{Journal, Node, Past, Step, Subject, Tree};
pub use launch::{Catalog, Found, Launch, MissingRuntime, Waiting};
pub use pool::PoolStatus;
pub use provisioned::{ProvisionedState, ProvisionedStatus};
pub use scaling::Rate;
pub use streamed::{Part, StreamLimits, Streamed};
pub use target::EventTarget;
