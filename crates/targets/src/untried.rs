use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::{Leased, MsgId};

/// Messages that are remembered; what comes beyond that loses a try by waiting.
const UNTRIED_MAX: usize = 100_000;

/// How often messages came and were not tried, because the rate of their receiver was used up.
///
/// The store counts each coming as an attempt. A restart forgets these, and with them a few tries.
#[derive(Default)]
pub(crate) struct Untried(Mutex<HashMap<MsgId, u32>>);

impl Untried {
    fn lock(&self) -> MutexGuard<'_, HashMap<MsgId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which try this is, from 1 on.
    pub(crate) fn tries(&self, message: &Leased) -> u32 {
        let untried = self.lock().get(&message.id).copied();
        message.attempt.saturating_sub(untried.unwrap_or(0)).max(1)
    }

    pub(crate) fn add(&self, id: &MsgId) {
        let mut all = self.lock();
        if let Some(count) = all.get_mut(id) {
            *count = count.saturating_add(1);
        } else if all.len() < UNTRIED_MAX {
            all.insert(id.clone(), 1);
        }
    }

    pub(crate) fn forget(&self, id: &MsgId) {
        let mut all = self.lock();
        if !all.is_empty() {
            all.remove(id);
        }
    }
}
