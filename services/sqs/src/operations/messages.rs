use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::lineage::chained;
use tasks::Clock;
use wire::Context;

use super::named;
use crate::api::{
    self, AttributeMap, ChangeMessageVisibilityRequest, DeleteMessageRequest,
    MessageAttributeValue, QueueRequest, ReceiveMessageRequest, ReceiveMessageResult,
    SendMessageBatchRequestEntry, SendMessageRequest, SendMessageResult,
};
use crate::check;
use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::live::{Ask, Draft, Live, Received, Sent, Unheld};
use crate::message::{Attribute, Message, md5_of, md5_of_attributes, sequence_number};
use crate::receipt::Receipt;

/// [SQS API: ReceiveMessage]
const RECEIVED_MAX: i64 = 10;
const WAIT_S_MAX: i64 = 20;
/// [SQS API: ChangeMessageVisibility]
const VISIBILITY_S_MAX: i64 = 43_200;
/// [SQS API: SendMessage]
const DELAY_S_MAX: i64 = 900;

fn invalid(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Fault {
    Fault::InvalidParameterValue(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    ))
}

/// The request of one message, alone or in a batch.
pub(super) type Entry = SendMessageBatchRequestEntry;

impl Entry {
    /// The trace header, if it is one of its members.
    pub(super) fn trace(&self) -> Option<String> {
        let mut system = self.message_system_attributes.iter().flatten();
        system.find_map(|(_, value)| value.string_value.clone())
    }
}

/// [SQS API: SendMessage]
pub(crate) async fn send(
    engine: Arc<Engine>,
    cx: Context,
    input: SendMessageRequest,
) -> Result<SendMessageResult, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (queue, live) = engine.open_queue(&at).await?;
    if queue.is_fifo() && input.message_group_id.is_none() {
        return Err(Fault::MissingParameter("MessageGroupId").into());
    }
    let entry = Entry {
        id: String::new(),
        message_body: input.message_body,
        delay_seconds: input.delay_seconds,
        message_attributes: input.message_attributes,
        message_system_attributes: input.message_system_attributes,
        message_deduplication_id: input.message_deduplication_id,
        message_group_id: input.message_group_id,
    };
    let trace = entry.trace();
    let draft = draft(&engine, &cx, &queue, entry)?;
    check::size(&draft.message, queue.number("MaximumMessageSize"))?;
    let mut answer = answer(&draft, trace.as_deref());
    let sent = live.send(vec![draft]).await?;
    let sent = sent.into_iter().next();
    let sent = sent.ok_or(Fault::Overtaken)?.map_err(Fault::from)?;
    told(&mut answer, &sent, &queue);
    Ok(answer)
}

/// Reads what is to be sent; its size is checked by the caller.
pub(super) fn draft(
    engine: &Engine,
    cx: &Context,
    queue: &Queue,
    entry: Entry,
) -> Result<Draft, Fault> {
    let body = entry.message_body.unwrap_or_default();
    check::body(&body)?;
    let attributes = stored(entry.message_attributes.unwrap_or_default())?;
    check::attributes(attributes.iter())?;
    let system = stored(entry.message_system_attributes.unwrap_or_default())?;
    for (name, attribute) in &system {
        check::system_attribute(name, attribute)?;
    }
    for (parameter, id) in [
        ("MessageGroupId", &entry.message_group_id),
        ("MessageDeduplicationId", &entry.message_deduplication_id),
    ] {
        if let Some(id) = id {
            check::id(parameter, id)?;
        }
    }
    let delay_ms = delay_ms(queue, entry.delay_seconds)?;
    let mut message = Message {
        id: engine.tasks.ids().uuid(),
        sent_ms: engine.tasks.clock().steady().unix_millis(),
        sender: cx.user_id().to_owned(),
        attributes,
        // A client that is traced says so in a header, or is known by its keys.
        trace: chained(
            system.into_values().find_map(|a| a.text).as_deref(),
            cx.trace(),
        ),
        group: entry.message_group_id,
        dedup: entry.message_deduplication_id,
        body: body.into(),
        ..Message::default()
    };
    let dedup = match queue.is_fifo() {
        true => Some(engine.deduplicate(queue, &mut message)?),
        false => None,
    };
    Ok(Draft {
        message,
        delay_ms,
        dedup,
        with: Vec::new(),
    })
}

fn delay_ms(queue: &Queue, delay_s: Option<i64>) -> Result<i64, Fault> {
    match delay_s {
        Some(delay_s) if !(0..=DELAY_S_MAX).contains(&delay_s) => Err(invalid(
            delay_s,
            "DelaySeconds",
            "DelaySeconds must be >= 0 and <= 900.",
        )),
        Some(delay_s) if queue.is_fifo() && delay_s > 0 => Err(invalid(
            delay_s,
            "DelaySeconds",
            "The request include parameter that is not valid for this queue type.",
        )),
        Some(delay_s) if !queue.is_fifo() => Ok(delay_s * 1_000),
        _ => Ok(queue.millis("DelaySeconds")),
    }
}

fn stored(all: AttributeMap) -> Result<BTreeMap<String, Attribute>, Fault> {
    let each = all.into_iter().map(|(name, value)| {
        if value
            .string_list_values
            .is_some_and(|list| !list.is_empty())
            || value
                .binary_list_values
                .is_some_and(|list| !list.is_empty())
        {
            return Err(Fault::InvalidParameterValue(
                "Message attribute list values in SendMessage operation are not supported."
                    .to_owned(),
            ));
        }
        let attribute = Attribute {
            kind: value.data_type.unwrap_or_default(),
            text: value.string_value,
            binary: value.binary_value,
        };
        Ok((name, attribute))
    });
    each.collect()
}

/// What is told of a message before it has an id; `trace` is the header that it was sent with.
pub(super) fn answer(draft: &Draft, trace: Option<&str>) -> SendMessageResult {
    let system = trace.map(|text| {
        let name = "AWSTraceHeader".to_owned();
        BTreeMap::from([(name, Attribute::text("String", text))])
    });
    SendMessageResult {
        md5_of_message_body: md5_of(&draft.message.body),
        md5_of_message_attributes: md5_of_attributes(&draft.message.attributes),
        md5_of_message_system_attributes: system.as_ref().and_then(md5_of_attributes),
        message_id: String::new(),
        sequence_number: None,
    }
}

pub(super) fn told(answer: &mut SendMessageResult, sent: &Sent, queue: &Queue) {
    answer.message_id.clone_from(&sent.id);
    answer.sequence_number = queue.is_fifo().then(|| sequence_number(sent.seq));
}

/// [SQS API: ReceiveMessage]
pub(crate) async fn receive(
    engine: Arc<Engine>,
    cx: Context,
    input: ReceiveMessageRequest,
) -> Result<ReceiveMessageResult, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (queue, live) = engine.open_queue(&at).await?;
    let max = input.max_number_of_messages.unwrap_or(1);
    if !(1..=RECEIVED_MAX).contains(&max) {
        let reason = "Must be between 1 and 10, if provided.";
        return Err(invalid(max, "MaxNumberOfMessages", reason).into());
    }
    let wait_s = input.wait_time_seconds;
    if let Some(wait_s) = wait_s.filter(|s| !(0..=WAIT_S_MAX).contains(s)) {
        let reason = "Must be >= 0 and <= 20, if provided.";
        return Err(invalid(wait_s, "WaitTimeSeconds", reason).into());
    }
    let visibility_ms = match input.visibility_timeout {
        Some(visibility_s) => visibility(visibility_s)?,
        None => queue.millis("VisibilityTimeout"),
    };
    if let Some(id) = &input.receive_request_attempt_id {
        check::id("ReceiveRequestAttemptId", id)?;
    }
    let wait_s = wait_s.unwrap_or_else(|| queue.number("ReceiveMessageWaitTimeSeconds"));
    let wait = Duration::from_secs(u64::try_from(wait_s).unwrap_or(0));
    let ask = Ask {
        max: usize::try_from(max).unwrap_or(1),
        visibility_ms,
        attempt: input.receive_request_attempt_id,
        receives_max: None,
        retention_ms: queue.millis("MessageRetentionPeriod"),
        is_patient: !wait.is_zero(),
        is_noted: true,
    };
    let received = engine.receive(&at, &queue, &live, ask, wait).await?;
    let mut system = input.attribute_names.unwrap_or_default();
    system.extend(input.message_system_attribute_names.unwrap_or_default());
    let wanted = input.message_attribute_names.unwrap_or_default();
    let shown = received.into_iter();
    Ok(ReceiveMessageResult {
        messages: shown
            .map(|one| shown_as(one, &queue, engine.tasks.clock(), &system, &wanted))
            .collect(),
    })
}

fn shown_as(
    one: Received,
    queue: &Queue,
    clock: &Clock,
    system: &[String],
    wanted: &[String],
) -> api::Message {
    let mut attributes = one.system_attributes(queue.is_fifo(), clock);
    if !system.iter().any(|name| name == "All") {
        attributes.retain(|name, _| system.contains(name));
    }
    let Received {
        message, receipt, ..
    } = one;
    let is_wanted = |name: &String| {
        wanted.iter().any(|filter| match filter.as_str() {
            "All" | "*" | ".*" => true,
            filter => match filter.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => name == filter,
            },
        })
    };
    let shown = message
        .attributes
        .iter()
        .filter(|(name, _)| is_wanted(name));
    let md5_of_message_attributes = md5_of_attributes(shown.clone());
    let value = |(name, attribute): (&String, &Attribute)| {
        let value = MessageAttributeValue {
            string_value: attribute.text.clone(),
            binary_value: attribute.binary.clone(),
            data_type: Some(attribute.kind.clone()),
            ..MessageAttributeValue::default()
        };
        (name.clone(), value)
    };
    api::Message {
        receipt_handle: receipt.handle(),
        md5_of_body: md5_of(&message.body),
        attributes,
        md5_of_message_attributes,
        message_attributes: shown.map(value).collect(),
        body: String::from_utf8_lossy(&message.body).into_owned(),
        message_id: message.id,
    }
}

pub(super) fn visibility(visibility_s: i64) -> Result<i64, Fault> {
    match (0..=VISIBILITY_S_MAX).contains(&visibility_s) {
        true => Ok(visibility_s * 1_000),
        false => Err(invalid(
            visibility_s,
            "VisibilityTimeout",
            "Must be >= 0 and <= 43200, if provided.",
        )),
    }
}

/// The receipt of a handle that this queue gave out.
pub(super) fn receipt(live: &Live, handle: &str) -> Result<Receipt, Fault> {
    let receipt = Receipt::parse(handle).filter(|receipt| receipt.queue == live.id);
    receipt.ok_or_else(|| Fault::ReceiptHandleIsInvalid(handle.to_owned()))
}

pub(super) fn unheld(handle: &str, why: Unheld) -> Fault {
    let reason = match why {
        Unheld::Expired => "The receipt handle has expired.",
        Unheld::Gone => "Message does not exist or is not available for visibility timeout change.",
        Unheld::TooLong { asked_s } => {
            let reason =
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            return invalid(asked_s, "VisibilityTimeout", reason);
        }
    };
    invalid(handle, "ReceiptHandle", reason)
}

/// [SQS API: DeleteMessage]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: DeleteMessageRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (_, live) = engine.open_queue(&at).await?;
    let receipt = receipt(&live, &input.receipt_handle)?;
    let outcomes = live.delete(&[receipt]).await?;
    for outcome in outcomes {
        outcome.map_err(|why| unheld(&input.receipt_handle, why))?;
    }
    Ok(())
}

/// [SQS API: ChangeMessageVisibility]
pub(crate) async fn change(
    engine: Arc<Engine>,
    cx: Context,
    input: ChangeMessageVisibilityRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (_, live) = engine.open_queue(&at).await?;
    let handle = &input.receipt_handle;
    Ok(change_one(&live, handle, input.visibility_timeout).await?)
}

pub(super) async fn change_one(
    live: &Live,
    handle: &str,
    visibility_s: Option<i64>,
) -> Result<(), Fault> {
    let visibility_s = visibility_s.ok_or(Fault::MissingParameter("VisibilityTimeout"))?;
    let visibility_ms = visibility(visibility_s)?;
    let receipt = receipt(live, handle)?;
    let changed = live.change(&receipt, visibility_ms).await?;
    changed.map_err(|why| unheld(handle, why))
}

/// [SQS API: PurgeQueue]
pub(crate) async fn purge(
    engine: Arc<Engine>,
    cx: Context,
    input: QueueRequest,
) -> Result<(), wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (_, live) = engine.open_queue(&at).await?;
    Ok(live.purge(&at.name).await?)
}
