//! Delivery between the parts of the process: the outbox and what empties it.
//!
//! ```text
//!   sender ─▶ DurableOutbox::post      one durable write for each posting
//!                  │  a lane for each receiver
//!                  ▼
//!             Deliverer ─▶ Registry: service of the ARN ─▶ Target::deliver
//!                  │
//!                  ├ delivered        counted, told to the witness
//!                  ├ later            tried again, the wait growing, until patience ends
//!                  └ never            to the dead-letter queue, or lost: counted and logged
//! ```
//!
//! It knows no service: owners of ARNs implement [`model::ports::Target`], `server` fills the
//! [`Registry`]. The outbox does not know the deliverer, so that a sender that is a receiver too makes
//! no cycle. Start with [`DurableOutbox`].

mod counters;
mod dead_letter;
mod deliverer;
mod outbox;
mod stored;
mod untried;
mod verdict;

pub use counters::{Counters, Counts};
pub use deliverer::{Deliverer, DelivererConfig, Registry};
pub use outbox::DurableOutbox;
pub use verdict::{Exhausted, Step, Witness};
