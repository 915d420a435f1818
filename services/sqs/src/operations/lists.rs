use std::sync::Arc;

use wire::{Context, paging};

use super::named;
use crate::api::{
    ListDeadLetterSourceQueuesRequest, ListDeadLetterSourceQueuesResult, ListQueuesRequest,
    ListQueuesResult,
};
use crate::attributes;
use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::names::QueueRef;

/// [SQS API: ListQueues]
const RESULTS_MAX: i64 = 1_000;
/// Queues read at once.
const SCAN: usize = 1_000;

/// [SQS API: ListQueues]
pub(crate) async fn queues(
    engine: Arc<Engine>,
    cx: Context,
    input: ListQueuesRequest,
) -> Result<ListQueuesResult, wire::Fault> {
    let prefix = input.queue_name_prefix.unwrap_or_default();
    let wanted = |queue: &Queue| queue.name.starts_with(&prefix);
    let after = input.next_token.as_deref();
    let (queue_urls, next_token) = page(&engine, &cx, after, input.max_results, wanted).await?;
    Ok(ListQueuesResult {
        queue_urls,
        next_token,
    })
}

/// [SQS API: ListDeadLetterSourceQueues]
pub(crate) async fn dead_letter_sources(
    engine: Arc<Engine>,
    cx: Context,
    input: ListDeadLetterSourceQueuesRequest,
) -> Result<ListDeadLetterSourceQueuesResult, wire::Fault> {
    let at = named(&cx, &input.queue_url)?;
    engine.queue(&at).await?;
    let arn = at.arn();
    let wanted = |queue: &Queue| {
        let redrive = attributes::redrive(&queue.attributes);
        redrive.is_some_and(|redrive| redrive.target == arn)
    };
    let after = input.next_token.as_deref();
    let (queue_urls, next_token) = page(&engine, &cx, after, input.max_results, wanted).await?;
    Ok(ListDeadLetterSourceQueuesResult {
        queue_urls,
        next_token,
    })
}

/// The URLs of the caller's queues that are wanted. A token comes only to one who asked for pages.
async fn page(
    engine: &Engine,
    cx: &Context,
    token: Option<&str>,
    max_results: Option<i64>,
    wanted: impl Fn(&Queue) -> bool,
) -> Result<(Vec<String>, Option<String>), Fault> {
    if max_results.is_some_and(|n| !(1..=RESULTS_MAX).contains(&n)) {
        return Err(Fault::InvalidParameterValue(format!(
            "Value {} for parameter MaxResults is invalid. Reason: Must be an integer from 1 to {RESULTS_MAX}.",
            max_results.unwrap_or_default()
        )));
    }
    let limit = usize::try_from(max_results.unwrap_or(RESULTS_MAX)).unwrap_or(1);
    let bad = || Fault::InvalidParameterValue("Invalid or expired next token.".to_owned());
    let mut last = match token {
        Some(token) => Some(paging::decode(token).ok_or_else(bad)?),
        None => None,
    };
    let mut names = Vec::new();
    while names.len() <= limit {
        let read = engine
            .list(cx.account(), cx.region(), last.as_deref(), SCAN)
            .await?;
        let is_all = read.len() < SCAN;
        last = read.last().map(|queue| queue.name.clone());
        names.extend(read.into_iter().filter(|q| wanted(q)).map(|q| q.name));
        if is_all {
            break;
        }
    }
    let (names, next) = paging::page(names, limit, Clone::clone);
    let url = |name: String| {
        let queue = QueueRef {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            name,
        };
        queue.url(cx.host())
    };
    let next = next.filter(|_| max_results.is_some());
    Ok((names.into_iter().map(url).collect(), next))
}
