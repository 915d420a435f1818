//! What attributes a topic has, and which values they take. Pure.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::names::TopicRef;
use crate::record::{Attributes, Topic};
use crate::{delivery_policy, policy};

/// In characters.  [SNS API: SetTopicAttributes]
const DISPLAY_NAME_MAX: usize = 100;

/// Attributes of the delivery status logs: they are kept, and no logs are written.
const FEEDBACK: &[&str] = &[
    "ApplicationFailureFeedbackRoleArn",
    "ApplicationSuccessFeedbackRoleArn",
    "ApplicationSuccessFeedbackSampleRate",
    "FirehoseFailureFeedbackRoleArn",
    "FirehoseSuccessFeedbackRoleArn",
    "FirehoseSuccessFeedbackSampleRate",
    "HTTPFailureFeedbackRoleArn",
    "HTTPSuccessFeedbackRoleArn",
    "HTTPSuccessFeedbackSampleRate",
    "LambdaFailureFeedbackRoleArn",
    "LambdaSuccessFeedbackRoleArn",
    "LambdaSuccessFeedbackSampleRate",
    "SQSFailureFeedbackRoleArn",
    "SQSSuccessFeedbackRoleArn",
    "SQSSuccessFeedbackSampleRate",
];

/// The others that can be set and are shown as they were set.
const PLAIN: &[&str] = &[
    "ContentBasedDeduplication",
    "DeliveryPolicy",
    "FifoThroughputScope",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
];

/// Checks the attributes of a topic to be made; what comes back is stored.
pub(crate) fn check_new(wanted: &Attributes) -> Result<Attributes, Fault> {
    let is_fifo = is_fifo(wanted);
    let mut kept = Attributes::new();
    for (name, value) in wanted {
        if name == "FifoTopic" {
            check_truth(name, value).map_err(Fault::in_attributes)?;
            continue;
        }
        let unknown = || Fault::parameter(format!("Attributes Reason: Unknown attribute {name}"));
        let value = check(name, value, is_fifo)
            .map_err(Fault::in_attributes)?
            .ok_or_else(unknown)?;
        if !value.is_empty() {
            kept.insert(name.clone(), value);
        }
    }
    Ok(kept)
}

pub(crate) fn is_fifo(wanted: &Attributes) -> bool {
    wanted
        .get("FifoTopic")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// Puts one attribute over what the topic has; an empty value unsets it.
pub(crate) fn set(topic: &mut Topic, name: &str, value: &str, is_fifo: bool) -> Result<(), Fault> {
    let unknown = || Fault::parameter("AttributeName");
    if name == "FifoTopic" {
        return Err(unknown());
    }
    let value = check(name, value, is_fifo)?.ok_or_else(unknown)?;
    match value.is_empty() {
        true => topic.attributes.remove(name),
        false => topic.attributes.insert(name.to_owned(), value),
    };
    Ok(())
}

/// The value as it is stored; `None` for a name that no topic has.
fn check(name: &str, value: &str, is_fifo: bool) -> Result<Option<String>, Fault> {
    let kept = match name {
        "DisplayName" => {
            if value.chars().count() > DISPLAY_NAME_MAX {
                return Err(Fault::parameter("DisplayName"));
            }
            value.to_owned()
        }
        "Policy" => {
            policy::check(value)?;
            value.to_owned()
        }
        "DeliveryPolicy" if value.is_empty() => String::new(),
        "DeliveryPolicy" => delivery_policy::check_topic(value)?,
        "SignatureVersion" => {
            if !["1", "2"].contains(&value) {
                return Err(Fault::parameter("SignatureVersion"));
            }
            value.to_owned()
        }
        "TracingConfig" => {
            if !["Active", "PassThrough"].contains(&value) {
                return Err(Fault::parameter("TracingConfig"));
            }
            value.to_owned()
        }
        "ContentBasedDeduplication" | "FifoThroughputScope" | "ArchivePolicy" if !is_fifo => {
            return Ok(None);
        }
        "ContentBasedDeduplication" => check_truth(name, value)?,
        "FifoThroughputScope" => {
            if !["Topic", "MessageGroup"].contains(&value) {
                return Err(Fault::parameter("FifoThroughputScope"));
            }
            value.to_owned()
        }
        "ArchivePolicy" => return Err(Fault::NotBuilt("message archives of topics")),
        "KmsMasterKeyId" => value.to_owned(),
        other if FEEDBACK.contains(&other) => value.to_owned(),
        _ => return Ok(None),
    };
    Ok(Some(kept))
}

fn check_truth(name: &str, value: &str) -> Result<String, Fault> {
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        "true" | "false" => Ok(lower),
        _ => Err(Fault::parameter(format!(
            "{name}: Invalid value [{value}]. Must be true or false."
        ))),
    }
}

/// Whether a second CreateTopic wants what the topic already is.
pub(crate) fn fits(topic: &Topic, at: &TopicRef, wanted: &Attributes) -> bool {
    wanted.iter().all(|(name, value)| match name.as_str() {
        "DisplayName" => topic.attributes.get(name).map_or("", String::as_str) == value,
        "Policy" => {
            topic.attributes.get(name) == Some(value)
                || *value == policy::default(&at.arn(), &at.account)
        }
        _ => topic.attributes.get(name) == Some(value),
    })
}

/// Subscriptions by their state, for [`shown`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) confirmed: usize,
    pub(crate) pending: usize,
}

/// As GetTopicAttributes shows them.
pub(crate) fn shown(
    topic: &Topic,
    at: &TopicRef,
    counts: Counts,
) -> BTreeMap<&'static str, String> {
    let own = |name: &str| topic.attributes.get(name).cloned();
    let delivery = own("DeliveryPolicy");
    let effective = delivery_policy::effective(delivery.as_deref(), None);
    let mut all = BTreeMap::from([
        ("TopicArn", at.arn()),
        ("Owner", at.account.clone()),
        ("DisplayName", own("DisplayName").unwrap_or_default()),
        (
            "Policy",
            own("Policy").unwrap_or_else(|| policy::default(&at.arn(), &at.account)),
        ),
        ("SubscriptionsConfirmed", counts.confirmed.to_string()),
        ("SubscriptionsPending", counts.pending.to_string()),
        ("SubscriptionsDeleted", "0".to_owned()),
        (
            "EffectiveDeliveryPolicy",
            effective.of_topic(delivery.as_deref()),
        ),
    ]);
    if at.is_fifo() {
        all.insert("FifoTopic", "true".to_owned());
        all.insert("ContentBasedDeduplication", "false".to_owned());
    }
    for name in PLAIN.iter().chain(FEEDBACK) {
        if let Some(value) = own(name) {
            all.insert(name, value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Attributes {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn values_are_checked() {
        for (name, value, is_good) in [
            ("DisplayName", "x", true),
            ("DisplayName", &"x".repeat(101), false),
            ("SignatureVersion", "2", true),
            ("SignatureVersion", "3", false),
            ("TracingConfig", "Active", true),
            ("FifoTopic", "maybe", false),
            ("ContentBasedDeduplication", "true", false),
            ("HTTPSuccessFeedbackSampleRate", "5", true),
            ("Nothing", "x", false),
        ] {
            assert_eq!(
                check_new(&one(name, value)).is_ok(),
                is_good,
                "{name} {value}"
            );
        }
        let mut fifo = one("FifoTopic", "true");
        fifo.insert("ContentBasedDeduplication".to_owned(), "TRUE".to_owned());
        assert_eq!(
            check_new(&fifo).unwrap(),
            one("ContentBasedDeduplication", "true")
        );
    }

    #[test]
    fn the_kind_of_a_topic_never_changes() {
        let mut topic = Topic {
            name: "t".to_owned(),
            created_ms: 0,
            attributes: Attributes::new(),
            tags: Vec::new(),
            data_protection: None,
        };
        let refused = set(&mut topic, "FifoTopic", "false", false).unwrap_err();
        assert_eq!(refused.to_string(), "Invalid parameter: AttributeName");
        set(&mut topic, "DisplayName", "x", false).unwrap();
        set(&mut topic, "DisplayName", "", false).unwrap();
        assert!(topic.attributes.is_empty());
    }
}
