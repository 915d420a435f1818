//! The wall clock is set forward and back while functions run: each has its time and no less.  [R4]
//!
//! KILN_CLOCK_JUMPS sets how often; `cargo xtask torture clock` runs the full form.

use std::time::Duration;

use sandbox::fake::Reply;
use tasks::{Ids, Time};

use crate::house::House;

const JUMPS: u64 = 60;
const JUMP_S_MAX: u64 = 86_400;
/// Of the function, and how far the clock goes at once.
const TIMEOUT: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(50);

#[tokio::test]
async fn no_call_ends_early_or_late_however_the_clock_jumps() {
    let text = std::env::var("KILN_CLOCK_JUMPS").ok();
    let jumps: u64 = text.and_then(|text| text.parse().ok()).unwrap_or(JUMPS);
    let dice = Ids::system();
    let house = House::with_function(|f| f.answers(|_| Reply::never())).await;
    let clock = house.tasks.clock().clone();
    let mut done = 0;
    while done < jumps {
        let mut call = Box::pin(house.call("f"));
        let begun = clock.monotonic();
        let outcome = loop {
            for _ in 0..10 {
                tokio::select! {
                    biased;
                    _ = &mut call, if false => {}
                    () = tokio::task::yield_now() => {}
                }
            }
            tokio::select! {
                biased;
                outcome = &mut call => break outcome.unwrap(),
                () = tokio::task::yield_now() => {}
            }
            if dice.u64().is_multiple_of(8) {
                let by = (1 + dice.u64() % JUMP_S_MAX).cast_signed() * 1_000_000;
                let by = if dice.u64().is_multiple_of(2) {
                    by
                } else {
                    -by
                };
                let wall = clock.now().unix_micros() + by;
                house.control.jump_to(Time::from_unix_micros(wall));
                done += 1;
            }
            house.control.advance(STEP);
        };
        let took = clock.monotonic().since(begun);
        assert_eq!(outcome.function_error, Some("Unhandled"));
        assert!(took >= TIMEOUT, "{took:?}");
        let tail = House::tail(&outcome);
        assert!(tail.contains("\tDuration: 3000.00 ms"), "{tail}");
    }
    eprintln!("FOUND R4 | function ended before its time | {done} | 0 | to the step of 50 ms");
}
