use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{Backoff, Clock, Ids, Progress, Worker, WorkerStatus};

/// Owns every task of the process. Clones share one owner.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: Arc<watch::Sender<bool>>,
    clock: Clock,
    ids: Ids,
    workers: Arc<Mutex<Vec<Arc<Mutex<WorkerStatus>>>>>,
}

/// Tells a task that the process is going down.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns when shutdown was asked for. Cancel-safe.
    pub async fn requested(&mut self) {
        // An error means that the owner is gone, which is a shutdown too.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// What is told of a unit that panicked.
const PANICKED: &str = "the unit panicked";
const WORKER_RETRY_MIN: Duration = Duration::from_millis(100);
const WORKER_RETRY_MAX: Duration = Duration::from_secs(30);

impl Tasks {
    pub fn new(clock: Clock, ids: Ids) -> Tasks {
        let (stop, _) = watch::channel(false);
        Tasks {
            tracker: TaskTracker::new(),
            stop: Arc::new(stop),
            clock,
            ids,
            workers: Arc::default(),
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The same owner, for a part of the process that lives by another clock.
    #[must_use]
    pub fn with_clock(&self, clock: &Clock) -> Tasks {
        Tasks {
            clock: clock.clone(),
            ..self.clone()
        }
    }

    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    pub fn stop(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Starts a task that [`Tasks::shutdown`] waits for.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tracked = self.tracker.track_future(work);
        tokio::spawn(async move {
            tracked.await;
            tracing::trace!(task = name, "ended");
        });
    }

    /// Runs work that blocks (unzip, fsync, process start) off the async threads.
    ///
    /// # Errors
    /// Fails if `work` panicked.
    #[allow(clippy::disallowed_methods)] // the one place
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, Panicked>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.tracker
            .track_future(tokio::task::spawn_blocking(work))
            .await
            .map_err(|_| Panicked)
    }

    /// Runs a background loop until shutdown; a failed unit is tried again after a growing wait, and so is one
    /// that panicked: the loop matters more than what broke it.
    pub fn add(&self, mut worker: impl Worker + 'static) {
        let status = Arc::new(Mutex::new(WorkerStatus::new(worker.name())));
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(status.clone());
        let (clock, ids, mut stop) = (self.clock.clone(), self.ids.clone(), self.stop());
        self.spawn("worker", async move {
            let mut backoff = Backoff::new(WORKER_RETRY_MIN, WORKER_RETRY_MAX);
            loop {
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = worker.wait() => {}
                }
                let outcome = AssertUnwindSafe(worker.work()).catch_unwind().await;
                let failed = match outcome {
                    Ok(Ok(Progress::Done)) => return,
                    Ok(Ok(Progress::More)) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(PANICKED.to_owned()), // its words were printed
                };
                let go_on = failed.is_none();
                note(&status, failed);
                if go_on {
                    backoff.reset();
                    continue;
                }
                let wait = backoff.next(&ids);
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = clock.sleep(wait) => {}
                }
            }
        });
    }

    pub fn worker_statuses(&self) -> Vec<WorkerStatus> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// Asks all tasks to stop, without waiting for them.
    pub fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Asks all tasks to stop and waits for them, at most `grace`.
    /// Returns whether all ended in time.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.request_stop();
        self.tracker.close();
        self.clock.timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

fn note(status: &Mutex<WorkerStatus>, failed: Option<String>) {
    let mut at = status.lock().unwrap_or_else(PoisonError::into_inner);
    at.units += 1;
    if let Some(error) = failed {
        tracing::warn!(worker = at.name, %error, "unit failed, will try again");
        at.errors += 1;
        at.last_error = Some(error);
    }
}

/// Blocking work ended by a panic; the panic itself was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("blocking work panicked")
    }
}

impl std::error::Error for Panicked {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::{Time, WorkError};

    /// Panics in its first unit and fails in its second.
    struct Clumsy(Arc<AtomicU32>);

    #[async_trait]
    impl Worker for Clumsy {
        fn name(&self) -> String {
            "clumsy".to_owned()
        }

        async fn wait(&mut self) {}

        async fn work(&mut self) -> Result<Progress, WorkError> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("of the test"),
                1 => Err("of the test".into()),
                _ => Ok(Progress::Done),
            }
        }
    }

    #[tokio::test]
    async fn a_loop_goes_on_after_a_unit_that_panicked() {
        let (clock, control) = Clock::virtual_at(Time::from_unix_secs(1_000));
        let tasks = Tasks::new(clock, Ids::seeded(1));
        let units = Arc::new(AtomicU32::new(0));
        tasks.add(Clumsy(units.clone()));
        while units.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
            control.advance(WORKER_RETRY_MAX);
        }
        assert_eq!(tasks.worker_statuses()[0].errors, 2);
    }
}
