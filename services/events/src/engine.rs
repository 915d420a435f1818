use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ports::{LogSink, Outbox, Web};
use schedules::Agenda;
use store::{Expect, Log, Record, Row, Space, Store, StoreError, Table};
use tasks::{Rates, Tasks, Time};

use crate::archive::Counted;
use crate::fault::Fault;
use crate::http::record::{ApiDestination, Connection};
use crate::http::{ConnectionRef, Tokens};
use crate::names::{BusRef, DEFAULT_BUS, Place};
use crate::record::{Archive, Bus, Replay, Rule};
use crate::route::Routes;
use crate::ticks::Ticks;

const SPACE: Space = Space("events");
/// Tries of a change that others come before.
const TRIES_MAX: u32 = 16;

/// Buses, rules, archives and replays of all accounts.
pub struct Engine {
    pub(crate) buses: Table<Bus>,
    pub(crate) rules: Table<Rule>,
    pub(crate) archives: Table<Archive>,
    pub(crate) replays: Table<Replay>,
    pub(crate) connections: Table<Connection>,
    pub(crate) destinations: Table<ApiDestination>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) sink: Arc<dyn LogSink>,
    pub(crate) tasks: Tasks,
    pub(crate) routes: Routes,
    pub(crate) ticks: Ticks,
    pub(crate) web: Arc<dyn Web>,
    pub(crate) tokens: Tokens,
    /// Of API destinations, by their ids.
    pub(crate) rates: Rates,
    /// Connections that wait for their first token.
    pub(crate) authorizing: Agenda<ConnectionRef>,
    /// How much is in the logs of archives, by the archive's id.
    pub(crate) counted: Mutex<HashMap<String, Counted>>,
    /// Told when a replay was asked for.
    pub(crate) replay: tokio::sync::Notify,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(crate) fn new(
        store: &Store,
        outbox: Arc<dyn Outbox>,
        sink: Arc<dyn LogSink>,
        web: Arc<dyn Web>,
        tasks: &Tasks,
    ) -> Engine {
        Engine {
            buses: Table::new(store, SPACE),
            rules: Table::new(store, SPACE),
            archives: Table::new(store, SPACE),
            replays: Table::new(store, SPACE),
            connections: Table::new(store, SPACE),
            destinations: Table::new(store, SPACE),
            log: store.log.clone(),
            outbox,
            sink,
            tasks: tasks.clone(),
            routes: Routes::default(),
            ticks: Ticks::default(),
            web,
            tokens: Tokens::default(),
            rates: Rates::default(),
            authorizing: Agenda::default(),
            counted: Mutex::default(),
            replay: tokio::sync::Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.tasks.clock().now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().unix_millis()
    }

    /// The bus, if it is there; the default one always is.
    pub(crate) async fn bus(&self, bus: &BusRef) -> Result<Bus, Fault> {
        match self.buses.get(&bus_parts(bus)).await? {
            Some(row) => Ok(row.value),
            None if bus.name == DEFAULT_BUS => Ok(default_bus()),
            None => Err(Fault::no_bus(&bus.name)),
        }
    }

    /// Changes a bus; `edit` may run several times.
    pub(crate) async fn change_bus<T>(
        &self,
        bus: &BusRef,
        edit: impl Fn(&mut Bus) -> Result<T, Fault> + Send + Sync,
    ) -> Result<T, Fault> {
        let parts = bus_parts(bus);
        for _ in 0..TRIES_MAX {
            let (mut value, expect) = match self.buses.get(&parts).await? {
                Some(row) => (row.value, Expect::At(row.rev)),
                None if bus.name == DEFAULT_BUS => (default_bus(), Expect::Absent),
                None => return Err(Fault::no_bus(&bus.name)),
            };
            let done = edit(&mut value)?;
            match self.buses.put(&parts, &value, expect).await {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other.map(|_| done)?),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn rule_row(
        &self,
        bus: &BusRef,
        name: &str,
    ) -> Result<Option<Row<Rule>>, Fault> {
        Ok(self.rules.get(&rule_parts(bus, name)).await?)
    }

    pub(crate) async fn rule(&self, bus: &BusRef, name: &str) -> Result<Rule, Fault> {
        if let Some(row) = self.rule_row(bus, name).await? {
            return Ok(row.value);
        }
        let managed = self.managed(bus, name).await?;
        managed.ok_or_else(|| Fault::no_rule(name, &bus.name))
    }

    /// All rules of a bus that somebody put there, by name.
    pub(crate) async fn rules_of(&self, bus: &BusRef) -> Result<Vec<Rule>, Fault> {
        let rows = self.rules.all(&bus_parts(bus)).await?;
        let mut rules: Vec<Rule> = rows.into_iter().map(|row| row.value).collect();
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rules)
    }

    /// Changes a rule, makes it where `fresh` says how, and tells those who keep rules in mind.
    pub(crate) async fn change_rule<T>(
        &self,
        bus: &BusRef,
        name: &str,
        fresh: Option<&(dyn Fn() -> Rule + Send + Sync)>,
        edit: impl Fn(&mut Rule) -> Result<T, Fault> + Send + Sync,
    ) -> Result<T, Fault> {
        if self.managed(bus, name).await?.is_some() {
            return Err(Fault::Managed(name.to_owned()));
        }
        let parts = rule_parts(bus, name);
        for _ in 0..TRIES_MAX {
            let (mut rule, expect) = match (self.rules.get(&parts).await?, fresh) {
                (Some(row), _) => (row.value, Expect::At(row.rev)),
                (None, Some(fresh)) => (fresh(), Expect::Absent),
                (None, None) => return Err(Fault::no_rule(name, &bus.name)),
            };
            let done = edit(&mut rule)?;
            match self.rules.put(&parts, &rule, expect).await {
                Err(StoreError::Conflict(_)) => continue,
                other => drop(other?),
            }
            self.routes.forget(bus);
            self.set_tick(bus, name, rule.next_ms);
            return Ok(done);
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn delete_rule(&self, bus: &BusRef, name: &str) -> Result<(), Fault> {
        if self.managed(bus, name).await?.is_some() {
            return Err(Fault::Managed(name.to_owned()));
        }
        let Some(row) = self.rule_row(bus, name).await? else {
            return Ok(());
        };
        if !row.value.targets.is_empty() {
            return Err(Fault::Validation(
                "Rule can't be deleted since it has targets.".to_owned(),
            ));
        }
        let parts = rule_parts(bus, name);
        self.rules.delete(&parts, Expect::At(row.rev)).await?;
        self.routes.forget(bus);
        self.set_tick(bus, name, None);
        Ok(())
    }
}

pub(crate) fn bus_parts(bus: &BusRef) -> [&str; 3] {
    [&bus.at.account, &bus.at.region, &bus.name]
}

pub(crate) fn rule_parts<'n>(bus: &'n BusRef, name: &'n str) -> [&'n str; 4] {
    [&bus.at.account, &bus.at.region, &bus.name, name]
}

/// Parts of the key of an archive or a replay.
pub(crate) fn named<'n>(at: &'n Place, name: &'n str) -> [&'n str; 3] {
    [&at.account, &at.region, name]
}

/// Changes a record; `edit` may run several times. `None`: there is none.
pub(crate) async fn change<R: Record, T>(
    table: &Table<R>,
    parts: &[&str],
    edit: impl Fn(&mut R) -> Result<T, Fault> + Send + Sync,
) -> Result<Option<T>, Fault> {
    for _ in 0..TRIES_MAX {
        let Some(mut row) = table.get(parts).await? else {
            return Ok(None);
        };
        let done = edit(&mut row.value)?;
        match table.put(parts, &row.value, Expect::At(row.rev)).await {
            Err(StoreError::Conflict(_)) => {}
            other => return Ok(Some(other.map(|_| done)?)),
        }
    }
    Err(Fault::Overtaken)
}

fn default_bus() -> Bus {
    Bus {
        name: DEFAULT_BUS.to_owned(),
        ..Bus::default()
    }
}
