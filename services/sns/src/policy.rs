//! The policies of topics: the default one, and statements that come and go.

use serde_json::{Value, json};

use crate::fault::Fault;

/// What a statement may name.  [SNS guide: API permissions]
const ACTIONS: &[&str] = &[
    "AddPermission",
    "DeleteTopic",
    "GetDataProtectionPolicy",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
    "ListTagsForResource",
    "Publish",
    "PutDataProtectionPolicy",
    "Receive",
    "RemovePermission",
    "SetTopicAttributes",
    "Subscribe",
];

/// Statements of one policy.  [SNS quotas]
const STATEMENTS_MAX: usize = 100;
/// Bytes of one policy.
const POLICY_BYTES_MAX: usize = 30_720;

/// The policy of a topic that has set none: its owner may do everything.
pub(crate) fn default(topic_arn: &str, owner: &str) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "SNS:GetTopicAttributes",
                "SNS:SetTopicAttributes",
                "SNS:AddPermission",
                "SNS:RemovePermission",
                "SNS:DeleteTopic",
                "SNS:Subscribe",
                "SNS:ListSubscriptionsByTopic",
                "SNS:Publish",
            ],
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": owner}},
        }],
    })
    .to_string()
}

/// Checks a policy that a caller sets.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    let wrong = || Fault::parameter("Policy Error: null");
    if text.len() > POLICY_BYTES_MAX {
        return Err(Fault::parameter("Policy too large"));
    }
    let policy: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    model::policy::Policy::read(&policy).map_err(|_| wrong())?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => return Err(wrong()),
    };
    let actions = statements
        .iter()
        .flat_map(|statement| match statement.get("Action") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            _ => Vec::new(),
        });
    for action in actions {
        let is_ours = action == "*"
            || action.split_once(':').is_some_and(|(service, name)| {
                service.eq_ignore_ascii_case("sns") && is_action(name)
            });
        if !is_ours {
            return Err(out_of_scope());
        }
    }
    Ok(())
}

fn is_action(name: &str) -> bool {
    name.contains(['*', '?']) || ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn out_of_scope() -> Fault {
    Fault::parameter("Policy statement action out of service scope!")
}

/// One thing alone, or a list.
fn compact(mut all: Vec<Value>) -> Value {
    match all.len() {
        1 => all.remove(0),
        _ => Value::Array(all),
    }
}

fn statements(policy: &mut Value) -> Option<&mut Vec<Value>> {
    policy.get_mut("Statement")?.as_array_mut()
}

/// The policy with one more statement.
pub(crate) fn add(
    policy: &str,
    topic_arn: &str,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, Fault> {
    let mut policy: Value =
        serde_json::from_str(policy).map_err(|_| Fault::parameter("Policy Error: null"))?;
    let all = statements(&mut policy).ok_or_else(|| Fault::parameter("Policy Error: null"))?;
    if all
        .iter()
        .any(|s| s.get("Sid").is_some_and(|sid| sid == label))
    {
        return Err(Fault::parameter("Statement already exists"));
    }
    let is_known = |action: &String| action == "*" || is_action(action);
    if !actions.iter().all(is_known) {
        return Err(out_of_scope());
    }
    if all.len() >= STATEMENTS_MAX {
        return Err(Fault::parameter(
            "Policy statement number exceeds the limit",
        ));
    }
    let principals = accounts
        .iter()
        .map(|account| json!(format!("arn:aws:iam::{account}:root")));
    let actions = actions.iter().map(|action| json!(format!("SNS:{action}")));
    all.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": compact(principals.collect())},
        "Action": compact(actions.collect()),
        "Resource": topic_arn,
    }));
    Ok(policy.to_string())
}

/// The policy without the statement; a label that is not there changes nothing.
pub(crate) fn remove(policy: &str, label: &str) -> Result<String, Fault> {
    let mut policy: Value =
        serde_json::from_str(policy).map_err(|_| Fault::parameter("Policy Error: null"))?;
    if let Some(all) = statements(&mut policy) {
        all.retain(|s| s.get("Sid").is_none_or(|sid| sid != label));
    }
    Ok(policy.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:us-east-1:000000000000:t";

    #[test]
    fn permissions_come_and_go() {
        let own = default(ARN, "000000000000");
        let accounts = ["111111111111".to_owned()];
        let add = |policy: &str, label, actions: &[&str]| {
            let actions: Vec<String> = actions.iter().map(|a| (*a).to_owned()).collect();
            super::add(policy, ARN, label, &accounts, &actions)
        };
        let first = add(&own, "a", &["Publish"]).unwrap();
        let json: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(
            json["Statement"][1],
            json!({
                "Sid": "a", "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": "SNS:Publish", "Resource": ARN,
            })
        );
        for (policy, label, action, wanted) in [
            (
                &first,
                "a",
                "Publish",
                "Invalid parameter: Statement already exists",
            ),
            (
                &own,
                "b",
                "InvalidAction",
                "Invalid parameter: Policy statement action out of service scope!",
            ),
        ] {
            assert_eq!(
                add(policy, label, &[action]).unwrap_err().to_string(),
                wanted
            );
        }
        let two = add(&own, "b", &["Publish", "Subscribe"]).unwrap();
        assert!(two.contains(r#""Action":["SNS:Publish","SNS:Subscribe"]"#));
        assert_eq!(remove(&first, "a").unwrap(), own);
        assert_eq!(remove(&own, "a").unwrap(), own);
    }

    #[test]
    fn policies_are_about_sns() {
        let policy = |action: &str| {
            json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": action, "Resource": ARN}]})
                .to_string()
        };
        for good in ["SNS:Publish", "sns:publish", "sns:*", "*"] {
            assert!(check(&policy(good)).is_ok(), "{good}");
        }
        for bad in ["sqs:SendMessage", "sns:ListTopics", "Publish"] {
            assert!(check(&policy(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            check("{").unwrap_err().to_string(),
            "Invalid parameter: Policy Error: null"
        );
        assert!(check("{}").is_err());
        assert!(check(&default(ARN, "000000000000")).is_ok());
    }
}
