use std::collections::BTreeMap;
use std::sync::Arc;

use functions::TagChange;
use model::FunctionRef;
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{ListTagsResponse, TagRequest};
use crate::fault::{self, invalid_parameter, no_resource};
use crate::name::{Target, home};
use crate::operations::signing;
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
    change(&lambda, &cx, &input.resource, TagChange::Add(tags)).await
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
    let keys = keys.unwrap_or_default();
    change(&lambda, &cx, &input.resource, TagChange::Remove(keys)).await
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
    let tags = tags(&lambda, &cx, &input.resource).await?;
    Ok(ListTagsResponse { tags })
}

async fn tags(lambda: &Lambda, cx: &Context, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
    match Tagged::read(lambda, cx, arn)? {
        Tagged::Function(target, function) => {
            let found = lambda.functions.describe(&function);
            let found = found.map_err(|_| fault::not_found(&target.arn()))?;
            Ok((*found.tags).clone())
        }
        Tagged::Mapping(uuid) => {
            let (account, region) = home(cx)?;
            let found = lambda.functions.mapping(&account, &region, uuid);
            Ok(found.ok_or_else(no_resource)?.mapping.tags.clone())
        }
        Tagged::Signing => signing::list_tags(lambda, cx, arn).await,
    }
}

async fn change(lambda: &Lambda, cx: &Context, arn: &str, change: TagChange) -> Result<(), Fault> {
    match Tagged::read(lambda, cx, arn)? {
        Tagged::Function(target, function) => {
            let changed = lambda.functions.tag(&function, change).await;
            changed.map_err(|e| fault::refused(e, &target))
        }
        Tagged::Mapping(uuid) => {
            let (account, region) = home(cx)?;
            let functions = &lambda.functions;
            let changed = functions.tag_mapping(&account, &region, uuid, change);
            changed.await.map_err(fault::refused_anywhere)
        }
        Tagged::Signing => signing::change_tags(lambda, cx, arn, change).await,
    }
}

/// What a resource ARN names.
enum Tagged<'a> {
    /// It exists.
    Function(Target, FunctionRef),
    /// The id of an event source mapping.
    Mapping(&'a str),
    /// A code signing configuration.
    Signing,
}

impl<'a> Tagged<'a> {
    fn read(lambda: &Lambda, cx: &Context, arn: &'a str) -> Result<Tagged<'a>, Fault> {
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        match parts.as_slice() {
            [_, _, _, _, _, "function", _] => {
                let (target, function) = tagged(lambda, cx, arn)?;
                Ok(Tagged::Function(target, function))
            }
            [_, _, _, _, _, "code-signing-config", _] => Ok(Tagged::Signing),
            [_, _, _, region, account, "event-source-mapping", uuid] => {
                let (own_account, own_region) = home(cx)?;
                if *region != own_region.as_str() || *account != own_account.as_str() {
                    return Err(no_resource());
                }
                Ok(Tagged::Mapping(uuid))
            }
            other => {
                let what = other.get(5).copied().unwrap_or_default().replace('-', " ");
                Err(fault::not_built(&format!("tags of a {what}")))
            }
        }
    }
}

/// The function that a resource ARN names.
fn tagged(lambda: &Lambda, cx: &Context, arn: &str) -> Result<(Target, FunctionRef), Fault> {
    let target = Target::shared(lambda, cx, arn, None)?;
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
