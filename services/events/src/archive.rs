//! What archives keep: events in a log of the store, in the order in which they were accepted.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use store::{LogId, Pos, Retention, Seq};
use tasks::{Progress, Time, WorkError, Worker};

use crate::engine::{Engine, lock};
use crate::fault::Fault;
use crate::record::Archive;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
const TRIM_EVERY: Duration = Duration::from_secs(3_600);
/// Events that are read at once.
const PAGE: usize = 500;

/// How much of a log was counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    next: Pos,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn log_of(id: &str) -> LogId {
    LogId(format!("events/archive/{id}"))
}

/// Events before this time are expired.
fn expired_before(archive: &Archive, now: Time) -> Option<Time> {
    let days = (archive.retention_days > 0).then_some(archive.retention_days)?;
    let before = now
        .unix_millis()
        .saturating_sub(days.saturating_mul(DAY_MS));
    Some(Time::from_unix_millis(before))
}

impl Engine {
    pub(crate) async fn archive(&self, id: &str, events: Vec<Bytes>) -> Result<(), Fault> {
        self.log.append(&log_of(id), 0, events, None).await?;
        Ok(())
    }

    /// How many events an archive holds, and their bytes. Only what came since the last count is read.
    pub(crate) async fn count(&self, id: &str) -> Result<Counted, Fault> {
        let known = lock(&self.counted).get(id).copied();
        let mut counted = known.unwrap_or(Counted {
            next: Pos::Oldest,
            events: 0,
            bytes: 0,
        });
        loop {
            let (entries, next) = self.log.read(&log_of(id), 0, counted.next, PAGE).await?;
            if entries.is_empty() {
                break;
            }
            for (_, _, body) in &entries {
                counted.events += 1;
                counted.bytes += u64::try_from(body.len()).unwrap_or_default();
            }
            counted.next = next;
        }
        lock(&self.counted).insert(id.to_owned(), counted);
        Ok(counted)
    }

    /// Forgets all events of an archive that is gone.
    pub(crate) async fn empty(&self, id: &str) -> Result<(), Fault> {
        let keep = Retention {
            not_before: None,
            bytes_max: Some(0),
        };
        self.log.trim(&log_of(id), keep).await?;
        lock(&self.counted).remove(id);
        Ok(())
    }

    pub(crate) async fn trim_archives(&self) -> Result<(), Fault> {
        let now = self.now();
        for row in self.archives.all(&[]).await? {
            if let Some(before) = expired_before(&row.value, now) {
                let keep = Retention {
                    not_before: Some(before),
                    bytes_max: None,
                };
                self.log.trim(&log_of(&row.value.id), keep).await?;
                lock(&self.counted).remove(&row.value.id);
            }
        }
        Ok(())
    }

    /// A page of an archive's log, from `from` on.
    pub(crate) async fn archived(
        &self,
        id: &str,
        from: Pos,
        max: usize,
    ) -> Result<(Vec<(Seq, Bytes)>, Pos), Fault> {
        let (entries, next) = self.log.read(&log_of(id), 0, from, max).await?;
        let entries = entries.into_iter().map(|(seq, _, body)| (seq, body));
        Ok((entries.collect(), next))
    }
}

/// Removes what is older than its archive keeps.
pub(crate) struct Trim(pub(crate) Arc<Engine>);

#[async_trait]
impl Worker for Trim {
    fn name(&self) -> String {
        "events: retention of archives".to_owned()
    }

    async fn wait(&mut self) {
        self.0.tasks.clock().sleep(TRIM_EVERY).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        self.0.trim_archives().await?;
        Ok(Progress::More)
    }
}
