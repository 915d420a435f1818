//! IAM: roles, policies, users and access keys as stored records, with AWS's checks and errors.
//!
//! A service of the query protocol; global, so nothing here has a region. Names are unique within
//! an account without distinguishing case.
//!
//! ```text
//! operations/*  ─▶ names, document (pure checks) ─▶ engine (tables, compare-and-swap) ─▶ store
//! ```
//!
//! Not here: deciding whether a request may proceed (what roles may do is told to those who ask), groups,
//! instance profiles, login profiles, identity providers; those operations answer that they are
//! not built.
//!
//! Start with [`Engine`] and [`service`].

mod api;
mod document;
mod engine;
mod fault;
mod managed;
mod names;
mod operations;
mod permissions;
mod record;

use std::sync::Arc;

pub use engine::Engine;
use operations::{attachments, boundaries, inline, policies, roles, tags, users, versions};
use wire::{Protocol, Service};

/// Opens the stored state.
///
/// # Errors
/// Fails if the store does.
pub async fn open(
    store: &store::Store,
    tasks: &tasks::Tasks,
) -> Result<Arc<Engine>, store::StoreError> {
    Ok(Arc::new(Engine::open(store, tasks).await?))
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    Service::new("iam", engine)
        .protocols([Protocol::Query {
            xmlns: "https://iam.amazonaws.com/doc/2010-05-08/",
        }])
        .operation("CreateRole", roles::create)
        .operation("GetRole", roles::get)
        .operation("ListRoles", roles::list)
        .operation("UpdateRole", roles::update)
        .operation("UpdateRoleDescription", roles::update_description)
        .operation("UpdateAssumeRolePolicy", roles::update_trust)
        .operation("DeleteRole", roles::delete)
        .operation("ListInstanceProfilesForRole", roles::list_instance_profiles)
        .operation("PutRolePermissionsBoundary", boundaries::put)
        .operation("DeleteRolePermissionsBoundary", boundaries::delete)
        .operation("PutRolePolicy", inline::put)
        .operation("GetRolePolicy", inline::get)
        .operation("DeleteRolePolicy", inline::delete)
        .operation("ListRolePolicies", inline::list)
        .operation("AttachRolePolicy", attachments::attach)
        .operation("DetachRolePolicy", attachments::detach)
        .operation("ListAttachedRolePolicies", attachments::list)
        .operation("TagRole", tags::tag_role)
        .operation("UntagRole", tags::untag_role)
        .operation("ListRoleTags", tags::list_role_tags)
        .operation("CreatePolicy", policies::create)
        .operation("GetPolicy", policies::get)
        .operation("DeletePolicy", policies::delete)
        .operation("ListPolicies", policies::list)
        .operation("ListEntitiesForPolicy", policies::list_entities)
        .operation("CreatePolicyVersion", versions::create)
        .operation("GetPolicyVersion", versions::get)
        .operation("ListPolicyVersions", versions::list)
        .operation("DeletePolicyVersion", versions::delete)
        .operation("SetDefaultPolicyVersion", versions::set_default)
        .operation("TagPolicy", tags::tag_policy)
        .operation("UntagPolicy", tags::untag_policy)
        .operation("ListPolicyTags", tags::list_policy_tags)
        .operation("CreateUser", users::create)
        .operation("GetUser", users::get)
        .operation("ListUsers", users::list)
        .operation("DeleteUser", users::delete)
        .operation("CreateAccessKey", users::create_key)
        .operation("UpdateAccessKey", users::update_key)
        .operation("DeleteAccessKey", users::delete_key)
        .operation("ListAccessKeys", users::list_keys)
        .not_built(NOT_BUILT)
        .build()
}

/// Operations of the model that Kiln does not have yet.
const NOT_BUILT: [&str; 135] = [
    "AcceptDelegationRequest",
    "AddClientIDToOpenIDConnectProvider",
    "AddRoleToInstanceProfile",
    "AddUserToGroup",
    "AssociateDelegationRequest",
    "AttachGroupPolicy",
    "AttachUserPolicy",
    "ChangePassword",
    "CreateAccountAlias",
    "CreateDelegationRequest",
    "CreateGroup",
    "CreateInstanceProfile",
    "CreateLoginProfile",
    "CreateOpenIDConnectProvider",
    "CreateSAMLProvider",
    "CreateServiceLinkedRole",
    "CreateServiceSpecificCredential",
    "CreateVirtualMFADevice",
    "DeactivateMFADevice",
    "DeleteAccountAlias",
    "DeleteAccountPasswordPolicy",
    "DeleteGroup",
    "DeleteGroupPolicy",
    "DeleteInstanceProfile",
    "DeleteLoginProfile",
    "DeleteOpenIDConnectProvider",
    "DeleteSAMLProvider",
    "DeleteSSHPublicKey",
    "DeleteServerCertificate",
    "DeleteServiceLinkedRole",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
    "DeleteUserPermissionsBoundary",
    "DeleteUserPolicy",
    "DeleteVirtualMFADevice",
    "DetachGroupPolicy",
    "DetachUserPolicy",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions",
    "DisableOutboundWebIdentityFederation",
    "EnableMFADevice",
    "EnableOrganizationsRootCredentialsManagement",
    "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation",
    "GenerateCredentialReport",
    "GenerateOrganizationsAccessReport",
    "GenerateServiceLastAccessedDetails",
    "GetAccessKeyLastUsed",
    "GetAccountAuthorizationDetails",
    "GetAccountPasswordPolicy",
    "GetAccountSummary",
    "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy",
    "GetCredentialReport",
    "GetDelegationRequest",
    "GetGroup",
    "GetGroupPolicy",
    "GetHumanReadableSummary",
    "GetInstanceProfile",
    "GetLoginProfile",
    "GetMFADevice",
    "GetOpenIDConnectProvider",
    "GetOrganizationsAccessReport",
    "GetOutboundWebIdentityFederationInfo",
    "GetSAMLProvider",
    "GetSSHPublicKey",
    "GetServerCertificate",
    "GetServiceLastAccessedDetails",
    "GetServiceLastAccessedDetailsWithEntities",
    "GetServiceLinkedRoleDeletionStatus",
    "GetUserPolicy",
    "ListAccountAliases",
    "ListAttachedGroupPolicies",
    "ListAttachedUserPolicies",
    "ListDelegationRequests",
    "ListGroupPolicies",
    "ListGroups",
    "ListGroupsForUser",
    "ListInstanceProfileTags",
    "ListInstanceProfiles",
    "ListMFADeviceTags",
    "ListMFADevices",
    "ListOpenIDConnectProviderTags",
    "ListOpenIDConnectProviders",
    "ListOrganizationsFeatures",
    "ListPoliciesGrantingServiceAccess",
    "ListSAMLProviderTags",
    "ListSAMLProviders",
    "ListSSHPublicKeys",
    "ListServerCertificateTags",
    "ListServerCertificates",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "ListUserPolicies",
    "ListUserTags",
    "ListVirtualMFADevices",
    "PutGroupPolicy",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "RejectDelegationRequest",
    "RemoveClientIDFromOpenIDConnectProvider",
    "RemoveRoleFromInstanceProfile",
    "RemoveUserFromGroup",
    "ResetServiceSpecificCredential",
    "ResyncMFADevice",
    "SendDelegationToken",
    "SetSecurityTokenServicePreferences",
    "SimulateCustomPolicy",
    "SimulatePrincipalPolicy",
    "TagInstanceProfile",
    "TagMFADevice",
    "TagOpenIDConnectProvider",
    "TagSAMLProvider",
    "TagServerCertificate",
    "TagUser",
    "UntagInstanceProfile",
    "UntagMFADevice",
    "UntagOpenIDConnectProvider",
    "UntagSAMLProvider",
    "UntagServerCertificate",
    "UntagUser",
    "UpdateAccountPasswordPolicy",
    "UpdateDelegationRequest",
    "UpdateGroup",
    "UpdateLoginProfile",
    "UpdateOpenIDConnectProviderThumbprint",
    "UpdateSAMLProvider",
    "UpdateSSHPublicKey",
    "UpdateServerCertificate",
    "UpdateServiceSpecificCredential",
    "UpdateSigningCertificate",
    "UpdateUser",
    "UploadSSHPublicKey",
    "UploadServerCertificate",
    "UploadSigningCertificate",
];
