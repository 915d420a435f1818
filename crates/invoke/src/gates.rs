//! Where the events of a function wait for their turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasks::{Clock, Mono};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest wait for a turn of a function that runs as much as it may; then the call is tried, and refused if
/// the function is still full.
const TURN_MAX: Duration = Duration::from_secs(5);
/// How long events wait before the function runs more of them at once.
const GROW_AFTER: Duration = Duration::from_millis(500);
/// The same while environments are being started: those who wait may need no other.
const GROW_AFTER_START: Duration = Duration::from_secs(5);
/// A function that is done so soon gains nothing from more environments: what waits has its turn sooner
/// than one could be started.
const SHORT: Duration = Duration::from_millis(20);
/// Turns of a function at first, for each processor.
const FIRST_PER_PROCESSOR: usize = 4;

/// A gate for each function that has events.
///
/// A function that is flooded runs a few at once, and more only while that helps: otherwise all that the
/// queue gives would start an environment each. Reserved concurrency is the most: without a gate what is
/// beyond it would be refused, written back and tried again later, while the function has time.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

struct Gate {
    most: usize,
    turns: Arc<Semaphore>,
    ramp: Mutex<Ramp>,
}

/// How many run at once. Pure.
#[derive(Debug)]
struct Ramp {
    turns: usize,
    most: usize,
    /// When it was last looked at or grew.
    since: Mono,
    /// How long the last run since then took.
    took: Option<Duration>,
}

impl Ramp {
    /// Turns to add while events wait.
    fn grow(&mut self, now: Mono, is_starting: bool) -> usize {
        let after = match is_starting {
            true => GROW_AFTER_START,
            false => GROW_AFTER,
        };
        if now.since(self.since) < after {
            return 0;
        }
        self.since = now;
        if self.took.take().is_some_and(|took| took < SHORT) {
            return 0;
        }
        let more = self.turns.min(self.most - self.turns);
        self.turns += more;
        more
    }
}

/// The turn of one event, held while it runs.
pub(crate) struct Turn {
    gate: Arc<Gate>,
    begun: Mono,
    clock: Clock,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.clock.monotonic().since(self.begun);
        self.gate.ramp().took = Some(took);
    }
}

impl Gate {
    fn new(most: usize, now: Mono) -> Gate {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = most.min(processors * FIRST_PER_PROCESSOR);
        Gate {
            most,
            turns: Arc::new(Semaphore::new(turns)),
            ramp: Mutex::new(Ramp {
                turns,
                most,
                since: now,
                took: None,
            }),
        }
    }

    fn ramp(&self) -> MutexGuard<'_, Ramp> {
        self.ramp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets more run if that helps; whether it is open as far as it goes.
    fn grow(&self, now: Mono, is_starting: bool) -> bool {
        let mut ramp = self.ramp();
        let more = ramp.grow(now, is_starting);
        let is_open = ramp.turns == ramp.most;
        drop(ramp);
        self.turns.add_permits(more);
        is_open
    }
}

impl Gates {
    /// A turn of the function, of which at most `most` run at once; `None` after too long a wait.
    /// `is_starting` tells whether environments are being started.
    pub(crate) async fn turn(
        &self,
        function: &str,
        most: usize,
        clock: &Clock,
        is_starting: impl Fn() -> bool,
    ) -> Option<Turn> {
        let asked = clock.monotonic();
        let gate = self.of(function, most, asked);
        loop {
            let turn = clock.timeout(GROW_AFTER, gate.turns.clone().acquire_owned());
            let now = match turn.await {
                Ok(permit) => {
                    return Some(Turn {
                        _permit: permit.ok()?,
                        begun: clock.monotonic(),
                        clock: clock.clone(),
                        gate,
                    });
                }
                Err(_) => clock.monotonic(),
            };
            let is_open = gate.grow(now, is_starting());
            if is_open && now.since(asked) >= TURN_MAX {
                return None;
            }
        }
    }

    fn of(&self, function: &str, most: usize, now: Mono) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits at a gate that only the map holds, and who has a turn holds it too.
        if let Some(gate) = gates.get(function)
            && gate.most == most
            && Arc::strong_count(gate) > 1
        {
            return gate.clone();
        }
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = Arc::new(Gate::new(most, now));
        gates.insert(function.to_owned(), gate.clone());
        gate
    }
}

#[cfg(test)]
mod tests {
    use tasks::Time;

    use super::*;

    async fn turn(gates: &Gates, function: &str, clock: &Clock) -> Option<Turn> {
        gates.turn(function, 1, clock, || false).await
    }

    #[tokio::test]
    async fn as_many_pass_as_are_reserved_and_the_others_wait() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let gates = Gates::default();
        let first = turn(&gates, "f", &clock).await;
        assert!(first.is_some());
        assert!(turn(&gates, "g", &clock).await.is_some(), "its own gate");
        let late = async {
            tokio::task::yield_now().await;
            control.advance(TURN_MAX);
        };
        let (second, ()) = tokio::join!(turn(&gates, "f", &clock), late);
        assert!(second.is_none());
        drop(first);
        assert!(turn(&gates, "f", &clock).await.is_some());
    }

    #[tokio::test]
    async fn gates_of_nobody_are_forgotten() {
        let (clock, _control) = Clock::virtual_at(Time::EPOCH);
        let gates = Gates::default();
        for n in 0..100 {
            assert!(turn(&gates, &n.to_string(), &clock).await.is_some());
        }
        assert_eq!(gates.0.lock().unwrap().len(), 1);
    }

    /// What happened in each half of a second, and how many may run after it.
    #[test]
    fn more_run_only_while_that_helps() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));
        for (name, steps) in [
            (
                "nothing ends",
                &[(None, false, 8), (None, false, 16), (None, false, 20)][..],
            ),
            ("long runs", &[(Some(long), false, 8), (None, false, 16)]),
            ("short runs", &[(Some(short), false, 4), (None, false, 8)]),
            ("a start", &[(None, true, 4), (None, true, 4)]),
        ] {
            let mut ramp = Ramp {
                turns: 4,
                most: 20,
                since: clock.monotonic(),
                took: None,
            };
            for (took, is_starting, expected) in steps {
                ramp.took = *took;
                control.advance(GROW_AFTER);
                ramp.grow(clock.monotonic(), *is_starting);
                assert_eq!(ramp.turns, *expected, "{name}");
                let again = ramp.grow(clock.monotonic(), *is_starting);
                assert_eq!(again, 0, "{name}: too soon");
            }
            control.advance(GROW_AFTER_START);
            assert!(
                ramp.grow(clock.monotonic(), true) > 0 || ramp.turns == 20,
                "{name}"
            );
        }
    }
}
