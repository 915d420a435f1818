use std::sync::Arc;

use async_trait::async_trait;
use tasks::{Mono, Progress, WorkError, Worker};
use tokio::sync::mpsc;

use crate::deployed::State;
use crate::index::{Claim, Entry, Key};
use crate::{Change, Functions};

/// A function whose change is durable and answered, but not in force yet.
pub(crate) struct Unsettled {
    pub(crate) key: Key,
    pub(crate) since: Mono,
    /// Held until it has settled: one update at a time.
    pub(crate) claim: Option<Claim>,
}

/// Brings changes into force, in the order in which they were made.
pub(crate) struct Settler {
    functions: Functions,
    inbox: mpsc::Receiver<Unsettled>,
    next: Option<Unsettled>,
}

impl Settler {
    pub(crate) fn new(functions: Functions, inbox: mpsc::Receiver<Unsettled>) -> Settler {
        Settler {
            functions,
            inbox,
            next: None,
        }
    }
}

#[async_trait]
impl Worker for Settler {
    fn name(&self) -> String {
        "functions: settle".to_owned()
    }

    async fn wait(&mut self) {
        if self.next.is_none() {
            self.next = self.inbox.recv().await;
        }
        if let Some(next) = &self.next {
            let clock = self.functions.0.tasks.clock();
            let waited = clock.monotonic().since(next.since);
            let rest = self.functions.0.settle.saturating_sub(waited);
            // The shortest sleep is a millisecond: too long for each function of a full line.
            if !rest.is_zero() {
                clock.sleep(rest).await;
            }
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let Some(next) = self.next.take() else {
            return Ok(Progress::Done);
        };
        self.functions.settle_now(&next.key).await;
        drop(next.claim);
        Ok(Progress::More)
    }
}

impl Functions {
    /// Brings a pending change of `key` into force; does nothing if there is none.
    pub(crate) async fn settle_now(&self, key: &Key) {
        let _writer = self.writer(key).lock().await;
        let Some(entry) = self.0.index.get(key) else {
            return;
        };
        if let Some((settled, changes)) = settled(&entry) {
            self.0.index.put(key, settled);
            changes.into_iter().for_each(|change| self.announce(change));
        }
    }
}

/// The entry after its changes came into force, and whom that concerns.
fn settled(entry: &Entry) -> Option<(Entry, Vec<Change>)> {
    let mut next = entry.clone();
    let mut changes = Vec::new();
    if let Some(pending) = next.pending.take() {
        let live = Arc::new(pending.settled());
        if next.running.generation != live.generation {
            changes.push(Change::Retired(next.running.clone()));
        }
        next.running = live.clone();
        changes.push(Change::Live(live));
    } else if next.running.state == State::Pending {
        next.running = Arc::new(next.running.settled());
        changes.push(Change::Live(next.running.clone()));
    }
    for version in next.versions.values_mut() {
        if version.state == State::Pending && !version.awaits_preparation() {
            *version = Arc::new(version.settled());
            changes.push(Change::Live(version.clone()));
        }
    }
    (!changes.is_empty()).then_some((next, changes))
}
