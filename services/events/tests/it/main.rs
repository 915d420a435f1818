//! EventBridge through the router, over JSON, on the simulated store, with an outbox that remembers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod archives;
mod buses;
mod endpoints;
mod harness;
mod puts;
mod rules;
mod ticks;
