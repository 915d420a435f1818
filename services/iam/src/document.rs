use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a policy document is for; the grammar differs.  [IAM guide: grammar of the JSON policy language]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Permissions: actions on resources, without a principal.
    Identity,
    /// Who may take a role on: principals, without resources.
    Trust,
}

/// A policy document that is not well formed; the text is the message of `MalformedPolicyDocument`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(String);

impl Malformed {
    fn new(text: impl Into<String>) -> Malformed {
        Malformed(text.into())
    }

    fn syntax() -> Malformed {
        Malformed::new("Syntax errors in policy.")
    }
}

/// Holds a policy document against the grammar; the evaluation of policies is not here.
pub(crate) fn check(text: &str, purpose: Purpose) -> Result<(), Malformed> {
    let Ok(Value::Object(document)) = serde_json::from_str(text) else {
        return Err(match purpose {
            Purpose::Identity => Malformed::syntax(),
            Purpose::Trust => Malformed::new("This policy contains invalid Json"),
        });
    };
    only(&document, &["Version", "Id", "Statement"])?;
    check_version(document.get("Version"), purpose)?;
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(Malformed::syntax()),
    };
    let mut sids = BTreeSet::new();
    for statement in statements {
        let statement = statement.as_object().ok_or_else(Malformed::syntax)?;
        check_statement(statement, purpose)?;
        if let Some(sid) = statement.get("Sid") {
            check_sid(sid, &mut sids)?;
        }
    }
    Ok(())
}

/// The characters that count against the size quotas: all but white space.  [IAM quotas]
pub(crate) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn only(map: &Map<String, Value>, allowed: &[&str]) -> Result<(), Malformed> {
    if map.keys().all(|k| allowed.contains(&k.as_str())) {
        Ok(())
    } else {
        Err(Malformed::syntax())
    }
}

fn check_version(version: Option<&Value>, purpose: Purpose) -> Result<(), Malformed> {
    match (version, purpose) {
        (Some(Value::String(v)), _) if v == "2012-10-17" => Ok(()),
        (None, Purpose::Trust) => Ok(()),
        (Some(Value::String(v)), Purpose::Trust) if v == "2008-10-17" => Ok(()),
        (Some(Value::String(v)), Purpose::Identity) if v == "2008-10-17" => Err(too_old()),
        (None, Purpose::Identity) => Err(too_old()),
        _ => Err(Malformed::syntax()),
    }
}

fn too_old() -> Malformed {
    Malformed::new("Policy document must be version 2012-10-17 or greater.")
}

fn check_sid(sid: &Value, seen: &mut BTreeSet<String>) -> Result<(), Malformed> {
    let sid = sid.as_str().ok_or_else(Malformed::syntax)?;
    if !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Malformed::new(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the \
             regular expression [0-9A-Za-z]*",
        ));
    }
    if !sid.is_empty() && !seen.insert(sid.to_owned()) {
        return Err(Malformed::new(
            "Statement IDs (SID) in a single policy must be unique.",
        ));
    }
    Ok(())
}

fn check_statement(statement: &Map<String, Value>, purpose: Purpose) -> Result<(), Malformed> {
    only(
        statement,
        &[
            "Sid",
            "Effect",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
            "Principal",
            "NotPrincipal",
        ],
    )?;
    match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        _ if purpose == Purpose::Trust && !statement.contains_key("Effect") => {
            return Err(Malformed::new("Missing required field Effect"));
        }
        _ => return Err(Malformed::syntax()),
    }
    if let Some(condition) = statement.get("Condition") {
        check_condition(condition)?;
    }
    match purpose {
        Purpose::Identity => check_identity(statement),
        Purpose::Trust => check_trust(statement),
    }
}

fn check_identity(statement: &Map<String, Value>) -> Result<(), Malformed> {
    if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
        return Err(Malformed::new(
            "Policy document should not specify a principal.",
        ));
    }
    for action in one_of(statement, "Action", "NotAction")?
        .ok_or_else(|| Malformed::new("Policy statement must contain actions."))?
    {
        check_action(action)?;
    }
    for resource in one_of(statement, "Resource", "NotResource")?
        .ok_or_else(|| Malformed::new("Policy statement must contain resources."))?
    {
        check_resource(resource)?;
    }
    Ok(())
}

fn check_trust(statement: &Map<String, Value>) -> Result<(), Malformed> {
    for field in ["Resource", "NotResource", "NotPrincipal"] {
        if statement.contains_key(field) {
            return Err(Malformed::new(format!("Has prohibited field {field}")));
        }
    }
    match statement.get("Principal") {
        None => return Err(Malformed::new("Missing required field Principal")),
        Some(Value::String(any)) if any == "*" => {}
        Some(Value::Object(kinds)) if !kinds.is_empty() => check_principals(kinds)?,
        Some(_) => return Err(Malformed::syntax()),
    }
    let actions = one_of(statement, "Action", "NotAction")?
        .ok_or_else(|| Malformed::new("Missing required field Action"))?;
    for action in actions {
        check_action(action)?;
        let is_sts = action
            .split_once(':')
            .is_some_and(|(vendor, _)| vendor.eq_ignore_ascii_case("sts"));
        if !is_sts {
            return Err(Malformed::new(
                "AssumeRole policy may only specify STS AssumeRole actions.",
            ));
        }
    }
    Ok(())
}

/// The texts under one of two members that exclude each other; `None` if neither is there.
fn one_of<'a>(
    statement: &'a Map<String, Value>,
    member: &str,
    negated: &str,
) -> Result<Option<Vec<&'a str>>, Malformed> {
    match (statement.get(member), statement.get(negated)) {
        (Some(_), Some(_)) => Err(Malformed::syntax()),
        (Some(value), None) | (None, Some(value)) => {
            let found = texts(value)?;
            Ok((!found.is_empty()).then_some(found))
        }
        (None, None) => Ok(None),
    }
}

fn texts(value: &Value) -> Result<Vec<&str>, Malformed> {
    match value {
        Value::String(one) => Ok(vec![one]),
        Value::Array(many) => many
            .iter()
            .map(|v| v.as_str().ok_or_else(Malformed::syntax))
            .collect(),
        _ => Err(Malformed::syntax()),
    }
}

fn check_action(action: &str) -> Result<(), Malformed> {
    if action == "*" {
        return Ok(());
    }
    let mut parts = action.split(':');
    let (Some(vendor), Some(name)) = (parts.next(), parts.next()) else {
        return Err(Malformed::new(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ));
    };
    if parts.next().is_some() {
        return Err(Malformed::new(
            "Actions/Condition can contain only one colon.",
        ));
    }
    if vendor.is_empty()
        || !vendor
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err(Malformed::new(format!("Vendor {vendor} is not valid")));
    }
    if name.is_empty() {
        return Err(Malformed::syntax());
    }
    Ok(())
}

fn check_resource(resource: &str) -> Result<(), Malformed> {
    if resource == "*" {
        return Ok(());
    }
    let mut parts = resource.splitn(6, ':');
    if parts.next() != Some("arn") {
        return Err(Malformed::new(format!(
            "Resource {resource} must be in ARN format or \"*\"."
        )));
    }
    match parts.next() {
        Some(partition) if partition == "*" || partition.starts_with("aws") => {}
        Some(partition) => {
            return Err(Malformed::new(format!(
                "Partition \"{partition}\" is not valid for resource \"{resource}\"."
            )));
        }
        None => return Err(Malformed::new("The policy failed legacy parsing")),
    }
    // vendor, region, account and the rest; a closing wildcard may stand for what is left out
    if parts.count() < 4 && !resource.ends_with('*') {
        return Err(Malformed::new("The policy failed legacy parsing"));
    }
    Ok(())
}

fn check_principals(kinds: &Map<String, Value>) -> Result<(), Malformed> {
    for (kind, names) in kinds {
        let label = match kind.as_str() {
            "AWS" => "AWS",
            "Service" => "SERVICE",
            "Federated" => "FEDERATED",
            "CanonicalUser" => "CANONICALUSER",
            _ => return Err(Malformed::syntax()),
        };
        for name in texts(names)? {
            let is_known = match label {
                "AWS" => {
                    name == "*"
                        || name.starts_with("arn:")
                        || (name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit()))
                        // the unique id of a principal that was deleted
                        || name.starts_with("AROA")
                        || name.starts_with("AIDA")
                }
                "SERVICE" => name == "*" || name.contains(".amazon"),
                _ => !name.is_empty(),
            };
            if !is_known {
                return Err(Malformed::new(format!(
                    "Invalid principal in policy: \"{label}\":\"{name}\""
                )));
            }
        }
    }
    Ok(())
}

/// The operators without `IfExists` and the set prefixes.  [IAM guide: condition operators]
const OPERATORS: [&str; 27] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "BinaryEquals",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "Null",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
];

fn check_condition(condition: &Value) -> Result<(), Malformed> {
    let operators = condition.as_object().ok_or_else(Malformed::syntax)?;
    for (operator, keys) in operators {
        let name = operator
            .strip_prefix("ForAllValues:")
            .or_else(|| operator.strip_prefix("ForAnyValue:"))
            .unwrap_or(operator);
        let name = name.strip_suffix("IfExists").unwrap_or(name);
        if !OPERATORS.iter().any(|o| o.eq_ignore_ascii_case(name)) {
            return Err(Malformed::syntax());
        }
        let keys = keys.as_object().ok_or_else(Malformed::syntax)?;
        let is_scalar = |v: &Value| v.is_string() || v.is_boolean() || v.is_number();
        let all_scalar = keys.values().all(|values| match values {
            Value::Array(list) => list.iter().all(is_scalar),
            one => is_scalar(one),
        });
        if !all_scalar {
            return Err(Malformed::syntax());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(statement: &str) -> Result<(), String> {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        check(&text, Purpose::Identity).map_err(|e| e.to_string())
    }

    fn trust(statement: &str) -> Result<(), String> {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        check(&text, Purpose::Trust).map_err(|e| e.to_string())
    }

    #[test]
    fn permissions_that_aws_takes_are_taken() {
        for good in [
            r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#,
            r#"{"Sid":"a1","Effect":"Deny","NotAction":["iam:*","sts:*"],"NotResource":["arn:aws:s3:::b/${aws:username}/*"]}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*"}"#,
            r#"{"Effect":"Allow","Action":["sqs:*"],"Resource":"arn:aws:sqs:us-east-1:000000000000:q","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a"]},"Bool":{"aws:SecureTransport":true}}}"#,
        ] {
            assert_eq!(identity(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn each_fault_of_permissions_has_the_words_of_aws() {
        for (bad, words) in [
            (
                r#"{"Effect":"Allow","Action":"s3:*"}"#,
                "Policy statement must contain resources.",
            ),
            (
                r#"{"Effect":"Allow","Resource":"*"}"#,
                "Policy statement must contain actions.",
            ),
            (
                r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#,
                "Policy statement must contain actions.",
            ),
            (
                r#"{"Effect":"Maybe","Action":"s3:*","Resource":"*"}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Action":"s3:*","Resource":"*"}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Effect":"Allow","Action":7,"Resource":"*"}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Extra":1}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Odd":{}}}"#,
                "Syntax errors in policy.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}"#,
                "Policy document should not specify a principal.",
            ),
            (
                r#"{"Effect":"Allow","Action":"getobject","Resource":"*"}"#,
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (
                r#"{"Effect":"Allow","Action":"a:b:c","Resource":"*"}"#,
                "Actions/Condition can contain only one colon.",
            ),
            (
                r#"{"Effect":"Allow","Action":"s 3:x","Resource":"*"}"#,
                "Vendor s 3 is not valid",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}"#,
                "Resource bucket must be in ARN format or \"*\".",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:azure:s3:::b"}"#,
                "Partition \"azure\" is not valid for resource \"arn:azure:s3:::b\".",
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3"}"#,
                "The policy failed legacy parsing",
            ),
            (
                r#"{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"s3:*","Resource":"*"}"#,
                "Statement IDs (SID) in a single policy must be unique.",
            ),
            ("", "Syntax errors in policy."),
        ] {
            assert_eq!(identity(bad), Err(words.to_owned()), "{bad}");
        }
    }

    #[test]
    fn permissions_need_the_current_version_and_trust_does_not() {
        let old = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
        assert!(check(old, Purpose::Identity).is_err());
        let old = r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}"#;
        assert_eq!(check(old, Purpose::Trust), Ok(()));
    }

    #[test]
    fn each_fault_of_a_trust_has_the_words_of_aws() {
        for (bad, words) in [
            (
                r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#,
                "Missing required field Principal",
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}"#,
                "Has prohibited field Resource",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*"}"#,
                "Missing required field Action",
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"s3:*"}"#,
                "AssumeRole policy may only specify STS AssumeRole actions.",
            ),
            (
                r#"{"Effect":"Allow","Principal":{"Service":"lambda"},"Action":"sts:AssumeRole"}"#,
                "Invalid principal in policy: \"SERVICE\":\"lambda\"",
            ),
            (
                r#"{"Effect":"Allow","Principal":{"AWS":"me"},"Action":"sts:AssumeRole"}"#,
                "Invalid principal in policy: \"AWS\":\"me\"",
            ),
            ("[]", "Syntax errors in policy."),
        ] {
            assert_eq!(trust(bad), Err(words.to_owned()), "{bad}");
        }
        assert_eq!(
            check("{", Purpose::Trust).unwrap_err().to_string(),
            "This policy contains invalid Json"
        );
    }

    #[test]
    fn white_space_is_free() {
        assert_eq!(size(" {\n\t\"a\": 1 } "), 7);
    }
}
