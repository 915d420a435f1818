//! Topics as receivers of what other parts of the process send.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use model::ports::{Attribute, AttributeValue, Parcel, Target, Undelivered};
use wire::Blob;

use crate::api::MessageAttribute;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::message::{self, Message};
use crate::names::TopicRef;
use crate::operations::publish::Origin;

/// Publishes parcels to topics.
pub struct TopicTarget(Arc<Engine>);

impl TopicTarget {
    pub fn new(engine: &Arc<Engine>) -> TopicTarget {
        TopicTarget(Arc::clone(engine))
    }
}

#[async_trait]
impl Target for TopicTarget {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        self.publish(parcel).await.map_err(undelivered)
    }
}

impl TopicTarget {
    async fn publish(&self, parcel: &Parcel) -> Result<(), Fault> {
        let at = TopicRef::of(&parcel.to).ok_or_else(|| Fault::parameter("TopicArn"))?;
        let text = std::str::from_utf8(&parcel.body)
            .map_err(|_| Fault::parameter("Message is no text"))?;
        let attributes: BTreeMap<String, MessageAttribute> =
            parcel.attributes.iter().map(sent).collect();
        let subject = parcel.subject.as_deref();
        let message = Message::check(text, None, subject, attributes, "messageAttributes")?;
        if message.bytes > message::BYTES_MAX {
            return Err(Fault::parameter("Message too long"));
        }
        let audience = self.0.audience(at).await?;
        self.0
            .admit_sender(&audience.at, &audience.topic, &parcel.sender)?;
        let (group, dedup) = (parcel.group.clone(), parcel.dedup.clone());
        let draft = audience.draft(message, group, dedup, text)?;
        let origin = Origin {
            parcel: Some(&parcel.id),
            trace: parcel.trace.as_deref(),
        };
        self.0.publish(&audience, &draft, &origin).await?;
        Ok(())
    }
}

fn sent((name, attribute): &(String, Attribute)) -> (String, MessageAttribute) {
    let (string_value, binary_value) = match &attribute.value {
        AttributeValue::Text(text) => (Some(text.clone()), None),
        AttributeValue::Binary(bytes) => (None, Some(Blob(bytes.clone()))),
    };
    let attribute = MessageAttribute {
        data_type: Some(attribute.kind.clone()),
        string_value,
        binary_value,
    };
    (name.clone(), attribute)
}

fn undelivered(fault: Fault) -> Undelivered {
    let message = fault.to_string();
    let is_ours = matches!(
        fault,
        Fault::Store(_) | Fault::NotPosted(_) | Fault::Internal(_) | Fault::Overtaken
    );
    let code = wire::Fault::from(fault).code().to_owned();
    match is_ours {
        true => Undelivered::Later { code, message },
        false => Undelivered::Refused { code, message },
    }
}
