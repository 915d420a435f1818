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
    Real {
        start: std::time::Instant,
        even: Even,
    },
    Virtual(Arc<Mutex<Virtual>>),
    Moved(Arc<Moved>),
}

/// Where a steady time began, and what had passed since the machine's start by then.
#[derive(Clone, Copy)]
struct Even {
    begun: Time,
    boot: Duration,
}

impl Even {
    fn now(self) -> Time {
        self.begun.after(since_boot().saturating_sub(self.boot))
    }
}

/// Also while the machine was suspended.
fn since_boot() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let secs = u64::try_from(at.tv_sec).unwrap_or_default();
    Duration::from_secs(secs) + Duration::from_nanos(u64::try_from(at.tv_nsec).unwrap_or_default())
}

const SECOND_US: i64 = 1_000_000;

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
    /// What the wall clock would show had nobody set it.
    steady: Time,
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
            even: Even {
                begun: wall(),
                boot: since_boot(),
            },
        })
    }

    /// A clock that stands still until its control moves it.
    pub fn virtual_at(wall: Time) -> (Clock, ClockControl) {
        let inner = Arc::new(Mutex::new(Virtual {
            wall,
            steady: wall,
            mono: 0,
            next_waiter: 0,
            waiters: BTreeMap::new(),
        }));
        (Clock(Kind::Virtual(inner.clone())), ClockControl(inner))
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual(_))
    }

    pub(crate) fn of(moved: Arc<Moved>) -> Clock {
        Clock(Kind::Moved(moved))
    }

    /// What the wall clock shows. Somebody may set it, forward or back.
    pub fn now(&self) -> Time {
        match &self.0 {
            Kind::Real { .. } => wall(),
            Kind::Virtual(inner) => lock(inner).wall,
            Kind::Moved(moved) => moved.now(),
        }
    }

    /// A time that passes evenly, for what lasts as long as it was promised: it goes on from what the wall clock
    /// showed at the beginning, whatever anybody sets that to. To be shown through [`Clock::shown`].
    pub fn steady(&self) -> Time {
        match &self.0 {
            Kind::Real { even, .. } => even.now(),
            Kind::Virtual(inner) => lock(inner).steady,
            Kind::Moved(moved) => moved.now(),
        }
    }

    /// What the wall clock, as it is set now, showed or will show at a steady time.
    pub fn shown(&self, steady: Time) -> Time {
        Time::from_unix_micros(steady.unix_micros().saturating_add(self.set_us()))
    }

    /// By how many microseconds the wall clock was set since the steady time began, in whole seconds: two
    /// clocks are read one after the other.
    pub fn set_us(&self) -> i64 {
        let steady = self.steady().unix_micros();
        let by = self.now().unix_micros().saturating_sub(steady);
        by.saturating_add(SECOND_US / 2).div_euclid(SECOND_US) * SECOND_US
    }

    /// The same clock for what began when the wall clock had not been set by so much.
    #[must_use]
    pub fn set_before(&self, set_us: i64) -> Clock {
        match &self.0 {
            Kind::Real { start, even } => {
                let begun = even.begun.unix_micros().saturating_sub(set_us);
                let begun = Time::from_unix_micros(begun);
                Clock(Kind::Real {
                    start: *start,
                    even: Even { begun, ..*even },
                })
            }
            Kind::Virtual(_) | Kind::Moved(_) => self.clone(),
        }
    }

    /// For durations; never goes back.
    pub fn monotonic(&self) -> Mono {
        match &self.0 {
            Kind::Real { start, .. } => {
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

#[allow(clippy::disallowed_methods)] // the one place
fn wall() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Time::EPOCH.after(since)
}

impl ClockControl {
    /// Moves wall and monotonic time forward and wakes what became due.
    pub fn advance(&self, by: Duration) {
        let mut inner = lock(&self.0);
        inner.wall = inner.wall.after(by);
        inner.steady = inner.steady.after(by);
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

    #[test]
    fn a_steady_time_does_not_care_what_the_clock_is_set_to() {
        let (clock, control) = Clock::virtual_at(Time::from_unix_secs(1_000));
        control.advance(Duration::from_secs(5));
        let sent = clock.steady();
        control.jump_to(Time::from_unix_secs(90_000));
        control.advance(Duration::from_secs(3));
        assert_eq!(clock.steady().since(sent), Duration::from_secs(3));
        assert_eq!(clock.shown(sent), Time::from_unix_secs(90_000));
        assert_eq!(clock.set_us(), (90_000 - 1_005) * 1_000_000);
    }

    #[test]
    fn a_restart_goes_on_from_before_the_clock_was_set() {
        let clock = Clock::real();
        let before = clock.set_before(3_600_000_000);
        let behind = clock.steady().since(before.steady());
        assert!(behind.abs_diff(Duration::from_secs(3_600)) < Duration::from_secs(60));
        let shown = before.shown(before.steady()).since(Time::EPOCH);
        let now = before.now().since(Time::EPOCH);
        assert!(shown.abs_diff(now) < Duration::from_secs(60));
    }

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
