use std::sync::Arc;

use wire::Context;

use super::policies::{POLICY_NAME_MAX, ROLE_NAME_MAX};
use super::{encoded, page};
use crate::api::{
    GetRolePolicyResult, ListOfRoleRequest, ListRolePoliciesResult, PutRolePolicyRequest,
    RolePolicyRequest,
};
use crate::document::{self, Purpose};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{check_document_length, check_name};

/// All inline policies of a role together, without white space.  [IAM quotas]
const INLINE_SIZE_MAX: usize = 10_240;

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutRolePolicyRequest,
) -> Result<(), wire::Fault> {
    check_name("roleName", &input.role_name, ROLE_NAME_MAX)?;
    check_name("policyName", &input.policy_name, POLICY_NAME_MAX)?;
    check_document_length("policyDocument", &input.policy_document)?;
    document::check(&input.policy_document, Purpose::Identity).map_err(Fault::from)?;
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            role.inline
                .insert(input.policy_name.clone(), input.policy_document.clone());
            let total: usize = role.inline.values().map(|text| document::size(text)).sum();
            if total > INLINE_SIZE_MAX {
                return Err(Fault::LimitExceeded(format!(
                    "Maximum policy size of {INLINE_SIZE_MAX} bytes exceeded for role {}",
                    role.name
                )));
            }
            Ok(())
        })
        .await?;
    Ok(())
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: RolePolicyRequest,
) -> Result<GetRolePolicyResult, wire::Fault> {
    let role = engine.role(cx.account(), &input.role_name).await?.value;
    let document = role
        .inline
        .get(&input.policy_name)
        .ok_or_else(|| missing(&input.policy_name))?;
    Ok(GetRolePolicyResult {
        policy_document: encoded(document),
        role_name: role.name,
        policy_name: input.policy_name,
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: RolePolicyRequest,
) -> Result<(), wire::Fault> {
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            match role.inline.remove(&input.policy_name) {
                Some(_) => Ok(()),
                None => Err(missing(&input.policy_name)),
            }
        })
        .await?;
    Ok(())
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListOfRoleRequest,
) -> Result<ListRolePoliciesResult, wire::Fault> {
    let role = engine.role(cx.account(), &input.role_name).await?.value;
    let page = page(
        role.inline.into_keys(),
        input.marker.as_deref(),
        input.max_items,
        String::clone,
    )?;
    Ok(ListRolePoliciesResult {
        policy_names: page.items,
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

fn missing(policy: &str) -> Fault {
    Fault::NoSuchEntity(format!(
        "The role policy with name {policy} cannot be found."
    ))
}
