//! Lease: the newest idle environment that lives, or a new one.

use std::time::Duration;

use super::restore::Restored;
use super::run::Run;
use super::{init_failure, refused, runtime_version, throttled};
use crate::admission::Throttle;
use crate::handle::Refused;
use crate::pool::Live;
use crate::report::{Event, Status};
use crate::starter::{Planned, StartFailure};

/// Longest init phase outside of an invocation.  [Lambda guide: runtime environment]
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// Idle environments found dead before a lease gives up on them and starts a new one.
const DEAD_IDLE_MAX: usize = 16;

/// What a lease gives: an environment, or the end of an invocation that could not start one.
pub(super) enum Leased {
    Ready(Live),
    /// The init phase failed outside; it is done again inside the invocation.
    InitAgain(Planned),
}

impl Run<'_> {
    pub(super) async fn lease(&self) -> Result<Leased, Refused> {
        for _ in 0..DEAD_IDLE_MAX {
            let Some(mut live) = self.pool.take_idle(self.request.tenant.as_deref()) else {
                break;
            };
            if self.inner.is_alive(&mut live).await {
                return Ok(Leased::Ready(live));
            }
            self.discard(live);
        }
        // A start that must wait for its turn takes an environment that becomes idle meanwhile.
        loop {
            tokio::select! {
                biased;
                permit = self.inner.starts.acquire() => {
                    let _permit = permit.map_err(|e| Refused::Internal { detail: e.to_string() })?;
                    return self.start().await.map(|leased| self.claimed(leased));
                }
                () = self.pool.freed() => {
                    if let Some(mut live) = self.pool.take_idle(self.request.tenant.as_deref()) {
                        if self.inner.is_alive(&mut live).await {
                            return Ok(Leased::Ready(live));
                        }
                        self.discard(live);
                    }
                }
            }
        }
    }

    /// Belongs to the tenant of the call from now on.
    fn claimed(&self, leased: Leased) -> Leased {
        match leased {
            Leased::Ready(live) => Leased::Ready(Live {
                tenant: self.request.tenant.clone(),
                ..live
            }),
            again @ Leased::InitAgain(_) => again,
        }
    }

    async fn start(&self) -> Result<Leased, Refused> {
        if self.inner.is_shut() {
            let detail = "the server is going down".to_owned();
            return Err(Refused::Internal { detail });
        }
        if !self.inner.make_room() {
            return Err(throttled(Throttle::Concurrency));
        }
        if !self.pool.gate.may_start(self.inner.uptime()) {
            return Err(throttled(self.share.rate_throttle()));
        }
        let seat = self.pool.seat();
        let left = self.pool.lefts.take(self.inner.tasks.clock()).await;
        let planned = self
            .inner
            .starter
            .plan(&self.pool.deployed, self.pool.purpose, left)
            .await
            .map_err(refused)?;
        let (planned, seat) = match self.restore(planned, seat).await? {
            Restored::Live(live) => return Ok(Leased::Ready(live)),
            Restored::Not(planned, seat) => (planned, seat),
        };
        let log = &planned.log;
        let version = runtime_version(&self.pool.deployed, &self.request.function.region);
        self.push(log, Event::InitStart(version));
        match self.inner.starter.start(&planned, INIT_LIMIT, seat).await {
            Ok(live) => {
                self.pool.watch_log(&live.log);
                let took = live.init.unwrap_or_default();
                self.init_over(log, "init", (took, Status::Success));
                Ok(Leased::Ready(live))
            }
            Err(error) => {
                let Some(failed) = init_failure(&error) else {
                    self.inner.starter.abandon(&planned);
                    return Err(refused(StartFailure::Sandbox(error)));
                };
                self.init_over(log, "init", failed);
                Ok(Leased::InitAgain(planned))
            }
        }
    }
}
