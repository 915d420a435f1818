//! What a resource policy says about a request.  [IAM guide: policy evaluation logic]
//!
//! [`Policy::parse`] reads a document once; [`Policy::decide`] holds a [`Request`] against it. Pure:
//! who calls, and what the condition keys are, is told by the one who asks. Identity policies are not
//! here, and neither is the grammar that a service demands before it stores a document.
//!
//! ```
//! use model::policy::{Caller, Keys, Policy, Request, Verdict};
//!
//! let text = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},
//!     "Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:q",
//!     "Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::bucket"}}}]}"#;
//! let policy = Policy::parse(text)?;
//! let request = Request {
//!     caller: &Caller::Service("s3.amazonaws.com".to_owned()),
//!     action: "sqs:SendMessage",
//!     resource: "arn:aws:sqs:us-east-1:000000000000:q",
//!     keys: &Keys::new().with("aws:SourceArn", "arn:aws:s3:::bucket"),
//! };
//! assert_eq!(policy.decide(&request), Verdict::Allow);
//! # Ok::<(), model::policy::BadPolicy>(())
//! ```

mod compare;
mod condition;
mod pattern;
mod principal;
mod statement;

use std::collections::BTreeMap;

use serde_json::Value;

pub use principal::Caller;
use statement::Statement;

/// A document that cannot be evaluated: it is no JSON, or a member has a form that no policy has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the policy cannot be read: {0}")]
pub struct BadPolicy(pub(crate) String);

/// A resource policy, read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What someone wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub caller: &'a Caller,
    /// `sqs:SendMessage`; compared without regard to case.
    pub action: &'a str,
    /// The ARN of what it is done to.
    pub resource: &'a str,
    pub keys: &'a Keys,
}

/// What a policy says. Who may do something by other means (the owner of the resource, an identity
/// policy) is not known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it, whatever else allows it.
    Deny,
    /// No statement speaks of it.
    Silent,
}

/// Condition keys of a request and their values. Names are compared without regard to case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    pub fn new() -> Keys {
        Keys::default()
    }

    /// Adds a value; a key that comes twice has both.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Keys {
        let values = self.0.entry(key.to_ascii_lowercase()).or_default();
        values.push(value.into());
        self
    }

    /// As [`Keys::with`], where there may be no value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl Into<String>>) -> Keys {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// These keys and others; a key of both has the values of both.
    #[must_use]
    pub fn and(mut self, others: Keys) -> Keys {
        for (key, values) in others.0 {
            self.0.entry(key).or_default().extend(values);
        }
        self
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// Fails if it is no policy. A condition operator that does not exist is an error too: a statement
    /// must never be taken for one that asks less.
    pub fn parse(text: &str) -> Result<Policy, BadPolicy> {
        let document: Value =
            serde_json::from_str(text).map_err(|e| BadPolicy(format!("no JSON: {e}")))?;
        Policy::read(&document)
    }

    /// As [`Policy::parse`], of a document that was taken apart.
    ///
    /// # Errors
    /// As there.
    pub fn read(document: &Value) -> Result<Policy, BadPolicy> {
        let statements = match document.get("Statement") {
            Some(Value::Array(all)) => all.iter().map(Statement::read).collect::<Result<_, _>>()?,
            Some(one) => vec![Statement::read(one)?],
            None => return Err(BadPolicy("no Statement".to_owned())),
        };
        Ok(Policy { statements })
    }

    /// What the policy says of `request`.
    pub fn decide(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statements.iter().filter(|s| s.speaks_of(request)) {
            match statement.is_deny() {
                true => return Verdict::Deny,
                false => verdict = Verdict::Allow,
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests;
