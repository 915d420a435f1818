//! What is due when, and the loop that does it.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tasks::{Clock, Progress, Tasks, Time, WorkError, Worker};
use tokio::sync::Notify;

/// Keys whose turn comes at once: what they write shares commits of the store.
const AT_ONCE_MAX: usize = 64;
/// Keys of one unit of work.
const DUE_MAX: usize = 1_024;
/// The longest wait, should a clock jump.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After a failure; the others go on meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// The next time of everything that has one.
#[derive(Debug)]
pub struct Agenda<K> {
    entries: Mutex<Entries<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entries<K> {
    next: HashMap<K, Time>,
    order: BTreeSet<(Time, K)>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Agenda<K> {
        Agenda {
            entries: Mutex::new(Entries {
                next: HashMap::new(),
                order: BTreeSet::new(),
            }),
            changed: Notify::new(),
        }
    }
}

impl<K: Clone + Ord + Hash> Agenda<K> {
    fn entries(&self) -> MutexGuard<'_, Entries<K>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: it has no next time any more.
    pub fn set(&self, key: &K, next: Option<Time>) {
        let mut entries = self.entries();
        let before = match next {
            Some(next) => entries.next.insert(key.clone(), next),
            None => entries.next.remove(key),
        };
        if before == next {
            return;
        }
        if let Some(before) = before {
            entries.order.remove(&(before, key.clone()));
        }
        if let Some(next) = next {
            entries.order.insert((next, key.clone()));
        }
        drop(entries);
        self.changed.notify_one();
    }

    /// What is due, the oldest first, not more than one unit of work.
    fn due(&self, now: Time) -> Vec<K> {
        let entries = self.entries();
        let due = entries.order.iter().take_while(|(next, _)| *next <= now);
        due.take(DUE_MAX).map(|(_, key)| key.clone()).collect()
    }

    /// Returns when something may be due. Cancel-safe.
    async fn wait(&self, clock: &Clock) {
        let first = self.entries().order.first().map(|(first, _)| *first);
        let wait = first.map_or(WAIT_MAX, |first| first.since(clock.now()).min(WAIT_MAX));
        tokio::select! {
            () = self.changed.notified() => {}
            () = clock.sleep(wait) => {}
        }
    }
}

/// Who does what is on an agenda.
#[async_trait]
pub trait Agent: Send + Sync {
    type Key: Clone + Ord + Hash + Debug + Send + Sync;

    fn agenda(&self) -> &Agenda<Self::Key>;

    /// Does what is due of one key, and sets its next time. Several keys have their turn at once. After a
    /// failure it is asked again a little later.
    async fn tick(&self, key: &Self::Key) -> Result<(), WorkError>;
}

/// The loop of an [`Agent`].
pub struct Ticker<A: Agent> {
    name: &'static str,
    agent: A,
    clock: Clock,
}

impl<A: Agent> Ticker<A> {
    pub fn new(name: &'static str, agent: A, tasks: &Tasks) -> Ticker<A> {
        Ticker {
            name,
            agent,
            clock: tasks.clock().clone(),
        }
    }

    async fn turn(&self, key: &A::Key) {
        if let Err(error) = self.agent.tick(key).await {
            tracing::warn!(loop_name = self.name, ?key, %error, "a tick waits");
            let again = self.clock.now() + AGAIN;
            self.agent.agenda().set(key, Some(again));
        }
    }
}

#[async_trait]
impl<A: Agent> Worker for Ticker<A> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn wait(&mut self) {
        self.agent.agenda().wait(&self.clock).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        for some in self
            .agent
            .agenda()
            .due(self.clock.now())
            .chunks(AT_ONCE_MAX)
        {
            join_all(some.iter().map(|key| self.turn(key))).await;
        }
        Ok(Progress::More)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use tasks::{ClockControl, Ids};

    use super::*;

    const START: Time = Time::from_unix_secs(1_700_000_000);

    /// Every key ticks once a minute; some cannot.
    #[derive(Default)]
    struct Minutes {
        agenda: Agenda<u32>,
        ticked: Mutex<Vec<u32>>,
        broken: Mutex<Option<u32>>,
    }

    struct Hand(Arc<Minutes>);

    #[async_trait]
    impl Agent for Hand {
        type Key = u32;

        fn agenda(&self) -> &Agenda<u32> {
            &self.0.agenda
        }

        async fn tick(&self, key: &u32) -> Result<(), WorkError> {
            let Minutes {
                agenda,
                ticked,
                broken,
            } = &*self.0;
            if *broken.lock().unwrap() == Some(*key) {
                return Err("broken".into());
            }
            ticked.lock().unwrap().push(*key);
            let before = agenda.entries().next.get(key).copied();
            let next = before.map(|before| before + Duration::from_secs(60));
            agenda.set(key, next);
            Ok(())
        }
    }

    struct House {
        minutes: Arc<Minutes>,
        control: ClockControl,
        /// The loop ends with it.
        _tasks: Tasks,
    }

    impl House {
        fn new() -> House {
            let (clock, control) = Clock::virtual_at(START);
            let tasks = Tasks::new(clock, Ids::seeded(1));
            let minutes = Arc::new(Minutes::default());
            tasks.add(Ticker::new("minutes", Hand(minutes.clone()), &tasks));
            House {
                minutes,
                control,
                _tasks: tasks,
            }
        }

        async fn pass(&self, seconds: u64) -> Vec<u32> {
            for step in [0, seconds] {
                self.control.advance(Duration::from_secs(step));
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
            }
            std::mem::take(&mut *self.minutes.ticked.lock().unwrap())
        }
    }

    #[tokio::test]
    async fn what_is_due_has_its_turn_the_oldest_first() {
        let house = House::new();
        let at = |seconds| Some(START + Duration::from_secs(seconds));
        house.minutes.agenda.set(&1, at(20));
        house.minutes.agenda.set(&2, at(10));
        house.minutes.agenda.set(&3, at(30));
        assert_eq!(house.pass(9).await, []);
        assert_eq!(house.pass(11).await, [2, 1]);
        house.minutes.agenda.set(&3, None);
        house.minutes.agenda.set(&2, at(25));
        assert_eq!(house.pass(10).await, [2]);
    }

    #[tokio::test]
    async fn one_that_fails_holds_up_nobody_and_is_tried_again() {
        let house = House::new();
        *house.minutes.broken.lock().unwrap() = Some(1);
        house.minutes.agenda.set(&1, Some(START));
        house
            .minutes
            .agenda
            .set(&2, Some(START + Duration::from_secs(1)));
        assert_eq!(house.pass(1).await, [2]);
        assert_eq!(house.pass(5).await, []);
        *house.minutes.broken.lock().unwrap() = None;
        assert_eq!(house.pass(1).await, [1]);
    }
}
