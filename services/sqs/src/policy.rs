//! The policy of a queue, as AddPermission and RemovePermission edit it. Pure.

use serde_json::{Value, json};

use crate::fault::Fault;

/// Actions that AddPermission may name.  [SQS API: AddPermission]
const ACTIONS: &[&str] = &[
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];
/// Actions of one statement, accounts of one statement, statements of one policy.  [SQS quotas]
const ACTIONS_MAX: usize = 7;
const STATEMENTS_MAX: usize = 20;

fn bad(value: &str, parameter: &str, reason: &str) -> Fault {
    Fault::InvalidParameterValue(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    ))
}

fn parse(policy: Option<&str>) -> Option<Value> {
    serde_json::from_str(policy?).ok()
}

fn statements(policy: &mut Value) -> Option<&mut Vec<Value>> {
    policy.get_mut("Statement").and_then(Value::as_array_mut)
}

/// A list of one is written without brackets.
fn compact(mut all: Vec<Value>) -> Value {
    match all.len() {
        1 => all.remove(0),
        _ => Value::Array(all),
    }
}

pub(crate) fn add(
    policy: Option<&str>,
    arn: &str,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, Fault> {
    if let Some(action) = actions.iter().find(|a| !ACTIONS.contains(&a.as_str())) {
        let known = ACTIONS.join(", ");
        return Err(bad(
            &format!("SQS:{action}"),
            "ActionName",
            &format!("Please refer to the appropriate WSDL for a list of valid actions: {known}."),
        ));
    }
    if actions.len() > ACTIONS_MAX {
        return Err(Fault::OverLimit(format!(
            "{} Actions were found, maximum allowed is {ACTIONS_MAX}.",
            actions.len()
        )));
    }
    let mut policy = parse(policy).unwrap_or_else(|| {
        json!({"Version": "2008-10-17", "Id": format!("{arn}/SQSDefaultPolicy"), "Statement": []})
    });
    let all =
        statements(&mut policy).ok_or_else(|| Fault::InvalidAttributeValue("Policy".to_owned()))?;
    if all
        .iter()
        .any(|s| s.get("Sid").is_some_and(|sid| sid == label))
    {
        return Err(bad(label, "Label", "Already exists."));
    }
    if all.len() >= STATEMENTS_MAX {
        return Err(Fault::OverLimit(format!(
            "{} statements were found, maximum allowed is {STATEMENTS_MAX}.",
            all.len() + 1
        )));
    }
    let principals = accounts
        .iter()
        .map(|account| json!(format!("arn:aws:iam::{account}:root")));
    let actions = actions.iter().map(|action| json!(format!("SQS:{action}")));
    all.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": compact(principals.collect())},
        "Action": compact(actions.collect()),
        "Resource": arn,
    }));
    Ok(policy.to_string())
}

/// The policy without the statement; `None` if it was the last.
pub(crate) fn remove(policy: Option<&str>, label: &str) -> Result<Option<String>, Fault> {
    let none = || bad(label, "Label", "can't find label.");
    let mut policy = parse(policy).ok_or_else(none)?;
    let all = statements(&mut policy).ok_or_else(none)?;
    let before = all.len();
    all.retain(|s| s.get("Sid").is_none_or(|sid| sid != label));
    if all.len() == before {
        return Err(none());
    }
    Ok((!all.is_empty()).then(|| policy.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:q";

    #[test]
    fn permissions_come_and_go() {
        let accounts = ["111111111111".to_owned()];
        let add = |policy: Option<&str>, label, action: &str| {
            super::add(policy, ARN, label, &accounts, &[action.to_owned()])
        };
        let first = add(None, "a", "SendMessage").unwrap();
        let json: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(
            json,
            json!({"Version": "2008-10-17", "Id": format!("{ARN}/SQSDefaultPolicy"), "Statement": [{
                "Sid": "a", "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": "SQS:SendMessage", "Resource": ARN,
            }]})
        );
        assert!(add(Some(&first), "a", "*").is_err());
        assert!(add(Some(&first), "b", "CreateQueue").is_err());
        let second = add(Some(&first), "b", "*").unwrap();
        let one = remove(Some(&second), "a").unwrap().unwrap();
        assert!(remove(Some(&one), "a").is_err());
        assert_eq!(remove(Some(&one), "b").unwrap(), None);
        assert!(remove(None, "b").is_err());
    }
}
