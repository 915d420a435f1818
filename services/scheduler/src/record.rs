//! What is stored as records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Record;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) client_token: Option<String>,
}

impl Record for Group {
    const KIND: &'static str = "group";
    const VERSION: u8 = 1;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) group: String,
    /// A schedule made again under its old name is another one.
    pub(crate) id: String,
    pub(crate) client_token: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) description: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) expression: String,
    pub(crate) zone: String,
    pub(crate) start_ms: Option<i64>,
    pub(crate) end_ms: Option<i64>,
    /// 0: no window.
    pub(crate) window_minutes: u32,
    pub(crate) is_enabled: bool,
    /// Whether it goes when no tick is left.
    pub(crate) is_deleted_after: bool,
    pub(crate) target: Target,
    /// A tick of a rate.
    pub(crate) anchor_ms: i64,
    /// None while disabled, and after the last one.
    pub(crate) next: Option<Tick>,
}

impl Record for Schedule {
    const KIND: &'static str = "schedule";
    const VERSION: u8 = 1;
}

/// A tick, and when in its window it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) at_ms: i64,
    pub(crate) send_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) arn: String,
    pub(crate) role: String,
    pub(crate) input: Option<String>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) retries: u32,
    pub(crate) age_s: u64,
    /// The message group of a FIFO queue.
    pub(crate) group: Option<String>,
    /// Source and type of the event for a bus.
    pub(crate) event: Option<(String, String)>,
}
