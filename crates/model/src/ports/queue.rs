//! Reading of queues, for event sources.

use std::time::Duration;

use async_trait::async_trait;

use super::Attribute;
use crate::Arn;

/// A message as a receiver gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueMessage {
    pub id: String,
    /// Names this receive; good for [`QueueReader::delete`] and [`QueueReader::hold`].
    pub receipt: String,
    pub body: String,
    pub md5_of_body: String,
    /// `ApproximateReceiveCount`, `SentTimestamp` and the other attributes of the system, by name.
    pub system: Vec<(String, String)>,
    pub attributes: Vec<(String, Attribute)>,
    /// None without attributes.
    pub md5_of_attributes: Option<String>,
}

/// What a poller must know of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFacts {
    pub is_fifo: bool,
    pub visibility_timeout: Duration,
}

/// Why a queue was not read, with the code that its API would give.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Unread {
    pub code: String,
    pub message: String,
    /// Whether asking again can help.
    pub is_retryable: bool,
}

/// Receives from queues as a consumer in another process would. `services/sqs` implements it.
#[async_trait]
pub trait QueueReader: Send + Sync {
    async fn facts(&self, queue: &Arn) -> Result<QueueFacts, Unread>;

    /// Up to `max` messages, at most ten, in flight for the visibility timeout of the queue; waits at
    /// most `wait` for the first. Dropping the call may leave messages in flight until their time is
    /// over.
    async fn receive(
        &self,
        queue: &Arn,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<QueueMessage>, Unread>;

    /// Durable when it returns. A message that is gone already is no error; of a FIFO queue one that
    /// became visible again stays.
    async fn delete(&self, queue: &Arn, receipts: &[String]) -> Result<(), Unread>;

    /// Keeps a message in flight for another time from now on; zero makes it visible at once.
    async fn hold(&self, queue: &Arn, receipt: &str, visibility: Duration) -> Result<(), Unread>;
}
