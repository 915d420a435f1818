//! How many invocations may run at once, and how many may come in a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use functions::{Claims, Functions, Resolved};
use model::{Account, FunctionRef, Region};

use crate::scaling::{Rate, Tokens};

/// Why an invocation is refused with 429.  [Lambda API: TooManyRequestsException, Reason]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Throttle {
    /// The account's unreserved concurrency is used up.
    Concurrency,
    Rate,
    /// The function's own reserved concurrency is used up.
    ReservedConcurrency,
    ReservedRate,
}

impl Throttle {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Throttle::Concurrency => "ConcurrentInvocationLimitExceeded",
            Throttle::Rate => "FunctionInvocationRateLimitExceeded",
            Throttle::ReservedConcurrency => "ReservedFunctionConcurrentInvocationLimitExceeded",
            Throttle::ReservedRate => "ReservedFunctionInvocationRateLimitExceeded",
        }
    }
}

/// What a function may run at once and be called a second, as far as its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) reserved: Option<u32>,
    pub(crate) provisioned: u32,
}

impl From<&Resolved> for Share {
    fn from(call: &Resolved) -> Share {
        Share {
            reserved: call.reserved,
            provisioned: call.provisioned_total,
        }
    }
}

impl Share {
    /// What it may run on demand, if it reserves: provisioned environments are part of that.
    /// [observed: with all of it provisioned, `$LATEST` is throttled]
    fn on_demand_max(self) -> Option<u32> {
        self.reserved.map(|n| n.saturating_sub(self.provisioned))
    }

    pub(crate) fn rate_throttle(self) -> Throttle {
        match self.reserved {
            Some(_) => Throttle::ReservedRate,
            None => Throttle::Rate,
        }
    }
}

/// The functions that ran lately, and their accounts.
pub(crate) struct Admission {
    concurrency_max: u32,
    /// Calls per second for each unit of concurrency; 0 counts none.  [Lambda quotas: 10]
    calls_per_unit: u32,
    scaling: Rate,
    accounts: Mutex<HashMap<(Account, Region), Arc<Unreserved>>>,
    gates: Mutex<HashMap<FunctionRef, Arc<Gate>>>,
}

/// What functions without a reservation share: one account in one region.
struct Unreserved {
    claims: Arc<Claims>,
    running: AtomicU32,
}

/// Counts what one function runs.
pub(crate) struct Gate {
    account: Arc<Unreserved>,
    concurrency_max: u32,
    calls_per_unit: u32,
    scaling: Rate,
    /// On demand, of all versions.
    running: AtomicU32,
    calls: Tokens,
    provisioned_calls: Tokens,
    starts: Tokens,
}

/// The right to run one invocation on demand; dropping it gives the right back.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    is_unreserved: bool,
}

impl Admission {
    pub(crate) fn new(concurrency_max: u32, calls_per_unit: u32, scaling: Rate) -> Admission {
        Admission {
            concurrency_max,
            calls_per_unit,
            scaling,
            accounts: Mutex::default(),
            gates: Mutex::default(),
        }
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<FunctionRef, Arc<Gate>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate of a function, given without qualifier. Not on the warm path: pools keep it.
    pub(crate) fn gate(&self, function: &FunctionRef, functions: &Functions) -> Arc<Gate> {
        if let Some(gate) = self.gates().get(function) {
            return gate.clone();
        }
        let account = self.account(function, functions);
        let gate = || {
            Arc::new(Gate {
                account,
                concurrency_max: self.concurrency_max,
                calls_per_unit: self.calls_per_unit,
                scaling: self.scaling,
                running: AtomicU32::new(0),
                calls: Tokens::default(),
                provisioned_calls: Tokens::default(),
                starts: Tokens::default(),
            })
        };
        let mut gates = self.gates();
        gates.entry(function.clone()).or_insert_with(gate).clone()
    }

    fn account(&self, function: &FunctionRef, functions: &Functions) -> Arc<Unreserved> {
        let key = (function.account.clone(), function.region.clone());
        let claims = functions.claims(&function.account, &function.region);
        let running = AtomicU32::new(0);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts
            .entry(key)
            .or_insert_with(|| Arc::new(Unreserved { claims, running }))
            .clone()
    }

    /// Forgets functions that nothing holds.
    pub(crate) fn tidy(&self) {
        self.gates().retain(|_, gate| Arc::strong_count(gate) > 1);
    }

    /// Invocations that run on demand now.
    pub(crate) fn running(&self) -> u32 {
        let gates = self.gates();
        gates.values().map(|gate| gate.running()).sum()
    }
}

impl Gate {
    fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    /// Lets one invocation run on demand. `now` is counted from any fixed start.
    ///
    /// # Errors
    /// As many run as may, or as many came in the last second as may.
    pub(crate) fn admit(self: &Arc<Gate>, share: Share, now: Duration) -> Result<Permit, Throttle> {
        let is_unreserved = match share.on_demand_max() {
            Some(max) => {
                grow(&self.running, max.into()).ok_or(Throttle::ReservedConcurrency)?;
                false
            }
            None => {
                let free = u64::from(self.concurrency_max);
                let free = free.saturating_sub(self.account.claims.total());
                grow(&self.account.running, free).ok_or(Throttle::Concurrency)?;
                self.running.fetch_add(1, Ordering::AcqRel);
                true
            }
        };
        let permit = Permit {
            gate: self.clone(),
            is_unreserved,
        };
        let units = share.on_demand_max().unwrap_or(self.concurrency_max);
        match self.counts(&self.calls, units, now) {
            true => Ok(permit),
            false => Err(share.rate_throttle()),
        }
    }

    /// Lets one invocation run in one of `allocated` provisioned environments.
    pub(crate) fn admit_provisioned(
        &self,
        share: Share,
        allocated: u32,
        now: Duration,
    ) -> Result<(), Throttle> {
        match self.counts(&self.provisioned_calls, allocated, now) {
            true => Ok(()),
            false => Err(share.rate_throttle()),
        }
    }

    fn counts(&self, tokens: &Tokens, units: u32, now: Duration) -> bool {
        if self.calls_per_unit == 0 {
            return true;
        }
        let count = units.saturating_mul(self.calls_per_unit);
        tokens.take(Rate::new(count, Duration::from_secs(1)), now)
    }

    /// Whether the function may have one more environment now.
    pub(crate) fn may_start(&self, now: Duration) -> bool {
        self.starts.take(self.scaling, now)
    }
}

/// Adds one if that is no more than `max`.
fn grow(count: &AtomicU32, max: u64) -> Option<()> {
    let one_more = |n: u32| (u64::from(n) < max).then_some(n + 1);
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
        .ok()
        .map(drop)
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.running.fetch_sub(1, Ordering::AcqRel);
        if self.is_unreserved {
            self.gate.account.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const FREE: Share = Share {
        reserved: None,
        provisioned: 0,
    };

    fn gate(max: u32, calls_per_unit: u32) -> Arc<Gate> {
        Arc::new(Gate {
            account: Arc::new(Unreserved {
                claims: Arc::default(),
                running: AtomicU32::new(0),
            }),
            concurrency_max: max,
            calls_per_unit,
            scaling: Rate::new(2, Duration::from_secs(10)),
            running: AtomicU32::new(0),
            calls: Tokens::default(),
            provisioned_calls: Tokens::default(),
            starts: Tokens::default(),
        })
    }

    fn reserved(n: u32, provisioned: u32) -> Share {
        Share {
            reserved: Some(n),
            provisioned,
        }
    }

    #[test]
    fn the_limit_is_exact_and_permits_come_back() {
        let gate = gate(2, 0);
        let first = gate.admit(FREE, NOW);
        let second = gate.admit(FREE, NOW);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(gate.admit(FREE, NOW).err(), Some(Throttle::Concurrency));
        drop(first);
        assert!(gate.admit(FREE, NOW).is_ok());
        drop(second);
        assert_eq!(gate.running(), 0);
        assert_eq!(gate.account.running.load(Ordering::Relaxed), 0);
    }

    /// R9. KILN_ADMISSIONS sets how many calls ask; `cargo xtask torture overload` lets a million.
    #[test]
    #[allow(clippy::print_stderr, clippy::disallowed_methods)]
    fn no_crowd_gets_past_the_limit() {
        const THREADS: u64 = 8;
        let asked = std::env::var("KILN_ADMISSIONS").ok();
        let asked: u64 = asked.and_then(|n| n.parse().ok()).unwrap_or(20_000);
        for (share, max) in [(FREE, 5), (reserved(3, 0), 3), (reserved(4, 2), 2)] {
            let gate = gate(5, 0);
            let (inside, over, refused) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..asked.div_ceil(THREADS) {
                            let Ok(permit) = gate.admit(share, NOW) else {
                                refused.fetch_add(1, Ordering::Relaxed);
                                continue;
                            };
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            over.fetch_add(u32::from(now > max), Ordering::Relaxed);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    });
                }
            });
            assert_eq!(
                over.into_inner(),
                0,
                "{share:?}: more than {max} ran at once"
            );
            assert_eq!(gate.running(), 0, "all permits came back");
            let refused = refused.into_inner();
            eprintln!(
                "FOUND R9 | call beyond a limit of {max} admitted, {THREADS} threads | {asked} | 0 | {refused} refused"
            );
        }
    }

    /// CON-5, CON-6, CON-8
    #[test]
    fn a_reservation_is_a_cap_of_its_own() {
        let gate = gate(1, 0);
        let other = gate.admit(FREE, NOW);
        assert!(other.is_ok(), "the account is full now");
        for (share, allowed) in [
            (reserved(0, 0), 0),
            (reserved(3, 0), 2),
            (reserved(3, 1), 1),
            (reserved(3, 3), 0),
        ] {
            let mut held = Vec::new();
            let end = loop {
                match gate.admit(share, NOW) {
                    Ok(permit) => held.push(permit),
                    Err(why) => break why,
                }
            };
            assert_eq!((held.len(), end), (allowed, Throttle::ReservedConcurrency));
        }
    }

    /// CON-21
    #[test]
    fn calls_are_counted_by_the_second() {
        let gate = gate(5, 10);
        let calls = |share, at| {
            let come = |_: &u32| gate.admit(share, Duration::from_secs(at)).is_ok();
            (0..100).take_while(come).count()
        };
        assert_eq!(calls(FREE, 1), 50);
        assert_eq!(
            gate.running(),
            0,
            "the refused one is not counted as running"
        );
        let refused = gate.admit(reserved(1, 0), Duration::from_secs(1)).err();
        assert_eq!(refused, Some(Throttle::ReservedRate));
        assert_eq!(calls(reserved(2, 0), 3), 20);
        let provisioned = |at| {
            let come = |_: &u32| {
                gate.admit_provisioned(FREE, 3, Duration::from_secs(at))
                    .is_ok()
            };
            (0..100).take_while(come).count()
        };
        assert_eq!((provisioned(3), provisioned(4)), (30, 30));
    }

    /// CON-6: never one above the limit, in a million attempts of several threads at once, while the
    /// limit of the account is used up by others.
    #[test]
    fn threads_never_run_more_than_their_limits() {
        const ATTEMPTS: u32 = 125_000;
        let free = gate(7, 0);
        let own = Arc::new(Gate {
            account: free.account.clone(),
            ..Arc::into_inner(gate(7, 0)).unwrap()
        });
        let peaks = [AtomicU32::new(0), AtomicU32::new(0)];
        let inside = [AtomicU32::new(0), AtomicU32::new(0)];
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let which = thread % 2;
                let (gate, share) = [(&free, FREE), (&own, reserved(3, 0))][which];
                let (peak, inside) = (&peaks[which], &inside[which]);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for attempt in 0..ATTEMPTS {
                        if let Ok(permit) = gate.admit(share, NOW) {
                            // Counted by the test itself, within the time of the permit.
                            peak.fetch_max(
                                inside.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            held.push(permit);
                        }
                        if attempt % 3 == 0 && !held.is_empty() {
                            inside.fetch_sub(1, Ordering::SeqCst);
                            held.swap_remove(0);
                        }
                    }
                    for permit in held {
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(peaks[0].load(Ordering::SeqCst), 7);
        assert_eq!(peaks[1].load(Ordering::SeqCst), 3);
        assert_eq!((free.running(), own.running()), (0, 0));
        assert_eq!(free.account.running.load(Ordering::SeqCst), 0);
    }
}
