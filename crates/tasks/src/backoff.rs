use std::time::Duration;

use crate::Ids;

/// Growing waits between tries: doubling from `first` up to `max`, with full jitter.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Backoff {
        Backoff {
            first,
            max,
            tries: 0,
        }
    }

    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait, between half of the step and the whole of it.
    pub fn next(&mut self, ids: &Ids) -> Duration {
        let step = self
            .first
            .saturating_mul(1 << self.tries.min(20))
            .min(self.max);
        self.tries = self.tries.saturating_add(1);
        let half = step / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_nanos(ids.u64() % nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_under_the_cap() {
        let ids = Ids::seeded(3);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for step_ms in [100, 200, 400, 800, 1_000, 1_000] {
            let step = Duration::from_millis(step_ms);
            let wait = backoff.next(&ids);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
        }
    }
}
