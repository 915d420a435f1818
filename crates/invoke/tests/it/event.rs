use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use invoke::{EventQueue, Request};
use sandbox::fake::Reply;
use store::{QueueId, simulated};

use crate::house::{House, name};

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
    }
}

fn queue(house: &House) -> EventQueue {
    EventQueue::new(&house.store, house.disk.clock())
}

async fn depth(house: &House) -> u64 {
    let depth = house
        .store
        .queue
        .depth(&QueueId("lambda-events".to_owned()))
        .await
        .unwrap();
    depth.due + depth.delayed + depth.leased
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
    queue(&house).accept(&event("f")).await.unwrap();
    assert_eq!(depth(&house).await, 1, "nobody drains yet");
    house.tasks.add(house.invoke.drain(queue(&house)));
    drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_function_that_fails_is_asked_three_times() {
    let (house, calls) = counting(9).await;
    house.tasks.add(house.invoke.drain(queue(&house)));
    queue(&house).accept(&event("f")).await.unwrap();
    let took = drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert!(took >= Duration::from_secs(180), "{took:?}");
}

#[tokio::test]
async fn an_event_for_a_function_that_went_is_given_up() {
    let (house, calls) = counting(0).await;
    queue(&house).accept(&event("gone")).await.unwrap();
    house.tasks.add(house.invoke.drain(queue(&house)));
    drained(&house).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_accepted_event_survives_a_power_cut() {
    let (house, _) = counting(0).await;
    queue(&house).accept(&event("f")).await.unwrap();
    let (store, _, _) = simulated::reopen(house.disk.crash()).unwrap();
    let found = store
        .queue
        .take(&QueueId("lambda-events".to_owned()), 9, Duration::ZERO)
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
    house.tasks.add(house.invoke.drain(queue(&house)));
    queue(&house).accept(&event("f")).await.unwrap();
    while house.fake.calls() == 0 {
        tokio::task::yield_now().await;
    }
    house.tasks.request_stop();
    house.invoke.shutdown(Duration::from_secs(1)).await;
    let id = QueueId("lambda-events".to_owned());
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
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
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
    house.deploy("g", crate::house::config(|_| ())).await;
    let attach = |attached: &mut functions::Attached| {
        attached.event_invoke = Some(functions::EventInvoke {
            retries_max: Some(0),
            on_failure: Some(name("g").to_string()),
            ..Default::default()
        });
        Ok(())
    };
    house.functions.attach(&name("f"), attach).await.unwrap();
    house.tasks.add(house.invoke.drain(queue(&house)));
    queue(&house).accept(&event("f")).await.unwrap();
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
