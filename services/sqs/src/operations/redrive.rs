use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use wire::Context;

use crate::api::{
    CancelMessageMoveTaskRequest, CancelMessageMoveTaskResult, ListMessageMoveTasksRequest,
    ListMessageMoveTasksResult, ListMessageMoveTasksResultEntry, StartMessageMoveTaskRequest,
    StartMessageMoveTaskResult,
};
use crate::attributes;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::moves::{Move, Status, TASKS_MAX};
use crate::names::QueueRef;

/// [SQS API: StartMessageMoveTask]
const PER_SECOND_MAX: i64 = 500;

/// What a task handle says, in base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handle {
    task_id: String,
    source_arn: String,
}

fn handle(task: &Move) -> Result<String, Fault> {
    let handle = Handle {
        task_id: task.id.clone(),
        source_arn: task.source.clone(),
    };
    let json = serde_json::to_string(&handle).map_err(|_| Fault::Overtaken)?;
    Ok(STANDARD.encode(json))
}

/// The queue of the caller that an ARN names.
async fn named(
    engine: &Engine,
    cx: &Context,
    arn: &str,
    parameter: &str,
) -> Result<QueueRef, Fault> {
    let missing = || {
        Fault::ResourceNotFound(format!(
            "The resource that you specified for the {parameter} parameter doesn't exist."
        ))
    };
    let at = QueueRef::from_arn(arn).filter(|at| at.account == cx.account());
    let at = at.ok_or_else(missing)?;
    engine.find(&at).await?.ok_or_else(missing)?;
    Ok(at)
}

/// Whether some queue sends its dead messages there.
async fn is_dead_letter_queue(engine: &Engine, at: &QueueRef) -> Result<bool, Fault> {
    /// Queues read at once.
    const PAGE: usize = 1_000;
    let arn = at.arn();
    let mut after: Option<String> = None;
    loop {
        let page = engine
            .list(&at.account, &at.region, after.as_deref(), PAGE)
            .await?;
        let redrives = page
            .iter()
            .map(|queue| attributes::redrive(&queue.attributes));
        if redrives.flatten().any(|redrive| redrive.target == arn) {
            return Ok(true);
        }
        if page.len() < PAGE {
            return Ok(false);
        }
        after = page.last().map(|queue| queue.name.clone());
    }
}

/// [SQS API: StartMessageMoveTask]
pub(crate) async fn start(
    engine: Arc<Engine>,
    cx: Context,
    input: StartMessageMoveTaskRequest,
) -> Result<StartMessageMoveTaskResult, wire::Fault> {
    engine.load_moves().await.map_err(Fault::from)?;
    let invalid = |text: String| Fault::InvalidParameterValue(text);
    let source = named(&engine, &cx, &input.source_arn, "SourceArn").await?;
    if !is_dead_letter_queue(&engine, &source).await? {
        let text = "Source queue must be configured as a Dead Letter Queue.";
        return Err(invalid(text.to_owned()).into());
    }
    if let Some(arn) = &input.destination_arn {
        named(&engine, &cx, arn, "DestinationArn").await?;
        if *arn == input.source_arn {
            let text = "Source and destination queues must not be the same.";
            return Err(invalid(text.to_owned()).into());
        }
    }
    let rate = input.max_number_of_messages_per_second;
    if let Some(rate) = rate.filter(|rate| !(1..=PER_SECOND_MAX).contains(rate)) {
        return Err(invalid(format!(
            "Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and {PER_SECOND_MAX}."
        ))
        .into());
    }
    let (_, live) = engine.open_queue(&source).await?;
    let task = Move {
        id: engine.tasks.ids().uuid(),
        source: input.source_arn,
        destination: input.destination_arn,
        per_second: rate.and_then(|rate| u32::try_from(rate).ok()),
        started_ms: engine.tasks.clock().now().unix_millis(),
        to_move: u64::try_from(live.counts().ready).unwrap_or(u64::MAX),
        moved: 0,
        status: Status::Running,
        failure: None,
    };
    let task_handle = handle(&task)?;
    engine.start_move(task).await?;
    Ok(StartMessageMoveTaskResult { task_handle })
}

/// [SQS API: ListMessageMoveTasks]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListMessageMoveTasksRequest,
) -> Result<ListMessageMoveTasksResult, wire::Fault> {
    engine.load_moves().await.map_err(Fault::from)?;
    named(&engine, &cx, &input.source_arn, "SourceArn").await?;
    let max = input.max_results.unwrap_or(1);
    let limit = usize::try_from(max).unwrap_or(0);
    if !(1..=TASKS_MAX).contains(&limit) {
        return Err(Fault::InvalidParameterValue(format!(
            "Value {max} for parameter MaxResults is invalid. Reason: Must be between 1 and {TASKS_MAX}, if provided."
        ))
        .into());
    }
    let tasks = engine.moves.list(&input.source_arn);
    let shown = tasks.into_iter().take(limit).map(|task| {
        let is_running = task.status == Status::Running;
        Ok(ListMessageMoveTasksResultEntry {
            task_handle: is_running.then(|| handle(&task)).transpose()?,
            status: task.status,
            source_arn: task.source,
            destination_arn: task.destination,
            max_number_of_messages_per_second: task.per_second,
            approximate_number_of_messages_moved: task.moved,
            approximate_number_of_messages_to_move: task.to_move,
            failure_reason: task.failure,
            started_timestamp: task.started_ms,
        })
    });
    let results: Result<Vec<_>, Fault> = shown.collect();
    Ok(ListMessageMoveTasksResult { results: results? })
}

/// [SQS API: CancelMessageMoveTask]
pub(crate) async fn cancel(
    engine: Arc<Engine>,
    cx: Context,
    input: CancelMessageMoveTaskRequest,
) -> Result<CancelMessageMoveTaskResult, wire::Fault> {
    engine.load_moves().await.map_err(Fault::from)?;
    let json = STANDARD.decode(&input.task_handle).ok();
    let handle = json.and_then(|json| serde_json::from_slice::<Handle>(&json).ok());
    let handle = handle.ok_or_else(|| {
        Fault::InvalidParameterValue("Value for parameter TaskHandle is invalid.".to_owned())
    })?;
    named(&engine, &cx, &handle.source_arn, "SourceArn").await?;
    let moved = engine.cancel_move(&handle.source_arn, &handle.task_id);
    let moved = moved
        .await?
        .ok_or_else(|| Fault::ResourceNotFound("Task does not exist.".to_owned()))?;
    Ok(CancelMessageMoveTaskResult {
        approximate_number_of_messages_moved: moved,
    })
}
