use std::collections::BTreeMap;
use std::sync::Arc;

use model::Arn;
use wire::{Checks, Context};

use crate::api::{
    ListTagsRequest, Nothing, Tag, TagResourceRequest, TagsResponse, UntagResourceRequest,
};
use crate::checks::is_name;
use crate::engine::{Engine, Place};
use crate::fault::Fault;
use crate::record::Group;

/// [EventBridge Scheduler API: TagResource]
const TAGS_MAX: usize = 50;

pub(crate) fn check(tags: &[Tag]) -> Result<(), Fault> {
    let mut checks = Checks::default();
    for (at, tag) in (1..).zip(tags) {
        checks.length(&tag.key, &format!("tags.{at}.member.key"), 1, 128);
        checks.length(&tag.value, &format!("tags.{at}.member.value"), 1, 256);
    }
    checks.done()?;
    within(tags.len())
}

fn within(count: usize) -> Result<(), Fault> {
    let text = || Fault::Validation(format!("A resource may have {TAGS_MAX} tags."));
    (count <= TAGS_MAX).then_some(()).ok_or_else(text)
}

pub(crate) fn map(tags: &[Tag]) -> BTreeMap<String, String> {
    let tags = tags.iter().cloned();
    tags.map(|tag| (tag.key, tag.value)).collect()
}

/// Only groups have tags.
fn group_of(text: &str) -> Result<(Place, String), Fault> {
    let invalid = || {
        let pattern =
            r"^arn:aws(-[a-z]+)?:scheduler:[a-z0-9\-]+:\d{12}:schedule-group\/[0-9a-zA-Z-_.]+$";
        let mut checks = Checks::default();
        checks.pattern(false, text, "resourceArn", pattern);
        checks.done().err().map_or(Fault::Overtaken, Fault::from)
    };
    let arn: Arn = text.parse().map_err(|_| invalid())?;
    let name = arn.resource.strip_prefix("schedule-group/");
    let name = name.filter(|name| arn.service == "scheduler" && is_name(name));
    let name = name.ok_or_else(invalid)?.to_owned();
    let at = Place {
        account: arn.account,
        region: arn.region,
    };
    Ok((at, name))
}

pub(crate) async fn tag(
    engine: Arc<Engine>,
    _cx: Context,
    input: TagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    let (at, name) = group_of(&input.resource_arn)?;
    check(&input.tags)?;
    let edit = |group: &mut Group| {
        group.tags.extend(map(&input.tags));
        within(group.tags.len())
    };
    engine.change_group(&at, &name, edit).await?;
    Ok(Nothing {})
}

pub(crate) async fn untag(
    engine: Arc<Engine>,
    _cx: Context,
    input: UntagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    let (at, name) = group_of(&input.resource_arn)?;
    let edit = |group: &mut Group| {
        group.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    };
    engine.change_group(&at, &name, edit).await?;
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    _cx: Context,
    input: ListTagsRequest,
) -> Result<TagsResponse, wire::Fault> {
    let (at, name) = group_of(&input.resource_arn)?;
    let tags = engine.group(&at, &name).await?.tags.into_iter();
    let tags = tags.map(|(key, value)| Tag { key, value });
    Ok(TagsResponse {
        tags: tags.collect(),
    })
}
