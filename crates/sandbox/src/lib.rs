//! Where functions run: the traits [`Sandbox`] and [`Environment`] and their backends.
//!
//! - [`ns`]: namespaces, cgroups, seccomp, Landlock. The default. Its work is done by the [`helper`]
//!   process; a program that uses it calls [`helper::main_if_helper`] first thing in `main`.
//! - [`process`]: plain processes, no isolation; for development where namespaces are missing.
//! - [`fake`]: scripted, for tests of everything above.
//! - [`doctor`]: what this host can enforce.
//! - [`near`]: where those run that wake each other in turn.
//!
//! Not here: which interpreter runs, pools, retries, log lines. All `unsafe` is in `sys.rs` and `sys_trace.rs`.
//!
//! Where to start: [`Sandbox`] and [`Environment`], then `running.rs` for one call, then
//! `helper/environment.rs` for how an environment comes to be.

mod api;
mod channel;
mod debugger;
mod deliver;
pub mod doctor;
mod extensions;
pub mod fake;
pub mod helper;
mod left;
mod meter;
pub mod near;
pub mod ns;
mod output;
pub mod process;
mod running;
mod sys;
mod sys_trace;
mod task;
mod winding;

pub use runtime_api::{Category, Credentials, Extension, Function, Standing, Telemetry};
pub use runtime_api::{Gone, Piece, ResponseReader, ResponseWriter, response_stream};

pub use api::{
    Answer, Enforcement, Environment, EnvironmentSpec, InitReport, Isolation, Kept, LimitState,
    Mount, Network, Origin, Output, OutputLine, Sandbox, Snapshot, StartError, TASK_DIR, Taken,
    Waiting,
};
pub use extensions::{EXTENSIONS_DIR, Extensions, StopReason, extension_line};
pub use left::{LEFT_BYTES_MAX, Leaves, LeftTmp};
