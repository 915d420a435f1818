//! The handle that callers hold, and its background work.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use functions::{AccountLimits, Deployed, Functions, Provisioned};
use model::ports::LogSink;
use model::{FunctionRef, RequestId, Version};
use sandbox::{Network, Sandbox};
use tasks::{Clock, Mono, Progress, Tasks, Time, WorkError, Worker};
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use crate::admission::Admission;
use crate::courtesy::Courtesy;
use crate::credentials::SessionKeys;
use crate::freezer::{Freezer, Watched};
use crate::launch::Catalog;
use crate::left::HostBytes;
use crate::pool::{Live, Pool, PoolStatus, Purpose, Returned, Seats};
use crate::prepare::Preparer;
use crate::provisioned::{ProvisionedStatus, Provisioner, Shelves};
use crate::scaling::Rate;
use crate::snapshots::Snapshots;
use crate::starter::Starter;
use crate::streamed::StreamLimits;

/// How the invocation path behaves.
#[derive(Debug, Clone)]
pub struct InvokeConfig {
    /// Invocations that may run at once.  [Lambda quotas: 1,000]
    pub concurrency_max: u32,
    /// What functions may not reserve of it.  [Lambda quotas: 100]
    pub unreserved_min: u32,
    /// How fast one function gets environments.  [Lambda guide: scaling behavior]
    pub scaling: Rate,
    /// Calls of a function in a second, for each that may run at once; 0 counts none.
    /// [Lambda quotas: 10]
    pub calls_per_unit: u32,
    /// Environments that may live at once; idle ones make room before more are started.
    pub environments_max: usize,
    /// Environments that may be in their init phase at once.
    pub starts_max: usize,
    /// An environment that is idle for longer is stopped.
    pub idle_keep: Duration,
    /// An environment that is idle for so long is frozen until its next call.
    pub freeze_after: Duration,
    /// An environment that lives for longer gets no more calls, however busy.
    pub lifetime_max: Duration,
    pub network: Network,
    /// Whether interpreters are kept, for each account and runtime, to be forked into environments.
    pub templates: bool,
    /// `AWS_ENDPOINT_URL` inside environments; none leaves the variable out.
    pub endpoint_inside: Option<String>,
    pub stream: StreamLimits,
}

impl Default for InvokeConfig {
    fn default() -> InvokeConfig {
        InvokeConfig {
            concurrency_max: 1_000,
            unreserved_min: 100,
            scaling: Rate::new(1_000, Duration::from_secs(10)),
            calls_per_unit: 10,
            environments_max: 1_000,
            starts_max: 64,
            idle_keep: Duration::from_secs(600),
            freeze_after: Duration::from_millis(50),
            lifetime_max: Duration::from_secs(4 * 3_600),
            network: Network::Kiln,
            templates: true,
            endpoint_inside: None,
            stream: StreamLimits::default(),
        }
    }
}

/// One synchronous invocation as asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub function: FunctionRef,
    /// At most [`model::PAYLOAD_SYNC_MAX`]; the caller checked that it is JSON.
    pub payload: Bytes,
    pub request_id: RequestId,
    pub client_context: Option<String>,
    pub cognito_identity: Option<String>,
    /// `X-Amzn-Trace-Id` of the caller.
    pub trace: Option<String>,
    pub want_log: bool,
    /// Whom the call is for, where the function keeps its tenants apart.
    pub tenant: Option<String>,
}

/// The function ran, well or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub executed_version: Version,
    pub payload: Bytes,
    /// `Unhandled`
    pub function_error: Option<&'static str>,
    /// The last 4 KiB of the log, if asked for.
    pub log_tail: Option<Vec<u8>>,
}

/// The function did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("Function not found: {arn}")]
    NotFound { arn: String },
    /// `Pending`, `Failed`, …
    #[error("the function is in state {state}")]
    NotReady { state: String },
    /// The function ran too often in one chain of calls.
    #[error("recursive loop")]
    Recursive,
    /// The function keeps tenants apart, and the call is for none.
    #[error("the call is for no tenant")]
    TenantMissing,
    /// The call is for a tenant, and the function does not keep tenants apart.
    #[error("the function does not keep tenants apart")]
    TenantUnwanted,
    /// An event whose function has a reserved concurrency of zero.
    #[error("the reserved concurrency of the function is zero")]
    SwitchedOff,
    #[error("Rate Exceeded.")]
    Throttled { reason: &'static str },
    /// The host cannot run the function; the message names what to install.
    #[error("{message}")]
    InvalidRuntime { message: String },
    /// What a snapshot was to run after it was restored failed.
    #[error("the restore failed: {detail}")]
    NotRestored { detail: String },
    #[error("the restore took too long")]
    RestoreTimedOut,
    /// A snapshot was gone and could not be made again.
    #[error("the snapshot could not be made again: {detail}")]
    NotRegenerated { detail: String },
    /// The platform failed.
    #[error("{detail}")]
    Internal { detail: String },
}

/// Runs functions. Clones share one path.
#[derive(Clone)]
pub struct Invoke(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) functions: Functions,
    pub(crate) starter: Starter,
    pub(crate) admission: Admission,
    pub(crate) starts: Semaphore,
    pub(crate) courtesy: Courtesy,
    pub(crate) tasks: Tasks,
    pub(crate) config: InvokeConfig,
    pools: RwLock<HashMap<u64, Arc<Pool>>>,
    pub(crate) shelves: Shelves,
    /// Environments of all pools.
    host: Seats,
    watched: Arc<Watched>,
    begun: Mono,
    /// Set before the pools are closed: nothing is started any more.
    is_shut: AtomicBool,
}

/// What the path needs from the rest of the process.
pub struct Parts {
    pub functions: Functions,
    pub sandbox: Arc<dyn Sandbox>,
    pub catalog: Arc<Catalog>,
    pub sink: Arc<dyn LogSink>,
    pub keys: SessionKeys,
    pub tasks: Tasks,
}

/// How often idle environments and waiting log lines are looked at.
const TICK: Duration = Duration::from_secs(1);

impl Invoke {
    /// Also starts the workers that retire environments, freeze them and make them ahead.
    pub fn new(config: InvokeConfig, parts: Parts) -> Invoke {
        let starter = Starter {
            sandbox: parts.sandbox,
            catalog: parts.catalog,
            sink: parts.sink,
            keys: parts.keys,
            tasks: parts.tasks.clone(),
            network: config.network,
            templates: config.templates,
            endpoint_inside: config.endpoint_inside.clone(),
            snapshots: Snapshots::default(),
            left: HostBytes::default(),
        };
        let invoke = Invoke(Arc::new(Inner {
            functions: parts.functions,
            starter,
            admission: Admission::new(
                config.concurrency_max,
                config.calls_per_unit,
                config.scaling,
            ),
            starts: Semaphore::new(config.starts_max),
            courtesy: Courtesy::new(parts.tasks.clock()),
            tasks: parts.tasks.clone(),
            pools: RwLock::default(),
            shelves: Shelves::default(),
            host: Seats::default(),
            watched: Arc::default(),
            begun: parts.tasks.clock().monotonic(),
            config,
            is_shut: AtomicBool::new(false),
        }));
        let clock = parts.tasks.clock();
        parts.tasks.add(Reaper {
            invoke: invoke.clone(),
            clock: clock.clone(),
        });
        parts.tasks.add(Freezer {
            watched: invoke.0.watched.clone(),
            clock: clock.clone(),
            after: invoke.0.config.freeze_after,
        });
        let changes = invoke.0.functions.changes();
        parts
            .tasks
            .add(Provisioner::new(invoke.clone(), clock.clone(), changes));
        if let Some(line) = invoke.0.functions.unprepared() {
            parts.tasks.add(Preparer::new(invoke.clone(), line));
        }
        invoke
    }

    pub fn sandbox(&self) -> &Arc<dyn Sandbox> {
        &self.0.starter.sandbox
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.0.starter.catalog
    }

    pub fn pools(&self) -> Vec<PoolStatus> {
        let pools = self.0.all_pools();
        pools.iter().map(|pool| pool.status()).collect()
    }

    /// What an account may run at once in a region.
    pub fn account_limits(&self) -> AccountLimits {
        AccountLimits {
            concurrency: self.0.config.concurrency_max,
            unreserved_min: self.0.config.unreserved_min,
        }
    }

    /// How far the environments are that were asked for a version or alias.
    pub fn provisioned(&self, function: &FunctionRef, asked: Provisioned) -> ProvisionedStatus {
        self.0.shelves.status(function, asked.modified)
    }

    /// Whether callers wait for answers, or did within the last 200 ms; events step back for them.
    pub fn has_callers(&self) -> bool {
        self.0.courtesy.is_called()
    }

    /// Invocations that run on demand now.
    pub fn running(&self) -> u32 {
        self.0.admission.running()
    }

    /// Stops every environment and starts none from now on. Calls that still run end as lost.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.is_shut.store(true, Ordering::SeqCst);
        self.0.starter.snapshots.clear();
        let pools =
            std::mem::take(&mut *self.0.pools.write().unwrap_or_else(PoisonError::into_inner));
        let pools = pools.into_values().chain(self.0.shelves.pools());
        let idle: Vec<Live> = pools.flat_map(|pool| pool.close()).collect();
        self.0
            .tasks
            .clock()
            .timeout(grace, self.stop_all(idle))
            .await
            .ok();
        self.0.starter.sandbox.shutdown(grace).await;
    }

    /// At the same time: those with extensions may take seconds each. Dropping this ends none of them.
    async fn stop_all(&self, idle: Vec<Live>) {
        let (ended, mut all_ended) = mpsc::channel::<()>(1);
        for live in idle {
            let (end, ended) = (self.0.starter.stop_now(live), ended.clone());
            let end = async move {
                end.await;
                drop(ended);
            };
            self.0.tasks.spawn("environment stop", end);
        }
        drop(ended);
        // Nothing is sent: it closes with the last of them.
        let _ = all_ended.recv().await;
    }
}

impl Inner {
    /// The pool of this state of the version.
    pub(crate) fn pool(&self, deployed: &Arc<Deployed>) -> Arc<Pool> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&deployed.generation) {
            return pool.clone();
        }
        drop(pools);
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let pool = || self.new_pool(deployed, Purpose::OnDemand);
        pools
            .entry(deployed.generation)
            .or_insert_with(pool)
            .clone()
    }

    pub(crate) fn new_pool(&self, deployed: &Arc<Deployed>, purpose: Purpose) -> Arc<Pool> {
        let gate = self.admission.gate(&deployed.function, &self.functions);
        let host = self.host.clone();
        Arc::new(Pool::new(deployed.clone(), purpose, gate, host))
    }

    /// Time since the start; what rates are counted by.
    pub(crate) fn uptime(&self) -> Duration {
        self.tasks.clock().monotonic().since(self.begun)
    }

    /// Takes an environment back after a call, or ends it if its pool does not want it.
    pub(crate) fn take_back(&self, pool: &Arc<Pool>, live: Live) {
        let now = self.tasks.clock().now();
        match pool.give_back(live, now, self.born_after(now)) {
            Returned::Idle { is_watched: true } => {}
            Returned::Idle { is_watched: false } => self.watched.add(pool.clone()),
            Returned::Unwanted(live) => self.starter.stop(live),
        }
    }

    /// Environments that were born before are recycled.
    fn born_after(&self, now: Time) -> Time {
        let lifetime = i64::try_from(self.config.lifetime_max.as_micros()).unwrap_or(i64::MAX);
        Time::from_unix_micros(now.unix_micros().saturating_sub(lifetime))
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }

    fn snapshot(&self) -> Vec<Arc<Pool>> {
        self.pools
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn all_pools(&self) -> Vec<Arc<Pool>> {
        let mut pools = self.snapshot();
        pools.extend(self.shelves.pools());
        pools
    }

    /// Stops the environment that is idle for longest if the host is full; false if it is full and
    /// none is idle.
    pub(crate) fn make_room(&self) -> bool {
        if self.host.taken() < self.config.environments_max {
            return true;
        }
        let pools = self.snapshot();
        let oldest = pools
            .iter()
            .filter_map(|p| Some((p.oldest_idle()?, p)))
            .min_by_key(|o| o.0);
        match oldest.and_then(|(_, pool)| pool.evict_oldest()) {
            Some(live) => {
                self.starter.stop(live);
                true
            }
            None => false,
        }
    }

    /// One round of the reaper: idle environments, replaced versions, waiting log lines.
    fn tick(&self) {
        let now = self.tasks.clock().now();
        for pool in self.snapshot() {
            pool.flush_logs(now);
            let current = self.functions.is_current(&pool.deployed);
            let retired = if current {
                pool.retire_idle(now, self.config.idle_keep, self.born_after(now))
            } else {
                pool.close()
            };
            retired.into_iter().for_each(|live| self.starter.stop(live));
            if pool.live() == 0 && pool.lefts.is_empty() {
                self.forget(pool);
            }
        }
        for pool in self.shelves.pools() {
            pool.flush_logs(now);
            // Never for being idle.
            let old = pool.retire_idle(now, Duration::MAX, self.born_after(now));
            old.into_iter().for_each(|live| self.starter.stop(live));
        }
        let is_current = |version: &Deployed| self.functions.is_current(version);
        self.starter.snapshots.sweep(is_current);
        self.admission.tidy();
    }

    /// Drops a pool without environments, unless a call is about to use it.
    fn forget(&self, pool: Arc<Pool>) {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        // The map and this function hold it; nobody can get hold of it while the map is locked.
        if Arc::strong_count(&pool) == 2 && pool.live() == 0 {
            pools.remove(&pool.deployed.generation);
        }
    }
}

struct Reaper {
    invoke: Invoke,
    clock: Clock,
}

#[async_trait]
impl Worker for Reaper {
    fn name(&self) -> String {
        "environment reaper".to_owned()
    }

    async fn wait(&mut self) {
        self.clock.sleep(TICK).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        self.invoke.0.tick();
        Ok(Progress::More)
    }
}
