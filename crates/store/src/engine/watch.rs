use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::{Change, Key, Space};

/// Changes that a watcher may fall behind; with more it loses the channel.
const WATCH_CHANGES_MAX: usize = 1_024;

/// Those who want to hear of changes.
#[derive(Default)]
pub(crate) struct Watches(Mutex<Vec<Watch>>);

struct Watch {
    space: Space,
    prefix: Key,
    to: mpsc::Sender<Change>,
}

impl Watches {
    pub(crate) fn add(&self, space: Space, prefix: &Key) -> mpsc::Receiver<Change> {
        let (to, changes) = mpsc::channel(WATCH_CHANGES_MAX);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Watch {
            space,
            prefix: prefix.clone(),
            to,
        });
        changes
    }

    /// Never waits: a full channel is closed, its reader scans again.
    pub(crate) fn tell(&self, space: Space, change: &Change) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|watch| {
            let concerned =
                watch.space == space && change.key.as_str().starts_with(watch.prefix.as_str());
            if concerned {
                watch.to.try_send(change.clone()).is_ok()
            } else {
                !watch.to.is_closed()
            }
        });
    }
}
