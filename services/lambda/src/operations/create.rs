use std::sync::Arc;

use functions::{Error, NewFunction};
use wire::{Context, Fault};

use crate::api::{FunctionCode, FunctionConfiguration, FunctionRequest};
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::operations::layers;
use crate::settings::{self, Settings};
use crate::violations::Violations;
use crate::{Lambda, configuration};

/// Longest bare name of a function.
const NAME_MAX: usize = 64;

/// [Lambda API: CreateFunction]
pub(crate) async fn create(
    lambda: Arc<Lambda>,
    cx: Context,
    mut input: FunctionRequest,
) -> Result<FunctionConfiguration, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, input.function_name.as_deref(), None);
    v.required("role", input.role.as_ref());
    v.required("code", input.code.as_ref());
    settings::check(&mut v, &input);
    v.check()?;
    let target = Target::resolve(
        &cx,
        input.function_name.as_deref().unwrap_or_default(),
        None,
    )?;
    if target.name.chars().count() > NAME_MAX {
        return Err(invalid_parameter(format!(
            "1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to {NAME_MAX}",
            target.name
        )));
    }
    // A qualifier in the name of a new function has no meaning and is dropped, as AWS does.
    let target = target.unqualified();
    let function = target.function()?;
    let zip = zip(input.code.take().unwrap_or_default())?;
    let tags = input.tags.take().unwrap_or_default();
    let publish = input.publish.unwrap_or_default();
    let config = Settings::read(input)?.create(&target.name)?;
    let new = NewFunction {
        function,
        config,
        zip,
        tags,
        publish,
    };
    let created = lambda.functions.create(new).await;
    let created = created.map_err(|e| refused(e, &cx, &target))?;
    Ok(configuration::full(&created, None))
}

/// As [`fault::refused`], for operations that may find layers unusable.
pub(crate) fn refused(error: Error, cx: &Context, target: &Target) -> Fault {
    match error {
        Error::Layers(error) => layers::unusable(error, cx),
        other => fault::refused(other, target),
    }
}

/// The code that a request brings along.
pub(crate) fn zip(code: FunctionCode) -> Result<bytes::Bytes, Fault> {
    if code.image_uri.is_some() {
        return Err(fault::not_built("container images"));
    }
    if code.s3_bucket.is_some() || code.s3_key.is_some() {
        return Err(fault::not_built("code from S3"));
    }
    let Some(zip) = code.zip_file else {
        return Err(invalid_parameter(
            "Please provide a source for function code.",
        ));
    };
    if zip.0.len() > fault::ZIP_MAX {
        return Err(fault::zip_too_large());
    }
    if zip.0.is_empty() {
        return Err(invalid_parameter("Uploaded file must be a non-empty zip"));
    }
    Ok(zip.0)
}
