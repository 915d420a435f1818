use std::time::Duration;

use model::ports::{Attribute, AttributeValue, DeadLetter, DeadLetterStyle, Outbox as _};
use targets::Counts;

use crate::house::{Answer, House, posting, queue, rule};

const NO_TIME: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_was_posted_survives_a_power_cut_and_arrives() {
    let house = House::new();
    house.post(posting("q", "1")).await;
    let mut house = house.crash();
    house.deliver();
    house.until(NO_TIME, |h| h.counts().delivered == 1).await;
    assert_eq!(house.came(), [("q".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn a_posting_that_is_repeated_arrives_once() {
    let mut house = House::new();
    for _ in 0..3 {
        house.post(posting("q", "1")).await;
    }
    house.post(posting("other", "1")).await;
    house.deliver();
    house.until(NO_TIME, |h| h.counts().delivered == 2).await;
    let mut came = house.came();
    came.sort();
    let expected = [("other", "1"), ("q", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(came, expected);
}

#[tokio::test]
async fn a_receiver_that_hangs_or_fails_does_not_delay_another() {
    let mut house = House::new();
    house.answers("hangs", Answer::Never);
    house.answers("fails", Answer::Later);
    for n in 0..100 {
        house.post(posting("hangs", &n.to_string())).await;
        house.post(posting("fails", &n.to_string())).await;
    }
    house.post(posting("well", "x")).await;
    house.deliver();
    let well = |h: &House| h.came().contains(&("well".to_owned(), "x".to_owned()));
    house.until(NO_TIME, well).await;
}

#[tokio::test]
async fn tries_end_with_patience_and_what_is_lost_is_counted() {
    let mut house = House::new();
    house.answers("q", Answer::Later);
    house.post(posting("q", "1")).await;
    house.deliver();
    let took = house.until(SECOND, |h| h.counts().lost == 1).await;
    assert_eq!(house.came().len(), 5, "the first try and four more");
    assert!(took >= Duration::from_secs(7), "{took:?}");
    assert!(took <= Duration::from_secs(25), "{took:?}");
    let expected = Counts {
        retried: 4,
        lost: 1,
        ..Counts::default()
    };
    assert_eq!(house.counts(), expected);
}

#[tokio::test]
async fn a_receiver_that_comes_back_gets_everything() {
    let mut house = House::new();
    house.answers("q", Answer::Later);
    for n in 0..20 {
        house.post(posting("q", &n.to_string())).await;
    }
    house.deliver();
    house.until(SECOND, |h| h.counts().retried >= 20).await;
    house.answers_well();
    house.until(SECOND, |h| h.counts().delivered == 20).await;
    assert_eq!(house.counts().lost, 0);
}

#[tokio::test]
async fn a_try_without_an_answer_ends() {
    let mut house = House::new();
    house.answers("hangs", Answer::Never);
    house.post(posting("hangs", "1")).await;
    house.deliver();
    house.until(SECOND, |h| h.counts().retried == 1).await;
}

#[tokio::test]
async fn what_is_refused_goes_to_the_dead_letter_queue_at_once() {
    let mut house = House::new();
    house.answers("q", Answer::Refused);
    let mut letter = posting("q", "1");
    letter.dead_letter = Some(DeadLetter {
        to: queue("dlq"),
        style: DeadLetterStyle::Rule { rule: rule() },
    });
    house.post(letter).await;
    house.deliver();
    house.until(NO_TIME, |h| h.counts().delivered == 1).await;
    assert_eq!(house.counts().dead_lettered, 1);
    let came = house.last();
    assert_eq!(came.to, queue("dlq"));
    let code = Attribute {
        kind: "String".to_owned(),
        value: AttributeValue::Text("Code".to_owned()),
    };
    assert!(came.attributes.contains(&("ERROR_CODE".to_owned(), code)));
}

#[tokio::test]
async fn a_dead_letter_to_the_receiver_itself_is_no_repetition() {
    let mut house = House::new();
    house.answers("q", Answer::Refused);
    let mut letter = posting("q", "1");
    letter.dead_letter = Some(DeadLetter {
        to: queue("q"),
        style: DeadLetterStyle::Plain,
    });
    house.post(letter).await;
    house.deliver();
    house.until(NO_TIME, |h| h.counts().lost == 1).await;
    assert_eq!(house.came().len(), 2);
}

#[tokio::test]
async fn an_arn_of_nobody_is_refused_and_counted() {
    let mut house = House::new();
    let mut nowhere = posting("q", "1");
    nowhere.parcel.to = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
        .parse()
        .unwrap();
    house.post(nowhere).await;
    house.deliver();
    house.until(NO_TIME, |h| h.counts().lost == 1).await;
}

#[tokio::test]
async fn what_is_over_a_limit_is_not_accepted() {
    let house = House::new();
    let mut large = posting("q", "1");
    large.parcel.body = vec![b' '; 2 << 20].into();
    let mut long = posting("q", "1");
    long.parcel.id = "x".repeat(129);
    for bad in [large, long] {
        assert!(house.outbox.post(vec![bad]).await.is_err());
    }
    let mut fits = posting("q", "2");
    fits.parcel.body = vec![b' '; 1 << 20].into();
    house.post(fits).await;
}

#[tokio::test]
async fn a_receiver_with_a_long_name_and_a_group_is_reached() {
    let mut house = House::new();
    let mut long = posting("q", &"i".repeat(128));
    let name = "ü".repeat(1_000);
    long.parcel.to = queue(&name);
    long.parcel.group = Some("g".repeat(128));
    long.dead_letter = None;
    house.post(long).await;
    house.deliver();
    house.until(NO_TIME, |h| h.counts().delivered == 1).await;
    assert_eq!(house.last().to.resource, name);
}

#[tokio::test]
async fn a_posting_of_another_version_stays_and_is_shown() {
    let (store, disk, control) = store::simulated::open(3);
    let outbox = targets::DurableOutbox::open(&store, disk.tasks());
    let lane = store::QueueId(format!("outbox/{}", queue("q")));
    for form in [&b"\x09of a later version"[..], b"\x01torn", b""] {
        let put = store
            .queue
            .put(&lane, form.into(), disk.clock().now(), None);
        put.await.unwrap();
    }
    let registry = targets::Registry::default();
    let deliverer = targets::Deliverer::new(&outbox, registry, disk.tasks());
    disk.tasks().add(deliverer.worker());
    for _ in 0..10_000 {
        if outbox.unreadable().len() == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(outbox.unreadable().len(), 3);
    control.advance(3_600 * SECOND);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let stored = store.queue.depth(&lane).await.unwrap();
    assert_eq!(stored.due + stored.delayed + stored.leased, 3, "{stored:?}");
}

#[tokio::test]
async fn who_waits_for_the_rate_of_a_receiver_loses_no_try() {
    let mut house = House::new();
    house.answers("q", Answer::Busy);
    house.post(posting("q", "1")).await;
    house.deliver();
    // Far more often than it may be tried.
    house.until(SECOND, |h| h.came().len() == 20).await;
    assert_eq!(house.counts(), Counts::default());
    house.answers_well();
    house.answers("q", Answer::Later);
    house.until(SECOND, |h| h.counts().lost == 1).await;
    assert_eq!(house.came().len(), 20 + 5, "the first try and four more");
}
