//! The way out: requests to HTTP endpoints that users name, kept away from what is inside.
//!
//! ```text
//! Client::send ─▶ Endpoint::parse      scheme, host, port; an address in the URL is checked here
//!              ─▶ look-up              the addresses of the name
//!              ─▶ Networks::permit     internal ones are dropped, unless the operator allows them
//!              ─▶ connect              to an address that was checked: a name is looked up once,
//!              ─▶ TLS, HTTP/1.1        so that a second answer of its name server changes nothing
//! ```
//!
//! Redirections are not followed, proxies of the environment are not used, and no connection is kept.
//! Start with [`Client`].

mod address;
mod client;
mod connect;
mod endpoint;

pub use address::{BadNetwork, Networks};
pub use client::Client;
