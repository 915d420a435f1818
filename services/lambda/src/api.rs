//! The wire shapes: one struct for each structure of the service model, its member names, no logic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::Blob;

use crate::variables::Variables;

/// `CreateFunctionRequest` and `UpdateFunctionConfigurationRequest`: each operation reads the members
/// that are its own.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FunctionRequest {
    pub(crate) function_name: Option<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) timeout: Option<i64>,
    pub(crate) memory_size: Option<i64>,
    pub(crate) package_type: Option<String>,
    pub(crate) vpc_config: Option<VpcConfig>,
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    pub(crate) environment: Option<Environment>,
    #[serde(rename = "KMSKeyArn")]
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) tracing_config: Option<TracingConfig>,
    pub(crate) layers: Option<Vec<String>>,
    pub(crate) file_system_configs: Option<Vec<FileSystemConfig>>,
    pub(crate) image_config: Option<ImageConfig>,
    pub(crate) architectures: Option<Vec<String>>,
    pub(crate) ephemeral_storage: Option<EphemeralStorage>,
    pub(crate) snap_start: Option<SnapStart>,
    pub(crate) logging_config: Option<LoggingConfig>,
    /// Of CreateFunction alone.
    pub(crate) tenancy_config: Option<TenancyConfig>,
    /// Of CreateFunction alone.
    pub(crate) code_signing_config_arn: Option<String>,
    /// Of CreateFunction alone.
    pub(crate) publish_to: Option<String>,
    /// Read to be refused.
    pub(crate) durable_config: Option<serde_json::Value>,
    /// Read to be refused.
    pub(crate) capacity_provider_config: Option<serde_json::Value>,
    /// Of CreateFunction alone.
    pub(crate) code: Option<FunctionCode>,
    /// Of CreateFunction alone.
    pub(crate) publish: Option<bool>,
    /// Of CreateFunction alone.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// Of UpdateFunctionConfiguration alone.
    pub(crate) revision_id: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TenancyConfig {
    pub(crate) tenant_isolation_mode: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FunctionCode {
    pub(crate) zip_file: Option<Blob>,
    #[serde(rename = "S3Bucket")]
    pub(crate) s3_bucket: Option<String>,
    #[serde(rename = "S3Key")]
    pub(crate) s3_key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    pub(crate) s3_object_version: Option<String>,
    #[serde(rename = "S3ObjectStorageMode")]
    pub(crate) s3_object_storage_mode: Option<String>,
    #[serde(rename = "SourceKMSKeyArn")]
    pub(crate) source_kms_key_arn: Option<String>,
    pub(crate) image_uri: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct UpdateFunctionCodeRequest {
    pub(crate) function_name: String,
    pub(crate) zip_file: Option<Blob>,
    #[serde(rename = "S3Bucket")]
    pub(crate) s3_bucket: Option<String>,
    #[serde(rename = "S3Key")]
    pub(crate) s3_key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    pub(crate) s3_object_version: Option<String>,
    #[serde(rename = "S3ObjectStorageMode")]
    pub(crate) s3_object_storage_mode: Option<String>,
    #[serde(rename = "SourceKMSKeyArn")]
    pub(crate) source_kms_key_arn: Option<String>,
    pub(crate) image_uri: Option<String>,
    pub(crate) publish: Option<bool>,
    pub(crate) dry_run: Option<bool>,
    pub(crate) revision_id: Option<String>,
    pub(crate) architectures: Option<Vec<String>>,
    pub(crate) publish_to: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcConfig {
    pub(crate) subnet_ids: Option<Vec<String>>,
    pub(crate) security_group_ids: Option<Vec<String>>,
    pub(crate) ipv6_allowed_for_dual_stack: Option<bool>,
}

#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DeadLetterConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_arn: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Environment {
    pub(crate) variables: Option<Variables>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TracingConfig {
    pub(crate) mode: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FileSystemConfig {
    pub(crate) arn: Option<String>,
    pub(crate) local_mount_path: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry_point: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) working_directory: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EphemeralStorage {
    pub(crate) size: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SnapStart {
    pub(crate) apply_on: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LoggingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application_log_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system_log_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_group: Option<String>,
}

/// Names one function, perhaps one version of it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FunctionRefRequest {
    pub(crate) function_name: String,
    pub(crate) qualifier: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListFunctionsRequest {
    pub(crate) master_region: Option<String>,
    pub(crate) function_version: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListOfFunctionRequest {
    pub(crate) function_name: String,
    /// Of ListAliases alone.
    pub(crate) function_version: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PublishVersionRequest {
    pub(crate) function_name: String,
    pub(crate) code_sha256: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) revision_id: Option<String>,
    pub(crate) publish_to: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TagRequest {
    pub(crate) resource: String,
    pub(crate) tags: Option<BTreeMap<String, String>>,
    pub(crate) tag_keys: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTagsResponse {
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetFunctionResponse {
    pub(crate) configuration: FunctionConfiguration,
    pub(crate) code: FunctionCodeLocation,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<Concurrency>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FunctionCodeLocation {
    pub(crate) repository_type: &'static str,
    pub(crate) location: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PutFunctionConcurrencyRequest {
    pub(crate) function_name: String,
    pub(crate) reserved_concurrent_executions: Option<i64>,
}

/// `PutProvisionedConcurrencyConfigRequest` and those that name one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ProvisionedConcurrencyRequest {
    pub(crate) function_name: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) provisioned_concurrent_executions: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProvisionedConcurrencyConfig {
    /// Of ListProvisionedConcurrencyConfigs alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function_arn: Option<String>,
    pub(crate) requested_provisioned_concurrent_executions: u32,
    pub(crate) available_provisioned_concurrent_executions: u32,
    pub(crate) allocated_provisioned_concurrent_executions: u32,
    pub(crate) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_reason: Option<&'static str>,
    pub(crate) last_modified: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListProvisionedConcurrencyConfigsResponse {
    pub(crate) provisioned_concurrency_configs: Vec<ProvisionedConcurrencyConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Concurrency {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reserved_concurrent_executions: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListFunctionsResponse {
    pub(crate) functions: Vec<FunctionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListVersionsByFunctionResponse {
    pub(crate) versions: Vec<FunctionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetAccountSettingsResponse {
    pub(crate) account_limit: AccountLimit,
    pub(crate) account_usage: AccountUsage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccountLimit {
    pub(crate) total_code_size: u64,
    pub(crate) code_size_unzipped: u64,
    pub(crate) code_size_zipped: u64,
    pub(crate) concurrent_executions: u64,
    pub(crate) unreserved_concurrent_executions: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccountUsage {
    pub(crate) total_code_size: u64,
    pub(crate) function_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FunctionConfiguration {
    pub(crate) function_name: String,
    pub(crate) function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<&'static str>,
    pub(crate) role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handler: Option<String>,
    pub(crate) code_size: u64,
    pub(crate) description: String,
    pub(crate) timeout: u32,
    pub(crate) memory_size: u32,
    pub(crate) last_modified: String,
    pub(crate) code_sha256: String,
    pub(crate) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vpc_config: Option<VpcConfigResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<EnvironmentResponse>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) tracing_config: TracingConfig,
    pub(crate) revision_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_update_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_update_status_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_update_status_reason_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) file_system_configs: Vec<FileSystemConfig>,
    pub(crate) package_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_config_response: Option<ImageConfigResponse>,
    pub(crate) architectures: [&'static str; 1],
    pub(crate) ephemeral_storage: EphemeralStorage,
    pub(crate) snap_start: SnapStartResponse,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtime_version_config: Option<RuntimeVersionConfig>,
    pub(crate) logging_config: LoggingConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenancy_config: Option<TenancyConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct VpcConfigResponse {
    pub(crate) subnet_ids: Vec<String>,
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) vpc_id: String,
    pub(crate) ipv6_allowed_for_dual_stack: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EnvironmentResponse {
    pub(crate) variables: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Layer {
    pub(crate) arn: String,
    pub(crate) code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ImageConfigResponse {
    pub(crate) image_config: ImageConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SnapStartResponse {
    pub(crate) apply_on: &'static str,
    pub(crate) optimization_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuntimeVersionConfig {
    pub(crate) runtime_version_arn: String,
}

/// `CreateAliasRequest`, `UpdateAliasRequest` and those that name an alias.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AliasRequest {
    pub(crate) function_name: String,
    pub(crate) name: Option<String>,
    pub(crate) function_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) routing_config: Option<AliasRoutingConfiguration>,
    pub(crate) revision_id: Option<String>,
}

impl AliasRequest {
    pub(crate) fn weights(&self) -> Option<&BTreeMap<String, f64>> {
        self.routing_config
            .as_ref()?
            .additional_version_weights
            .as_ref()
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AliasRoutingConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) additional_version_weights: Option<BTreeMap<String, f64>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AliasConfiguration {
    pub(crate) alias_arn: String,
    pub(crate) name: String,
    pub(crate) function_version: String,
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) routing_config: Option<AliasRoutingConfiguration>,
    pub(crate) revision_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListAliasesResponse {
    pub(crate) aliases: Vec<AliasConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AddPermissionRequest {
    pub(crate) function_name: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) statement_id: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) source_arn: Option<String>,
    pub(crate) source_account: Option<String>,
    pub(crate) event_source_token: Option<String>,
    pub(crate) revision_id: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    pub(crate) principal_org_id: Option<String>,
    pub(crate) function_url_auth_type: Option<String>,
    pub(crate) invoked_via_function_url: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AddPermissionResponse {
    pub(crate) statement: String,
}

/// `RemovePermissionRequest` and `GetPolicyRequest`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PermissionRequest {
    pub(crate) function_name: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) statement_id: String,
    pub(crate) revision_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetPolicyResponse {
    pub(crate) policy: String,
    pub(crate) revision_id: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RecursionRequest {
    pub(crate) function_name: String,
    pub(crate) recursive_loop: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecursionConfig {
    pub(crate) recursive_loop: &'static str,
}

/// The requests that name a function URL.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FunctionUrlRequest {
    pub(crate) function_name: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) auth_type: Option<String>,
    pub(crate) cors: Option<CorsShape>,
    pub(crate) invoke_mode: Option<String>,
}

/// `Cors`
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CorsShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_credentials: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_methods: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_origins: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expose_headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FunctionUrlConfig {
    pub(crate) function_url: String,
    pub(crate) function_arn: String,
    pub(crate) auth_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cors: Option<CorsShape>,
    pub(crate) creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invoke_mode: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListFunctionUrlConfigsResponse {
    pub(crate) function_url_configs: Vec<FunctionUrlConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PublishLayerVersionRequest {
    pub(crate) layer_name: String,
    pub(crate) description: Option<String>,
    /// `LayerVersionContentInput` has no member that `FunctionCode` lacks, but for versions in S3.
    pub(crate) content: Option<FunctionCode>,
    pub(crate) compatible_runtimes: Option<Vec<String>>,
    pub(crate) compatible_architectures: Option<Vec<String>>,
    pub(crate) license_info: Option<String>,
}

/// The requests that name one version of a layer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LayerVersionRequest {
    pub(crate) layer_name: String,
    pub(crate) version_number: i64,
    /// Of the permissions alone.
    pub(crate) statement_id: Option<String>,
    /// Of AddLayerVersionPermission alone.
    pub(crate) action: Option<String>,
    /// Of AddLayerVersionPermission alone.
    pub(crate) principal: Option<String>,
    /// Of AddLayerVersionPermission alone.
    pub(crate) organization_id: Option<String>,
    /// Of the permissions alone.
    pub(crate) revision_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GetLayerVersionByArnRequest {
    pub(crate) arn: Option<String>,
}

/// `ListLayersRequest` and `ListLayerVersionsRequest`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListLayersRequest {
    /// Of ListLayerVersions alone.
    pub(crate) layer_name: String,
    pub(crate) compatible_runtime: Option<String>,
    pub(crate) compatible_architecture: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

/// `PublishLayerVersionResponse` and `GetLayerVersionResponse`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LayerVersionResponse {
    pub(crate) content: LayerVersionContentOutput,
    pub(crate) layer_arn: String,
    #[serde(flatten)]
    pub(crate) version: LayerVersionsListItem,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LayerVersionContentOutput {
    pub(crate) location: String,
    pub(crate) code_sha256: String,
    pub(crate) code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LayerVersionsListItem {
    pub(crate) layer_version_arn: String,
    pub(crate) version: u64,
    pub(crate) description: String,
    pub(crate) created_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compatible_runtimes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compatible_architectures: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) license_info: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LayersListItem {
    pub(crate) layer_name: String,
    pub(crate) layer_arn: String,
    pub(crate) latest_matching_version: LayerVersionsListItem,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListLayersResponse {
    pub(crate) layers: Vec<LayersListItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListLayerVersionsResponse {
    pub(crate) layer_versions: Vec<LayerVersionsListItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AddLayerVersionPermissionResponse {
    pub(crate) statement: String,
    pub(crate) revision_id: String,
}
