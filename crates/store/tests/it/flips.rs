//! One bit of the disk turns over.  [R2]
//!
//! KILN_DISK_FLIPS sets how often; `cargo xtask torture disk` runs the full form.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use store::simulated::{self, Image};
use store::{Expect, Key, Op};
use tasks::Ids;

use crate::everywhere::{number, tell};
use crate::script::{Acknowledged, Run, SPACE};

const FLIPS: u64 = 100;
const OPERATIONS: u64 = 300;

/// What one bit does.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum End {
    /// It lay where nothing is, or where it is found again elsewhere.
    Harmless,
    /// Everything else is there, and the damage is told by name.
    OneLost,
    /// More than one is gone; told too.
    MoreLost,
    /// The store does not open, and says why. The disk is left as it is.
    Refused,
    /// Somebody got what was never stored, or nothing, and was not told.
    Unseen,
}

async fn end_of(image: Image, truth: &Acknowledged) -> (End, String) {
    let run = AssertUnwindSafe(async {
        let (store, ..) = match simulated::reopen(image) {
            Ok(opened) => opened,
            Err(error) => return (End::Refused, error.to_string()),
        };
        let found = truth.differences(&store).await;
        let lost = found.wrong.len() + found.damaged.len();
        let told = [store.damage(), found.damaged].concat();
        let end = match (lost, told.is_empty()) {
            (0, _) => End::Harmless,
            (_, true) => End::Unseen,
            (1, false) => End::OneLost,
            (_, false) => End::MoreLost,
        };
        (end, format!("{:?} told {told:?}", found.wrong.first()))
    });
    // The database's own code gives up where its pages make no sense.
    let end = run.catch_unwind().await;
    end.unwrap_or_else(|_| (End::Refused, "panicked".to_owned()))
}

/// R2: no damage goes unseen.
#[tokio::test]
async fn a_bit_that_turns_over_is_never_taken_for_truth() {
    let seed = number("KILN_DISK_SEED", Ids::system().u64() % 1_000_000);
    eprintln!("KILN_DISK_SEED={seed}");
    let (store, disk, _) = simulated::open(seed);
    let mut run = Run::new(store, seed);
    for _ in 0..OPERATIONS {
        run.step().await.unwrap();
    }
    // One disk as a crash leaves it, with a log that is not played yet; its last frame may be torn for all that
    // anybody can know, so it is nothing of the script. And one that was closed.
    let last = Op::Put {
        key: Key::of(&["the last one"]),
        value: Bytes::from_static(b"of no account"),
        expect: Expect::Any,
    };
    run.store.records.txn(SPACE, vec![last]).await.unwrap();
    let crashed = disk.crash();
    run.store.close().await;
    let images = [crashed, disk.crash()];
    let flips = number("KILN_DISK_FLIPS", FLIPS);
    let mut ends: BTreeMap<End, u64> = BTreeMap::new();
    for image in images.iter().cycle().take(usize::try_from(flips).unwrap()) {
        let bit = usize::try_from(run.dice.u64()).unwrap() % (image.bytes() * 8);
        let mut damaged = image.clone();
        let place = damaged.flip(bit);
        let (end, told) = end_of(damaged, &run.truth).await;
        if matches!(end, End::Unseen | End::MoreLost | End::Refused) {
            eprintln!("{end:?}, seed {seed}, bit {bit} {place:?}: {told}");
        }
        *ends.entry(end).or_default() += 1;
    }
    let count = |end: End| ends.get(&end).copied().unwrap_or(0);
    let note = format!(
        "{} harmless, {} lost one value, {} more, {} kept the store from opening",
        count(End::Harmless),
        count(End::OneLost),
        count(End::MoreLost),
        count(End::Refused)
    );
    assert_eq!(count(End::Unseen), 0, "{note}");
    assert_eq!(count(End::Refused), 0, "{note}");
    assert!(count(End::OneLost) > 0, "{note}");
    tell("flipped bit that nobody was told of", flips, &note);
}
