//! SQS through the router, over JSON and the older query protocol, on the simulated store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod harness;
mod messages;
mod query;
mod queues;
