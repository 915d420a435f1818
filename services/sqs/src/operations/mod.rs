//! One file for each family of operations.

pub(crate) mod batches;
pub(crate) mod lists;
pub(crate) mod messages;
pub(crate) mod permissions;
pub(crate) mod queues;
pub(crate) mod redrive;
pub(crate) mod tags;

use wire::Context;

use crate::fault::Fault;
use crate::names::{QueueRef, is_bare};

/// The queue that a URL names, if it is the caller's: policies of queues are kept and not yet
/// evaluated, so no queue is another account's business.
pub(crate) fn named(cx: &Context, url: &str) -> Result<QueueRef, Fault> {
    let queue = match is_bare(url) {
        true => QueueRef {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            name: url.to_owned(),
        },
        false => QueueRef::from_url(url, cx.region())?,
    };
    match queue.account == cx.account() {
        true => Ok(queue),
        false => Err(Fault::QueueDoesNotExist),
    }
}
