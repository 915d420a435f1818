//! CloudWatch Logs through the router, as a client sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod events;
mod groups;
mod harness;
mod output;
mod segments;
