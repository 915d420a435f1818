//! One message on its way to the subscriptions of its topic.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use model::Arn;
use model::ports::{
    Attribute, AttributeValue, DeadLetter, DeadLetterStyle, Growth, Parcel, Patience, Phases,
    Posting, Sender, Waits,
};

use crate::engine::Engine;
use crate::fault::Fault;
use crate::filter::{Fields, Policy, Scope};
use crate::message::Message;
use crate::names::{SubscriptionRef, TopicRef};
use crate::notification::{Notification, Signature};
use crate::record::{Subscription, Topic};
use crate::signing::{Signer, Version};
use crate::{delivery_policy, subscription_attributes};

/// The service word of ARNs that stand for HTTP endpoints; the resource is the URL.
pub(crate) const HTTP: &str = "http";

/// Queues and functions.  [SNS guide: message delivery retries]
const OWN_PATIENCE: Patience = Patience {
    retries_max: 100_015,
    age_max: Duration::from_secs(23 * 86_400),
    waits: Waits::Phases(Phases {
        immediate: 3,
        early: 2,
        growing: 10,
        growth: Growth::Exponential,
        shortest: Duration::from_secs(1),
        longest: Duration::from_secs(20),
    }),
};

/// Postings that are made before they are posted: bodies differ by subscription.
const POSTED_MAX: usize = 256;
/// Bytes of their bodies.
const POSTED_BYTES_MAX: usize = 8 << 20;

/// What Publish decided about a message before it is spread.
pub(crate) struct Publication<'a> {
    pub(crate) at: &'a TopicRef,
    pub(crate) topic: &'a Topic,
    pub(crate) message: &'a Message,
    pub(crate) message_id: &'a str,
    pub(crate) sequence: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) dedup: Option<&'a str>,
    pub(crate) trace: Option<&'a str>,
}

/// What the subscriptions of one message have in common.
struct Shared<'a> {
    publication: &'a Publication<'a>,
    /// None where nobody gets a signed message.
    signer: Option<&'a Signer>,
    arn: String,
    timestamp: String,
    certificate_url: String,
    version: Version,
    /// By the text that a protocol gets.
    signatures: BTreeMap<String, String>,
    attributes: Option<Fields>,
    bodies: BTreeMap<String, Option<Fields>>,
}

impl Engine {
    pub(crate) fn certificate_url(&self) -> String {
        format!("{}/{}", self.settings.base, self.certificate_name)
    }

    /// ISO 8601 with milliseconds.
    pub(crate) fn timestamp(&self) -> String {
        let ms = self.now();
        // The form without milliseconds is for whole seconds; notifications have them always.
        let text = wire::Timestamp(ms).iso8601();
        match ms % 1_000 {
            0 => text.replace('Z', ".000Z"),
            _ => text,
        }
    }

    /// Posts a message to each confirmed subscription whose filter it passes. All of it is durable when it returns.
    pub(crate) async fn spread(
        &self,
        publication: &Publication<'_>,
        subscriptions: &[Subscription],
    ) -> Result<(), Fault> {
        let is_signed = |s: &Subscription| s.is_confirmed() && !s.is_raw();
        let signer = match publication.sequence.is_none() && subscriptions.iter().any(is_signed) {
            true => Some(self.signer().await?),
            false => None,
        };
        let version = publication.topic.attributes.get("SignatureVersion");
        let mut shared = Shared {
            publication,
            signer,
            arn: publication.at.arn(),
            timestamp: self.timestamp(),
            certificate_url: self.certificate_url(),
            version: Version::of(version.map(String::as_str)),
            signatures: BTreeMap::new(),
            attributes: None,
            bodies: BTreeMap::new(),
        };
        let (mut some, mut bytes) = (Vec::new(), 0);
        for subscription in subscriptions.iter().filter(|s| s.is_confirmed()) {
            if !shared.passes(subscription) {
                continue;
            }
            let Some(posting) = self.posting(&mut shared, subscription)? else {
                continue;
            };
            bytes += posting.parcel.body.len();
            some.push(posting);
            if bytes >= POSTED_BYTES_MAX || some.len() >= POSTED_MAX {
                self.outbox.post(std::mem::take(&mut some)).await?;
                bytes = 0;
            }
        }
        if !some.is_empty() {
            self.outbox.post(some).await?;
        }
        Ok(())
    }

    fn posting(
        &self,
        shared: &mut Shared<'_>,
        subscription: &Subscription,
    ) -> Result<Option<Posting>, Fault> {
        let publication = shared.publication;
        let at = SubscriptionRef {
            topic: publication.at.clone(),
            id: subscription.id.clone(),
        };
        let subscription_arn = at.arn();
        let text = publication.message.body.of(&subscription.protocol);
        let (arn, timestamp) = (shared.arn.clone(), shared.timestamp.clone());
        let notification = Notification {
            message_id: publication.message_id,
            sequence: publication.sequence,
            topic_arn: &arn,
            subject: publication.message.subject.as_deref(),
            message: text,
            timestamp: &timestamp,
            attributes: &publication.message.attributes,
            subscription_arn: &subscription_arn,
            base: &self.settings.base,
        };
        let is_raw = subscription.is_raw();
        let signed = match shared.signer.filter(|_| !is_raw) {
            Some(signer) => Some(shared.signature(signer, &notification)?),
            None => None,
        };
        let signature = signed.as_deref().map(|text| Signature {
            version: shared.version.number(),
            text,
            certificate_url: &shared.certificate_url,
        });
        // What a queue gets, as receiver or as dead-letter queue.
        let (body, attributes) = match is_raw {
            true => (text.to_owned(), publication.message.attributes.clone()),
            false => (notification.body(signature.as_ref()), Vec::new()),
        };
        let other = || DeadLetterStyle::Other {
            body: Bytes::from(body.clone()),
            attributes: attributes.clone(),
        };
        let (to, parcel_body, parcel_attributes, style, patience) = match subscription
            .protocol
            .as_str()
        {
            "sqs" => {
                let style = DeadLetterStyle::Plain;
                (
                    endpoint(subscription)?,
                    body,
                    attributes,
                    style,
                    OWN_PATIENCE,
                )
            }
            "lambda" => {
                let event = notification.event(signature.as_ref());
                (
                    endpoint(subscription)?,
                    event,
                    Vec::new(),
                    other(),
                    OWN_PATIENCE,
                )
            }
            "http" | "https" => {
                let own = subscription.attributes.get("DeliveryPolicy");
                let topic = publication.topic.attributes.get("DeliveryPolicy");
                let policy =
                    delivery_policy::effective(topic.map(String::as_str), own.map(String::as_str));
                let patience = policy.retry.patience();
                let style = other();
                let mut headers = headers("Notification", publication.message_id, &arn);
                headers.push(header("x-amz-sns-subscription-arn", &subscription_arn));
                if is_raw {
                    headers.push(header("x-amz-sns-rawdelivery", "true"));
                }
                headers.push(header("content-type", &policy.content_type));
                (
                    url(&at.topic, &subscription.endpoint),
                    body,
                    headers,
                    style,
                    patience,
                )
            }
            // Nobody can confirm email and the like, so that no such subscription gets here; text
            // messages are accepted and go nowhere.
            _ => return Ok(None),
        };
        let is_fifo = to.resource.ends_with(".fifo");
        Ok(Some(Posting {
            parcel: Parcel {
                id: parcel_id(publication.message_id, &subscription.id),
                to,
                sender: sender(&at.topic),
                body: Bytes::from(parcel_body),
                attributes: parcel_attributes,
                subject: None,
                // A group of a standard topic makes a standard queue fair; one of a FIFO topic is no
                // matter of a standard queue.
                group: publication
                    .group
                    .filter(|_| is_fifo || publication.sequence.is_none())
                    .map(str::to_owned),
                dedup: publication.dedup.filter(|_| is_fifo).map(str::to_owned),
                trace: publication.trace.map(str::to_owned),
                event: None,
            },
            patience,
            dead_letter: subscription_attributes::dead_letter(&subscription.attributes)
                .map(|to| DeadLetter { to, style }),
        }))
    }
}

impl Shared<'_> {
    fn signature(
        &mut self,
        signer: &Signer,
        notification: &Notification<'_>,
    ) -> Result<String, Fault> {
        if let Some(known) = self.signatures.get(notification.message) {
            return Ok(known.clone());
        }
        let made = signer
            .sign(self.version, &notification.canonical())
            .map_err(|error| Fault::Internal(error.to_string()))?;
        self.signatures
            .insert(notification.message.to_owned(), made.clone());
        Ok(made)
    }

    /// Whether the message passes the subscription's filter.
    fn passes(&mut self, subscription: &Subscription) -> bool {
        let Some(text) = subscription.attributes.get("FilterPolicy") else {
            return true;
        };
        let scope = subscription_attributes::scope(&subscription.attributes);
        let Ok(policy) = Policy::compile(text, scope) else {
            // The scope may have changed after the policy: a nested one matches no attributes.
            return false;
        };
        let message = self.publication.message;
        match scope {
            Scope::Attributes => policy.matches(
                self.attributes
                    .get_or_insert_with(|| Fields::of_attributes(&message.attributes)),
            ),
            Scope::Body => {
                let text = message.body.of(&subscription.protocol);
                self.bodies
                    .entry(text.to_owned())
                    .or_insert_with(|| Fields::of_body(text))
                    .as_ref()
                    .is_some_and(|fields| policy.matches(fields))
            }
        }
    }
}

/// Tells the message and the subscription of a notification.
fn parcel_id(message_id: &str, subscription_id: &str) -> String {
    format!("{message_id}.{subscription_id}")
}

/// The subscription whose notification the parcel is; handshakes have none.
pub(crate) fn subscription_of(parcel: &Parcel) -> Option<SubscriptionRef> {
    let (_, id) = parcel.id.split_once('.')?;
    Some(SubscriptionRef {
        topic: TopicRef::of(&parcel.sender.source)?,
        id: id.to_owned(),
    })
}

pub(crate) fn sender(topic: &TopicRef) -> Sender {
    Sender {
        service: "sns.amazonaws.com",
        source: topic.to_arn(),
        role: None,
    }
}

fn endpoint(subscription: &Subscription) -> Result<Arn, Fault> {
    subscription
        .endpoint
        .parse()
        .map_err(|_| Fault::Internal(format!("{} has no ARN", subscription.id)))
}

/// An HTTP endpoint as the outbox addresses it.
pub(crate) fn url(topic: &TopicRef, url: &str) -> Arn {
    Arn {
        service: HTTP.to_owned(),
        resource: url.to_owned(),
        ..topic.to_arn()
    }
}

pub(crate) fn header(name: &str, value: &str) -> (String, Attribute) {
    let attribute = Attribute {
        kind: "String".to_owned(),
        value: AttributeValue::Text(value.to_owned()),
    };
    (name.to_owned(), attribute)
}

/// The headers that every HTTP message has.
pub(crate) fn headers(kind: &str, message_id: &str, topic_arn: &str) -> Vec<(String, Attribute)> {
    vec![
        header("x-amz-sns-message-type", kind),
        header("x-amz-sns-message-id", message_id),
        header("x-amz-sns-topic-arn", topic_arn),
    ]
}
