//! Functions on the simulated store and a real folder for code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod aliases;
mod code;
mod concurrency;
mod layers;
mod lifecycle;
mod policies;
mod prepare;
mod restart;
mod world;
