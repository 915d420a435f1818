//! `kiln`: AWS Lambda on your own machines, in one program.
//!
//! `serve` is the server; the other commands are clients of its AWS API, or look at this host.
//! Where the parts come together: `wiring.rs`.

mod admin;
mod cli;
mod config;
mod files;
mod folder;
mod listener;
mod serve;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The sandbox starts this same program as its single-threaded helper.
    if let Some(code) = sandbox::helper::main_if_helper() {
        return code;
    }
    cli::main()
}
