//! The AWS protocols: requests become typed calls, answers and faults become responses.
//!
//! ```text
//! http::Request ─▶ Router ─▶ route (X-Amz-Target, form Action, REST path)
//!                        ─▶ access (SigV4; account and region from the credential)
//!                        ─▶ body (bounded) ─▶ members (path + query + headers + body, one map)
//!                        ─▶ handler of the Service ─▶ Output | Fault ─▶ http::Response
//! ```
//!
//! A service registers typed functions on a [`ServiceBuilder`]; serde is the only contract, so one
//! set of shapes serves several protocols. `wire` knows no service and depends on no other crate of
//! Kiln: the time and the request id are given in with [`CallInfo`], and secrets come from
//! [`access::Credentials`].
//!
//! Not here: sockets, TLS, timeouts of connections (the listener's), authorisation by policies.

pub mod access;
mod blob;
mod body;
mod checks;
mod context;
pub mod eventstream;
mod fault;
mod handler;
pub mod hosts;
mod members;
pub mod paging;
mod protocol;
mod route;
mod router;
mod service;
mod sigv4;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use access::{Access, Mode};
pub use blob::Blob;
pub use body::{Body, BodyError};
pub use checks::{Checks, Violated};
pub use context::Context;
pub use fault::Fault;
pub use handler::{RawRequest, RawResponse};
pub use protocol::{Flat, Protocol};
pub use router::{CallInfo, Router};
pub use service::{Service, ServiceBuilder};
pub use sigv4::Signer;
pub use time::Timestamp;
