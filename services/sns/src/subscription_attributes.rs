//! What attributes a subscription has, and which values they take. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::delivery_policy;
use crate::fault::Fault;
use crate::filter::{Policy, Scope};
use crate::names::{SubscriptionRef, TopicRef};
use crate::record::{Attributes, State, Subscription};

/// Puts one attribute over what is there; an empty value unsets it.
pub(crate) fn set(
    all: &mut Attributes,
    topic: &TopicRef,
    name: &str,
    value: &str,
) -> Result<(), Fault> {
    let kept = match name {
        "RawMessageDelivery" => {
            let lower = value.to_ascii_lowercase();
            if !["true", "false"].contains(&lower.as_str()) {
                return Err(Fault::parameter(format!(
                    "RawMessageDelivery: Invalid value [{value}]. Must be true or false."
                )));
            }
            lower
        }
        "FilterPolicyScope" => {
            Scope::parse(value)?;
            value.to_owned()
        }
        "FilterPolicy" => {
            if !value.is_empty() {
                Policy::compile(value, scope(all))?;
            }
            value.to_owned()
        }
        "RedrivePolicy" => {
            if !value.is_empty() {
                check_redrive(value, topic)?;
            }
            value.to_owned()
        }
        "DeliveryPolicy" if value.is_empty() => String::new(),
        "DeliveryPolicy" => delivery_policy::check_subscription(value)?,
        "ReplayPolicy" => return Err(Fault::NotBuilt("message archives of topics")),
        "SubscriptionRoleArn" => value.to_owned(),
        _ => return Err(Fault::parameter("AttributeName")),
    };
    match kept.is_empty() {
        true => all.remove(name),
        false => all.insert(name.to_owned(), kept),
    };
    Ok(())
}

/// The attributes of a new subscription. The scope counts for the policy that comes with it.
pub(crate) fn check_new(wanted: &Attributes, topic: &TopicRef) -> Result<Attributes, Fault> {
    let mut all = Attributes::new();
    let is_scope = |name: &&String| *name == "FilterPolicyScope";
    let first = wanted.keys().filter(is_scope);
    let others = wanted.keys().filter(|name| !is_scope(name));
    for name in first.chain(others) {
        let value = wanted.get(name).map_or("", String::as_str);
        set(&mut all, topic, name, value).map_err(Fault::in_attributes)?;
    }
    Ok(all)
}

pub(crate) fn scope(all: &Attributes) -> Scope {
    match all.get("FilterPolicyScope").map(String::as_str) {
        Some("MessageBody") => Scope::Body,
        _ => Scope::Attributes,
    }
}

/// Whether a second Subscribe wants what the subscription already is.
pub(crate) fn fits(have: &Attributes, wanted: &Attributes) -> bool {
    wanted.iter().all(|(name, value)| {
        let default = match name.as_str() {
            "RawMessageDelivery" => "false",
            "FilterPolicyScope" => "MessageAttributes",
            _ => "",
        };
        have.get(name).map_or(default, String::as_str) == value
    })
}

/// The dead-letter queue of a subscription.
pub(crate) fn dead_letter(all: &Attributes) -> Option<model::Arn> {
    let policy: Value = serde_json::from_str(all.get("RedrivePolicy")?).ok()?;
    policy.get("deadLetterTargetArn")?.as_str()?.parse().ok()
}

fn check_redrive(text: &str, topic: &TopicRef) -> Result<(), Fault> {
    let wrong = |what: &str| Fault::parameter(format!("RedrivePolicy: {what}"));
    let policy = crate::filter::parse(text).map_err(|broken| wrong(&broken))?;
    let target = policy
        .get("deadLetterTargetArn")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<model::Arn>().ok())
        .filter(|arn| arn.service == "sqs")
        .ok_or_else(|| wrong("deadLetterTargetArn is an invalid arn"))?;
    if topic.is_fifo() && !target.resource.ends_with(".fifo") {
        return Err(wrong(
            "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.",
        ));
    }
    Ok(())
}

/// As GetSubscriptionAttributes shows them.
pub(crate) fn shown(
    subscription: &Subscription,
    at: &SubscriptionRef,
    topic_policy: Option<&str>,
) -> BTreeMap<&'static str, String> {
    let own = |name: &str| subscription.attributes.get(name).cloned();
    let was_authenticated = match &subscription.state {
        State::Pending { .. } | State::Deleted { .. } => false,
        State::Confirmed {
            was_authenticated, ..
        } => *was_authenticated,
    };
    let mut all = BTreeMap::from([
        ("SubscriptionArn", at.arn()),
        ("TopicArn", at.topic.arn()),
        ("Owner", subscription.owner.clone()),
        ("Protocol", subscription.protocol.clone()),
        ("Endpoint", subscription.endpoint.clone()),
        ("SubscriptionPrincipal", subscription.principal.clone()),
        (
            "ConfirmationWasAuthenticated",
            was_authenticated.to_string(),
        ),
        (
            "PendingConfirmation",
            (!subscription.is_confirmed()).to_string(),
        ),
        ("RawMessageDelivery", subscription.is_raw().to_string()),
    ]);
    for name in [
        "FilterPolicy",
        "RedrivePolicy",
        "DeliveryPolicy",
        "SubscriptionRoleArn",
    ] {
        if let Some(value) = own(name) {
            all.insert(name, value);
        }
    }
    if all.contains_key("FilterPolicy") {
        let scope = own("FilterPolicyScope").unwrap_or_else(|| "MessageAttributes".to_owned());
        all.insert("FilterPolicyScope", scope);
    }
    if subscription.protocol.starts_with("http") {
        let policy = own("DeliveryPolicy");
        let effective = delivery_policy::effective(topic_policy, policy.as_deref());
        all.insert("EffectiveDeliveryPolicy", effective.of_subscription());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicRef {
        TopicRef {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn values_are_refused_in_the_words_of_aws() {
        let fifo = topic("t.fifo");
        let standard = topic("t");
        let queue = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q"}"#;
        for (at, name, value, wanted) in [
            (&standard, "FakeAttribute", "x", "AttributeName"),
            (
                &standard,
                "RawMessageDelivery",
                "test-ValUe",
                "RawMessageDelivery: Invalid value [test-ValUe]. Must be true or false.",
            ),
            (
                &standard,
                "RawMessageDelivery",
                "",
                "RawMessageDelivery: Invalid value []. Must be true or false.",
            ),
            (
                &standard,
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"fake-arn"}"#,
                "RedrivePolicy: deadLetterTargetArn is an invalid arn",
            ),
            (
                &standard,
                "RedrivePolicy",
                "{invalidjson}",
                "RedrivePolicy: failed to parse JSON. Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]",
            ),
            (
                &fifo,
                "RedrivePolicy",
                queue,
                "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.",
            ),
        ] {
            let refused = set(&mut Attributes::new(), at, name, value).unwrap_err();
            assert_eq!(refused.to_string(), format!("Invalid parameter: {wanted}"));
        }
        let mut all = Attributes::new();
        set(&mut all, &standard, "RedrivePolicy", queue).unwrap();
        assert!(dead_letter(&all).is_some());
        set(&mut all, &standard, "RedrivePolicy", "").unwrap();
        assert!(all.is_empty());
    }

    #[test]
    fn a_second_subscription_may_name_less_or_defaults() {
        let have = Attributes::from([("RawMessageDelivery".to_owned(), "true".to_owned())]);
        let wanted =
            |name: &str, value: &str| Attributes::from([(name.to_owned(), value.to_owned())]);
        assert!(fits(&have, &Attributes::new()));
        assert!(fits(
            &have,
            &wanted("FilterPolicyScope", "MessageAttributes")
        ));
        assert!(!fits(&have, &wanted("FilterPolicyScope", "MessageBody")));
        assert!(!fits(&have, &wanted("RawMessageDelivery", "false")));
    }
}
