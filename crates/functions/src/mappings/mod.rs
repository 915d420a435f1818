mod keep;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Account, Region};
use serde::{Deserialize, Serialize};
use store::Record;
use tasks::Time;

/// Which source feeds which function, and how.  [Lambda API: EventSourceMappingConfiguration]
///
/// A record: nothing reads the source yet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mapping {
    pub uuid: String,
    /// The ARN as it was asked for: with a qualifier, or without.
    pub function: String,
    pub source: MappingSource,
    pub is_enabled: bool,
    pub settings: MappingSettings,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Microseconds since 1970.
    pub modified_us: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MappingSource {
    Arn(String),
    /// Addresses of the brokers of a Kafka cluster that has no ARN.
    Kafka(Vec<String>),
}

/// What kind of thing a source is; each has defaults and rules of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceKind {
    Queue,
    Kinesis,
    DynamoDb,
    ManagedKafka,
    SelfManagedKafka,
    Mq,
    DocumentDb,
}

/// What was set, or is the default of the kind of source. `None` and empty: a setting that the kind
/// does not have, or that was not given.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MappingSettings {
    pub batch_max: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_secs: Option<u32>,
    /// `TRIM_HORIZON`, `LATEST` or `AT_TIMESTAMP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting: Option<String>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_at_ms: Option<i64>,
    /// Event patterns; a record that fits one of them is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The key that the filters are to be encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// ARN of what hears of batches that were given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches_per_shard: Option<u32>,
    /// -1: records are never too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_max_secs: Option<i32>,
    /// -1: until a record is too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries_max: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halves_failed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tumbling_secs: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Kinds and URIs of what opens the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<(String, String)>,
    /// Whether the function tells which records of a batch it could not handle.
    pub reports_items: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemas: Option<SchemaRegistry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pollers: Option<Pollers>,
}

/// [Lambda API: KafkaSchemaRegistryConfig]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SchemaRegistry {
    pub uri: Option<String>,
    pub format: Option<String>,
    pub access: Vec<(String, String)>,
    /// `KEY`, `VALUE`
    pub validated: Vec<String>,
}

/// [Lambda API: DocumentDBEventSourceConfig]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Database {
    pub name: Option<String>,
    pub collection: Option<String>,
    pub full_document: Option<String>,
}

/// [Lambda API: ProvisionedPollerConfig]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pollers {
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub group: Option<String>,
}

impl MappingSource {
    /// `None` for an ARN that no mapping can have.
    pub fn kind(&self) -> Option<SourceKind> {
        let arn = match self {
            MappingSource::Kafka(_) => return Some(SourceKind::SelfManagedKafka),
            MappingSource::Arn(arn) => arn,
        };
        match arn.split(':').nth(2)? {
            "sqs" => Some(SourceKind::Queue),
            "kinesis" => Some(SourceKind::Kinesis),
            "dynamodb" => Some(SourceKind::DynamoDb),
            "kafka" => Some(SourceKind::ManagedKafka),
            "mq" => Some(SourceKind::Mq),
            "rds" => Some(SourceKind::DocumentDb),
            _ => None,
        }
    }

    /// Whether two mappings of one function would read the same.
    fn meets(&self, other: &MappingSource) -> bool {
        match (self, other) {
            (MappingSource::Arn(a), MappingSource::Arn(b)) => a == b,
            (MappingSource::Kafka(a), MappingSource::Kafka(b)) => a.iter().any(|s| b.contains(s)),
            _ => false,
        }
    }
}

impl Mapping {
    pub fn modified(&self) -> Time {
        Time::from_unix_micros(self.modified_us)
    }

    fn meets(&self, other: &Mapping) -> bool {
        self.function == other.function
            && self.source.meets(&other.source)
            && self.settings.topics == other.settings.topics
            && self.settings.queues == other.settings.queues
    }
}

impl Record for Mapping {
    const KIND: &'static str = "mapping";
    const VERSION: u8 = 1;
}

/// [Lambda API: EventSourceMappingConfiguration$State]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MappingState {
    Creating,
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating,
    Deleting,
}

impl MappingState {
    pub fn as_str(self) -> &'static str {
        match self {
            MappingState::Creating => "Creating",
            MappingState::Enabling => "Enabling",
            MappingState::Enabled => "Enabled",
            MappingState::Disabling => "Disabling",
            MappingState::Disabled => "Disabled",
            MappingState::Updating => "Updating",
            MappingState::Deleting => "Deleting",
        }
    }
}

/// A mapping as the API shows it at one moment.
#[derive(Clone, Debug)]
pub struct ShownMapping {
    pub mapping: Arc<Mapping>,
    pub state: MappingState,
}

/// A mapping in memory. A change shows for a while; the record on disk is written once, as it will be
/// then.
#[derive(Clone)]
struct Held {
    mapping: Arc<Mapping>,
    /// What it goes through, and until when.
    moving: Option<(MappingState, Time)>,
}

impl Held {
    /// `None` once a deleted mapping is gone.
    fn at(&self, now: Time) -> Option<ShownMapping> {
        let state = match self.moving {
            Some((state, until)) if now < until => state,
            Some((MappingState::Deleting, _)) => return None,
            _ if self.mapping.is_enabled => MappingState::Enabled,
            _ => MappingState::Disabled,
        };
        Some(ShownMapping {
            mapping: self.mapping.clone(),
            state,
        })
    }

    fn is_moving(&self, now: Time) -> bool {
        self.moving.is_some_and(|(_, until)| now < until)
    }
}

type Home = (Account, Region);

/// All mappings of this process in memory, by account and region, in the order of their ids.
#[derive(Default)]
pub(crate) struct Mappings {
    held: RwLock<BTreeMap<Home, BTreeMap<String, Held>>>,
    /// One change at a time.
    writer: tokio::sync::Mutex<()>,
}

impl Mappings {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Home, BTreeMap<String, Held>>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Home, BTreeMap<String, Held>>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, home: &Home, uuid: &str) -> Option<Held> {
        self.read().get(home)?.get(uuid).cloned()
    }

    /// Takes over a change, and forgets what has gone.
    fn put(&self, home: &Home, held: Held, now: Time) {
        let mut all = self.write();
        let own = all.entry(home.clone()).or_default();
        own.retain(|_, held| held.at(now).is_some());
        own.insert(held.mapping.uuid.clone(), held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(is_enabled: bool) -> Arc<Mapping> {
        Arc::new(Mapping {
            uuid: "u".to_owned(),
            function: "f".to_owned(),
            source: MappingSource::Arn("arn:aws:sqs:us-east-1:000000000000:q".to_owned()),
            is_enabled,
            settings: MappingSettings::default(),
            tags: BTreeMap::new(),
            modified_us: 0,
        })
    }

    #[test]
    fn a_change_shows_until_its_time_is_over() {
        use MappingState::{Creating, Deleting, Disabled, Disabling, Enabled};
        let (before, after) = (Time::from_unix_millis(9), Time::from_unix_millis(10));
        for (is_enabled, moving, then, at_last) in [
            (true, Some(Creating), Creating, Some(Enabled)),
            (false, Some(Disabling), Disabling, Some(Disabled)),
            (true, Some(Deleting), Deleting, None),
            (true, None, Enabled, Some(Enabled)),
            (false, None, Disabled, Some(Disabled)),
        ] {
            let held = Held {
                mapping: mapping(is_enabled),
                moving: moving.map(|state| (state, after)),
            };
            let state = |now| held.at(now).map(|shown| shown.state);
            assert_eq!((state(before), state(after)), (Some(then), at_last));
        }
    }

    #[test]
    fn brokers_in_common_are_the_same_source() {
        let kafka = |servers: &[&str]| {
            MappingSource::Kafka(servers.iter().map(|s| (*s).to_owned()).collect())
        };
        assert!(kafka(&["a:1"]).meets(&kafka(&["b:1", "a:1"])));
        assert!(!kafka(&["a:1"]).meets(&kafka(&["b:1"])));
        assert!(!kafka(&["a:1"]).meets(&MappingSource::Arn("a:1".to_owned())));
    }

    #[test]
    fn a_source_is_known_by_its_service() {
        let kind = |arn: &str| MappingSource::Arn(arn.to_owned()).kind();
        for (service, expected) in [
            ("sqs", Some(SourceKind::Queue)),
            ("kinesis", Some(SourceKind::Kinesis)),
            ("dynamodb", Some(SourceKind::DynamoDb)),
            ("kafka", Some(SourceKind::ManagedKafka)),
            ("mq", Some(SourceKind::Mq)),
            ("rds", Some(SourceKind::DocumentDb)),
            ("sns", None),
        ] {
            assert_eq!(kind(&format!("arn:aws:{service}:r:a:x")), expected);
        }
        assert_eq!(kind("x"), None);
    }
}
