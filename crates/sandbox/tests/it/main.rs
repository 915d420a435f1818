#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod bench;
mod fake;
mod freeze;
mod left;
mod leftovers;
mod ns;
mod pool;
mod process;
mod rootless;
mod snapshot;
mod speed;
mod template;
mod third_party;
