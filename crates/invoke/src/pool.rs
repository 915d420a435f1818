//! The environments of one version: an idle stack, newest first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use functions::Deployed;
use sandbox::{Environment, StopReason};
use tasks::Time;
use tokio::sync::Notify;

use crate::admission::Gate;
use crate::credentials::KeyGuard;
use crate::left::Lefts;
use crate::output::EnvironmentLog;
use crate::report::Restore;

/// One environment and what the path keeps with it.
pub(crate) struct Live {
    pub(crate) environment: Box<dyn Environment>,
    pub(crate) log: Arc<EnvironmentLog>,
    pub(crate) keys: Arc<KeyGuard>,
    pub(crate) seat: Seat,
    /// The init phase that the first invocation reports; taken by it.
    pub(crate) init: Option<Duration>,
    /// The restore that the first invocation reports; taken by it.
    pub(crate) restore: Option<Restore>,
    pub(crate) born: Time,
    pub(crate) idle_since: Time,
    /// What its extensions are told when it is stopped.
    pub(crate) reason: StopReason,
    pub(crate) is_frozen: bool,
    /// Whom it serves, where the function keeps its tenants apart.
    pub(crate) tenant: Option<String>,
}

/// Counts environments that exist or are being made: of one pool, and of the host.
#[derive(Clone, Default)]
pub(crate) struct Seats(Arc<AtomicUsize>);

/// Room for one environment; dropping it gives the room back, whatever went wrong.
pub(crate) struct Seat {
    pool: Seats,
    host: Seats,
}

impl Seats {
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.0.fetch_sub(1, Ordering::AcqRel);
        self.host.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the environments of a pool are for.  [Lambda guide: AWS_LAMBDA_INITIALIZATION_TYPE]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    OnDemand,
    Provisioned,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Purpose::OnDemand => "on-demand",
            Purpose::Provisioned => "provisioned-concurrency",
        }
    }
}

/// One pool serves one state of one version; environments are never shared by versions.
pub(crate) struct Pool {
    pub(crate) deployed: Arc<Deployed>,
    pub(crate) purpose: Purpose,
    pub(crate) gate: Arc<Gate>,
    seats: Seats,
    host: Seats,
    state: Mutex<State>,
    freed: Notify,
    /// Of those that failed.
    pub(crate) lefts: Lefts,
    /// Environments above it are not taken back.
    keep_max: AtomicUsize,
    /// Whether whoever freezes environments looks at this pool.
    is_watched: AtomicBool,
}

#[derive(Default)]
struct State {
    idle: Vec<Live>,
    /// The version's code or configuration was replaced: nothing is leased any more.
    closed: bool,
    logs: Vec<Weak<EnvironmentLog>>,
}

/// One row of the operator's table of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub function: String,
    pub version: String,
    pub idle: usize,
    pub busy: usize,
}

/// What became of an environment that came back.
pub(crate) enum Returned {
    /// It is idle. `is_watched`: somebody will look whether it stays so.
    Idle { is_watched: bool },
    /// The pool does not want it: stop it.
    Unwanted(Live),
}

impl Pool {
    pub(crate) fn new(
        deployed: Arc<Deployed>,
        purpose: Purpose,
        gate: Arc<Gate>,
        host: Seats,
    ) -> Pool {
        Pool {
            deployed,
            purpose,
            gate,
            seats: Seats::default(),
            host,
            state: Mutex::default(),
            freed: Notify::new(),
            lefts: Lefts::default(),
            keep_max: AtomicUsize::new(usize::MAX),
            is_watched: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for an environment that is about to be made.
    pub(crate) fn seat(&self) -> Seat {
        self.seats.0.fetch_add(1, Ordering::AcqRel);
        self.host.0.fetch_add(1, Ordering::AcqRel);
        Seat {
            pool: self.seats.clone(),
            host: self.host.clone(),
        }
    }

    /// The environment of `tenant` that became idle last, thawed.
    pub(crate) fn take_idle(&self, tenant: Option<&str>) -> Option<Live> {
        let mut live = {
            let mut state = self.lock();
            // Mostly the last: few functions keep tenants apart.
            let idle = &mut state.idle;
            let at = idle.iter().rposition(|l| l.tenant.as_deref() == tenant)?;
            idle.remove(at)
        };
        if std::mem::take(&mut live.is_frozen) {
            live.environment.thaw();
        }
        Some(live)
    }

    /// Returns when an environment may have become idle. Cancel-safe.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Keeps an eye on the log of an environment that was just started.
    pub(crate) fn watch_log(&self, log: &Arc<EnvironmentLog>) {
        self.lock().logs.push(Arc::downgrade(log));
    }

    /// Takes an environment back after its call, unless it was born before `oldest`.
    pub(crate) fn give_back(&self, mut live: Live, now: Time, oldest: Time) -> Returned {
        live.idle_since = now;
        let mut state = self.lock();
        let is_surplus = self.live() > self.keep_max.load(Ordering::Acquire);
        if state.closed || is_surplus || live.born < oldest {
            return Returned::Unwanted(live);
        }
        state.idle.push(live);
        // While the lock is held: whoever stops watching holds it too.
        let is_watched =
            self.is_watched.load(Ordering::Acquire) || self.is_watched.swap(true, Ordering::AcqRel);
        drop(state);
        self.freed.notify_one();
        Returned::Idle { is_watched }
    }

    /// Freezes one environment that has been idle since `before`; true if that should be asked again
    /// at once. One at a time: a call may be waiting for the lock.
    pub(crate) fn freeze_one(&self, before: Time) -> Freezing {
        let mut state = self.lock();
        // Oldest first, so frozen ones are at the bottom.
        let thawed = state.idle.partition_point(|live| live.is_frozen);
        match state.idle.get_mut(thawed) {
            None => {
                self.is_watched.store(false, Ordering::Release);
                Freezing::AllFrozen
            }
            Some(live) if live.idle_since > before => Freezing::Later,
            Some(live) => {
                live.environment.freeze();
                live.is_frozen = true;
                Freezing::Froze
            }
        }
    }

    /// Leases nothing from now on; gives the idle environments to be stopped.
    pub(crate) fn close(&self) -> Vec<Live> {
        let mut state = self.lock();
        state.closed = true;
        self.lefts.clear();
        std::mem::take(&mut state.idle)
    }

    /// Gives the environments that have been idle for longer than `keep` or were born before `oldest`.
    pub(crate) fn retire_idle(&self, now: Time, keep: Duration, oldest: Time) -> Vec<Live> {
        self.lefts.retire(now, keep);
        let mut state = self.lock();
        let is_over = |live: &Live| now.since(live.idle_since) > keep || live.born < oldest;
        // Mostly none: then nothing is moved.
        if !state.idle.iter().any(is_over) {
            return Vec::new();
        }
        let (over, stay) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(is_over);
        state.idle = stay;
        over
    }

    /// Keeps at most `max` environments; gives idle ones that are too many.
    pub(crate) fn shrink_to(&self, max: usize) -> Vec<Live> {
        self.keep_max.store(max, Ordering::Release);
        let mut state = self.lock();
        let surplus = self.live().saturating_sub(max).min(state.idle.len());
        state.idle.drain(..surplus).collect()
    }

    /// Takes out idle environments that ended by themselves.
    pub(crate) fn take_dead(&self, is_dead: impl Fn(&mut Live) -> bool) -> Vec<Live> {
        let mut state = self.lock();
        state.idle.extract_if(.., |live| is_dead(live)).collect()
    }

    /// When the environment that is idle for longest became so.
    pub(crate) fn oldest_idle(&self) -> Option<Time> {
        self.lock().idle.first().map(|live| live.idle_since)
    }

    /// Gives the environment that is idle for longest, to make room.
    pub(crate) fn evict_oldest(&self) -> Option<Live> {
        let mut state = self.lock();
        match state.idle.is_empty() {
            true => None,
            false => Some(state.idle.remove(0)),
        }
    }

    /// Environments that exist or are being made.
    pub(crate) fn live(&self) -> usize {
        self.seats.taken()
    }

    /// Sends log lines that have waited for long.
    pub(crate) fn flush_logs(&self, now: Time) {
        let logs: Vec<_> = {
            let mut state = self.lock();
            state.logs.retain(|log| log.strong_count() > 0);
            state.logs.iter().filter_map(Weak::upgrade).collect()
        };
        logs.iter().for_each(|log| log.flush_old(now.unix_millis()));
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let idle = self.lock().idle.len();
        PoolStatus {
            function: self.deployed.function.unqualified_arn(),
            version: self.deployed.version.to_string(),
            idle,
            busy: self.live().saturating_sub(idle),
        }
    }
}

/// How far freezing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freezing {
    /// There may be more.
    Froze,
    /// The others became idle only now.
    Later,
    /// The pool is watched no more.
    AllFrozen,
}
