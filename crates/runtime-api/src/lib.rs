//! The Runtime API that a function's runtime speaks: a state machine with a thin HTTP skin.
//!
//! One [`Session`] serves one environment on one listener. Who may speak is settled by the socket
//! itself: it lies inside the environment's network namespace.

mod session;

pub use session::{InitEnd, Reply, Session, SessionHandle};
