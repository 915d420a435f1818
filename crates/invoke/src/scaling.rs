//! How fast a function may grow and be called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many in a period: they come back evenly over it, and what is not used is not saved up beyond
/// one period.  [Lambda guide: scaling behavior]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub period: Duration,
}

impl Rate {
    pub const fn new(count: u32, period: Duration) -> Rate {
        Rate { count, period }
    }
}

/// Tokens of one [`Rate`], as the time at which all of them will be back. Nothing runs between two
/// takes, and threads that take at once take no lock.
#[derive(Debug, Default)]
pub(crate) struct Tokens(AtomicU64);

impl Tokens {
    /// Takes one at `now`, counted from any fixed start; false if none is left.
    pub(crate) fn take(&self, rate: Rate, now: Duration) -> bool {
        let now = nanos(now);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
                taken(full_at, rate, now)
            })
            .is_ok()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When all tokens will be back after one more was taken; `None` if none is left.
fn taken(full_at: u64, rate: Rate, now: u64) -> Option<u64> {
    let period = nanos(rate.period);
    let each = period.checked_div(rate.count.into())?;
    let next = full_at.max(now).saturating_add(each);
    (next <= now.saturating_add(period)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rate = Rate::new(1_000, Duration::from_secs(10));

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Takes until none is left.
    fn all(tokens: &Tokens, now: Duration) -> u32 {
        (0..5_000).take_while(|_| tokens.take(RULE, now)).count() as u32
    }

    /// CON-4
    #[test]
    fn tokens_come_back_evenly_and_are_not_saved_up() {
        let tokens = Tokens::default();
        for (at_ms, left) in [
            (0, 1_000),
            (9, 0),
            (10, 1),
            (10, 0),
            (5_010, 500),
            (15_010, 1_000),
            (3_600_000, 1_000),
            (3_600_000, 0),
        ] {
            assert_eq!(all(&tokens, ms(at_ms)), left, "at {at_ms} ms");
        }
    }

    #[test]
    fn in_no_period_are_more_taken_than_two_bursts() {
        let tokens = Tokens::default();
        let taken: u32 = (0..10_000).map(|at| all(&tokens, ms(at))).sum();
        assert_eq!(taken, 1_000 + 999);
    }

    #[test]
    fn a_rate_of_none_gives_none() {
        let tokens = Tokens::default();
        assert!(!tokens.take(Rate::new(0, Duration::from_secs(1)), ms(5)));
    }

    #[test]
    fn threads_take_no_more_than_there_are() {
        let tokens = Tokens::default();
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let got = u64::from(tokens.take(RULE, ms(1)));
                        taken.fetch_add(got, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1_000);
    }
}
