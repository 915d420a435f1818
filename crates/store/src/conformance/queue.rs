use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tasks::{ClockControl, Time};

use crate::{Depth, Leased, QueueId, Store, StoreError};

const PAST: Time = Time::EPOCH;
const SECOND: Duration = Duration::from_secs(1);

fn queue() -> QueueId {
    QueueId("q/a|b".to_owned())
}

async fn put(store: &Store, body: &str, at: Time) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    store.queue.put(&queue(), body, at, None).await.unwrap();
}

async fn take(store: &Store, max: usize) -> Vec<Leased> {
    store
        .queue
        .take(&queue(), max, Duration::ZERO)
        .await
        .unwrap()
}

async fn one(store: &Store) -> Leased {
    let mut taken = take(store, 10).await;
    assert_eq!(taken.len(), 1);
    taken.remove(0)
}

/// The wall time of the test's clock, as a fresh lease shows it.
async fn now(store: &Store) -> Time {
    let probe = QueueId("probe".to_owned());
    store
        .queue
        .put(&probe, Bytes::new(), PAST, None)
        .await
        .unwrap();
    let taken = store.queue.take(&probe, 1, Duration::ZERO).await.unwrap();
    store.queue.ack(&taken[0].token).await.unwrap();
    taken[0].enqueued
}

pub async fn a_message_is_taken_once_and_gone_after_its_ack(store: Store, control: ClockControl) {
    put(&store, "a", PAST).await;
    put(&store, "b", PAST).await;
    let taken = take(&store, 10).await;
    let bodies: Vec<&[u8]> = taken.iter().map(|m| &m.body[..]).collect();
    assert_eq!(bodies, [b"a", b"b"]);
    assert!(taken.iter().all(|m| m.attempt == 1));
    assert!(take(&store, 10).await.is_empty());
    for message in &taken {
        store.queue.ack(&message.token).await.unwrap();
    }
    control.advance(60 * SECOND);
    assert!(take(&store, 10).await.is_empty());
    assert_eq!(store.queue.depth(&queue()).await.unwrap(), Depth::default());
}

pub async fn a_message_comes_back_when_its_lease_ends(store: Store, control: ClockControl) {
    put(&store, "a", PAST).await;
    let first = one(&store).await;
    control.advance(29 * SECOND);
    assert!(take(&store, 1).await.is_empty());
    control.advance(2 * SECOND);
    let second = one(&store).await;
    assert_eq!((second.attempt, &second.id), (2, &first.id));
    assert!(matches!(
        store.queue.ack(&first.token).await,
        Err(StoreError::Lost)
    ));
    store.queue.ack(&second.token).await.unwrap();
}

pub async fn a_delayed_message_comes_when_it_is_due(store: Store, control: ClockControl) {
    let at = now(&store).await + 10 * SECOND;
    put(&store, "later", at).await;
    assert!(take(&store, 1).await.is_empty());
    let queue = queue();
    let waiting = store.queue.take(&queue, 1, 60 * SECOND);
    let moving = async {
        tokio::task::yield_now().await;
        control.advance(10 * SECOND);
    };
    let (taken, ()) = tokio::join!(waiting, moving);
    assert_eq!(&taken.unwrap()[0].body[..], b"later");
}

pub async fn a_retried_message_comes_at_its_time_with_the_next_attempt(
    store: Store,
    control: ClockControl,
) {
    put(&store, "a", PAST).await;
    let first = one(&store).await;
    let at = now(&store).await + 5 * SECOND;
    store.queue.retry(&first.token, at).await.unwrap();
    assert!(take(&store, 1).await.is_empty());
    assert!(matches!(
        store.queue.ack(&first.token).await,
        Err(StoreError::Lost)
    ));
    control.advance(5 * SECOND);
    let second = one(&store).await;
    assert_eq!((second.attempt, second.enqueued), (2, first.enqueued));
}

pub async fn an_extended_lease_holds_longer(store: Store, control: ClockControl) {
    put(&store, "a", PAST).await;
    let taken = one(&store).await;
    let until = taken.until + 60 * SECOND;
    store.queue.extend(&taken.token, until).await.unwrap();
    control.advance(80 * SECOND);
    assert!(take(&store, 1).await.is_empty());
    store.queue.ack(&taken.token).await.unwrap();
}

pub async fn a_lost_lease_answers_so(store: Store, _: ClockControl) {
    put(&store, "a", PAST).await;
    let taken = one(&store).await;
    store.queue.ack(&taken.token).await.unwrap();
    let lost = |outcome| matches!(outcome, Err(StoreError::Lost));
    assert!(lost(store.queue.ack(&taken.token).await));
    assert!(lost(store.queue.retry(&taken.token, PAST).await));
    assert!(lost(store.queue.extend(&taken.token, taken.until).await));
    for wrong in ["", "|", "a|b|zz", "no token at all"] {
        assert!(lost(store.queue.ack(&crate::Token(wrong.to_owned())).await));
    }
}

pub async fn a_deduplication_id_is_remembered_for_its_window(store: Store, control: ClockControl) {
    let queue = queue();
    let put = |id: &'static str| store.queue.put(&queue, Bytes::from(id), PAST, Some(id));
    let first = put("x").await.unwrap();
    assert_eq!(put("x").await.unwrap(), first);
    let taken = one(&store).await;
    store.queue.ack(&taken.token).await.unwrap();
    assert_eq!(put("x").await.unwrap(), first);
    assert!(take(&store, 10).await.is_empty(), "also after the ack");
    control.advance(301 * SECOND);
    assert_ne!(put("y").await.unwrap(), first);
    assert_ne!(put("x").await.unwrap(), first);
    assert_eq!(take(&store, 10).await.len(), 2);
}

pub async fn a_waiting_take_is_woken_by_a_put(store: Store, _: ClockControl) {
    let queue = queue();
    let waiting = store.queue.take(&queue, 1, 60 * SECOND);
    let putting = async {
        tokio::task::yield_now().await;
        put(&store, "a", PAST).await;
    };
    let (taken, ()) = tokio::join!(waiting, putting);
    assert_eq!(taken.unwrap().len(), 1);
}

pub async fn a_take_gives_up_after_its_wait(store: Store, control: ClockControl) {
    let queue = queue();
    let waiting = store.queue.take(&queue, 1, 2 * SECOND);
    let moving = async {
        tokio::task::yield_now().await;
        control.advance(2 * SECOND);
    };
    let (taken, ()) = tokio::join!(waiting, moving);
    assert!(taken.unwrap().is_empty());
}

pub async fn the_depth_counts_due_delayed_and_leased(store: Store, _: ClockControl) {
    let later = now(&store).await + 60 * SECOND;
    for (body, at) in [("a", PAST), ("b", PAST), ("c", PAST), ("d", later)] {
        put(&store, body, at).await;
    }
    take(&store, 2).await;
    let expected = Depth {
        due: 1,
        delayed: 1,
        leased: 2,
    };
    assert_eq!(store.queue.depth(&queue()).await.unwrap(), expected);
}

pub async fn a_long_queue_is_counted_in_pieces(store: Store, _: ClockControl) {
    let later = now(&store).await + 60 * SECOND;
    let times = (0..8_200).map(|n| if n < 8_192 { PAST } else { later });
    join_all(times.map(|at| put(&store, "x", at))).await;
    let expected = Depth {
        due: 8_192,
        delayed: 8,
        leased: 0,
    };
    assert_eq!(store.queue.depth(&queue()).await.unwrap(), expected);
}

pub async fn a_replaced_message_begins_afresh_in_its_place(store: Store, control: ClockControl) {
    put(&store, "a", PAST).await;
    let taken = one(&store).await;
    let at = now(&store).await + 60 * SECOND;
    let other = Bytes::from("b");
    let replaced = store.queue.replace(&taken.token, other.clone(), at);
    replaced.await.unwrap();
    let again = store.queue.replace(&taken.token, other, at).await;
    assert!(matches!(again, Err(StoreError::Lost)));
    assert!(take(&store, 10).await.is_empty());
    control.advance(61 * SECOND);
    let found = take(&store, 10).await;
    assert_eq!(found.len(), 1, "no second one");
    let seen = (&found[0].id, &found[0].body[..], found[0].attempt);
    assert_eq!(seen, (&taken.id, &b"b"[..], 1));
}

pub async fn a_take_of_nothing_gives_nothing_at_once(store: Store, _: ClockControl) {
    put(&store, "a", PAST).await;
    let taken = store.queue.take(&queue(), 0, 60 * SECOND).await.unwrap();
    assert!(taken.is_empty());
    assert_eq!(one(&store).await.attempt, 1);
}

pub async fn queues_do_not_share_messages(store: Store, _: ClockControl) {
    let named = |name: &str| QueueId(name.to_owned());
    for name in ["a", "ab"] {
        store
            .queue
            .put(
                &named(name),
                Bytes::from(name.to_owned()),
                PAST,
                Some("same"),
            )
            .await
            .unwrap();
    }
    for name in ["a", "ab"] {
        let taken = store
            .queue
            .take(&named(name), 10, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(&taken[0].body[..], name.as_bytes());
    }
}

pub async fn queues_that_hold_messages_are_listed_and_say_when(store: Store, _: ClockControl) {
    let named = |name: &str| QueueId(name.to_owned());
    let soon = now(&store).await + 10 * SECOND;
    for name in ["x/a", "x/bb", "y/a", "x/c", "x/"] {
        for at in [soon, soon + SECOND] {
            let id = named(name);
            store.queue.put(&id, Bytes::new(), at, None).await.unwrap();
        }
    }
    let mut all = Vec::new();
    loop {
        let page = store.queue.queues("x/", all.last(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        all.extend(page);
    }
    all.sort();
    assert_eq!(all, ["x/", "x/a", "x/bb", "x/c"].map(named));
    let next = |name: &str| {
        let id = named(name);
        async move { store.queue.next(&id).await.unwrap() }
    };
    assert_eq!(next("x/a").await, Some(soon));
}
