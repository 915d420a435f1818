//! RequestResponse: resolve → admit → lease → run → report.

mod call;
mod init;
mod lease;
mod restore;
mod run;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use functions::{ResolveError, Resolved, State};
use model::FunctionRef;
use model::lineage::{Lineage, RUNS_MAX};
use sandbox::ResponseWriter;

use crate::admission::{Permit, Share, Throttle};
use crate::handle::{Inner, Invoke, Outcome, Refused, Request};
use crate::pool::{Live, Pool};
use crate::starter::StartFailure;
use crate::unattended::Unattended;

pub(crate) use init::init_failure;
pub(crate) use restore::{init_events, tell as tell_init, version as runtime_version};
pub(crate) use run::{Early, lines};

use lease::Leased;
use run::{Run, early};

/// Longest wait for a runtime that has answered to ask for its next event, or to end. A busy host takes its
/// time to end a process, and no event is handed over before it is asked for anyway.
const READY_MAX: Duration = Duration::from_secs(2);

impl Invoke {
    /// Runs the function and waits for its answer. Once admitted the invocation runs to its end, also
    /// if the caller goes away.
    ///
    /// # Errors
    /// The function did not run: unknown, not active, throttled, or the host cannot run it.
    pub async fn request_response(&self, request: Request) -> Result<Outcome, Refused> {
        let _waiting = self.0.courtesy.call();
        self.run(request).await
    }

    /// The same for events, whose callers are gone.
    pub(crate) async fn run(&self, request: Request) -> Result<Outcome, Refused> {
        let resolved = self.ready(&request.function).await?;
        check_tenant(&resolved, request.tenant.as_deref())?;
        self.stop_loops(&request)?;
        let admitted = self.0.admit(&resolved, &request.function)?;
        let inner = self.0.clone();
        let (early, told) = early();
        let run = async move { inner.run(admitted, request, None, early).await };
        let run = Unattended::new(run, &self.0.tasks);
        tokio::select! {
            biased;
            outcome = run => outcome,
            // Extensions are still at work: what is left goes on unattended.
            Ok(outcome) = told => Ok(outcome),
        }
    }

    /// See [`SessionKeys::trace`](crate::SessionKeys::trace); what no environment sent is as it was sent.
    pub fn inherit(&self, access_key: Option<&str>, trace: Option<&str>) -> Option<String> {
        let own = access_key.and_then(|key| self.0.starter.keys.trace(key, trace));
        own.or_else(|| trace.map(str::to_owned))
    }

    /// Refuses a function that ran too often in one chain of calls, unless it may.
    pub(crate) fn stop_loops(&self, request: &Request) -> Result<(), Refused> {
        let function = &request.function;
        let runs = Lineage::of(request.trace.as_deref()).runs(function);
        if runs < RUNS_MAX {
            return Ok(());
        }
        match self.0.functions.describe(function) {
            Ok(found) if found.allows_recursion => Ok(()),
            _ => Err(Refused::Recursive),
        }
    }

    /// Everything that an invocation checks before it runs.
    ///
    /// # Errors
    /// Those that the invocation would give.
    pub fn dry_run(&self, function: &FunctionRef, tenant: Option<&str>) -> Result<(), Refused> {
        check_tenant(&self.resolve(function)?, tenant)
    }

    /// A function that was just made is ready a moment later: its first call makes it so.
    pub(crate) async fn ready(&self, function: &FunctionRef) -> Result<Resolved, Refused> {
        match self.resolve(function) {
            // This call fails; the next one finds it active.
            Err(Refused::NotReady { state }) if state == State::Inactive.as_str() => {
                Err(Refused::NotReady { state })
            }
            Err(Refused::NotReady { .. }) => {
                let settled = self.0.functions.resolve_ready(function).await;
                settled.map_err(not_found)?;
                self.resolve(function)
            }
            other => other,
        }
    }

    fn resolve(&self, function: &FunctionRef) -> Result<Resolved, Refused> {
        self.0
            .functions
            .resolve_call(function)
            .map_err(not_found)
            .and_then(active)
    }
}

/// A function that keeps its tenants apart needs to know whose call it is, another one must not be told.
/// [Lambda guide: tenant isolation]
pub(crate) fn check_tenant(resolved: &Resolved, tenant: Option<&str>) -> Result<(), Refused> {
    match (resolved.deployed.config.is_per_tenant, tenant) {
        (true, None) => Err(Refused::TenantMissing),
        (false, Some(_)) => Err(Refused::TenantUnwanted),
        _ => Ok(()),
    }
}

fn not_found(error: ResolveError) -> Refused {
    match error {
        ResolveError::NotFound { arn } => Refused::NotFound { arn },
    }
}

fn active(call: Resolved) -> Result<Resolved, Refused> {
    match &call.deployed.state {
        State::Active => Ok(call),
        other => Err(Refused::NotReady {
            state: other.as_str().to_owned(),
        }),
    }
}
/// An invocation that may run.
pub(crate) struct Admitted {
    pool: Arc<Pool>,
    share: Share,
    on: On,
}

/// What it runs on.
pub(crate) enum On {
    /// An environment that was ready before the call. It counts nowhere else: there are only as many
    /// as were provisioned.
    Provisioned(Live),
    Demand(Permit),
}

fn throttled(why: Throttle) -> Refused {
    Refused::Throttled {
        reason: why.reason(),
    }
}

impl Inner {
    /// Provisioned environments first; what is more runs on demand.  [spec: CON-14]
    pub(crate) fn admit(
        &self,
        call: &Resolved,
        function: &FunctionRef,
    ) -> Result<Admitted, Refused> {
        let (share, now) = (Share::from(call), self.uptime());
        let shelf = call.provisioned_by.as_ref().and_then(|qualifier| {
            let owner = function.with_qualifier(Some(qualifier.clone()));
            self.shelves.pool(&owner, &call.deployed)
        });
        if let Some((pool, allocated)) = shelf
            && let Some(live) = pool.take_idle(None)
        {
            let counted = pool.gate.admit_provisioned(share, allocated, now);
            if let Err(why) = counted {
                self.take_back(&pool, live);
                return Err(throttled(why));
            }
            let on = On::Provisioned(live);
            return Ok(Admitted { pool, share, on });
        }
        let pool = self.pool(&call.deployed);
        let on = On::Demand(pool.gate.admit(share, now).map_err(throttled)?);
        Ok(Admitted { pool, share, on })
    }

    pub(crate) async fn run(
        &self,
        mut admitted: Admitted,
        request: Request,
        to: Option<ResponseWriter>,
        early: Early,
    ) -> Result<Outcome, Refused> {
        if let On::Provisioned(live) = &mut admitted.on
            && !self.is_alive(live).await
        {
            admitted = self.spill(admitted)?;
        }
        let Admitted { pool, share, on } = admitted;
        let run = Run {
            inner: self,
            pool: &pool,
            share,
            lines: lines(&pool.deployed, &request.function, pool.purpose),
            request: &request,
            to,
            early,
        };
        let permit = match on {
            On::Demand(permit) => permit,
            On::Provisioned(live) => return Ok(run.call(live).await),
        };
        let outcome = match run.lease().await? {
            Leased::Ready(live) => run.call(live).await,
            Leased::InitAgain(planned) => run.call_with_init(planned).await?,
        };
        drop(permit);
        Ok(outcome)
    }

    /// The provisioned environment was dead: the call runs on demand.
    fn spill(&self, admitted: Admitted) -> Result<Admitted, Refused> {
        let Admitted { pool, share, on } = admitted;
        if let On::Provisioned(dead) = on {
            self.starter.stop_failed(dead, &pool);
        }
        let pool = self.pool(&pool.deployed);
        let permit = pool.gate.admit(share, self.uptime()).map_err(throttled)?;
        let on = On::Demand(permit);
        Ok(Admitted { pool, share, on })
    }

    /// An environment whose runtime ended after its last answer is not leased. One that is still
    /// busy with something gets the call when it asks.
    async fn is_alive(&self, live: &mut Live) -> bool {
        let clock = self.tasks.clock();
        let ready = clock.timeout(READY_MAX, live.environment.ready()).await;
        !matches!(ready, Ok(Err(_)))
    }
}
fn refused(failure: StartFailure) -> Refused {
    match failure {
        StartFailure::MissingRuntime(missing) => Refused::InvalidRuntime {
            message: missing.message,
        },
        StartFailure::Unusable(message) => Refused::InvalidRuntime { message },
        StartFailure::Sandbox(error) => Refused::Internal {
            detail: error.to_string(),
        },
    }
}
