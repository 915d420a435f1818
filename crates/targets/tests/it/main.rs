//! The outbox on the simulated store, with receivers that the test scripts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod delivery;
mod house;
