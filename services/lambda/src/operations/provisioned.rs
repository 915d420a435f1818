use std::sync::Arc;

use functions::{Error, Provisioned, ResolveError};
use invoke::{ProvisionedState, ProvisionedStatus};
use model::{FunctionRef, Qualifier};
use wire::{Context, Fault, paging};

use crate::Lambda;
use crate::api::{
    ListOfFunctionRequest, ListProvisionedConcurrencyConfigsResponse, ProvisionedConcurrencyConfig,
    ProvisionedConcurrencyRequest,
};
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::EMPTY_OR_QUALIFIER;
use crate::violations::Violations;

/// [Lambda API: PutProvisionedConcurrencyConfig]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ProvisionedConcurrencyRequest,
) -> Result<ProvisionedConcurrencyConfig, Fault> {
    let asked = input.provisioned_concurrent_executions;
    let mut v = checks(&input);
    v.required("provisionedConcurrentExecutions", asked.as_ref());
    v.range("provisionedConcurrentExecutions", asked, 1, i64::MAX);
    v.check()?;
    let (target, function) = named(&lambda, &cx, &input)?;
    // Each is the other's way to a quick start.  [Lambda guide: SnapStart; the words are ours]
    let found = lambda.functions.resolve(&function);
    if found.is_ok_and(|version| version.is_snap_start()) {
        return Err(invalid_parameter(
            "Provisioned concurrency is not supported for SnapStart enabled functions.",
        ));
    }
    let found = lambda.functions.resolve(&function);
    if found.is_ok_and(|version| version.config.is_per_tenant) {
        return Err(invalid_parameter(
            "Provisioned concurrency is not supported for functions with tenant isolation.",
        ));
    }
    let requested = u32::try_from(asked.unwrap_or_default()).unwrap_or(u32::MAX);
    let limits = lambda.invoke.account_limits();
    let former = lambda.functions.provisioned(&function);
    let former = former.map_err(|e| refused(e, &target))?;
    let done = lambda.functions.provision(&function, requested, limits);
    let provisioned = done.await.map_err(|e| refused(e, &target))?;
    // What there was before: the work has only begun, however fast it is.  [observed]
    let status = lambda
        .invoke
        .provisioned(&function, former.unwrap_or(provisioned));
    let (allocated, available) = match former {
        Some(_) => (status.allocated, status.available),
        None => (0, 0),
    };
    let begun = ProvisionedStatus {
        allocated: allocated.min(requested),
        available: available.min(requested),
        state: ProvisionedState::InProgress,
    };
    Ok(shown(provisioned, begun))
}

/// [Lambda API: GetProvisionedConcurrencyConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ProvisionedConcurrencyRequest,
) -> Result<ProvisionedConcurrencyConfig, Fault> {
    checks(&input).check()?;
    let (target, function) = named(&lambda, &cx, &input)?;
    not_latest(&function)?;
    let found = lambda.functions.provisioned(&function);
    let provisioned = found.map_err(|e| refused(e, &target))?.ok_or_else(|| {
        Fault::client(
            "ProvisionedConcurrencyConfigNotFoundException",
            404,
            "No Provisioned Concurrency Config found for this function",
        )
    })?;
    Ok(shown(
        provisioned,
        lambda.invoke.provisioned(&function, provisioned),
    ))
}

/// [Lambda API: DeleteProvisionedConcurrencyConfig]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ProvisionedConcurrencyRequest,
) -> Result<(), Fault> {
    checks(&input).check()?;
    let (target, function) = named(&lambda, &cx, &input)?;
    not_latest(&function)?;
    let done = lambda.functions.unprovision(&function).await;
    done.map_err(|e| refused(e, &target))
}

/// [Lambda API: ListProvisionedConcurrencyConfigs]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListOfFunctionRequest,
) -> Result<ListProvisionedConcurrencyConfigsResponse, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.range("maxItems", input.max_items, 1, 50);
    v.check()?;
    let target = Target::shared(&lambda, &cx, &input.function_name, None)?.unqualified();
    let function = target.function()?;
    let found = lambda.functions.list_provisioned(&function);
    let mut found = found.map_err(|_| fault::not_found(&target.arn()))?;
    if let Some(marker) = &input.marker {
        let last: Qualifier = paging::decode(marker)
            .and_then(|key| key.parse().ok())
            .ok_or_else(|| bad_marker(marker))?;
        found.retain(|(qualifier, _)| *qualifier > last);
    }
    let limit = page_size(input.max_items);
    let (page, next_marker) = paging::page(found, limit, |(q, _)| q.to_string());
    let item = |(qualifier, provisioned): &(Qualifier, Provisioned)| {
        let function = function.with_qualifier(Some(qualifier.clone()));
        let status = lambda.invoke.provisioned(&function, *provisioned);
        ProvisionedConcurrencyConfig {
            function_arn: Some(function.to_string()),
            ..shown(*provisioned, status)
        }
    };
    Ok(ListProvisionedConcurrencyConfigsResponse {
        provisioned_concurrency_configs: page.iter().map(item).collect(),
        next_marker,
    })
}

fn checks(input: &ProvisionedConcurrencyRequest) -> Violations {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.required("qualifier", input.qualifier.as_ref());
    v.text("qualifier", qualifier, (1, 128), EMPTY_OR_QUALIFIER);
    v
}

fn named(
    lambda: &Lambda,
    cx: &Context,
    input: &ProvisionedConcurrencyRequest,
) -> Result<(Target, FunctionRef), Fault> {
    let target = Target::shared(lambda, cx, &input.function_name, input.qualifier.as_deref())?;
    let function = target.function()?;
    Ok((target, function))
}

fn not_latest(function: &FunctionRef) -> Result<(), Fault> {
    match function.qualifier {
        Some(Qualifier::Latest) => Err(invalid_parameter(
            "The function resource provided must be an alias or a published version.",
        )),
        _ => Ok(()),
    }
}

/// An unknown alias is told as such, everything else as a function that is not there.
fn refused(error: Error, target: &Target) -> Fault {
    match error {
        Error::NotFound(ResolveError::NotFound { arn }) => fault::not_found(&arn),
        other => fault::refused(other, target),
    }
}

fn shown(provisioned: Provisioned, status: ProvisionedStatus) -> ProvisionedConcurrencyConfig {
    let (word, reason) = match status.state {
        ProvisionedState::InProgress => ("IN_PROGRESS", None),
        ProvisionedState::Ready => ("READY", None),
        ProvisionedState::Failed(reason) => ("FAILED", Some(reason)),
    };
    ProvisionedConcurrencyConfig {
        function_arn: None,
        requested_provisioned_concurrent_executions: provisioned.requested,
        available_provisioned_concurrent_executions: status.available,
        allocated_provisioned_concurrent_executions: status.allocated,
        status: word,
        status_reason: reason,
        last_modified: provisioned.modified.lambda_string(),
    }
}
