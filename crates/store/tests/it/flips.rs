//! One bit of the disk turns over.  [R2]
//!
//! KILN_DISK_FLIPS sets how often; `cargo xtask torture disk` runs the full form.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use store::simulated::{self, Image};
use tasks::Ids;

use crate::everywhere::number;
use crate::script::{Acknowledged, Run};

const FLIPS: u64 = 100;
const OPERATIONS: u64 = 300;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum End {
    Harmless,
    ToldAtOpen,
    ToldAtRead,
    Panicked,
    Wrong,
}

async fn end_of(image: Image, truth: &Acknowledged) -> (End, String) {
    let run = AssertUnwindSafe(async {
        let (store, ..) = match simulated::reopen(image) {
            Ok(opened) => opened,
            Err(error) => return (End::ToldAtOpen, error.to_string()),
        };
        let found = truth.differences(&store).await;
        match (found.wrong.first(), found.damaged.first()) {
            (Some(wrong), _) => (End::Wrong, wrong.clone()),
            (None, Some(damaged)) => (End::ToldAtRead, damaged.clone()),
            (None, None) => (End::Harmless, String::new()),
        }
    });
    let end = run.catch_unwind().await;
    end.unwrap_or_else(|_| (End::Panicked, String::new()))
}

#[tokio::test]
async fn a_bit_that_turns_over_is_never_taken_for_truth() {
    let seed = number("KILN_DISK_SEED", Ids::system().u64() % 1_000_000);
    eprintln!("KILN_DISK_SEED={seed}");
    let (store, disk, _) = simulated::open(seed);
    let mut run = Run::new(store, seed);
    for _ in 0..OPERATIONS {
        run.step().await.unwrap();
    }
    run.store.close().await;
    let image = disk.crash();
    let bits = image.bytes() * 8;
    let mut ends: BTreeMap<End, u64> = BTreeMap::new();
    for _ in 0..number("KILN_DISK_FLIPS", FLIPS) {
        let bit = usize::try_from(run.dice.u64()).unwrap() % bits;
        let mut damaged = image.clone();
        let place = damaged.flip(bit);
        let (end, told) = end_of(damaged, &run.truth).await;
        if end != End::Harmless {
            eprintln!("{end:?} {bit} {place:?} {told}");
        }
        *ends.entry(end).or_default() += 1;
    }
    eprintln!("{ends:?} of {bits}");
}
