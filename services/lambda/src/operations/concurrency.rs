use std::sync::Arc;

use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{Concurrency, FunctionRefRequest};
use crate::fault;
use crate::name::{PLAIN, Target};

/// [Lambda API: GetFunctionConcurrency]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<Concurrency, Fault> {
    let target = Target::read(&cx, PLAIN, &input.function_name, None)?;
    if target.qualifier.is_some() {
        return Err(fault::operation_on_version());
    }
    let found = lambda
        .functions
        .describe(&target.function()?)
        .map_err(|_| fault::not_found(&target.arn()))?;
    Ok(Concurrency {
        reserved_concurrent_executions: found.reserved,
    })
}
