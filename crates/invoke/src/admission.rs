//! How many invocations may run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts running invocations against the account's limit.  [Lambda quotas: concurrent executions]
#[derive(Clone)]
pub(crate) struct Admission {
    running: Arc<AtomicU32>,
    max: u32,
}

/// The right to run one invocation; dropping it gives the right back.
pub(crate) struct Permit(Arc<AtomicU32>);

impl Admission {
    pub(crate) fn new(max: u32) -> Admission {
        Admission {
            running: Arc::default(),
            max,
        }
    }

    /// `None`: as many as the limit allows are running.
    pub(crate) fn admit(&self) -> Option<Permit> {
        let grow = |n| (n < self.max).then_some(n + 1);
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, grow)
            .ok()
            .map(|_| Permit(self.running.clone()))
    }

    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact_and_permits_come_back() {
        let admission = Admission::new(2);
        let first = admission.admit();
        let second = admission.admit();
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit().is_none());
        drop(first);
        assert!(admission.admit().is_some());
        drop(second);
        assert_eq!(admission.running(), 0);
    }

    #[test]
    fn a_limit_of_zero_refuses_everything() {
        assert!(Admission::new(0).admit().is_none());
    }

    #[test]
    fn threads_never_hold_more_permits_than_the_limit() {
        let admission = Admission::new(3);
        let peak = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if let Some(permit) = admission.admit() {
                            peak.fetch_max(admission.running(), Ordering::Relaxed);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert!(peak.load(Ordering::Relaxed) <= 3);
        assert_eq!(admission.running(), 0);
    }
}
