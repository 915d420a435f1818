//! Stops idle environments where they are.  [Lambda guide: runtime environment lifecycle]
//!
//! Not on the path of a call: an environment that stays idle for a moment is frozen from here, and one
//! that is called again sooner pays nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tasks::{Clock, Progress, Time, WorkError, Worker};
use tokio::sync::Notify;

use crate::pool::{Freezing, Pool};

/// Environments frozen before other work gets its turn.
const BATCH_MAX: usize = 64;

/// Pools with idle environments that still run.
#[derive(Default)]
pub(crate) struct Watched {
    pools: Mutex<Vec<Arc<Pool>>>,
    added: Notify,
}

impl Watched {
    pub(crate) fn add(&self, pool: Arc<Pool>) {
        self.lock().push(pool);
        self.added.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Freezer {
    pub(crate) watched: Arc<Watched>,
    pub(crate) clock: Clock,
    /// An environment that is idle for so long is frozen.
    pub(crate) after: Duration,
}

#[async_trait]
impl Worker for Freezer {
    fn name(&self) -> String {
        "environment freezer".to_owned()
    }

    async fn wait(&mut self) {
        while self.watched.lock().is_empty() {
            self.watched.added.notified().await;
        }
        self.clock.sleep(self.after).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let before = before(self.clock.now(), self.after);
        let pools = std::mem::take(&mut *self.watched.lock());
        let mut stay = Vec::new();
        let mut frozen = 0;
        for pool in pools {
            let is_watched = loop {
                match pool.freeze_one(before) {
                    Freezing::Froze => frozen += 1,
                    Freezing::Later => break true,
                    Freezing::AllFrozen => break false,
                }
                if frozen % BATCH_MAX == 0 {
                    tokio::task::yield_now().await;
                }
            };
            if is_watched {
                stay.push(pool);
            }
        }
        self.watched.lock().extend(stay);
        Ok(Progress::More)
    }
}

fn before(now: Time, wait: Duration) -> Time {
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Time::from_unix_micros(now.unix_micros().saturating_sub(micros))
}
