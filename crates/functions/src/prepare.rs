//! Versions with SnapStart: their init phase runs once, and well, before they are active.
//! [Lambda guide: SnapStart]

use std::sync::{Arc, Mutex, PoisonError};

use model::Version;
use tokio::sync::mpsc;

use crate::deployed::{Failure, Optimization, State};
use crate::index::Key;
use crate::records::PreparationRecord;
use crate::{Change, Deployed, Error, Functions, SnapStart};

/// Versions that wait for whoever runs their init phase; a publication waits for room.
const UNPREPARED_MAX: usize = 1_024;

/// The line of versions whose init phase is to be run.
pub struct Unprepared(mpsc::Receiver<Arc<Deployed>>);

impl Unprepared {
    /// Cancel-safe. `None` once the functions are gone.
    pub async fn next(&mut self) -> Option<Arc<Deployed>> {
        self.0.recv().await
    }
}

/// Both ends of the line.
pub(crate) struct Line {
    sender: mpsc::Sender<Arc<Deployed>>,
    receiver: Mutex<Option<Unprepared>>,
}

impl Line {
    pub(crate) fn new() -> Line {
        let (sender, receiver) = mpsc::channel(UNPREPARED_MAX);
        Line {
            sender,
            receiver: Mutex::new(Some(Unprepared(receiver))),
        }
    }
}

impl Deployed {
    /// Whether it becomes active by [`Functions::prepared`] alone.
    pub(crate) fn awaits_preparation(&self) -> bool {
        self.state == State::Pending && self.is_snap_start()
    }

    /// Whether SnapStart applies: to published versions only.
    pub fn is_snap_start(&self) -> bool {
        self.version != Version::Latest && self.config.snap_start == SnapStart::PublishedVersions
    }

    pub(crate) fn preparation(&self) -> Option<PreparationRecord> {
        match &self.state {
            _ if !self.is_snap_start() => None,
            State::Pending => Some(PreparationRecord::Pending),
            State::Failed(failure) => Some(PreparationRecord::Failed {
                code: failure.code.clone(),
                reason: failure.reason.clone(),
            }),
            State::Active | State::Inactive => match self.optimization {
                Optimization::On => Some(PreparationRecord::Optimized),
                Optimization::Off => None,
            },
        }
    }
}

impl Functions {
    /// The versions whose init phase is to be run, also those that an earlier process left. Each ends
    /// with [`Functions::prepared`]. There is one line: `None` if it was taken.
    pub fn unprepared(&self) -> Option<Unprepared> {
        let receiver = &self.0.unprepared.receiver;
        receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Puts a version into the line. Never with a writer's lock held: the line may be full.
    pub(crate) async fn hand_over(&self, version: &Arc<Deployed>) {
        if version.awaits_preparation() {
            // Nobody is there any more when the process goes down; the next one finds the record.
            let _ = self.0.unprepared.sender.send(version.clone()).await;
        }
    }

    /// Makes a version active, or failed, that was waiting for its init phase; durable when it
    /// returns. A version that went meanwhile is left alone.
    pub async fn prepared(
        &self,
        version: &Arc<Deployed>,
        outcome: Result<Optimization, Failure>,
    ) -> Result<(), Error> {
        let (this, version) = (self.clone(), version.clone());
        self.uncancelled(async move {
            let key = Key::of(&version.function);
            let _writer = this.writer(&key).lock().await;
            let Version::Published(number) = version.version else {
                return Ok(());
            };
            let Some(entry) = this.0.index.get(&key) else {
                return Ok(());
            };
            let is_same = |v: &&Arc<Deployed>| v.generation == version.generation;
            let Some(found) = entry.versions.get(&number).filter(is_same) else {
                return Ok(());
            };
            let ready = Arc::new(match outcome {
                Ok(optimization) => found.prepared(optimization),
                Err(failure) => found.in_state(State::Failed(failure)),
            });
            let op = this.version_op(&key, &ready)?;
            this.0.tables.versions.txn(vec![op]).await?;
            let mut next = (*entry).clone();
            next.versions.insert(number, ready.clone());
            this.0.index.put(&key, next);
            if ready.state == State::Active {
                this.announce(Change::Live(ready));
            }
            Ok(())
        })
        .await
    }
}
