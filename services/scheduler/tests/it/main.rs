//! EventBridge Scheduler through the router, on the simulated store, with an outbox that remembers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod api;
mod harness;
mod jumps;
mod ticks;
