//! What a message may be. Pure.

use crate::fault::Fault;
use crate::message::{Attribute, Message};

/// [SQS quotas: message attributes]
const ATTRIBUTES_MAX: usize = 10;
const NAME_MAX: usize = 256;
/// Of group and deduplication ids.
const ID_MAX: usize = 128;

fn invalid(text: impl Into<String>) -> Fault {
    Fault::InvalidParameterValue(text.into())
}

/// Text that XML 1.0 can hold.  [SQS API: SendMessage]
fn is_text(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    })
}

pub(crate) fn body(body: &str) -> Result<(), Fault> {
    match (body.is_empty(), is_text(body)) {
        (true, _) => Err(Fault::MissingParameter("MessageBody")),
        (_, false) => Err(Fault::InvalidMessageContents),
        _ => Ok(()),
    }
}

/// `max`: the MaximumMessageSize of the queue.
pub(crate) fn size(message: &Message, max: i64) -> Result<(), Fault> {
    match i64::try_from(message.size()).is_ok_and(|size| size <= max) {
        true => Ok(()),
        false => Err(invalid(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {max} bytes."
        ))),
    }
}

/// A MessageGroupId or a MessageDeduplicationId.
pub(crate) fn id(parameter: &str, id: &str) -> Result<(), Fault> {
    let is_good = (1..=ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    match is_good {
        true => Ok(()),
        false => Err(invalid(format!(
            "Value {id} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        ))),
    }
}

pub(crate) fn attributes<'a>(
    all: impl ExactSizeIterator<Item = (&'a String, &'a Attribute)>,
) -> Result<(), Fault> {
    if all.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            all.len()
        )));
    }
    for (name, attribute) in all {
        attribute_name(name)?;
        attribute_value(name, attribute)?;
    }
    Ok(())
}

fn attribute_name(name: &str) -> Result<(), Fault> {
    if name.len() > NAME_MAX {
        return Err(invalid(
            "Message (user) attribute names must be shorter than 256 Bytes",
        ));
    }
    // AWS takes letters of every alphabet, whatever its guide says.
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(invalid(
            "Message (user) attributes name can only contain upper and lower case alphabets, digits, periods, hyphens and underscores.",
        ));
    }
    let lower = name.to_ascii_lowercase();
    let is_reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if is_reserved || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use. Additionally, they cannot start or end with '.'.",
        ));
    }
    Ok(())
}

fn attribute_value(name: &str, attribute: &Attribute) -> Result<(), Fault> {
    let kind = attribute.kind.as_str();
    if kind.is_empty() {
        return Err(invalid(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    let base = kind.split('.').next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if kind.len() > NAME_MAX
        || !matches!(base, "String" | "Number" | "Binary")
        || !kind.chars().all(is_plain)
        || kind.ends_with('.')
    {
        return Err(invalid(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
        )));
    }
    let is_there = match base {
        "Binary" => attribute.binary.as_ref().is_some_and(|b| !b.0.is_empty()),
        _ => attribute.text.as_ref().is_some_and(|t| !t.is_empty()),
    };
    if !is_there {
        return Err(invalid(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{base}'."
        )));
    }
    let text = attribute.text.as_deref().unwrap_or_default();
    if !is_text(text) {
        return Err(invalid(Fault::InvalidMessageContents.to_string()));
    }
    if base == "Number" && !text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(invalid(format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
    Ok(())
}

/// The only system attribute that a sender may set.
pub(crate) fn system_attribute(name: &str, attribute: &Attribute) -> Result<(), Fault> {
    if name != "AWSTraceHeader" {
        return Err(invalid(format!(
            "Message system attribute name '{name}' is invalid."
        )));
    }
    match (attribute.kind.as_str(), &attribute.text) {
        ("String", Some(text)) if !text.is_empty() => Ok(()),
        _ => Err(invalid(format!(
            "Message system attribute '{name}' must contain a non-empty value of type 'String'."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_hold_what_xml_can_hold() {
        for (text, is_good) in [
            ("a", true),
            ("\t\r\n \u{10ffff}", true),
            ("", false),
            ("\u{0}", false),
            ("\u{8}", false),
            ("\u{ffff}", false),
        ] {
            assert_eq!(body(text).is_ok(), is_good, "{text:?}");
        }
    }

    #[test]
    fn names_and_types_of_attributes_are_checked() {
        let long = "a".repeat(257);
        for (name, kind, text, is_good) in [
            ("a", "String", "x", true),
            ("a-b_c.D9", "String.mine", "x", true),
            ("attr.1øßä", "String", "x", true),
            ("n", "Number.int", "-1.5e3", true),
            ("n", "Number", "one", false),
            ("a", "String", "", false),
            ("a", "", "x", false),
            ("a", "Text", "x", false),
            ("a", "Strings", "x", false),
            ("a", "String.", "x", false),
            ("a", "String", "\u{1}", false),
            ("a", "Binary", "x", false),
            ("", "String", "x", false),
            ("a b", "String", "x", false),
            (".a", "String", "x", false),
            ("a.", "String", "x", false),
            ("a..b", "String", "x", false),
            ("AWS.a", "String", "x", false),
            ("amazon.a", "String", "x", false),
            (&long, "String", "x", false),
            ("a", &long, "x", false),
        ] {
            let all =
                std::collections::BTreeMap::from([(name.to_owned(), Attribute::text(kind, text))]);
            assert_eq!(
                attributes(all.iter()).is_ok(),
                is_good,
                "{name} {kind} {text:?}"
            );
        }
    }

    #[test]
    fn eleven_attributes_are_one_too_many() {
        let all: std::collections::BTreeMap<_, _> = (0..11)
            .map(|n| (format!("a{n}"), Attribute::text("String", "x")))
            .collect();
        assert!(attributes(all.iter().take(10).collect::<Vec<_>>().into_iter()).is_ok());
        let refused = attributes(all.iter()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Number of message attributes [11] exceeds the allowed maximum [10]."
        );
    }

    #[test]
    fn ids_are_graphic_and_short() {
        for (text, is_good) in [
            ("a", true),
            ("!~", true),
            ("", false),
            ("a b", false),
            ("ü", false),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
        ] {
            assert_eq!(id("MessageGroupId", text).is_ok(), is_good, "{text}");
        }
    }
}
