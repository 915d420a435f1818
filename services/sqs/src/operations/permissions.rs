use std::sync::Arc;

use wire::Context;

use super::named;
use crate::api::{AddPermissionRequest, RemovePermissionRequest};
use crate::engine::Engine;
use crate::policy;

const POLICY: &str = "Policy";

/// [SQS API: AddPermission]
pub(crate) async fn add(
    engine: Arc<Engine>,
    cx: Context,
    input: AddPermissionRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let arn = at.arn();
    let changed = engine.change(&at, |queue| {
        let former = queue.attributes.get(POLICY).map(String::as_str);
        let (label, accounts) = (&input.label, &input.aws_account_ids);
        let policy = policy::add(former, &arn, label, accounts, &input.actions)?;
        queue.attributes.insert(POLICY.to_owned(), policy);
        Ok(())
    });
    Ok(changed.await?)
}

/// [SQS API: RemovePermission]
pub(crate) async fn remove(
    engine: Arc<Engine>,
    cx: Context,
    input: RemovePermissionRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let changed = engine.change(&at, |queue| {
        let former = queue.attributes.get(POLICY).map(String::as_str);
        match policy::remove(former, &input.label)? {
            Some(policy) => queue.attributes.insert(POLICY.to_owned(), policy),
            None => queue.attributes.remove(POLICY),
        };
        Ok(())
    });
    Ok(changed.await?)
}
