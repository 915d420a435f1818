//! Time, identifiers and tasks: the three things that a test must own.
//!
//! No other crate reads a clock, draws a random number or spawns a task. Everything else is handed
//! a [`Clock`], an [`Ids`] and a [`Tasks`], so a test can replace them and replay a run from a seed.
//!
//! Not here: what the tasks do. A background loop is a [`Worker`] that lives beside its state.

mod backoff;
mod clock;
mod ids;
mod load;
mod movable;
mod rates;
mod spawn;
mod time;
mod worker;

pub use backoff::Backoff;
pub use clock::{Clock, ClockControl, Elapsed, Mono};
pub use ids::Ids;
pub use load::busy;
pub use movable::{ClockMover, Pace, TooFar};
pub use rates::{Rates, Turn};
pub use spawn::{Panicked, Stop, Tasks};
pub use time::Time;
pub use worker::{Progress, WorkError, Worker, WorkerStatus};
