//! What is kept ready for cold starts: sandboxes without a function, and runtimes that wait for one.
//!
//! Each is used once, by one function, and ends with it. How many there are follows from recent
//! demand; they are made in the background when no start is under way.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tasks::{Clock, Mono, Progress, WorkError, Worker};
use tokio::sync::Notify;

use super::link::Forkable;
use super::prepared::{Failed, Order, Prepared, keep};
use super::{Namespaces, SETUP_MAX, backend};
use crate::helper::Reach;
use crate::{Kept, StartError, Waiting};

/// Sandboxes that are ready while nobody asks.
const SANDBOXES_IDLE: usize = 2;
/// Processes of one key that wait at most.
const WAITING_PER_KEY_MAX: usize = 4;
/// Keys that are kept in mind.
const KEYS_MAX: usize = 64;
/// Nobody asked for so long: what waits for the key ends.
const KEY_KEEP: Duration = Duration::from_secs(300);
/// After so many waiting processes of a key in a row that ended by themselves no more are made for it,
/// until nobody has asked for a while.
const FAILURES_MAX: u32 = 3;
/// What is used up is made again when no start was under way for so long,
const QUIET: Duration = Duration::from_millis(4);
/// or, while starts go on, at this pace.
const PACE: Duration = Duration::from_millis(40);
/// How often demand is looked at while nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many starts were asked for in each of the last seconds.
#[derive(Debug, Default)]
struct Demand {
    /// Second and count, newest last.
    seconds: VecDeque<(u64, usize)>,
}

impl Demand {
    /// Demand is remembered for so many seconds.
    const SECONDS: u64 = 60;

    fn note(&mut self, second: u64) {
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        self.forget(second);
    }

    fn forget(&mut self, now: u64) {
        while let Some((second, _)) = self.seconds.front()
            && second + Demand::SECONDS <= now
        {
            self.seconds.pop_front();
        }
    }

    /// Starts in the busiest of the seconds.
    fn busiest(&mut self, now: u64) -> usize {
        self.forget(now);
        self.seconds.iter().map(|(_, n)| *n).max().unwrap_or(0)
    }
}

/// Sandboxes or processes of one kind.
#[derive(Default)]
struct Shelf {
    ready: Vec<Prepared>,
    demand: Demand,
    /// The second in which it was last asked for.
    asked: u64,
    failures: u32,
}

#[derive(Default)]
struct Shelves {
    sandboxes: HashMap<Reach, Shelf>,
    waiting: HashMap<(Arc<Waiting>, Reach), Shelf>,
}

/// What the pool lacks or has too much of.
enum Task {
    Sandbox(Reach),
    Waiting(Arc<Waiting>, Reach),
    End(Vec<Prepared>),
}

pub(super) struct Pool {
    sandboxes_max: usize,
    waiting_max: usize,
    clock: Clock,
    since: Mono,
    shelves: Mutex<Shelves>,
    forkable: Arc<Forkable>,
    /// Starts under way.
    starting: AtomicUsize,
    is_shut: AtomicBool,
    changed: Notify,
}

/// A start is under way while it lives.
pub(super) struct Starting<'a>(&'a Pool);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.starting.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

impl Pool {
    /// `first`: what is kept ready before anybody asks.
    pub(super) fn new(
        sandboxes_max: usize,
        waiting_max: usize,
        first: Option<Reach>,
        forkable: Arc<Forkable>,
        clock: Clock,
    ) -> Pool {
        let mut shelves = Shelves::default();
        if let Some(reach) = first {
            shelves.sandboxes.insert(reach, Shelf::default());
        }
        let changed = Notify::new();
        changed.notify_one();
        Pool {
            sandboxes_max,
            waiting_max,
            since: clock.monotonic(),
            clock,
            shelves: Mutex::new(shelves),
            forkable,
            starting: AtomicUsize::new(0),
            is_shut: AtomicBool::new(false),
            changed,
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.sandboxes_max > 0 || self.waiting_max > 0
    }

    fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second(&self) -> u64 {
        self.clock.monotonic().since(self.since).as_secs()
    }

    pub(super) fn starting(&self) -> Starting<'_> {
        self.starting.fetch_add(1, Ordering::SeqCst);
        Starting(self)
    }

    /// A sandbox that nobody had, if one is ready.
    pub(super) fn sandbox(&self, reach: Reach) -> Option<Prepared> {
        if self.sandboxes_max == 0 {
            return None;
        }
        let second = self.second();
        self.shelves()
            .sandboxes
            .entry(reach)
            .or_default()
            .take(second)
    }

    /// A process that waits for a function of this key, if one is ready.
    pub(super) fn waiting(&self, waiting: &Arc<Waiting>, reach: Reach) -> Option<Prepared> {
        if self.waiting_max == 0 {
            return None;
        }
        let second = self.second();
        let mut shelves = self.shelves();
        let key = (waiting.clone(), reach);
        if shelves.waiting.len() >= KEYS_MAX && !shelves.waiting.contains_key(&key) {
            return None;
        }
        shelves.waiting.entry(key).or_default().take(second)
    }

    /// A waiting process ended before it had a function, or could not be made.
    pub(super) fn failed(&self, waiting: &Arc<Waiting>, reach: Reach) {
        let mut shelves = self.shelves();
        if let Some(shelf) = shelves.waiting.get_mut(&(waiting.clone(), reach)) {
            shelf.failures += 1;
            if shelf.failures == FAILURES_MAX {
                tracing::warn!(key = %waiting.key, "its waiting processes end by themselves; none is kept any more");
            }
        }
    }

    pub(super) fn kept(&self) -> Kept {
        let shelves = self.shelves();
        Kept {
            sandboxes: shelves.sandboxes.values().map(|s| s.ready.len()).sum(),
            waiting: shelves.waiting.values().map(|s| s.ready.len()).sum(),
        }
    }

    /// Ends everything and makes nothing any more.
    pub(super) fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
        *self.shelves() = Shelves::default();
        self.changed.notify_one();
    }

    fn put(&self, prepared: Prepared, shelf: impl FnOnce(&mut Shelves) -> Option<&mut Shelf>) {
        let mut shelves = self.shelves();
        // Without a shelf there is no demand any more: dropping ends it.
        if let Some(shelf) = shelf(&mut shelves).filter(|_| !self.is_shut()) {
            shelf.ready.push(prepared);
        }
    }

    /// A fork needs an interpreter to be forked from.
    fn can_wait(&self, waiting: &Waiting) -> bool {
        !waiting.is_fork || keep(waiting).kind().is_some_and(|k| self.forkable.has(&k))
    }

    /// What is to be done next.
    fn task(&self) -> Option<Task> {
        let now = self.second();
        let mut shelves = self.shelves();
        let surplus = shelves.surplus(now, self.sandboxes_max);
        if !surplus.is_empty() {
            return Some(Task::End(surplus));
        }
        let max = self.sandboxes_max;
        for (reach, shelf) in &mut shelves.sandboxes {
            if shelf.ready.len() < shelf.wanted(now, SANDBOXES_IDLE, max) {
                return Some(Task::Sandbox(*reach));
            }
        }
        // Forks and processes each have the whole room: forks cost little and would leave the others none.
        let forks = shelves.waiting_now(true) >= self.waiting_max;
        let processes = shelves.waiting_now(false) >= self.waiting_max;
        for ((waiting, reach), shelf) in &mut shelves.waiting {
            let wanted = shelf.wanted(now, 1, WAITING_PER_KEY_MAX);
            let is_full = if waiting.is_fork { forks } else { processes };
            let is_due = shelf.ready.len() < wanted && shelf.failures < FAILURES_MAX;
            if is_due && !is_full && self.can_wait(waiting) {
                return Some(Task::Waiting(waiting.clone(), *reach));
            }
        }
        None
    }
}

impl Shelves {
    /// How many wait now: forks, or processes of their own.
    fn waiting_now(&self, is_fork: bool) -> usize {
        let of_kind = self
            .waiting
            .iter()
            .filter(|((w, _), _)| w.is_fork == is_fork);
        of_kind.map(|(_, shelf)| shelf.ready.len()).sum()
    }

    /// Takes out what ended, and what there is no demand for any more.
    fn surplus(&mut self, now: u64, sandboxes_max: usize) -> Vec<Prepared> {
        let mut out = Vec::new();
        for shelf in self.sandboxes.values_mut() {
            let wanted = shelf.wanted(now, SANDBOXES_IDLE, sandboxes_max);
            out.extend(shelf.take_surplus(wanted));
        }
        for shelf in self.waiting.values_mut() {
            let is_old = shelf.asked + KEY_KEEP.as_secs() <= now;
            let wanted = shelf.wanted(now, 1, WAITING_PER_KEY_MAX);
            out.extend(shelf.take_surplus(if is_old { 0 } else { wanted }));
        }
        self.waiting
            .retain(|_, shelf| shelf.asked + KEY_KEEP.as_secs() > now);
        out
    }
}

impl Shelf {
    fn take(&mut self, second: u64) -> Option<Prepared> {
        self.asked = second;
        self.demand.note(second);
        // One that is dead already ends with this loop.
        while let Some(prepared) = self.ready.pop() {
            if prepared.is_alive() {
                self.failures = 0;
                return Some(prepared);
            }
            self.failures += 1;
        }
        None
    }

    fn wanted(&mut self, now: u64, min: usize, max: usize) -> usize {
        self.demand.busiest(now).max(min).min(max)
    }

    fn take_surplus(&mut self, wanted: usize) -> Vec<Prepared> {
        let mut out: Vec<_> = self.ready.extract_if(.., |p| !p.is_alive()).collect();
        self.failures += u32::try_from(out.len()).unwrap_or(u32::MAX);
        if self.ready.len() > wanted {
            out.extend(self.ready.drain(..self.ready.len() - wanted));
        }
        out
    }
}

/// Makes what the pool lacks, one at a time.
pub(super) struct Keeper {
    pool: Arc<Pool>,
    namespaces: Weak<Namespaces>,
}

impl Keeper {
    pub(super) fn of(namespaces: &Arc<Namespaces>) -> Keeper {
        Keeper {
            pool: namespaces.pool.clone(),
            namespaces: Arc::downgrade(namespaces),
        }
    }

    async fn do_it(&self, task: Task, namespaces: &Namespaces) -> Result<(), StartError> {
        let prepare = async |reach, order| {
            let work = namespaces.prepare(reach, order);
            let in_time = self.pool.clock.timeout(SETUP_MAX, work).await;
            in_time.unwrap_or_else(|_| Err(backend("it took too long").into()))
        };
        match task {
            Task::End(surplus) => {
                for prepared in surplus {
                    prepared.end().await;
                }
            }
            Task::Sandbox(reach) => {
                let made = prepare(reach, None).await.map_err(Failed::into_error)?;
                self.pool.put(made, |all| all.sandboxes.get_mut(&reach));
            }
            Task::Waiting(waiting, reach) => {
                let order = Order::wait(&waiting)?;
                match prepare(reach, Some(&order)).await {
                    Ok(made) => {
                        let key = (waiting, reach);
                        self.pool.put(made, |all| all.waiting.get_mut(&key));
                    }
                    Err(failed) => {
                        self.pool.failed(&waiting, reach);
                        return Err(failed.into_error());
                    }
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Worker for Keeper {
    fn name(&self) -> String {
        "sandbox pool".to_owned()
    }

    async fn wait(&mut self) {
        let (pool, clock) = (&self.pool, &self.pool.clock);
        // Demand sinks without anything happening.
        let changed = async {
            tokio::select! {
                () = pool.changed.notified() => {}
                () = pool.forkable.changed.notified() => {}
            }
        };
        let _ = clock.timeout(LOOK_EVERY, changed).await;
        let quiet = async {
            while !pool.is_shut() {
                clock.sleep(QUIET).await;
                if pool.starting.load(Ordering::SeqCst) == 0 {
                    return;
                }
            }
        };
        // While starts go on it goes on too, slowly.
        let _ = clock.timeout(PACE, quiet).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let Some(namespaces) = self.namespaces.upgrade().filter(|_| !self.pool.is_shut()) else {
            return Ok(Progress::Done);
        };
        if let Some(task) = self.pool.task() {
            self.pool.changed.notify_one(); // there may be more
            self.do_it(task, &namespaces).await?;
        }
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_is_that_of_the_busiest_second_of_the_last_minute() {
        let mut demand = Demand::default();
        for (second, count) in [(1, 3), (2, 9), (40, 5)] {
            for _ in 0..count {
                demand.note(second);
            }
        }
        for (now, want) in [(40, 9), (61, 9), (62, 5), (99, 5), (100, 0)] {
            assert_eq!(demand.busiest(now), want, "second {now}");
        }
    }

    #[test]
    fn what_is_kept_follows_demand_between_its_bounds() {
        let mut shelf = Shelf::default();
        assert_eq!(shelf.wanted(0, 2, 8), 2);
        for _ in 0..20 {
            assert!(shelf.take(0).is_none());
        }
        assert_eq!(shelf.wanted(0, 2, 8), 8);
        assert_eq!(shelf.wanted(0, 2, 100), 20);
        assert_eq!(shelf.wanted(70, 2, 8), 2);
        assert_eq!(shelf.wanted(70, 2, 0), 0);
    }
}
