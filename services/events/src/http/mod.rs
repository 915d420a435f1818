//! API destinations: rules that call HTTP endpoints, and the connections that say how.
//!
//! ```text
//! operations: connections, destinations ─▶ records
//! outbox ─▶ deliver: its turn, then the header of the connection (tokens) ─▶ call (pure) ─▶ Web
//! ```
//!
//! Secrets are in the records and in no answer. What may be called is the business of the port `Web`.

pub(crate) mod api;
mod call;
pub(crate) mod connections;
mod deliver;
pub(crate) mod destinations;
pub(crate) mod record;
mod tokens;

pub(crate) use deliver::attributes;
pub(crate) use tokens::{Authorizer, ConnectionRef, Tokens};

use crate::engine::Engine;
use crate::fault::Fault;

/// Refuses an endpoint that is never called.
///
/// Differs: `http` is good too.
fn check_endpoint(engine: &Engine, member: &str, url: &str) -> Result<(), Fault> {
    let refused =
        |why: String| Fault::Validation(format!("Parameter {member} is not valid. Reason: {why}"));
    engine
        .web
        .check(url)
        .map_err(|why| refused(why.to_string()))
}
