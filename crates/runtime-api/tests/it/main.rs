//! The Runtime API over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod extensions;
mod limits;
mod protocol;
mod runtimes;
mod stream;
