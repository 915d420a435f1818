use std::time::Duration;

use bytes::Bytes;
use tasks::{ClockControl, Time};

use crate::{Expect, Key, Op, QueueId, Space, Store, StoreError};

const TTL: Duration = Duration::from_secs(10);

pub async fn a_held_name_is_refused_until_it_is_released_or_ends(
    store: Store,
    control: ClockControl,
) {
    let leases = &store.leases;
    let mut first = leases.acquire("a", TTL).await.unwrap().unwrap();
    assert!(leases.acquire("a", TTL).await.unwrap().is_none());
    assert!(leases.acquire("b", TTL).await.unwrap().is_some());
    control.advance(Duration::from_secs(8));
    leases.renew(&mut first, TTL).await.unwrap();
    control.advance(Duration::from_secs(8));
    assert!(leases.acquire("a", TTL).await.unwrap().is_none());
    control.advance(Duration::from_secs(8));
    let second = leases.acquire("a", TTL).await.unwrap().unwrap();
    assert!(matches!(
        leases.renew(&mut first, TTL).await,
        Err(StoreError::Lost)
    ));
    leases.release(first).await.unwrap();
    assert!(
        leases.acquire("a", TTL).await.unwrap().is_none(),
        "not its to release"
    );
    leases.release(second).await.unwrap();
    assert!(leases.acquire("a", TTL).await.unwrap().is_some());
}

pub async fn the_fence_grows_with_every_owner(store: Store, _: ClockControl) {
    let mut last = 0;
    for _ in 0..5 {
        let grant = store.leases.acquire("a", TTL).await.unwrap().unwrap();
        assert!(grant.fence > last);
        last = grant.fence;
        store.leases.release(grant).await.unwrap();
    }
}

pub async fn a_call_is_answered_by_who_serves_the_subject(store: Store, control: ClockControl) {
    let call = |subject| {
        store
            .bus
            .call("any", subject, Bytes::from_static(b"ping"), TTL)
    };
    assert!(matches!(call("s").await, Err(StoreError::Unanswered(_))));
    let mut requests = store.bus.serve("s");
    let serving = async {
        let (body, reply) = requests.recv().await.unwrap();
        assert_eq!(&body[..], b"ping");
        reply.send(Bytes::from_static(b"pong")).unwrap();
    };
    let (answer, ()) = tokio::join!(call("s"), serving);
    assert_eq!(&answer.unwrap()[..], b"pong");
    let late = async {
        tokio::task::yield_now().await;
        control.advance(2 * TTL);
    };
    let (answer, ()) = tokio::join!(call("s"), late);
    assert!(matches!(answer, Err(StoreError::Unanswered(_))));
}

pub async fn a_closed_store_says_so(store: Store, _: ClockControl) {
    store.close().await;
    store.close().await;
    let space = Space("s");
    let key = Key::of(&["k"]);
    let closed = |error| matches!(error, Some(StoreError::Closed));
    assert!(closed(store.records.get(space, &key).await.err()));
    let op = Op::Put {
        key,
        value: Bytes::new(),
        expect: Expect::Any,
    };
    assert!(closed(store.records.txn(space, vec![op]).await.err()));
    let queue = QueueId("q".to_owned());
    assert!(closed(store.queue.take(&queue, 1, TTL).await.err()));
    assert!(closed(
        store
            .queue
            .put(&queue, Bytes::new(), Time::EPOCH, None)
            .await
            .err()
    ));
    assert!(closed(store.blobs.put(Bytes::new()).await.err()));
}
