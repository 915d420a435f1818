//! The wire shapes of connections and API destinations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Timestamp;

use super::record::State;

/// Of CreateConnection and UpdateConnection.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConnectionInput {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) authorization_type: Option<String>,
    pub(crate) auth_parameters: Option<AuthInput>,
    pub(crate) invocation_connectivity_parameters: Option<Value>,
    pub(crate) kms_key_identifier: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthInput {
    pub(crate) basic_auth_parameters: Option<BasicInput>,
    #[serde(rename = "OAuthParameters")]
    pub(crate) oauth_parameters: Option<OAuthInput>,
    pub(crate) api_key_auth_parameters: Option<ApiKeyInput>,
    pub(crate) invocation_http_parameters: Option<HttpParameters>,
    pub(crate) connectivity_parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BasicInput {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApiKeyInput {
    pub(crate) api_key_name: Option<String>,
    pub(crate) api_key_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OAuthInput {
    pub(crate) client_parameters: Option<ClientInput>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) http_method: Option<String>,
    #[serde(rename = "OAuthHttpParameters")]
    pub(crate) oauth_http_parameters: Option<HttpParameters>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClientInput {
    #[serde(rename = "ClientID")]
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HttpParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) header_parameters: Option<Vec<HttpParameter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_string_parameters: Option<Vec<HttpParameter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_parameters: Option<Vec<HttpParameter>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HttpParameter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Not shown if it is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_value_secret: Option<bool>,
}

/// Of the operations that name a connection or an API destination and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NameRequest {
    pub(crate) name: String,
}

/// Of the operations that change a connection.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConnectionResponse {
    pub(crate) connection_arn: String,
    pub(crate) connection_state: State,
    pub(crate) creation_time: Timestamp,
    pub(crate) last_modified_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_authorized_time: Option<Timestamp>,
}

/// Of DescribeConnection, and an item of ListConnections, which has fewer members.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConnectionShape {
    pub(crate) connection_arn: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) connection_state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason: Option<String>,
    pub(crate) authorization_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_parameters: Option<AuthShape>,
    pub(crate) creation_time: Timestamp,
    pub(crate) last_modified_time: Timestamp,
    pub(crate) last_authorized_time: Timestamp,
}

/// What may be seen of a connection: no password, no key, no secret.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basic_auth_parameters: Option<BasicShape>,
    #[serde(rename = "OAuthParameters", skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_parameters: Option<OAuthShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_auth_parameters: Option<ApiKeyShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invocation_http_parameters: Option<HttpParameters>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BasicShape {
    pub(crate) username: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApiKeyShape {
    pub(crate) api_key_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OAuthShape {
    pub(crate) client_parameters: ClientShape,
    pub(crate) authorization_endpoint: String,
    pub(crate) http_method: String,
    #[serde(
        rename = "OAuthHttpParameters",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) oauth_http_parameters: Option<HttpParameters>,
}

#[derive(Serialize)]
pub(crate) struct ClientShape {
    #[serde(rename = "ClientID")]
    pub(crate) client_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListConnectionsRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) connection_state: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListConnectionsResponse {
    pub(crate) connections: Vec<ConnectionShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

/// Of CreateApiDestination and UpdateApiDestination.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DestinationInput {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) connection_arn: Option<String>,
    pub(crate) invocation_endpoint: Option<String>,
    pub(crate) http_method: Option<String>,
    pub(crate) invocation_rate_limit_per_second: Option<i64>,
}

/// Of the operations that change an API destination.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DestinationResponse {
    pub(crate) api_destination_arn: String,
    pub(crate) api_destination_state: &'static str,
    pub(crate) creation_time: Timestamp,
    pub(crate) last_modified_time: Timestamp,
}

/// Of DescribeApiDestination, and an item of ListApiDestinations, which has no description.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DestinationShape {
    pub(crate) api_destination_arn: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) api_destination_state: &'static str,
    pub(crate) connection_arn: String,
    pub(crate) invocation_endpoint: String,
    pub(crate) http_method: String,
    pub(crate) invocation_rate_limit_per_second: u32,
    pub(crate) creation_time: Timestamp,
    pub(crate) last_modified_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListDestinationsRequest {
    pub(crate) name_prefix: Option<String>,
    pub(crate) connection_arn: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListDestinationsResponse {
    pub(crate) api_destinations: Vec<DestinationShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

/// `HttpParameters` of a target.
#[derive(Deserialize, Serialize, Clone, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TargetHttpParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_parameter_values: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) header_parameters: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_string_parameters: Option<BTreeMap<String, String>>,
}
