//! What is stored as records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Record;

use crate::http::record::TargetParameters;

pub(crate) type Tags = BTreeMap<String, String>;

/// A bus; the default one has a record only after somebody changed it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bus {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) description: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) log_config: Option<Value>,
    /// A policy document.
    pub(crate) policy: Option<Value>,
    pub(crate) tags: Tags,
}

impl Record for Bus {
    const KIND: &'static str = "bus";
    const VERSION: u8 = 1;
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) bus: String,
    pub(crate) pattern: Option<String>,
    pub(crate) schedule: Option<String>,
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) role: Option<String>,
    /// The service that made the rule; nobody else changes it without force.
    pub(crate) managed_by: Option<String>,
    pub(crate) created_by: String,
    pub(crate) tags: Tags,
    /// In the order in which they came.
    pub(crate) targets: Vec<RuleTarget>,
    /// Since when the schedule runs.
    pub(crate) anchor_ms: i64,
    /// The next tick of the schedule; none while the rule is disabled.
    pub(crate) next_ms: Option<i64>,
}

impl Record for Rule {
    const KIND: &'static str = "rule";
    const VERSION: u8 = 1;
}

impl Rule {
    pub(crate) fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleTarget {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) role: Option<String>,
    pub(crate) input: Option<String>,
    pub(crate) input_path: Option<String>,
    pub(crate) transformer: Option<Transformer>,
    /// The message group of a FIFO queue.
    pub(crate) group: Option<String>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) retries: Option<u32>,
    pub(crate) age_s: Option<u64>,
    /// What an API destination is called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<TargetParameters>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transformer {
    pub(crate) paths: BTreeMap<String, String>,
    pub(crate) template: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Archive {
    pub(crate) name: String,
    /// Names its log; an archive made again under its old name is another one.
    pub(crate) id: String,
    pub(crate) bus: String,
    pub(crate) description: Option<String>,
    pub(crate) pattern: Option<String>,
    /// 0: for ever.
    pub(crate) retention_days: i64,
    pub(crate) kms_key: Option<String>,
    pub(crate) created_ms: i64,
}

impl Record for Archive {
    const KIND: &'static str = "archive";
    const VERSION: u8 = 1;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replay {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) archive: String,
    /// The archive's own id.
    pub(crate) archive_id: String,
    pub(crate) bus: String,
    /// Rules that alone get the events; empty: all.
    pub(crate) filters: Vec<String>,
    pub(crate) state: String,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// Time and number in the log of the last event that was sent.
    pub(crate) last: Option<(i64, u64)>,
}

impl Record for Replay {
    const KIND: &'static str = "replay";
    const VERSION: u8 = 1;
}

impl Replay {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "COMPLETED" | "CANCELLED" | "FAILED")
    }
}
