use std::sync::Arc;

use http::HeaderValue;

/// Who calls, where, and when: everything about a request that is not its input.
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Facts>);

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) request_id: String,
    pub(crate) operation: &'static str,
    pub(crate) access_key: Option<String>,
    pub(crate) principal: Option<crate::access::Principal>,
    pub(crate) is_verified: bool,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) trace: Option<HeaderValue>,
    pub(crate) now_unix_ms: i64,
}

impl Context {
    pub(crate) fn new(facts: Facts) -> Context {
        Context(Arc::new(facts))
    }

    /// A caller with the root identity of `account`, at the beginning of Unix time.
    pub fn for_tests(account: &str, region: &str) -> Context {
        Context::new(Facts {
            account: account.to_owned(),
            region: region.to_owned(),
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            operation: "",
            access_key: None,
            principal: None,
            is_verified: false,
            host: Some(HeaderValue::from_static("127.0.0.1:4566")),
            user_agent: None,
            trace: None,
            now_unix_ms: 0,
        })
    }

    /// The same request at another time; for tests.
    #[must_use]
    pub fn at(&self, now_unix_ms: i64) -> Context {
        Context::new(Facts {
            now_unix_ms,
            ..(*self.0).clone()
        })
    }

    /// Twelve digits: those of the access key, or the configured default account.
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// The region of the credential scope, or the configured default region.
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// The id that the answer carries as `x-amzn-RequestId`.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The operation's AWS name; empty outside of a router.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    pub fn access_key(&self) -> Option<&str> {
        self.0.access_key.as_deref()
    }

    /// The caller's ARN: that of the credential if it names one, else the account's root.
    pub fn principal_arn(&self) -> String {
        match &self.0.principal {
            Some(principal) => principal.arn.clone(),
            None => format!("arn:aws:iam::{}:root", self.0.account),
        }
    }

    /// The caller's unique id as `GetCallerIdentity` shows it; the account id for its root.
    pub fn user_id(&self) -> &str {
        match &self.0.principal {
            Some(principal) => &principal.user_id,
            None => &self.0.account,
        }
    }

    /// Whether the request's signature was checked and is right. False in the modes off and parse.
    pub fn is_verified(&self) -> bool {
        self.0.is_verified
    }

    /// The authority (host and port) under which the client reached us; empty if it sent none.
    pub fn host(&self) -> &str {
        text(self.0.host.as_ref())
    }

    /// Empty if the client sent none.
    pub fn user_agent(&self) -> &str {
        text(self.0.user_agent.as_ref())
    }

    /// The header `X-Amzn-Trace-Id`, with the chain of calls that the caller itself is part of; empty if
    /// there is none.
    pub fn trace(&self) -> &str {
        text(self.0.trace.as_ref())
    }

    pub fn now_unix_ms(&self) -> i64 {
        self.0.now_unix_ms
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|v| v.to_str().ok()).unwrap_or_default()
}
