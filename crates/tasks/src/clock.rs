use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::Time;
use crate::movable::Moved;

/// Reads the time and waits for it. Clones share one clock.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    Real { start: std::time::Instant },
    Virtual(Arc<Mutex<Virtual>>),
    Moved(Arc<Moved>),
}

/// A reading of the monotonic clock, nanoseconds from an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mono(u64);

impl Mono {
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The wait ended before the future did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Moves a virtual clock.
#[derive(Clone)]
pub struct ClockControl(Arc<Mutex<Virtual>>);

struct Virtual {
    wall: Time,
    mono: u64,
    next_waiter: u64,
    waiters: BTreeMap<(u64, u64), std::task::Waker>,
}

fn lock(inner: &Mutex<Virtual>) -> MutexGuard<'_, Virtual> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock {
    /// The machine's clock.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn real() -> Clock {
        Clock(Kind::Real {
            start: std::time::Instant::now(),
        })
    }

    /// A clock that stands still until its control moves it.
    pub fn virtual_at(wall: Time) -> (Clock, ClockControl) {
        let inner = Arc::new(Mutex::new(Virtual {
            wall,
            mono: 0,
            next_waiter: 0,
            waiters: BTreeMap::new(),
        }));
        (Clock(Kind::Virtual(inner.clone())), ClockControl(inner))
    }

    pub(crate) fn of(moved: Arc<Moved>) -> Clock {
        Clock(Kind::Moved(moved))
    }

    #[allow(clippy::disallowed_methods)] // the one place
    pub fn now(&self) -> Time {
        match &self.0 {
            Kind::Real { .. } => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                Time::EPOCH.after(since)
            }
            Kind::Virtual(inner) => lock(inner).wall,
            Kind::Moved(moved) => moved.now(),
        }
    }

    /// For durations; never goes back.
    pub fn monotonic(&self) -> Mono {
        match &self.0 {
            Kind::Real { start } => {
                Mono(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Kind::Virtual(inner) => Mono(lock(inner).mono),
            Kind::Moved(moved) => moved.machine().monotonic(),
        }
    }

    /// Cancel-safe.
    #[allow(clippy::disallowed_methods)] // the one place
    pub async fn sleep(&self, wait: Duration) {
        match &self.0 {
            Kind::Real { .. } => tokio::time::sleep(wait).await,
            Kind::Virtual(inner) => VirtualSleep::new(inner.clone(), wait).await,
            // The machine's clock below is no movable one: the future has a size.
            Kind::Moved(moved) => Box::pin(moved.sleep(wait)).await,
        }
    }

    pub async fn sleep_until(&self, when: Time) {
        self.sleep(when.since(self.now())).await;
        // A movable clock may stand still.
        while let Kind::Moved(moved) = &self.0
            && moved.now() < when
        {
            self.sleep(when.since(self.now())).await;
        }
    }

    /// Runs `work` for at most `limit`; drops it then.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, Elapsed> {
        let clock = match &self.0 {
            Kind::Moved(moved) => moved.machine(),
            Kind::Real { .. } | Kind::Virtual(_) => self,
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = clock.sleep(limit) => Err(Elapsed),
        }
    }
}

impl ClockControl {
    /// Moves wall and monotonic time forward and wakes what became due.
    pub fn advance(&self, by: Duration) {
        let mut inner = lock(&self.0);
        inner.wall = inner.wall.after(by);
        inner.mono = inner
            .mono
            .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX));
        let now = inner.mono;
        let later = inner.waiters.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut inner.waiters, later);
        drop(inner);
        due.into_values().for_each(std::task::Waker::wake);
    }

    /// Sets the wall clock alone, as an operator or NTP does.
    pub fn jump_to(&self, wall: Time) {
        lock(&self.0).wall = wall;
    }
}

struct VirtualSleep {
    inner: Arc<Mutex<Virtual>>,
    key: (u64, u64),
}

impl VirtualSleep {
    fn new(inner: Arc<Mutex<Virtual>>, wait: Duration) -> VirtualSleep {
        let mut state = lock(&inner);
        let due = state
            .mono
            .saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        state.next_waiter += 1;
        let key = (due, state.next_waiter);
        drop(state);
        VirtualSleep { inner, key }
    }
}

impl Future for VirtualSleep {
    type Output = ();
    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let mut state = lock(&self.inner);
        if state.mono >= self.key.0 {
            return Poll::Ready(());
        }
        state.waiters.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        lock(&self.inner).waiters.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_virtual_sleep_ends_when_the_control_says_so() {
        let (clock, control) = Clock::virtual_at(Time::from_unix_secs(100));
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(5)));
        assert!(futures_poll(&mut sleep).is_pending());
        control.advance(Duration::from_secs(4));
        assert!(futures_poll(&mut sleep).is_pending());
        control.advance(Duration::from_secs(1));
        assert!(futures_poll(&mut sleep).is_ready());
        assert_eq!(clock.now(), Time::from_unix_secs(105));
    }

    #[tokio::test]
    async fn a_wall_clock_jump_ends_no_sleep() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(5)));
        assert!(futures_poll(&mut sleep).is_pending());
        control.jump_to(Time::from_unix_secs(1_000));
        assert!(futures_poll(&mut sleep).is_pending());
    }

    fn futures_poll<F: Future + Unpin>(f: &mut F) -> Poll<F::Output> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(f).poll(&mut cx)
    }
}
