//! What a dead-letter queue gets. Pure.

use model::ports::{
    Attribute, AttributeValue, DeadLetter, DeadLetterStyle, Parcel, Patience, Posting, Undelivered,
    Waits,
};

use crate::Exhausted;

/// Characters of an error message in an attribute.
const MESSAGE_MAX: usize = 1_024;

/// The posting that takes the place of one that could not be delivered after `attempts` tries.
pub(crate) fn posting(
    failed: &Posting,
    dead_letter: &DeadLetter,
    why: &Undelivered,
    exhausted: Exhausted,
    attempts: u32,
) -> Posting {
    let mut parcel = Parcel {
        to: dead_letter.to.clone(),
        ..failed.parcel.clone()
    };
    let origin = match &dead_letter.style {
        DeadLetterStyle::Plain => None,
        DeadLetterStyle::Other { body, attributes } => {
            parcel.body = body.clone();
            parcel.attributes = attributes.clone();
            None
        }
        DeadLetterStyle::Rule { rule } => Some(("RULE_ARN", rule)),
        DeadLetterStyle::Schedule { schedule } => Some(("SCHEDULE_ARN", schedule)),
    };
    if let Some((name, arn)) = origin {
        let (code, message) = match why {
            Undelivered::Refused { code, message }
            | Undelivered::Later { code, message }
            | Undelivered::Busy { code, message, .. } => (code, message),
        };
        let condition = match exhausted {
            Exhausted::Refused => None,
            Exhausted::Retries => Some("MaximumRetryAttempts"),
            Exhausted::Age => Some("MaximumEventAgeInSeconds"),
        };
        let message: String = message.chars().take(MESSAGE_MAX).collect();
        parcel.attributes = [
            (name, Some(arn.to_string())),
            ("TARGET_ARN", Some(failed.parcel.to.to_string())),
            ("ERROR_CODE", Some(code.clone())),
            ("ERROR_MESSAGE", Some(message)),
            ("EXHAUSTED_RETRY_CONDITION", condition.map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, "String", value.filter(|v| !v.is_empty())?)))
        .chain([(
            "RETRY_ATTEMPTS",
            "Number",
            attempts.saturating_sub(1).to_string(),
        )])
        .map(|(name, kind, value)| {
            let attribute = Attribute {
                kind: kind.to_owned(),
                value: AttributeValue::Text(value),
            };
            (name.to_owned(), attribute)
        })
        .collect();
    }
    Posting {
        parcel,
        patience: Patience {
            waits: Waits::Doubling,
            ..failed.patience
        },
        dead_letter: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::tests::posting as plain;

    fn told(style: DeadLetterStyle, exhausted: Exhausted) -> Posting {
        let to = "arn:aws:sqs:us-east-1:000000000000:dlq".parse().unwrap();
        let why = Undelivered::Later {
            code: "Throttling".to_owned(),
            message: "slow".to_owned(),
        };
        posting(&plain(), &DeadLetter { to, style }, &why, exhausted, 3)
    }

    fn names(posting: &Posting) -> Vec<(&str, &str)> {
        let text = |attribute: &'_ Attribute| match &attribute.value {
            AttributeValue::Text(text) => text.clone().leak() as &str,
            AttributeValue::Binary(_) => "",
        };
        let attributes = posting.parcel.attributes.iter();
        attributes.map(|(n, a)| (n.as_str(), text(a))).collect()
    }

    #[test]
    fn a_plain_letter_is_the_same_message() {
        let letter = told(DeadLetterStyle::Plain, Exhausted::Retries);
        assert_eq!(letter.parcel.body, plain().parcel.body);
        assert_eq!(letter.parcel.id, plain().parcel.id);
        assert_eq!(letter.parcel.to.resource, "dlq");
        assert_eq!(names(&letter), []);
        assert_eq!(letter.dead_letter, None);
    }

    #[test]
    fn a_letter_may_have_a_body_of_its_own() {
        let text = AttributeValue::Text("v".to_owned());
        let kind = "String".to_owned();
        let attributes = vec![("a".to_owned(), Attribute { kind, value: text })];
        let body = bytes::Bytes::from_static(b"other");
        let style = DeadLetterStyle::Other { body, attributes };
        let letter = told(style, Exhausted::Retries);
        assert_eq!(&letter.parcel.body[..], b"other");
        assert_eq!(names(&letter), [("a", "v")]);
    }

    #[test]
    fn a_rule_says_what_failed() {
        let rule: model::Arn = "arn:aws:events:us-east-1:000000000000:rule/r"
            .parse()
            .unwrap();
        let style = DeadLetterStyle::Rule { rule };
        let expected = [
            ("RULE_ARN", "arn:aws:events:us-east-1:000000000000:rule/r"),
            ("TARGET_ARN", "arn:aws:sqs:us-east-1:000000000000:q"),
            ("ERROR_CODE", "Throttling"),
            ("ERROR_MESSAGE", "slow"),
            ("EXHAUSTED_RETRY_CONDITION", "MaximumEventAgeInSeconds"),
            ("RETRY_ATTEMPTS", "2"),
        ];
        assert_eq!(names(&told(style.clone(), Exhausted::Age)), expected);
        let refused = told(style, Exhausted::Refused);
        assert!(
            names(&refused)
                .iter()
                .all(|(name, _)| *name != "EXHAUSTED_RETRY_CONDITION")
        );
    }
}
