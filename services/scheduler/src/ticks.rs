use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use store::{Expect, Row, StoreError};
use tasks::{Progress, Time, WorkError, Worker};

use crate::engine::{Engine, Place, ScheduleRef};
use crate::fault::Fault;
use crate::plan;
use crate::record::Schedule;
use crate::send::posting;

/// Ticks of one schedule before others have their turn.
const TICKS_MAX: usize = 100;
/// The longest wait, should a clock jump.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// When the next tick of every schedule that has one is sent, in Unix milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    next: Mutex<HashMap<ScheduleRef, i64>>,
    changed: tokio::sync::Notify,
}

impl Ticks {
    fn lock(&self) -> MutexGuard<'_, HashMap<ScheduleRef, i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, to: &ScheduleRef, next: Option<i64>) {
        let before = match next {
            Some(next) => self.lock().insert(to.clone(), next),
            None => self.lock().remove(to),
        };
        if before != next {
            self.changed.notify_one();
        }
    }

    fn first(&self) -> Option<i64> {
        self.lock().values().min().copied()
    }

    fn due(&self, now: i64) -> Vec<ScheduleRef> {
        let all = self.lock();
        let due = all.iter().filter(|(_, next)| **next <= now);
        let mut due: Vec<_> = due.map(|(to, next)| (*next, to.clone())).collect();
        drop(all);
        due.sort_by_key(|(next, _)| *next);
        due.into_iter().map(|(_, to)| to).collect()
    }
}

impl Engine {
    /// Finds the ticks of stored schedules, at the start.
    pub(crate) async fn load_ticks(&self) -> Result<(), StoreError> {
        for row in self.schedules.all(&[]).await? {
            if let Some(to) = named(&row) {
                self.ticks.set(&to, row.value.next.map(|tick| tick.send_ms));
            }
        }
        Ok(())
    }

    async fn tick(&self, to: &ScheduleRef) -> Result<(), Fault> {
        for _ in 0..TICKS_MAX {
            let Some(row) = self.row(to).await? else {
                self.ticks.set(to, None);
                return Ok(());
            };
            let now = self.now();
            let mut schedule = row.value;
            let due = schedule.next;
            let Some(tick) = due.filter(|tick| tick.send_ms <= now.unix_millis()) else {
                // Two changes may have told their ticks in the other order.
                self.ticks.set(to, due.map(|tick| tick.send_ms));
                return Ok(());
            };
            if let Some(posting) = posting(to, &schedule, tick, now) {
                self.outbox.post(vec![posting]).await?;
            }
            // What the target would not wait for any more is not sent; nor is it counted through.
            let age = i64::try_from(schedule.target.age_s).unwrap_or(i64::MAX);
            let oldest = now.unix_millis().saturating_sub(age.saturating_mul(1_000));
            let after = tick.at_ms.max(oldest);
            schedule.next = plan::next(&schedule, after, self.tasks.ids().u64());
            let expect = Expect::At(row.rev);
            let written = if schedule.next.is_none() && schedule.is_deleted_after {
                self.remove(to, expect).await
            } else {
                self.write(to, &schedule, expect).await
            };
            match written {
                // Somebody changed it; the tick was posted under its id, so once more is no more.
                Ok(()) | Err(StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }
}

fn named(row: &Row<Schedule>) -> Option<ScheduleRef> {
    let mut parts = row.key.as_str().split('/').skip(1);
    Some(ScheduleRef {
        at: Place {
            account: parts.next()?.to_owned(),
            region: parts.next()?.to_owned(),
        },
        group: row.value.group.clone(),
        name: row.value.name.clone(),
    })
}

/// Waits for ticks and posts them.
pub(crate) struct Ticker(pub(crate) Arc<Engine>);

#[async_trait]
impl Worker for Ticker {
    fn name(&self) -> String {
        "scheduler: schedules".to_owned()
    }

    async fn wait(&mut self) {
        let engine = &self.0;
        let wait = match engine.ticks.first() {
            Some(first) => Time::from_unix_millis(first)
                .since(engine.now())
                .min(WAIT_MAX),
            None => WAIT_MAX,
        };
        tokio::select! {
            () = engine.ticks.changed.notified() => {}
            () = engine.tasks.clock().sleep(wait) => {}
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        for to in self.0.ticks.due(self.0.now_ms()) {
            self.0.tick(&to).await?;
        }
        Ok(Progress::More)
    }
}
