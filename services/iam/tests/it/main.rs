//! IAM through the router, over the query protocol, on the simulated store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod documents;
mod durability;
mod harness;
mod keys;
mod policies;
mod roles;
mod tags;
