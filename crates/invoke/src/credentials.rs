//! The session keys that functions run with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::lineage;
use model::{Account, RoleArn};
use tasks::Ids;

/// What temporary access keys begin with.  [IAM guide: unique identifiers]
const PREFIX: &str = "ASIA";

/// The keys of one environment.
pub struct Issued {
    pub access_key: String,
    pub secret: String,
    pub token: String,
    pub account: Account,
    pub role: RoleArn,
    /// Name of the session: the function's name.
    pub session: String,
    /// The trace header of the call that runs in the environment, or ran last.
    pub(crate) trace: Mutex<String>,
}

/// Keys of the environments that live now; they end with their environment.
#[derive(Clone, Default)]
pub struct SessionKeys(Arc<RwLock<HashMap<String, Arc<Issued>>>>);

impl SessionKeys {
    pub(crate) fn issue(
        &self,
        ids: &Ids,
        account: &Account,
        role: &RoleArn,
        session: &str,
    ) -> Arc<Issued> {
        let issued = Arc::new(Issued {
            access_key: format!("{PREFIX}{}", ids.upper_alphanumeric(16)),
            secret: ids.hex(20),
            token: ids.hex(64),
            account: account.clone(),
            role: role.clone(),
            session: session.to_owned(),
            trace: Mutex::default(),
        });
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(issued.access_key.clone(), issued.clone());
        issued
    }

    pub(crate) fn revoke(&self, access_key: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(access_key);
    }

    /// The trace header of a request that the holder of `access_key` makes, if that is an environment: the
    /// request belongs to the chain of the call that runs there, whatever the caller sent.
    pub fn trace(&self, access_key: &str, given: Option<&str>) -> Option<String> {
        // Theirs begin so; most others need not be looked for.
        if !access_key.starts_with(PREFIX) {
            return None;
        }
        lineage::chained(given, &self.find(access_key)?.trace())
    }

    /// Whose key this is.
    pub fn find(&self, access_key: &str) -> Option<Arc<Issued>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(access_key)
            .cloned()
    }
}

/// The keys of one environment while it lives; dropping it ends them.
pub(crate) struct KeyGuard {
    keys: SessionKeys,
    pub(crate) issued: Arc<Issued>,
}

impl KeyGuard {
    pub(crate) fn new(keys: &SessionKeys, issued: Arc<Issued>) -> KeyGuard {
        KeyGuard {
            keys: keys.clone(),
            issued,
        }
    }

    /// Ends them before everything that holds them is gone. Harmless if repeated.
    pub(crate) fn revoke(&self) {
        self.keys.revoke(&self.issued.access_key);
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.revoke();
    }
}

impl Issued {
    /// A call begins.
    pub(crate) fn begin(&self, trace: &str) {
        let mut own = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        own.clear();
        own.push_str(trace);
    }

    /// The trace header of what the environment sends; empty before its first call.
    pub fn trace(&self) -> String {
        let trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.clone()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_key_is_unknown() {
        let keys = SessionKeys::default();
        let role = "arn:aws:iam::000000000000:role/r".parse().unwrap();
        let account = "000000000000".parse().unwrap();
        let issued = keys.issue(&Ids::seeded(1), &account, &role, "f");
        assert_eq!(keys.find(&issued.access_key).unwrap().session, "f");
        keys.revoke(&issued.access_key);
        assert!(keys.find(&issued.access_key).is_none());
    }

    /// R8: a client that sends no header, or one of its own, is in the chain of the call that runs.
    #[test]
    fn what_an_environment_sends_belongs_to_its_call() {
        let keys = SessionKeys::default();
        let role = "arn:aws:iam::000000000000:role/r".parse().unwrap();
        let account = "000000000000".parse().unwrap();
        let issued = keys.issue(&Ids::seeded(1), &account, &role, "f");
        let sent = |given| keys.trace(&issued.access_key, given);
        assert_eq!(sent(Some("Root=1-b")).as_deref(), Some("Root=1-b"));
        issued.begin("Root=1-a;Lineage=1:00000001:9");
        assert_eq!(sent(None).as_deref(), Some("Root=1-a;Lineage=1:00000001:9"));
        let own = sent(Some("Root=1-b"));
        assert_eq!(own.as_deref(), Some("Root=1-b;Lineage=1:00000001:9"));
        assert_eq!(keys.trace("AKIAOTHER", Some("Root=1-b")), None);
        assert_eq!(keys.trace("ASIAOTHER", None), None);
    }
}
