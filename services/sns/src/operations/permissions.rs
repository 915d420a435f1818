use std::sync::Arc;

use wire::Context;

use super::{required, topic_of};
use crate::api::{AddPermissionInput, RemovePermissionInput};
use crate::engine::Engine;
use crate::names::TopicRef;
use crate::policy;
use crate::record::Topic;

fn current(topic: &Topic, at: &TopicRef) -> String {
    let own = topic.attributes.get("Policy").cloned();
    own.unwrap_or_else(|| policy::default(&at.arn(), &at.account))
}

pub(crate) async fn add(
    engine: Arc<Engine>,
    cx: Context,
    input: AddPermissionInput,
) -> Result<(), wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    let label = required("Label", input.label.as_ref())?;
    engine.topic_for(&cx, &at, "AddPermission").await?;
    let (accounts, actions) = (
        input.accounts.unwrap_or_default(),
        input.actions.unwrap_or_default(),
    );
    engine
        .change_topic(&at, |topic| {
            let before = current(topic, &at);
            let after = policy::add(&before, &at.arn(), label, &accounts, &actions)?;
            topic.attributes.insert("Policy".to_owned(), after);
            Ok(())
        })
        .await?;
    Ok(())
}

pub(crate) async fn remove(
    engine: Arc<Engine>,
    cx: Context,
    input: RemovePermissionInput,
) -> Result<(), wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    let label = required("Label", input.label.as_ref())?;
    engine.topic_for(&cx, &at, "RemovePermission").await?;
    engine
        .change_topic(&at, |topic| {
            let after = policy::remove(&current(topic, &at), label)?;
            topic.attributes.insert("Policy".to_owned(), after);
            Ok(())
        })
        .await?;
    Ok(())
}
