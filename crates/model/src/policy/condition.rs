use serde_json::Value;

use super::compare::Operator;
use super::statement::texts;
use super::{BadPolicy, Keys};

/// One operator, one key and the values that the policy has for it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Condition {
    set: Set,
    operator: Operator,
    is_optional: bool,
    key: String,
    values: Vec<String>,
}

/// How a key with several values is held against the policy.  [IAM guide: multivalued context keys]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    /// Written for keys with one value; any of several is enough.
    Unsaid,
    Any,
    All,
}

impl Condition {
    pub(super) fn read_all(block: &Value) -> Result<Vec<Condition>, BadPolicy> {
        let bad = || BadPolicy("a Condition is no object".to_owned());
        let mut all = Vec::new();
        for (word, keys) in block.as_object().ok_or_else(bad)? {
            let (set, rest) = match word.split_once(':') {
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case("ForAnyValue") => {
                    (Set::Any, rest)
                }
                Some((prefix, rest)) if prefix.eq_ignore_ascii_case("ForAllValues") => {
                    (Set::All, rest)
                }
                _ => (Set::Unsaid, word.as_str()),
            };
            let lower = rest.to_ascii_lowercase();
            let (name, is_optional) = match lower.strip_suffix("ifexists") {
                Some(name) => (name, true),
                None => (lower.as_str(), false),
            };
            let operator = Operator::named(name)
                .ok_or_else(|| BadPolicy(format!("no condition operator {word}")))?;
            for (key, values) in keys.as_object().ok_or_else(bad)? {
                all.push(Condition {
                    set,
                    operator,
                    is_optional,
                    key: key.clone(),
                    values: texts(values)?,
                });
            }
        }
        Ok(all)
    }

    pub(super) fn holds(&self, keys: &Keys) -> bool {
        let found = keys.get(&self.key);
        if self.operator == Operator::Null {
            let is_absent = found.is_none_or(<[String]>::is_empty).to_string();
            return self
                .values
                .iter()
                .any(|v| v.eq_ignore_ascii_case(&is_absent));
        }
        let Some(found) = found.filter(|values| !values.is_empty()) else {
            return match self.set {
                Set::All => true,
                Set::Any => self.is_optional,
                // What is not there is not equal to anything.
                Set::Unsaid => self.is_optional || self.operator.is_negated(),
            };
        };
        let one = |value: &String| self.holds_for(value, keys);
        match self.set {
            Set::Unsaid | Set::Any => found.iter().any(one),
            Set::All => found.iter().all(one),
        }
    }

    /// A negated operator asks that none of the policy's values fits.
    fn holds_for(&self, value: &str, keys: &Keys) -> bool {
        let fits = |own: &String| self.operator.fits(own, value, keys);
        match self.operator.is_negated() {
            true => !self.values.iter().any(fits),
            false => self.values.iter().any(fits),
        }
    }
}
