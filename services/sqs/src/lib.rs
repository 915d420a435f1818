//! SQS: queues and their messages, standard and FIFO, over both protocols.
//!
//! ```text
//! operations ─▶ attributes, names, check (pure) ─▶ engine: queues (table, compare-and-swap) ─▶ store
//!                                               └▶ live: messages ─▶ shelf (index, pure)
//!                                                              └──▶ keep (records) ─▶ store
//! ```
//!
//! A message is on the disk before its sender hears of it, and its body is only there; what is ready,
//! delayed or in flight is known in memory and found again at the start. Why so: decision 020.
//!
//! Start with [`Engine`] and [`service`].

mod api;
mod attributes;
mod check;
mod deliver;
mod engine;
mod fault;
mod keep;
mod live;
mod loops;
mod message;
mod moves;
mod names;
mod operations;
mod policy;
mod reader;
mod receipt;
mod recent;
mod shelf;
mod target;

use std::sync::Arc;

pub use engine::Engine;
use wire::{Flat, Protocol, Service};

use crate::loops::Housekeeper;
use crate::operations::{batches, lists, messages, permissions, queues, redrive, tags};

/// Longest request of an operation that takes messages: what is 1 MiB of messages may be longer as
/// JSON, where a character takes up to six.
const BODY_BYTES_MAX: u64 = 7 << 20;

/// Opens the stored state.
#[must_use]
pub fn open(store: &store::Store, tasks: &tasks::Tasks) -> Arc<Engine> {
    open_waiting_by(store, tasks, tasks.clock())
}

/// As [`open`], with a clock of its own for callers who wait: that of `tasks`, which messages live
/// by, may be moved.
#[must_use]
pub fn open_waiting_by(
    store: &store::Store,
    tasks: &tasks::Tasks,
    waits: &tasks::Clock,
) -> Arc<Engine> {
    let engine = Arc::new(Engine::open(store, tasks, waits));
    tasks.add(Housekeeper::new(engine.clone()));
    engine
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    Service::new("sqs", engine)
        .protocols([
            Protocol::Json10,
            Protocol::Query {
                xmlns: "http://queue.amazonaws.com/doc/2012-11-05/",
            },
        ])
        .target_prefix("AmazonSQS")
        .path_member("QueueUrl")
        .operation("CreateQueue", queues::create)
        .flat(CREATE)
        .root_only()
        .operation("DeleteQueue", queues::delete)
        .operation("GetQueueUrl", queues::url)
        .operation("GetQueueAttributes", queues::attributes)
        .flat(COMMON)
        .operation("SetQueueAttributes", queues::set_attributes)
        .flat(COMMON)
        .operation("ListQueues", lists::queues)
        .flat(COMMON)
        .root_only()
        .operation("ListDeadLetterSourceQueues", lists::dead_letter_sources)
        .flat(COMMON)
        .operation("TagQueue", tags::tag)
        .flat(COMMON)
        .operation("UntagQueue", tags::untag)
        .flat(COMMON)
        .operation("ListQueueTags", tags::list)
        .flat(COMMON)
        .operation("AddPermission", permissions::add)
        .flat(COMMON)
        .operation("RemovePermission", permissions::remove)
        .operation("SendMessage", messages::send)
        .flat(COMMON)
        .body_max(BODY_BYTES_MAX)
        .operation("SendMessageBatch", batches::send)
        .flat(SEND_BATCH)
        .body_max(BODY_BYTES_MAX)
        .operation("ReceiveMessage", messages::receive)
        .flat(COMMON)
        .operation("DeleteMessage", messages::delete)
        .operation("DeleteMessageBatch", batches::delete)
        .flat(DELETE_BATCH)
        .operation("ChangeMessageVisibility", messages::change)
        .operation("ChangeMessageVisibilityBatch", batches::change)
        .flat(CHANGE_BATCH)
        .operation("PurgeQueue", messages::purge)
        .operation("StartMessageMoveTask", redrive::start)
        .operation("ListMessageMoveTasks", redrive::list)
        .flat(MOVES)
        .operation("CancelMessageMoveTask", redrive::cancel)
        .build()
}

/// How the older protocol spells lists and maps.  [SQS API 2012-11-05, query protocol]
const COMMON: &[Flat] = &[
    Flat::list("AttributeNames", "AttributeName"),
    Flat::list("MessageAttributeNames", "MessageAttributeName"),
    Flat::list("MessageSystemAttributeNames", "MessageSystemAttributeName"),
    Flat::list("AWSAccountIds", "AWSAccountId"),
    Flat::list("Actions", "ActionName"),
    Flat::list("TagKeys", "TagKey"),
    Flat::list("QueueUrls", "QueueUrl"),
    Flat::list("queueUrls", "QueueUrl"),
    Flat::list("Messages", "Message"),
    Flat::list("StringListValues", "StringListValue"),
    Flat::list("BinaryListValues", "BinaryListValue"),
    Flat::map("Attributes", "Attribute", "Name"),
    Flat::map("MessageAttributes", "MessageAttribute", "Name"),
    Flat::map("MessageSystemAttributes", "MessageSystemAttribute", "Name"),
    Flat::map("Tags", "Tag", "Key"),
];
const CREATE: &[Flat] = &[
    Flat::map("Attributes", "Attribute", "Name"),
    Flat::map("tags", "Tag", "Key"),
];
const SEND_BATCH: &[Flat] = &[
    Flat::list("Entries", "SendMessageBatchRequestEntry"),
    Flat::list("Successful", "SendMessageBatchResultEntry"),
    Flat::list("Failed", "BatchResultErrorEntry"),
    Flat::list("StringListValues", "StringListValue"),
    Flat::list("BinaryListValues", "BinaryListValue"),
    Flat::map("MessageAttributes", "MessageAttribute", "Name"),
    Flat::map("MessageSystemAttributes", "MessageSystemAttribute", "Name"),
];
const DELETE_BATCH: &[Flat] = &[
    Flat::list("Entries", "DeleteMessageBatchRequestEntry"),
    Flat::list("Successful", "DeleteMessageBatchResultEntry"),
    Flat::list("Failed", "BatchResultErrorEntry"),
];
const CHANGE_BATCH: &[Flat] = &[
    Flat::list("Entries", "ChangeMessageVisibilityBatchRequestEntry"),
    Flat::list("Successful", "ChangeMessageVisibilityBatchResultEntry"),
    Flat::list("Failed", "BatchResultErrorEntry"),
];
const MOVES: &[Flat] = &[Flat::list("Results", "ListMessageMoveTasksResultEntry")];
