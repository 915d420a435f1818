use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Time;

/// Names whose turns are remembered; those that may be used at once are forgotten first.
const NAMES_MAX: usize = 10_000;

/// How often each of many things may be used: evenly spaced, and what was not used is not saved up.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<String, Rate>>);

#[derive(Debug, Clone, Copy)]
struct Rate {
    /// The next turn that is free.
    next: Time,
    /// When the next of those who are sent away should come back.
    back: Time,
}

/// What somebody gets who asks for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is taken, and begins after this time.
    In(Duration),
    /// All near ones are taken; to ask again after this time is best.
    Away(Duration),
}

impl Rates {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Rate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next turn of `name`, if it begins within `wait_max`.
    pub fn take(&self, name: &str, per_second: u32, now: Time, wait_max: Duration) -> Turn {
        let step = Duration::from_secs(1) / per_second.max(1);
        let mut all = self.lock();
        if all.len() >= NAMES_MAX {
            all.retain(|_, rate| rate.next > now);
        }
        let known = all.get(name).copied();
        let mut rate = known.unwrap_or(Rate {
            next: now,
            back: now,
        });
        rate.next = rate.next.max(now);
        let wait = rate.next.since(now);
        let turn = match wait <= wait_max {
            true => {
                rate.next = rate.next.after(step);
                Turn::In(wait)
            }
            // Each comes back when a turn should be free for it, and not all at once.
            false => {
                let at = rate.back.max(now.after(wait_max));
                rate.back = at.after(step);
                Turn::Away(at.since(now))
            }
        };
        all.insert(name.to_owned(), rate);
        turn
    }

    /// Nobody gets a turn before then.
    pub fn pause(&self, name: &str, until: Time) {
        let mut all = self.lock();
        let rate = all.entry(name.to_owned()).or_insert(Rate {
            next: until,
            back: until,
        });
        rate.next = until.max(rate.next);
    }

    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_MAX: Duration = Duration::from_secs(20);

    #[test]
    fn turns_keep_the_rate() {
        let rates = Rates::default();
        let at = Time::from_unix_millis;
        let take = |ms| rates.take("a", 2, at(ms), WAIT_MAX);
        let after = |ms| Turn::In(Duration::from_millis(ms));
        assert_eq!(take(0), after(0));
        assert_eq!(take(0), after(500));
        assert_eq!(take(200), after(800));
        assert_eq!(
            rates.take("b", 2, at(0), WAIT_MAX),
            after(0),
            "another name"
        );
        assert_eq!(take(9_000), after(0), "what was not used is not saved up");
        rates.pause("a", at(12_000));
        assert_eq!(take(9_000), after(3_000));
        rates.forget("a");
        assert_eq!(take(9_000), after(0));
    }

    #[test]
    fn those_who_are_sent_away_come_back_one_after_the_other() {
        let rates = Rates::default();
        let at = Time::from_unix_secs;
        for second in 0..=20 {
            let turn = rates.take("a", 1, at(0), WAIT_MAX);
            assert_eq!(turn, Turn::In(Duration::from_secs(second)));
        }
        let away: Vec<Turn> = (0..3)
            .map(|_| rates.take("a", 1, at(0), WAIT_MAX))
            .collect();
        let expected = [20, 21, 22].map(|s| Turn::Away(Duration::from_secs(s)));
        assert_eq!(away, expected);
        // By then there is a turn for each of them.
        for second in 20..23 {
            let turn = rates.take("a", 1, at(second), WAIT_MAX);
            assert!(
                matches!(turn, Turn::In(wait) if wait <= Duration::from_secs(1)),
                "{turn:?}"
            );
        }
    }
}
