use bytes::Bytes;
use tasks::ClockControl;

use crate::{Expect, Key, Op, Rev, Space, Store, StoreError};

const SPACE: Space = Space("test");

fn key(name: &str) -> Key {
    Key::of(&[name])
}

fn put(name: &str, value: &str, expect: Expect) -> Op {
    Op::Put {
        key: key(name),
        value: Bytes::copy_from_slice(value.as_bytes()),
        expect,
    }
}

async fn value(store: &Store, name: &str) -> Option<String> {
    let found = store.records.get(SPACE, &key(name)).await.unwrap();
    found.map(|(bytes, _)| String::from_utf8(bytes.to_vec()).unwrap())
}

fn is_conflict<T: std::fmt::Debug>(outcome: Result<T, StoreError>, name: &str) {
    match outcome {
        Err(StoreError::Conflict(at)) if at == key(name) => {}
        other => panic!("{other:?} is no conflict over {name}"),
    }
}

pub async fn a_record_is_read_back_with_its_revision(store: Store, _: ClockControl) {
    let ops = vec![put("a", "1", Expect::Any), put("b", "2", Expect::Absent)];
    let rev = store.records.txn(SPACE, ops).await.unwrap();
    let (bytes, found) = store.records.get(SPACE, &key("a")).await.unwrap().unwrap();
    assert_eq!((&bytes[..], found), (&b"1"[..], rev));
    let next = store
        .records
        .txn(SPACE, vec![put("a", "3", Expect::At(rev))]);
    assert!(next.await.unwrap() > rev);
    assert_eq!(value(&store, "a").await.as_deref(), Some("3"));
    assert_eq!(value(&store, "b").await.as_deref(), Some("2"));
    assert_eq!(value(&store, "c").await, None);
}

pub async fn a_stale_revision_is_refused_and_nothing_is_written(store: Store, _: ClockControl) {
    let records = &store.records;
    let old = records
        .txn(SPACE, vec![put("a", "1", Expect::Any)])
        .await
        .unwrap();
    records
        .txn(SPACE, vec![put("a", "2", Expect::At(old))])
        .await
        .unwrap();
    let ops = vec![
        put("b", "new", Expect::Absent),
        put("a", "3", Expect::At(old)),
    ];
    is_conflict(records.txn(SPACE, ops).await, "a");
    let gone = Expect::At(Rev(old.0 + 100));
    is_conflict(records.txn(SPACE, vec![put("c", "3", gone)]).await, "c");
    let delete = Op::Delete {
        key: key("a"),
        expect: Expect::At(old),
    };
    is_conflict(records.txn(SPACE, vec![delete]).await, "a");
    assert_eq!(value(&store, "a").await.as_deref(), Some("2"));
    assert_eq!(value(&store, "b").await, None);
}

pub async fn a_create_over_an_existing_record_is_refused(store: Store, _: ClockControl) {
    let records = &store.records;
    records
        .txn(SPACE, vec![put("a", "1", Expect::Absent)])
        .await
        .unwrap();
    is_conflict(
        records
            .txn(SPACE, vec![put("a", "2", Expect::Absent)])
            .await,
        "a",
    );
    let twice = vec![put("b", "1", Expect::Any), put("b", "2", Expect::Any)];
    is_conflict(records.txn(SPACE, twice).await, "b");
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
}

pub async fn a_deleted_record_is_gone_and_can_be_made_again(store: Store, _: ClockControl) {
    let records = &store.records;
    let first = records
        .txn(SPACE, vec![put("a", "1", Expect::Absent)])
        .await
        .unwrap();
    let delete = Op::Delete {
        key: key("a"),
        expect: Expect::At(first),
    };
    let deleted = records.txn(SPACE, vec![delete]).await.unwrap();
    assert_eq!(value(&store, "a").await, None);
    let again = records
        .txn(SPACE, vec![put("a", "2", Expect::Absent)])
        .await
        .unwrap();
    assert!(first < deleted && deleted < again);
}

pub async fn a_scan_gives_the_prefix_in_order_and_pages(store: Store, _: ClockControl) {
    let names: Vec<String> = (0..250).map(|i| format!("{i:03}")).collect();
    for chunk in names.chunks(50) {
        let ops = chunk.iter().map(|name| Op::Put {
            key: Key::of(&["f", name]),
            value: Bytes::from(name.clone()),
            expect: Expect::Absent,
        });
        store.records.txn(SPACE, ops.collect()).await.unwrap();
    }
    for other in ["e", "f", "f0", "g"] {
        store
            .records
            .txn(SPACE, vec![put(other, "x", Expect::Any)])
            .await
            .unwrap();
    }
    let prefix = Key::prefix(&["f"]);
    let mut seen: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .records
            .scan(SPACE, &prefix, after.as_ref(), 64)
            .await
            .unwrap();
        let Some((last, ..)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(
            page.iter()
                .map(|(_, v, _)| String::from_utf8(v.to_vec()).unwrap()),
        );
    }
    assert_eq!(seen, names);
    let all = store
        .records
        .scan(SPACE, &Key::prefix(&[]), None, 1_000)
        .await
        .unwrap();
    assert_eq!(all.len(), 254);
}

pub async fn spaces_do_not_see_each_other(store: Store, _: ClockControl) {
    let (one, two) = (Space("a"), Space("ab"));
    let b = |name: &str, value: &str| vec![put(name, value, Expect::Absent)];
    store.records.txn(one, b("bc", "1")).await.unwrap();
    store.records.txn(two, b("c", "2")).await.unwrap();
    let everything = Key::prefix(&[]);
    let all = |space| store.records.scan(space, &everything, None, 10);
    assert_eq!(all(one).await.unwrap().len(), 1);
    assert_eq!(all(two).await.unwrap().len(), 1);
    assert!(store.records.get(two, &key("bc")).await.unwrap().is_none());
}

pub async fn a_watch_tells_changes_of_its_prefix_in_order(store: Store, _: ClockControl) {
    let mut changes = store.records.watch(SPACE, &Key::prefix(&["f"]));
    let f = |name: &str, value: &str| Op::Put {
        key: Key::of(&["f", name]),
        value: Bytes::copy_from_slice(value.as_bytes()),
        expect: Expect::Any,
    };
    store
        .records
        .txn(SPACE, vec![put("other", "x", Expect::Any)])
        .await
        .unwrap();
    store
        .records
        .txn(Space("elsewhere"), vec![f("a", "x")])
        .await
        .unwrap();
    store
        .records
        .txn(SPACE, vec![f("a", "1"), f("b", "2")])
        .await
        .unwrap();
    let delete = Op::Delete {
        key: Key::of(&["f", "a"]),
        expect: Expect::Any,
    };
    let last = store.records.txn(SPACE, vec![delete]).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let change = changes.recv().await.unwrap();
        let value = change.value.map(|v| String::from_utf8(v.to_vec()).unwrap());
        seen.push((change.key.as_str().to_owned(), value, change.rev == last));
    }
    let told =
        |key: &str, value: Option<&str>, last| (key.to_owned(), value.map(str::to_owned), last);
    let expected = [
        told("f/a", Some("1"), false),
        told("f/b", Some("2"), false),
        told("f/a", None, true),
    ];
    assert_eq!(seen, expected);
    assert!(changes.try_recv().is_err());
}

pub async fn a_slow_watcher_loses_its_channel(store: Store, _: ClockControl) {
    let mut changes = store.records.watch(SPACE, &Key::prefix(&[]));
    for round in 0..40 {
        let ops = (0..100).map(|i| put(&format!("{i}"), &round.to_string(), Expect::Any));
        store.records.txn(SPACE, ops.collect()).await.unwrap();
    }
    let mut told = 0;
    while changes.recv().await.is_some() {
        told += 1;
    }
    assert!(told > 0 && told < 4_000, "{told}");
}

pub async fn what_is_too_large_is_refused(store: Store, _: ClockControl) {
    let big = |bytes: usize| Op::Put {
        key: key("big"),
        value: Bytes::from(vec![7; bytes]),
        expect: Expect::Any,
    };
    let refused = |outcome| matches!(outcome, Err(StoreError::TooLarge { .. }));
    assert!(refused(
        store.records.txn(SPACE, vec![big((512 << 10) + 1)]).await
    ));
    let many = (0..101)
        .map(|i| put(&i.to_string(), "x", Expect::Any))
        .collect();
    assert!(refused(store.records.txn(SPACE, many).await));
    let long = "k".repeat(Key::BYTES_MAX + 1);
    assert!(refused(
        store
            .records
            .txn(SPACE, vec![put(&long, "x", Expect::Any)])
            .await
    ));
    assert!(store.records.txn(SPACE, vec![big(512 << 10)]).await.is_ok());
    let (bytes, _) = store
        .records
        .get(SPACE, &key("big"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bytes.len(), 512 << 10);
}

pub async fn of_parallel_creates_one_wins(store: Store, _: ClockControl) {
    let tries = (0..32).map(|i| {
        let ops = vec![put("one", &i.to_string(), Expect::Absent)];
        store.records.txn(SPACE, ops)
    });
    let outcomes = futures_util::future::join_all(tries).await;
    let won: Vec<usize> = (0..32).filter(|i| outcomes[*i].is_ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(value(&store, "one").await, Some(won[0].to_string()));
}

pub async fn parallel_increments_lose_nothing(store: Store, _: ClockControl) {
    let increment = async || {
        loop {
            let found = store.records.get(SPACE, &key("n")).await.unwrap();
            let (count, expect) = match &found {
                Some((bytes, rev)) => (
                    std::str::from_utf8(bytes).unwrap().parse::<u32>().unwrap(),
                    Expect::At(*rev),
                ),
                None => (0, Expect::Absent),
            };
            let ops = vec![put("n", &(count + 1).to_string(), expect)];
            match store.records.txn(SPACE, ops).await {
                Ok(_) => return,
                Err(StoreError::Conflict(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    futures_util::future::join_all((0..20).map(|_| increment())).await;
    assert_eq!(value(&store, "n").await.as_deref(), Some("20"));
}
