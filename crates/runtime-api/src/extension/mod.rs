//! The Extensions API: what extensions ask, and what they are told.
//!
//! ```text
//!   connection ──▶ request (bodies, pure) ──▶ Desk ──▶ roster (what is allowed, pure)
//!        ▲                                     │
//!        └── answer (texts, pure) ◀────────────┘
//! ```

mod answer;
mod desk;
mod request;
mod roster;

pub use answer::Function;
pub use desk::{Facts, Host, Stopwatch};
pub use roster::{Events, Extension, Standing};

pub(crate) use answer::Reply;
pub(crate) use desk::{Desk, Turn};
pub(crate) use roster::GiveUp;
