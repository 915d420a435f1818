use std::sync::Arc;

use store::Expect;
use wire::Context;

use super::policies::{check_attachable, guard_op};
use crate::api::{PutRolePermissionsBoundaryRequest, RoleRequest};
use crate::engine::{Engine, Usage, again, folded};
use crate::fault::Fault;

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutRolePermissionsBoundaryRequest,
) -> Result<(), wire::Fault> {
    set(
        &engine,
        cx.account(),
        &input.role_name,
        Some(&input.permissions_boundary),
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: RoleRequest,
) -> Result<(), wire::Fault> {
    set(&engine, cx.account(), &input.role_name, None).await?;
    Ok(())
}

async fn set(
    engine: &Engine,
    account: &str,
    name: &str,
    boundary: Option<&String>,
) -> Result<(), Fault> {
    again(|| async move {
        let mut row = engine.role(account, name).await?;
        let old = std::mem::replace(&mut row.value.boundary, boundary.cloned());
        if old.as_ref() == boundary {
            return match boundary {
                Some(_) => Ok(()),
                None => Err(Fault::NoSuchEntity(format!(
                    "The role {name} does not have a permissions boundary."
                ))),
            };
        }
        let mut ops = vec![engine.roles.put_op(
            &[account, &folded(name)],
            &row.value,
            Expect::At(row.rev),
        )?];
        if let Some(arn) = boundary {
            let found = check_attachable(engine, account, arn).await?;
            ops.extend(guard_op(engine, account, found)?);
            ops.push(engine.use_op(account, arn, Usage::Boundary, &row.value)?);
        }
        if let Some(arn) = &old {
            ops.push(engine.unuse_op(account, arn, Usage::Boundary, &row.value));
        }
        engine.roles.txn(ops).await?;
        Ok(())
    })
    .await
}
