//! How fast a streamed response may flow. Pure.

use std::time::Duration;

use tasks::Mono;

/// A bucket of bytes: full at the beginning, filled steadily, never more than full.
/// [Lambda guide: bandwidth limits for response streaming]
#[derive(Debug)]
pub(crate) struct Pace {
    burst: u64,
    bytes_per_sec: u64,
    /// Thousand-millionths of a byte; below zero is what was given out ahead of its time.
    left: i128,
    at: Mono,
}

const UNIT: i128 = 1_000_000_000;

impl Pace {
    /// `bytes_per_sec` is at least 1.
    pub(crate) fn new(burst: u64, bytes_per_sec: u64, now: Mono) -> Pace {
        Pace {
            burst,
            bytes_per_sec: bytes_per_sec.max(1),
            left: i128::from(burst) * UNIT,
            at: now,
        }
    }

    /// Takes `bytes` and tells how long they have to wait.
    pub(crate) fn take(&mut self, bytes: usize, now: Mono) -> Duration {
        let rate = i128::from(self.bytes_per_sec);
        // A virtual clock may stand still for years: the sum must not overflow.
        let nanos = i128::try_from(now.since(self.at).as_nanos()).unwrap_or(i128::MAX);
        let filled = self.left.saturating_add(nanos.saturating_mul(rate));
        self.at = now;
        self.left = filled.min(i128::from(self.burst) * UNIT)
            - i128::try_from(bytes).unwrap_or_default() * UNIT;
        let debt = u64::try_from(-self.left.min(0) / rate).unwrap_or(u64::MAX);
        Duration::from_nanos(debt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tasks::{Clock, Time};

    #[test]
    fn a_burst_is_free_and_the_rest_waits_its_time() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let mut pace = Pace::new(1_000, 100, clock.monotonic());
        let secs = Duration::from_secs;
        for (after, bytes, wait) in [
            (0, 400, secs(0)),
            (0, 600, secs(0)),
            (0, 50, Duration::from_millis(500)),
            // The wait was served, the bucket is empty again.
            (1, 50, secs(0)),
            (0, 200, secs(2)),
            // An hour fills it to the brim and no further.
            (3_600, 1_000, secs(0)),
            (0, 1, Duration::from_millis(10)),
        ] {
            control.advance(secs(after));
            assert_eq!(pace.take(bytes, clock.monotonic()), wait, "{bytes}");
        }
    }

    #[test]
    fn pieces_cost_as_much_as_the_whole() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let mut pace = Pace::new(6 << 20, 2 << 20, clock.monotonic());
        let start = clock.monotonic();
        for _ in 0..(10 << 20) / (64 << 10) {
            let wait = pace.take(64 << 10, clock.monotonic());
            control.advance(wait);
        }
        assert_eq!(clock.monotonic().since(start), Duration::from_secs(2));
    }
}
