//! The wire shapes: one struct for each structure of the service model, its member names, no logic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Timestamp;

use crate::http::api::TargetHttpParameters;

#[derive(Serialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize, Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRuleRequest {
    pub(crate) name: String,
    pub(crate) schedule_expression: Option<String>,
    pub(crate) event_pattern: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) event_bus_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRuleResponse {
    pub(crate) rule_arn: String,
}

/// Of the operations that name a rule and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuleRequest {
    pub(crate) name: String,
    pub(crate) event_bus_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteRuleRequest {
    pub(crate) name: String,
    pub(crate) event_bus_name: Option<String>,
    /// For rules that a service manages; there are none here.
    #[allow(dead_code)]
    pub(crate) force: Option<bool>,
}

/// Of DescribeRule, and an item of ListRules.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuleShape {
    pub(crate) name: String,
    pub(crate) arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule_expression: Option<String>,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_by: Option<String>,
    pub(crate) event_bus_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRulesRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRulesResponse {
    pub(crate) rules: Vec<RuleShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutTargetsRequest {
    pub(crate) rule: String,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) targets: Vec<TargetShape>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TargetShape {
    pub(crate) id: String,
    pub(crate) arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_transformer: Option<InputTransformer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sqs_parameters: Option<SqsParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_policy: Option<RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_parameters: Option<TargetHttpParameters>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InputTransformer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_paths_map: Option<BTreeMap<String, String>>,
    pub(crate) input_template: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SqsParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message_group_id: Option<String>,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeadLetterConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RetryPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_retry_attempts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_event_age_in_seconds: Option<i64>,
}

/// Of PutTargets and RemoveTargets.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TargetsResponse {
    pub(crate) failed_entry_count: usize,
    pub(crate) failed_entries: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RemoveTargetsRequest {
    pub(crate) rule: String,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) ids: Vec<String>,
    #[allow(dead_code)]
    pub(crate) force: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTargetsByRuleRequest {
    pub(crate) rule: String,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTargetsByRuleResponse {
    pub(crate) targets: Vec<TargetShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRuleNamesByTargetRequest {
    pub(crate) target_arn: String,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRuleNamesByTargetResponse {
    pub(crate) rule_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutEventsRequest {
    pub(crate) entries: Vec<PutEventsEntry>,
    pub(crate) endpoint_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutEventsEntry {
    pub(crate) time: Option<Timestamp>,
    pub(crate) source: Option<String>,
    pub(crate) resources: Option<Vec<String>>,
    pub(crate) detail_type: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) event_bus_name: Option<String>,
    pub(crate) trace_header: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutEventsResponse {
    pub(crate) failed_entry_count: usize,
    pub(crate) entries: Vec<PutEventsResult>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase", untagged)]
pub(crate) enum PutEventsResult {
    #[serde(rename_all = "PascalCase")]
    Accepted { event_id: String },
    #[serde(rename_all = "PascalCase")]
    Refused {
        error_code: String,
        error_message: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TestEventPatternRequest {
    pub(crate) event_pattern: String,
    pub(crate) event: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TestEventPatternResponse {
    pub(crate) result: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateEventBusRequest {
    pub(crate) name: String,
    pub(crate) event_source_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_identifier: Option<String>,
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    pub(crate) log_config: Option<Value>,
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateEventBusRequest {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_identifier: Option<String>,
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    pub(crate) log_config: Option<Value>,
}

/// Of every operation that shows a bus; each has other members of it.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BusShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_bus_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creation_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BusRequest {
    pub(crate) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEventBusesRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEventBusesResponse {
    pub(crate) event_buses: Vec<BusShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutPermissionRequest {
    pub(crate) event_bus_name: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) statement_id: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Condition {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RemovePermissionRequest {
    pub(crate) statement_id: Option<String>,
    pub(crate) remove_all_permissions: Option<bool>,
    pub(crate) event_bus_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagResourceRequest {
    #[serde(rename = "ResourceARN")]
    pub(crate) resource_arn: String,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagResourceRequest {
    #[serde(rename = "ResourceARN")]
    pub(crate) resource_arn: String,
    pub(crate) tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTagsForResourceRequest {
    #[serde(rename = "ResourceARN")]
    pub(crate) resource_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagsResponse {
    pub(crate) tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateArchiveRequest {
    pub(crate) archive_name: String,
    pub(crate) event_source_arn: String,
    pub(crate) description: Option<String>,
    pub(crate) event_pattern: Option<String>,
    pub(crate) retention_days: Option<i64>,
    pub(crate) kms_key_identifier: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateArchiveRequest {
    pub(crate) archive_name: String,
    pub(crate) description: Option<String>,
    pub(crate) event_pattern: Option<String>,
    pub(crate) retention_days: Option<i64>,
    pub(crate) kms_key_identifier: Option<String>,
}

/// Of CreateArchive and UpdateArchive.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ArchiveResponse {
    pub(crate) archive_arn: String,
    pub(crate) state: &'static str,
    pub(crate) creation_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ArchiveRequest {
    pub(crate) archive_name: String,
}

/// Of DescribeArchive, and an item of ListArchives, which has fewer members.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ArchiveShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive_arn: Option<String>,
    pub(crate) archive_name: String,
    pub(crate) event_source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_pattern: Option<String>,
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_identifier: Option<String>,
    pub(crate) retention_days: i64,
    pub(crate) size_bytes: u64,
    pub(crate) event_count: u64,
    pub(crate) creation_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListArchivesRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) event_source_arn: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListArchivesResponse {
    pub(crate) archives: Vec<ArchiveShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StartReplayRequest {
    pub(crate) replay_name: String,
    pub(crate) description: Option<String>,
    pub(crate) event_source_arn: String,
    pub(crate) event_start_time: Timestamp,
    pub(crate) event_end_time: Timestamp,
    pub(crate) destination: ReplayDestination,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReplayDestination {
    pub(crate) arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter_arns: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StartReplayResponse {
    pub(crate) replay_arn: String,
    pub(crate) state: String,
    pub(crate) replay_start_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReplayRequest {
    pub(crate) replay_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CancelReplayResponse {
    pub(crate) replay_arn: String,
    pub(crate) state: String,
}

/// Of DescribeReplay, and an item of ListReplays, which has fewer members.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReplayShape {
    pub(crate) replay_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) state: String,
    pub(crate) event_source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<ReplayDestination>,
    pub(crate) event_start_time: Timestamp,
    pub(crate) event_end_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_last_replayed_time: Option<Timestamp>,
    pub(crate) replay_start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay_end_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListReplaysRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) event_source_arn: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListReplaysResponse {
    pub(crate) replays: Vec<ReplayShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}
