//! The invocation path over a scripted sandbox, a simulated store and a virtual clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod concurrency;
mod event;
mod house;
mod jumps;
mod lifecycle;
mod streamed;
mod sync;
