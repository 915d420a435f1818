use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasks::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest wait for a turn; then the call is tried, and refused if the function is still full.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Where events of functions with reserved concurrency wait for their turn: without it all that are taken
/// beyond it would be refused, written back and tried again later, while the function has time.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<String, Gate>>);

struct Gate {
    reserved: u32,
    turns: Arc<Semaphore>,
}

impl Gates {
    /// A turn of the function, held while its event runs; `None` after too long a wait.
    pub(crate) async fn turn(
        &self,
        function: &str,
        reserved: u32,
        clock: &Clock,
    ) -> Option<OwnedSemaphorePermit> {
        let turns = self.of(function, reserved);
        let turn = clock.timeout(TURN_MAX, turns.acquire_owned()).await;
        turn.ok()?.ok()
    }

    fn of(&self, function: &str, reserved: u32) -> Arc<Semaphore> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(function)
            && gate.reserved == reserved
        {
            return gate.turns.clone();
        }
        // Nobody waits at a gate that only the map holds, and a permit holds it too.
        gates.retain(|_, gate| Arc::strong_count(&gate.turns) > 1);
        let turns = Arc::new(Semaphore::new(reserved as usize));
        let gate = Gate {
            reserved,
            turns: turns.clone(),
        };
        gates.insert(function.to_owned(), gate);
        turns
    }
}

#[cfg(test)]
mod tests {
    use tasks::Time;

    use super::*;

    #[tokio::test]
    async fn as_many_pass_as_are_reserved_and_the_others_wait() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let gates = Gates::default();
        let first = gates.turn("f", 1, &clock).await;
        assert!(first.is_some());
        assert!(gates.turn("g", 1, &clock).await.is_some(), "its own gate");
        let late = async {
            tokio::task::yield_now().await;
            control.advance(TURN_MAX);
        };
        let (second, ()) = tokio::join!(gates.turn("f", 1, &clock), late);
        assert!(second.is_none());
        drop(first);
        assert!(gates.turn("f", 1, &clock).await.is_some());
    }

    #[tokio::test]
    async fn gates_of_nobody_are_forgotten() {
        let (clock, _control) = Clock::virtual_at(Time::EPOCH);
        let gates = Gates::default();
        for n in 0..100 {
            assert!(gates.turn(&n.to_string(), 1, &clock).await.is_some());
        }
        assert_eq!(gates.0.lock().unwrap().len(), 1);
    }
}
