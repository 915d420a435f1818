use std::collections::HashSet;
use std::sync::Arc;

use wire::Context;

use super::messages::{answer, change_one, draft, receipt, told, unheld};
use super::named;
use crate::api::{
    BatchResult, BatchResultErrorEntry, ChangeMessageVisibilityBatchRequest,
    DeleteMessageBatchRequest, IdEntry, SendMessageBatchRequest, SendMessageBatchResultEntry,
};
use crate::deliver::NO_DEDUP;
use crate::engine::Engine;
use crate::fault::Fault;

/// [SQS quotas: message batch]
const ENTRIES_MAX: usize = 10;
const BATCH_BYTES_MAX: usize = 1 << 20;
const ID_MAX: usize = 80;

/// Checks what all batches have in common. `kind` is the name of the entries' shape.
fn check<'a>(
    kind: &'static str,
    ids: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), Fault> {
    if ids.len() == 0 {
        return Err(Fault::EmptyBatchRequest(kind));
    }
    if ids.len() > ENTRIES_MAX {
        let (max, sent) = (ENTRIES_MAX, ids.len());
        return Err(Fault::TooManyEntriesInBatchRequest { max, sent });
    }
    let mut seen = HashSet::new();
    for id in ids {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=ID_MAX).contains(&id.len()) || !id.bytes().all(is_plain) {
            return Err(Fault::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(Fault::BatchEntryIdsNotDistinct(id.clone()));
        }
    }
    Ok(())
}

fn failed(id: String, fault: &Fault) -> BatchResultErrorEntry {
    let code = fault.codes().map_or("InternalError", |(_, code, _)| code);
    BatchResultErrorEntry {
        id,
        sender_fault: fault.codes().is_some(),
        code: code.to_owned(),
        message: fault.to_string(),
    }
}

/// Sorts the outcomes of entries into those that succeeded and those that did not.
fn result<T>(entries: impl Iterator<Item = (String, Result<T, Fault>)>) -> BatchResult<T> {
    let mut result = BatchResult {
        successful: Vec::new(),
        failed: Vec::new(),
    };
    for (id, outcome) in entries {
        match outcome {
            Ok(entry) => result.successful.push(entry),
            Err(fault) => result.failed.push(failed(id, &fault)),
        }
    }
    result
}

/// [SQS API: SendMessageBatch]
pub(crate) async fn send(
    engine: Arc<Engine>,
    cx: Context,
    input: SendMessageBatchRequest,
) -> Result<BatchResult<SendMessageBatchResultEntry>, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (queue, live) = engine.open_queue(&at).await?;
    let entries = input.entries.unwrap_or_default();
    check(
        "SendMessageBatchRequestEntry",
        entries.iter().map(|e| &e.id),
    )?;
    if queue.is_fifo() && entries.iter().any(|e| e.message_group_id.is_none()) {
        let text = Fault::MissingParameter("MessageGroupId").to_string();
        return Err(Fault::InvalidParameterValue(text).into());
    }
    let max = queue.number("MaximumMessageSize");
    let mut outcomes = Vec::with_capacity(entries.len());
    let mut drafts = Vec::with_capacity(entries.len());
    let mut bytes = 0;
    for entry in entries {
        let (id, trace) = (entry.id.clone(), entry.trace());
        match draft(&engine, &cx, &queue, entry) {
            Ok(draft) => {
                let size = draft.message.size();
                bytes += size;
                let is_small = i64::try_from(size).is_ok_and(|size| size <= max);
                outcomes.push((
                    id,
                    is_small
                        .then(|| answer(&draft, trace.as_deref()))
                        .ok_or_else(|| long(max)),
                ));
                drafts.extend(is_small.then_some(draft));
            }
            // Of a FIFO queue's deduplication the whole request must be right.
            Err(fault @ Fault::InvalidParameterValue(_)) if fault.to_string() == NO_DEDUP => {
                return Err(fault.into());
            }
            Err(fault) => outcomes.push((id, Err(fault))),
        }
    }
    if bytes > BATCH_BYTES_MAX {
        let (max, sent) = (BATCH_BYTES_MAX, bytes);
        return Err(Fault::BatchRequestTooLong { max, sent }.into());
    }
    let mut sent = live.send(drafts).await?.into_iter();
    let entries = outcomes.into_iter().map(|(id, outcome)| {
        let entry = outcome.and_then(|mut answer| {
            let sent = sent.next().ok_or(Fault::Overtaken)?.map_err(Fault::from)?;
            told(&mut answer, &sent, &queue);
            let id = id.clone();
            Ok(SendMessageBatchResultEntry { id, sent: answer })
        });
        (id, entry)
    });
    Ok(result(entries))
}

fn long(max: i64) -> Fault {
    Fault::InvalidParameterValue(format!(
        "One or more parameters cannot be validated. Reason: Message must be shorter than {max} bytes."
    ))
}

/// [SQS API: DeleteMessageBatch]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: DeleteMessageBatchRequest,
) -> Result<BatchResult<IdEntry>, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (_, live) = engine.open_queue(&at).await?;
    let entries = input.entries.unwrap_or_default();
    check(
        "DeleteMessageBatchRequestEntry",
        entries.iter().map(|e| &e.id),
    )?;
    let parsed: Vec<_> = entries
        .iter()
        .map(|entry| receipt(&live, &entry.receipt_handle))
        .collect();
    let receipts: Vec<_> = parsed
        .iter()
        .filter_map(|r| r.as_ref().ok().cloned())
        .collect();
    let mut deleted = live.delete(&receipts).await?.into_iter();
    let outcomes = entries.into_iter().zip(parsed).map(|(entry, parsed)| {
        let outcome = parsed.and_then(|_| match deleted.next() {
            Some(Err(why)) => Err(unheld(&entry.receipt_handle, why)),
            _ => Ok(IdEntry {
                id: entry.id.clone(),
            }),
        });
        (entry.id, outcome)
    });
    Ok(result(outcomes))
}

/// [SQS API: ChangeMessageVisibilityBatch]
pub(crate) async fn change(
    engine: Arc<Engine>,
    cx: Context,
    input: ChangeMessageVisibilityBatchRequest,
) -> Result<BatchResult<IdEntry>, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    let (_, live) = engine.open_queue(&at).await?;
    let entries = input.entries.unwrap_or_default();
    let ids = entries.iter().map(|e| &e.id);
    check("ChangeMessageVisibilityBatchRequestEntry", ids)?;
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        let changed = change_one(&live, &entry.receipt_handle, entry.visibility_timeout).await;
        let id = entry.id.clone();
        outcomes.push((entry.id, changed.map(|()| IdEntry { id })));
    }
    Ok(result(outcomes.into_iter()))
}
