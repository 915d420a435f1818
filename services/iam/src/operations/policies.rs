use std::sync::Arc;

use store::{Expect, Op, Row};
use wire::Context;

use super::{date, page, tags};
use crate::api::{
    CreatePolicyRequest, ListEntitiesForPolicyRequest, ListEntitiesForPolicyResult,
    ListPoliciesRequest, ListPoliciesResult, PolicyRequest, PolicyResult, PolicyRole, PolicyShape,
};
use crate::document::{self, Purpose};
use crate::engine::{Engine, Usage, again, folded};
use crate::fault::Fault;
use crate::managed::{self, Managed};
use crate::names::{
    check_description, check_document_length, check_name, check_path, check_path_prefix,
    check_policy_arn,
};
use crate::record::{Policy, PolicyVersion};

/// [IAM quotas]
pub(crate) const ROLE_NAME_MAX: usize = 64;
pub(crate) const POLICY_NAME_MAX: usize = 128;
const POLICIES_MAX: usize = 1_500;
const POLICY_SIZE_MAX: usize = 6_144;

pub(crate) fn arn(account: &str, policy: &Policy) -> String {
    format!(
        "arn:aws:iam::{account}:policy{}{}",
        policy.path, policy.name
    )
}

/// The policy of this account that the ARN names; AWS's own cannot be changed.
pub(crate) async fn local(
    engine: &Engine,
    account: &str,
    policy_arn: &str,
) -> Result<Row<Policy>, Fault> {
    check_policy_arn(policy_arn)?;
    let mut parts = policy_arn.splitn(6, ':').skip(4);
    if parts.next() != Some(account) {
        return Err(if managed::find(policy_arn).is_some() {
            Fault::AccessDenied("Policy is outside your own account.".to_owned())
        } else {
            Fault::no_policy(policy_arn)
        });
    }
    let name = parts
        .next()
        .and_then(|r| r.rsplit('/').next())
        .unwrap_or_default();
    match engine.policies.get(&[account, &folded(name)]).await? {
        Some(row) if arn(account, &row.value) == policy_arn => Ok(row),
        _ => Err(Fault::no_policy(policy_arn)),
    }
}

/// A policy that an ARN names.
pub(crate) enum Found {
    Aws(&'static Managed),
    Local(Box<Row<Policy>>),
}

pub(crate) async fn find(engine: &Engine, account: &str, arn: &str) -> Result<Found, Fault> {
    check_policy_arn(arn)?;
    match managed::find(arn) {
        Some(policy) => Ok(Found::Aws(policy)),
        None => Ok(Found::Local(Box::new(local(engine, account, arn).await?))),
    }
}

/// As [`find`], in the words of the operations that attach.
pub(crate) async fn check_attachable(
    engine: &Engine,
    account: &str,
    arn: &str,
) -> Result<Found, Fault> {
    match find(engine, account, arn).await {
        Err(Fault::NoSuchEntity(_)) => Err(Fault::not_attachable(arn)),
        done => done,
    }
}

/// Writes a local policy back unchanged, so that a transaction fails if the policy goes meanwhile.
pub(crate) fn guard_op(engine: &Engine, account: &str, found: Found) -> Result<Option<Op>, Fault> {
    match found {
        Found::Aws(_) => Ok(None),
        Found::Local(row) => Ok(Some(engine.policies.put_op(
            &[account, &folded(&row.value.name)],
            &row.value,
            Expect::At(row.rev),
        )?)),
    }
}

impl Engine {
    /// Reads the policy, lets `change` alter it and writes it back, again if another writer was
    /// faster. `change` may be called several times.
    pub(crate) async fn change_policy(
        &self,
        account: &str,
        policy_arn: &str,
        change: impl Fn(&mut Policy) -> Result<(), Fault> + Send + Sync,
    ) -> Result<Policy, Fault> {
        let change = &change;
        again(|| async move {
            let mut row = local(self, account, policy_arn).await?;
            change(&mut row.value)?;
            let parts = [account, &folded(&row.value.name)];
            self.policies
                .put(&parts, &row.value, Expect::At(row.rev))
                .await?;
            Ok(row.value)
        })
        .await
    }
}

pub(crate) fn check_document(text: &str) -> Result<(), Fault> {
    check_document_length("policyDocument", text)?;
    document::check(text, Purpose::Identity)?;
    if document::size(text) > POLICY_SIZE_MAX {
        return Err(Fault::over_quota("PolicySize", POLICY_SIZE_MAX));
    }
    Ok(())
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreatePolicyRequest,
) -> Result<PolicyResult, wire::Fault> {
    check_name("policyName", &input.policy_name, POLICY_NAME_MAX)?;
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    check_path(&path)?;
    if let Some(description) = &input.description {
        check_description(description)?;
    }
    check_document(&input.policy_document)?;
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let account = cx.account();
    if engine.all_policies(account).await?.len() >= POLICIES_MAX {
        return Err(Fault::over_quota("PoliciesPerAccount", POLICIES_MAX).into());
    }
    let now = engine.now();
    let policy = Policy {
        name: input.policy_name,
        path,
        id: engine.unique_id("ANPA"),
        created: now,
        updated: now,
        description: input.description,
        default: 1,
        last: 1,
        versions: vec![PolicyVersion {
            number: 1,
            created: now,
            document: input.policy_document,
        }],
        tags,
    };
    let parts = [account, &folded(&policy.name)];
    match engine.policies.put(&parts, &policy, Expect::Absent).await {
        Ok(_) => Ok(PolicyResult {
            // CreatePolicy does not show the description.  [IAM API: Policy]
            policy: PolicyShape {
                description: None,
                ..local_shape(account, &policy, 0, 0)
            },
        }),
        Err(store::StoreError::Conflict(_)) => Err(Fault::EntityAlreadyExists(format!(
            "A policy called {} already exists. Duplicate names are not allowed.",
            policy.name
        ))
        .into()),
        Err(error) => Err(Fault::from(error).into()),
    }
}

fn local_shape(account: &str, policy: &Policy, attached: usize, bounding: usize) -> PolicyShape {
    PolicyShape {
        policy_name: policy.name.clone(),
        policy_id: policy.id.clone(),
        arn: arn(account, policy),
        path: policy.path.clone(),
        default_version_id: format!("v{}", policy.default),
        attachment_count: attached,
        permissions_boundary_usage_count: bounding,
        is_attachable: true,
        description: policy.description.clone(),
        create_date: date(policy.created),
        update_date: date(policy.updated),
        tags: tags::shapes_if_any(&policy.tags),
    }
}

fn aws_shape(policy: &Managed, attached: usize, bounding: usize) -> PolicyShape {
    PolicyShape {
        policy_name: policy.name.to_owned(),
        policy_id: policy.id.to_owned(),
        arn: policy.arn(),
        path: policy.path.to_owned(),
        default_version_id: policy.version.to_owned(),
        attachment_count: attached,
        permissions_boundary_usage_count: bounding,
        is_attachable: true,
        description: Some(policy.description.to_owned()),
        create_date: wire::Timestamp(policy.created_ms),
        update_date: wire::Timestamp(policy.updated_ms),
        tags: None,
    }
}

async fn counts(engine: &Engine, account: &str, arn: &str) -> Result<(usize, usize), Fault> {
    Ok((
        engine
            .uses_of(account, arn, Usage::Permissions)
            .await?
            .len(),
        engine.uses_of(account, arn, Usage::Boundary).await?.len(),
    ))
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: PolicyRequest,
) -> Result<PolicyResult, wire::Fault> {
    let account = cx.account();
    let found = find(&engine, account, &input.policy_arn).await?;
    let (attached, bounding) = counts(&engine, account, &input.policy_arn).await?;
    let mut policy = match &found {
        Found::Aws(policy) => aws_shape(policy, attached, bounding),
        Found::Local(row) => local_shape(account, &row.value, attached, bounding),
    };
    policy.tags.get_or_insert_default();
    Ok(PolicyResult { policy })
}

/// Only a policy that nothing uses and that has no other version goes.  [IAM API: DeletePolicy]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: PolicyRequest,
) -> Result<(), wire::Fault> {
    let (engine, account, arn) = (&engine, cx.account(), &input.policy_arn);
    again(|| async move {
        let row = local(engine, account, arn).await?;
        let (attached, bounding) = counts(engine, account, arn).await?;
        if attached + bounding > 0 {
            return Err(Fault::DeleteConflict(
                "Cannot delete a policy attached to entities.".to_owned(),
            ));
        }
        if row.value.versions.len() > 1 {
            return Err(Fault::DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must \
                 delete the policy's versions. The default version is deleted with the policy."
                    .to_owned(),
            ));
        }
        engine
            .policies
            .delete(&[account, &folded(&row.value.name)], Expect::At(row.rev))
            .await?;
        Ok(())
    })
    .await?;
    Ok(())
}

/// Leaves out descriptions and tags.  [IAM API: ListPolicies]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListPoliciesRequest,
) -> Result<ListPoliciesResult, wire::Fault> {
    let scope = input.scope.as_deref().unwrap_or("All");
    if !["All", "AWS", "Local"].contains(&scope) {
        return Err(Fault::constraint(
            "scope",
            scope,
            "Member must satisfy enum value set: [All, AWS, Local]",
        )
        .into());
    }
    let usage = usage_filter(input.policy_usage_filter.as_deref())?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    check_path_prefix(prefix)?;
    let account = cx.account();
    let mut shapes = Vec::new();
    if scope != "AWS" {
        for policy in engine.all_policies(account).await? {
            let (attached, bounding) = counts(&engine, account, &arn(account, &policy)).await?;
            shapes.push(local_shape(account, &policy, attached, bounding));
        }
    }
    if scope != "Local" {
        for policy in &managed::ALL {
            let (attached, bounding) = counts(&engine, account, &policy.arn()).await?;
            shapes.push(aws_shape(policy, attached, bounding));
        }
    }
    shapes.retain(|p| {
        let used = match usage {
            None => p.attachment_count + p.permissions_boundary_usage_count,
            Some(Usage::Permissions) => p.attachment_count,
            Some(Usage::Boundary) => p.permissions_boundary_usage_count,
        };
        let must_be_used = input.only_attached == Some(true) || usage == Some(Usage::Boundary);
        p.path.starts_with(prefix) && (used > 0 || !must_be_used)
    });
    shapes.sort_by(|a, b| a.arn.cmp(&b.arn));
    let page = page(shapes, input.marker.as_deref(), input.max_items, |p| {
        p.arn.clone()
    })?;
    Ok(ListPoliciesResult {
        policies: page
            .items
            .into_iter()
            .map(|p| PolicyShape {
                description: None,
                tags: None,
                ..p
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

fn usage_filter(text: Option<&str>) -> Result<Option<Usage>, Fault> {
    match text {
        None => Ok(None),
        Some("PermissionsPolicy") => Ok(Some(Usage::Permissions)),
        Some("PermissionsBoundary") => Ok(Some(Usage::Boundary)),
        Some(other) => Err(Fault::constraint(
            "policyUsageFilter",
            other,
            "Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]",
        )),
    }
}

pub(crate) async fn list_entities(
    engine: Arc<Engine>,
    cx: Context,
    input: ListEntitiesForPolicyRequest,
) -> Result<ListEntitiesForPolicyResult, wire::Fault> {
    let account = cx.account();
    let usage = usage_filter(input.policy_usage_filter.as_deref())?;
    find(&engine, account, &input.policy_arn).await?;
    let wants_roles = match input.entity_filter.as_deref() {
        None | Some("Role") => true,
        Some("User" | "Group" | "LocalManagedPolicy" | "AWSManagedPolicy") => false,
        Some(other) => {
            return Err(Fault::constraint(
                "entityFilter",
                other,
                "Member must satisfy enum value set: [User, Role, Group, LocalManagedPolicy, AWSManagedPolicy]",
            )
            .into());
        }
    };
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    check_path_prefix(prefix)?;
    let mut uses = Vec::new();
    for one in [Usage::Permissions, Usage::Boundary] {
        if wants_roles && usage.is_none_or(|wanted| wanted == one) {
            uses.extend(engine.uses_of(account, &input.policy_arn, one).await?);
        }
    }
    uses.retain(|entry| entry.role_path.starts_with(prefix));
    uses.sort_by_key(|entry| folded(&entry.role));
    uses.dedup_by(|a, b| a.role == b.role);
    let page = page(uses, input.marker.as_deref(), input.max_items, |u| {
        folded(&u.role)
    })?;
    Ok(ListEntitiesForPolicyResult {
        policy_groups: Vec::new(),
        policy_users: Vec::new(),
        policy_roles: page
            .items
            .into_iter()
            .map(|entry| PolicyRole {
                role_name: entry.role,
                role_id: entry.role_id,
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}
