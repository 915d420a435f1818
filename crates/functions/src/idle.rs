//! Versions that nobody called for long.  [Lambda guide: function states]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tasks::Time;

use crate::Deployed;

/// Versions that are remembered before those are looked for that need not be.
const USED_MIN: usize = 1_024;

/// When versions were called last. It does not outlive the process: after a start all count as used.
pub(crate) struct Idle {
    after: Option<Duration>,
    begun: Time,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// By generation.
    last: HashMap<u64, Time>,
    /// How many there may be until the old ones go.
    max: usize,
}

impl Idle {
    /// `after`: how long a version stays active without a call. None: for ever.
    pub(crate) fn new(after: Option<Duration>, begun: Time) -> Idle {
        Idle {
            after,
            begun,
            used: Mutex::default(),
        }
    }

    pub(crate) fn is_idle(&self, deployed: &Deployed, now: Time) -> bool {
        let Some(after) = self.after else {
            return false;
        };
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_over(&used, deployed, now, after)
    }

    /// Notes a call; gives whether the version was idle until then.
    pub(crate) fn was_idle(&self, deployed: &Deployed, now: Time) -> bool {
        let Some(after) = self.after else {
            return false;
        };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let was = self.is_over(&used, deployed, now, after);
        used.last.insert(deployed.generation, now);
        if used.last.len() > used.max.max(USED_MIN) {
            // What is older tells nothing: without it the version is idle too.
            used.last.retain(|_, last| *last + after > now);
            used.max = used.last.len() * 2;
        }
        was
    }

    fn is_over(&self, used: &Used, deployed: &Deployed, now: Time, after: Duration) -> bool {
        let called = used.last.get(&deployed.generation).copied();
        let last = called.unwrap_or(self.begun);
        last.max(deployed.last_modified).max(self.begun) + after <= now
    }
}
