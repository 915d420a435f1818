//! The Lambda API through the router, on the simulated store and a scripted sandbox.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod aliases;
mod concurrency;
mod configuration;
mod event_invoke;
mod harness;
mod invoke;
mod layers;
mod mappings;
mod names;
mod permissions;
mod refusals;
mod sharing;
mod signing;
mod streaming;
mod tags;
mod urls;
mod versions;
