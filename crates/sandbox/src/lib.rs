//! Where functions run: the traits [`Sandbox`] and [`Environment`] and their backends.
//!
//! - `ns`: namespaces, cgroups, seccomp, Landlock. The default.
//! - `process`: plain processes, no isolation; for development where namespaces are missing.
//! - `fake`: scripted, for tests of everything above.

mod api;
pub mod fake;

pub use api::{
    Answer, Enforcement, Environment, EnvironmentSpec, InitReport, Isolation, LimitState, Mount,
    Network, Output, OutputLine, Sandbox, StartError,
};
