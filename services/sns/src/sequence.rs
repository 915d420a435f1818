use std::sync::atomic::{AtomicU64, Ordering};

/// Gives the sequence numbers of FIFO topics: twenty digits that grow.  [SNS guide: message ordering]
///
/// They follow the clock, so that they grow over restarts too without being stored.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    last_micros: AtomicU64,
}

/// Makes twenty digits of any number of microseconds.
const BASE: u64 = 10_000_000_000_000_000_000;

impl Sequence {
    /// The next number at this time; later than all before, also if the clock went back.
    pub(crate) fn next(&self, now_micros: i64) -> String {
        let now = u64::try_from(now_micros).unwrap_or(0);
        let before = self
            .last_micros
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(now.max(last + 1))
            })
            .unwrap_or_default();
        (BASE + now.max(before + 1)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_twenty_digits_and_grow() {
        let sequence = Sequence::default();
        let drawn: Vec<String> = [1_795_000_000_000_000, 1_795_000_000_000_000, 5]
            .map(|at| sequence.next(at))
            .to_vec();
        assert!(drawn.iter().all(|n| n.len() == 20));
        assert!(drawn.is_sorted() && drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    }
}
