//! SNS through the router, over the query protocol, on the simulated store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod fanout;
mod harness;
mod mobile;
mod permits;
mod races;
mod sweep;
mod throttle;
mod topics;
