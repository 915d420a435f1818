//! The shapes of requests and answers, with AWS's member names.  [CloudWatch Logs API: service model]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) type Tags = BTreeMap<String, String>;

/// An answer without members.
#[derive(Serialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateLogGroupRequest {
    pub(crate) log_group_name: String,
    pub(crate) kms_key_id: Option<String>,
    #[serde(default)]
    pub(crate) tags: Tags,
    pub(crate) log_group_class: Option<String>,
    pub(crate) deletion_protection_enabled: Option<bool>,
}

/// Of the operations whose only member is the group's name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupRequest {
    pub(crate) log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogGroupsRequest {
    pub(crate) log_group_name_prefix: Option<String>,
    pub(crate) log_group_name_pattern: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
    pub(crate) log_group_class: Option<String>,
    pub(crate) log_group_identifiers: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogGroupsResponse {
    pub(crate) log_groups: Vec<LogGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogGroup {
    pub(crate) log_group_name: String,
    pub(crate) creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retention_in_days: Option<u32>,
    pub(crate) metric_filter_count: u32,
    pub(crate) arn: String,
    pub(crate) stored_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_id: Option<String>,
    pub(crate) log_group_class: String,
    pub(crate) log_group_arn: String,
    pub(crate) deletion_protection_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListLogGroupsRequest {
    pub(crate) log_group_name_pattern: Option<String>,
    pub(crate) log_group_class: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListLogGroupsResponse {
    pub(crate) log_groups: Vec<LogGroupSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogGroupSummary {
    pub(crate) log_group_name: String,
    pub(crate) log_group_arn: String,
    pub(crate) log_group_class: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutRetentionPolicyRequest {
    pub(crate) log_group_name: String,
    pub(crate) retention_in_days: i64,
}

/// Of the operations that name one stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamRequest {
    pub(crate) log_group_name: String,
    pub(crate) log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogStreamsRequest {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_name_prefix: Option<String>,
    pub(crate) order_by: Option<String>,
    pub(crate) descending: Option<bool>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogStreamsResponse {
    pub(crate) log_streams: Vec<LogStream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogStream {
    pub(crate) log_stream_name: String,
    pub(crate) creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_ingestion_time: Option<i64>,
    pub(crate) upload_sequence_token: String,
    pub(crate) arn: String,
    /// Always zero, as AWS reports since 2019.
    pub(crate) stored_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogEventsRequest {
    pub(crate) log_group_name: String,
    pub(crate) log_stream_name: String,
    pub(crate) log_events: Vec<InputLogEvent>,
}

#[derive(Deserialize)]
pub(crate) struct InputLogEvent {
    pub(crate) timestamp: i64,
    pub(crate) message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogEventsResponse {
    pub(crate) next_sequence_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejected_log_events_info: Option<RejectedLogEventsInfo>,
}

/// Which events were not taken: those before an end index, those from a start index on.
#[derive(Serialize, Default, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedLogEventsInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) too_new_log_event_start_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) too_old_log_event_end_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expired_log_event_end_index: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetLogEventsRequest {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_name: String,
    pub(crate) start_time: Option<i64>,
    pub(crate) end_time: Option<i64>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
    pub(crate) start_from_head: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetLogEventsResponse {
    pub(crate) events: Vec<OutputLogEvent>,
    pub(crate) next_forward_token: String,
    pub(crate) next_backward_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutputLogEvent {
    pub(crate) timestamp: i64,
    pub(crate) message: String,
    pub(crate) ingestion_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterLogEventsRequest {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_names: Option<Vec<String>>,
    pub(crate) log_stream_name_prefix: Option<String>,
    pub(crate) start_time: Option<i64>,
    pub(crate) end_time: Option<i64>,
    pub(crate) filter_pattern: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterLogEventsResponse {
    pub(crate) events: Vec<FilteredLogEvent>,
    /// Always empty, as AWS answers since 2020.
    pub(crate) searched_log_streams: Vec<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilteredLogEvent {
    pub(crate) log_stream_name: String,
    pub(crate) timestamp: i64,
    pub(crate) message: String,
    pub(crate) ingestion_time: i64,
    pub(crate) event_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagResourceRequest {
    pub(crate) resource_arn: String,
    pub(crate) tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagResourceRequest {
    pub(crate) resource_arn: String,
    pub(crate) tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTagsForResourceRequest {
    pub(crate) resource_arn: String,
}

#[derive(Serialize)]
pub(crate) struct TagsResponse {
    pub(crate) tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagLogGroupRequest {
    pub(crate) log_group_name: String,
    pub(crate) tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagLogGroupRequest {
    pub(crate) log_group_name: String,
    pub(crate) tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogGroupDeletionProtectionRequest {
    pub(crate) log_group_identifier: String,
    pub(crate) deletion_protection_enabled: bool,
}
