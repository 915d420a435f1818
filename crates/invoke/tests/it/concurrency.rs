use std::time::Duration;

use functions::{AccountLimits, AliasChange, NewAlias, NewVersion, Provisioned};
use invoke::{InvokeConfig, Outcome, ProvisionedState, Rate, Refused, Request};
use model::{Exit, FunctionRef, Published, Qualifier};
use sandbox::StartError;
use sandbox::fake::{Fake, Reply};

use crate::house::{House, config, name};

const LIMITS: AccountLimits = AccountLimits {
    concurrency: 1_000,
    unreserved_min: 100,
};

fn at(qualifier: &str) -> FunctionRef {
    name("f").with_qualifier(Some(qualifier.parse::<Qualifier>().unwrap()))
}

/// `f` with version 1 and the alias `live`.
async fn published(fake: impl FnOnce(Fake) -> Fake, limits: InvokeConfig) -> House {
    let house = House::new(fake, limits).await;
    house.deploy("f", config(|_| ())).await;
    publish(&house).await;
    let live = NewAlias {
        name: "live".parse().unwrap(),
        version: Published::from_number(1),
        description: String::new(),
        weight: None,
    };
    house
        .functions
        .create_alias(&name("f"), live)
        .await
        .unwrap();
    house
}

async fn publish(house: &House) {
    let new = NewVersion::default();
    let done = house.functions.publish_version(&name("f"), new).await;
    done.unwrap();
}

async fn provision(house: &House, n: u32) -> Provisioned {
    let done = house.functions.provision(&at("live"), n, LIMITS).await;
    done.unwrap()
}

fn request(house: &House, qualifier: &str) -> Request {
    Request {
        function: at(qualifier),
        ..house.request("f")
    }
}

async fn call(house: &House, qualifier: &str) -> Result<Outcome, Refused> {
    house
        .invoke
        .request_response(request(house, qualifier))
        .await
}

async fn until(house: &House, done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        house.control.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not happen: {:?}", house.invoke.pools());
}

async fn ready(house: &House, asked: Provisioned) {
    let state = || house.invoke.provisioned(&at("live"), asked).state;
    until(house, || state() == ProvisionedState::Ready).await;
}

fn started_as(house: &House, kind: &str) -> usize {
    let is_kind = |(name, value): &(String, String)| {
        name == "AWS_LAMBDA_INITIALIZATION_TYPE" && value == kind
    };
    let specs = house.fake.specs();
    specs.iter().filter(|s| s.env.iter().any(is_kind)).count()
}

/// CON-11, CON-12, CON-13
#[tokio::test]
async fn provisioned_environments_are_ready_before_the_first_call() {
    let init = Duration::from_millis(700);
    let house = published(|f| f.init_takes(init), InvokeConfig::default()).await;
    let asked = provision(&house, 3).await;
    let status = house.invoke.provisioned(&at("live"), asked);
    assert_eq!(
        (status.allocated, status.state),
        (0, ProvisionedState::InProgress)
    );
    ready(&house, asked).await;
    assert_eq!((house.fake.started(), house.fake.calls()), (3, 0));
    assert_eq!(started_as(&house, "provisioned-concurrency"), 3);
    let tail = House::tail(&call(&house, "live").await.unwrap());
    assert!(!tail.contains("Init Duration"), "{tail}");
    assert_eq!(house.fake.started(), 3);
    assert_eq!(started_as(&house, "on-demand"), 0);
    let limit = house.fake.specs()[0].init_limit;
    assert_eq!(limit, Duration::from_secs(130));
}

/// CON-14
#[tokio::test]
async fn what_is_more_than_provisioned_runs_on_demand() {
    let slow = |f: Fake| f.answers(|_| Reply::success("1").after(Duration::from_secs(1)));
    let house = published(slow, InvokeConfig::default()).await;
    let asked = provision(&house, 2).await;
    ready(&house, asked).await;
    let calls = async {
        tokio::join!(
            call(&house, "live"),
            call(&house, "live"),
            call(&house, "live"),
            call(&house, "1")
        )
    };
    let clock = async {
        until(&house, || house.fake.calls() == 4).await;
        house.control.advance(Duration::from_secs(1));
    };
    let ((a, b, c, d), ()) = tokio::join!(calls, clock);
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(
        started_as(&house, "on-demand"),
        2,
        "one spilled over, one named no alias"
    );
}

/// CON-6: with all of a reservation provisioned nothing is left for other versions.
#[tokio::test]
async fn a_reservation_holds_what_is_provisioned() {
    let house = published(|f| f, InvokeConfig::default()).await;
    let asked = provision(&house, 2).await;
    house
        .functions
        .reserve(&name("f"), 2, LIMITS)
        .await
        .unwrap();
    ready(&house, asked).await;
    let reason = |end: Result<Outcome, Refused>| match end {
        Err(Refused::Throttled { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let reserved = "ReservedFunctionConcurrentInvocationLimitExceeded";
    assert_eq!(reason(house.call("f").await), reserved);
    assert!(call(&house, "live").await.is_ok());
}

/// CON-6: others cannot use what is reserved or provisioned.
#[tokio::test]
async fn what_is_claimed_is_not_there_for_others() {
    let limits = InvokeConfig {
        concurrency_max: 4,
        unreserved_min: 1,
        ..InvokeConfig::default()
    };
    let slow = |f: Fake| f.answers(|_| Reply::success("1").after(Duration::from_secs(1)));
    let house = published(slow, limits).await;
    house.deploy("g", config(|_| ())).await;
    let limits = house.invoke.account_limits();
    house
        .functions
        .reserve(&name("f"), 3, limits)
        .await
        .unwrap();
    let calls = async { tokio::join!(house.call("g"), house.call("g"), house.call("f")) };
    let clock = async {
        until(&house, || house.fake.calls() == 2).await;
        house.control.advance(Duration::from_secs(1));
    };
    let ((first, second, own), ()) = tokio::join!(calls, clock);
    assert!(first.is_ok() && own.is_ok());
    let reason = "ConcurrentInvocationLimitExceeded";
    assert_eq!(second, Err(Refused::Throttled { reason }));
}

#[tokio::test]
async fn provisioned_environments_are_replaced_and_never_retired_by_idleness() {
    let house = published(|f| f, InvokeConfig::default()).await;
    let asked = provision(&house, 2).await;
    ready(&house, asked).await;
    house.fake.kill_all(Exit::Signal(9));
    until(&house, || house.fake.started() == 4).await;
    ready(&house, asked).await;
    house.control.advance(Duration::from_secs(3_600));
    until(&house, || house.fake.frozen() == 2).await;
    assert_eq!(house.fake.live(), 2, "idle for an hour");
    assert!(call(&house, "live").await.is_ok());
    assert_eq!(house.fake.started(), 4);
}

#[tokio::test]
async fn an_alias_that_moves_takes_its_provisioned_concurrency_along() {
    let house = published(|f| f, InvokeConfig::default()).await;
    let asked = provision(&house, 2).await;
    ready(&house, asked).await;
    house.new_code("f", "#!/bin/false\n").await;
    publish(&house).await;
    let to_two = AliasChange {
        version: Some(Published::from_number(2)),
        ..AliasChange::default()
    };
    let alias = "live".parse().unwrap();
    let moved = house
        .functions
        .update_alias(&name("f"), alias, to_two)
        .await;
    moved.unwrap();
    until(&house, || {
        house.fake.started() == 4 && house.fake.live() == 2
    })
    .await;
    let outcome = call(&house, "live").await.unwrap();
    assert_eq!(outcome.executed_version.to_string(), "2");
    assert_eq!(started_as(&house, "on-demand"), 0);
    house.functions.unprovision(&at("live")).await.unwrap();
    until(&house, || house.fake.live() == 0).await;
}

/// CON-11
#[tokio::test]
async fn a_failed_init_is_told_and_tried_again_later() {
    let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let failing = fails.clone();
    let broken = move |f: Fake| {
        f.init_fails(move |_| {
            let exit = Exit::Code(1);
            let took = Duration::from_millis(1);
            let fails = failing.load(std::sync::atomic::Ordering::SeqCst);
            fails.then_some(StartError::InitExited { exit, took })
        })
    };
    let house = published(broken, InvokeConfig::default()).await;
    let asked = provision(&house, 1).await;
    let state = || house.invoke.provisioned(&at("live"), asked).state;
    let failed = ProvisionedState::Failed("FUNCTION_ERROR_INIT_FAILURE");
    until(&house, || state() == failed).await;
    assert_eq!(house.fake.specs().len(), 1);
    fails.store(false, std::sync::atomic::Ordering::SeqCst);
    ready(&house, asked).await;
}

/// CON-4, CON-15
#[tokio::test]
async fn a_function_gets_environments_as_fast_as_the_rule_says() {
    let limits = InvokeConfig {
        scaling: Rate::new(2, Duration::from_secs(10)),
        ..InvokeConfig::default()
    };
    let slow = |f: Fake| f.answers(|_| Reply::success("1").after(Duration::from_secs(1)));
    let house = published(slow, limits).await;
    let calls = async { tokio::join!(house.call("f"), house.call("f"), house.call("f")) };
    let clock = async {
        while house.fake.calls() < 2 {
            tokio::task::yield_now().await;
        }
        house.control.advance(Duration::from_secs(1));
    };
    let ((a, b, c), ()) = tokio::join!(calls, clock);
    assert!(a.is_ok() && b.is_ok());
    let reason = "FunctionInvocationRateLimitExceeded";
    assert_eq!(c, Err(Refused::Throttled { reason }));
    let asked = provision(&house, 2).await;
    let before = house.tasks.clock().now();
    ready(&house, asked).await;
    let took = house.tasks.clock().now().since(before);
    assert!(took >= Duration::from_secs(8), "{took:?}");
}

/// LIFE-5: idle environments are frozen; the call thaws the one that it gets.
#[tokio::test]
async fn idle_environments_are_frozen() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    assert_eq!(house.fake.frozen(), 0, "not at once");
    until(&house, || house.fake.frozen() == 1).await;
    house.call("f").await.unwrap();
    assert_eq!((house.fake.started(), house.fake.frozen()), (1, 0));
    until(&house, || house.fake.frozen() == 1).await;
}

/// LIFE-9
#[tokio::test]
async fn a_busy_environment_is_recycled_in_the_end() {
    let limits = InvokeConfig {
        lifetime_max: Duration::from_secs(60),
        ..InvokeConfig::default()
    };
    let house = House::new(|f| f, limits).await;
    house.deploy("f", config(|_| ())).await;
    for _ in 0..13 {
        house.call("f").await.unwrap();
        house.control.advance(Duration::from_secs(10));
    }
    assert_eq!(house.fake.started(), 2);
    until(&house, || house.fake.live() <= 1).await;
}

/// A call that breaks leaves neither a count nor a key behind.
#[tokio::test]
async fn a_panic_in_a_call_leaks_nothing() {
    let house = House::with_function(|f| f.answers(|_| panic!("of the test"))).await;
    let invoke = house.invoke.clone();
    let request = house.request("f");
    let done = tokio::spawn(async move { invoke.request_response(request).await });
    assert!(done.await.is_err());
    assert_eq!(house.fake.live(), 0);
    assert_eq!(house.invoke.running(), 0);
    assert!(house.invoke.pools().iter().all(|p| p.busy == 0));
    let specs = house.fake.specs();
    let key = specs[0].env.iter().find(|(n, _)| n == "AWS_ACCESS_KEY_ID");
    assert!(house.keys.find(&key.unwrap().1).is_none());
}
