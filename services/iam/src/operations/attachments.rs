use std::sync::Arc;

use store::Expect;
use wire::Context;

use super::page;
use super::policies::{check_attachable, guard_op};
use crate::api::{
    AttachedPolicy, ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResult,
    RoleAttachmentRequest,
};
use crate::engine::{Engine, Usage, again, folded};
use crate::fault::Fault;
use crate::names::{check_path_prefix, check_policy_arn};

/// [IAM quotas]
const ATTACHED_MAX: usize = 10;

/// Attaching twice is the same as once.
pub(crate) async fn attach(
    engine: Arc<Engine>,
    cx: Context,
    input: RoleAttachmentRequest,
) -> Result<(), wire::Fault> {
    let (engine, account, arn) = (&engine, cx.account(), &input.policy_arn);
    let name = &input.role_name;
    check_policy_arn(arn)?;
    again(|| async move {
        let mut row = engine.role(account, name).await?;
        let found = check_attachable(engine, account, arn).await?;
        if row.value.attached.contains(arn) {
            return Ok(());
        }
        if row.value.attached.len() >= ATTACHED_MAX {
            return Err(Fault::over_quota("PoliciesPerRole", ATTACHED_MAX));
        }
        row.value.attached.push(arn.clone());
        let mut ops = vec![
            engine.use_op(account, arn, Usage::Permissions, &row.value)?,
            engine
                .roles
                .put_op(&[account, &folded(name)], &row.value, Expect::At(row.rev))?,
        ];
        ops.extend(guard_op(engine, account, found)?);
        engine.roles.txn(ops).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

pub(crate) async fn detach(
    engine: Arc<Engine>,
    cx: Context,
    input: RoleAttachmentRequest,
) -> Result<(), wire::Fault> {
    let (engine, account, arn) = (&engine, cx.account(), &input.policy_arn);
    let name = &input.role_name;
    check_policy_arn(arn)?;
    again(|| async move {
        let mut row = engine.role(account, name).await?;
        if !row.value.attached.contains(arn) {
            return Err(Fault::no_policy(arn));
        }
        row.value.attached.retain(|have| have != arn);
        let ops = vec![
            engine.unuse_op(account, arn, Usage::Permissions, &row.value),
            engine
                .roles
                .put_op(&[account, &folded(name)], &row.value, Expect::At(row.rev))?,
        ];
        engine.roles.txn(ops).await?;
        Ok(())
    })
    .await?;
    Ok(())
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListAttachedRolePoliciesRequest,
) -> Result<ListAttachedRolePoliciesResult, wire::Fault> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    check_path_prefix(prefix)?;
    let mut role = engine.role(cx.account(), &input.role_name).await?.value;
    role.attached.retain(|arn| path_of(arn).starts_with(prefix));
    role.attached.sort();
    let page = page(
        role.attached,
        input.marker.as_deref(),
        input.max_items,
        String::clone,
    )?;
    Ok(ListAttachedRolePoliciesResult {
        attached_policies: page
            .items
            .into_iter()
            .map(|arn| AttachedPolicy {
                policy_name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
                policy_arn: arn,
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

/// `arn:aws:iam::aws:policy/service-role/X` → `/service-role/`.
fn path_of(arn: &str) -> &str {
    let resource = arn.find('/').and_then(|at| arn.get(at..)).unwrap_or("/");
    resource
        .rfind('/')
        .and_then(|at| resource.get(..=at))
        .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_policy_is_in_its_arn() {
        for (arn, path) in [
            ("arn:aws:iam::aws:policy/AWSLambda_FullAccess", "/"),
            (
                "arn:aws:iam::aws:policy/service-role/AWSLambdaRole",
                "/service-role/",
            ),
            ("arn:aws:iam::000000000000:policy/a/b/c", "/a/b/"),
        ] {
            assert_eq!(path_of(arn), path);
        }
    }
}
