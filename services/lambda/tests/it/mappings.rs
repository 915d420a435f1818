//! Event source mappings: records, rules and states.

use functions::FunctionsConfig;
use serde_json::{Value, json};

use crate::harness::{ARN, Api, FUNCTIONS, and, request, with};

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
const TABLE: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-11-21T00:00:00.000";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:s";
const NOT_POLLED: &str = "PROBLEM: Kiln does not poll event sources yet";

async fn api() -> Api {
    let api = Api::new().await;
    api.active("f").await;
    api
}

fn of_queue() -> Value {
    json!({"FunctionName": "f", "EventSourceArn": QUEUE})
}

fn of_stream(arn: &str) -> Value {
    json!({"FunctionName": "f", "EventSourceArn": arn, "StartingPosition": "TRIM_HORIZON"})
}

/// With words in the place of what differs from run to run, and the id.
async fn made(api: &Api, body: Value) -> (Value, String) {
    let answer = api.call("POST", MAPPINGS, body).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let json = answer.json();
    let uuid = json["UUID"].as_str().unwrap().to_owned();
    (tamed(json), uuid)
}

fn tamed(mut json: Value) -> Value {
    let uuid = json["UUID"].as_str().unwrap().to_owned();
    assert!(json["LastModified"].is_f64() || json["LastModified"].is_u64());
    json["LastModified"] = "<date>".into();
    serde_json::from_str(&json.to_string().replace(&uuid, "<uuid>")).unwrap()
}

fn base() -> Value {
    json!({
        "UUID": "<uuid>",
        "EventSourceMappingArn": "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:<uuid>",
        "FunctionArn": format!("{ARN}:f"),
        "LastModified": "<date>",
        "State": "Creating",
    })
}

fn queue_shown() -> Value {
    and(
        base(),
        json!({
            "BatchSize": 10,
            "EventSourceArn": QUEUE,
            "FunctionResponseTypes": [],
            "MaximumBatchingWindowInSeconds": 0,
            "StateTransitionReason": "USER_INITIATED",
        }),
    )
}

fn stream_shown(arn: &str) -> Value {
    and(
        base(),
        json!({
            "BatchSize": 100,
            "BisectBatchOnFunctionError": false,
            "DestinationConfig": {"OnFailure": {}},
            "EventSourceArn": arn,
            "FunctionResponseTypes": [],
            "LastProcessingResult": "No records processed",
            "MaximumBatchingWindowInSeconds": 0,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "StartingPosition": "TRIM_HORIZON",
            "StateTransitionReason": "User action",
            "TumblingWindowInSeconds": 0,
        }),
    )
}

fn path(uuid: &str) -> String {
    format!("{MAPPINGS}/{uuid}")
}

fn state(json: &Value) -> &str {
    json["State"].as_str().unwrap()
}

#[tokio::test]
async fn a_mapping_of_a_queue_comes_up_changes_and_goes() {
    let api = api().await;
    let (json, uuid) = made(&api, of_queue()).await;
    assert_eq!(json, queue_shown());
    let busy = api.call("DELETE", &path(&uuid), Value::Null).await.error();
    let in_use = "Cannot delete the event source mapping because it is in use.";
    assert_eq!(
        (busy.0, busy.1.as_str(), busy.2.as_str()),
        (400, "ResourceInUseException", in_use)
    );
    api.advance(FunctionsConfig::SETTLE);
    // What nobody polls must not look as if it were polled.
    let up = json!({"State": "Enabled", "LastProcessingResult": NOT_POLLED});
    let up = and(queue_shown(), up);
    assert_eq!(tamed(api.get(&path(&uuid)).await.json()), up);

    for (change, on_the_way, at_last) in [
        (json!({"BatchSize": 5}), "Updating", "Enabled"),
        (json!({"Enabled": false}), "Disabling", "Disabled"),
        (json!({"BatchSize": 6}), "Updating", "Disabled"),
        (json!({"Enabled": true}), "Enabling", "Enabled"),
    ] {
        let answer = api.call("PUT", &path(&uuid), change.clone()).await;
        assert_eq!(
            (answer.status, state(&answer.json())),
            (202, on_the_way),
            "{change}"
        );
        let busy = api.call("PUT", &path(&uuid), change.clone()).await.error();
        assert_eq!(
            (busy.0, busy.1.as_str()),
            (400, "ResourceInUseException"),
            "{change}"
        );
        api.advance(FunctionsConfig::SETTLE);
        let json = api.get(&path(&uuid)).await.json();
        assert_eq!(state(&json), at_last, "{change}");
        assert_eq!(
            json["LastProcessingResult"] == NOT_POLLED,
            at_last == "Enabled"
        );
    }
    assert_eq!(api.get(&path(&uuid)).await.json()["BatchSize"], 6);

    let gone = api.call("DELETE", &path(&uuid), Value::Null).await;
    assert_eq!((gone.status, state(&gone.json())), (202, "Deleting"));
    assert_eq!(state(&api.get(&path(&uuid)).await.json()), "Deleting");
    api.advance(FunctionsConfig::SETTLE);
    let none = (
        404,
        "ResourceNotFoundException".to_owned(),
        "The resource you requested does not exist.".to_owned(),
    );
    assert_eq!(api.get(&path(&uuid)).await.error(), none);
    assert_eq!(api.call("PUT", &path(&uuid), json!({})).await.error(), none);
    assert_eq!(
        api.call("DELETE", &path(&uuid), Value::Null).await.error(),
        none
    );
}

#[tokio::test]
async fn each_kind_of_source_has_its_members() {
    let api = api().await;
    assert_eq!(made(&api, of_stream(STREAM)).await.0, stream_shown(STREAM));
    let minimal = json!({"DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
        "BatchSize": 1, "MaximumRetryAttempts": 1, "MaximumBatchingWindowInSeconds": 1});
    let shown = and(stream_shown(TABLE), minimal.clone());
    assert_eq!(made(&api, and(of_stream(TABLE), minimal)).await.0, shown);
    let off = with(
        with(of_queue(), "Enabled", json!(false)),
        "FunctionName",
        json!("f:$LATEST"),
    );
    let expected = json!({"State": "Disabled", "FunctionArn": format!("{ARN}:f:$LATEST")});
    assert_eq!(made(&api, off).await.0, and(queue_shown(), expected));
    let kafka = json!({
        "FunctionName": "f",
        "Topics": ["topic"],
        "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": SECRET}],
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}},
    });
    let more = json!({
        "BatchSize": 100,
        "LastProcessingResult": "No records processed",
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "<uuid>"},
        "StartingPosition": "TRIM_HORIZON",
        "StateTransitionReason": "USER_INITIATED",
    });
    let expected = and(
        and(base(), with(kafka.clone(), "FunctionName", Value::Null)),
        more,
    );
    let (json, uuid) = made(&api, kafka.clone()).await;
    assert_eq!(json, expected);
    let two = json!({"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000", "kafka:2000"]}});
    let twin = with(kafka, "SelfManagedEventSource", two);
    let refused = api.call("POST", MAPPINGS, twin).await.error();
    let message = format!(
        "An event source mapping with event source (\"kafka:1000,kafka:2000\"), function (\"{ARN}:f\"), topics (\"topic\") already exists. Please update or delete the existing mapping with UUID {uuid}"
    );
    assert_eq!(
        refused,
        (409, "ResourceConflictException".to_owned(), message)
    );
}

#[tokio::test]
async fn what_was_set_is_shown_again() {
    let api = api().await;
    let settings = json!({
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 5,
        "FilterCriteria": {"Filters": [{"Pattern": "{\"body\": {\"a\": [{\"exists\": true}]}}"}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "LoggingConfig": {"SystemLogLevel": "INFO"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
    });
    let (json, uuid) = made(&api, and(of_queue(), settings.clone())).await;
    assert_eq!(json, and(queue_shown(), settings));
    api.advance(FunctionsConfig::SETTLE);
    // Empty members take away.
    let less = json!({"FilterCriteria": {}, "FunctionResponseTypes": [], "ScalingConfig": {},
        "MetricsConfig": {"Metrics": []}});
    let json = api.call("PUT", &path(&uuid), less).await.json();
    for gone in ["FilterCriteria", "ScalingConfig", "MetricsConfig"] {
        assert_eq!(json.get(gone), None, "{gone}");
    }
    assert_eq!(json["FunctionResponseTypes"], json!([]));
    api.advance(FunctionsConfig::SETTLE);
    let polled = json!({"ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 5}});
    let json = api.call("PUT", &path(&uuid), polled.clone()).await.json();
    assert_eq!(
        json["ProvisionedPollerConfig"],
        polled["ProvisionedPollerConfig"]
    );
}

#[tokio::test]
async fn bad_mappings_are_refused_as_aws_refuses_them() {
    let api = api().await;
    let slow = with(request("waits"), "Timeout", json!(3));
    api.call("POST", FUNCTIONS, slow).await;
    let (queue, stream) = (of_queue(), of_stream(STREAM));
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let filter = |pattern: Value| json!({"Filters": [{"Pattern": pattern}]});
    let no_position = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.";
    let window = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    let bad_filter = "Invalid filter pattern definition.";
    let destination =
        "Unsupported DestinationConfig parameter for given event source mapping type.";
    let at_timestamp = format!("Unsupported starting position for arn type: {TABLE}");
    for (body, message) in [
        (json!({"FunctionName": "x"}), "Unrecognized event source."),
        (
            json!({"FunctionName": "f", "EventSourceArn": "arn:aws:sns:us-east-1:000000000000:t"}),
            "Unrecognized event source.",
        ),
        (
            with(queue.clone(), "FunctionName", json!("x")),
            "Function does not exist",
        ),
        (
            with(queue.clone(), "FunctionName", json!("f:none")),
            "Function does not exist",
        ),
        (
            with(
                with(queue.clone(), "FunctionName", json!("x")),
                "DestinationConfig",
                json!({"OnSuccess": {"Destination": QUEUE}}),
            ),
            destination,
        ),
        (
            with(
                queue.clone(),
                "DestinationConfig",
                json!({"OnFailure": {"Destination": QUEUE}}),
            ),
            destination,
        ),
        (
            with(
                stream.clone(),
                "DestinationConfig",
                json!({"OnSuccess": {"Destination": QUEUE}}),
            ),
            destination,
        ),
        (
            with(queue.clone(), "EventSourceArn", json!(arn("none"))),
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.",
        ),
        (
            with(queue.clone(), "EventSourceArn", json!(arn("slow"))),
            "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds",
        ),
        (with(queue.clone(), "BatchSize", json!(11)), window),
        (
            with(
                with(queue.clone(), "EventSourceArn", json!(arn("q.fifo"))),
                "MaximumBatchingWindowInSeconds",
                json!(1),
            ),
            "Batching window is not supported for FIFO queues",
        ),
        (
            with(queue.clone(), "StartingPosition", json!("LATEST")),
            "StartingPosition is not valid for SQS event sources.",
        ),
        (
            with(queue.clone(), "ParallelizationFactor", json!(2)),
            "Unsupported 'parallelizationFactor' parameter for given event source mapping type.",
        ),
        (
            with(
                queue.clone(),
                "FilterCriteria",
                filter(json!("single-string")),
            ),
            bad_filter,
        ),
        (
            with(queue.clone(), "FilterCriteria", filter(json!(""))),
            bad_filter,
        ),
        (
            with(queue.clone(), "FilterCriteria", filter(Value::Null)),
            bad_filter,
        ),
        (
            with(stream.clone(), "StartingPosition", Value::Null),
            no_position,
        ),
        (
            with(of_stream(TABLE), "StartingPosition", json!("AT_TIMESTAMP")),
            &at_timestamp,
        ),
        (
            with(stream.clone(), "StartingPosition", json!("AT_TIMESTAMP")),
            "Need to specify a timestamp",
        ),
        (
            with(stream.clone(), "MaximumRecordAgeInSeconds", json!(59)),
            "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)",
        ),
        (
            json!({"FunctionName": "f", "Topics": ["to"], "SelfManagedEventSource":
                {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}}}),
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
    ] {
        let refused = api.call("POST", MAPPINGS, body.clone()).await.error();
        assert_eq!(
            refused,
            (
                400,
                "InvalidParameterValueException".to_owned(),
                message.to_owned()
            ),
            "{body}"
        );
    }
    let several = with(
        with(stream, "StartingPosition", json!("invalid")),
        "BatchSize",
        json!(10_001),
    );
    let refused = api.call("POST", MAPPINGS, several).await.error();
    assert_eq!(
        refused.2,
        "2 validation errors detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]; Value '10001' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000"
    );
}

#[tokio::test]
async fn a_function_has_one_mapping_of_a_source() {
    let api = api().await;
    let (_, uuid) = made(&api, of_queue()).await;
    let refused = api.call("POST", MAPPINGS, of_queue()).await.error();
    assert_eq!(
        refused.2,
        format!(
            "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f \") already exists. Please update or delete the existing mapping with UUID {uuid}"
        )
    );
    let (_, uuid) = made(&api, of_stream(STREAM)).await;
    let refused = api.call("POST", MAPPINGS, of_stream(STREAM)).await.error();
    assert_eq!(
        refused,
        (
            409,
            "ResourceConflictException".to_owned(),
            format!(
                "The event source arn (\" {STREAM} \") and function (\" f \") provided mapping already exists. Please update or delete the existing mapping with UUID {uuid}"
            )
        )
    );
}

#[tokio::test]
async fn mappings_are_listed_by_function_and_by_source_in_pages() {
    let api = api().await;
    api.active("g").await;
    for (function, source) in [("f", QUEUE), ("g", QUEUE), ("f:$LATEST", QUEUE)] {
        let body = json!({"FunctionName": function, "EventSourceArn": source});
        made(&api, body).await;
    }
    made(&api, of_stream(STREAM)).await;
    let count = async |query: &str| {
        let json = api.get(&format!("{MAPPINGS}{query}")).await.json();
        json["EventSourceMappings"].as_array().unwrap().len()
    };
    let of = |arn: &str| arn.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(count("").await, 4);
    assert_eq!(count("?FunctionName=f").await, 2);
    assert_eq!(count("?FunctionName=f%3A%24LATEST").await, 1);
    assert_eq!(count("?FunctionName=none").await, 0);
    assert_eq!(count(&format!("?EventSourceArn={}", of(QUEUE))).await, 3);
    let both = format!("?FunctionName=f&EventSourceArn={}", of(STREAM));
    assert_eq!(count(&both).await, 1);

    let first = api.get(&format!("{MAPPINGS}?MaxItems=3")).await.json();
    assert_eq!(first["EventSourceMappings"].as_array().unwrap().len(), 3);
    let marker = first["NextMarker"].as_str().unwrap();
    let rest = api.get(&format!("{MAPPINGS}?Marker={marker}")).await.json();
    assert_eq!(rest["EventSourceMappings"].as_array().unwrap().len(), 1);
    assert_eq!(rest.get("NextMarker"), None);
}

#[tokio::test]
async fn a_mapping_outlives_its_function() {
    let api = api().await;
    let (_, uuid) = made(&api, of_queue()).await;
    api.call("DELETE", &format!("{FUNCTIONS}/f"), Value::Null)
        .await;
    api.advance(FunctionsConfig::SETTLE);
    assert_eq!(state(&api.get(&path(&uuid)).await.json()), "Enabled");
    let off = json!({"Enabled": false});
    assert_eq!(api.call("PUT", &path(&uuid), off).await.status, 202);
    api.advance(FunctionsConfig::SETTLE);
    assert_eq!(
        api.call("DELETE", &path(&uuid), Value::Null).await.status,
        202
    );
}

#[tokio::test]
async fn mappings_and_code_signing_configurations_have_tags() {
    let api = api().await;
    let mapping = api
        .call(
            "POST",
            MAPPINGS,
            with(of_queue(), "Tags", json!({"a": "1"})),
        )
        .await;
    let config = json!({"Tags": {"a": "1"}, "AllowedPublishers": {"SigningProfileVersionArns":
        ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/test"]}});
    let config = api.call("POST", "/2020-04-22/code-signing-configs", config);
    let config = config.await.json()["CodeSigningConfig"]["CodeSigningConfigArn"].clone();
    for arn in [mapping.json()["EventSourceMappingArn"].clone(), config] {
        let arn = arn.as_str().unwrap();
        let tags = format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
        assert_eq!(
            api.get(&tags).await.json(),
            json!({"Tags": {"a": "1"}}),
            "{arn}"
        );
        let more = json!({"Tags": {"b": "2"}});
        assert_eq!(api.call("POST", &tags, more).await.status, 204, "{arn}");
        let less = format!("{tags}?tagKeys=a");
        assert_eq!(
            api.call("DELETE", &less, Value::Null).await.status,
            204,
            "{arn}"
        );
        assert_eq!(api.get(&tags).await.json(), json!({"Tags": {"b": "2"}}));
        let many: serde_json::Map<String, Value> =
            (0..50).map(|n| (n.to_string(), "v".into())).collect();
        let refused = api.call("POST", &tags, json!({"Tags": many})).await.error();
        assert_eq!(
            refused.1, "InvalidParameterValueException",
            "{arn} {refused:?}"
        );
        let end = arn.len() - 1;
        let other = format!(
            "{}{}",
            &arn[..end],
            if arn.ends_with('0') { '1' } else { '0' }
        );
        let other = format!("/2017-03-31/tags/{}", other.replace(':', "%3A"));
        assert_eq!(api.get(&other).await.status, 404, "{arn}");
    }
}
