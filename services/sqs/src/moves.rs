//! Message move tasks: a dead-letter queue is emptied into the queues that its messages came from, or
//! into another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{Expect, Record, StoreError};
use tokio::sync::OnceCell;

use crate::engine::{Engine, Queue};
use crate::fault::Fault;
use crate::live::{Ask, Live, Received};
use crate::names::QueueRef;

/// Tasks kept for each queue.  [SQS API: ListMessageMoveTasks]
pub(crate) const TASKS_MAX: usize = 10;
/// Moved messages after which their number is written down.
const SAVED_EVERY: u64 = 100;
/// How long a message that is being moved is not seen.
const VISIBILITY_MS: i64 = 30_000;

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Running,
    Completed,
    Cancelled,
    Failed,
}

/// One task as it is stored.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Move {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) destination: Option<String>,
    pub(crate) per_second: Option<u32>,
    pub(crate) started_ms: i64,
    pub(crate) to_move: u64,
    pub(crate) moved: u64,
    pub(crate) status: Status,
    pub(crate) failure: Option<String>,
}

impl Record for Move {
    const KIND: &'static str = "move";
    const VERSION: u8 = 1;
}

/// The tasks of all queues, newest last.
#[derive(Default)]
pub(crate) struct Moves {
    all: Mutex<HashMap<String, Vec<Move>>>,
    loaded: OnceCell<()>,
}

/// What a task does next.
enum Next {
    On,
    Ended(Status, Option<String>),
}

impl Moves {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Vec<Move>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Newest first.
    pub(crate) fn list(&self, source: &str) -> Vec<Move> {
        let all = self.all();
        let tasks = all.get(source).into_iter().flatten();
        tasks.rev().cloned().collect()
    }

    fn edit(&self, source: &str, id: &str, edit: impl FnOnce(&mut Move)) -> Option<Move> {
        let mut all = self.all();
        let task = all.get_mut(source)?.iter_mut().find(|task| task.id == id)?;
        edit(task);
        Some(task.clone())
    }

    fn add(&self, task: Move) -> Vec<Move> {
        let mut all = self.all();
        let tasks = all.entry(task.source.clone()).or_default();
        tasks.push(task);
        let old = tasks.len().saturating_sub(TASKS_MAX);
        tasks.drain(..old).collect()
    }
}

impl Engine {
    /// Reads the tasks of the last process; those that ran go on.
    pub(crate) async fn load_moves(self: &Arc<Self>) -> Result<(), StoreError> {
        let load = async || {
            let mut rows = self.move_table.all(&[]).await?;
            rows.sort_by_key(|row| row.value.started_ms);
            for row in rows {
                let task = row.value;
                self.moves.add(task.clone());
                if task.status == Status::Running {
                    self.run_move(task);
                }
            }
            Ok(())
        };
        self.moves.loaded.get_or_try_init(load).await.copied()
    }

    pub(crate) async fn start_move(self: &Arc<Self>, task: Move) -> Result<(), Fault> {
        let tasks = self.moves.list(&task.source);
        if tasks.iter().any(|old| old.status == Status::Running) {
            return Err(Fault::InvalidParameterValue(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.".to_owned(),
            ));
        }
        self.save_move(&task).await?;
        for old in self.moves.add(task.clone()) {
            let parts = [old.source.as_str(), old.id.as_str()];
            self.move_table.delete(&parts, Expect::Any).await?;
        }
        self.run_move(task);
        Ok(())
    }

    /// Ends a running task; returns how many messages it moved.
    pub(crate) async fn cancel_move(&self, source: &str, id: &str) -> Result<Option<u64>, Fault> {
        let mut was_running = false;
        let task = self.moves.edit(source, id, |task| {
            was_running = task.status == Status::Running;
            if was_running {
                task.status = Status::Cancelled;
            }
        });
        let Some(task) = task.filter(|_| was_running) else {
            return Ok(None);
        };
        self.save_move(&task).await?;
        Ok(Some(task.moved))
    }

    async fn save_move(&self, task: &Move) -> Result<(), StoreError> {
        let parts = [task.source.as_str(), task.id.as_str()];
        self.move_table.put(&parts, task, Expect::Any).await?;
        Ok(())
    }

    fn run_move(self: &Arc<Self>, task: Move) {
        let engine = self.clone();
        let stop = self.tasks.stop();
        self.tasks.spawn("sqs move", async move {
            while !stop.is_requested() {
                let (status, failure) = match engine.step(&task).await {
                    Ok(Next::On) => continue,
                    Ok(Next::Ended(status, failure)) => (status, failure),
                    Err(fault) => {
                        let code = fault.codes().map_or("InternalError", |(_, code, _)| code);
                        (Status::Failed, Some(code.to_owned()))
                    }
                };
                let ended = engine.moves.edit(&task.source, &task.id, |task| {
                    if task.status == Status::Running {
                        task.status = status;
                        task.failure = failure;
                    }
                });
                if let Some(Err(error)) = match ended {
                    Some(task) => Some(engine.save_move(&task).await),
                    None => None,
                } {
                    tracing::warn!(%error, "the end of a move task is not stored; it will run again");
                }
                return;
            }
        });
    }

    /// Moves some messages.
    async fn step(&self, task: &Move) -> Result<Next, Fault> {
        let current = self.moves.edit(&task.source, &task.id, |_| {});
        if current.is_none_or(|task| task.status != Status::Running) {
            return Ok(Next::Ended(Status::Cancelled, None));
        }
        let at = QueueRef::from_arn(&task.source).ok_or(Fault::QueueDoesNotExist)?;
        let (queue, live) = self.open_queue(&at).await?;
        let ask = Ask {
            max: if task.per_second.is_some() { 1 } else { 10 },
            visibility_ms: VISIBILITY_MS,
            attempt: None,
            receives_max: None,
            retention_ms: queue.millis("MessageRetentionPeriod"),
            is_patient: true,
            // After a crash they are ready, and the task goes on with them.
            is_noted: false,
        };
        let catch = live.look(&ask).await?;
        if catch.received.is_empty() && !catch.is_stale {
            return Ok(Next::Ended(Status::Completed, None));
        }
        for one in catch.received {
            self.move_one(task, &live, one).await?;
            let moved = self
                .moves
                .edit(&task.source, &task.id, |task| task.moved += 1);
            if let Some(task) = moved.filter(|task| task.moved.is_multiple_of(SAVED_EVERY)) {
                self.save_move(&task).await?;
            }
            if let Some(per_second) = task.per_second {
                let wait = Duration::from_secs(1) / per_second;
                self.tasks.clock().sleep(wait).await;
            }
        }
        Ok(Next::On)
    }

    async fn move_one(&self, task: &Move, from: &Arc<Live>, one: Received) -> Result<(), Fault> {
        let receipt = one.receipt.clone();
        let moved = self.move_to(task, from, one).await;
        if moved.is_err() {
            // It is back at once; that it may be gone by now is fine.
            let _ = from.change(&receipt, 0).await;
        }
        moved
    }

    async fn move_to(&self, task: &Move, from: &Arc<Live>, one: Received) -> Result<(), Fault> {
        let origin = one.message.source.clone();
        let to = task.destination.clone().or(origin).ok_or_else(|| {
            Fault::InvalidParameterValue("CouldNotDetermineMessageSource".to_owned())
        })?;
        let at = QueueRef::from_arn(&to).ok_or(Fault::QueueDoesNotExist)?;
        let (target, live): (Arc<Queue>, _) = self.open_queue(&at).await?;
        self.bring(from, &live, &target, one, None).await
    }
}
