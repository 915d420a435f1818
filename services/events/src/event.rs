use model::ports::EventHead;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tasks::Time;

/// An event on a bus, with the members in the order in which AWS writes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    version: String,
    pub(crate) id: String,
    #[serde(rename = "detail-type")]
    pub(crate) detail_type: String,
    pub(crate) source: String,
    pub(crate) account: String,
    /// `2026-11-20T21:10:00Z`
    pub(crate) time: String,
    pub(crate) region: String,
    #[serde(rename = "replay-name", skip_serializing_if = "Option::is_none")]
    pub(crate) replay_name: Option<String>,
    pub(crate) resources: Vec<String>,
    /// As it was sent, numbers too; only the space between is gone.
    pub(crate) detail: Box<RawValue>,
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'o> {
    pub(crate) id: &'o str,
    pub(crate) account: &'o str,
    pub(crate) region: &'o str,
    pub(crate) time: Time,
}

impl Event {
    /// `None`: the detail is no JSON object.
    pub(crate) fn new(origin: Origin<'_>, head: EventHead, detail: &str) -> Option<Event> {
        let is_object = matches!(serde_json::from_str::<Value>(detail), Ok(Value::Object(_)));
        let detail = RawValue::from_string(compact(detail)).ok()?;
        is_object.then(|| Event {
            version: "0".to_owned(),
            id: origin.id.to_owned(),
            detail_type: head.detail_type,
            source: head.source,
            account: origin.account.to_owned(),
            time: origin.time.iso_secs(),
            region: origin.region.to_owned(),
            replay_name: None,
            resources: head.resources,
            detail,
        })
    }

    /// Reads an event that [`Event::json`] wrote.
    pub(crate) fn read(json: &[u8]) -> Option<Event> {
        serde_json::from_slice(json).ok()
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The event as patterns and paths see it.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.json()).unwrap_or_default()
    }

    /// When it happened, in Unix milliseconds.
    pub(crate) fn unix_ms(&self) -> i64 {
        let quoted = Value::from(self.time.as_str());
        serde_json::from_value::<wire::Timestamp>(quoted).map_or(0, |time| time.0)
    }
}

/// The text without the space between its pieces.
fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    json.chars()
        .filter(|c| {
            if is_text {
                match *c {
                    _ if is_escaped => is_escaped = false,
                    '\\' => is_escaped = true,
                    '"' => is_text = false,
                    _ => {}
                }
                return true;
            }
            is_text = *c == '"';
            !matches!(c, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

/// An id in the form of a UUID that is the same for the same parts.
pub(crate) fn stable_id(parts: &[&str]) -> String {
    // FNV-1a with 128 bits; a part ends with a byte that no text holds.
    let bytes = parts
        .iter()
        .flat_map(|part| part.bytes().chain(std::iter::once(0xff)));
    let sum = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |sum, b| {
        (sum ^ u128::from(b)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    let version = (sum & !(0xf << 76)) | (0x8 << 76);
    let variant = (version & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{variant:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_members_in_the_order_of_aws_and_its_numbers_unchanged() {
        let origin = Origin {
            id: "i",
            account: "000000000000",
            region: "us-east-1",
            time: Time::from_unix_secs(1_795_209_000),
        };
        let head = EventHead {
            source: "s".to_owned(),
            detail_type: "t".to_owned(),
            resources: Vec::new(),
        };
        let detail = "{\"a b\": [1.0, 12345678901234567890123],\n \"c\": \"x \\\" y\"}";
        let event = Event::new(origin, head.clone(), detail).unwrap();
        assert_eq!(
            event.json(),
            r#"{"version":"0","id":"i","detail-type":"t","source":"s","account":"000000000000","time":"2026-11-20T21:10:00Z","region":"us-east-1","resources":[],"detail":{"a b":[1.0,12345678901234567890123],"c":"x \" y"}}"#
        );
        assert_eq!(event.unix_ms(), 1_795_209_000_000);
        assert_eq!(
            Event::read(event.json().as_bytes()).unwrap().json(),
            event.json()
        );
        for bad in ["[]", "\"x\"", "{", ""] {
            assert!(Event::new(origin, head.clone(), bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn ids_differ_by_their_parts_and_look_like_uuids() {
        let id = stable_id(&["a", "b"]);
        assert_eq!(id, stable_id(&["a", "b"]));
        assert_ne!(id, stable_id(&["ab"]));
        assert_ne!(id, stable_id(&["a", "c"]));
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "8");
    }
}
