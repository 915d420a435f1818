//! What is stored as records: groups and streams. Events live in the files of a journal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Record;

use crate::frame::Span;

/// Bytes of a name, above which its sum stands for it in keys.
const KEY_PART_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Never given twice: a group made again under its old name is another one.
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<u32>,
    pub(crate) kms_key: Option<String>,
    pub(crate) class: String,
    pub(crate) is_protected: bool,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Record for Group {
    const KIND: &'static str = "group";
    const VERSION: u8 = 1;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    /// Saved now and then, and before a segment is sealed; the journal may know later events.
    pub(crate) activity: Activity,
}

impl Record for Stream {
    const KIND: &'static str = "stream";
    const VERSION: u8 = 1;
}

/// A stream that was deleted while its events are still in files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Gone {
    pub(crate) deleted_ms: i64,
}

impl Record for Gone {
    const KIND: &'static str = "gone";
    const VERSION: u8 = 1;
}

/// When a stream had events, in Unix milliseconds; `None` before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    pub(crate) ingested: Option<i64>,
}

impl Activity {
    pub(crate) fn of(span: Span, ingested: i64) -> Activity {
        Activity {
            first: Some(span.earliest),
            last: Some(span.latest),
            ingested: Some(ingested),
        }
    }

    pub(crate) fn join(self, other: Activity) -> Activity {
        let earlier = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Activity {
            first: earlier,
            last: self.last.max(other.last),
            ingested: self.ingested.max(other.ingested),
        }
    }

    pub(crate) fn span(self) -> Span {
        match (self.first, self.last) {
            (Some(earliest), Some(latest)) => Span { earliest, latest },
            _ => Span::EMPTY,
        }
    }
}

/// A name as part of a key: itself, or its sum where it is too long for one.
pub(crate) fn key_part(name: &str) -> Cow<'_, str> {
    let escaped = name.len() + 2 * name.matches(['/', '%']).count();
    if escaped <= KEY_PART_BYTES_MAX && !name.starts_with('~') {
        return Cow::Borrowed(name);
    }
    // FNV-1a with 128 bits.
    let sum = name.bytes().fold(
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
        |sum, byte| {
            (sum ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        },
    );
    Cow::Owned(format!("~{sum:032x}"))
}

pub(crate) fn id_part(id: u64) -> String {
    format!("{id:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_becomes_its_sum_and_no_name_looks_like_one() {
        assert_eq!(key_part("/aws/lambda/f"), "/aws/lambda/f");
        let long = key_part(&"/".repeat(512)).into_owned();
        assert_eq!(long.len(), 33);
        assert_ne!(key_part(&long), long);
    }

    #[test]
    fn activities_join_to_the_widest() {
        let one = Activity::of(
            Span {
                earliest: 3,
                latest: 5,
            },
            6,
        );
        let two = Activity::of(
            Span {
                earliest: 1,
                latest: 4,
            },
            9,
        );
        let both = Activity {
            first: Some(1),
            last: Some(5),
            ingested: Some(9),
        };
        assert_eq!(one.join(two), both);
        assert_eq!(Activity::default().join(one), one);
        assert_eq!(one.join(Activity::default()), one);
    }
}
