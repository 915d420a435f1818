//! What attributes a queue has, and which values they take. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fault::Fault;

pub(crate) type Attributes = BTreeMap<String, String>;

/// Which values an attribute takes.
enum Rule {
    Number(u64, u64),
    Truth,
    OneOf(&'static [&'static str]),
    /// JSON, or nothing to unset it.
    Document(fn(&Value) -> bool),
    Text,
}

const NONE_SET: Option<&str> = None;

/// Name, rule, value of a new queue; `None` for what a new queue has not.  [SQS API:
/// SetQueueAttributes]
const EVERY: &[(&str, Rule, Option<&str>)] = &[
    ("DelaySeconds", Rule::Number(0, 900), Some("0")),
    (
        "MaximumMessageSize",
        Rule::Number(1_024, 1_048_576),
        Some("1048576"),
    ),
    (
        "MessageRetentionPeriod",
        Rule::Number(60, 1_209_600),
        Some("345600"),
    ),
    (
        "ReceiveMessageWaitTimeSeconds",
        Rule::Number(0, 20),
        Some("0"),
    ),
    ("VisibilityTimeout", Rule::Number(0, 43_200), Some("30")),
    ("SqsManagedSseEnabled", Rule::Truth, Some("true")),
    ("KmsMasterKeyId", Rule::Text, NONE_SET),
    (
        "KmsDataKeyReusePeriodSeconds",
        Rule::Number(60, 86_400),
        NONE_SET,
    ),
    ("Policy", Rule::Document(Value::is_object), NONE_SET),
    ("RedrivePolicy", Rule::Document(is_redrive), NONE_SET),
    (
        "RedriveAllowPolicy",
        Rule::Document(is_redrive_allow),
        NONE_SET,
    ),
];

/// The same for FIFO queues alone.
const FIFO: &[(&str, Rule, Option<&str>)] = &[
    ("FifoQueue", Rule::Truth, Some("true")),
    ("ContentBasedDeduplication", Rule::Truth, Some("false")),
    (
        "DeduplicationScope",
        Rule::OneOf(&["messageGroup", "queue"]),
        Some("queue"),
    ),
    (
        "FifoThroughputLimit",
        Rule::OneOf(&["perQueue", "perMessageGroupId"]),
        Some("perQueue"),
    ),
];

/// What is told and cannot be set.
pub(crate) const TOLD: &[&str] = &[
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// The attributes of a new queue that asked for nothing.
pub(crate) fn defaults(is_fifo: bool) -> Attributes {
    let fifo = if is_fifo { FIFO } else { &[] };
    let all = EVERY.iter().chain(fifo);
    all.filter_map(|(name, _, value)| Some(((*name).to_owned(), (*value)?.to_owned())))
        .collect()
}

/// Whether there is such an attribute.
pub(crate) fn is_known(name: &str) -> bool {
    name == "All"
        || TOLD.contains(&name)
        || EVERY.iter().chain(FIFO).any(|(known, ..)| *known == name)
}

pub(crate) fn is_fifo(wanted: &Attributes) -> bool {
    wanted.get("FifoQueue").is_some_and(|v| v == "true")
}

/// Checks what a request sets on a queue.
pub(crate) fn check(wanted: &Attributes, is_fifo: bool) -> Result<(), Fault> {
    for (name, value) in wanted {
        let unknown = || Fault::InvalidAttributeName(format!("Unknown Attribute {name}."));
        let of_fifo = FIFO.iter().find(|(known, ..)| known == name);
        if of_fifo.is_some() && !is_fifo {
            return Err(match name.as_str() {
                "DeduplicationScope" | "FifoThroughputLimit" => Fault::InvalidAttributeName(
                    format!("You can specify the {name} only when FifoQueue is set to true."),
                ),
                _ => unknown(),
            });
        }
        let known = of_fifo.or_else(|| EVERY.iter().find(|(known, ..)| known == name));
        let (_, rule, _) = known.ok_or_else(unknown)?;
        let is_good = match rule {
            Rule::Number(min, max) => value
                .parse::<u64>()
                .is_ok_and(|n| (*min..=*max).contains(&n)),
            Rule::Truth => value == "true" || value == "false",
            Rule::OneOf(words) => words.contains(&value.as_str()),
            Rule::Document(is) => {
                value.is_empty() || serde_json::from_str(value).is_ok_and(|json| is(&json))
            }
            Rule::Text => true,
        };
        // A queue is of its kind for good.
        if name == "FifoQueue" && value != "true" {
            let text = "FifoQueue. Reason: Modifying queue type is not supported";
            return Err(Fault::InvalidAttributeValue(text.to_owned()));
        }
        if !is_good && name == "RedrivePolicy" {
            check_redrive(value)?;
        }
        if !is_good {
            return Err(Fault::InvalidAttributeValue(name.clone()));
        }
    }
    Ok(())
}

/// Puts checked values over those that a queue has.
pub(crate) fn apply(queue: &mut Attributes, wanted: &Attributes) {
    for (name, value) in wanted {
        match value.is_empty() {
            true => queue.remove(name),
            false => queue.insert(name.clone(), value.clone()),
        };
    }
    // A queue is encrypted with one of the two kinds of key.
    if wanted
        .get("KmsMasterKeyId")
        .is_some_and(|key| !key.is_empty())
    {
        queue.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
    } else if wanted
        .get("SqsManagedSseEnabled")
        .is_some_and(|v| v == "true")
    {
        queue.remove("KmsMasterKeyId");
    }
    if !queue.contains_key("KmsMasterKeyId") {
        queue.remove("KmsDataKeyReusePeriodSeconds");
    }
}

/// Truths may be spelled with capitals; they are kept without.
pub(crate) fn normal(mut wanted: Attributes) -> Attributes {
    for (name, value) in &mut wanted {
        let known = EVERY.iter().chain(FIFO).find(|(known, ..)| known == name);
        if known.is_some_and(|(_, rule, _)| matches!(rule, Rule::Truth)) {
            value.make_ascii_lowercase();
        }
    }
    wanted
}

/// The first attribute that an existing queue has otherwise than a second CreateQueue wants it.
pub(crate) fn difference<'a>(queue: &Attributes, wanted: &'a Attributes) -> Option<&'a str> {
    let differs = |name: &&String| queue.get(*name) != wanted.get(*name);
    wanted.keys().find(differs).map(String::as_str)
}

/// Where messages go that were received too often.
pub(crate) struct Redrive {
    /// The ARN of the dead-letter queue.
    pub(crate) target: String,
    pub(crate) receives_max: u32,
}

pub(crate) fn redrive(queue: &Attributes) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(queue.get("RedrivePolicy")?).ok()?;
    Some(Redrive {
        target: policy.get("deadLetterTargetArn")?.as_str()?.to_owned(),
        receives_max: u32::try_from(count(policy.get("maxReceiveCount"))?).ok()?,
    })
}

/// Says what is wrong with a redrive policy.
fn check_redrive(text: &str) -> Result<(), Fault> {
    let Ok(policy) = serde_json::from_str::<Value>(text) else {
        return Err(Fault::redrive(
            text,
            "Redrive policy is not a valid JSON map.",
        ));
    };
    for name in ["deadLetterTargetArn", "maxReceiveCount"] {
        if policy.get(name).is_none() {
            let reason = format!("Redrive policy does not contain mandatory attribute: {name}.");
            return Err(Fault::redrive(text, &reason));
        }
    }
    let receives = policy.get("maxReceiveCount");
    if !count(receives).is_some_and(|n| (1..=RECEIVES_MAX).contains(&n)) {
        let shown = receives.and_then(Value::as_str).map(str::to_owned);
        let shown = shown.or(receives.map(Value::to_string)).unwrap_or_default();
        let reason = format!(
            "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to {RECEIVES_MAX} both inclusive."
        );
        return Err(Fault::redrive(text, &reason));
    }
    Err(Fault::redrive(text, "Dead letter target does not exist."))
}

/// Some clients send the number as text.
fn count(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Receives after which a message is dead.  [SQS API: RedrivePolicy]
const RECEIVES_MAX: u64 = 1_000;

fn is_redrive(policy: &Value) -> bool {
    let count = count(policy.get("maxReceiveCount"));
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
    count.is_some_and(|n| (1..=RECEIVES_MAX).contains(&n))
        && target.is_some_and(|arn| arn.starts_with("arn:aws:sqs:") && arn.split(':').count() == 6)
}

/// Whether a queue lets another send its dead messages there.  [SQS API: RedriveAllowPolicy]
pub(crate) fn allows_redrive(queue: &Attributes, source: &str) -> bool {
    let policy = queue.get("RedriveAllowPolicy");
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(policy) = policy else {
        return true;
    };
    match policy.get("redrivePermission").and_then(Value::as_str) {
        Some("denyAll") => false,
        Some("byQueue") => {
            let sources = policy.get("sourceQueueArns").and_then(Value::as_array);
            sources.is_some_and(|all| all.iter().any(|arn| arn == source))
        }
        _ => true,
    }
}

fn is_redrive_allow(policy: &Value) -> bool {
    let sources = policy.get("sourceQueueArns").and_then(Value::as_array);
    match policy.get("redrivePermission").and_then(Value::as_str) {
        Some("allowAll" | "denyAll") => sources.is_none(),
        Some("byQueue") => sources.is_some_and(|all| (1..=10).contains(&all.len())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Attributes {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn values_are_checked_at_their_limits() {
        for (name, good, bad) in [
            ("DelaySeconds", "900", "901"),
            ("VisibilityTimeout", "0", "43201"),
            ("MaximumMessageSize", "1048576", "1023"),
            ("MessageRetentionPeriod", "60", "59"),
            ("ReceiveMessageWaitTimeSeconds", "20", "-1"),
            ("SqsManagedSseEnabled", "false", "no"),
            (
                "RedriveAllowPolicy",
                r#"{"redrivePermission":"denyAll"}"#,
                r#"{"redrivePermission":"byQueue"}"#,
            ),
        ] {
            assert!(check(&one(name, good), false).is_ok(), "{name} {good}");
            let refused = check(&one(name, bad), false);
            assert!(
                matches!(refused, Err(Fault::InvalidAttributeValue(_))),
                "{name} {bad}"
            );
        }
    }

    #[test]
    fn redrive_policies_are_refused_with_the_reason() {
        let target = r#""deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d""#;
        for (policy, reason) in [
            ("{", "Redrive policy is not a valid JSON map."),
            (
                r#"{"maxReceiveCount":3}"#,
                "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
            ),
            (
                &format!("{{{target}}}"),
                "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
            ),
            (
                &format!(r#"{{{target},"maxReceiveCount":"many"}}"#),
                "Invalid value for maxReceiveCount: many, valid values are from 1 to 1000 both inclusive.",
            ),
        ] {
            let refused = check(&one("RedrivePolicy", policy), false).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}")
            );
        }
        let good = format!(r#"{{{target},"maxReceiveCount":"3"}}"#);
        assert!(check(&one("RedrivePolicy", &good), false).is_ok());
        assert!(check(&one("RedrivePolicy", ""), false).is_ok());
    }

    #[test]
    fn standard_queues_have_no_attributes_of_fifo_queues() {
        for (name, text) in [
            ("FifoQueue", "Unknown Attribute FifoQueue."),
            (
                "ContentBasedDeduplication",
                "Unknown Attribute ContentBasedDeduplication.",
            ),
            (
                "DeduplicationScope",
                "You can specify the DeduplicationScope only when FifoQueue is set to true.",
            ),
            ("Nothing", "Unknown Attribute Nothing."),
        ] {
            let refused = check(&one(name, "true"), false).unwrap_err();
            assert_eq!(refused.to_string(), text);
        }
        assert!(check(&one("FifoQueue", "true"), true).is_ok());
        assert!(check(&one("FifoQueue", "false"), true).is_err());
    }

    #[test]
    fn a_queue_has_one_kind_of_key() {
        let mut queue = defaults(false);
        apply(&mut queue, &one("KmsMasterKeyId", "k"));
        assert_eq!(queue["SqsManagedSseEnabled"], "false");
        apply(&mut queue, &one("SqsManagedSseEnabled", "true"));
        assert_eq!(queue.get("KmsMasterKeyId"), None);
    }

    #[test]
    fn a_second_creation_may_not_differ() {
        let queue = defaults(false);
        assert_eq!(difference(&queue, &one("DelaySeconds", "0")), None);
        assert_eq!(
            difference(&queue, &one("DelaySeconds", "1")),
            Some("DelaySeconds")
        );
    }
}
