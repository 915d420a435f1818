//! The shapes of the API: member names as AWS spells them, no logic.  [IAM API reference]

use serde::{Deserialize, Serialize};
use wire::Timestamp;

/// A structure without members, here or in the model.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleShape {
    pub(crate) path: String,
    pub(crate) role_name: String,
    pub(crate) role_id: String,
    pub(crate) arn: String,
    pub(crate) create_date: Timestamp,
    pub(crate) assume_role_policy_document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_session_duration: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permissions_boundary: Option<AttachedPermissionsBoundary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role_last_used: Option<Nothing>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttachedPermissionsBoundary {
    pub(crate) permissions_boundary_type: &'static str,
    pub(crate) permissions_boundary_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateRoleRequest {
    pub(crate) role_name: String,
    pub(crate) assume_role_policy_document: String,
    pub(crate) path: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) max_session_duration: Option<i64>,
    pub(crate) permissions_boundary: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleResult {
    pub(crate) role: RoleShape,
}

/// Of the operations that name a role and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleRequest {
    pub(crate) role_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRolesRequest {
    pub(crate) path_prefix: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRolesResult {
    pub(crate) roles: Vec<RoleShape>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateRoleRequest {
    pub(crate) role_name: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_duration: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateRoleDescriptionRequest {
    pub(crate) role_name: String,
    pub(crate) description: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateAssumeRolePolicyRequest {
    pub(crate) role_name: String,
    pub(crate) policy_document: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRolePermissionsBoundaryRequest {
    pub(crate) role_name: String,
    pub(crate) permissions_boundary: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRolePolicyRequest {
    pub(crate) role_name: String,
    pub(crate) policy_name: String,
    pub(crate) policy_document: String,
}

/// Of the operations on one inline policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RolePolicyRequest {
    pub(crate) role_name: String,
    pub(crate) policy_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetRolePolicyResult {
    pub(crate) role_name: String,
    pub(crate) policy_name: String,
    pub(crate) policy_document: String,
}

/// Of the operations that list what belongs to a role.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListOfRoleRequest {
    pub(crate) role_name: String,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListRolePoliciesResult {
    pub(crate) policy_names: Vec<String>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListInstanceProfilesForRoleResult {
    pub(crate) instance_profiles: Vec<Nothing>,
    pub(crate) is_truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleAttachmentRequest {
    pub(crate) role_name: String,
    pub(crate) policy_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListAttachedRolePoliciesRequest {
    pub(crate) role_name: String,
    pub(crate) path_prefix: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttachedPolicy {
    pub(crate) policy_name: String,
    pub(crate) policy_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListAttachedRolePoliciesResult {
    pub(crate) attached_policies: Vec<AttachedPolicy>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagRoleRequest {
    pub(crate) role_name: String,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagRoleRequest {
    pub(crate) role_name: String,
    pub(crate) tag_keys: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTagsResult {
    pub(crate) tags: Vec<Tag>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyShape {
    pub(crate) policy_name: String,
    pub(crate) policy_id: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    pub(crate) default_version_id: String,
    pub(crate) attachment_count: usize,
    pub(crate) permissions_boundary_usage_count: usize,
    pub(crate) is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) create_date: Timestamp,
    pub(crate) update_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyVersionShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    pub(crate) version_id: String,
    pub(crate) is_default_version: bool,
    pub(crate) create_date: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreatePolicyRequest {
    pub(crate) policy_name: String,
    pub(crate) policy_document: String,
    pub(crate) path: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyResult {
    pub(crate) policy: PolicyShape,
}

/// Of the operations that name a policy and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyRequest {
    pub(crate) policy_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListPoliciesRequest {
    pub(crate) scope: Option<String>,
    pub(crate) only_attached: Option<bool>,
    pub(crate) path_prefix: Option<String>,
    pub(crate) policy_usage_filter: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListPoliciesResult {
    pub(crate) policies: Vec<PolicyShape>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreatePolicyVersionRequest {
    pub(crate) policy_arn: String,
    pub(crate) policy_document: String,
    pub(crate) set_as_default: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyVersionResult {
    pub(crate) policy_version: PolicyVersionShape,
}

/// Of the operations on one version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyVersionRequest {
    pub(crate) policy_arn: String,
    pub(crate) version_id: String,
}

/// Of the operations that list what belongs to a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListOfPolicyRequest {
    pub(crate) policy_arn: String,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListPolicyVersionsResult {
    pub(crate) versions: Vec<PolicyVersionShape>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEntitiesForPolicyRequest {
    pub(crate) policy_arn: String,
    pub(crate) entity_filter: Option<String>,
    pub(crate) path_prefix: Option<String>,
    pub(crate) policy_usage_filter: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyRole {
    pub(crate) role_name: String,
    pub(crate) role_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListEntitiesForPolicyResult {
    pub(crate) policy_groups: Vec<Nothing>,
    pub(crate) policy_users: Vec<Nothing>,
    pub(crate) policy_roles: Vec<PolicyRole>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagPolicyRequest {
    pub(crate) policy_arn: String,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UntagPolicyRequest {
    pub(crate) policy_arn: String,
    pub(crate) tag_keys: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_name: Option<String>,
    pub(crate) user_id: String,
    pub(crate) arn: String,
    pub(crate) create_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateUserRequest {
    pub(crate) permissions_boundary: Option<String>,
    pub(crate) user_name: String,
    pub(crate) path: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
}

/// Without a name it means the caller.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserRequest {
    pub(crate) user_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteUserRequest {
    pub(crate) user_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserResult {
    pub(crate) user: UserShape,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListUsersRequest {
    pub(crate) path_prefix: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListUsersResult {
    pub(crate) users: Vec<UserShape>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessKeyShape {
    pub(crate) user_name: String,
    pub(crate) access_key_id: String,
    pub(crate) status: &'static str,
    pub(crate) secret_access_key: String,
    pub(crate) create_date: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessKeyResult {
    pub(crate) access_key: AccessKeyShape,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteAccessKeyRequest {
    pub(crate) user_name: Option<String>,
    pub(crate) access_key_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateAccessKeyRequest {
    pub(crate) user_name: Option<String>,
    pub(crate) access_key_id: String,
    pub(crate) status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListAccessKeysRequest {
    pub(crate) user_name: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessKeyMetadata {
    pub(crate) user_name: String,
    pub(crate) access_key_id: String,
    pub(crate) status: &'static str,
    pub(crate) create_date: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListAccessKeysResult {
    pub(crate) access_key_metadata: Vec<AccessKeyMetadata>,
    pub(crate) is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<String>,
}
