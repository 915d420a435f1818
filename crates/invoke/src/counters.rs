use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Functions that are counted apart; more are counted together.
const FUNCTIONS_MAX: usize = 10_000;
/// The name of all that have no place of their own.
const OTHERS: &str = "others";

/// What happened to a function's events since the process began. The names are those of the metrics.
/// [Lambda guide: metrics, asynchronous invocation]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventCounts {
    /// `AsyncEventsReceived`: accepted.
    pub received: u64,
    /// `AsyncEventsDropped`: given up without one successful run.
    pub dropped: u64,
    /// `AsyncEventAge`, of the newest attempt.
    pub age: Duration,
    /// The greatest of those.
    pub age_max: Duration,
    /// `DeadLetterErrors`: not delivered to the dead-letter queue.
    pub dead_letter_errors: u64,
    /// `DestinationDeliveryFailures`
    pub destination_failures: u64,
    /// `RecursiveInvocationsDropped`
    pub recursive_dropped: u64,
}

/// Counts by the ARN of the function, without qualifier. Clones share them.
#[derive(Clone, Default)]
pub struct EventCounters(Arc<Mutex<BTreeMap<String, EventCounts>>>);

impl EventCounters {
    pub(crate) fn count(&self, function: &str, one: impl FnOnce(&mut EventCounts)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = all.get_mut(function) {
            return one(counts);
        }
        let name = match all.len() < FUNCTIONS_MAX {
            true => function,
            false => OTHERS,
        };
        one(all.entry(name.to_owned()).or_default());
    }

    pub fn of(&self, function: &str) -> EventCounts {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(function).copied().unwrap_or_default()
    }

    pub fn all(&self) -> BTreeMap<String, EventCounts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
