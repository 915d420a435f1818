//! What becomes of a parcel after a try. Pure.

use std::fmt;
use std::time::Duration;

use model::ports::{Parcel, Patience, Undelivered, Waits};
use tasks::Time;

/// Wait after the first try that failed; it doubles.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Waits that a sender sets are longer by up to this part of them, so that not all retries come at once.
const SPREAD_PART: u32 = 10;
/// Doublings after which the longest wait is reached.
const DOUBLINGS_MAX: u32 = 10;

/// Why patience ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exhausted {
    /// The receiver refused for good; nothing was exhausted.
    Refused,
    Retries,
    Age,
}

/// One thing that happened to a parcel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Delivered,
    /// It is tried again then.
    Again {
        why: Undelivered,
        at: Time,
    },
    /// It goes to a dead-letter queue.
    DeadLettered {
        why: Undelivered,
    },
    /// It is gone.
    Lost {
        why: Undelivered,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Delivered => f.write_str("delivered"),
            Step::Again { why, at } => write!(f, "{why}; again at {}", at.iso_millis()),
            Step::DeadLettered { why } => write!(f, "{why}; sent to the dead-letter queue"),
            Step::Lost { why } => write!(f, "{why}; lost"),
        }
    }
}

/// Hears what happens to parcels.
pub trait Witness: Send + Sync {
    /// `attempt` counts from 1. It must not wait.
    fn saw(&self, parcel: &Parcel, attempt: u32, step: &Step);
}

impl<F: Fn(&Parcel, u32, &Step) + Send + Sync> Witness for F {
    fn saw(&self, parcel: &Parcel, attempt: u32, step: &Step) {
        self(parcel, attempt, step);
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Again(Time),
    GiveUp(Exhausted),
}

/// `attempt` counts from 1; `dice` spreads the tries of parcels that failed together.
pub(crate) fn verdict(
    why: &Undelivered,
    attempt: u32,
    posted: Time,
    now: Time,
    patience: Patience,
    dice: u64,
) -> Verdict {
    if matches!(why, Undelivered::Refused { .. }) {
        return Verdict::GiveUp(Exhausted::Refused);
    }
    let at = match why {
        Undelivered::Busy { wait, .. } => now + *wait,
        _ if attempt > patience.retries_max => return Verdict::GiveUp(Exhausted::Retries),
        _ => now + wait(attempt, patience.waits, dice),
    };
    // It is not kept for a try that would come too late.
    match at.since(posted) > patience.age_max {
        true => Verdict::GiveUp(Exhausted::Age),
        false => Verdict::Again(at),
    }
}

fn wait(attempt: u32, waits: Waits, dice: u64) -> Duration {
    match waits {
        Waits::Doubling => doubling(attempt, dice),
        Waits::Phases(phases) => {
            let wait = phases.wait(attempt);
            wait + part(wait / SPREAD_PART, dice)
        }
    }
}

/// Between half of the step and the whole of it.
fn doubling(attempt: u32, dice: u64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(DOUBLINGS_MAX);
    let step = (WAIT_MIN * (1 << doublings)).min(WAIT_MAX);
    step / 2 + part(step / 2, dice)
}

/// A part of `whole` by chance.
fn part(whole: Duration, dice: u64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(dice % nanos)
}

#[cfg(test)]
mod tests {
    use model::ports::{Growth, Phases};

    use super::*;

    fn later() -> Undelivered {
        Undelivered::Later {
            code: "C".to_owned(),
            message: String::new(),
        }
    }

    const PATIENCE: Patience = Patience {
        retries_max: 3,
        age_max: Duration::from_secs(100),
        waits: Waits::Doubling,
    };

    fn after(attempt: u32, age_secs: i64) -> Verdict {
        let at = Time::from_unix_secs;
        verdict(&later(), attempt, at(0), at(age_secs), PATIENCE, u64::MAX)
    }

    #[test]
    fn a_refusal_is_final() {
        let refused = Undelivered::Refused {
            code: "C".to_owned(),
            message: String::new(),
        };
        let at = Time::EPOCH;
        assert_eq!(
            verdict(&refused, 1, at, at, PATIENCE, 0),
            Verdict::GiveUp(Exhausted::Refused)
        );
    }

    #[test]
    fn who_waits_for_a_rate_loses_no_try_but_grows_old() {
        let busy = Undelivered::Busy {
            code: "C".to_owned(),
            message: String::new(),
            wait: Duration::from_secs(20),
        };
        let at = Time::from_unix_secs;
        let told = |age| verdict(&busy, 9, at(0), at(age), PATIENCE, 0);
        assert_eq!(told(0), Verdict::Again(at(20)));
        assert_eq!(told(81), Verdict::GiveUp(Exhausted::Age));
    }

    #[test]
    fn retries_count_after_the_first_try() {
        assert!(matches!(after(3, 0), Verdict::Again(_)));
        assert_eq!(after(4, 0), Verdict::GiveUp(Exhausted::Retries));
    }

    #[test]
    fn a_try_that_would_come_too_late_is_not_waited_for() {
        assert!(matches!(after(1, 99), Verdict::Again(_)));
        assert_eq!(after(1, 100), Verdict::GiveUp(Exhausted::Age));
    }

    #[test]
    fn waits_that_a_sender_sets_are_kept_with_a_little_jitter() {
        let phases = Phases {
            immediate: 1,
            early: 1,
            growing: 0,
            growth: Growth::Linear,
            shortest: Duration::from_secs(20),
            longest: Duration::from_secs(60),
        };
        for (attempt, step_secs) in [(1, 0), (2, 20), (3, 60), (9, 60)] {
            let step = Duration::from_secs(step_secs);
            for dice in [0, 7, u64::MAX] {
                let wait = wait(attempt, Waits::Phases(phases), dice);
                assert!(
                    wait >= step && wait <= step * 11 / 10,
                    "{attempt}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn waits_double_up_to_a_cap_with_jitter() {
        for (attempt, step_secs) in [(1, 1), (2, 2), (5, 16), (10, 512), (11, 600), (185, 600)] {
            let step = Duration::from_secs(step_secs);
            for dice in [0, 7, u64::MAX] {
                let wait = wait(attempt, Waits::Doubling, dice);
                assert!(wait >= step / 2 && wait <= step, "{attempt}: {wait:?}");
            }
        }
    }
}
