//! The Runtime API that a function's runtime speaks: a state machine with a thin HTTP skin.
//!
//! One [`Session`] serves one environment on one listener. Who may speak is settled by the socket
//! itself: it lies inside the environment's network namespace.
//!
//! ```text
//!   SessionHandle::invoke ──▶ outlet ──▶ socket          session  what both sides share
//!          ▲                                              state    what is allowed when (pure)
//!          └── session ◀── connection ◀── socket          route    request heads (pure)
//!                                                         quick    the usual two of them (pure)
//!                                                         body     request bodies (pure)
//!                                                         stream   responses in pieces
//!                                        extension  the Extensions API
//!                                        telemetry  the Telemetry and Logs APIs
//! ```
//!
//! The HTTP is our own because an event is written from the task that has it, straight to the
//! connection that waits for it; a general server would need two more wake-ups.

mod answer;
mod body;
mod connection;
mod credentials;
mod extension;
mod extension_connection;
mod outlet;
mod quick;
mod route;
mod session;
mod state;
mod stream;
mod telemetry;

pub use credentials::Credentials;
pub use extension::{Events, Extension, Facts, Function, Host, Standing, Stopwatch};
pub use session::{InitEnd, Reply, Session, SessionHandle};
pub use stream::{Gone, Piece, ResponseReader, ResponseWriter, response_stream};
pub use telemetry::{
    Api, Buffering, Category, Destination, Due, Subscriber, Subscription, Telemetry,
};
