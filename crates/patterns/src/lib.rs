//! Event patterns: which events a rule, an archive or an event source mapping is interested in.
//!
//! ```text
//! text ─▶ tokens (place in the text) ─▶ compile ─▶ Pattern: alternatives of (path, matchers)
//! event ─▶ flat (paths, leaves, elements of arrays) ─▶ Pattern::matches
//! ```
//!
//! Pure: no clock, no I/O. The words of refusals are those that AWS shows, with the place in the
//! text. Not here: SNS filter policies, which look alike and follow other rules.
//!
//! Start with [`Pattern`].

mod compile;
mod complexity;
mod flat;
mod matcher;
mod number;
mod pattern;
mod tokens;
mod values;

pub use pattern::{InvalidPattern, Pattern};
