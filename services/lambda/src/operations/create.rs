use std::sync::Arc;

use functions::{Error, NewFunction};
use wire::{Context, Fault};

use crate::api::{FunctionCode, FunctionConfiguration, FunctionRequest};
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::operations::{layers, signing};
use crate::rules::{BUCKET, RESOURCE_ARN, TEXT_MAX};
use crate::settings::{self, Settings};
use crate::violations::Violations;
use crate::{Lambda, configuration, role};

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
    check_source(&mut v, "code.", input.code.as_ref());
    settings::check(&mut v, &input);
    v.tags(input.tags.as_ref());
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
    let signing = match input.code_signing_config_arn.take() {
        Some(arn) => Some(signing::usable(&lambda, &cx, &arn).await?),
        None => None,
    };
    let config = Settings::read(input)?.create(&target.name)?;
    if let Some(arn) = &config.dead_letter {
        role::check_dead_letter(&lambda, &config.role, arn).await?;
    }
    let new = NewFunction {
        function,
        config,
        zip,
        tags,
        publish,
        signing,
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

/// Adds what is wrong with the place of the code; `at` is where its members are.
pub(crate) fn check_source(v: &mut Violations, at: &str, code: Option<&FunctionCode>) {
    let Some(code) = code else { return };
    let field = |name: &str| format!("{at}{name}");
    v.text(
        &field("s3Bucket"),
        code.s3_bucket.as_deref(),
        (3, 63),
        BUCKET,
    );
    v.length(&field("s3Key"), code.s3_key.as_deref(), 1, 1_024);
    let version = code.s3_object_version.as_deref();
    v.length(&field("s3ObjectVersion"), version, 1, 1_024);
    let mode = code.s3_object_storage_mode.as_deref();
    v.one_of(&field("s3ObjectStorageMode"), mode, &["COPY", "REFERENCE"]);
    let key = code.source_kms_key_arn.as_deref();
    v.text(&field("sourceKMSKeyArn"), key, (0, TEXT_MAX), RESOURCE_ARN);
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
