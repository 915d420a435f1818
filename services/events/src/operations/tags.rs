use std::sync::Arc;

use model::Arn;
use wire::{Checks, Context};

use crate::api::{
    ListTagsForResourceRequest, Nothing, Tag, TagResourceRequest, TagsResponse,
    UntagResourceRequest,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{BusRef, DEFAULT_BUS, Place, is_name};
use crate::record::{Bus, Rule, Tags};

/// [EventBridge quotas: tags]
const TAGS_MAX: usize = 50;

pub(crate) fn check(tags: &[Tag]) -> Result<(), Fault> {
    let mut checks = Checks::default();
    for (at, tag) in (1..).zip(tags) {
        checks.length(&tag.key, &format!("tags.{at}.member.key"), 1, 128);
        checks.length(&tag.value, &format!("tags.{at}.member.value"), 0, 256);
    }
    checks.done()?;
    (tags.len() <= TAGS_MAX).then_some(()).ok_or(Fault::Limit)
}

pub(crate) fn map(tags: &[Tag]) -> Tags {
    let tags = tags.iter().cloned();
    tags.map(|tag| (tag.key, tag.value)).collect()
}

/// What has tags.
enum Tagged {
    Bus(BusRef),
    Rule(BusRef, String),
}

fn tagged(text: &str) -> Result<Tagged, Fault> {
    let invalid = || {
        Fault::Validation(format!(
            "Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        ))
    };
    let arn: Arn = text.parse().map_err(|_| invalid())?;
    if let Some(bus) = BusRef::of_arn(&arn) {
        return Ok(Tagged::Bus(bus));
    }
    let rule = arn.resource.strip_prefix("rule/").ok_or_else(invalid)?;
    let (bus, rule) = rule.rsplit_once('/').unwrap_or((DEFAULT_BUS, rule));
    if arn.service != "events" || !is_name(rule) {
        return Err(invalid());
    }
    let at = Place {
        account: arn.account,
        region: arn.region,
    };
    let name = bus.to_owned();
    Ok(Tagged::Rule(BusRef { at, name }, rule.to_owned()))
}

async fn edit(
    engine: &Engine,
    arn: &str,
    edit: impl Fn(&mut Tags) -> Result<(), Fault> + Send + Sync,
) -> Result<Nothing, Fault> {
    match tagged(arn)? {
        Tagged::Bus(bus) => {
            let edit = |bus: &mut Bus| edit(&mut bus.tags);
            engine.change_bus(&bus, edit).await?;
        }
        Tagged::Rule(bus, name) => {
            engine.bus(&bus).await?;
            let edit = |rule: &mut Rule| edit(&mut rule.tags);
            engine.change_rule(&bus, &name, None, edit).await?;
        }
    }
    Ok(Nothing {})
}

pub(crate) async fn tag(
    engine: Arc<Engine>,
    _cx: Context,
    input: TagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    check(&input.tags)?;
    let more = map(&input.tags);
    let add = |tags: &mut Tags| {
        tags.extend(more.clone());
        (tags.len() <= TAGS_MAX).then_some(()).ok_or(Fault::Limit)
    };
    Ok(edit(&engine, &input.resource_arn, add).await?)
}

pub(crate) async fn untag(
    engine: Arc<Engine>,
    _cx: Context,
    input: UntagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    let remove = |tags: &mut Tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    };
    Ok(edit(&engine, &input.resource_arn, remove).await?)
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    _cx: Context,
    input: ListTagsForResourceRequest,
) -> Result<TagsResponse, wire::Fault> {
    let tags = match tagged(&input.resource_arn)? {
        Tagged::Bus(bus) => engine.bus(&bus).await?.tags,
        Tagged::Rule(bus, name) => {
            engine.bus(&bus).await?;
            engine.rule(&bus, &name).await?.tags
        }
    };
    let tags = tags.into_iter().map(|(key, value)| Tag { key, value });
    Ok(TagsResponse {
        tags: tags.collect(),
    })
}
