//! Filter policies: which messages a subscription gets. Pure.
//! [SNS guide: subscription filter policies]
//!
//! ```text
//! text ─▶ reader (JSON with places) ─▶ compile (checks) ─▶ Policy ── matches ──▶ Fields of a message
//! ```

mod compile;
mod condition;
mod fields;
mod reader;

use crate::fault::Fault;
pub(crate) use compile::Policy;
pub(crate) use fields::Fields;

/// JSON whose errors are told as those of a filter policy.
pub(crate) fn parse(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|_| {
        let mut reader = reader::Reader::new(text);
        loop {
            match reader.next() {
                Ok(reader::Token::End) => return "failed to parse JSON.".to_owned(),
                Ok(_) => {}
                Err(broken) => return broken,
            }
        }
    })
}

/// What a policy is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    Attributes,
    Body,
}

impl Scope {
    pub(crate) fn parse(text: &str) -> Result<Scope, Fault> {
        match text {
            "MessageAttributes" => Ok(Scope::Attributes),
            "MessageBody" => Ok(Scope::Body),
            _ => Err(Fault::parameter(format!(
                "FilterPolicyScope: Invalid value [{text}]. Please use either MessageBody or \
                 MessageAttributes"
            ))),
        }
    }
}

/// Why a text is no filter policy, in the words of AWS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// Of the policy itself.
    Policy(String),
    /// Of policy and scope together.
    Scope(&'static str),
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Fault {
        match wrong {
            Wrong::Policy(text) => Fault::parameter(format!("FilterPolicy: {text}")),
            Wrong::Scope(text) => Fault::parameter(text),
        }
    }
}

impl Policy {
    /// Whether the subscription gets a message with these fields.
    pub(crate) fn matches(&self, fields: &Fields) -> bool {
        self.rules.iter().any(|rule| rule.matches(fields))
    }
}

#[cfg(test)]
mod tests;
