//! The Telemetry API and the older Logs API: who gets which events, and what waits for whom.
//!
//! This side keeps the events; whoever can connect into the environment delivers them.

mod hub;
mod subscription;

pub use hub::{Due, Subscriber, Telemetry};
pub use subscription::{Api, Buffering, Category, Destination, Subscription};

pub(crate) use hub::OtherApi;
pub(crate) use subscription::parse;
