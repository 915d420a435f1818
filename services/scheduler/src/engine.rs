use std::sync::Arc;

use model::ports::Outbox;
use store::{Expect, Row, Space, Store, StoreError, Table};
use tasks::{Tasks, Time};

use crate::fault::Fault;
use crate::record::{Group, Schedule};
use crate::ticks::Ticks;

const SPACE: Space = Space("scheduler");
/// Tries of a change that others come before.
const TRIES_MAX: u32 = 16;
pub(crate) const DEFAULT_GROUP: &str = "default";

/// Schedules and their groups, of all accounts.
pub struct Engine {
    pub(crate) groups: Table<Group>,
    pub(crate) schedules: Table<Schedule>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) tasks: Tasks,
    pub(crate) ticks: Ticks,
}

/// An account in a region.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// A schedule, wherever it is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ScheduleRef {
    pub(crate) at: Place,
    pub(crate) group: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn of(cx: &wire::Context) -> Place {
        Place {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
        }
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        format!(
            "arn:aws:scheduler:{}:{}:{resource}",
            self.region, self.account
        )
    }

    pub(crate) fn group_arn(&self, group: &str) -> String {
        self.arn(&format!("schedule-group/{group}"))
    }
}

impl ScheduleRef {
    pub(crate) fn arn(&self) -> String {
        self.at
            .arn(&format!("schedule/{}/{}", self.group, self.name))
    }

    pub(crate) fn parts(&self) -> [&str; 4] {
        [&self.at.account, &self.at.region, &self.group, &self.name]
    }
}

pub(crate) fn group_parts<'n>(at: &'n Place, name: &'n str) -> [&'n str; 3] {
    [&at.account, &at.region, name]
}

impl Engine {
    pub(crate) fn new(store: &Store, outbox: Arc<dyn Outbox>, tasks: &Tasks) -> Engine {
        Engine {
            groups: Table::new(store, SPACE),
            schedules: Table::new(store, SPACE),
            outbox,
            tasks: tasks.clone(),
            ticks: Ticks::default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.tasks.clock().now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().unix_millis()
    }

    /// The group, if it is there; the default one always is.
    pub(crate) async fn group(&self, at: &Place, name: &str) -> Result<Group, Fault> {
        match self.groups.get(&group_parts(at, name)).await? {
            Some(row) => Ok(row.value),
            None if name == DEFAULT_GROUP => Ok(default_group()),
            None => Err(Fault::no_group(name)),
        }
    }

    /// Changes a group; `edit` may run several times.
    pub(crate) async fn change_group(
        &self,
        at: &Place,
        name: &str,
        edit: impl Fn(&mut Group) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        let parts = group_parts(at, name);
        for _ in 0..TRIES_MAX {
            let (mut group, expect) = match self.groups.get(&parts).await? {
                Some(row) => (row.value, Expect::At(row.rev)),
                None if name == DEFAULT_GROUP => (default_group(), Expect::Absent),
                None => return Err(Fault::no_group(name)),
            };
            edit(&mut group)?;
            match self.groups.put(&parts, &group, expect).await {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn row(&self, to: &ScheduleRef) -> Result<Option<Row<Schedule>>, Fault> {
        Ok(self.schedules.get(&to.parts()).await?)
    }

    pub(crate) async fn schedule(&self, to: &ScheduleRef) -> Result<Schedule, Fault> {
        let row = self.row(to).await?;
        row.map(|row| row.value)
            .ok_or_else(|| Fault::no_schedule(&to.name))
    }

    pub(crate) async fn write(
        &self,
        to: &ScheduleRef,
        schedule: &Schedule,
        expect: Expect,
    ) -> Result<(), StoreError> {
        self.schedules.put(&to.parts(), schedule, expect).await?;
        self.set_tick(to, schedule.next);
        Ok(())
    }

    /// Changes a schedule; `edit` may run several times.
    pub(crate) async fn change(
        &self,
        to: &ScheduleRef,
        edit: impl Fn(&mut Schedule) + Send + Sync,
    ) -> Result<(), Fault> {
        for _ in 0..TRIES_MAX {
            let row = self.row(to).await?;
            let mut row = row.ok_or_else(|| Fault::no_schedule(&to.name))?;
            edit(&mut row.value);
            match self.write(to, &row.value, Expect::At(row.rev)).await {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other?),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn remove(&self, to: &ScheduleRef, expect: Expect) -> Result<(), StoreError> {
        self.schedules.delete(&to.parts(), expect).await?;
        self.set_tick(to, None);
        Ok(())
    }

    /// Schedules of a place, or of one group in it, by group and name.
    pub(crate) async fn all(
        &self,
        at: &Place,
        group: Option<&str>,
    ) -> Result<Vec<Schedule>, Fault> {
        let mut parts = vec![&*at.account, &*at.region];
        parts.extend(group);
        let rows = self.schedules.all(&parts).await?;
        let mut all: Vec<Schedule> = rows.into_iter().map(|row| row.value).collect();
        all.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        Ok(all)
    }
}

fn default_group() -> Group {
    Group {
        name: DEFAULT_GROUP.to_owned(),
        ..Group::default()
    }
}
