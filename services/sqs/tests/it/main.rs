//! SQS through the router, over JSON, on the simulated store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod harness;
mod queues;
