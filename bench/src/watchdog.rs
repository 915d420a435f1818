//! Ends what takes too long. A measure that hangs waits for a server; without that server it fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::kiln;

/// How often it looks.
const TICK: Duration = Duration::from_millis(500);

/// Watches one piece of work at a time.
pub(crate) struct Watchdog(Arc<Watched>);

struct Watched {
    until: Mutex<Option<Instant>>,
    bites: AtomicU64,
    is_over: AtomicBool,
}

/// Watched until it is dropped.
pub(crate) struct Guard {
    watched: Arc<Watched>,
    bites: u64,
}

impl Watchdog {
    pub(crate) fn start() -> Watchdog {
        let watched = Arc::new(Watched {
            until: Mutex::new(None),
            bites: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let seen = Arc::clone(&watched);
        thread::spawn(move || {
            while !seen.is_over.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                if seen.is_late() {
                    seen.bites.fetch_add(1, Ordering::Relaxed);
                    kiln::end_all();
                }
            }
        });
        Watchdog(watched)
    }

    /// From now on servers are ended when `limit` is over, until the guard is dropped.
    pub(crate) fn watch(&self, limit: Duration) -> Guard {
        self.0.set(Some(Instant::now() + limit));
        Guard {
            watched: Arc::clone(&self.0),
            bites: self.0.bites.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Watched {
    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn is_late(&self) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() > until)
    }
}

impl Guard {
    /// Whether the limit was passed.
    pub(crate) fn has_bitten(&self) -> bool {
        self.watched.bites.load(Ordering::Relaxed) > self.bites
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.watched.set(None);
    }
}
