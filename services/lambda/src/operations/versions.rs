use std::sync::Arc;

use functions::NewVersion;
use model::Version;
use wire::{Context, Fault, paging};

use crate::api::{
    FunctionConfiguration, ListOfFunctionRequest, ListVersionsByFunctionResponse,
    PublishVersionRequest,
};
use crate::fault;
use crate::name::{NAMESPACED, PLAIN, Target};
use crate::operations::read::{bad_marker, page_size};
use crate::operations::update::of_function;
use crate::settings;
use crate::violations::Violations;
use crate::{Lambda, configuration};

/// [Lambda API: PublishVersion]
pub(crate) async fn publish(
    lambda: Arc<Lambda>,
    cx: Context,
    input: PublishVersionRequest,
) -> Result<FunctionConfiguration, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.length("description", input.description.as_deref(), 0, 256);
    v.check()?;
    settings::refuse_publish_to(input.publish_to.as_deref())?;
    let target = of_function(Target::shared(&lambda, &cx, &input.function_name, None)?)?;
    let new = NewVersion {
        description: input.description,
        code_sha256: input.code_sha256.filter(|s| !s.is_empty()),
        revision: input.revision_id,
    };
    let version = lambda
        .functions
        .publish_version(&target.function()?, new)
        .await
        .map_err(|e| fault::refused(e, &target))?;
    Ok(configuration::full(
        &version,
        Some(&version.version.to_string()),
    ))
}

/// [Lambda API: ListVersionsByFunction]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListOfFunctionRequest,
) -> Result<ListVersionsByFunctionResponse, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), None);
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let target = Target::shared(&lambda, &cx, &input.function_name, None)?;
    let mut versions = lambda
        .functions
        .list_versions(&target.function()?)
        .map_err(|_| fault::not_found(&target.arn()))?;
    if let Some(marker) = &input.marker {
        let last: Version = paging::decode(marker)
            .and_then(|key| key.parse().ok())
            .ok_or_else(|| bad_marker(marker))?;
        versions.retain(|d| d.version > last);
    }
    let limit = page_size(input.max_items);
    let (versions, next_marker) = paging::page(versions, limit, |d| d.version.to_string());
    Ok(ListVersionsByFunctionResponse {
        versions: versions
            .iter()
            .map(|d| configuration::listed(d, Some(&d.version.to_string())))
            .collect(),
        next_marker,
    })
}
