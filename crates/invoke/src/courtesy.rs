//! How events step back while callers wait for answers.
//!
//! A flood of events would take every processor and put each call in a long line. While calls come in and the
//! server has little idle time left, events begin at a pace that leaves some. Each begins after
//! [`WAIT_MAX`] at the latest, however busy the host is; without callers none waits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasks::{Clock, Mono};

/// So long after a call has begun or ended, events are on their own again.
const MEMORY: Duration = Duration::from_millis(200);
/// How often the pace is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The share of time that the server may be at work: a call comes at any moment, and finds it idle mostly.
const BUSY_MAX: f64 = 0.3;
/// Events that begin each second at least, and from how many on nobody counts.
const RATE_MIN: f64 = 200.0;
const RATE_MAX: f64 = 20_000.0;
/// Slower by, faster by, at each look.
const SLOWER: f64 = 0.7;
const FASTER: f64 = 1.1;
/// Events that begin at once when time for them has passed.
const AT_ONCE_MAX: f64 = 2.0;
/// Longest wait of one event.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Who waits for whom.
pub(crate) struct Courtesy {
    clock: Clock,
    pace: Mutex<Pace>,
    /// One event at a time waits for the pace, the others behind it in order.
    head: tokio::sync::Mutex<()>,
}

/// Tells when the call is over.
pub(crate) struct Waiting<'a>(&'a Courtesy);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.called();
    }
}

impl Courtesy {
    pub(crate) fn new(clock: &Clock) -> Courtesy {
        Courtesy {
            clock: clock.clone(),
            pace: Mutex::new(Pace::new(clock.monotonic())),
            head: tokio::sync::Mutex::new(()),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(crate) fn call(&self) -> Waiting<'_> {
        self.called();
        Waiting(self)
    }

    fn called(&self) {
        self.pace().called = Some(self.clock.monotonic());
    }

    /// Whether somebody waits for an answer, or did a moment ago.
    pub(crate) fn is_called(&self) -> bool {
        self.pace().is_called(self.clock.monotonic())
    }

    /// Returns when an event may begin.
    pub(crate) async fn turn(&self) {
        if self.wait().is_none() {
            return;
        }
        let _ = self.clock.timeout(WAIT_MAX, self.stand()).await;
    }

    async fn stand(&self) {
        let _head = self.head.lock().await;
        while let Some(wait) = self.wait() {
            self.clock.sleep(wait).await;
        }
    }

    /// How long to wait before asking again; `None`: the event begins.
    fn wait(&self) -> Option<Duration> {
        let (now, busy) = (self.clock.monotonic(), tasks::busy(&self.clock));
        self.pace().wait(now, busy)
    }
}

/// How fast events begin. Pure.
#[derive(Debug)]
struct Pace {
    /// When a call began or ended last.
    called: Option<Mono>,
    /// Events each second.
    rate: f64,
    /// Events that may begin now, and since when they are counted.
    free: f64,
    filled: Mono,
    /// The last look, how busy the server had been by then, and what began since.
    looked: Mono,
    busy: Duration,
    begun: u32,
}

impl Pace {
    fn new(now: Mono) -> Pace {
        Pace {
            called: None,
            rate: RATE_MAX,
            free: AT_ONCE_MAX,
            filled: now,
            looked: now,
            busy: Duration::ZERO,
            begun: 0,
        }
    }

    /// `busy` is how long the server has been at work since it began.
    fn wait(&mut self, now: Mono, busy: Duration) -> Option<Duration> {
        self.look(now, busy);
        if self.rate >= RATE_MAX || !self.is_called(now) {
            self.begun += 1;
            return None;
        }
        let filled = now.since(self.filled).as_secs_f64() * self.rate;
        self.free = (self.free + filled).min(AT_ONCE_MAX);
        self.filled = now;
        if self.free >= 1.0 {
            self.free -= 1.0;
            self.begun += 1;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - self.free) / self.rate))
    }

    fn is_called(&self, now: Mono) -> bool {
        self.called.is_some_and(|called| now.since(called) < MEMORY)
    }

    fn look(&mut self, now: Mono, busy: Duration) {
        let passed = now.since(self.looked);
        if passed < LOOK {
            return;
        }
        let share = busy.saturating_sub(self.busy).as_secs_f64() / passed.as_secs_f64();
        let begun = f64::from(self.begun) / passed.as_secs_f64();
        self.rate = match share > BUSY_MAX {
            // From what really began: a rate that was never reached tells nothing.
            true => (self.rate.min(begun) * SLOWER).max(RATE_MIN),
            false => (self.rate * FASTER).min(RATE_MAX),
        };
        (self.looked, self.busy, self.begun) = (now, busy, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;
    use tasks::Time;

    /// Events that begin in a second of which the server works `share` of each ten milliseconds.
    fn begun_in_a_second(share: f64, is_called: bool, seconds: u32) -> u32 {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let mut pace = Pace::new(clock.monotonic());
        let step = Duration::from_micros(100);
        let (mut busy, mut begun) = (Duration::ZERO, 0);
        for n in 0..10_000 * seconds {
            control.advance(step);
            busy += step.mul_f64(share);
            let now = clock.monotonic();
            if is_called {
                pace.called = Some(now);
            }
            let may_begin = pace.wait(now, busy).is_none();
            begun += u32::from(may_begin && n >= 10_000 * (seconds - 1));
        }
        begun
    }

    #[test]
    fn nobody_waits_while_nobody_calls_or_while_there_is_time() {
        // One each time that somebody asks.
        assert_eq!(begun_in_a_second(1.0, false, 3), 10_000);
        assert_eq!(begun_in_a_second(0.2, true, 3), 10_000);
    }

    #[test]
    fn a_busy_server_begins_few_and_some_always() {
        let begun = begun_in_a_second(0.9, true, 3);
        assert!((150..=250).contains(&begun), "{begun}");
    }

    #[test]
    fn what_was_slowed_down_is_quick_again_soon() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let mut pace = Pace::new(clock.monotonic());
        let mut busy = Duration::ZERO;
        for (share, wanted) in [(1.0, RATE_MIN), (0.0, RATE_MAX)] {
            for _ in 0..100 {
                control.advance(LOOK);
                busy += LOOK.mul_f64(share);
                let now = clock.monotonic();
                pace.called = Some(now);
                pace.wait(now, busy);
            }
            assert!((pace.rate - wanted).abs() < 1.0, "{share}: {}", pace.rate);
        }
    }

    #[tokio::test]
    async fn an_event_waits_a_second_at_most() {
        let (clock, control) = Clock::virtual_at(Time::EPOCH);
        let courtesy = std::sync::Arc::new(Courtesy::new(&clock));
        let _call = courtesy.call();
        {
            let mut pace = courtesy.pace();
            pace.rate = 0.001;
            pace.free = 0.0;
        }
        let waiting = courtesy.clone();
        let mut event: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(async move { waiting.turn().await });
        let is_over = |event: &mut Pin<Box<dyn Future<Output = ()>>>| {
            let mut cx = Context::from_waker(Waker::noop());
            event.as_mut().poll(&mut cx).is_ready()
        };
        assert!(!is_over(&mut event));
        control.advance(WAIT_MAX / 2);
        drop(courtesy.call());
        assert!(!is_over(&mut event));
        control.advance(WAIT_MAX);
        assert!(is_over(&mut event));
    }
}
