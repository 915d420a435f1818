//! SQS: queues as stored records, with AWS's checks and errors.
//!
//! ```text
//! operations ─▶ attributes, names (pure checks) ─▶ engine (table, compare-and-swap) ─▶ store
//! ```
//!
//! Not here yet: messages. Sending, receiving and moving them answers that it is not built; so does
//! the older form protocol.
//!
//! Start with [`Engine`] and [`service`].

mod api;
mod attributes;
mod engine;
mod fault;
mod names;
mod operations;
mod policy;

use std::sync::Arc;

pub use engine::Engine;
use wire::{Protocol, Service};

use crate::operations::{lists, permissions, queues, tags};

/// Opens the stored state.
#[must_use]
pub fn open(store: &store::Store, tasks: &tasks::Tasks) -> Arc<Engine> {
    Arc::new(Engine::open(store, tasks))
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    Service::new("sqs", engine)
        .protocols([Protocol::Json10])
        .target_prefix("AmazonSQS")
        .operation("CreateQueue", queues::create)
        .operation("DeleteQueue", queues::delete)
        .operation("GetQueueUrl", queues::url)
        .operation("GetQueueAttributes", queues::attributes)
        .operation("SetQueueAttributes", queues::set_attributes)
        .operation("ListQueues", lists::queues)
        .operation("ListDeadLetterSourceQueues", lists::dead_letter_sources)
        .operation("TagQueue", tags::tag)
        .operation("UntagQueue", tags::untag)
        .operation("ListQueueTags", tags::list)
        .operation("AddPermission", permissions::add)
        .operation("RemovePermission", permissions::remove)
        .not_built(NOT_BUILT)
        .build()
}

/// Operations of the model that Kiln does not have yet.
const NOT_BUILT: [&str; 11] = [
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ListMessageMoveTasks",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "StartMessageMoveTask",
];
