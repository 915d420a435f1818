//! The wire shapes: one struct for each structure of the service model, its member names, no logic.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::Timestamp;

#[derive(Serialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize, Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Of CreateSchedule and UpdateSchedule.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduleInput {
    pub(crate) name: String,
    pub(crate) group_name: Option<String>,
    pub(crate) action_after_completion: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) start_date: Option<Timestamp>,
    pub(crate) end_date: Option<Timestamp>,
    pub(crate) flexible_time_window: FlexibleTimeWindow,
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) schedule_expression: String,
    pub(crate) schedule_expression_timezone: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) target: TargetShape,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FlexibleTimeWindow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_window_in_minutes: Option<i64>,
    pub(crate) mode: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TargetShape {
    pub(crate) arn: String,
    pub(crate) role_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_policy: Option<RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sqs_parameters: Option<SqsParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_bridge_parameters: Option<EventBridgeParameters>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeadLetterConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RetryPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_event_age_in_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_retry_attempts: Option<i64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SqsParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message_group_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EventBridgeParameters {
    pub(crate) detail_type: String,
    pub(crate) source: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduleArn {
    pub(crate) schedule_arn: String,
}

/// Of GetSchedule and DeleteSchedule.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduleRequest {
    pub(crate) name: String,
    pub(crate) group_name: Option<String>,
    #[allow(dead_code)] // deleting is the same twice
    pub(crate) client_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduleShape {
    pub(crate) action_after_completion: String,
    pub(crate) arn: String,
    pub(crate) creation_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_date: Option<Timestamp>,
    pub(crate) flexible_time_window: FlexibleTimeWindow,
    pub(crate) group_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) last_modification_date: Timestamp,
    pub(crate) name: String,
    pub(crate) schedule_expression: String,
    pub(crate) schedule_expression_timezone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_date: Option<Timestamp>,
    pub(crate) state: String,
    pub(crate) target: TargetShape,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSchedulesRequest {
    pub(crate) group_name: Option<String>,
    pub(crate) max_results: Option<i64>,
    pub(crate) name_prefix: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) state: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSchedulesResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
    pub(crate) schedules: Vec<ScheduleSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduleSummary {
    pub(crate) arn: String,
    pub(crate) creation_date: Timestamp,
    pub(crate) group_name: String,
    pub(crate) last_modification_date: Timestamp,
    pub(crate) name: String,
    pub(crate) state: String,
    /// `Arn` alone.
    pub(crate) target: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateGroupRequest {
    pub(crate) name: String,
    pub(crate) client_token: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GroupArn {
    pub(crate) schedule_group_arn: String,
}

/// Of GetScheduleGroup and DeleteScheduleGroup.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GroupRequest {
    pub(crate) name: String,
    #[allow(dead_code)] // deleting is the same twice
    pub(crate) client_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GroupShape {
    pub(crate) arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modification_date: Option<Timestamp>,
    pub(crate) name: String,
    pub(crate) state: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListGroupsRequest {
    pub(crate) max_results: Option<i64>,
    pub(crate) name_prefix: Option<String>,
    pub(crate) next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListGroupsResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
    pub(crate) schedule_groups: Vec<GroupShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagResourceRequest {
    pub(crate) resource_arn: String,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagResourceRequest {
    pub(crate) resource_arn: String,
    pub(crate) tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTagsRequest {
    pub(crate) resource_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagsResponse {
    pub(crate) tags: Vec<Tag>,
}
