//! Provisioned concurrency: environments that are ready before they are called.
//! [Lambda guide: provisioned concurrency]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use functions::{Change, Deployed, Wanted};
use model::FunctionRef;
use sandbox::StartError;
use tasks::{Clock, Progress, Time, WorkError, Worker};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::Invoke;
use crate::handle::Inner;
use crate::pool::{Live, Pool, Purpose, Seat};
use crate::report::{Event, Status};
use crate::starter::StartFailure;
use crate::sync::{init_failure, lines};

/// Shortest limit of the init phase of a provisioned environment; the function's timeout if that is
/// longer.  [Lambda guide: runtime environment]
const INIT_LIMIT_MIN: Duration = Duration::from_secs(130);
/// How often dead environments are replaced.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failed init the next try waits so long, unless something was changed.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// [Lambda API: ProvisionedConcurrencyStatusEnum]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisionedState {
    InProgress,
    Ready,
    /// With the status reason.
    Failed(&'static str),
}

/// How far the environments of one version or alias are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedStatus {
    pub allocated: u32,
    pub available: u32,
    pub state: ProvisionedState,
}

/// The environments of each version and alias that has provisioned concurrency.
#[derive(Default)]
pub(crate) struct Shelves(Mutex<HashMap<FunctionRef, Shelf>>);

struct Shelf {
    requested: u32,
    modified: Time,
    rows: Vec<Row>,
}

/// One version of a shelf: two if its alias is weighted.
struct Row {
    pool: Arc<Pool>,
    wanted: usize,
    starting: Arc<AtomicUsize>,
    failed: Arc<Mutex<Option<Failure>>>,
}

#[derive(Clone, Copy)]
struct Failure {
    at: Time,
    reason: &'static str,
}

/// One environment that is being made.
struct Starting(Arc<AtomicUsize>);

impl Starting {
    fn new(count: &Arc<AtomicUsize>) -> Starting {
        count.fetch_add(1, Ordering::AcqRel);
        Starting(count.clone())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Row {
    fn ready(&self) -> usize {
        let starting = self.starting.load(Ordering::Acquire);
        self.pool.live().saturating_sub(starting).min(self.wanted)
    }

    fn failure(&self) -> Option<Failure> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The versions go on as one: `other` is the same state of the same version.
    fn is_of(&self, other: &Deployed) -> bool {
        self.pool.deployed.generation == other.generation
    }
}

impl Shelves {
    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, Shelf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool of what was called, and how many environments it has.
    pub(crate) fn pool(
        &self,
        function: &FunctionRef,
        deployed: &Deployed,
    ) -> Option<(Arc<Pool>, u32)> {
        let shelves = self.lock();
        let row = shelves
            .get(function)?
            .rows
            .iter()
            .find(|row| row.is_of(deployed))?;
        let allocated = u32::try_from(row.ready()).unwrap_or(u32::MAX);
        Some((row.pool.clone(), allocated))
    }

    pub(crate) fn status(&self, function: &FunctionRef, modified: Time) -> ProvisionedStatus {
        let shelves = self.lock();
        let shelf = shelves.get(function).filter(|s| s.modified == modified);
        let Some(shelf) = shelf else {
            return ProvisionedStatus {
                allocated: 0,
                available: 0,
                state: ProvisionedState::InProgress,
            };
        };
        let ready: usize = shelf.rows.iter().map(Row::ready).sum();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        let failure = shelf.rows.iter().find_map(Row::failure);
        ProvisionedStatus {
            allocated: ready,
            available: ready,
            state: match failure {
                _ if ready >= shelf.requested => ProvisionedState::Ready,
                Some(failure) => ProvisionedState::Failed(failure.reason),
                None => ProvisionedState::InProgress,
            },
        }
    }

    pub(crate) fn pools(&self) -> Vec<Arc<Pool>> {
        let shelves = self.lock();
        let rows = shelves.values().flat_map(|shelf| &shelf.rows);
        rows.map(|row| row.pool.clone()).collect()
    }
}

/// Makes what is there into what is wanted.
pub(crate) struct Provisioner {
    invoke: Invoke,
    clock: Clock,
    changes: Receiver<Change>,
}

impl Provisioner {
    pub(crate) fn new(invoke: Invoke, clock: Clock, changes: Receiver<Change>) -> Provisioner {
        Provisioner {
            invoke,
            clock,
            changes,
        }
    }
}

#[async_trait]
impl Worker for Provisioner {
    fn name(&self) -> String {
        "provisioned concurrency".to_owned()
    }

    async fn wait(&mut self) {
        tokio::select! {
            biased;
            changed = self.changes.recv() => if let Err(RecvError::Closed) = changed {
                self.clock.sleep(LOOK_EVERY).await;
            },
            () = self.clock.sleep(LOOK_EVERY) => {}
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let inner = &self.invoke.0;
        if inner.is_shut() {
            return Ok(Progress::Done);
        }
        let now = self.clock.now();
        let wanted = inner.functions.wanted();
        let (starts, stops) = inner.shelves.arrange(inner, wanted, now);
        stops.into_iter().for_each(|live| inner.starter.stop(live));
        for start in starts {
            let invoke = self.invoke.clone();
            inner.tasks.spawn("provisioned environment", async move {
                start.run(&invoke.0).await;
            });
        }
        Ok(Progress::More)
    }
}

impl Shelves {
    /// What to start and what to stop so that there is what is wanted.
    fn arrange(&self, inner: &Inner, wanted: Vec<Wanted>, now: Time) -> (Vec<Start>, Vec<Live>) {
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        let mut shelves = self.lock();
        let mut former = std::mem::take(&mut *shelves);
        for want in wanted {
            let shelf = former.remove(&want.function);
            let is_same = shelf.as_ref().is_some_and(|s| s.modified == want.modified);
            let mut old = shelf.map_or_else(Vec::new, |s| s.rows);
            let mut rows = Vec::new();
            for (deployed, count) in want.versions {
                let at = old.iter().position(|row| row.is_of(&deployed));
                let mut row = match at {
                    Some(at) => old.swap_remove(at),
                    None => Row {
                        pool: inner.new_pool(&deployed, Purpose::Provisioned),
                        wanted: 0,
                        starting: Arc::default(),
                        failed: Arc::default(),
                    },
                };
                row.wanted = usize::try_from(count).unwrap_or(usize::MAX);
                if !is_same {
                    *row.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                row.fill(now, &mut starts, &mut stops);
                rows.push(row);
            }
            stops.extend(old.iter().flat_map(|row| row.pool.close()));
            let shelf = Shelf {
                requested: want.requested,
                modified: want.modified,
                rows,
            };
            shelves.insert(want.function, shelf);
        }
        let gone = former.into_values().flat_map(|shelf| shelf.rows);
        stops.extend(gone.flat_map(|row| row.pool.close()));
        (starts, stops)
    }
}

impl Row {
    fn fill(&self, now: Time, starts: &mut Vec<Start>, stops: &mut Vec<Live>) {
        stops.extend(self.pool.take_dead(is_dead));
        stops.extend(self.pool.shrink_to(self.wanted));
        let waits = |failure: Failure| now.since(failure.at) < RETRY_AFTER;
        if self.failure().is_some_and(waits) {
            return;
        }
        for _ in self.pool.live()..self.wanted {
            starts.push(Start {
                seat: self.pool.seat(),
                pool: self.pool.clone(),
                starting: Starting::new(&self.starting),
                failed: self.failed.clone(),
            });
        }
    }
}

/// Whether an idle environment ended by itself. Waits for nothing.
fn is_dead(live: &mut Live) -> bool {
    let mut ready = std::pin::pin!(live.environment.ready());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    matches!(
        ready.as_mut().poll(&mut context),
        std::task::Poll::Ready(Err(_))
    )
}

/// One environment to be made ahead.
struct Start {
    pool: Arc<Pool>,
    seat: Seat,
    starting: Starting,
    failed: Arc<Mutex<Option<Failure>>>,
}

impl Start {
    async fn run(self, inner: &Inner) {
        let Ok(_permit) = inner.starts.acquire().await else {
            return;
        };
        // CON-15: as fast as the function may scale; the next look asks again.
        if inner.is_shut() || !self.pool.gate.may_start(inner.uptime()) {
            return;
        }
        let pool = self.pool.clone();
        let (starting, failed) = (self.starting, self.failed);
        let made = make(inner, &pool, self.seat).await;
        let failure = match made {
            Ok(live) => {
                drop(starting);
                inner.take_back(&pool, live);
                None
            }
            Err(StartFailure::Sandbox(StartError::NoCapacity(why) | StartError::Backend(why))) => {
                tracing::warn!(version = %pool.deployed, why, "no provisioned environment");
                Some("INTERNAL_ERROR")
            }
            Err(_) => Some("FUNCTION_ERROR_INIT_FAILURE"),
        };
        let at = inner.tasks.clock().now();
        *failed.lock().unwrap_or_else(PoisonError::into_inner) =
            failure.map(|reason| Failure { at, reason });
    }
}

/// Boots and initialises one environment of `pool`.
async fn make(inner: &Inner, pool: &Arc<Pool>, seat: Seat) -> Result<Live, StartFailure> {
    let deployed = &pool.deployed;
    let left = pool.lefts.take(inner.tasks.clock()).await;
    let planned = inner.starter.plan(deployed, pool.purpose, left).await?;
    let lines = lines(deployed, &deployed.function, pool.purpose);
    let log = planned.log.clone();
    let say = |event: Event<'_>| log.say(inner.tasks.clock().now(), &lines, &event);
    let runtime = deployed.config.runtime;
    let region = &deployed.function.region;
    let version = runtime.map(|r| (r.version_label(), r.version_arn(region)));
    say(Event::InitStart(version));
    let limit = deployed.config.timeout.duration().max(INIT_LIMIT_MIN);
    pool.watch_log(&planned.log);
    match inner.starter.start(&planned, limit, seat).await {
        Ok(mut live) => {
            // Nobody waits for it, so no call reports it.
            let took = live.init.take().unwrap_or_default();
            say(Event::InitRuntimeDone(Status::Success));
            say(Event::InitReport {
                took,
                phase: "init",
                status: Status::Success,
            });
            live.log.flush();
            Ok(live)
        }
        Err(error) => {
            if let Some((took, status)) = init_failure(&error) {
                say(Event::InitRuntimeDone(status));
                say(Event::InitReport {
                    took,
                    phase: "init",
                    status,
                });
            }
            inner.starter.abandon(&planned);
            Err(StartFailure::Sandbox(error))
        }
    }
}
