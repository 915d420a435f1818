//! Reads of what no function of Kiln can have yet: clients ask for it and live with "none".

use std::sync::Arc;

use serde_json::{Value, json};
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{FunctionRefRequest, RuntimeManagementConfig};
use crate::fault;
use crate::name::{NAMESPACED, Target};
use crate::operations::read::described;

/// [Lambda API: GetFunctionCodeSigningConfig]
pub(crate) async fn code_signing(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<Value, Fault> {
    let target = Target::read(&cx, NAMESPACED, &input.function_name, None)?;
    match lambda.functions.exists(&target.function()?) {
        true => Ok(json!({})),
        false => Err(fault::not_found(&target.arn())),
    }
}

/// [Lambda API: GetRuntimeManagementConfig]
pub(crate) async fn runtime_management(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<RuntimeManagementConfig, Fault> {
    let (target, _) = described(&lambda, &cx, &input)?;
    Ok(RuntimeManagementConfig {
        update_runtime_on: "Auto",
        function_arn: target.arn(),
    })
}
