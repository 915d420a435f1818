use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{Expect, Record, Row, Space, Store, StoreError, Table};
use tasks::{Clock, Tasks};

use crate::attributes::Attributes;
use crate::fault::Fault;
use crate::names::QueueRef;

const SPACE: Space = Space("sqs");

/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// The stored queues of all accounts.
pub struct Engine {
    queues: Table<Queue>,
    clock: Clock,
}

/// One queue as it is stored.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) created_s: i64,
    pub(crate) modified_s: i64,
    pub(crate) attributes: Attributes,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
}

impl Record for Queue {
    const KIND: &'static str = "queue";
    const VERSION: u8 = 1;
}

impl Engine {
    #[must_use]
    pub fn open(store: &Store, tasks: &Tasks) -> Engine {
        Engine {
            queues: Table::new(store, SPACE),
            clock: tasks.clock().clone(),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().unix_millis() / 1_000
    }

    async fn row(&self, queue: &QueueRef) -> Result<Option<Row<Queue>>, Fault> {
        Ok(self.queues.get(&parts(queue)).await?)
    }

    pub(crate) async fn find(&self, queue: &QueueRef) -> Result<Option<Queue>, Fault> {
        Ok(self.row(queue).await?.map(|row| row.value))
    }

    pub(crate) async fn queue(&self, queue: &QueueRef) -> Result<Queue, Fault> {
        self.find(queue).await?.ok_or(Fault::QueueDoesNotExist)
    }

    /// Writes a new queue; `false` if there is one of that name.
    pub(crate) async fn insert(&self, at: &QueueRef, queue: &Queue) -> Result<bool, Fault> {
        match self.queues.put(&parts(at), queue, Expect::Absent).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads the queue, lets `edit` change it and writes it back, again if another writer was faster.
    pub(crate) async fn change(
        &self,
        at: &QueueRef,
        edit: impl Fn(&mut Queue) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let mut row = self.row(at).await?.ok_or(Fault::QueueDoesNotExist)?;
            edit(&mut row.value)?;
            let expect = Expect::At(row.rev);
            match self.queues.put(&parts(at), &row.value, expect).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn remove(&self, at: &QueueRef) -> Result<(), Fault> {
        let op = self.queues.delete_op(&parts(at), Expect::Any);
        self.queues.txn(vec![op]).await?;
        Ok(())
    }

    /// The queues of one account and region in the order of their names, from behind `after`.
    pub(crate) async fn list(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Queue>, Fault> {
        let after = after.map(|name| self.queues.key(&[account, region, name]));
        let rows = self
            .queues
            .scan(&[account, region], after.as_ref(), max)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

fn parts(queue: &QueueRef) -> [&str; 3] {
    [&queue.account, &queue.region, &queue.name]
}
