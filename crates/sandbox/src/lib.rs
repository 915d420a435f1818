//! Where functions run: the traits [`Sandbox`] and [`Environment`] and their backends.
//!
//! - `ns`: namespaces, cgroups, seccomp, Landlock. The default.
//! - `process`: plain processes, no isolation; for development where namespaces are missing.
//! - `fake`: scripted, for tests of everything above.

mod api;
mod channel;
pub mod fake;
pub mod helper;
mod meter;
pub mod ns;
mod output;
pub mod process;
mod running;
mod sys;

pub use api::{
    Answer, Enforcement, Environment, EnvironmentSpec, InitReport, Isolation, LimitState, Mount,
    Network, Output, OutputLine, Sandbox, StartError,
};
