//! A message as it is stored, and the digests that SQS tells of it.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use wire::Blob;

/// All of a message but its place in the queue.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) sent_ms: i64,
    pub(crate) sender: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<String, Attribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dedup: Option<String>,
    /// The ARN of the queue in which it was received too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Receives in that queue, and when the first was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) received: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_ms: Option<i64>,
    /// Records besides the first that hold the body.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) parts: u32,
    #[serde(skip)]
    pub(crate) body: Bytes,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A message attribute: text or bytes, and what the sender calls its type.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
pub(crate) struct Attribute {
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary: Option<Blob>,
}

impl Attribute {
    pub(crate) fn text(kind: &str, text: &str) -> Attribute {
        Attribute {
            kind: kind.to_owned(),
            text: Some(text.to_owned()),
            binary: None,
        }
    }

    fn value(&self) -> (u8, &[u8]) {
        match (&self.binary, &self.text) {
            (Some(blob), _) => (2, &blob.0),
            (None, text) => (1, text.as_deref().unwrap_or_default().as_bytes()),
        }
    }
}

impl Message {
    /// Bytes that count for the limits: body, and names, types and values of attributes.
    pub(crate) fn size(&self) -> usize {
        let attribute = |(name, value): (&String, &Attribute)| {
            name.len() + value.kind.len() + value.value().1.len()
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

pub(crate) fn md5_of(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

/// The digest of attributes in the order of their names: name, type, kind of value, value, each
/// text with its length before it. `None` without attributes.
/// [SQS guide: calculating the MD5 message digest for message attributes]
pub(crate) fn md5_of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
) -> Option<String> {
    let mut bytes = BytesMut::new();
    for (name, attribute) in attributes {
        let (transport, value) = attribute.value();
        for text in [name.as_bytes(), attribute.kind.as_bytes()] {
            bytes.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
            bytes.put_slice(text);
        }
        bytes.put_u8(transport);
        bytes.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        bytes.put_slice(value);
    }
    (!bytes.is_empty()).then(|| md5_of(&bytes))
}

/// The number that FIFO queues tell: twenty digits, growing.
pub(crate) fn sequence_number(seq: u64) -> String {
    const FIRST: u128 = 18_800_000_000_000_000_000;
    (FIRST + u128::from(seq)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_clients_check() {
        // From answers recorded from AWS.
        assert_eq!(md5_of(b"message-1"), "3d6b824fd8c1520e9a047d21fee6fb1f");
        for (name, attribute, digest) in [
            (
                "MyAttribute",
                Attribute::text("String", "foobar"),
                "adb59cd4678ea5a855436b949cd07ab6",
            ),
            (
                "Foo",
                Attribute::text("String", "Bar"),
                "ae7155c6026991b6d54b11589678bf9c",
            ),
            (
                "attr1",
                Attribute {
                    kind: "Binary".to_owned(),
                    text: None,
                    binary: Some(Blob::from(
                        b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
                            .to_vec(),
                    )),
                },
                "8cbe4db156db8a94db8b801b7addb984",
            ),
        ] {
            let all = BTreeMap::from([(name.to_owned(), attribute)]);
            assert_eq!(md5_of_attributes(&all).as_deref(), Some(digest), "{name}");
        }
        assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
    }

    #[test]
    fn a_sequence_number_has_twenty_digits() {
        for seq in [0, 1, u64::MAX] {
            assert_eq!(sequence_number(seq).len(), 20);
        }
        assert!(sequence_number(9) < sequence_number(10));
    }
}
