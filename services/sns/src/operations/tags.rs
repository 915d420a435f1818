use std::sync::Arc;

use wire::Context;

use super::required;
use crate::api::{
    Empty, ListTagsForResourceResponse, ResourceInput, Tag, TagResourceInput, UntagResourceInput,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::TopicRef;

/// [SNS API: TagResource]
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;

/// The tags of a request, if each keeps the rules and no key comes twice.
pub(crate) fn checked(tags: Vec<Tag>) -> Result<Vec<(String, String)>, Fault> {
    for (at, tag) in tags.iter().enumerate() {
        if tags.iter().take(at).any(|before| before.key == tag.key) {
            return Err(Fault::parameter("Duplicated keys are not allowed."));
        }
        let (key, value) = (tag.key.chars().count(), tag.value.chars().count());
        if !(1..=KEY_MAX).contains(&key) || value > VALUE_MAX {
            return Err(Fault::parameter("Tags"));
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(Fault::TooManyTags);
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn resource(cx: &Context, arn: Option<&String>) -> Result<TopicRef, Fault> {
    TopicRef::parse(cx, "ResourceArn", required("ResourceArn", arn)?)
}

fn of_tags(fault: Fault) -> Fault {
    match fault {
        Fault::NotFound(_) => Fault::ResourceNotFound,
        other => other,
    }
}

pub(crate) async fn tag(
    engine: Arc<Engine>,
    cx: Context,
    input: TagResourceInput,
) -> Result<Empty, wire::Fault> {
    let at = resource(&cx, input.resource_arn.as_ref())?;
    let new = checked(input.tags.unwrap_or_default())?;
    let topic = engine.topic_for(&cx, &at, "TagResource").await;
    topic.map_err(of_tags)?;
    let changed = engine
        .change_topic(&at, |topic| {
            for (key, value) in &new {
                topic.tags.retain(|(old, _)| old != key);
                topic.tags.push((key.clone(), value.clone()));
            }
            match topic.tags.len() > TAGS_MAX {
                true => Err(Fault::TooManyTags),
                false => Ok(()),
            }
        })
        .await;
    changed.map_err(of_tags)?;
    Ok(Empty {})
}

pub(crate) async fn untag(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagResourceInput,
) -> Result<Empty, wire::Fault> {
    let at = resource(&cx, input.resource_arn.as_ref())?;
    let keys = input.tag_keys.unwrap_or_default();
    let topic = engine.topic_for(&cx, &at, "UntagResource").await;
    topic.map_err(of_tags)?;
    let changed = engine
        .change_topic(&at, |topic| {
            topic.tags.retain(|(key, _)| !keys.contains(key));
            Ok(())
        })
        .await;
    changed.map_err(of_tags)?;
    Ok(Empty {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ResourceInput,
) -> Result<ListTagsForResourceResponse, wire::Fault> {
    let at = resource(&cx, input.resource_arn.as_ref())?;
    let topic = engine.topic_for(&cx, &at, "ListTagsForResource").await;
    let topic = topic.map_err(of_tags)?;
    let tags = topic
        .tags
        .into_iter()
        .map(|(key, value)| Tag { key, value });
    Ok(ListTagsForResourceResponse {
        tags: tags.collect(),
    })
}
