//! How often an account may ask the control plane.  [Lambda quotas: API requests]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tasks::{Clock, Mono};
use wire::{Context, Fault};

/// Requests in a second: of GetFunction, of GetPolicy, and of all other control operations together.
const GET_FUNCTION_MAX: u32 = 100;
const GET_POLICY_MAX: u32 = 15;
const CONTROL_MAX: u32 = 15;
/// Accounts and regions that are counted at once; with more, counting begins anew.
const BUCKETS_MAX: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    GetFunction,
    GetPolicy,
    Control,
}

impl Class {
    /// Invocations have limits of their own.
    fn of(operation: &str) -> Option<Class> {
        match operation {
            "Invoke" | "InvokeAsync" | "InvokeWithResponseStream" => None,
            "GetFunction" => Some(Class::GetFunction),
            "GetPolicy" => Some(Class::GetPolicy),
            _ => Some(Class::Control),
        }
    }

    fn per_sec(self) -> u32 {
        match self {
            Class::GetFunction => GET_FUNCTION_MAX,
            Class::GetPolicy => GET_POLICY_MAX,
            Class::Control => CONTROL_MAX,
        }
    }
}

/// Requests that are left, and when that was.
struct Bucket {
    left: f64,
    at: Mono,
}

/// A bucket for each account, region and class: full at first, filled steadily.
pub(crate) struct Rates {
    clock: Clock,
    buckets: Mutex<HashMap<(String, String, Class), Bucket>>,
}

impl Rates {
    pub(crate) fn new(clock: &Clock) -> Rates {
        Rates {
            clock: clock.clone(),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request from the caller's bucket.
    pub(crate) fn admit(&self, cx: &Context) -> Result<(), Fault> {
        let Some(class) = Class::of(cx.operation()) else {
            return Ok(());
        };
        match self.take(cx.account(), cx.region(), class) {
            true => Ok(()),
            false => Err(
                Fault::client("TooManyRequestsException", 429, "Rate exceeded")
                    .with_member("Reason", "CallerRateLimitExceeded"),
            ),
        }
    }

    fn take(&self, account: &str, region: &str, class: Class) -> bool {
        let now = self.clock.monotonic();
        let full = f64::from(class.per_sec());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.clear();
        }
        let key = (account.to_owned(), region.to_owned(), class);
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: full,
            at: now,
        });
        let since: Duration = now.since(bucket.at);
        bucket.left = (bucket.left + since.as_secs_f64() * full).min(full);
        bucket.at = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tasks::Time;

    /// API-11
    #[test]
    fn a_second_holds_so_many_requests() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let rates = Rates::new(&clock);
        let burst = |account: &str, operation: &str| {
            let class = Class::of(operation).unwrap();
            (0..200)
                .filter(|_| rates.take(account, "us-east-1", class))
                .count()
        };
        assert_eq!(burst("1", "ListFunctions"), 15);
        assert_eq!(
            burst("1", "CreateFunction"),
            0,
            "all control operations share one rate"
        );
        assert_eq!(burst("1", "GetFunction"), 100);
        assert_eq!(burst("1", "GetPolicy"), 15);
        assert_eq!(burst("2", "ListFunctions"), 15, "every account has its own");
        control.advance(Duration::from_millis(200));
        assert_eq!(burst("1", "ListFunctions"), 3);
        control.advance(Duration::from_secs(3_600));
        assert_eq!(
            burst("1", "ListFunctions"),
            15,
            "what was not used is not kept"
        );
        assert!(Class::of("Invoke").is_none());
    }
}
