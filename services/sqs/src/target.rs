//! What other parts of the process send to queues.

use std::collections::BTreeMap;

use async_trait::async_trait;
use model::policy::{Caller, Keys, Policy, Request, Verdict};
use model::ports::{AttributeValue, Parcel, Target, Undelivered};
use wire::Blob;

use crate::check;
use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::live::Draft;
use crate::message::{Attribute, Message};
use crate::names::QueueRef;
use crate::recent::PARCEL;

/// Who AWS's services are in queues: the unique ids of their users.  [seen in messages of AWS]
const SENDERS: &[(&str, &str)] = &[
    ("sns.amazonaws.com", "AIDAIT2UOQQY3AUEKVGXU"),
    ("events.amazonaws.com", "AIDAJXNJGGKNS7OSV23OI"),
];

#[async_trait]
impl Target for Engine {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        self.accept(parcel).await.map_err(undelivered)
    }
}

fn undelivered(fault: Fault) -> Undelivered {
    let message = fault.to_string();
    match (fault.codes(), &fault) {
        (_, Fault::OverLimit(_)) | (None, _) => Undelivered::Later {
            code: "InternalError".to_owned(),
            message,
        },
        (Some((_, code, _)), _) => Undelivered::Refused {
            code: code.to_owned(),
            message,
        },
    }
}

impl Engine {
    async fn accept(&self, parcel: &Parcel) -> Result<(), Fault> {
        let at = QueueRef::from_arn(&parcel.to.to_string()).ok_or(Fault::QueueDoesNotExist)?;
        let (queue, live) = self.open_queue(&at).await?;
        self.admit(&at, &queue, parcel)?;
        let draft = self.draft_of(&queue, parcel)?;
        let sent = live.send(vec![draft]).await?;
        sent.into_iter().next().ok_or(Fault::Overtaken)??;
        Ok(())
    }

    /// Asks the policy of the queue. A denial always counts; that a service needs a statement that lets
    /// it in, only where permissions are checked. A role is the matter of its own policies.
    fn admit(&self, at: &QueueRef, queue: &Queue, parcel: &Parcel) -> Result<(), Fault> {
        let (resource, sender) = (at.arn(), &parcel.sender);
        let caller = match &sender.role {
            Some(role) => Caller::Identity {
                account: at.account.clone(),
                arn: role.clone(),
            },
            None => Caller::Service(sender.service.to_owned()),
        };
        let keys = Keys::new()
            .with("aws:SourceArn", sender.source.to_string())
            .with("aws:SourceAccount", sender.source.account.clone());
        let policy = queue.attributes.get("Policy");
        let verdict = match policy.map(|text| Policy::parse(text)) {
            None => Verdict::Silent,
            Some(Ok(policy)) => policy.decide(&Request {
                caller: &caller,
                action: "sqs:SendMessage",
                resource: &resource,
                keys: &keys,
            }),
            // What cannot be read lets nobody in.
            Some(Err(_)) => Verdict::Silent,
        };
        let is_silent_ok = sender.role.is_some() || !self.needs_policies();
        match verdict {
            Verdict::Allow => Ok(()),
            Verdict::Silent if is_silent_ok => Ok(()),
            Verdict::Silent | Verdict::Deny => Err(Fault::AccessDenied(resource)),
        }
    }

    fn draft_of(&self, queue: &Queue, parcel: &Parcel) -> Result<Draft, Fault> {
        let body = str::from_utf8(&parcel.body).map_err(|_| Fault::InvalidMessageContents)?;
        check::body(body)?;
        let attributes: BTreeMap<String, Attribute> = parcel
            .attributes
            .iter()
            .map(|(name, attribute)| {
                let (text, binary) = match &attribute.value {
                    AttributeValue::Text(text) => (Some(text.clone()), None),
                    AttributeValue::Binary(bytes) => (None, Some(Blob(bytes.clone()))),
                };
                let kind = attribute.kind.clone();
                (name.clone(), Attribute { kind, text, binary })
            })
            .collect();
        check::attributes(attributes.iter())?;
        let mut message = Message {
            id: match is_uuid(&parcel.id) {
                true => parcel.id.clone(),
                false => self.tasks.ids().uuid(),
            },
            sent_ms: self.tasks.clock().steady().unix_millis(),
            sender: sender(parcel),
            attributes,
            trace: parcel.trace.clone(),
            group: parcel.group.clone(),
            dedup: parcel.dedup.clone(),
            body: parcel.body.clone(),
            ..Message::default()
        };
        check::size(&message, queue.number("MaximumMessageSize"))?;
        let dedup = match (queue.is_fifo(), &parcel.group) {
            (true, None) => return Err(Fault::MissingParameter("MessageGroupId")),
            (true, Some(_)) => self.deduplicate(queue, &mut message)?,
            // A try after one whose end the sender does not know.
            (false, _) => format!("{PARCEL}{}", parcel.id),
        };
        Ok(Draft {
            message,
            delay_ms: queue.millis("DelaySeconds"),
            dedup: Some(dedup),
            with: Vec::new(),
        })
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// The id of the service's user, or the role with the name of what sends.
fn sender(parcel: &Parcel) -> String {
    let service = parcel.sender.service;
    let known = SENDERS.iter().find(|(name, _)| *name == service);
    match (known, &parcel.sender.role) {
        (Some((_, id)), _) => (*id).to_owned(),
        (None, Some(role)) => {
            let name = parcel.sender.source.resource.rsplit([':', '/']).next();
            let role = role.rsplit('/').next().unwrap_or_default();
            format!("{role}:{}", name.unwrap_or_default())
        }
        (None, None) => service.to_owned(),
    }
}
