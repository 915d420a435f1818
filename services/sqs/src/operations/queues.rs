use std::collections::BTreeMap;
use std::sync::Arc;

use wire::Context;

use super::named;
use super::tags::check_tags;
use crate::api::{
    CreateQueueRequest, GetQueueAttributesRequest, GetQueueAttributesResult, GetQueueUrlRequest,
    QueueRequest, QueueUrlResult, SetQueueAttributesRequest,
};
use crate::attributes::{self, Attributes};
use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::names::{QueueRef, check_new, is_account};
use crate::shelf::Counts;

fn own(cx: &Context, name: &str) -> QueueRef {
    QueueRef {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        name: name.to_owned(),
    }
}

/// [SQS API: CreateQueue]
pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateQueueRequest,
) -> Result<QueueUrlResult, wire::Fault> {
    let wanted = attributes::normal(input.attributes.unwrap_or_default());
    let tags = input.tags.unwrap_or_default();
    let is_fifo = attributes::is_fifo(&wanted);
    check_new(&input.queue_name, is_fifo)?;
    attributes::check(&wanted, is_fifo)?;
    check_tags(&tags)?;
    let at = own(&cx, &input.queue_name);
    check_grave(&engine, &at, &wanted).await?;
    let now = engine.now();
    let mut queue = Queue {
        name: at.name.clone(),
        id: engine.tasks.ids().hex(8),
        created_s: now,
        modified_s: now,
        attributes: attributes::defaults(is_fifo),
        tags,
        scope_before: None,
    };
    attributes::apply(&mut queue.attributes, &wanted);
    if !engine.insert(&at, &queue).await? {
        let found = engine.queue(&at).await?;
        if let Some(attribute) = attributes::difference(&found.attributes, &wanted) {
            let attribute = attribute.to_owned();
            return Err(Fault::QueueNameExists { attribute }.into());
        }
    }
    Ok(QueueUrlResult {
        queue_url: at.url(cx.host()),
    })
}

/// Whether the queue that a redrive policy names is there and takes dead messages.
async fn check_grave(engine: &Engine, at: &QueueRef, wanted: &Attributes) -> Result<(), Fault> {
    let (Some(redrive), Some(policy)) = (attributes::redrive(wanted), wanted.get("RedrivePolicy"))
    else {
        return Ok(());
    };
    let target = QueueRef::from_arn(&redrive.target);
    let found = match target.filter(|target| target.region == at.region) {
        Some(target) => engine.find(&target).await?,
        None => None,
    };
    let reason = match found {
        None => "Dead letter target does not exist.",
        Some(target) if !attributes::allows_redrive(&target.attributes, &at.arn()) => {
            "Dead letter target does not allow this queue as a source."
        }
        Some(target) if target.is_fifo() != at.name.ends_with(".fifo") => {
            "Dead letter queue must be same type of queue as the source."
        }
        Some(_) => return Ok(()),
    };
    Err(Fault::redrive(policy, reason))
}

/// [SQS API: DeleteQueue]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: QueueRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    engine.queue(&at).await?;
    Ok(engine.remove(&at).await?)
}

/// [SQS API: GetQueueUrl]
pub(crate) async fn url(
    engine: Arc<Engine>,
    cx: Context,
    input: GetQueueUrlRequest,
) -> Result<QueueUrlResult, wire::Fault> {
    let at = own(&cx, &input.queue_name);
    let owner = input.queue_owner_aws_account_id;
    if owner.is_some_and(|o| !is_account(&o) || o != at.account) {
        return Err(Fault::QueueDoesNotExist.into());
    }
    engine.queue(&at).await?;
    Ok(QueueUrlResult {
        queue_url: at.url(cx.host()),
    })
}

/// [SQS API: GetQueueAttributes]
pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: GetQueueAttributesRequest,
) -> Result<GetQueueAttributesResult, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (queue, live) = engine.open_queue(&at).await?;
    let names = input.attribute_names.unwrap_or_default();
    if let Some(name) = names.iter().find(|name| !attributes::is_known(name)) {
        return Err(Fault::InvalidAttributeName(format!("Unknown Attribute {name}.")).into());
    }
    let mut all = told(&at, &queue, live.counts());
    all.extend(queue.attributes.clone());
    if !names.iter().any(|name| name == "All") {
        all.retain(|name, _| names.contains(name));
    }
    Ok(GetQueueAttributesResult { attributes: all })
}

/// What SQS tells of a queue that nobody set.
fn told(at: &QueueRef, queue: &Queue, counts: Counts) -> BTreeMap<String, String> {
    let pairs = [
        ("ApproximateNumberOfMessages", counts.ready.to_string()),
        (
            "ApproximateNumberOfMessagesDelayed",
            counts.delayed.to_string(),
        ),
        (
            "ApproximateNumberOfMessagesNotVisible",
            counts.in_flight.to_string(),
        ),
        ("CreatedTimestamp", queue.created_s.to_string()),
        ("LastModifiedTimestamp", queue.modified_s.to_string()),
        ("QueueArn", at.arn()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// [SQS API: SetQueueAttributes]
pub(crate) async fn set_attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: SetQueueAttributesRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let now = engine.now();
    let (before, live) = engine.open_queue(&at).await?;
    let wanted = attributes::normal(input.attributes);
    check_grave(&engine, &at, &wanted).await?;
    let changed = engine.change(&at, |queue| {
        let is_fifo = attributes::is_fifo(&queue.attributes);
        attributes::check(&wanted, is_fifo)?;
        queue.apply(&wanted, now);
        Ok(())
    });
    changed.await?;
    let after = engine.queue(&at).await?;
    live.shift_delays(after.millis("DelaySeconds") - before.millis("DelaySeconds"));
    Ok(())
}
