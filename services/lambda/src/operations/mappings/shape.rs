//! What goes over the wire about a mapping.

use std::collections::BTreeMap;

use functions::{
    Database, Mapping, MappingSource, MappingState, Pollers, SchemaRegistry, ShownMapping,
    SourceKind,
};
use model::{Account, Region};
use serde::{Deserialize, Serialize};
use wire::Timestamp;

/// `CreateEventSourceMappingRequest`, `UpdateEventSourceMappingRequest` and those that name one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct MappingRequest {
    #[serde(rename = "UUID")]
    pub(super) uuid: String,
    pub(super) function_name: Option<String>,
    pub(super) event_source_arn: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) batch_size: Option<i64>,
    pub(super) filter_criteria: Option<FilterCriteria>,
    pub(super) maximum_batching_window_in_seconds: Option<i64>,
    pub(super) parallelization_factor: Option<i64>,
    pub(super) starting_position: Option<String>,
    pub(super) starting_position_timestamp: Option<Timestamp>,
    pub(super) destination_config: Option<DestinationConfig>,
    pub(super) maximum_record_age_in_seconds: Option<i64>,
    pub(super) bisect_batch_on_function_error: Option<bool>,
    pub(super) maximum_retry_attempts: Option<i64>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) tumbling_window_in_seconds: Option<i64>,
    pub(super) topics: Option<Vec<String>>,
    pub(super) queues: Option<Vec<String>>,
    pub(super) source_access_configurations: Option<Vec<AccessConfiguration>>,
    pub(super) self_managed_event_source: Option<SelfManagedEventSource>,
    pub(super) function_response_types: Option<Vec<String>>,
    pub(super) amazon_managed_kafka_event_source_config: Option<KafkaConfig>,
    pub(super) self_managed_kafka_event_source_config: Option<KafkaConfig>,
    pub(super) scaling_config: Option<ScalingConfig>,
    #[serde(rename = "DocumentDBEventSourceConfig")]
    pub(super) document_db_event_source_config: Option<DocumentDbConfig>,
    #[serde(rename = "KMSKeyArn")]
    pub(super) kms_key_arn: Option<String>,
    pub(super) metrics_config: Option<MetricsConfig>,
    pub(super) logging_config: Option<LoggingConfig>,
    pub(super) provisioned_poller_config: Option<PollerConfig>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct FilterCriteria {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filters: Option<Vec<Filter>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Filter {
    pub(super) pattern: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DestinationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_success: Option<Destination>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_failure: Option<Destination>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Destination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<String>,
}

/// `SourceAccessConfiguration` and `KafkaSchemaRegistryAccessConfig`
#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AccessConfiguration {
    #[serde(rename = "Type")]
    pub(super) kind: Option<String>,
    #[serde(rename = "URI")]
    pub(super) uri: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SelfManagedEventSource {
    pub(super) endpoints: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct KafkaConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consumer_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_registry_config: Option<SchemaRegistryConfig>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SchemaRegistryConfig {
    #[serde(rename = "SchemaRegistryURI", skip_serializing_if = "Option::is_none")]
    pub(super) schema_registry_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event_record_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_configs: Option<Vec<AccessConfiguration>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_validation_configs: Option<Vec<SchemaValidation>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SchemaValidation {
    pub(super) attribute: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ScalingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maximum_concurrency: Option<i64>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DocumentDbConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collection_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full_document: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct MetricsConfig {
    pub(super) metrics: Option<Vec<String>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct LoggingConfig {
    pub(super) system_log_level: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PollerConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minimum_pollers: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maximum_pollers: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poller_group_name: Option<String>,
}

/// `ListEventSourceMappingsRequest`
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListMappingsRequest {
    pub(super) event_source_arn: Option<String>,
    pub(super) function_name: Option<String>,
    pub(super) marker: Option<String>,
    pub(super) max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListMappingsResponse {
    pub(super) event_source_mappings: Vec<EventSourceMapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_marker: Option<String>,
}

/// `EventSourceMappingConfiguration`
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EventSourceMapping {
    #[serde(rename = "UUID")]
    uuid: String,
    event_source_mapping_arn: String,
    function_arn: String,
    /// Seconds.
    last_modified: f64,
    state: &'static str,
    state_transition_reason: &'static str,
    batch_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_processing_result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_managed_event_source: Option<SelfManagedEventSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_position_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_batching_window_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelization_factor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_criteria: Option<FilterCriteria>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_config: Option<DestinationConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_record_age_in_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bisect_batch_on_function_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tumbling_window_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queues: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    source_access_configurations: Vec<AccessConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response_types: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amazon_managed_kafka_event_source_config: Option<KafkaConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_managed_kafka_event_source_config: Option<KafkaConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling_config: Option<ScalingConfig>,
    #[serde(
        rename = "DocumentDBEventSourceConfig",
        skip_serializing_if = "Option::is_none"
    )]
    document_db_event_source_config: Option<DocumentDbConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_config: Option<MetricsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logging_config: Option<LoggingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_poller_config: Option<PollerConfig>,
}

/// What AWS says of a source that gave nothing yet.
const NOTHING_YET: &str = "No records processed";
/// Differs: AWS polls. As in AWS, `PROBLEM:` tells that records do not arrive.
const NOT_POLLED: &str = "PROBLEM: Kiln does not poll event sources yet";

/// The only key of `Endpoints`.
pub(super) const BOOTSTRAP: &str = "KAFKA_BOOTSTRAP_SERVERS";
pub(super) const REPORT_ITEMS: &str = "ReportBatchItemFailures";

pub(super) fn arn(account: &Account, region: &Region, uuid: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{uuid}")
}

/// A mapping as AWS shows it: which members there are depends on the kind of the source.  [Observed:
/// spec 2.2]
pub(super) fn shown(
    account: &Account,
    region: &Region,
    shown: &ShownMapping,
) -> EventSourceMapping {
    let mapping = &*shown.mapping;
    let s = &mapping.settings;
    let kind = mapping.source.kind();
    let is_stream = matches!(kind, Some(SourceKind::Kinesis | SourceKind::DynamoDb));
    let is_queue = kind == Some(SourceKind::Queue);
    let has_kafka_config = s.consumer_group.is_some() || s.schemas.is_some();
    let kafka = |of: SourceKind| (has_kafka_config && kind == Some(of)).then(|| kafka(mapping));
    let failure = || Destination {
        destination: s.on_failure.clone(),
    };
    EventSourceMapping {
        uuid: mapping.uuid.clone(),
        event_source_mapping_arn: arn(account, region, &mapping.uuid),
        function_arn: mapping.function.clone(),
        last_modified: mapping.modified().unix_secs_f64(),
        state: shown.state.as_str(),
        state_transition_reason: match is_stream {
            true => "User action",
            false => "USER_INITIATED",
        },
        batch_size: s.batch_max,
        last_processing_result: match shown.state {
            MappingState::Enabled => Some(NOT_POLLED),
            _ if is_queue => None,
            _ => Some(NOTHING_YET),
        },
        event_source_arn: match &mapping.source {
            MappingSource::Arn(arn) => Some(arn.clone()),
            MappingSource::Kafka(_) => None,
        },
        self_managed_event_source: match &mapping.source {
            MappingSource::Arn(_) => None,
            MappingSource::Kafka(servers) => Some(SelfManagedEventSource {
                endpoints: Some(BTreeMap::from([(BOOTSTRAP.to_owned(), servers.clone())])),
            }),
        },
        starting_position: s.starting.clone(),
        starting_position_timestamp: s.starting_at_ms.map(Timestamp),
        maximum_batching_window_in_seconds: s.window_secs,
        parallelization_factor: s.batches_per_shard,
        filter_criteria: (!s.filters.is_empty()).then(|| FilterCriteria {
            filters: Some(s.filters.iter().map(|pattern| filter(pattern)).collect()),
        }),
        kms_key_arn: s.key.clone(),
        destination_config: (is_stream || s.on_failure.is_some()).then(|| DestinationConfig {
            on_success: None,
            on_failure: Some(failure()),
        }),
        maximum_record_age_in_seconds: s.age_max_secs,
        maximum_retry_attempts: s.retries_max,
        bisect_batch_on_function_error: s.halves_failed,
        tumbling_window_in_seconds: s.tumbling_secs,
        topics: s.topics.clone(),
        queues: s.queues.clone(),
        source_access_configurations: s.access.iter().map(access).collect(),
        function_response_types: match s.reports_items {
            true => Some(vec![REPORT_ITEMS]),
            false => (is_stream || is_queue).then(Vec::new),
        },
        amazon_managed_kafka_event_source_config: kafka(SourceKind::ManagedKafka),
        self_managed_kafka_event_source_config: kafka(SourceKind::SelfManagedKafka),
        scaling_config: s.concurrency_max.map(|max| ScalingConfig {
            maximum_concurrency: Some(max.into()),
        }),
        document_db_event_source_config: s.database.as_ref().map(database),
        metrics_config: (!s.metrics.is_empty()).then(|| MetricsConfig {
            metrics: Some(s.metrics.clone()),
        }),
        logging_config: s.log_level.clone().map(|level| LoggingConfig {
            system_log_level: Some(level),
        }),
        provisioned_poller_config: s.pollers.as_ref().map(pollers),
    }
}

fn filter(pattern: &str) -> Filter {
    Filter {
        pattern: Some(pattern.to_owned()),
    }
}

fn access((kind, uri): &(String, String)) -> AccessConfiguration {
    AccessConfiguration {
        kind: Some(kind.clone()),
        uri: Some(uri.clone()),
    }
}

fn kafka(mapping: &Mapping) -> KafkaConfig {
    KafkaConfig {
        consumer_group_id: mapping.settings.consumer_group.clone(),
        schema_registry_config: mapping.settings.schemas.as_ref().map(schemas),
    }
}

fn schemas(registry: &SchemaRegistry) -> SchemaRegistryConfig {
    let validated = registry.validated.iter().map(|attribute| SchemaValidation {
        attribute: Some(attribute.clone()),
    });
    SchemaRegistryConfig {
        schema_registry_uri: registry.uri.clone(),
        event_record_format: registry.format.clone(),
        access_configs: (!registry.access.is_empty())
            .then(|| registry.access.iter().map(access).collect()),
        schema_validation_configs: (!registry.validated.is_empty()).then(|| validated.collect()),
    }
}

fn database(database: &Database) -> DocumentDbConfig {
    DocumentDbConfig {
        database_name: database.name.clone(),
        collection_name: database.collection.clone(),
        full_document: database.full_document.clone(),
    }
}

fn pollers(pollers: &Pollers) -> PollerConfig {
    PollerConfig {
        minimum_pollers: pollers.min.map(i64::from),
        maximum_pollers: pollers.max.map(i64::from),
        poller_group_name: pollers.group.clone(),
    }
}
