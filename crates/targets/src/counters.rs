use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Senders that are counted apart; more are counted together.
const SENDERS_MAX: usize = 10_000;
/// The name of all that have no place of their own.
const OTHERS: &str = "others";

/// What was done since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub delivered: u64,
    /// Tries that failed and were followed by another.
    pub retried: u64,
    /// Parcels that went to a dead-letter queue.
    pub dead_lettered: u64,
    /// Parcels that are gone.
    pub lost: u64,
}

/// Counts by the ARN of the sender. Clones share them.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<String, Counts>>>);

impl Counters {
    pub(crate) fn count(&self, sender: &str, one: impl FnOnce(&mut Counts)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = all.get_mut(sender) {
            return one(counts);
        }
        let name = match all.len() < SENDERS_MAX {
            true => sender,
            false => OTHERS,
        };
        one(all.entry(name.to_owned()).or_default());
    }

    pub fn of(&self, sender: &str) -> Counts {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(sender).copied().unwrap_or_default()
    }

    pub fn all(&self) -> BTreeMap<String, Counts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
