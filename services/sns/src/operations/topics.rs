use std::sync::Arc;

use model::policy::Keys;
use wire::Context;

use super::{required, tags, topic_of};
use crate::api::{
    AttributesResponse, CreateTopicInput, SetTopicAttributesInput, TopicInput, TopicShape,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{TopicRef, check_new};
use crate::record::Topic;
use crate::topic_attributes::{self, Counts};

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateTopicInput,
) -> Result<TopicShape, wire::Fault> {
    let wanted = input.attributes.unwrap_or_default();
    let name = required("Name", input.name.as_ref())?;
    check_new(name, topic_attributes::is_fifo(&wanted))?;
    let at = TopicRef {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        name: name.to_owned(),
    };
    let attributes = topic_attributes::check_new(&wanted)?;
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let shape = TopicShape {
        topic_arn: at.arn(),
    };
    let topic = Topic {
        name: name.to_owned(),
        created_ms: engine.now(),
        attributes,
        tags,
        data_protection: input.data_protection_policy,
    };
    if engine.find_topic(&at).await?.is_none() && engine.insert_topic(&at, &topic).await? {
        return Ok(shape);
    }
    let have = engine.topic(&at).await?;
    if !topic_attributes::fits(&have, &at, &topic.attributes) {
        return Err(Fault::parameter(
            "Attributes Reason: Topic already exists with different attributes",
        )
        .into());
    }
    if topic.tags.iter().any(|tag| !have.tags.contains(tag)) {
        return Err(
            Fault::parameter("Tags Reason: Topic already exists with different tags").into(),
        );
    }
    Ok(shape)
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: TopicInput,
) -> Result<(), wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    match engine.find_topic(&at).await? {
        Some(topic) => engine.admit(&cx, &at, &topic, "DeleteTopic", Keys::new())?,
        // What a crash left of it goes now.
        None if at.account != cx.account() => return Ok(()),
        None => {}
    }
    engine.remove_topic(&at).await?;
    Ok(())
}

pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: TopicInput,
) -> Result<AttributesResponse, wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    let topic = engine.topic_for(&cx, &at, "GetTopicAttributes").await?;
    let subscriptions = engine.subscriptions_of(&at).await?;
    let confirmed = subscriptions.iter().filter(|s| s.is_confirmed()).count();
    let counts = Counts {
        confirmed,
        pending: subscriptions.len() - confirmed,
    };
    Ok(AttributesResponse {
        attributes: topic_attributes::shown(&topic, &at, counts),
    })
}

pub(crate) async fn set_attribute(
    engine: Arc<Engine>,
    cx: Context,
    input: SetTopicAttributesInput,
) -> Result<(), wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    let name = required("AttributeName", input.attribute_name.as_ref())?;
    let value = input.attribute_value.as_deref().unwrap_or_default();
    engine.topic_for(&cx, &at, "SetTopicAttributes").await?;
    engine
        .change_topic(&at, |topic| {
            topic_attributes::set(topic, name, value, at.is_fifo())
        })
        .await?;
    Ok(())
}
