use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use store::simulated::{self, Disk};
use store::{Handler, Lane, Lanes, LanesConfig, Leased, Next, QueueId, Room, Store, StoreError};
use tasks::ClockControl;
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// Handles a message when it is let: the bodies are noted, those that begin with `slow` wait.
struct Hand {
    seen: Mutex<Vec<String>>,
    gate: Semaphore,
    then: fn(&Leased) -> Next,
}

#[async_trait]
impl Handler for Hand {
    async fn handle(&self, message: &Leased) -> Result<Next, StoreError> {
        let body = String::from_utf8(message.body.to_vec()).unwrap();
        self.seen.lock().unwrap().push(body.clone());
        if body.starts_with("slow") {
            self.gate.acquire().await.unwrap().forget();
        }
        Ok((self.then)(message))
    }
}

struct House {
    store: Store,
    disk: Disk,
    control: ClockControl,
    lanes: Lanes,
    hand: Arc<Hand>,
}

impl House {
    fn new(then: fn(&Leased) -> Next) -> House {
        House::on(simulated::open(7), then)
    }

    fn on((store, disk, control): (Store, Disk, ClockControl), then: fn(&Leased) -> Next) -> House {
        let lanes = Lanes::new(&store, disk.tasks(), "t/");
        let hand = Arc::new(Hand {
            seen: Mutex::default(),
            gate: Semaphore::new(0),
            then,
        });
        House {
            store,
            disk,
            control,
            lanes,
            hand,
        }
    }

    fn drain(&self, handled_max: usize) {
        let config = LanesConfig {
            handled_max,
            bytes_max: 1 << 20,
        };
        let worker = self.lanes.drain(self.hand.clone(), config);
        self.disk.tasks().add(worker);
    }

    async fn put(&self, lane: &str, body: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let lane = match lane.strip_prefix('=') {
            Some(name) => Lane::InOrder(name.to_owned()),
            None => Lane::Free(lane.to_owned()),
        };
        let now = self.disk.clock().now();
        let put = self.lanes.put(&lane, body, now, None);
        put.await.unwrap();
    }

    fn seen(&self) -> Vec<String> {
        self.hand.seen.lock().unwrap().clone()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&House) -> bool) {
        for _ in 0..10_000 {
            if is_so(self) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never so: {what}; seen {:?}", self.seen());
    }
}

#[tokio::test]
async fn a_flooded_lane_does_not_hold_up_another() {
    let house = House::new(|_| Next::Done);
    for n in 0..100 {
        house.put("flooded", &format!("slow {n}")).await;
    }
    house.drain(16);
    house.until("half is in use", |h| h.seen().len() == 8).await;
    house.put("other", "quick").await;
    let quick = |h: &House| h.seen().contains(&"quick".to_owned());
    house.until("the other lane is served", quick).await;
    assert_eq!(house.seen().len(), 9, "and the flooded one got no more");
    house.hand.gate.add_permits(1_000);
    house.until("all end", |h| h.seen().len() == 101).await;
    house
        .until("nothing is kept", |h| h.lanes.tally().handled == 0)
        .await;
}

#[tokio::test]
async fn what_lay_in_lanes_before_is_found() {
    let house = House::new(|_| Next::Done);
    house.put("a", "1").await;
    house.put("b", "2").await;
    let house = House::on(simulated::reopen(house.disk.crash()).unwrap(), |_| {
        Next::Done
    });
    house.drain(4);
    house.until("both come", |h| h.seen().len() == 2).await;
}

#[tokio::test]
async fn a_message_comes_again_when_its_handler_says() {
    let house = House::new(|m| match m.attempt {
        1 => Next::At(m.until + 60 * SECOND),
        _ => Next::Done,
    });
    house.put("a", "x").await;
    house.drain(4);
    house.until("first", |h| h.seen().len() == 1).await;
    house
        .until("it is put back", |h| h.lanes.tally().handled == 0)
        .await;
    house.control.advance(89 * SECOND);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.seen().len(), 1);
    house.control.advance(2 * SECOND);
    house.until("second", |h| h.seen().len() == 2).await;
    house.control.advance(31 * SECOND);
    house
        .until("it is forgotten", |h| h.lanes.tally().lanes == 0)
        .await;
}

#[tokio::test]
async fn a_message_whose_lease_ended_early_is_not_handled_beside_itself() {
    let house = House::new(|_| Next::Done);
    house.put("a", "slow").await;
    house.drain(4);
    house.until("it is handled", |h| h.seen().len() == 1).await;
    // Far over the lease in one step, as a moved clock does.
    house.control.advance(3_600 * SECOND);
    house.put("a", "quick").await;
    house
        .until("the lane goes on", |h| h.seen().len() == 2)
        .await;
    house.hand.gate.add_permits(1);
    let id = QueueId("t/a".to_owned());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.seen(), ["slow", "quick"]);
    let depth = house.store.queue.depth(&id).await.unwrap();
    assert_eq!(depth.due + depth.leased + depth.delayed, 0, "both are done");
}

#[tokio::test]
async fn a_lane_in_order_is_handled_one_by_one_and_waits_for_its_first() {
    let house = House::new(|m| match (&m.body[..], m.attempt) {
        (b"1", 1) => Next::At(m.until + 30 * SECOND),
        _ => Next::Done,
    });
    for body in ["1", "slow 2", "3", "4"] {
        house.put("=a", body).await;
    }
    house.put("=b", "other").await;
    house.drain(64);
    house
        .until("each begins", |h| {
            h.lanes.tally().handled == 0 && h.seen().len() == 2
        })
        .await;
    house.put("=a", "5").await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.seen().len(), 2, "the first holds up the others");
    house.control.advance(61 * SECOND);
    house
        .until("the first comes again", |h| h.seen().len() == 4)
        .await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.seen().last().unwrap(), "slow 2", "one by one");
    house.hand.gate.add_permits(1);
    house.until("all end", |h| h.seen().len() == 7).await;
    let of_a: Vec<String> = house.seen().into_iter().filter(|s| s != "other").collect();
    assert_eq!(of_a, ["1", "1", "slow 2", "3", "4", "5"]);
}

async fn stored(house: &House, lane: &str) -> u64 {
    let id = QueueId(format!("t/{lane}"));
    let depth = house.store.queue.depth(&id).await.unwrap();
    depth.due + depth.leased + depth.delayed
}

#[tokio::test]
async fn what_nobody_can_read_is_kept_and_shown_and_passed() {
    let house = House::new(|m| match (&m.body[..], m.attempt) {
        (b"?", 1) => Next::Aside {
            why: "new form".to_owned(),
        },
        _ => Next::Done,
    });
    for (lane, body) in [("a", "?"), ("a", "1"), ("=b", "?"), ("=b", "1")] {
        house.put(lane, body).await;
    }
    house.drain(8);
    let passed = |h: &House| h.seen().iter().filter(|body| *body == "1").count() == 2;
    house.until("the others pass it", passed).await;
    let shown = |h: &House| h.lanes.aside().len() == 2 && h.lanes.tally().handled == 0;
    house.until("it is shown", shown).await;
    assert_eq!(house.lanes.aside()[1].why, "new form");
    assert_eq!(
        (stored(&house, "a").await, stored(&house, "=b").await),
        (1, 1)
    );
    house.control.advance(601 * SECOND);
    let read = |h: &House| h.seen().len() == 6 && h.lanes.aside().is_empty();
    house.until("it is read later", read).await;
    house
        .until("nothing is left", |h| h.lanes.tally().waiting == 0)
        .await;
}

#[tokio::test]
async fn a_full_lane_takes_no_more_until_one_is_done() {
    let full = |lanes: &Lanes| {
        let lanes = lanes.clone();
        async move {
            let lane = Lane::Free("a".to_owned());
            let put = lanes.put(&lane, Bytes::from("slow"), tasks::Time::EPOCH, None);
            matches!(put.await, Err(StoreError::Full { .. }))
        }
    };
    let house = House::new(|_| Next::Done);
    let room = Room {
        lane_max: 3,
        all_max: 4,
    };
    let lanes = house.lanes.clone().with_room(room);
    for _ in 0..3 {
        house.put("a", "slow").await;
    }
    assert!(full(&lanes).await, "the lane");
    assert_eq!(stored(&house, "a").await, 3, "nothing was written");
    house.put("b", "slow").await;
    let other = Lane::Free("c".to_owned());
    let put = lanes.put(&other, Bytes::new(), tasks::Time::EPOCH, None);
    assert!(put.await.is_err(), "all lanes");

    // What waited before is counted by the next process too.
    let house = House::on(simulated::reopen(house.disk.crash()).unwrap(), |_| {
        Next::Done
    });
    let lanes = house.lanes.clone().with_room(room);
    house.drain(8);
    house
        .until("all are counted", |h| h.lanes.tally().waiting == 4)
        .await;
    assert!(full(&lanes).await);
    house.hand.gate.add_permits(4);
    house
        .until("all are done", |h| h.lanes.tally().waiting == 0)
        .await;
    assert!(!full(&lanes).await);
}

#[tokio::test]
async fn what_is_taken_again_while_it_is_put_back_does_not_wait_for_its_lease() {
    let house = House::new(|m| match m.attempt {
        // Due at once: another take may be faster than the end of this one.
        1..4 => Next::At(m.enqueued),
        _ => Next::Done,
    });
    for n in 0..64 {
        house.put("a", &n.to_string()).await;
    }
    house.drain(64);
    house
        .until("all are done", |h| h.lanes.tally().waiting == 0)
        .await;
    assert_eq!(stored(&house, "a").await, 0);
    assert!(house.seen().len() >= 4 * 64);
}
