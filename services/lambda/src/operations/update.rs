use std::sync::Arc;

use functions::NewCode;
use wire::{Context, Fault};

use crate::api::{FunctionCode, FunctionConfiguration, FunctionRequest, UpdateFunctionCodeRequest};
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::operations::create::{check_source, refused, zip};
use crate::settings::{self, Settings};
use crate::violations::Violations;
use crate::{Lambda, configuration, role};

/// [Lambda API: UpdateFunctionCode]
pub(crate) async fn code(
    lambda: Arc<Lambda>,
    cx: Context,
    input: UpdateFunctionCodeRequest,
) -> Result<FunctionConfiguration, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    settings::check_architectures(&mut v, input.architectures.as_ref());
    let code = FunctionCode {
        zip_file: input.zip_file,
        s3_bucket: input.s3_bucket,
        s3_key: input.s3_key,
        s3_object_version: input.s3_object_version,
        s3_object_storage_mode: input.s3_object_storage_mode,
        source_kms_key_arn: input.source_kms_key_arn,
        image_uri: None,
    };
    check_source(&mut v, "", Some(&code));
    v.check()?;
    settings::refuse_publish_to(input.publish_to.as_deref())?;
    let target = of_function(Target::shared(&lambda, &cx, &input.function_name, None)?)?;
    let function = target.function()?;
    if !lambda.functions.exists(&function) {
        return Err(fault::not_found(&target.arn()));
    }
    if input.image_uri.is_some() {
        return Err(invalid_parameter(
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        ));
    }
    let publish = input.publish.unwrap_or_default();
    let new = NewCode {
        zip: zip(code)?,
        architecture: settings::architecture(input.architectures.as_ref()),
        revision: input.revision_id,
        publish,
    };
    let is_dry = input.dry_run.unwrap_or_default();
    let updated = if is_dry {
        lambda.functions.try_code(&function, &new).await
    } else {
        lambda.functions.update_code(&function, new).await
    };
    let updated = updated.map_err(|e| refused(e, &cx, &target))?;
    let version = updated.version.to_string();
    Ok(configuration::full(
        &updated,
        Some(version.as_str()).filter(|_| publish && !is_dry),
    ))
}

/// [Lambda API: UpdateFunctionConfiguration]
pub(crate) async fn configuration(
    lambda: Arc<Lambda>,
    cx: Context,
    mut input: FunctionRequest,
) -> Result<FunctionConfiguration, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, input.function_name.as_deref(), None);
    settings::check(&mut v, &input);
    v.check()?;
    let name = input.function_name.take().unwrap_or_default();
    let target = of_function(Target::resolve(&cx, &name, None)?)?;
    let function = target.function()?;
    if !lambda.functions.exists(&function) {
        return Err(fault::not_found(&target.arn()));
    }
    let revision = input.revision_id.take();
    // Fixed when the function is created.
    input.package_type = None;
    input.architectures = None;
    let (dead_letter, new_role) = (settings::dead_letter(&input), input.role.clone());
    let settings = Settings::read(input)?;
    if let Some(arn) = dead_letter {
        let found = lambda.functions.resolve(&function);
        let role = match new_role.and_then(|arn| arn.parse().ok()) {
            Some(role) => Some(role),
            None => found.ok().map(|deployed| deployed.config.role.clone()),
        };
        if let Some(role) = role {
            role::check_dead_letter(&lambda, &role, &arn).await?;
        }
    }
    let updated = lambda
        .functions
        .update_configuration(&function, revision.as_deref(), |config| {
            settings.apply(config)
        })
        .await
        .map_err(|e| refused(e, &cx, &target))?;
    Ok(configuration::full(&updated, None))
}

/// Only `$LATEST` can change.
pub(crate) fn of_function(target: Target) -> Result<Target, Fault> {
    match target.qualifier.as_deref() {
        None | Some("$LATEST") => Ok(target.unqualified()),
        Some(_) => Err(fault::operation_on_version()),
    }
}
