//! One suite for both engines, and what only one of them can show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod crashes;
mod data_dir;
mod dedup;
mod engines;
mod everywhere;
mod flips;
mod lanes;
mod script;
mod secrets;
