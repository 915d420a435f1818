//! Queues as event sources read them.

use std::time::Duration;

use async_trait::async_trait;
use model::Arn;
use model::ports::{Attribute, AttributeValue, QueueFacts, QueueMessage, QueueReader, Unread};
use tasks::Clock;

use crate::engine::Engine;
use crate::fault::Fault;
use crate::live::{Ask, Received};
use crate::message::{md5_of, md5_of_attributes};
use crate::names::QueueRef;
use crate::receipt::Receipt;

/// [SQS API: ReceiveMessage]
const RECEIVED_MAX: usize = 10;
const WAIT_MAX: Duration = Duration::from_secs(20);

fn unread(fault: Fault) -> Unread {
    let code = fault.codes().map(|(_, code, _)| code);
    Unread {
        code: code.unwrap_or("InternalError").to_owned(),
        message: fault.to_string(),
        is_retryable: code.is_none() || matches!(fault, Fault::OverLimit(_)),
    }
}

fn named(queue: &Arn) -> Result<QueueRef, Unread> {
    let at = QueueRef::from_arn(&queue.to_string());
    at.ok_or_else(|| unread(Fault::QueueDoesNotExist))
}

fn shown(one: Received, is_fifo: bool, clock: &Clock) -> QueueMessage {
    let system = one.system_attributes(is_fifo, clock).into_iter().collect();
    let Received {
        message, receipt, ..
    } = one;
    let md5_of_attributes = md5_of_attributes(&message.attributes);
    let attributes = message.attributes.into_iter().map(|(name, attribute)| {
        let value = match attribute.binary {
            Some(blob) => AttributeValue::Binary(blob.0),
            None => AttributeValue::Text(attribute.text.unwrap_or_default()),
        };
        let kind = attribute.kind;
        (name, Attribute { kind, value })
    });
    QueueMessage {
        md5_of_body: md5_of(&message.body),
        attributes: attributes.collect(),
        receipt: receipt.handle(),
        body: String::from_utf8_lossy(&message.body).into_owned(),
        id: message.id,
        system,
        md5_of_attributes,
    }
}

#[async_trait]
impl QueueReader for Engine {
    async fn facts(&self, queue: &Arn) -> Result<QueueFacts, Unread> {
        let queue = self.queue(&named(queue)?).await.map_err(unread)?;
        let visibility_s = queue.number("VisibilityTimeout");
        Ok(QueueFacts {
            is_fifo: queue.is_fifo(),
            visibility_timeout: Duration::from_secs(u64::try_from(visibility_s).unwrap_or(0)),
        })
    }

    async fn receive(
        &self,
        queue: &Arn,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<QueueMessage>, Unread> {
        let at = named(queue)?;
        let (queue, live) = self.open_queue(&at).await.map_err(unread)?;
        let ask = Ask {
            max: max.clamp(1, RECEIVED_MAX),
            visibility_ms: queue.millis("VisibilityTimeout"),
            attempt: None,
            receives_max: None,
            retention_ms: queue.millis("MessageRetentionPeriod"),
            is_patient: true,
            is_noted: true,
        };
        let wait = wait.min(WAIT_MAX);
        let received = Engine::receive(self, &at, &queue, &live, ask, wait).await;
        let received = received.map_err(unread)?.into_iter();
        let clock = self.tasks.clock();
        Ok(received
            .map(|one| shown(one, queue.is_fifo(), clock))
            .collect())
    }

    async fn delete(&self, queue: &Arn, receipts: &[String]) -> Result<(), Unread> {
        let at = named(queue)?;
        let (_, live) = self.open_queue(&at).await.map_err(unread)?;
        let receipts = receipts.iter().map(|handle| {
            let receipt = Receipt::parse(handle).filter(|receipt| receipt.queue == live.id);
            receipt.ok_or_else(|| unread(Fault::ReceiptHandleIsInvalid(handle.clone())))
        });
        let receipts: Vec<Receipt> = receipts.collect::<Result<_, _>>()?;
        live.delete(&receipts).await.map_err(unread)?;
        Ok(())
    }

    async fn hold(&self, queue: &Arn, receipt: &str, visibility: Duration) -> Result<(), Unread> {
        let at = named(queue)?;
        let (_, live) = self.open_queue(&at).await.map_err(unread)?;
        let invalid = || unread(Fault::ReceiptHandleIsInvalid(receipt.to_owned()));
        let parsed = Receipt::parse(receipt).filter(|parsed| parsed.queue == live.id);
        let visibility_ms = i64::try_from(visibility.as_millis()).unwrap_or(i64::MAX);
        // What is gone or visible again needs no hold.
        let parsed = parsed.ok_or_else(invalid)?;
        let changed = live.change(&parsed, visibility_ms).await;
        let _unheld = changed.map_err(|error| unread(error.into()))?;
        Ok(())
    }
}
