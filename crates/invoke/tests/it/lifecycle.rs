use std::time::Duration;

use invoke::InvokeConfig;
use model::Exit;
use sandbox::OutputLine;
use sandbox::fake::Reply;

use crate::house::{House, config};

async fn settle(house: &House, done: impl Fn(&House) -> bool) {
    for _ in 0..2_000 {
        if done(house) {
            return;
        }
        house.control.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!(
        "it did not happen: {:?}, live {}",
        house.invoke.pools(),
        house.fake.live()
    );
}

#[tokio::test]
async fn calls_one_after_the_other_share_an_environment() {
    let house = House::with_function(|f| f).await;
    for _ in 0..10 {
        house.call("f").await.unwrap();
    }
    assert_eq!(house.fake.started(), 1);
    assert_eq!(house.fake.calls(), 10);
}

#[tokio::test]
async fn calls_at_once_get_environments_of_their_own() {
    let house =
        House::with_function(|f| f.answers(|_| Reply::success("1").after(Duration::from_secs(1))))
            .await;
    let calls = async { tokio::join!(house.call("f"), house.call("f"), house.call("f")) };
    let clock = async {
        while house.fake.calls() < 3 {
            tokio::task::yield_now().await;
        }
        house.control.advance(Duration::from_secs(1));
    };
    let ((a, b, c), ()) = tokio::join!(calls, clock);
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(house.fake.started(), 3);
}

#[tokio::test]
async fn new_code_never_meets_an_old_environment() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    house.new_code("f", "#!/bin/false\n").await;
    house.call("f").await.unwrap();
    assert_eq!(house.fake.started(), 2);
    let specs = house.fake.specs();
    assert_ne!(specs[0].mounts[0].host, specs[1].mounts[0].host);
    settle(&house, |h| h.fake.live() == 1).await;
}

#[tokio::test]
async fn idle_environments_are_stopped_and_their_keys_end() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    let specs = house.fake.specs();
    let key = specs[0]
        .env
        .iter()
        .find(|(name, _)| name == "AWS_ACCESS_KEY_ID")
        .unwrap()
        .1
        .clone();
    assert!(house.keys.find(&key).is_some());
    settle(&house, |h| h.fake.live() == 0).await;
    assert!(house.keys.find(&key).is_none());
    house.call("f").await.unwrap();
    assert_eq!(house.fake.started(), 2);
}

#[tokio::test]
async fn an_environment_that_died_while_idle_is_not_leased() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    house.fake.kill_all(Exit::Signal(9));
    assert!(house.call("f").await.unwrap().function_error.is_none());
    assert_eq!(house.fake.started(), 2);
}

#[tokio::test]
async fn a_full_host_stops_the_longest_idle_environment_first() {
    let limits = InvokeConfig {
        environments_max: 2,
        ..InvokeConfig::default()
    };
    let house = House::new(|f| f, limits).await;
    for function in ["a", "b", "c"] {
        house.deploy(function, config(|_| ())).await;
        house.call(function).await.unwrap();
        house.control.advance(Duration::from_millis(10));
    }
    settle(&house, |h| h.fake.live() == 2).await;
    let started = house.fake.started();
    house.call("b").await.unwrap();
    house.call("c").await.unwrap();
    assert_eq!(house.fake.started(), started, "b and c stayed");
}

#[tokio::test]
async fn shutdown_leaves_no_environment() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    house.invoke.shutdown(Duration::from_secs(1)).await;
    assert_eq!(house.fake.live(), 0);
}

/// Section 4.4: each may take two seconds to end; a server with many does not take that for each.
#[tokio::test]
async fn environments_are_stopped_at_the_same_time() {
    let house = House::with_function(|f| f.stop_takes(Duration::from_secs(2))).await;
    for function in ["f", "a", "b", "c"] {
        if function != "f" {
            house.deploy(function, config(|_| ())).await;
        }
        house.call(function).await.unwrap();
    }
    let shut = house.invoke.shutdown(Duration::from_secs(60));
    let clock = async {
        // None of them has ended: the clock stands.
        while house.fake.stopping() < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(house.fake.live(), 4);
        house.control.advance(Duration::from_secs(2));
    };
    tokio::join!(shut, clock);
    assert_eq!(house.fake.live(), 0);
}

#[tokio::test]
async fn variables_of_the_platform_win_and_those_of_the_user_arrive() {
    let house = House::with_function(|f| f).await;
    let user = [("K", "V"), ("LANG", "C"), ("AWS_REGION", "moon")];
    let user = user
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into_iter()
        .collect();
    house
        .deploy("e", config(|c| c.environment = Some(user)))
        .await;
    house.call("e").await.unwrap();
    let specs = house.fake.specs();
    let value = |name: &str| {
        specs
            .last()
            .unwrap()
            .env
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .unwrap_or("-")
    };
    assert_eq!(value("K"), "V");
    assert_eq!(value("LANG"), "C");
    assert_eq!(value("AWS_REGION"), "us-east-1");
    assert_eq!(value("AWS_LAMBDA_FUNCTION_NAME"), "e");
    assert_eq!(value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "128");
    assert_eq!(value("_HANDLER"), "h");
    assert_eq!(value("AWS_EXECUTION_ENV"), "-", "not for provided runtimes");
    assert!(value("AWS_LAMBDA_LOG_STREAM_NAME").contains("[$LATEST]"));
}

#[tokio::test]
async fn what_is_printed_after_the_last_answer_reaches_the_log() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    house.fake.specs()[0].output.line(OutputLine {
        is_extension: false,
        unix_ms: 0,
        message: "bye".to_owned(),
        cut: false,
    });
    house.invoke.shutdown(Duration::from_secs(1)).await;
    let lines = house.lines.0.lock().unwrap();
    assert_eq!(lines.last().unwrap().1, "bye");
}

#[tokio::test]
async fn a_function_that_is_not_called_any_more_keeps_no_pool() {
    let house = House::with_function(|f| f).await;
    house.call("f").await.unwrap();
    assert_eq!(house.invoke.pools().len(), 1);
    settle(&house, |h| h.invoke.pools().is_empty()).await;
    assert_eq!(house.fake.live(), 0);
    house.call("f").await.unwrap();
    assert_eq!(house.invoke.pools().len(), 1);
}

#[tokio::test]
async fn after_shutdown_nothing_is_started() {
    let house = House::with_function(|f| f).await;
    house.invoke.shutdown(Duration::from_secs(1)).await;
    assert!(house.call("f").await.is_err());
    assert_eq!(house.fake.started(), 0);
}
