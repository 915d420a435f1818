//! Deduplication ids of queues over restarts.

use std::time::Duration;

use bytes::Bytes;
use store::simulated::{self, Disk};
use store::{MsgId, QueueId, Store};
use tasks::Time;

const HOUR: Duration = Duration::from_secs(3_600);

async fn put(store: &Store, id: &str) -> MsgId {
    let queue = QueueId("q".to_owned());
    let put = store.queue.put(&queue, Bytes::new(), Time::EPOCH, Some(id));
    put.await.unwrap()
}

fn restart(disk: &Disk) -> (Store, Disk, tasks::ClockControl) {
    simulated::reopen(disk.kill()).unwrap()
}

#[tokio::test]
async fn an_id_is_known_after_any_downtime_for_its_window() {
    let (store, disk, control) = simulated::open(7);
    let first = put(&store, "a").await;
    control.advance(HOUR);
    let (store, disk, control) = restart(&disk);
    // Neither the look nor what others put forgets it.
    for other in ["b", "c", "d", "e", "f"] {
        put(&store, other).await;
    }
    assert_eq!(put(&store, "a").await, first);
    control.advance(Duration::from_secs(299));
    assert_eq!(put(&store, "a").await, first);
    control.advance(Duration::from_secs(1));
    let second = put(&store, "a").await;
    assert_ne!(second, first);
    control.advance(HOUR);
    let (store, _disk, _control) = restart(&disk);
    assert_eq!(put(&store, "a").await, second);
}
