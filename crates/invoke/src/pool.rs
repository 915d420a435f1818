//! The environments of one version: an idle stack, newest first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use functions::Deployed;
use sandbox::{Environment, StopReason};
use tasks::Time;
use tokio::sync::Notify;

use crate::credentials::Issued;
use crate::output::EnvironmentLog;

/// One environment and what the path keeps with it.
pub(crate) struct Live {
    pub(crate) environment: Box<dyn Environment>,
    pub(crate) log: Arc<EnvironmentLog>,
    pub(crate) keys: Arc<Issued>,
    /// The init phase that the first invocation reports; taken by it.
    pub(crate) init: Option<Duration>,
    pub(crate) idle_since: Time,
    /// What its extensions are told when it is stopped.
    pub(crate) reason: StopReason,
}

/// One pool serves one state of one version; environments are never shared by versions.
pub(crate) struct Pool {
    pub(crate) deployed: Arc<Deployed>,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    idle: Vec<Live>,
    /// Environments of this pool that exist, busy ones too.
    live: usize,
    /// The version's code or configuration was replaced: nothing is leased any more.
    closed: bool,
    busy_logs: Vec<Arc<EnvironmentLog>>,
}

/// One row of the operator's table of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub function: String,
    pub version: String,
    pub idle: usize,
    pub busy: usize,
}

impl Pool {
    pub(crate) fn new(deployed: Arc<Deployed>) -> Pool {
        Pool {
            deployed,
            state: Mutex::default(),
            freed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment that became idle last.
    pub(crate) fn take_idle(&self) -> Option<Live> {
        let mut state = self.lock();
        let live = state.idle.pop()?;
        state.busy_logs.push(live.log.clone());
        Some(live)
    }

    /// Returns when an environment may have become idle. Cancel-safe.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Counts an environment that was just started and is busy from now on.
    pub(crate) fn add_busy(&self, log: &Arc<EnvironmentLog>) {
        let mut state = self.lock();
        state.live += 1;
        state.busy_logs.push(log.clone());
    }

    /// Takes an environment back after its call. A closed pool returns it: stop it then.
    pub(crate) fn give_back(&self, mut live: Live, now: Time) -> Option<Live> {
        live.idle_since = now;
        let mut state = self.lock();
        forget_log(&mut state, &live.log);
        if state.closed {
            state.live -= 1;
            return Some(live);
        }
        state.idle.push(live);
        drop(state);
        self.freed.notify_one();
        None
    }

    /// Forgets a busy environment that does not come back.
    pub(crate) fn remove_busy(&self, log: &Arc<EnvironmentLog>) {
        let mut state = self.lock();
        forget_log(&mut state, log);
        state.live -= 1;
    }

    /// Leases nothing from now on; gives the idle environments to be stopped.
    pub(crate) fn close(&self) -> Vec<Live> {
        let mut state = self.lock();
        state.closed = true;
        state.live -= state.idle.len();
        std::mem::take(&mut state.idle)
    }

    /// Gives the environments that have been idle for longer than `keep`.
    pub(crate) fn retire_idle(&self, now: Time, keep: Duration) -> Vec<Live> {
        let mut state = self.lock();
        // The stack is ordered by `idle_since`, oldest at the bottom.
        let keep_from = state
            .idle
            .partition_point(|live| now.since(live.idle_since) > keep);
        state.live -= keep_from;
        state.idle.drain(..keep_from).collect()
    }

    /// When the environment that is idle for longest became so.
    pub(crate) fn oldest_idle(&self) -> Option<Time> {
        self.lock().idle.first().map(|live| live.idle_since)
    }

    /// Gives the environment that is idle for longest, to make room.
    pub(crate) fn evict_oldest(&self) -> Option<Live> {
        let mut state = self.lock();
        if state.idle.is_empty() {
            return None;
        }
        state.live -= 1;
        Some(state.idle.remove(0))
    }

    pub(crate) fn live(&self) -> usize {
        self.lock().live
    }

    /// Sends old log lines of calls that still run.
    pub(crate) fn flush_logs(&self, now: Time) {
        let logs = self.lock().busy_logs.clone();
        logs.iter().for_each(|log| log.flush_old(now.unix_millis()));
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let state = self.lock();
        PoolStatus {
            function: self.deployed.function.unqualified_arn(),
            version: self.deployed.version.to_string(),
            idle: state.idle.len(),
            busy: state.live - state.idle.len(),
        }
    }
}

fn forget_log(state: &mut State, log: &Arc<EnvironmentLog>) {
    if let Some(at) = state.busy_logs.iter().position(|l| Arc::ptr_eq(l, log)) {
        state.busy_logs.swap_remove(at);
    }
}
