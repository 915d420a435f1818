use std::sync::Arc;

use async_trait::async_trait;
use schedules::{Agenda, Agent};
use store::{Expect, Row, StoreError};
use tasks::{Time, WorkError};

use crate::engine::{Engine, Place, ScheduleRef};
use crate::fault::Fault;
use crate::plan;
use crate::record::{Schedule, Tick};
use crate::send::posting;

/// Ticks of one schedule before others have their turn.
const TICKS_MAX: usize = 100;

/// When the next tick of every schedule that has one is sent.
pub(crate) type Ticks = Agenda<ScheduleRef>;

impl Engine {
    /// Finds the ticks of stored schedules, at the start.
    pub(crate) async fn load_ticks(&self) -> Result<(), StoreError> {
        for row in self.schedules.all(&[]).await? {
            if let Some(to) = named(&row) {
                self.set_tick(&to, row.value.next);
            }
        }
        Ok(())
    }

    pub(crate) fn set_tick(&self, to: &ScheduleRef, next: Option<Tick>) {
        let at = next.map(|tick| Time::from_unix_millis(tick.send_ms));
        self.ticks.set(to, at);
    }

    async fn tick_schedule(&self, to: &ScheduleRef) -> Result<(), Fault> {
        for _ in 0..TICKS_MAX {
            let Some(row) = self.row(to).await? else {
                self.set_tick(to, None);
                return Ok(());
            };
            let now = self.now();
            let mut schedule = row.value;
            let due = schedule.next;
            let Some(tick) = due.filter(|tick| tick.send_ms <= now.unix_millis()) else {
                // Two changes may have told their ticks in the other order.
                self.set_tick(to, due);
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

/// Runs schedules by the clock.
pub(crate) struct Clockwork(pub(crate) Arc<Engine>);

#[async_trait]
impl Agent for Clockwork {
    type Key = ScheduleRef;

    fn agenda(&self) -> &Ticks {
        &self.0.ticks
    }

    async fn tick(&self, to: &ScheduleRef) -> Result<(), WorkError> {
        Ok(self.0.tick_schedule(to).await?)
    }
}
