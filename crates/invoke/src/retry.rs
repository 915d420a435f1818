//! What becomes of an asynchronous event after an attempt. Pure.

use std::time::Duration;

use functions::EventInvoke;
use tasks::Time;

use crate::{Outcome, Refused};

/// How often a function that failed is asked again, and how old an event may become.
/// [Lambda guide: error handling for asynchronous invocation]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) retries_max: u32,
    pub(crate) age_max: Duration,
}

impl Policy {
    pub(crate) const DEFAULT: Policy = Policy {
        retries_max: 2,
        age_max: Duration::from_secs(6 * 3_600),
    };

    /// What a function's configuration makes of the default.
    pub(crate) fn of(config: Option<&EventInvoke>) -> Policy {
        let age = config.and_then(|c| c.age_max_secs);
        Policy {
            retries_max: config
                .and_then(|c| c.retries_max)
                .unwrap_or(Policy::DEFAULT.retries_max),
            age_max: age.map_or(Policy::DEFAULT.age_max, |secs| {
                Duration::from_secs(secs.into())
            }),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// The function failed: it is asked again, and that counts.
    Again(Time),
    /// The function was not asked: that does not count.
    Later(Time),
    GiveUp(&'static str),
}

/// Wait after the first failure of the function; the second is twice as long.
const FUNCTION_WAIT: Duration = Duration::from_secs(60);
/// Wait after a refusal; grows with the age of the event.
const PLATFORM_WAIT_MIN: Duration = Duration::from_secs(1);
const PLATFORM_WAIT_MAX: Duration = Duration::from_secs(300);

/// `failures`: attempts before this one that the function failed.
pub(crate) fn verdict(
    end: &Result<Outcome, Refused>,
    failures: u32,
    accepted: Time,
    now: Time,
    policy: Policy,
) -> Verdict {
    let age = now.since(accepted);
    match end {
        Ok(outcome) if outcome.function_error.is_none() => Verdict::Done,
        Err(Refused::NotFound { .. }) => Verdict::GiveUp("the function is gone"),
        Err(Refused::TenantMissing | Refused::TenantUnwanted) => {
            Verdict::GiveUp("the function has other tenants")
        }
        Err(Refused::Recursive) => Verdict::GiveUp("RecursiveLoop"),
        Err(Refused::SwitchedOff) => Verdict::GiveUp("ZeroReservedConcurrency"),
        _ if age >= policy.age_max => Verdict::GiveUp("EventAgeExceeded"),
        Ok(_) if failures >= policy.retries_max => Verdict::GiveUp("RetriesExhausted"),
        Ok(_) => {
            let wait = FUNCTION_WAIT * failures.saturating_add(1);
            // It is not kept for an attempt that would come too late.  [observed on AWS]
            match age + wait > policy.age_max {
                true => Verdict::GiveUp("EventAgeExceeded"),
                false => Verdict::Again(now + wait),
            }
        }
        Err(_) => {
            // As long as the event is old: that doubles. The last attempt comes at the end of its age.
            let wait = age.clamp(PLATFORM_WAIT_MIN, PLATFORM_WAIT_MAX);
            Verdict::Later((now + wait).min(accepted + policy.age_max))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::Version;

    use super::*;

    fn outcome(function_error: Option<&'static str>) -> Result<Outcome, Refused> {
        Ok(Outcome {
            executed_version: Version::Latest,
            payload: Bytes::new(),
            function_error,
            log_tail: None,
        })
    }

    fn throttled() -> Result<Outcome, Refused> {
        Err(Refused::Throttled { reason: "x" })
    }

    fn check(end: Result<Outcome, Refused>, failures: u32, age_secs: u64, expected: Verdict) {
        let accepted = Time::from_unix_secs(0);
        let now = accepted + Duration::from_secs(age_secs);
        assert_eq!(
            verdict(&end, failures, accepted, now, Policy::DEFAULT),
            expected
        );
    }

    #[test]
    fn success_ends_an_event() {
        check(outcome(None), 2, 30_000, Verdict::Done);
    }

    #[test]
    fn a_function_that_fails_is_asked_twice_again() {
        let at = Time::from_unix_secs;
        check(outcome(Some("Unhandled")), 0, 10, Verdict::Again(at(70)));
        check(outcome(Some("Unhandled")), 1, 10, Verdict::Again(at(130)));
        check(
            outcome(Some("Unhandled")),
            2,
            10,
            Verdict::GiveUp("RetriesExhausted"),
        );
    }

    #[test]
    fn refusals_are_tried_until_the_event_is_too_old() {
        let at = Time::from_unix_secs;
        check(throttled(), 2, 0, Verdict::Later(at(1)));
        check(throttled(), 0, 100, Verdict::Later(at(200)));
        check(throttled(), 0, 10_000, Verdict::Later(at(10_300)));
        check(throttled(), 0, 21_500, Verdict::Later(at(21_600)));
        check(throttled(), 0, 21_600, Verdict::GiveUp("EventAgeExceeded"));
    }

    #[test]
    fn a_configuration_changes_the_policy() {
        let config = EventInvoke {
            retries_max: Some(0),
            age_max_secs: Some(60),
            ..EventInvoke::default()
        };
        let policy = Policy::of(Some(&config));
        assert_eq!((policy.retries_max, policy.age_max.as_secs()), (0, 60));
        let policy = Policy::of(None);
        assert_eq!((policy.retries_max, policy.age_max.as_secs()), (2, 21_600));
    }

    #[test]
    fn an_attempt_that_would_come_too_late_is_not_waited_for() {
        let failed = outcome(Some("Unhandled"));
        let policy = Policy {
            retries_max: 2,
            age_max: Duration::from_secs(90),
        };
        let at = Time::from_unix_secs;
        for (age, expected) in [
            (30, Verdict::Again(at(90))),
            (31, Verdict::GiveUp("EventAgeExceeded")),
        ] {
            assert_eq!(verdict(&failed, 0, at(0), at(age), policy), expected);
        }
    }

    /// [ASY-26]
    #[test]
    fn a_function_that_is_switched_off_ends_its_events_at_once() {
        let off = Verdict::GiveUp("ZeroReservedConcurrency");
        check(Err(Refused::SwitchedOff), 0, 0, off);
    }

    #[test]
    fn an_event_for_no_function_is_given_up() {
        let gone = Err(Refused::NotFound { arn: String::new() });
        check(gone, 0, 0, Verdict::GiveUp("the function is gone"));
    }
}
