//! What a mapping is set to: AWS's defaults, and what a request says.

use functions::{Database, MappingSettings, Pollers, SchemaRegistry, SourceKind};

use super::shape::{AccessConfiguration, KafkaConfig, MappingRequest, SchemaRegistryConfig};

/// What AWS fills in.  [Observed: spec 2.2]
pub(super) fn defaults(kind: SourceKind, uuid: &str) -> MappingSettings {
    let batch_max = match kind {
        SourceKind::Queue => 10,
        _ => 100,
    };
    let known = MappingSettings {
        batch_max,
        ..MappingSettings::default()
    };
    match kind {
        SourceKind::Queue => MappingSettings {
            window_secs: Some(0),
            ..known
        },
        SourceKind::Kinesis | SourceKind::DynamoDb => MappingSettings {
            window_secs: Some(0),
            batches_per_shard: Some(1),
            age_max_secs: Some(-1),
            retries_max: Some(-1),
            halves_failed: Some(false),
            tumbling_secs: Some(0),
            ..known
        },
        SourceKind::ManagedKafka | SourceKind::SelfManagedKafka => MappingSettings {
            starting: Some("TRIM_HORIZON".to_owned()),
            consumer_group: Some(uuid.to_owned()),
            ..known
        },
        SourceKind::Mq | SourceKind::DocumentDb => known,
    }
}

/// Takes over what the request says; the model has bounded every number.
pub(super) fn apply(s: &mut MappingSettings, input: MappingRequest) {
    let small = |n: i64| u32::try_from(n).ok();
    let signed = |n: i64| i32::try_from(n).ok();
    s.batch_max = input.batch_size.and_then(small).unwrap_or(s.batch_max);
    set(
        &mut s.window_secs,
        input.maximum_batching_window_in_seconds.and_then(small),
    );
    set(
        &mut s.batches_per_shard,
        input.parallelization_factor.and_then(small),
    );
    set(
        &mut s.tumbling_secs,
        input.tumbling_window_in_seconds.and_then(small),
    );
    set(
        &mut s.age_max_secs,
        input.maximum_record_age_in_seconds.and_then(signed),
    );
    set(
        &mut s.retries_max,
        input.maximum_retry_attempts.and_then(signed),
    );
    set(&mut s.halves_failed, input.bisect_batch_on_function_error);
    set(&mut s.starting, input.starting_position);
    let starting_at = input.starting_position_timestamp;
    set(&mut s.starting_at_ms, starting_at.map(|time| time.0));
    set(&mut s.key, input.kms_key_arn);
    if let Some(criteria) = input.filter_criteria {
        let filters = criteria.filters.unwrap_or_default().into_iter();
        s.filters = filters.map(|f| f.pattern.unwrap_or_default()).collect();
    }
    if let Some(destinations) = input.destination_config {
        let failure = destinations.on_failure.and_then(|d| d.destination);
        s.on_failure = failure.filter(|arn| !arn.is_empty());
    }
    s.topics = input.topics.unwrap_or(std::mem::take(&mut s.topics));
    s.queues = input.queues.unwrap_or(std::mem::take(&mut s.queues));
    if let Some(list) = input.source_access_configurations {
        s.access = accesses(list);
    }
    if let Some(types) = input.function_response_types {
        s.reports_items = !types.is_empty();
    }
    let kafka = input.amazon_managed_kafka_event_source_config;
    if let Some(config) = kafka.or(input.self_managed_kafka_event_source_config) {
        apply_kafka(s, config);
    }
    if let Some(scaling) = input.scaling_config {
        s.concurrency_max = scaling.maximum_concurrency.and_then(small);
    }
    set(
        &mut s.database,
        input.document_db_event_source_config.map(|d| Database {
            name: d.database_name,
            collection: d.collection_name,
            full_document: d.full_document,
        }),
    );
    if let Some(metrics) = input.metrics_config {
        s.metrics = metrics.metrics.unwrap_or_default();
    }
    if let Some(logging) = input.logging_config {
        s.log_level = logging.system_log_level;
    }
    if let Some(config) = input.provisioned_poller_config {
        let pollers = Pollers {
            min: config.minimum_pollers.and_then(small),
            max: config.maximum_pollers.and_then(small),
            group: config.poller_group_name.filter(|name| !name.is_empty()),
        };
        // An empty configuration switches the mode off.
        s.pollers = (pollers != Pollers::default()).then_some(pollers);
    }
}

fn set<T>(place: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *place = given;
    }
}

fn apply_kafka(s: &mut MappingSettings, config: KafkaConfig) {
    set(&mut s.consumer_group, config.consumer_group_id);
    let registry = config.schema_registry_config;
    set(&mut s.schemas, registry.map(schemas));
}

fn schemas(config: SchemaRegistryConfig) -> SchemaRegistry {
    let validated = config.schema_validation_configs.unwrap_or_default();
    SchemaRegistry {
        uri: config.schema_registry_uri,
        format: config.event_record_format,
        access: accesses(config.access_configs.unwrap_or_default()),
        validated: validated.into_iter().filter_map(|v| v.attribute).collect(),
    }
}

fn accesses(list: Vec<AccessConfiguration>) -> Vec<(String, String)> {
    list.into_iter()
        .map(|one| (one.kind.unwrap_or_default(), one.uri.unwrap_or_default()))
        .collect()
}
