//! Power losses at random moments: what was acknowledged is there afterwards, all of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use store::simulated::{self, Disk, Image};
use store::{Expect, Key, Op, Store, StoreError};
use tasks::{Ids, Time};

use crate::script::{Run, SPACE, Sure, queue};

/// One disk through several power losses.
async fn lives_of_one_disk(seed: u64) {
    let (store, mut disk, control) = simulated::open(seed);
    let mut run = Run::new(store, seed ^ 0x5eed);
    for _ in 0..6 {
        let end = disk.operations() + run.dice.u64() % 400;
        disk.power_off_at(end);
        while run.step().await.is_ok() {}
        let image: Image = disk.crash();
        control.advance(Duration::from_secs(40));
        let (store, next, _) = simulated::reopen(image)
            .unwrap_or_else(|error| panic!("seed {seed}: refused to open: {error}"));
        run.store = store;
        disk = next;
        run.audit(seed).await;
    }
    // In the end every message that must be there can be taken.
    let mut left: Vec<Bytes> = Vec::new();
    loop {
        control.advance(Duration::from_secs(40));
        let taken = run
            .store
            .queue
            .take(&queue(), 100, Duration::ZERO)
            .await
            .unwrap();
        if taken.is_empty() {
            break;
        }
        for message in taken {
            run.store.queue.ack(&message.token).await.unwrap();
            left.push(message.body);
        }
    }
    for (body, sure) in &run.truth.messages {
        let found = left.iter().filter(|b| *b == body).count();
        match sure {
            Sure::There => assert_eq!(found, 1, "seed {seed}"),
            Sure::Gone => assert_eq!(found, 0, "seed {seed}"),
            Sure::Unknown => assert!(found <= 1, "seed {seed}"),
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_over_power_losses() {
    for seed in 0..40 {
        lives_of_one_disk(seed).await;
    }
}

/// Many writers share commits; each one's last acknowledged value must be there.
async fn groups_on_one_disk(seed: u64) {
    let (store, disk, _) = simulated::open(seed);
    store.close().await;
    let store = simulated::open_threaded(&disk).unwrap();
    disk.power_off_at(disk.operations() + 50 + Ids::seeded(seed).u64() % 500);
    let acknowledged: Arc<Mutex<Vec<u64>>> = Arc::new(Mutex::new(vec![0; 16]));
    let writers = (0..16).map(|writer: usize| {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        async move {
            for count in 1.. {
                let op = Op::Put {
                    key: Key::of(&[&writer.to_string()]),
                    value: Bytes::from(count.to_string()),
                    expect: Expect::Any,
                };
                if store.records.txn(SPACE, vec![op]).await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap()[writer] = count;
            }
        }
    });
    futures_util::future::join_all(writers).await;
    let (store, ..) = simulated::reopen(disk.crash()).unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (writer, count) in acknowledged.into_iter().enumerate() {
        let found = store
            .records
            .get(SPACE, &Key::of(&[&writer.to_string()]))
            .await
            .unwrap();
        let found = found.map_or(0, |(b, _)| {
            std::str::from_utf8(&b).unwrap().parse().unwrap()
        });
        assert!(
            found == count || found == count + 1,
            "seed {seed}: {found}, {count} acknowledged"
        );
    }
}

#[tokio::test]
async fn grouped_commits_lose_nothing_either() {
    for seed in 0..20 {
        groups_on_one_disk(seed).await;
    }
}

fn put(name: &str) -> Vec<Op> {
    vec![Op::Put {
        key: Key::of(&[name]),
        value: Bytes::from(name.to_owned()),
        expect: Expect::Absent,
    }]
}

async fn is_there(store: &Store, name: &str) -> bool {
    store
        .records
        .get(SPACE, &Key::of(&[name]))
        .await
        .unwrap()
        .is_some()
}

/// How many operations of the disk one create costs.
async fn operations_of_a_create(disk: &Disk, store: &Store) -> u64 {
    let before = disk.operations();
    store.records.txn(SPACE, put("measured")).await.unwrap();
    disk.operations() - before
}

#[tokio::test]
async fn after_one_failed_operation_the_store_goes_on() {
    let (store, disk, _) = simulated::open(3);
    // The first one makes room in the log, the others use it.
    store.records.txn(SPACE, put("first")).await.unwrap();
    let steps = operations_of_a_create(&disk, &store).await;
    assert!(steps > 1, "{steps}");
    for step in 0..steps {
        let (failing, next) = (format!("f{step}"), format!("n{step}"));
        disk.fail_at(disk.operations() + step);
        let outcome = store.records.txn(SPACE, put(&failing)).await;
        if outcome.is_ok() {
            assert!(is_there(&store, &failing).await, "step {step}");
        }
        store.records.txn(SPACE, put(&next)).await.unwrap();
        assert!(is_there(&store, &next).await && is_there(&store, "measured").await);
    }
}

fn put_large(name: &str) -> Vec<Op> {
    vec![Op::Put {
        key: Key::of(&[name]),
        value: Bytes::from(name.repeat(2_200)),
        expect: Expect::Any,
    }]
}

/// Records that pass the end of the log more than once; gives the names of those that were acknowledged.
async fn pass_the_log(store: &Store) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for name in (0..16).map(|i| format!("filled{i}")) {
        if store.records.txn(SPACE, put_large(&name)).await.is_ok() {
            acknowledged.push(name);
        }
    }
    acknowledged
}

#[tokio::test]
async fn a_full_log_is_taken_over_by_the_database_whatever_fails() {
    let (store, disk, _) = simulated::open(8);
    let before = disk.operations();
    assert_eq!(pass_the_log(&store).await.len(), 16);
    let steps = disk.operations() - before;
    assert!(
        steps > 16 * 2 + 10,
        "the database was brought up to date: {steps}"
    );
    let mut failures = 0;
    for step in 0..steps {
        let (store, disk, _) = simulated::open(8);
        disk.fail_at(disk.operations() + step);
        let acknowledged = pass_the_log(&store).await;
        failures += 16 - acknowledged.len();
        let (crashed, ..) = simulated::reopen(disk.crash()).unwrap();
        store.records.txn(SPACE, put("next")).await.unwrap();
        let (later, ..) = simulated::reopen(disk.crash()).unwrap();
        assert!(is_there(&later, "next").await, "step {step}");
        for store in [&store, &crashed, &later] {
            for name in &acknowledged {
                assert!(is_there(store, name).await, "step {step}: {name}");
            }
        }
    }
    assert!(failures > 16, "{failures}");
}

#[tokio::test]
async fn what_nobody_waited_for_survives_the_process() {
    let (store, disk, _) = simulated::open(9);
    let body = Bytes::from_static(b"taken");
    let queue = queue();
    let put = store.queue.put(&queue, body, Time::EPOCH, None);
    put.await.unwrap();
    let synced = disk.operations();
    let taken = store.queue.take(&queue, 1, Duration::ZERO).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(disk.operations() - synced, 1, "one write and no sync");
    for (image, attempts) in [(disk.kill(), 2..=2), (disk.crash(), 1..=2)] {
        let (store, ..) = simulated::reopen(image).unwrap();
        let again = store.queue.take(&queue, 1, Duration::ZERO).await.unwrap();
        assert!(attempts.contains(&again[0].attempt), "{attempts:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_it_has() {
    let (store, disk, _) = simulated::open(4);
    store.records.txn(SPACE, put("before")).await.unwrap();
    disk.set_capacity(Some(0));
    let large = |name: &str| {
        let key = Key::of(&[name]);
        let value = Bytes::from(vec![1; 500_000]);
        vec![Op::Put {
            key,
            value,
            expect: Expect::Any,
        }]
    };
    let mut refused = None;
    for i in 0..20 {
        if let Err(error) = store.records.txn(SPACE, large(&format!("large{i}"))).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(StoreError::Io(_))), "{refused:?}");
    assert!(matches!(
        store.blobs.put(Bytes::from_static(b"x")).await,
        Err(StoreError::Io(_))
    ));
    assert!(is_there(&store, "before").await);
    disk.set_capacity(None);
    store.records.txn(SPACE, put("after")).await.unwrap();
    assert!(is_there(&store, "before").await && is_there(&store, "after").await);
}

#[tokio::test]
async fn a_clean_close_and_a_kill_lose_nothing() {
    let (store, disk, _) = simulated::open(5);
    store.records.txn(SPACE, put("a")).await.unwrap();
    let killed = disk.kill();
    let (after_kill, ..) = simulated::reopen(killed).unwrap();
    assert!(is_there(&after_kill, "a").await);
    store.close().await;
    let (closed, ..) = simulated::reopen(disk.crash()).unwrap();
    assert!(is_there(&closed, "a").await);
}

#[tokio::test]
async fn what_a_killed_process_held_is_due_at_once() {
    let (store, disk, _) = simulated::open(6);
    let put = |body: &'static str, at| {
        let queue = queue();
        let store = store.clone();
        async move {
            store
                .queue
                .put(&queue, Bytes::from(body), at, None)
                .await
                .unwrap()
        }
    };
    let later = disk.clock().now() + Duration::from_secs(20);
    put("held", Time::EPOCH).await;
    put("delayed", later).await;
    let held = store.queue.take(&queue(), 1, Duration::ZERO).await.unwrap();
    assert_eq!(held[0].attempt, 1);
    let (store, _, control) = simulated::reopen(disk.kill()).unwrap();
    let take = || async {
        store
            .queue
            .take(&queue(), 10, Duration::ZERO)
            .await
            .unwrap()
    };
    let again = take().await;
    assert_eq!(again.len(), 1);
    assert_eq!((&again[0].body[..], again[0].attempt), (&b"held"[..], 2));
    assert!(matches!(
        store.queue.ack(&held[0].token).await,
        Err(StoreError::Lost)
    ));
    assert!(take().await.is_empty(), "leases of this process hold");
    store.queue.ack(&again[0].token).await.unwrap();
    control.advance(Duration::from_secs(20));
    assert_eq!(take().await.len(), 1);
}
