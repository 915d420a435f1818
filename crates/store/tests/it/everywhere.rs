//! A crash, a failure and a full disk at every single step of a script.  [R2]
//!
//! KILN_DISK_OPERATIONS sets the length of the script; `cargo xtask torture disk` runs the full form.

use store::simulated::{self, Disk};
use store::{Store, StoreError};
use tasks::Ids;

use crate::script::Run;

/// Operations of the script in the short form.
const OPERATIONS: u64 = 60;

/// Steps of the disk that one operation takes at most; a failure at a later one meets nothing.
const STEPS_MAX: u64 = 20;

pub(crate) fn number(name: &str, short: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(short)
}

fn seed() -> u64 {
    let seed = number("KILN_DISK_SEED", Ids::system().u64() % 1_000_000);
    eprintln!("KILN_DISK_SEED={seed}");
    seed
}

/// Tells `cargo xtask torture disk` what was found.
pub(crate) fn tell(what: &str, tried: u64, note: &str) {
    eprintln!("FOUND R2 | {what} | {tried} | 0 | {note}");
}

/// One run; at each step of the disk, what a power loss would leave is opened and read.
#[tokio::test]
async fn a_crash_at_any_step_loses_nothing() {
    let seed = seed();
    let operations = number("KILN_DISK_OPERATIONS", OPERATIONS);
    let (store, disk, _) = simulated::open(seed);
    let mut run = Run::new(store, seed ^ 0x5eed);
    let mut images = 0;
    disk.photograph();
    for _ in 0..operations {
        let before = run.truth.clone();
        run.step().await.unwrap();
        let between = before.until(&run.truth);
        for (step, image) in disk.photographs() {
            images += 1;
            let told = || format!("seed {seed}, step {step}");
            let (store, ..) = simulated::reopen(image)
                .unwrap_or_else(|error| panic!("{}: refused to open: {error}", told()));
            let found = between.differences(&store).await;
            assert!(found.wrong.is_empty(), "{}: {:?}", told(), found.wrong);
            assert!(found.damaged.is_empty(), "{}: {:?}", told(), found.damaged);
        }
    }
    assert!(images > operations, "{images}");
    tell(
        "image of a crash that lost something",
        images,
        &format!("at every step of {operations} operations"),
    );
}

/// Each operation fails at each of its steps in turn; the store goes on, and a power loss follows.
#[tokio::test]
async fn a_failure_at_any_step_loses_nothing() {
    let seed = seed();
    let operations = number("KILN_DISK_OPERATIONS", OPERATIONS);
    let mut failures = 0;
    for at in 0..STEPS_MAX {
        let (store, disk, _) = simulated::open(seed + at);
        let mut run = Run::new(store, seed ^ at);
        for n in 0..operations {
            disk.fail_at(disk.operations() + at);
            let outcome = run.step().await;
            let is_io = matches!(outcome, Ok(()) | Err(StoreError::Io(_)));
            assert!(is_io, "seed {seed}, {at} of {n}: {outcome:?}");
            failures += u64::from(outcome.is_err());
            if n % 100 == 99 {
                disk.fail_at(u64::MAX);
                run.audit(seed).await;
            }
        }
        let (store, ..) = simulated::reopen(disk.crash()).unwrap();
        run.store = store;
        run.audit(seed).await;
    }
    assert!(failures > operations, "{failures}");
    tell("failed write or sync that lost something", failures, "");
}

/// The disk is full before each operation, and has room again after it.
#[tokio::test]
async fn a_disk_that_is_full_at_any_moment_loses_nothing() {
    let seed = seed();
    let operations = number("KILN_DISK_OPERATIONS", OPERATIONS);
    let (store, disk, _) = simulated::open(seed);
    let mut run = Run::new(store, seed);
    let mut refused = 0;
    for n in 0..operations {
        refused += u64::from(is_refused(&mut run, &disk, n).await);
        // Room is back: the very next one is taken.
        run.step()
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, {n}: {error}"));
        if n % 100 == 99 {
            run.audit(seed).await;
        }
    }
    let (store, ..) = simulated::reopen(disk.crash()).unwrap();
    run.store = store;
    run.audit(seed).await;
    assert!(refused > 0, "the disk was never full");
    tell(
        "full disk that lost something",
        operations,
        &format!("{refused} operations refused"),
    );
}

async fn is_refused(run: &mut Run, disk: &Disk, n: u64) -> bool {
    disk.set_capacity(Some(0));
    let outcome = run.step().await;
    let reads: &Store = &run.store;
    let found = run.truth.differences(reads).await;
    disk.set_capacity(None);
    assert!(found.wrong.is_empty(), "{n}: {:?}", found.wrong);
    assert!(found.damaged.is_empty(), "{n}: {:?}", found.damaged);
    match outcome {
        Ok(()) => false,
        Err(StoreError::Io(_)) => true,
        Err(other) => panic!("{n}: {other}"),
    }
}
