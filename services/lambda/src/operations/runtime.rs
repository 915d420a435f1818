use std::sync::Arc;

use functions::RuntimeUpdates;
use serde::{Deserialize, Serialize};
use wire::{Context, Fault};

use crate::Lambda;
use crate::fault::{self, invalid_parameter};
use crate::name::{NAMESPACED, Target};
use crate::rules::RUNTIME_VERSION_ARN;
use crate::violations::Violations;

/// `PutRuntimeManagementConfigRequest` and `GetRuntimeManagementConfigRequest`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RuntimeManagementRequest {
    function_name: String,
    qualifier: Option<String>,
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RuntimeManagementConfig {
    update_runtime_on: &'static str,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_version_arn: Option<String>,
}

/// [Lambda API: PutRuntimeManagementConfig]
///
/// Kiln has one release of each runtime, the one of the host: a configuration is kept and shown, and
/// `Manual` can name that release only.
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: RuntimeManagementRequest,
) -> Result<RuntimeManagementConfig, Fault> {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), qualifier);
    let word = input.update_runtime_on.as_deref();
    v.required("updateRuntimeOn", word.as_ref());
    v.one_of(
        "updateRuntimeOn",
        word,
        &["Auto", "Manual", "FunctionUpdate"],
    );
    let arn = input.runtime_version_arn.as_deref();
    v.text("runtimeVersionArn", arn, (26, 2_048), RUNTIME_VERSION_ARN);
    v.check()?;
    let target = Target::resolve(&cx, &input.function_name, qualifier)?;
    let function = target.function()?;
    let release = release(&lambda, &target)?;
    let updates = match (word, arn) {
        (Some("Manual"), None) => {
            return Err(invalid_parameter(
                "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.",
            ));
        }
        (Some("Manual"), Some(arn)) if Some(arn) != release.as_deref() => {
            return Err(invalid_parameter(format!(
                "Runtime version {arn} is not available for this function."
            )));
        }
        (Some("Manual"), Some(_)) => RuntimeUpdates::Manual,
        (_, Some(_)) => {
            return Err(invalid_parameter(
                "RuntimeVersionArn can only be set when UpdateRuntimeOn is Manual.",
            ));
        }
        (Some("FunctionUpdate"), None) => RuntimeUpdates::FunctionUpdate,
        _ => RuntimeUpdates::Auto,
    };
    let kept = lambda.functions.attach(&function, move |attached| {
        attached.runtime = Some(updates).filter(|u| *u != RuntimeUpdates::Auto);
        Ok(())
    });
    kept.await.map_err(|e| fault::refused(e, &target))?;
    Ok(shown(&target, updates, release))
}

/// [Lambda API: GetRuntimeManagementConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: RuntimeManagementRequest,
) -> Result<RuntimeManagementConfig, Fault> {
    let qualifier = input.qualifier.as_deref();
    let target = Target::read(&cx, NAMESPACED, &input.function_name, qualifier)?;
    let release = release(&lambda, &target)?;
    let attached = lambda.functions.attached(&target.function()?);
    let updates = attached.and_then(|a| a.runtime).unwrap_or_default();
    Ok(shown(&target, updates, release))
}

/// The release that the function runs; it exists.
fn release(lambda: &Lambda, target: &Target) -> Result<Option<String>, Fault> {
    let found = lambda.functions.describe(&target.function()?);
    let found = found.map_err(|_| fault::not_found(&target.arn()))?;
    let (runtime, region) = (found.deployed.config.runtime, &target.region);
    Ok(runtime.map(|runtime| runtime.version_arn(region)))
}

fn shown(
    target: &Target,
    updates: RuntimeUpdates,
    release: Option<String>,
) -> RuntimeManagementConfig {
    RuntimeManagementConfig {
        update_runtime_on: match updates {
            RuntimeUpdates::Auto => "Auto",
            RuntimeUpdates::FunctionUpdate => "FunctionUpdate",
            RuntimeUpdates::Manual => "Manual",
        },
        function_arn: target.arn(),
        runtime_version_arn: release.filter(|_| updates == RuntimeUpdates::Manual),
    }
}
