use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use bytes::Bytes;
use invoke::{EventLimits, EventTarget, InvokeConfig, NotAccepted, Request};
use model::ports::{Parcel, Target, Undelivered};
use sandbox::fake::Reply;
use store::{QueueId, simulated};
use targets::{Deliverer, DurableOutbox, Registry, Step};
use tasks::Time;

use crate::house::{House, config, name};

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn event(function: &str) -> Request {
    Request {
        function: name(function),
        payload: "{\"k\":  1}".into(),
        request_id: ID.parse().unwrap(),
        client_context: None,
        cognito_identity: None,
        trace: None,
        want_log: false,
        tenant: None,
    }
}

/// What came to a queue.
#[derive(Default)]
struct Inbox(Mutex<Vec<Parcel>>);

#[async_trait]
impl Target for Inbox {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        if parcel.to.resource == "nobody" {
            let (code, message) = ("NonExistentQueue".to_owned(), String::new());
            return Err(Undelivered::Refused { code, message });
        }
        self.0.lock().unwrap().push(parcel.clone());
        Ok(())
    }
}

/// Starts what runs events and what delivers; gives what queues get.
fn drain(house: &House) -> Arc<Inbox> {
    let outbox = DurableOutbox::open(&house.store, &house.tasks);
    let worker = house.invoke.drain(&house.events, Arc::new(outbox.clone()));
    house.tasks.add(worker);
    let inbox = Arc::new(Inbox::default());
    let functions = EventTarget::new(&house.functions, &house.events);
    let registry = Registry::default()
        .with("lambda", Arc::new(functions))
        .with("sqs", inbox.clone());
    let events = house.events.clone();
    let count = move |parcel: &Parcel, _: u32, step: &Step| {
        if matches!(step, Step::Lost { .. }) {
            events.not_delivered(parcel);
        }
    };
    let deliverer = Deliverer::new(&outbox, registry, &house.tasks).with_witness(Arc::new(count));
    house.tasks.add(deliverer.worker());
    inbox
}

async fn depth(house: &House) -> u64 {
    let queues = house.store.queue.queues("", None, 100).await.unwrap();
    let mut sum = 0;
    for queue in queues {
        let depth = house.store.queue.depth(&queue).await.unwrap();
        sum += depth.due + depth.delayed + depth.leased;
    }
    sum
}

fn lane(function: &str) -> QueueId {
    let arn = name(function).unqualified_arn();
    QueueId(format!("lambda-events/{arn}"))
}

/// Moves the time on until nothing is left in the queue.
async fn drained(house: &House) -> Duration {
    let start = house.disk.clock().now();
    for _ in 0..5_000 {
        if depth(house).await == 0 {
            return house.disk.clock().now().since(start);
        }
        house.control.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    panic!("events are left");
}

/// A house whose function counts its calls and fails the first `failures` of them.
async fn counting(failures: u32) -> (House, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let house = House::with_function(move |fake| {
        fake.answers(move |call| {
            assert_eq!(call.request.as_str(), ID);
            assert_eq!(&call.payload[..], b"{\"k\":  1}");
            match seen.fetch_add(1, Ordering::SeqCst) {
                n if n < failures => Reply::error("E", "{}"),
                _ => Reply::success("null"),
            }
        })
    });
    (house.await, calls)
}

#[tokio::test]
async fn an_accepted_event_runs_once_if_it_succeeds() {
    let (house, calls) = counting(0).await;
    house.events.accept(&event("f")).await.unwrap();
    assert_eq!(depth(&house).await, 1, "nobody drains yet");
    drain(&house);
    drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_function_that_fails_is_asked_three_times() {
    let (house, calls) = counting(9).await;
    drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    let took = drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert!(took >= Duration::from_secs(180), "{took:?}");
}

#[tokio::test]
async fn an_event_for_a_function_that_went_is_given_up() {
    let (house, calls) = counting(0).await;
    house.events.accept(&event("gone")).await.unwrap();
    drain(&house);
    drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn more_events_than_may_wait_are_refused_before_they_are_written() {
    let (house, _) = counting(0).await;
    let limits = EventLimits {
        function_max: 2,
        all_max: 3,
    };
    let events = house.events.clone().with_limits(limits);
    let accept = |function: &str| {
        let (events, event) = (events.clone(), event(function));
        async move {
            match events.accept(&event).await {
                Ok(()) => "accepted",
                Err(NotAccepted::Throttled { reason }) => reason,
                Err(NotAccepted::Store(error)) => panic!("{error}"),
            }
        }
    };
    assert_eq!(accept("f").await, "accepted");
    assert_eq!(accept("f").await, "accepted");
    assert_eq!(accept("f").await, "FunctionInvocationRateLimitExceeded");
    assert_eq!(accept("g").await, "accepted");
    assert_eq!(accept("h").await, "CallerRateLimitExceeded");
    assert_eq!(depth(&house).await, 3);
    drain(&house);
    drained(&house).await;
    assert_eq!(accept("f").await, "accepted", "there is room again");
}

#[tokio::test]
async fn an_event_of_another_version_stays_and_is_shown() {
    let (house, calls) = counting(0).await;
    let strange = [&b"{\"form\":9}"[..], b"no json"];
    for body in strange {
        let (queue, now) = (&house.store.queue, house.disk.clock().now());
        let to = lane("f");
        let put = queue.put(&to, Bytes::from(body), now, None);
        put.await.unwrap();
    }
    house.events.accept(&event("f")).await.unwrap();
    drain(&house);
    for _ in 0..10_000 {
        if calls.load(Ordering::SeqCst) == 1 && house.events.unreadable().len() == 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(house.events.unreadable().len(), 2);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the others run");
    house.control.advance(Duration::from_secs(3_600));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let stored = house.store.queue.depth(&lane("f")).await.unwrap();
    assert_eq!(stored.due + stored.delayed + stored.leased, 2, "{stored:?}");
}

#[tokio::test]
async fn an_accepted_event_survives_a_power_cut() {
    let (house, _) = counting(0).await;
    house.events.accept(&event("f")).await.unwrap();
    let (store, _, _) = simulated::reopen(house.disk.crash()).unwrap();
    let found = store
        .queue
        .take(&lane("f"), 9, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert!(String::from_utf8_lossy(&found[0].body).contains(ID));
}

#[tokio::test]
async fn a_call_that_the_stop_of_the_server_ended_does_not_count() {
    let house = House::with_function(|fake| {
        fake.answers(|_| Reply::success("null").after(Duration::from_secs(5)))
    })
    .await;
    drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    while house.fake.calls() == 0 {
        tokio::task::yield_now().await;
    }
    house.tasks.request_stop();
    house.invoke.shutdown(Duration::from_secs(1)).await;
    let id = lane("f");
    while house.store.queue.depth(&id).await.unwrap().leased > 0 {
        tokio::task::yield_now().await;
    }
    let kept = house.store.queue.take(&id, 9, Duration::ZERO).await;
    let kept = kept.unwrap();
    assert_eq!(kept.len(), 1, "due at once after the restart");
    let body = String::from_utf8_lossy(&kept[0].body).into_owned();
    assert!(body.contains("\"failures\":0"), "{body}");
}

/// [ASY-6, ASY-18, ASY-21]
#[tokio::test]
async fn a_function_that_is_the_destination_hears_of_what_failed() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let seen = heard.clone();
    let house = House::with_function(move |fake| {
        fake.answers(move |call| match call.invoked_arn.ends_with(":f") {
            true => Reply::error("E", "{\"errorMessage\":\"no\"}"),
            false => {
                let record: serde_json::Value = serde_json::from_slice(&call.payload).unwrap();
                seen.lock().unwrap().push(record);
                Reply::success("null")
            }
        })
    })
    .await;
    house.deploy("g", config(|_| ())).await;
    let attach = |attached: &mut functions::Attached| {
        attached.event_invoke = Some(functions::EventInvoke {
            retries_max: Some(0),
            on_failure: Some(name("g").to_string()),
            ..Default::default()
        });
        Ok(())
    };
    house.functions.attach(&name("f"), attach).await.unwrap();
    drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    drained(&house).await;
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    let record = &heard[0];
    assert_eq!(record["requestContext"]["requestId"], ID);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["requestPayload"]["k"], 1);
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    assert_eq!(record["responsePayload"]["errorMessage"], "no");
}

/// A house whose function `f` fails, with this dead-letter queue and configuration.
async fn failing(
    dead_letter: Option<&str>,
    attach: impl FnOnce(&mut functions::EventInvoke) + Send + 'static,
) -> House {
    let house = House::new(
        |fake| fake.answers(|_| Reply::error("E", "{\"errorMessage\":\"no\"}")),
        InvokeConfig::default(),
    )
    .await;
    let dead_letter = dead_letter.map(str::to_owned);
    let config = config(|config| config.dead_letter = dead_letter);
    house.deploy("f", config).await;
    let edit = |attached: &mut functions::Attached| {
        let mut config = functions::EventInvoke {
            retries_max: Some(0),
            ..Default::default()
        };
        attach(&mut config);
        attached.event_invoke = Some(config);
        Ok(())
    };
    house.functions.attach(&name("f"), edit).await.unwrap();
    house
}

const LIMITS: functions::AccountLimits = functions::AccountLimits {
    concurrency: 1_000,
    unreserved_min: 100,
};
const DLQ: &str = "arn:aws:sqs:us-east-1:000000000000:dlq";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const NOBODY: &str = "arn:aws:sqs:us-east-1:000000000000:nobody";

/// [ASY-9, ASY-15]
#[tokio::test]
async fn dead_letter_queue_and_destination_both_hear() {
    let house = failing(Some(DLQ), |c| c.on_failure = Some(QUEUE.to_owned())).await;
    let inbox = drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    drained(&house).await;
    let came = inbox.0.lock().unwrap();
    let of = |arn: &str| came.iter().filter(|p| p.to.to_string() == arn).count();
    assert_eq!((of(DLQ), of(QUEUE), came.len()), (1, 1, 2));
    let letter = came.iter().find(|p| p.to.to_string() == DLQ).unwrap();
    assert_eq!(letter.body, Bytes::from_static(b"{\"k\":  1}"));
}

/// [ASY-7, ASY-18, ASY-27]
#[tokio::test]
async fn an_event_that_waited_too_long_is_not_run() {
    let house = failing(Some(DLQ), |c| {
        c.on_failure = Some(QUEUE.to_owned());
        c.age_max_secs = Some(60);
    })
    .await;
    house.events.accept(&event("f")).await.unwrap();
    house.control.advance(Duration::from_secs(60));
    let inbox = drain(&house);
    drained(&house).await;
    assert_eq!(house.fake.calls(), 0);
    let came = inbox.0.lock().unwrap();
    let of = |arn: &str| came.iter().find(|p| p.to.to_string() == arn).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&of(QUEUE).body).unwrap();
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none());
    let attributes = of(DLQ).attributes.iter();
    let names: Vec<&str> = attributes.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["RequestID", "ErrorCode", "ErrorMessage"]);
    let arn = name("f").unqualified_arn();
    assert_eq!(house.events.counters().all()[&arn].dropped, 1);
}

/// [ASY-13, ASY-25]
#[tokio::test]
async fn what_nobody_takes_is_counted() {
    let house = failing(Some(NOBODY), |c| c.on_failure = Some(NOBODY.to_owned())).await;
    drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    drained(&house).await;
    let counts = house.events.counters().of(&name("f").unqualified_arn());
    assert_eq!((counts.received, counts.dropped), (1, 1));
    assert_eq!(
        (counts.dead_letter_errors, counts.destination_failures),
        (1, 1)
    );
}

/// [ASY-26, CON-8]
#[tokio::test]
async fn a_function_that_is_switched_off_does_not_run() {
    let house = failing(Some(DLQ), |c| c.on_failure = Some(QUEUE.to_owned())).await;
    house
        .functions
        .reserve(&name("f"), 0, LIMITS)
        .await
        .unwrap();
    let inbox = drain(&house);
    house.events.accept(&event("f")).await.unwrap();
    let took = drained(&house).await;
    assert!(took < Duration::from_secs(60), "no retries: {took:?}");
    assert_eq!(house.fake.calls(), 0);
    let came = inbox.0.lock().unwrap();
    let record = came.iter().find(|p| p.to.to_string() == QUEUE).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
    let context = &record["requestContext"];
    assert_eq!(context["condition"], "ZeroReservedConcurrency");
    assert_eq!(context["approximateInvokeCount"], 0);
    assert_eq!(record.get("responseContext"), None);
}

/// [ASY-3] One flooded function does not delay another.
#[tokio::test]
async fn a_flooded_function_does_not_hold_up_another() {
    let house = House::new(
        |fake| {
            fake.answers(|call| match call.invoked_arn.ends_with(":f") {
                true => Reply::success("null").after(Duration::from_secs(1_000)),
                false => Reply::success("null"),
            })
        },
        InvokeConfig::default(),
    )
    .await;
    let slow = config(|c| c.timeout = model::Timeout::from_secs(900).unwrap());
    house.deploy("f", slow).await;
    house.deploy("g", config(|_| ())).await;
    for _ in 0..1_500 {
        house.events.accept(&event("f")).await.unwrap();
    }
    drain(&house);
    house.events.accept(&event("g")).await.unwrap();
    let queue = &house.store.queue;
    for _ in 0..10_000 {
        if queue.next(&lane("g")).await.unwrap().is_none() {
            assert!(queue.next(&lane("f")).await.unwrap().is_some());
            return;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    panic!("the other function waits");
}

/// Events that were accepted before there were lanes.
#[tokio::test]
async fn events_of_the_single_queue_are_run() {
    let (house, calls) = counting(0).await;
    house.events.accept(&event("f")).await.unwrap();
    let queue = &house.store.queue;
    let kept = queue.take(&lane("f"), 1, Duration::ZERO).await.unwrap();
    let single = QueueId("lambda-events".to_owned());
    let put = queue.put(&single, kept[0].body.clone(), Time::EPOCH, None);
    put.await.unwrap();
    queue.ack(&kept[0].token).await.unwrap();
    drain(&house);
    drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
