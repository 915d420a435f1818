use std::net::IpAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;

use crate::access::{Access, Mode};
use crate::{CallInfo, Fault, Protocol, RawResponse};

/// What answers requests to hosts that are no AWS endpoint, such as URLs of functions. Its requests
/// need no signature, unless it asks for one with [`Hosted::signer`].
pub trait Hosts: Send + Sync {
    /// Whether a host is its own. Called for every request, so it must be cheap.
    fn has(&self, host: &str) -> bool;

    /// Longest request body, in bytes.
    fn body_bytes_max(&self) -> u64;

    fn answer(&self, request: Hosted) -> BoxFuture<'_, RawResponse>;
}

/// The address of the client, which the listener puts into the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A request to a host of [`Hosts`], read and not judged.
pub struct Hosted {
    /// The method, the address and the headers.
    pub parts: Parts,
    /// The bytes of a body that is too long, or why there is none.
    pub body: Result<Bytes, BodyFault>,
    pub call: CallInfo,
    pub(crate) access: Access,
}

/// Why a request has no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    TooLong,
    /// The client went away or was too slow.
    Broken,
}

/// Who signed a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// Twelve digits.
    pub account: String,
    pub access_key: String,
    pub arn: String,
    pub user_id: String,
}

impl Hosted {
    /// Who signed the request for `service`. A signature must be there in every mode; whether it is
    /// right is looked at as the mode says.
    ///
    /// # Errors
    /// Fails if there is none, or a wrong one.
    pub fn signed_by(&mut self, service: &str) -> Result<SignedBy, Fault> {
        let denied = |why: crate::access::Denied| why.fault(Protocol::RestJson);
        let access = match self.access.mode() {
            Mode::Off => self.access.clone().in_mode(Mode::Parse),
            _ => self.access.clone(),
        };
        let (now, is_loopback) = (self.call.now_unix_ms, self.call.loopback);
        let mut admitted = access
            .admit(&self.parts, Some(service), now, is_loopback)
            .map_err(denied)?;
        if let Ok(body) = &mut self.body {
            *body = admitted
                .settle(&self.parts, std::mem::take(body))
                .map_err(denied)?;
        }
        let identity = admitted.identity;
        let root = format!("arn:aws:iam::{}:root", identity.account);
        let (arn, user_id) = match identity.principal {
            Some(principal) => (principal.arn, principal.user_id),
            None => (root, identity.account.clone()),
        };
        Ok(SignedBy {
            access_key: identity.access_key.unwrap_or_default(),
            account: identity.account,
            arn,
            user_id,
        })
    }
}
