//! The shapes of the API: member names as AWS spells them, no logic.  [SNS API reference]
//!
//! Members that the model requires are optional here: SNS itself, not its model, says what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::Blob;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateTopicInput {
    pub(crate) name: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) data_protection_policy: Option<String>,
}

/// Of CreateTopic, and each topic of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopicShape {
    pub(crate) topic_arn: String,
}

/// Of the operations that name a topic and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopicInput {
    pub(crate) topic_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListInput {
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTopicsResponse {
    pub(crate) topics: Vec<TopicShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

/// Of GetTopicAttributes and GetSubscriptionAttributes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributesResponse {
    pub(crate) attributes: BTreeMap<&'static str, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetTopicAttributesInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) attribute_name: Option<String>,
    pub(crate) attribute_value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscribeInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
    pub(crate) return_subscription_arn: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscriptionArnResponse {
    pub(crate) subscription_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfirmSubscriptionInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) authenticate_on_unsubscribe: Option<String>,
}

/// Of the operations that name a subscription and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscriptionInput {
    pub(crate) subscription_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetSubscriptionAttributesInput {
    pub(crate) subscription_arn: Option<String>,
    pub(crate) attribute_name: Option<String>,
    pub(crate) attribute_value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSubscriptionsByTopicInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscriptionShape {
    pub(crate) subscription_arn: String,
    pub(crate) owner: String,
    pub(crate) protocol: String,
    pub(crate) endpoint: String,
    pub(crate) topic_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSubscriptionsResponse {
    pub(crate) subscriptions: Vec<SubscriptionShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageAttribute {
    pub(crate) data_type: Option<String>,
    pub(crate) string_value: Option<String>,
    pub(crate) binary_value: Option<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) target_arn: Option<String>,
    pub(crate) phone_number: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) message_structure: Option<String>,
    pub(crate) message_attributes: Option<BTreeMap<String, MessageAttribute>>,
    pub(crate) message_deduplication_id: Option<String>,
    pub(crate) message_group_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishResponse {
    pub(crate) message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence_number: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) publish_batch_request_entries: Option<Vec<PublishBatchRequestEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchRequestEntry {
    pub(crate) id: String,
    pub(crate) message: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) message_structure: Option<String>,
    pub(crate) message_attributes: Option<BTreeMap<String, MessageAttribute>>,
    pub(crate) message_deduplication_id: Option<String>,
    pub(crate) message_group_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchResponse {
    pub(crate) successful: Vec<PublishBatchResultEntry>,
    pub(crate) failed: Vec<BatchResultErrorEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchResultEntry {
    pub(crate) id: String,
    pub(crate) message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence_number: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchResultErrorEntry {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) sender_fault: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AddPermissionInput {
    #[serde(rename = "TopicArn")]
    pub(crate) topic_arn: Option<String>,
    #[serde(rename = "Label")]
    pub(crate) label: Option<String>,
    #[serde(rename = "AWSAccountId")]
    pub(crate) accounts: Option<Vec<String>>,
    #[serde(rename = "ActionName")]
    pub(crate) actions: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RemovePermissionInput {
    pub(crate) topic_arn: Option<String>,
    pub(crate) label: Option<String>,
}

/// Of the operations that name a resource and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ResourceInput {
    pub(crate) resource_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagResourceInput {
    pub(crate) resource_arn: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagResourceInput {
    pub(crate) resource_arn: Option<String>,
    pub(crate) tag_keys: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTagsForResourceResponse {
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutDataProtectionPolicyInput {
    pub(crate) resource_arn: Option<String>,
    pub(crate) data_protection_policy: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetDataProtectionPolicyResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_protection_policy: Option<String>,
}

/// A result without members.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateApplicationInput {
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

/// Of the operations that name an application and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApplicationInput {
    pub(crate) platform_application_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetApplicationInput {
    pub(crate) platform_application_arn: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApplicationArnResponse {
    pub(crate) platform_application_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApplicationShape {
    pub(crate) platform_application_arn: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListApplicationsResponse {
    pub(crate) platform_applications: Vec<ApplicationShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

/// Of an application and of an endpoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NamedAttributesResponse {
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEndpointsInput {
    pub(crate) platform_application_arn: Option<String>,
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointArnResponse {
    pub(crate) endpoint_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointShape {
    pub(crate) endpoint_arn: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEndpointsResponse {
    pub(crate) endpoints: Vec<EndpointShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateEndpointInput {
    pub(crate) platform_application_arn: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) custom_user_data: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointInput {
    pub(crate) endpoint_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetEndpointInput {
    pub(crate) endpoint_arn: Option<String>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetSmsInput {
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetSmsInput {
    pub(crate) attributes: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetSmsResponse {
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneNumberInput {
    pub(crate) phone_number: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OptedOutResponse {
    pub(crate) is_opted_out: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NextTokenInput {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListOptedOutResponse {
    pub(crate) phone_numbers: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NoInput {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SandboxStatusResponse {
    pub(crate) is_in_sandbox: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PagedInput {
    pub(crate) max_results: Option<i64>,
}

/// Of numbers in the sandbox and of those that messages come from: there are none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NoNumbersResponse {
    pub(crate) phone_numbers: Vec<Empty>,
}
