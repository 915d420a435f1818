use std::sync::Arc;

use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{Concurrency, FunctionRefRequest, PutFunctionConcurrencyRequest};
use crate::fault;
use crate::name::{PLAIN, Target};
use crate::violations::Violations;

/// [Lambda API: PutFunctionConcurrency]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: PutFunctionConcurrencyRequest,
) -> Result<Concurrency, Fault> {
    let mut v = Violations::new();
    let asked = input.reserved_concurrent_executions;
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.required("reservedConcurrentExecutions", asked.as_ref());
    v.range("reservedConcurrentExecutions", asked, 0, i64::MAX);
    v.check()?;
    let target = of_function(Target::shared(&lambda, &cx, &input.function_name, None)?)?;
    let function = target.function()?;
    // Told before what is wrong with the number.  [observed]
    if !lambda.functions.exists(&function) {
        let arn = target.unqualified_arn();
        return Err(fault::not_found(&format!("{arn}:$LATEST")));
    }
    // More than there can be breaks the account's limit in any case.
    let reserved = u32::try_from(asked.unwrap_or_default()).unwrap_or(u32::MAX);
    let limits = lambda.invoke.account_limits();
    let done = lambda.functions.reserve(&function, reserved, limits).await;
    done.map_err(|e| fault::refused(e, &target))?;
    Ok(Concurrency {
        reserved_concurrent_executions: Some(reserved),
    })
}

/// [Lambda API: DeleteFunctionConcurrency]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<(), Fault> {
    let target = of_function(Target::read_shared(
        &lambda,
        &cx,
        PLAIN,
        &input.function_name,
        None,
    )?)?;
    let done = lambda.functions.unreserve(&target.function()?).await;
    done.map_err(|e| fault::refused(e, &target))
}

/// [Lambda API: GetFunctionConcurrency]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<Concurrency, Fault> {
    let target = of_function(Target::read_shared(
        &lambda,
        &cx,
        PLAIN,
        &input.function_name,
        None,
    )?)?;
    let found = lambda
        .functions
        .describe(&target.function()?)
        .map_err(|_| fault::not_found(&target.arn()))?;
    Ok(Concurrency {
        reserved_concurrent_executions: found.reserved,
    })
}

fn of_function(target: Target) -> Result<Target, Fault> {
    match target.qualifier {
        None => Ok(target),
        Some(_) => Err(fault::operation_on_version()),
    }
}
