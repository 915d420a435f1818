use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::{Case, Pattern};
use super::principal::Principals;
use super::{BadPolicy, Request};

/// One statement of a policy.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Statement {
    is_deny: bool,
    principals: Principals,
    actions: Choice,
    resources: Choice,
    /// All of them must hold.
    conditions: Vec<Condition>,
}

/// A list, or everything that is not on it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Choice {
    Unsaid,
    These(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

impl Choice {
    fn read(
        statement: &Map<String, Value>,
        member: &str,
        negated: &str,
    ) -> Result<Choice, BadPolicy> {
        let patterns = |value: &Value| -> Result<Vec<Pattern>, BadPolicy> {
            Ok(texts(value)?.iter().map(|t| Pattern::read(t)).collect())
        };
        match (statement.get(member), statement.get(negated)) {
            (None, None) => Ok(Choice::Unsaid),
            (Some(these), None) => Ok(Choice::These(patterns(these)?)),
            (None, Some(these)) => Ok(Choice::AllBut(patterns(these)?)),
            _ => Err(BadPolicy(format!("{member} and {negated}"))),
        }
    }

    fn includes(&self, fits: impl Fn(&Pattern) -> bool) -> bool {
        match self {
            Choice::Unsaid => true,
            Choice::These(all) => all.iter().any(fits),
            Choice::AllBut(all) => !all.iter().any(fits),
        }
    }
}

impl Statement {
    pub(super) fn read(value: &Value) -> Result<Statement, BadPolicy> {
        let statement = value
            .as_object()
            .ok_or_else(|| BadPolicy("a statement is no object".to_owned()))?;
        let actions = Choice::read(statement, "Action", "NotAction")?;
        if actions == Choice::Unsaid {
            return Err(BadPolicy("a statement without Action".to_owned()));
        }
        Ok(Statement {
            is_deny: match statement.get("Effect").and_then(Value::as_str) {
                Some("Allow") => false,
                Some("Deny") => true,
                _ => return Err(BadPolicy("a statement without Effect".to_owned())),
            },
            principals: Principals::read(statement)?,
            actions,
            // Some resource policies speak of their resource only.
            resources: Choice::read(statement, "Resource", "NotResource")?,
            conditions: match statement.get("Condition") {
                Some(block) => Condition::read_all(block)?,
                None => Vec::new(),
            },
        })
    }

    pub(super) fn is_deny(&self) -> bool {
        self.is_deny
    }

    pub(super) fn speaks_of(&self, request: &Request<'_>) -> bool {
        let keys = request.keys;
        self.principals.include(request.caller)
            && self
                .actions
                .includes(|p| p.covers(request.action, Case::Ignored, keys))
            && self
                .resources
                .includes(|p| p.covers_arn(request.resource, keys))
            && self.conditions.iter().all(|c| c.holds(keys))
    }
}

/// One text, or a list of them.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, BadPolicy> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(is) => Ok(is.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(BadPolicy("a value is no text".to_owned())),
    };
    match value {
        Value::Array(all) => all.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}
