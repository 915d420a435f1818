//! What happens by itself: old events go, what streams did is saved.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Expect, Op};
use tasks::{Progress, WorkError, Worker};

use crate::engine::{Engine, Place};
use crate::fault::Fault;
use crate::journal::JournalError;
use crate::record::{Group, id_part};

/// How stale the saved activity of a stream may be after a crash.
const SAVE_EVERY: Duration = Duration::from_secs(10);
const TRIM_EVERY: Duration = Duration::from_secs(3_600);
/// Nothing is trimmed while the process has more urgent things to do.
const TRIM_FIRST: Duration = Duration::from_secs(60);

const DAY_MS: i64 = 86_400_000;

/// Events of the group before this time are expired.
pub(crate) fn expired_before(group: &Group, now_ms: i64) -> i64 {
    let days = group.retention_days.map(i64::from);
    days.map_or(i64::MIN, |days| now_ms.saturating_sub(days * DAY_MS))
}

/// Saves what streams did.
pub(crate) struct Save(pub(crate) Arc<Engine>);

#[async_trait]
impl Worker for Save {
    fn name(&self) -> String {
        "logs: save activity".to_owned()
    }

    async fn wait(&mut self) {
        self.0.tasks.clock().sleep(SAVE_EVERY).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        self.0.save_activity(None).await?;
        Ok(Progress::More)
    }
}

/// Deletes segments whose events are all expired, and files without a group.
pub(crate) struct Trim {
    engine: Arc<Engine>,
    next: Duration,
}

impl Trim {
    pub(crate) fn new(engine: Arc<Engine>) -> Trim {
        let next = TRIM_FIRST;
        Trim { engine, next }
    }
}

#[async_trait]
impl Worker for Trim {
    fn name(&self) -> String {
        "logs: retention".to_owned()
    }

    async fn wait(&mut self) {
        self.engine.tasks.clock().sleep(self.next).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        self.next = TRIM_EVERY;
        self.engine.trim().await?;
        Ok(Progress::More)
    }
}

impl Engine {
    pub(crate) async fn trim(&self) -> Result<(), Fault> {
        let rows = self.groups.all(&[]).await?;
        let mut ids = HashSet::with_capacity(rows.len());
        for row in rows {
            ids.insert(id_part(row.value.id));
            if row.value.retention_days.is_none() {
                continue;
            }
            let mut parts = row.key.as_str().split('/').skip(1).map(str::to_owned);
            let (Some(account), Some(region)) = (parts.next(), parts.next()) else {
                continue;
            };
            let before = expired_before(&row.value, self.now_ms());
            let journal = self.journal(&Place { account, region }, row.value.id);
            let trimmed = self.blocking(move || {
                journal.trim(before)?;
                journal.earliest()
            });
            let earliest = trimmed.await?;
            self.forget_gone(row.value.id, earliest).await?;
        }
        self.sweep(ids).await
    }

    /// A stream that was deleted before all that is left was written hides nothing any more.
    async fn forget_gone(&self, group: u64, earliest: i64) -> Result<(), Fault> {
        for row in self.gone.all(&[&id_part(group)]).await? {
            // An event may be two hours ahead of the time at which it was put.
            if row.value.deleted_ms < earliest.saturating_sub(DAY_MS) {
                let (key, expect) = (row.key, Expect::At(row.rev));
                self.gone.txn(vec![Op::Delete { key, expect }]).await?;
            }
        }
        Ok(())
    }

    /// Removes the folders of groups that a crash left between record and files.
    async fn sweep(&self, groups: HashSet<String>) -> Result<(), Fault> {
        let root = self.root().to_owned();
        let mut orphans = Vec::new();
        let found = self.blocking(move || {
            for account in subfolders(&root)? {
                for region in subfolders(&account)? {
                    for group in subfolders(&region)? {
                        let name = group.file_name().and_then(|n| n.to_str());
                        if !name.is_some_and(|name| groups.contains(name)) {
                            orphans.push(group);
                        }
                    }
                }
            }
            Ok(orphans)
        });
        for folder in found.await? {
            let id = folder.file_name().and_then(|n| n.to_str());
            let id = id.and_then(|id| u64::from_str_radix(id, 16).ok());
            // A group made since the list was read keeps its files.
            let rows = self.groups.all(&[]).await?;
            if rows.iter().any(|row| Some(row.value.id) == id) {
                continue;
            }
            self.blocking(move || std::fs::remove_dir_all(folder).map_err(JournalError::Io))
                .await?;
        }
        Ok(())
    }
}

fn subfolders(path: &std::path::Path) -> Result<Vec<std::path::PathBuf>, JournalError> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
