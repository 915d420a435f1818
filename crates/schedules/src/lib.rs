//! Schedule expressions: when the next tick of `rate(…)`, `cron(…)` and `at(…)` is.
//!
//! Pure: the time is an argument, the rules of time zones are part of the program. Rules of
//! EventBridge and EventBridge Scheduler share it, and the loop that waits for ticks ([`Agenda`]); what
//! happens at a tick is theirs.
//!
//! Start with [`Expression`].

mod agenda;
mod cron;
mod expression;
mod field;
mod zone;

pub use agenda::{Agenda, Agent, Ticker};
pub use expression::Expression;
pub use zone::Zone;
