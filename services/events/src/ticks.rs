//! Rules that run by the clock.
//!
//! A tick is posted under an id that rule and time give, then the next one is written down: after a
//! crash between the two it is posted again, and the outbox takes it for the one it has.

use std::sync::Arc;

use async_trait::async_trait;
use model::ports::EventHead;
use schedules::{Agenda, Agent, Expression, Zone};
use store::{Expect, Row, StoreError};
use tasks::{Time, WorkError};

use crate::engine::{Engine, rule_parts};
use crate::event::{Event, Origin, stable_id};
use crate::fault::Fault;
use crate::input::Meeting;
use crate::names::{BusRef, Place};
use crate::record::Rule;
use crate::route::{AGE_S_DEFAULT, Passage};

/// Ticks of one rule before others have their turn.
const TICKS_MAX: usize = 100;

/// The next tick of every rule that has one.
pub(crate) type Ticks = Agenda<(BusRef, String)>;

/// The first tick behind `after` of a rule's schedule.
pub(crate) fn next_tick(schedule: &str, anchor: i64, after: i64) -> Option<i64> {
    Expression::of_rule(schedule)?.next(&Zone::UTC, anchor, after)
}

impl Engine {
    /// Finds the ticks of stored rules, at the start.
    pub(crate) async fn load_ticks(&self) -> Result<(), StoreError> {
        for row in self.rules.all(&[]).await? {
            if let Some(bus) = bus_of(&row) {
                self.set_tick(&bus, &row.value.name, row.value.next_ms);
            }
        }
        Ok(())
    }

    pub(crate) fn set_tick(&self, bus: &BusRef, rule: &str, next_ms: Option<i64>) {
        let key = (bus.clone(), rule.to_owned());
        self.ticks.set(&key, next_ms.map(Time::from_unix_millis));
    }

    async fn tick_rule(&self, bus: &BusRef, name: &str) -> Result<(), Fault> {
        for _ in 0..TICKS_MAX {
            let row = self.rule_row(bus, name).await?;
            let next = row.as_ref().and_then(|row| row.value.next_ms);
            let now = self.now_ms();
            let (Some(row), Some(tick)) = (row, next.filter(|tick| *tick <= now)) else {
                // Two changes may have told their ticks in the other order.
                self.set_tick(bus, name, next);
                return Ok(());
            };
            let mut rule = row.value;
            self.post_tick(bus, &rule, tick).await?;
            // What is older than any target waits for is not sent; nor is it counted through.
            let oldest = now - i64::try_from(AGE_S_DEFAULT).unwrap_or(i64::MAX) * 1_000;
            let schedule = rule.schedule.as_deref().unwrap_or_default();
            rule.next_ms = next_tick(schedule, rule.anchor_ms, tick.max(oldest));
            let parts = rule_parts(bus, name);
            match self.rules.put(&parts, &rule, Expect::At(row.rev)).await {
                // Somebody changed the rule; the tick was posted under its id, so once more is no more.
                Err(StoreError::Conflict(_)) => continue,
                other => drop(other?),
            }
            self.set_tick(bus, name, rule.next_ms);
        }
        Ok(())
    }

    async fn post_tick(&self, bus: &BusRef, rule: &Rule, tick: i64) -> Result<(), Fault> {
        let arn = bus.rule_arn(&rule.name);
        let id = stable_id(&[&arn, &tick.to_string()]);
        let time = Time::from_unix_millis(tick);
        let origin = Origin {
            id: &id,
            account: &bus.at.account,
            region: &bus.at.region,
            time,
        };
        let head = EventHead {
            source: "aws.events".to_owned(),
            detail_type: "Scheduled Event".to_owned(),
            resources: vec![arn.clone()],
        };
        let Some(event) = Event::new(origin, head, "{}") else {
            return Ok(());
        };
        let value = event.value();
        let passage = Passage {
            event,
            trace: None,
            hops: 0,
            only: Vec::new(),
        };
        let meeting = Meeting {
            event: &passage.event,
            value: &value,
            rule_arn: &arn,
            rule_name: &rule.name,
            ingested: &time.iso_secs(),
        };
        let age = self.now().since(time);
        let postings = self.postings(rule, &meeting, &passage, age);
        if !postings.is_empty() {
            self.outbox.post(postings).await?;
        }
        Ok(())
    }
}

fn bus_of(row: &Row<Rule>) -> Option<BusRef> {
    let mut parts = row.key.as_str().split('/').skip(1);
    Some(BusRef {
        at: Place {
            account: parts.next()?.to_owned(),
            region: parts.next()?.to_owned(),
        },
        name: row.value.bus.clone(),
    })
}

/// Runs schedules by the clock.
pub(crate) struct Clockwork(pub(crate) Arc<Engine>);

#[async_trait]
impl Agent for Clockwork {
    type Key = (BusRef, String);

    fn agenda(&self) -> &Ticks {
        &self.0.ticks
    }

    async fn tick(&self, (bus, name): &(BusRef, String)) -> Result<(), WorkError> {
        Ok(self.0.tick_rule(bus, name).await?)
    }
}
