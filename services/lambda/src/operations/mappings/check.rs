//! What a mapping may say: the service model, and what each kind of source allows.

use functions::{MappingSettings, SourceKind};
use patterns::Pattern;
use wire::Fault;

use super::shape::{AccessConfiguration, BOOTSTRAP, KafkaConfig, MappingRequest, REPORT_ITEMS};
use crate::fault::invalid_parameter;
use crate::name::{NAMESPACED, Target};
use crate::rules::{
    BROKER, COLLECTION, DATABASE, DESTINATION, POLLER_GROUP, PUBLISHER, RESOURCE_ARN, TOPIC, URI,
};
use crate::violations::Violations;

/// Filters of one mapping.  [Lambda quotas]
const FILTERS_MAX: usize = 5;
/// Messages of one batch without a window.  [Lambda guide: SQS]
const UNWINDOWED_MAX: u32 = 10;
/// Records are never younger than this, in seconds, when their age is limited.
const AGE_MIN_SECS: i32 = 60;

const ACCESS_KINDS: [&str; 15] = [
    "VIRTUAL_HOST",
    "BASIC_AUTH",
    "VPC_SUBNET",
    "VPC_SECURITY_GROUP",
    "SASL_SCRAM_512_AUTH",
    "SASL_SCRAM_256_AUTH",
    "CLIENT_CERTIFICATE_TLS_AUTH",
    "SERVER_ROOT_CA_CERTIFICATE",
    "OAUTHBEARER_AUTH",
    "OAUTHBEARER_SCOPE",
    "OAUTHBEARER_AUDIENCE",
    "OAUTHBEARER_LOGICAL_CLUSTER",
    "OAUTHBEARER_IDENTITY_POOL",
    "IAM_AUTH",
    "IAM_OAUTHBEARER_AUTH",
];

/// Holds a request against the service model. A new mapping must name a function.
pub(super) fn model(input: &MappingRequest, is_new: bool) -> Result<(), Fault> {
    let mut v = Violations::new();
    let name = input.function_name.as_deref();
    if is_new || name.is_some() {
        Target::check(&mut v, NAMESPACED, name, None);
    }
    source(&mut v, input);
    numbers(&mut v, input);
    filters(&mut v, input);
    kafka(&mut v, input);
    others(&mut v, input);
    v.check()
}

fn source(v: &mut Violations, input: &MappingRequest) {
    v.pattern(
        "eventSourceArn",
        input.event_source_arn.as_deref(),
        PUBLISHER,
    );
    v.one_of(
        "startingPosition",
        input.starting_position.as_deref(),
        &["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"],
    );
    let topics = input.topics.as_ref();
    v.count("topics", topics, 1, 1);
    let rule = "Member must have length less than or equal to 249, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [^.]([a-zA-Z0-9\\-_.]+)";
    v.each("topics", topics, rule, TOPIC.matches);
    v.count("queues", input.queues.as_ref(), 1, 1);
    let rule = "Member must have length less than or equal to 1000, Member must have length greater than or equal to 1";
    v.each("queues", input.queues.as_ref(), rule, |queue| {
        (1..=1_000).contains(&queue.chars().count())
    });
    let endpoints = input.self_managed_event_source.as_ref();
    let endpoints = endpoints.and_then(|s| s.endpoints.as_ref());
    for (key, servers) in endpoints.into_iter().flatten() {
        v.one_of(
            "selfManagedEventSource.endpoints",
            Some(key.as_str()),
            &[BOOTSTRAP],
        );
        let field = "selfManagedEventSource.endpoints.kafkaBootstrapServers";
        v.count(field, Some(servers), 1, 10);
        let rule = format!(
            "Member must have length less than or equal to 300, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: {}",
            BROKER.text
        );
        v.each(field, Some(servers), &rule, BROKER.matches);
    }
}

fn numbers(v: &mut Violations, input: &MappingRequest) {
    let pollers = input.provisioned_poller_config.as_ref();
    let scaling = input.scaling_config.as_ref();
    for (field, value, min, max) in [
        ("batchSize", input.batch_size, 1, 10_000),
        (
            "maximumBatchingWindowInSeconds",
            input.maximum_batching_window_in_seconds,
            0,
            300,
        ),
        ("parallelizationFactor", input.parallelization_factor, 1, 10),
        (
            "maximumRecordAgeInSeconds",
            input.maximum_record_age_in_seconds,
            -1,
            604_800,
        ),
        (
            "maximumRetryAttempts",
            input.maximum_retry_attempts,
            -1,
            10_000,
        ),
        (
            "tumblingWindowInSeconds",
            input.tumbling_window_in_seconds,
            0,
            900,
        ),
        (
            "scalingConfig.maximumConcurrency",
            scaling.and_then(|s| s.maximum_concurrency),
            2,
            1_000,
        ),
        (
            "provisionedPollerConfig.minimumPollers",
            pollers.and_then(|p| p.minimum_pollers),
            1,
            200,
        ),
        (
            "provisionedPollerConfig.maximumPollers",
            pollers.and_then(|p| p.maximum_pollers),
            1,
            10_000,
        ),
    ] {
        v.range(field, value, min, max);
    }
    let group = pollers.and_then(|p| p.poller_group_name.as_deref());
    let field = "provisionedPollerConfig.pollerGroupName";
    v.length(field, group, 0, 128);
    v.pattern(field, group, POLLER_GROUP);
}

fn filters(v: &mut Violations, input: &MappingRequest) {
    let criteria = input.filter_criteria.as_ref();
    let filters = criteria.and_then(|c| c.filters.as_deref());
    for (n, filter) in filters.unwrap_or_default().iter().enumerate() {
        let field = format!("filterCriteria.filters.{}.member.pattern", n + 1);
        v.length(&field, filter.pattern.as_deref(), 0, 4_096);
    }
}

fn kafka(v: &mut Violations, input: &MappingRequest) {
    let access = input.source_access_configurations.as_deref();
    if access.is_some_and(|list| list.len() > 22) {
        v.other("Value at 'sourceAccessConfigurations' failed to satisfy constraint: Member must have length less than or equal to 22".to_owned());
    }
    accesses(v, "sourceAccessConfigurations", access, &ACCESS_KINDS);
    for (field, config) in [
        (
            "amazonManagedKafkaEventSourceConfig",
            input.amazon_managed_kafka_event_source_config.as_ref(),
        ),
        (
            "selfManagedKafkaEventSourceConfig",
            input.self_managed_kafka_event_source_config.as_ref(),
        ),
    ] {
        if let Some(config) = config {
            kafka_config(v, field, config);
        }
    }
}

fn kafka_config(v: &mut Violations, field: &str, config: &KafkaConfig) {
    let group = config.consumer_group_id.as_deref();
    let inner = |name: &str| format!("{field}.{name}");
    v.length(&inner("consumerGroupId"), group, 1, 200);
    v.pattern(&inner("consumerGroupId"), group, URI);
    let Some(registry) = &config.schema_registry_config else {
        return;
    };
    let inner = |name: &str| format!("{field}.schemaRegistryConfig.{name}");
    let uri = registry.schema_registry_uri.as_deref();
    v.length(&inner("schemaRegistryURI"), uri, 1, 10_000);
    v.pattern(&inner("schemaRegistryURI"), uri, URI);
    v.one_of(
        &inner("eventRecordFormat"),
        registry.event_record_format.as_deref(),
        &["SOURCE", "JSON"],
    );
    accesses(
        v,
        &inner("accessConfigs"),
        registry.access_configs.as_deref(),
        &[
            "BASIC_AUTH",
            "CLIENT_CERTIFICATE_TLS_AUTH",
            "SERVER_ROOT_CA_CERTIFICATE",
        ],
    );
    let validations = registry.schema_validation_configs.as_deref();
    for (n, one) in validations.unwrap_or_default().iter().enumerate() {
        let field = inner(&format!(
            "schemaValidationConfigs.{}.member.attribute",
            n + 1
        ));
        v.one_of(&field, one.attribute.as_deref(), &["KEY", "VALUE"]);
    }
}

fn accesses(v: &mut Violations, field: &str, list: Option<&[AccessConfiguration]>, kinds: &[&str]) {
    for (n, one) in list.unwrap_or_default().iter().enumerate() {
        let place = format!("{field}.{}.member", n + 1);
        v.one_of(&format!("{place}.type"), one.kind.as_deref(), kinds);
        let uri = one.uri.as_deref();
        v.length(&format!("{place}.uRI"), uri, 1, 200);
        v.pattern(&format!("{place}.uRI"), uri, URI);
    }
}

fn others(v: &mut Violations, input: &MappingRequest) {
    let destinations = input.destination_config.as_ref();
    for (side, destination) in [
        (
            "onSuccess",
            destinations.and_then(|d| d.on_success.as_ref()),
        ),
        (
            "onFailure",
            destinations.and_then(|d| d.on_failure.as_ref()),
        ),
    ] {
        let field = format!("destinationConfig.{side}.destination");
        let text = destination.and_then(|d| d.destination.as_deref());
        v.length(&field, text, 0, 350);
        v.pattern(&field, text, DESTINATION);
    }
    let types = input.function_response_types.as_ref();
    v.count("functionResponseTypes", types, 0, 1);
    let rule = format!("Member must satisfy enum value set: [{REPORT_ITEMS}]");
    v.each("functionResponseTypes", types, &rule, |t| t == REPORT_ITEMS);
    v.pattern("kMSKeyArn", input.kms_key_arn.as_deref(), RESOURCE_ARN);
    if let Some(database) = &input.document_db_event_source_config {
        let field = |name: &str| format!("documentDBEventSourceConfig.{name}");
        let name = database.database_name.as_deref();
        v.length(&field("databaseName"), name, 1, 63);
        v.pattern(&field("databaseName"), name, DATABASE);
        let collection = database.collection_name.as_deref();
        v.length(&field("collectionName"), collection, 1, 57);
        v.pattern(&field("collectionName"), collection, COLLECTION);
        let full = database.full_document.as_deref();
        v.one_of(&field("fullDocument"), full, &["UpdateLookup", "Default"]);
    }
    let metrics = input.metrics_config.as_ref();
    let metrics = metrics.and_then(|m| m.metrics.as_ref());
    v.count("metricsConfig.metrics", metrics, 0, 3);
    let names = ["EventCount", "ErrorCount", "KafkaMetrics"];
    let rule = format!("Member must satisfy enum value set: [{}]", names.join(", "));
    v.each("metricsConfig.metrics", metrics, &rule, |name| {
        names.contains(&name)
    });
    let level = input.logging_config.as_ref();
    v.one_of(
        "loggingConfig.systemLogLevel",
        level.and_then(|l| l.system_log_level.as_deref()),
        &["DEBUG", "INFO", "WARN"],
    );
}

/// Refuses what the kind of source does not have.
pub(super) fn parameters(kind: SourceKind, input: &MappingRequest) -> Result<(), Fault> {
    let destinations = input.destination_config.as_ref();
    let has_success = destinations.is_some_and(|d| d.on_success.is_some());
    if has_success || (destinations.is_some() && !tells_failures(kind)) {
        return Err(invalid_parameter(
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ));
    }
    if kind == SourceKind::Queue && input.starting_position.is_some() {
        return Err(invalid_parameter(
            "StartingPosition is not valid for SQS event sources.",
        ));
    }
    for (name, is_given, kinds) in given(input) {
        if is_given && !kinds.contains(&kind) {
            return Err(invalid_parameter(format!(
                "Unsupported '{name}' parameter for given event source mapping type."
            )));
        }
    }
    Ok(())
}

/// Parameters that not every kind of source has, whether the request has them, and which kinds do.
/// [Lambda API: CreateEventSourceMapping]
fn given(input: &MappingRequest) -> [(&'static str, bool, &'static [SourceKind]); 16] {
    use SourceKind::{DocumentDb, DynamoDb, Kinesis, ManagedKafka, Mq, Queue, SelfManagedKafka};
    const STREAMS: &[SourceKind] = &[Kinesis, DynamoDb];
    const KAFKA: &[SourceKind] = &[ManagedKafka, SelfManagedKafka];
    const RECORDS: &[SourceKind] = &[Kinesis, DynamoDb, ManagedKafka, SelfManagedKafka];
    const POSITIONS: &[SourceKind] = &[
        Kinesis,
        DynamoDb,
        ManagedKafka,
        SelfManagedKafka,
        DocumentDb,
    ];
    const ACCESS: &[SourceKind] = &[ManagedKafka, SelfManagedKafka, Mq, DocumentDb];
    const POLLED: &[SourceKind] = &[Queue, ManagedKafka, SelfManagedKafka];
    const REPORTS: &[SourceKind] = &[Queue, Kinesis, DynamoDb, ManagedKafka, SelfManagedKafka];
    let reports = input.function_response_types.as_ref();
    [
        (
            "parallelizationFactor",
            input.parallelization_factor.is_some(),
            STREAMS,
        ),
        (
            "maximumRecordAgeInSeconds",
            input.maximum_record_age_in_seconds.is_some(),
            RECORDS,
        ),
        (
            "bisectBatchOnFunctionError",
            input.bisect_batch_on_function_error.is_some(),
            RECORDS,
        ),
        (
            "maximumRetryAttempts",
            input.maximum_retry_attempts.is_some(),
            RECORDS,
        ),
        (
            "tumblingWindowInSeconds",
            input.tumbling_window_in_seconds.is_some(),
            STREAMS,
        ),
        (
            "startingPosition",
            input.starting_position.is_some(),
            POSITIONS,
        ),
        (
            "startingPositionTimestamp",
            input.starting_position_timestamp.is_some(),
            POSITIONS,
        ),
        ("topics", input.topics.is_some(), KAFKA),
        ("queues", input.queues.is_some(), &[Mq]),
        (
            "sourceAccessConfigurations",
            input.source_access_configurations.is_some(),
            ACCESS,
        ),
        (
            "functionResponseTypes",
            reports.is_some_and(|types| !types.is_empty()),
            REPORTS,
        ),
        (
            "amazonManagedKafkaEventSourceConfig",
            input.amazon_managed_kafka_event_source_config.is_some(),
            &[ManagedKafka],
        ),
        (
            "selfManagedKafkaEventSourceConfig",
            input.self_managed_kafka_event_source_config.is_some(),
            &[SelfManagedKafka],
        ),
        ("scalingConfig", input.scaling_config.is_some(), &[Queue]),
        (
            "documentDBEventSourceConfig",
            input.document_db_event_source_config.is_some(),
            &[DocumentDb],
        ),
        (
            "provisionedPollerConfig",
            input.provisioned_poller_config.is_some(),
            POLLED,
        ),
    ]
}

/// Whether the kind has destinations for batches that failed.
fn tells_failures(kind: SourceKind) -> bool {
    !matches!(kind, SourceKind::Queue | SourceKind::Mq)
}

/// Refuses a new mapping that lacks what its kind of source needs.
pub(super) fn completeness(kind: SourceKind, input: &MappingRequest) -> Result<(), Fault> {
    let missing = |name: &str| {
        Err(invalid_parameter(format!(
            "Required '{name}' parameter is missing."
        )))
    };
    let needs_access = matches!(kind, SourceKind::SelfManagedKafka | SourceKind::Mq);
    if needs_access && input.source_access_configurations.is_none() {
        return missing("sourceAccessConfigurations");
    }
    let needs_topics = matches!(
        kind,
        SourceKind::SelfManagedKafka | SourceKind::ManagedKafka
    );
    if needs_topics && input.topics.is_none() {
        return missing("topics");
    }
    if kind == SourceKind::Mq && input.queues.is_none() {
        return missing("queues");
    }
    if kind == SourceKind::DocumentDb && input.document_db_event_source_config.is_none() {
        return missing("documentDBEventSourceConfig");
    }
    position(kind, input)
}

fn position(kind: SourceKind, input: &MappingRequest) -> Result<(), Fault> {
    let is_stream = matches!(kind, SourceKind::Kinesis | SourceKind::DynamoDb);
    match input.starting_position.as_deref() {
        None if is_stream => Err(invalid_parameter(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
        )),
        Some("AT_TIMESTAMP") if kind == SourceKind::DynamoDb => {
            let arn = input.event_source_arn.as_deref().unwrap_or_default();
            Err(invalid_parameter(format!(
                "Unsupported starting position for arn type: {arn}"
            )))
        }
        Some("AT_TIMESTAMP") if input.starting_position_timestamp.is_none() => {
            Err(invalid_parameter("Need to specify a timestamp"))
        }
        _ => Ok(()),
    }
}

/// Refuses settings that make no sense together; `is_fifo` of queues.
pub(super) fn settings(
    kind: SourceKind,
    is_fifo: bool,
    settings: &MappingSettings,
) -> Result<(), Fault> {
    let refuse = |text: &str| Err(invalid_parameter(text));
    let window = settings.window_secs.unwrap_or(0);
    if kind == SourceKind::Queue {
        if is_fifo && window > 0 {
            return refuse("Batching window is not supported for FIFO queues");
        }
        if settings.batch_max > UNWINDOWED_MAX && window == 0 {
            return refuse(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            );
        }
    }
    if settings
        .age_max_secs
        .is_some_and(|age| age != -1 && age < AGE_MIN_SECS)
    {
        return refuse(
            "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)",
        );
    }
    if settings.filters.len() > FILTERS_MAX {
        return Err(invalid_parameter(format!(
            "The number of filters exceeds the limit of {FILTERS_MAX}."
        )));
    }
    let is_pattern = |text: &String| Pattern::parse(text).is_ok();
    if !settings.filters.iter().all(is_pattern) {
        return refuse("Invalid filter pattern definition.");
    }
    let Some(pollers) = &settings.pollers else {
        return Ok(());
    };
    if settings.concurrency_max.is_some() {
        return refuse("MaximumConcurrency and ProvisionedPollerConfig cannot be used together.");
    }
    if matches!((pollers.min, pollers.max), (Some(min), Some(max)) if min > max) {
        return refuse("MinimumPollers must be less than or equal to MaximumPollers.");
    }
    Ok(())
}
