//! Scaling of functions that run on a capacity provider. Kiln has none, so no function has it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use wire::{Context, Fault};

use crate::Lambda;
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::rules::PUBLISHED_QUALIFIER;
use crate::violations::Violations;

/// `PutFunctionScalingConfigRequest` and `GetFunctionScalingConfigRequest`
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ScalingRequest {
    function_name: String,
    qualifier: Option<String>,
    function_scaling_config: Option<FunctionScalingConfig>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct FunctionScalingConfig {
    min_execution_environments: Option<i64>,
    max_execution_environments: Option<i64>,
}

/// Most environments of one version.  [Lambda API: FunctionScalingConfig]
const ENVIRONMENTS_MAX: i64 = 15_000;

/// [Lambda API: PutFunctionScalingConfig]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ScalingRequest,
) -> Result<Value, Fault> {
    refuse(&lambda, &cx, &input)
}

/// [Lambda API: GetFunctionScalingConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ScalingRequest,
) -> Result<Value, Fault> {
    refuse(&lambda, &cx, &input)
}

/// Differs: the wording is ours. AWS refuses functions without a capacity provider as well.
fn refuse(lambda: &Lambda, cx: &Context, input: &ScalingRequest) -> Result<Value, Fault> {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.required("qualifier", qualifier.as_ref());
    v.length("qualifier", qualifier, 1, 128);
    v.pattern("qualifier", qualifier, PUBLISHED_QUALIFIER);
    if let Some(config) = &input.function_scaling_config {
        let field = |name: &str| format!("functionScalingConfig.{name}");
        let (min, max) = (
            config.min_execution_environments,
            config.max_execution_environments,
        );
        v.range(&field("minExecutionEnvironments"), min, 0, ENVIRONMENTS_MAX);
        v.range(&field("maxExecutionEnvironments"), max, 0, ENVIRONMENTS_MAX);
    }
    v.check()?;
    let target = Target::resolve(cx, &input.function_name, qualifier)?;
    let function = target.function()?;
    let found = lambda.functions.describe(&function);
    found.map_err(|_| fault::not_found(&target.arn()))?;
    Err(invalid_parameter(format!(
        "The function {} does not use a capacity provider. A scaling configuration applies only to functions that do.",
        target.arn()
    )))
}
