use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::Time;
use crate::clock::{Clock, Mono};

/// Seconds that pass in one of the machine's at most.
const SPEED_MAX: u32 = 1_000_000;
/// How far one step goes at most: ten years.
const STEP_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Moves the time that a [`Clock`] of [`Clock::movable`] shows. Clones move the same clock.
#[derive(Clone)]
pub struct ClockMover(Arc<Moved>);

/// How a movable clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub now: Time,
    /// Seconds that pass in one of the machine's; zero: it stands still.
    pub speed: u32,
    /// How far it is ahead of the machine's clock.
    pub ahead: Duration,
}

/// What a mover does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooFar {
    #[error("the speed is at most {SPEED_MAX}")]
    Speed,
    #[error("one step is at most ten years")]
    Step,
}

pub(crate) struct Moved {
    machine: Clock,
    going: Mutex<Going>,
    changed: Notify,
}

/// Straight from one change to the next.
#[derive(Clone, Copy)]
struct Going {
    /// What both clocks showed at the last change.
    machine: Mono,
    moved: Time,
    speed: u32,
}

impl Going {
    fn now(self, machine: Mono) -> Time {
        let passed = machine.since(self.machine);
        self.moved.after(passed.saturating_mul(self.speed))
    }
}

impl Moved {
    fn going(&self) -> MutexGuard<'_, Going> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn machine(&self) -> &Clock {
        &self.machine
    }

    pub(crate) fn now(&self) -> Time {
        let machine = self.machine.monotonic();
        self.going().now(machine)
    }

    /// Waits in moved time, and never longer than the same time on the machine's clock: who waits for a
    /// client must not hang because the clock stands still. Who waits for a moment looks again.
    pub(crate) async fn sleep(&self, wait: Duration) {
        let begun = self.machine.monotonic();
        let until = self.now().after(wait);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let machine = self.machine.monotonic();
            let going = *self.going();
            let left = until.since(going.now(machine));
            let patience = wait.saturating_sub(machine.since(begun));
            if left.is_zero() || patience.is_zero() {
                return;
            }
            let nap = match going.speed {
                0 => patience,
                speed => (left / speed).min(patience),
            };
            tokio::select! {
                () = changed => {}
                // Never a busy loop: the division may round down to nothing.
                () = self.machine.sleep(nap.max(Duration::from_micros(100))) => {}
            }
        }
    }
}

impl Clock {
    /// A clock that a mover moves, and the mover. It begins `ahead` of `machine`, at its speed.
    ///
    /// Moved are [`Clock::now`] and what waits for moments; [`Clock::monotonic`] and [`Clock::timeout`], which
    /// watch over work that takes as long as it takes, are those of `machine`.
    pub fn movable(machine: &Clock, ahead: Duration) -> (Clock, ClockMover) {
        let going = Going {
            machine: machine.monotonic(),
            moved: machine.now().after(ahead),
            speed: 1,
        };
        let moved = Arc::new(Moved {
            machine: machine.clone(),
            going: Mutex::new(going),
            changed: Notify::new(),
        });
        (Clock::of(moved.clone()), ClockMover(moved))
    }
}

impl ClockMover {
    pub fn pace(&self) -> Pace {
        let speed = self.0.going().speed;
        let now = self.0.now();
        Pace {
            now,
            speed,
            ahead: now.since(self.0.machine.now()),
        }
    }

    /// From now on so many seconds pass in one of the machine's; zero stops the clock.
    ///
    /// # Errors
    /// The speed is above a million.
    pub fn set_speed(&self, speed: u32) -> Result<(), TooFar> {
        if speed > SPEED_MAX {
            return Err(TooFar::Speed);
        }
        self.change(|going| going.speed = speed);
        Ok(())
    }

    /// Moves the clock forward at once; what became due begins.
    ///
    /// # Errors
    /// The step is over ten years.
    pub fn step(&self, by: Duration) -> Result<(), TooFar> {
        if by > STEP_MAX {
            return Err(TooFar::Step);
        }
        self.change(|going| going.moved = going.moved.after(by));
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Going)) {
        let machine = self.0.machine.monotonic();
        {
            let mut going = self.0.going();
            going.moved = going.now(machine);
            going.machine = machine;
            change(&mut going);
        }
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClockControl;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Time = Time::from_unix_secs(1_000);

    fn clock() -> (Clock, ClockMover, ClockControl) {
        let (machine, control) = Clock::virtual_at(START);
        let (clock, mover) = Clock::movable(&machine, Duration::ZERO);
        (clock, mover, control)
    }

    fn is_over(sleep: &mut std::pin::Pin<Box<impl Future<Output = ()>>>) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        sleep.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn it_goes_as_the_machine_until_it_is_moved() {
        let (clock, mover, control) = clock();
        control.advance(HOUR);
        assert_eq!(clock.now(), START + HOUR);
        mover.step(HOUR).unwrap();
        assert_eq!(clock.now(), START + 2 * HOUR);
        assert_eq!(mover.pace().ahead, HOUR);
        mover.set_speed(60).unwrap();
        control.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), START + 3 * HOUR);
        mover.set_speed(0).unwrap();
        control.advance(HOUR);
        assert_eq!(clock.now(), START + 3 * HOUR, "it stands still");
    }

    #[tokio::test]
    async fn a_step_ends_what_waited_for_it() {
        let (clock, mover, _control) = clock();
        let mut sleep = Box::pin(clock.sleep(HOUR));
        assert!(!is_over(&mut sleep));
        mover.step(HOUR / 2).unwrap();
        assert!(!is_over(&mut sleep));
        mover.step(HOUR / 2).unwrap();
        assert!(is_over(&mut sleep));
    }

    #[tokio::test]
    async fn a_fast_clock_ends_waits_soon() {
        let (clock, mover, control) = clock();
        let mut sleep = Box::pin(clock.sleep(HOUR));
        assert!(!is_over(&mut sleep));
        mover.set_speed(3_600).unwrap();
        assert!(!is_over(&mut sleep));
        control.advance(Duration::from_secs(1));
        assert!(is_over(&mut sleep));
    }

    #[tokio::test]
    async fn a_clock_that_stands_still_hangs_nobody() {
        let (clock, mover, control) = clock();
        mover.set_speed(0).unwrap();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(20)));
        assert!(!is_over(&mut sleep));
        control.advance(Duration::from_secs(20));
        assert!(is_over(&mut sleep));
        assert_eq!(clock.now(), START, "and it stands still");
    }

    #[tokio::test]
    async fn work_is_watched_by_the_machine() {
        let (clock, mover, control) = clock();
        mover.set_speed(3_600).unwrap();
        let before = clock.monotonic();
        let limit = Duration::from_secs(3);
        let mut work = Box::pin(async {
            let ended = clock.timeout(limit, std::future::pending::<()>()).await;
            ended.unwrap_err();
        });
        assert!(!is_over(&mut work));
        mover.step(HOUR).unwrap();
        control.advance(Duration::from_secs(2));
        assert!(!is_over(&mut work));
        control.advance(Duration::from_secs(1));
        assert!(is_over(&mut work));
        assert_eq!(clock.monotonic().since(before), limit);
    }

    #[test]
    fn what_goes_too_far_is_refused() {
        let (clock, mover, _control) = clock();
        assert_eq!(mover.set_speed(SPEED_MAX + 1), Err(TooFar::Speed));
        assert_eq!(mover.step(STEP_MAX + HOUR), Err(TooFar::Step));
        assert_eq!(clock.now(), START);
    }
}
