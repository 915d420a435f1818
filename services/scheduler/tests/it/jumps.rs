//! The wall clock jumps, forward, back, and stands still: each tick comes once.  [R4]
//!
//! KILN_CLOCK_JUMPS sets how often; `cargo xtask torture clock` runs the full form.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tasks::{Ids, Time};

use crate::harness::Scheduler;

const JUMPS: u64 = 60;
/// The longest jump. A target waits a day for its tick and no longer.
const JUMP_S_MAX: u64 = 22 * 3_600;
/// Between two ticks.
const EACH_S: u64 = 3_600;
/// How long a loop waits before it looks at the clock again.
const LOOK: Duration = Duration::from_secs(60);

fn back(time: Time, by: Duration) -> Time {
    let by = i64::try_from(by.as_micros()).unwrap();
    Time::from_unix_micros(time.unix_micros() - by)
}

#[tokio::test]
async fn ticks_come_once_however_the_clock_jumps() {
    let text = std::env::var("KILN_CLOCK_JUMPS").ok();
    let jumps: u64 = text.and_then(|text| text.parse().ok()).unwrap_or(JUMPS);
    let dice = Ids::system();
    let mut scheduler = Scheduler::new().await;
    let begun = scheduler.now();
    scheduler.schedule("rate(1 hour)", json!({})).await;
    let (mut latest, mut crashes) = (begun, 0);
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..jumps {
        let by = Duration::from_secs(1 + dice.u64() % JUMP_S_MAX);
        match dice.u64() % 5 {
            0 | 1 => scheduler.jump_to(scheduler.now() + by),
            2 => scheduler.jump_to(begun.max(back(scheduler.now(), by))),
            3 => scheduler.advance(by).await,
            _ => {
                // A restart between two moments.
                let kept = scheduler.kept.clone();
                scheduler = Scheduler::after(scheduler.crash(), kept).await;
                crashes += 1;
            }
        }
        scheduler.advance(LOOK).await;
        latest = latest.max(scheduler.now());
        for time in scheduler.kept.times() {
            *times.entry(time).or_default() += 1;
        }
    }
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "came twice: {twice:?}");
    let due = 1 + latest.since(begun).as_secs() / EACH_S;
    assert_eq!(times.len() as u64, due, "ticks that came and that were due");
    eprintln!(
        "FOUND R4 | tick lost, early or twice | {jumps} | 0 | {due} ticks, {crashes} power losses"
    );
}
