use std::collections::BTreeMap;
use std::sync::Arc;

use wire::Context;

use super::named;
use crate::api::{ListQueueTagsResult, QueueRequest, TagQueueRequest, UntagQueueRequest};
use crate::engine::Engine;
use crate::fault::Fault;

/// [SQS quotas: queue tags]
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;

pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > TAGS_MAX {
        return Err(Fault::InvalidParameterValue(format!(
            "Too many tags added for queue; the maximum is {TAGS_MAX}."
        )));
    }
    let fits = |(key, value): (&String, &String)| {
        (1..=KEY_MAX).contains(&key.chars().count()) && value.chars().count() <= VALUE_MAX
    };
    match tags.iter().all(fits) {
        true => Ok(()),
        false => Err(Fault::InvalidParameterValue(
            "Tag keys must be between 1 and 128 characters in length, tag values at most 256."
                .to_owned(),
        )),
    }
}

/// [SQS API: TagQueue]
pub(crate) async fn tag(
    engine: Arc<Engine>,
    cx: Context,
    input: TagQueueRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let changed = engine.change(&at, |queue| {
        queue.tags.extend(input.tags.clone());
        check_tags(&queue.tags)
    });
    Ok(changed.await?)
}

/// [SQS API: UntagQueue]
pub(crate) async fn untag(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagQueueRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let changed = engine.change(&at, |queue| {
        queue.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    });
    Ok(changed.await?)
}

/// [SQS API: ListQueueTags]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: QueueRequest,
) -> Result<ListQueueTagsResult, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let tags = engine.queue(&at).await?.tags.clone();
    Ok(ListQueueTagsResult { tags })
}
