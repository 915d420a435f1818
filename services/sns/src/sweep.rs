//! Away with what is over: deduplication ids after five minutes, subscriptions that nobody confirmed and ended ones that
//! nobody restored after two days.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Expect, Key, Op, Record, Row, StoreError, Table};
use tasks::{Progress, WorkError, Worker};

use crate::engine::{Engine, TXN_MAX};
use crate::operations::publish::REMEMBERED_MS;
use crate::record::{State, Subscription};

/// How often everything is looked through. What is over has no effect before it is swept.
const EVERY: Duration = Duration::from_secs(300);

/// How long a token is good, and a subscription waits for it.  [SNS: announcement of May 2023]
pub(crate) const TOKEN_MS: i64 = 48 * 3_600_000;

/// Looks through a page of records at a time.
pub(crate) struct Sweeper {
    engine: Arc<Engine>,
    next: Next,
}

/// Where to go on.
enum Next {
    Wait,
    Published(Option<Key>),
    Subscriptions(Option<Key>),
}

impl Subscription {
    /// Whether its time to be confirmed or restored is over.
    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        match self.state {
            State::Pending { .. } => now_ms - self.created_ms >= TOKEN_MS,
            State::Deleted { at_ms, .. } => now_ms - at_ms >= TOKEN_MS,
            State::Confirmed { .. } => false,
        }
    }
}

impl Sweeper {
    pub(crate) fn new(engine: Arc<Engine>) -> Sweeper {
        Sweeper {
            engine,
            next: Next::Wait,
        }
    }
}

/// Deletes of one page what is over; gives where the next page begins.
async fn page<R: Record>(
    table: &Table<R>,
    after: Option<&Key>,
    is_over: impl Fn(&R) -> bool,
) -> Result<Option<Key>, StoreError> {
    let rows: Vec<Row<R>> = table.scan(&[], after, TXN_MAX).await?;
    let last = rows.last().map(|row| row.key.clone());
    let next = last.filter(|_| rows.len() == TXN_MAX);
    let over = rows.into_iter().filter(|row| is_over(&row.value));
    let ops: Vec<Op> = over
        .map(|row| Op::Delete {
            key: row.key,
            expect: Expect::At(row.rev),
        })
        .collect();
    if !ops.is_empty() {
        match table.txn(ops).await {
            // One of them was just used again; the next round sees what the others are then.
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(next)
}

#[async_trait]
impl Worker for Sweeper {
    fn name(&self) -> String {
        "sns: sweep".to_owned()
    }

    async fn wait(&mut self) {
        if let Next::Wait = self.next {
            self.engine.clock.sleep(EVERY).await;
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let (engine, now) = (&self.engine, self.engine.now());
        self.next = match &self.next {
            Next::Wait => Next::Published(None),
            Next::Published(after) => {
                let is_over = |p: &crate::record::Published| now - p.at_ms >= REMEMBERED_MS;
                match page(&engine.published, after.as_ref(), is_over).await? {
                    Some(next) => Next::Published(Some(next)),
                    None => Next::Subscriptions(None),
                }
            }
            Next::Subscriptions(after) => {
                let is_over = |s: &Subscription| s.is_over(now);
                match page(&engine.subscriptions, after.as_ref(), is_over).await? {
                    Some(next) => Next::Subscriptions(Some(next)),
                    None => Next::Wait,
                }
            }
        };
        Ok(Progress::More)
    }
}
