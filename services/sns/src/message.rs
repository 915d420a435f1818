//! What is published: the checks of a message, and what each protocol gets of it. Pure.

use std::collections::BTreeMap;

use model::ports::{Attribute, AttributeValue};
use serde_json::Value;

use crate::api::MessageAttribute;
use crate::fault::Fault;

/// Message and attributes together, in bytes; of a batch, all messages together.  [SNS quotas]
pub(crate) const BYTES_MAX: usize = 262_144;
/// In characters.  [SNS API: Publish]
const SUBJECT_MAX: usize = 100;
/// In bytes.
const ATTRIBUTE_NAME_MAX: usize = 256;

/// A message that passed the checks.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Message {
    pub(crate) body: Body,
    pub(crate) subject: Option<String>,
    /// In the order of their names.
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) bytes: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    Same(String),
    /// One text for each protocol; `default` is among them.
    ByProtocol(BTreeMap<String, String>),
}

impl Body {
    pub(crate) fn of(&self, protocol: &str) -> &str {
        match self {
            Body::Same(text) => text,
            Body::ByProtocol(texts) => texts
                .get(protocol)
                .or_else(|| texts.get("default"))
                .map(String::as_str)
                .unwrap_or_default(),
        }
    }
}

impl Message {
    /// Checks message, subject and attributes, in the order in which AWS complains.
    /// `place` is where the attributes are in the request, for the words of a missing type.
    pub(crate) fn check(
        message: &str,
        structure: Option<&str>,
        subject: Option<&str>,
        attributes: BTreeMap<String, MessageAttribute>,
        place: &str,
    ) -> Result<Message, Fault> {
        if message.is_empty() {
            return Err(Fault::parameter("Empty message"));
        }
        let mut bytes = message.len();
        if let Some(subject) = subject {
            check_subject(subject)?;
            bytes += subject.len();
        }
        let body = match structure {
            None => Body::Same(message.to_owned()),
            Some("json") => Body::ByProtocol(by_protocol(message)?),
            Some(_) => return Err(Fault::parameter("MessageStructure")),
        };
        let mut checked = Vec::with_capacity(attributes.len());
        for (name, attribute) in attributes {
            let attribute = check_attribute(&name, attribute, place)?;
            bytes += name.len() + size(&attribute);
            checked.push((name, attribute));
        }
        Ok(Message {
            body,
            subject: subject.map(str::to_owned),
            attributes: checked,
            bytes,
        })
    }
}

fn size(attribute: &Attribute) -> usize {
    attribute.kind.len()
        + match &attribute.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        }
}

/// ASCII text without control characters that begins with a letter, digit or punctuation.
/// [SNS API: Publish, Subject]
fn check_subject(subject: &str) -> Result<(), Fault> {
    let is_good = (1..=SUBJECT_MAX).contains(&subject.chars().count())
        && !subject.starts_with(' ')
        && !subject.chars().any(char::is_control);
    is_good
        .then_some(())
        .ok_or_else(|| Fault::parameter("Subject"))
}

/// The texts of a message of structure `json`; members that are no text are none.
fn by_protocol(message: &str) -> Result<BTreeMap<String, String>, Fault> {
    let wrong = |what: &str| Fault::parameter(format!("Message Structure - {what}"));
    let parsed: Value =
        serde_json::from_str(message).map_err(|_| wrong("JSON message body failed to parse"))?;
    let Value::Object(members) = parsed else {
        return Err(wrong("No default entry in JSON message body"));
    };
    let texts: BTreeMap<String, String> = members
        .into_iter()
        .filter_map(|(protocol, text)| match text {
            Value::String(text) => Some((protocol, text)),
            _ => None,
        })
        .collect();
    if !texts.contains_key("default") {
        return Err(wrong("No default entry in JSON message body"));
    }
    Ok(texts)
}

/// Whether a message of structure `json` has a text for an endpoint of this platform.
pub(crate) fn check_push(message: &str, platform: &str) -> Result<(), Fault> {
    let wrong = "Message Structure - JSON message body failed to parse";
    let parsed: Value = serde_json::from_str(message).map_err(|_| Fault::parameter(wrong))?;
    let has = |name: &str| parsed.get(name).is_some_and(Value::is_string);
    match has("default") || has(platform) {
        true => Ok(()),
        false => Err(Fault::parameter(format!(
            "JSON must contain an entry for 'default' or '{platform}'."
        ))),
    }
}

fn check_attribute(name: &str, sent: MessageAttribute, place: &str) -> Result<Attribute, Fault> {
    check_name(name)?;
    let Some(kind) = sent.data_type else {
        return Err(Fault::Validation(format!(
            "1 validation error detected: Value null at '{place}.{name}.member.dataType' failed to \
             satisfy constraint: Member must not be null"
        )));
    };
    let refused = |text: String| Fault::ParameterValueInvalid(text);
    let (base, suffix) = match kind.split_once('.') {
        Some((base, suffix)) => (base, Some(suffix)),
        None => (kind.as_str(), None),
    };
    let is_binary = match base {
        // A dot without anything behind it is refused, whatever else may be there.
        _ if suffix == Some("") => return Err(unknown_type(name)),
        "Binary" => true,
        "String" | "Number" => false,
        _ => return Err(unknown_type(name)),
    };
    let text = sent.string_value.filter(|text| !text.is_empty());
    let binary = sent.binary_value.map(|b| b.0).filter(|b| !b.is_empty());
    let value = match (is_binary, text, binary) {
        (true, None, Some(bytes)) => AttributeValue::Binary(bytes),
        (false, Some(text), None) => AttributeValue::Text(text),
        (_, None, None) => {
            return Err(refused(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for \
                 message attribute type '{kind}'."
            )));
        }
        _ => {
            let field = if is_binary { "Binary" } else { "String" };
            return Err(refused(format!(
                "The message attribute '{name}' with type '{kind}' must use field '{field}'."
            )));
        }
    };
    if base == "Number"
        && let AttributeValue::Text(text) = &value
        && text.trim().parse::<f64>().is_err()
    {
        return Err(refused(format!(
            "Could not cast message attribute '{name}' value to number."
        )));
    }
    Ok(Attribute { kind, value })
}

fn unknown_type(name: &str) -> Fault {
    Fault::ParameterValueInvalid(format!(
        "The message attribute '{name}' has an invalid message attribute type, the set of \
         supported type prefixes is Binary, Number, and String."
    ))
}

fn check_name(name: &str) -> Result<(), Fault> {
    let refused = |text: String| Err(Fault::ParameterValueInvalid(text));
    if name.len() > ATTRIBUTE_NAME_MAX {
        return refused("Length of message attribute name must be less than 256 bytes.".to_owned());
    }
    if name.is_empty() {
        return refused(
            "The message attribute name must contain at least one character.".to_owned(),
        );
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if let Some(other) = name.chars().find(|c| !is_good(*c)) {
        return refused(format!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. \
             Can only include alphanumeric characters, hyphens, underscores, or dots.",
            u32::from(other)
        ));
    }
    for (is_wrong, place) in [
        (name.starts_with('.'), "starting"),
        (name.ends_with('.'), "ending"),
    ] {
        if is_wrong {
            return refused(format!(
                "Invalid message attribute name {place} with character '.' was found."
            ));
        }
    }
    if name.contains("..") {
        return refused("Message attribute name can not have successive '.' character.".to_owned());
    }
    Ok(())
}

/// The ids of the entries of a batch.  [SNS API: PublishBatch]
pub(crate) fn check_ids(ids: &[&str]) -> Result<(), Fault> {
    const ENTRIES_MAX: usize = 10;
    const ID_MAX: usize = 80;
    if ids.is_empty() {
        return Err(Fault::EmptyBatch);
    }
    if ids.len() > ENTRIES_MAX {
        return Err(Fault::TooManyEntries);
    }
    for (at, id) in ids.iter().enumerate() {
        if id.len() > ID_MAX {
            return Err(Fault::InvalidEntryId(format!("is too long: {id}")));
        }
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || !id.bytes().all(is_good) {
            return Err(Fault::InvalidEntryId(format!(
                "contains an impermissible character: {id}"
            )));
        }
        if ids.iter().take(at).any(|before| before == id) {
            return Err(Fault::IdsNotDistinct);
        }
    }
    Ok(())
}

/// The deduplication id of a message that brings none: the SHA-256 of its text.
pub(crate) fn content_id(message: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The id of a message that came as a parcel: the same for every try of it, in the form of a UUID.
pub(crate) fn derived_id(parcel: &str, topic_arn: &str) -> String {
    let digest = content_id(&format!("{parcel}\n{topic_arn}"));
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn attribute(
        kind: Option<&str>,
        text: Option<&str>,
        binary: Option<&[u8]>,
    ) -> MessageAttribute {
        MessageAttribute {
            data_type: kind.map(str::to_owned),
            string_value: text.map(str::to_owned),
            binary_value: binary.map(|b| wire::Blob(Bytes::copy_from_slice(b))),
        }
    }

    fn refusal(name: &str, sent: MessageAttribute) -> String {
        let all = BTreeMap::from([(name.to_owned(), sent)]);
        Message::check("m", None, None, all, "messageAttributes")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn attributes_are_refused_in_the_words_of_aws() {
        let empty = "The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'.";
        let unknown = "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.";
        for (kind, text, binary, wanted) in [
            (Some("String"), Some(""), None, empty),
            (Some("String"), None, None, empty),
            (
                Some("String"),
                None,
                Some(b"x".as_slice()),
                "The message attribute 'a' with type 'String' must use field 'String'.",
            ),
            (
                Some("Binary"),
                Some("x"),
                None,
                "The message attribute 'a' with type 'Binary' must use field 'Binary'.",
            ),
            (Some("string"), Some("x"), None, unknown),
            (Some("Stringprefixed"), Some("x"), None, unknown),
            (Some("String."), Some("x"), None, unknown),
            (
                None,
                Some("x"),
                None,
                "1 validation error detected: Value null at 'messageAttributes.a.member.dataType' failed to satisfy constraint: Member must not be null",
            ),
        ] {
            assert_eq!(refusal("a", attribute(kind, text, binary)), wanted);
        }
    }

    #[test]
    fn names_of_attributes_are_checked() {
        let long = "a".repeat(257);
        for (name, wanted) in [
            (
                long.as_str(),
                "Length of message attribute name must be less than 256 bytes.",
            ),
            (
                "a^b",
                "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.",
            ),
            (
                ".a",
                "Invalid message attribute name starting with character '.' was found.",
            ),
            (
                "a.",
                "Invalid message attribute name ending with character '.' was found.",
            ),
            (
                "a..b",
                "Message attribute name can not have successive '.' character.",
            ),
        ] {
            assert_eq!(
                refusal(name, attribute(Some("String"), Some("x"), None)),
                wanted
            );
        }
    }

    #[test]
    fn a_message_of_many_protocols_has_a_default() {
        let check = |text: &str| Message::check(text, Some("json"), None, BTreeMap::new(), "");
        let good = check(r#"{"default":"d","sqs":"s","email":5}"#).unwrap();
        assert_eq!((good.body.of("sqs"), good.body.of("lambda")), ("s", "d"));
        for (text, wanted) in [
            (r#"{"sqs":"s"}"#, "No default entry in JSON message body"),
            (
                r#"{"default":{"a":1}}"#,
                "No default entry in JSON message body",
            ),
            ("{", "JSON message body failed to parse"),
        ] {
            let wanted = format!("Invalid parameter: Message Structure - {wanted}");
            assert_eq!(check(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn subjects_are_short_lines() {
        let (most, more) = ("s".repeat(100), "s".repeat(101));
        for (subject, is_good) in [
            ("s", true),
            (most.as_str(), true),
            (more.as_str(), false),
            ("", false),
            ("a\nb", false),
            (" a", false),
        ] {
            let got = Message::check("m", None, Some(subject), BTreeMap::new(), "");
            assert_eq!(got.is_ok(), is_good, "{subject}");
        }
    }

    #[test]
    fn entries_have_ids_of_their_own() {
        let long = "a".repeat(81);
        for (ids, wanted) in [
            (vec![], "The batch request doesn't contain any entries."),
            (
                vec!["a"; 11],
                "The batch request contains more entries than permissible.",
            ),
            (
                vec!["a", "a"],
                "Two or more batch entries in the request have the same Id.",
            ),
            (
                vec!["m.i"],
                "The Id of a batch entry in the batch request contains an impermissible character: m.i",
            ),
        ] {
            assert_eq!(check_ids(&ids).unwrap_err().to_string(), wanted);
        }
        let too_long = check_ids(&[&long]).unwrap_err().to_string();
        assert!(too_long.ends_with(&format!("is too long: {long}")));
        assert!(check_ids(&["a", "b-_1"]).is_ok());
    }
}
