//! Who may speak: credentials, and how strictly a signature is looked at.

mod admit;
mod denied;
mod page;

use std::fmt;
use std::sync::Arc;

use crate::sigv4::key::Keys;

pub(crate) use admit::{Admitted, Hint, Identity};
pub(crate) use denied::Denied;

/// How strictly requests are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nothing is refused; account and region are taken from a credential that can be read.
    Off,
    /// A well-formed authentication must be there; its signature is not checked.
    Parse,
    /// The key must be known and the signature right.
    Strict,
}

/// A secret access key or session token. Never printed.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The identity behind a credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// For example `arn:aws:sts::000000000000:assumed-role/role/function`.
    pub arn: String,
    /// For example `AROAEXAMPLE:function`, or the account id for its root.
    pub user_id: String,
}

/// What is known of an access key.
#[derive(Clone, Debug)]
pub struct Credential {
    pub secret: Secret,
    /// Twelve digits.
    pub account: String,
    /// None for the root of the account.
    pub principal: Option<Principal>,
    /// Temporary credentials are good only together with their token.
    pub session_token: Option<Secret>,
    /// When temporary credentials end.
    pub expires_unix_ms: Option<i64>,
}

/// Looks up what is known of an access key. Called for every request, so it must not wait.
pub trait Credentials: Send + Sync {
    fn find(&self, access_key: &str) -> Option<Credential>;

    /// The trace header that a request of this key has in truth, where that is not the `given` one: its holder
    /// may itself be part of a chain of calls.
    fn trace(&self, _access_key: &str, _given: Option<&str>) -> Option<String> {
        None
    }
}

/// Knows no key.
#[derive(Clone, Copy, Debug)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn find(&self, _access_key: &str) -> Option<Credential> {
        None
    }
}

/// The rules by which a [`Router`](crate::Router) lets requests in. Clones share one key cache.
#[derive(Clone)]
pub struct Access {
    mode: Mode,
    credentials: Arc<dyn Credentials>,
    account: Arc<str>,
    region: Arc<str>,
    /// Names of this server, in lower case.
    hosts: Arc<[String]>,
    keys: Arc<Keys>,
}

impl Access {
    /// Callers that are not on the loopback interface always need [`Mode::Strict`].
    pub fn new(mode: Mode, credentials: Arc<dyn Credentials>) -> Access {
        Access {
            mode,
            credentials,
            account: Arc::from("000000000000"),
            region: Arc::from("us-east-1"),
            hosts: Arc::default(),
            keys: Arc::default(),
        }
    }

    /// Nothing is refused.
    pub fn off() -> Access {
        Access::new(Mode::Off, Arc::new(NoCredentials))
    }

    /// The account of callers whose key names none; `000000000000` unless set.
    #[must_use]
    pub fn default_account(mut self, account: &str) -> Access {
        self.account = Arc::from(account);
        self
    }

    /// What [`Credentials::trace`] says of a request.
    pub(crate) fn trace(&self, access_key: Option<&str>, given: Option<&str>) -> Option<String> {
        self.credentials.trace(access_key?, given)
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn in_mode(mut self, mode: Mode) -> Access {
        self.mode = mode;
        self
    }

    /// The region of callers without a credential scope; `us-east-1` unless set.
    #[must_use]
    pub fn default_region(mut self, region: &str) -> Access {
        self.region = Arc::from(region);
        self
    }

    /// Names by which clients may ask where signatures are not checked, besides addresses and names that are
    /// nobody's; names below them are good too.
    #[must_use]
    pub fn own_hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a String>) -> Access {
        self.hosts = hosts.into_iter().map(|h| h.to_ascii_lowercase()).collect();
        self
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
