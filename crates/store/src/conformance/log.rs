use std::time::Duration;

use bytes::Bytes;
use tasks::{ClockControl, Time};

use crate::{LogId, Pos, Retention, Seq, Store, StoreError};

fn log() -> LogId {
    LogId("stream".to_owned())
}

fn records(bodies: &[&str]) -> Vec<Bytes> {
    bodies
        .iter()
        .map(|b| Bytes::copy_from_slice(b.as_bytes()))
        .collect()
}

async fn append(store: &Store, shard: u32, bodies: &[&str]) -> Seq {
    store
        .log
        .append(&log(), shard, records(bodies), None)
        .await
        .unwrap()
}

async fn read(store: &Store, shard: u32, from: Pos, max: usize) -> (Vec<String>, Pos) {
    let (entries, next) = store.log.read(&log(), shard, from, max).await.unwrap();
    let text = entries
        .iter()
        .map(|(_, _, b)| String::from_utf8(b.to_vec()).unwrap());
    (text.collect(), next)
}

pub async fn entries_are_numbered_and_read_in_order(store: Store, _: ClockControl) {
    let (nothing, start) = read(&store, 0, Pos::Latest, 10).await;
    assert!(nothing.is_empty());
    append(&store, 0, &["a", "b"]).await;
    append(&store, 1, &["other shard"]).await;
    append(&store, 0, &["c"]).await;
    let (first, next) = read(&store, 0, Pos::Oldest, 2).await;
    assert_eq!(first, ["a", "b"]);
    let (rest, next) = read(&store, 0, next, 10).await;
    assert_eq!(rest, ["c"]);
    let (nothing, same) = read(&store, 0, next, 10).await;
    assert!(nothing.is_empty());
    assert_eq!(same, next);
    assert_eq!(read(&store, 0, start, 10).await.0, ["a", "b", "c"]);
    append(&store, 0, &["d"]).await;
    assert_eq!(read(&store, 0, next, 10).await.0, ["d"]);
}

pub async fn an_expected_tail_that_is_not_the_tail_is_refused(store: Store, _: ClockControl) {
    let tail = append(&store, 0, &["a"]).await;
    let append = |expect| store.log.append(&LOG, 0, records(&["b"]), Some(expect));
    static LOG: std::sync::LazyLock<LogId> = std::sync::LazyLock::new(log);
    let next = append(tail).await.unwrap();
    assert!(next > tail);
    assert!(matches!(append(tail).await, Err(StoreError::Conflict(_))));
    assert_eq!(read(&store, 0, Pos::Oldest, 10).await.0, ["a", "b"]);
}

async fn time_of(store: &Store, body: &str) -> Time {
    let (entries, _) = store.log.read(&log(), 0, Pos::Oldest, 1_000).await.unwrap();
    let found = entries.iter().find(|(_, _, b)| &b[..] == body.as_bytes());
    found.unwrap().1
}

pub async fn a_read_by_time_starts_at_the_first_entry_of_it(store: Store, control: ClockControl) {
    for body in ["a", "b", "c"] {
        append(&store, 0, &[body]).await;
        control.advance(Duration::from_secs(10));
    }
    let b = time_of(&store, "b").await;
    assert_eq!(read(&store, 0, Pos::Time(b), 10).await.0, ["b", "c"]);
    let later = b + Duration::from_secs(1);
    assert_eq!(read(&store, 0, Pos::Time(later), 10).await.0, ["c"]);
    let never = Pos::Time(b + Duration::from_secs(1_000));
    assert_eq!(read(&store, 0, never, 10).await, (vec![], never));
}

/// Enough for two sealed segments and a hot tail.
async fn fill(store: &Store, control: &ClockControl) -> Vec<Bytes> {
    let mut all = Vec::new();
    for round in 0_u8..19 {
        let batch: Vec<Bytes> = (0_u8..8)
            .map(|i| Bytes::from(vec![round * 8 + i; 128 << 10]))
            .collect();
        all.extend(batch.clone());
        store.log.append(&log(), 0, batch, None).await.unwrap();
        control.advance(Duration::from_secs(1));
    }
    all
}

async fn everything(store: &Store) -> Vec<Bytes> {
    let mut seen = Vec::new();
    let mut at = Pos::Oldest;
    loop {
        let (entries, next) = store.log.read(&log(), 0, at, 50).await.unwrap();
        if entries.is_empty() {
            return seen;
        }
        seen.extend(entries.into_iter().map(|(_, _, body)| body));
        at = next;
    }
}

pub async fn a_large_shard_reads_the_same_after_it_was_sealed(store: Store, control: ClockControl) {
    let all = fill(&store, &control).await;
    assert!(everything(&store).await == all);
    let (some, _) = store
        .log
        .read(&log(), 0, Pos::Seq(Seq(61)), 10)
        .await
        .unwrap();
    let seen: Vec<u8> = some.iter().map(|(_, _, b)| b[0]).collect();
    assert_eq!(seen, (60..70).collect::<Vec<u8>>());
    assert_eq!(some[0].0, Seq(61));
    let (by_time, _) = store
        .log
        .read(&log(), 0, Pos::Time(some[4].1), 1)
        .await
        .unwrap();
    assert_eq!(by_time[0].0, some[4].0);
}

pub async fn a_trim_removes_what_is_older(store: Store, control: ClockControl) {
    let all = fill(&store, &control).await;
    let (last, _) = store
        .log
        .read(&log(), 0, Pos::Seq(Seq(150)), 1)
        .await
        .unwrap();
    let keep = Retention {
        not_before: None,
        bytes_max: Some(12 << 20),
    };
    store.log.trim(&log(), keep).await.unwrap();
    let left = everything(&store).await;
    assert!(left.len() < all.len() && all.ends_with(&left));
    let keep = Retention {
        not_before: Some(last[0].1),
        bytes_max: None,
    };
    store.log.trim(&log(), keep).await.unwrap();
    let left = everything(&store).await;
    assert_eq!(left.len(), 8);
    assert!(all.ends_with(&left));
    let next = store
        .log
        .append(&log(), 0, records(&["next"]), None)
        .await
        .unwrap();
    assert_eq!(next, Seq(153), "numbers go on");
}
