use std::sync::Arc;

use model::policy::Keys;
use wire::Context;

use super::{required, subscriptions};
use crate::api::{
    BatchResultErrorEntry, PublishBatchInput, PublishBatchRequestEntry, PublishBatchResponse,
    PublishBatchResultEntry, PublishInput, PublishResponse,
};
use crate::engine::{Engine, parts};
use crate::fanout::Publication;
use crate::fault::Fault;
use crate::message::{self, Message};
use crate::names::{TopicRef, arn};
use crate::record::{Published, Subscription, Topic};

/// How long a FIFO topic remembers a message.  [SNS guide: message deduplication]
pub(crate) const REMEMBERED_MS: i64 = 300_000;

/// A message with what makes it one of a FIFO topic.
pub(crate) struct Draft {
    pub(crate) message: Message,
    pub(crate) group: Option<String>,
    pub(crate) dedup: Option<String>,
}

/// Where a message comes from.
pub(crate) struct Origin<'a> {
    /// The id of the parcel that brought it, if another part of the process sent it.
    pub(crate) parcel: Option<&'a str>,
    /// The trace header, with the chain of functions that led here.
    pub(crate) trace: Option<&'a str>,
}

impl Origin<'_> {
    fn of_call(cx: &Context) -> Origin<'_> {
        Origin {
            parcel: None,
            trace: Some(cx.trace()).filter(|trace| !trace.is_empty()),
        }
    }
}

/// A topic with its subscriptions, read once for all messages of a request.
pub(crate) struct Audience {
    pub(crate) at: TopicRef,
    pub(crate) topic: Topic,
    subscriptions: Vec<Subscription>,
}

pub(crate) async fn publish(
    engine: Arc<Engine>,
    cx: Context,
    input: PublishInput,
) -> Result<PublishResponse, wire::Fault> {
    if let Some(number) = &input.phone_number {
        let is_good = number
            .strip_prefix('+')
            .is_some_and(subscriptions::is_phone_number);
        if !is_good {
            let text = format!("PhoneNumber Reason: {number} is not valid to publish to");
            return Err(Fault::parameter(text).into());
        }
        return Ok(nowhere(&engine, input, "text message", None)?);
    }
    if let (None, Some(target)) = (&input.topic_arn, &input.target_arn)
        && let Some(platform) = platform_of(target)
    {
        engine.check_push(&cx, "TargetArn", target).await?;
        return Ok(nowhere(
            &engine,
            input,
            "push notification",
            Some(&platform),
        )?);
    }
    let at = match (&input.topic_arn, &input.target_arn) {
        (Some(text), _) => TopicRef::parse(&cx, "TopicArn", text)?,
        (None, Some(text)) => TopicRef::parse(&cx, "TargetArn", text)?,
        (None, None) => {
            return Err(Fault::parameter(
                "TopicArn or TargetArn Reason: no value for required parameter",
            )
            .into());
        }
    };
    let message = Message::check(
        required("Message", input.message.as_ref())?,
        input.message_structure.as_deref(),
        input.subject.as_deref(),
        input.message_attributes.unwrap_or_default(),
        "messageAttributes",
    )?;
    if message.bytes > message::BYTES_MAX {
        return Err(Fault::parameter("Message too long").into());
    }
    let audience = engine.audience(at).await?;
    engine.admit(&cx, &audience.at, &audience.topic, "Publish", Keys::new())?;
    let draft = audience.draft(
        message,
        input.message_group_id,
        input.message_deduplication_id,
        input.message.as_deref().unwrap_or_default(),
    )?;
    let origin = Origin::of_call(&cx);
    Ok(engine.publish(&audience, &draft, &origin).await?)
}

/// The platform of a `TargetArn` that names a mobile endpoint.
fn platform_of(text: &str) -> Option<String> {
    let arn = arn("TargetArn", text).ok()?;
    let endpoint = arn.resource.strip_prefix("endpoint/")?;
    let (platform, _) = endpoint.split_once('/')?;
    (arn.service == "sns").then(|| platform.to_owned())
}

/// Checks a message that goes to a phone or an app: Kiln has no way there, and says so in its log.
fn nowhere(
    engine: &Engine,
    input: PublishInput,
    kind: &'static str,
    platform: Option<&str>,
) -> Result<PublishResponse, Fault> {
    let text = required("Message", input.message.as_ref())?;
    let structure = match (input.message_structure.as_deref(), platform) {
        (Some("json"), Some(platform)) => {
            message::check_push(text, platform)?;
            None
        }
        (structure, _) => structure,
    };
    let message = Message::check(
        text,
        structure,
        input.subject.as_deref(),
        input.message_attributes.unwrap_or_default(),
        "messageAttributes",
    )?;
    if message.bytes > message::BYTES_MAX {
        return Err(Fault::parameter("Message too long"));
    }
    let message_id = engine.ids.uuid();
    tracing::warn!(
        message_id,
        kind,
        "accepted and not delivered: Kiln sends none of these"
    );
    Ok(PublishResponse {
        message_id,
        sequence_number: None,
    })
}

pub(crate) async fn batch(
    engine: Arc<Engine>,
    cx: Context,
    input: PublishBatchInput,
) -> Result<PublishBatchResponse, wire::Fault> {
    let arn = required("TopicArn", input.topic_arn.as_ref())?;
    let at = TopicRef::parse(&cx, "TopicArn", arn)?;
    let entries = input.publish_batch_request_entries.unwrap_or_default();
    let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    message::check_ids(&ids)?;
    let audience = engine.audience(at).await?;
    engine.admit(&cx, &audience.at, &audience.topic, "Publish", Keys::new())?;
    let mut bytes = 0;
    let mut drafts = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let id = entry.id.clone();
        let draft = audience.entry(entry, index + 1)?;
        bytes += draft.message.bytes;
        drafts.push((id, draft));
    }
    if bytes > message::BYTES_MAX {
        return Err(Fault::BatchTooLong.into());
    }
    let origin = Origin::of_call(&cx);
    let (mut successful, mut failed) = (Vec::with_capacity(drafts.len()), Vec::new());
    for (id, draft) in &drafts {
        match engine.publish(&audience, draft, &origin).await {
            Ok(done) => successful.push(PublishBatchResultEntry {
                id: id.clone(),
                message_id: done.message_id,
                sequence_number: done.sequence_number,
            }),
            // What is in the outbox already stays there, so that the others have an answer of their own.
            Err(fault) => failed.push(failure(id, fault)),
        }
    }
    Ok(PublishBatchResponse { successful, failed })
}

fn failure(id: &str, fault: Fault) -> BatchResultErrorEntry {
    tracing::warn!(id, %fault, "an entry of a batch was not published");
    BatchResultErrorEntry {
        id: id.to_owned(),
        code: "InternalError".to_owned(),
        message:
            "The request processing has failed because of an unknown error, exception or failure."
                .to_owned(),
        sender_fault: false,
    }
}

impl Audience {
    fn entry(&self, entry: PublishBatchRequestEntry, number: usize) -> Result<Draft, Fault> {
        let message = Message::check(
            required("Message", entry.message.as_ref())?,
            entry.message_structure.as_deref(),
            entry.subject.as_deref(),
            entry.message_attributes.unwrap_or_default(),
            &format!("publishBatchRequestEntries.{number}.member.messageAttributes"),
        )?;
        self.draft(
            message,
            entry.message_group_id,
            entry.message_deduplication_id,
            entry.message.as_deref().unwrap_or_default(),
        )
    }

    /// Checks what a FIFO topic asks for, and a standard one refuses.
    pub(crate) fn draft(
        &self,
        message: Message,
        group: Option<String>,
        dedup: Option<String>,
        text: &str,
    ) -> Result<Draft, Fault> {
        if !self.at.is_fifo() {
            if dedup.is_some() {
                return Err(Fault::parameter(
                    "MessageDeduplicationId Reason: The request includes MessageDeduplicationId \
                     parameter that is not valid for this topic type",
                ));
            }
            return Ok(Draft {
                message,
                group,
                dedup,
            });
        }
        if group.as_deref().is_none_or(str::is_empty) {
            return Err(Fault::parameter(
                "The MessageGroupId parameter is required for FIFO topics",
            ));
        }
        let by_content = self.topic.attributes.get("ContentBasedDeduplication");
        let dedup = match dedup {
            Some(id) => id,
            None if by_content.is_some_and(|v| v == "true") => message::content_id(text),
            None => {
                return Err(Fault::parameter(
                    "The topic should either have ContentBasedDeduplication enabled or \
                     MessageDeduplicationId provided explicitly",
                ));
            }
        };
        Ok(Draft {
            message,
            group,
            dedup: Some(dedup),
        })
    }
}

impl Engine {
    pub(crate) async fn audience(&self, at: TopicRef) -> Result<Audience, Fault> {
        let topic = self.topic(&at).await?;
        let subscriptions = self.subscriptions_of(&at).await?;
        Ok(Audience {
            at,
            topic,
            subscriptions,
        })
    }

    /// Spreads one message. It answers when every delivery is durably in the outbox.
    pub(crate) async fn publish(
        &self,
        audience: &Audience,
        draft: &Draft,
        origin: &Origin<'_>,
    ) -> Result<PublishResponse, Fault> {
        let dedup = match (&draft.dedup, &draft.group) {
            (Some(dedup), Some(group)) if audience.at.is_fifo() => Some((dedup, group)),
            _ => None,
        };
        let Some((dedup, group)) = dedup else {
            // A message that came as a parcel keeps its id, so that a second try of it is no second one.
            let message_id = match origin.parcel {
                Some(id) => message::derived_id(id, &audience.at.arn()),
                None => self.ids.uuid(),
            };
            self.deliver(audience, draft, &message_id, None, origin)
                .await?;
            return Ok(PublishResponse {
                message_id,
                sequence_number: None,
            });
        };
        let by_group = audience.topic.attributes.get("FifoThroughputScope");
        let scope = match by_group.is_some_and(|v| v == "MessageGroup") {
            true => format!("{group}\n{dedup}"),
            false => dedup.clone(),
        };
        // A topic that is made anew under the same name remembers nothing.
        let scope = format!("{}\n{scope}", audience.topic.created_ms);
        let scope = message::content_id(&scope);
        // The messages of a group reach the outbox in the order of their numbers.
        let turn = self.turns.take((audience.at.arn(), group)).await?;
        let published = self.remember(&audience.at, &scope).await?;
        if !published.is_posted {
            let (id, sequence) = (&published.message_id, Some(published.sequence.as_str()));
            self.deliver(audience, draft, id, sequence, origin).await?;
            drop(turn);
            self.mark(&audience.at, &scope, &published).await?;
        }
        Ok(PublishResponse {
            message_id: published.message_id,
            sequence_number: Some(published.sequence),
        })
    }

    async fn deliver(
        &self,
        audience: &Audience,
        draft: &Draft,
        message_id: &str,
        sequence: Option<&str>,
        origin: &Origin<'_>,
    ) -> Result<(), Fault> {
        let publication = Publication {
            at: &audience.at,
            topic: &audience.topic,
            message: &draft.message,
            message_id,
            sequence,
            group: draft.group.as_deref(),
            dedup: draft.dedup.as_deref(),
            trace: origin.trace,
        };
        self.spread(&publication, &audience.subscriptions).await
    }

    /// The message that has this deduplication id already, or a new one.
    async fn remember(&self, at: &TopicRef, scope: &str) -> Result<Published, Fault> {
        let [account, region, name] = parts(at);
        let key = [account, region, name, scope];
        // Twice: the first write may lose against one at the same time.
        for _ in 0..2 {
            let now = self.now();
            let row = self.published.get(&key).await?;
            let expect = match &row {
                Some(row) if now - row.value.at_ms < REMEMBERED_MS => {
                    return Ok(row.value.clone());
                }
                Some(row) => store::Expect::At(row.rev),
                None => store::Expect::Absent,
            };
            let fresh = Published {
                message_id: self.ids.uuid(),
                sequence: self.sequence.next(self.clock.now().unix_micros()),
                at_ms: now,
                is_posted: false,
            };
            match self.published.put(&key, &fresh, expect).await {
                Ok(_) => return Ok(fresh),
                Err(store::StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Overtaken)
    }

    async fn mark(&self, at: &TopicRef, scope: &str, published: &Published) -> Result<(), Fault> {
        let [account, region, name] = parts(at);
        let done = Published {
            is_posted: true,
            ..published.clone()
        };
        let key = [account, region, name, scope];
        self.published.put(&key, &done, store::Expect::Any).await?;
        Ok(())
    }
}
