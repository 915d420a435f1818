use std::time::Duration;

/// The waits before the retries of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Waits {
    /// A second, doubled each time, up to ten minutes.
    #[default]
    Doubling,
    Phases(Phases),
}

/// Retries without a wait, then some with the shortest one, then growing waits, then the longest.
/// [SNS guide: message delivery retries]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phases {
    /// Retries of the first phase, which come at once.
    pub immediate: u32,
    /// Retries of the second phase, each after the shortest wait.
    pub early: u32,
    /// Retries of the third phase, in which waits grow from the shortest to the longest.
    pub growing: u32,
    pub growth: Growth,
    pub shortest: Duration,
    pub longest: Duration,
}

/// How waits grow. AWS shows curves and gives no formulas: all begin at the shortest wait and end at
/// the longest, and each lies below the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// By the same amount each time.
    Linear,
    /// By an amount that grows by the same each time.
    Arithmetic,
    /// By the same factor each time.
    Geometric,
    /// Nearly nothing at first: the distance from the shortest wait doubles each time.
    Exponential,
}

impl Phases {
    /// The wait before a retry; they count from 1.
    pub fn wait(&self, retry: u32) -> Duration {
        let Some(place) = retry.saturating_sub(1).checked_sub(self.immediate) else {
            return Duration::ZERO;
        };
        let Some(place) = place.checked_sub(self.early) else {
            return self.shortest;
        };
        if place >= self.growing {
            return self.longest;
        }
        self.grown(place)
    }

    /// The wait at a place of the third phase; the first is 0.
    fn grown(&self, place: u32) -> Duration {
        let (low, high) = (self.shortest.as_secs_f64(), self.longest.as_secs_f64());
        let last = self.growing.saturating_sub(1);
        if last == 0 || high <= low {
            return self.shortest;
        }
        let (at, end) = (f64::from(place), f64::from(last));
        let seconds = match self.growth {
            Growth::Linear => low + (high - low) * at / end,
            Growth::Arithmetic => low + (high - low) * (at * (at + 1.0)) / (end * (end + 1.0)),
            Growth::Geometric => low * (high / low).powf(at / end),
            Growth::Exponential => low + (high - low) * (at.exp2() - 1.0) / (end.exp2() - 1.0),
        };
        // Too many doublings for a number: the end is near enough.
        Duration::try_from_secs_f64(seconds.clamp(low, high)).unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(growth: Growth) -> Phases {
        Phases {
            immediate: 3,
            early: 2,
            growing: 4,
            growth,
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(27),
        }
    }

    #[test]
    fn phases_follow_each_other() {
        let millis = |growth| -> Vec<u128> {
            let phases = phases(growth);
            (1..=11)
                .map(|retry| phases.wait(retry).as_millis())
                .collect()
        };
        for (growth, second, third) in [
            (Growth::Linear, 9_666, 18_333),
            (Growth::Arithmetic, 5_333, 14_000),
            (Growth::Geometric, 3_000, 9_000),
            (Growth::Exponential, 4_714, 12_142),
        ] {
            let wanted = [
                0, 0, 0, 1_000, 1_000, 1_000, second, third, 27_000, 27_000, 27_000,
            ];
            assert_eq!(millis(growth), wanted, "{growth:?}");
        }
    }

    #[test]
    fn a_thousand_growing_waits_stay_between_the_two_ends() {
        let mut long = phases(Growth::Exponential);
        long.growing = 5_000;
        for retry in [6, 7, 3_000, 5_005, u32::MAX] {
            let wait = long.wait(retry);
            assert!(wait >= long.shortest && wait <= long.longest, "{wait:?}");
        }
    }
}
