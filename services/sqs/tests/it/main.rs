//! SQS through the router, over JSON and the older query protocol, on the simulated store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod clients;
mod fifo;
mod harness;
mod jumps;
mod messages;
mod model;
mod query;
mod queues;
mod redrive;
mod target;
