use std::collections::BTreeMap;
use std::sync::Arc;

use store::Expect;
use wire::Context;

use super::policies::{ROLE_NAME_MAX, check_attachable, guard_op};
use super::{date, encoded, page, tags};
use crate::api::{
    AttachedPermissionsBoundary, CreateRoleRequest, ListInstanceProfilesForRoleResult,
    ListOfRoleRequest, ListRolesRequest, ListRolesResult, Nothing, RoleRequest, RoleResult,
    RoleShape, UpdateAssumeRolePolicyRequest, UpdateRoleDescriptionRequest, UpdateRoleRequest,
};
use crate::document::{self, Purpose};
use crate::engine::{Engine, Usage, again, folded};
use crate::fault::Fault;
use crate::names::{
    check_description, check_document_length, check_name, check_path, check_path_prefix,
};
use crate::record::Role;

/// [IAM quotas]
const ROLES_MAX: usize = 1_000;
const TRUST_SIZE_MAX: usize = 2_048;
const SESSION_SECS_MIN: u32 = 3_600;
const SESSION_SECS_MAX: u32 = 43_200;

fn arn(account: &str, role: &Role) -> String {
    format!("arn:aws:iam::{account}:role{}{}", role.path, role.name)
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateRoleRequest,
) -> Result<RoleResult, wire::Fault> {
    let role = checked(&engine, input)?;
    let account = cx.account();
    if engine.all_roles(account).await?.len() >= ROLES_MAX {
        return Err(Fault::over_quota("RolesPerAccount", ROLES_MAX).into());
    }
    let (engine, role) = (&engine, &role);
    again(|| async move {
        let mut ops =
            vec![
                engine
                    .roles
                    .put_op(&[account, &folded(&role.name)], role, Expect::Absent)?,
            ];
        if engine.role(account, &role.name).await.is_ok() {
            return Err(Fault::EntityAlreadyExists(format!(
                "Role with name {} already exists.",
                role.name
            )));
        }
        if let Some(boundary) = &role.boundary {
            let found = check_attachable(engine, account, boundary).await?;
            ops.extend(guard_op(engine, account, found)?);
            ops.push(engine.use_op(account, boundary, Usage::Boundary, role)?);
        }
        engine.roles.txn(ops).await?;
        Ok(())
    })
    .await?;
    Ok(RoleResult {
        role: RoleShape {
            max_session_duration: None,
            role_last_used: None,
            ..shape(account, role)
        },
    })
}

fn checked(engine: &Engine, input: CreateRoleRequest) -> Result<Role, Fault> {
    check_name("roleName", &input.role_name, ROLE_NAME_MAX)?;
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    check_path(&path)?;
    if let Some(description) = &input.description {
        check_description(description)?;
    }
    check_trust(
        "assumeRolePolicyDocument",
        &input.assume_role_policy_document,
    )?;
    Ok(Role {
        name: input.role_name,
        path,
        id: engine.unique_id("AROA"),
        created: engine.now(),
        trust: input.assume_role_policy_document,
        description: input.description,
        max_session_secs: session_secs(input.max_session_duration)?.unwrap_or(SESSION_SECS_MIN),
        boundary: input.permissions_boundary,
        inline: BTreeMap::new(),
        attached: Vec::new(),
        tags: tags::checked(input.tags.unwrap_or_default())?,
    })
}

fn check_trust(member: &str, text: &str) -> Result<(), Fault> {
    check_document_length(member, text)?;
    document::check(text, Purpose::Trust)?;
    if document::size(text) > TRUST_SIZE_MAX {
        return Err(Fault::over_quota("ACLSizePerRole", TRUST_SIZE_MAX));
    }
    Ok(())
}

fn session_secs(secs: Option<i64>) -> Result<Option<u32>, Fault> {
    let Some(secs) = secs else { return Ok(None) };
    let broken = |words: String| Fault::constraint("maxSessionDuration", &secs.to_string(), &words);
    if secs < SESSION_SECS_MIN.into() {
        return Err(broken(format!(
            "Member must have value greater than or equal to {SESSION_SECS_MIN}"
        )));
    }
    match u32::try_from(secs) {
        Ok(secs) if secs <= SESSION_SECS_MAX => Ok(Some(secs)),
        _ => Err(broken(format!(
            "Member must have value less than or equal to {SESSION_SECS_MAX}"
        ))),
    }
}

/// The role as `GetRole` shows it; the other operations leave members out.
fn shape(account: &str, role: &Role) -> RoleShape {
    RoleShape {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: arn(account, role),
        create_date: date(role.created),
        assume_role_policy_document: encoded(&role.trust),
        description: role.description.clone(),
        max_session_duration: Some(role.max_session_secs),
        permissions_boundary: role
            .boundary
            .as_ref()
            .map(|arn| AttachedPermissionsBoundary {
                permissions_boundary_type: "Policy",
                permissions_boundary_arn: arn.clone(),
            }),
        tags: tags::shapes_if_any(&role.tags),
        role_last_used: Some(Nothing {}),
    }
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: RoleRequest,
) -> Result<RoleResult, wire::Fault> {
    check_name("roleName", &input.role_name, ROLE_NAME_MAX)?;
    let role = engine.role(cx.account(), &input.role_name).await?.value;
    Ok(RoleResult {
        role: shape(cx.account(), &role),
    })
}

/// Leaves out `Tags`, `PermissionsBoundary` and `RoleLastUsed`.  [IAM API: ListRoles]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListRolesRequest,
) -> Result<ListRolesResult, wire::Fault> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    check_path_prefix(prefix)?;
    let roles = engine.all_roles(cx.account()).await?;
    let page = page(
        roles
            .into_iter()
            .filter(|role| role.path.starts_with(prefix)),
        input.marker.as_deref(),
        input.max_items,
        |role| folded(&role.name),
    )?;
    Ok(ListRolesResult {
        roles: page
            .items
            .iter()
            .map(|role| RoleShape {
                tags: None,
                permissions_boundary: None,
                role_last_used: None,
                ..shape(cx.account(), role)
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateRoleRequest,
) -> Result<Nothing, wire::Fault> {
    if let Some(description) = &input.description {
        check_description(description)?;
    }
    let session = session_secs(input.max_session_duration)?;
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            if let Some(description) = &input.description {
                role.description = Some(description.clone());
            }
            if let Some(secs) = session {
                role.max_session_secs = secs;
            }
            Ok(())
        })
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn update_description(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateRoleDescriptionRequest,
) -> Result<RoleResult, wire::Fault> {
    check_description(&input.description)?;
    let role = engine
        .change_role(cx.account(), &input.role_name, |role| {
            role.description = Some(input.description.clone());
            Ok(())
        })
        .await?;
    Ok(RoleResult {
        role: RoleShape {
            role_last_used: None,
            ..shape(cx.account(), &role)
        },
    })
}

pub(crate) async fn update_trust(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateAssumeRolePolicyRequest,
) -> Result<(), wire::Fault> {
    check_trust("policyDocument", &input.policy_document)?;
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            role.trust = input.policy_document.clone();
            Ok(())
        })
        .await?;
    Ok(())
}

/// Only a role without policies goes.  [IAM API: DeleteRole]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: RoleRequest,
) -> Result<(), wire::Fault> {
    let (engine, account, name) = (&engine, cx.account(), &input.role_name);
    again(|| async move {
        let row = engine.role(account, name).await?;
        if !row.value.attached.is_empty() {
            return Err(Fault::DeleteConflict(
                "Cannot delete entity, must detach all policies first.".to_owned(),
            ));
        }
        if !row.value.inline.is_empty() {
            return Err(Fault::DeleteConflict(
                "Cannot delete entity, must delete policies first.".to_owned(),
            ));
        }
        let mut ops = vec![
            engine
                .roles
                .delete_op(&[account, &folded(name)], Expect::At(row.rev)),
        ];
        if let Some(boundary) = &row.value.boundary {
            ops.push(engine.unuse_op(account, boundary, Usage::Boundary, &row.value));
        }
        engine.roles.txn(ops).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

/// Always empty: Kiln has no instance profiles.
pub(crate) async fn list_instance_profiles(
    engine: Arc<Engine>,
    cx: Context,
    input: ListOfRoleRequest,
) -> Result<ListInstanceProfilesForRoleResult, wire::Fault> {
    engine.role(cx.account(), &input.role_name).await?;
    Ok(ListInstanceProfilesForRoleResult {
        instance_profiles: Vec::new(),
        is_truncated: false,
    })
}
