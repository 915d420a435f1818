use std::sync::Arc;

use model::FunctionRef;
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{ListTagsResponse, TagRequest};
use crate::fault::{self, invalid_parameter};
use crate::name::Target;
use crate::rules::{TAGGABLE, TEXT_MAX};
use crate::violations::Violations;

/// [Lambda API: TagResource]
pub(crate) async fn tag(lambda: Arc<Lambda>, cx: Context, input: TagRequest) -> Result<(), Fault> {
    let mut v = Violations::new();
    v.text("resource", Some(&input.resource), (1, TEXT_MAX), TAGGABLE);
    v.required("tags", input.tags.as_ref());
    v.tags(input.tags.as_ref());
    v.check()?;
    let tags = input.tags.unwrap_or_default();
    if tags.is_empty() {
        return Err(invalid_parameter(
            "An error occurred and the request cannot be processed.",
        ));
    }
    let (target, function) = tagged(&lambda, &cx, &input.resource)?;
    lambda
        .functions
        .tag(&function, tags)
        .await
        .map_err(|e| fault::refused(e, &target))
}

/// [Lambda API: UntagResource]
pub(crate) async fn untag(
    lambda: Arc<Lambda>,
    cx: Context,
    input: TagRequest,
) -> Result<(), Fault> {
    let keys = input.tag_keys.filter(|keys| !keys.is_empty());
    let mut v = Violations::new();
    v.text("resource", Some(&input.resource), (1, TEXT_MAX), TAGGABLE);
    v.required("tagKeys", keys.as_ref());
    v.tag_keys(keys.as_ref());
    v.check()?;
    let (target, function) = tagged(&lambda, &cx, &input.resource)?;
    lambda
        .functions
        .untag(&function, keys.unwrap_or_default())
        .await
        .map_err(|e| fault::refused(e, &target))
}

/// [Lambda API: ListTags]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: TagRequest,
) -> Result<ListTagsResponse, Fault> {
    let mut v = Violations::new();
    v.text("resource", Some(&input.resource), (1, TEXT_MAX), TAGGABLE);
    v.check()?;
    let (target, function) = tagged(&lambda, &cx, &input.resource)?;
    let found = lambda
        .functions
        .describe(&function)
        .map_err(|_| fault::not_found(&target.arn()))?;
    Ok(ListTagsResponse {
        tags: (*found.tags).clone(),
    })
}

/// The function that a resource ARN names.
fn tagged(lambda: &Lambda, cx: &Context, arn: &str) -> Result<(Target, FunctionRef), Fault> {
    match arn.split(':').nth(5) {
        Some("function") => {}
        other => {
            let what = other.unwrap_or_default().replace('-', " ");
            return Err(fault::not_built(&format!("tags of a {what}")));
        }
    }
    let target = Target::resolve(cx, arn, None)?;
    if target.qualifier.is_some() {
        return Err(invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    let function = target.function()?;
    if !lambda.functions.exists(&function) {
        return Err(fault::not_found(&target.arn()));
    }
    Ok((target, function))
}
