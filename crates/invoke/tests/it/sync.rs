use std::time::Duration;

use model::{Exit, FunctionError};
use sandbox::StartError;
use sandbox::fake::Reply;

use crate::house::{House, config, name};
use invoke::{InvokeConfig, Refused};

fn body(outcome: &invoke::Outcome) -> String {
    String::from_utf8(outcome.payload.to_vec()).unwrap()
}

#[tokio::test]
async fn a_call_returns_the_answer_and_the_log_of_its_own() {
    let house = House::with_function(|f| {
        f.answers(|call| Reply::success(call.payload.clone()).prints("hello"))
            .init_takes(Duration::ZERO)
    })
    .await;
    let outcome = house.call("f").await.unwrap();
    assert_eq!(body(&outcome), "{\"n\":1}");
    assert_eq!(outcome.function_error, None);
    assert_eq!(outcome.executed_version.to_string(), "$LATEST");
    let tail = House::tail(&outcome);
    let lines: Vec<&str> = tail.lines().collect();
    assert!(lines[0].starts_with("START RequestId: "), "{tail}");
    assert_eq!(lines[1], "hello");
    assert!(lines[2].starts_with("END RequestId: "), "{tail}");
    assert!(
        lines[3].contains("\tMax Memory Used: 32 MB\tInit Duration: "),
        "{tail}"
    );
    let second = house.call("f").await.unwrap();
    assert!(
        !House::tail(&second).contains("Init Duration"),
        "{second:?}"
    );
    let kept = house.lines.0.lock().unwrap();
    assert!(
        kept.iter().all(|(stream, _)| stream.contains("/[$LATEST]")),
        "{kept:?}"
    );
    assert_eq!(kept.iter().filter(|(_, line)| line == "hello").count(), 2);
}

#[tokio::test]
async fn an_unknown_function_is_not_found() {
    let house = House::with_function(|f| f).await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:g".to_owned();
    assert_eq!(house.call("g").await, Err(Refused::NotFound { arn }));
    assert!(house.invoke.dry_run(&name("f"), None).is_ok());
    assert_eq!(house.fake.started(), 0);
}

#[tokio::test]
async fn a_function_error_is_an_answer() {
    let house = House::with_function(|f| {
        f.answers(|_| Reply::error("ValueError", "{\"errorMessage\":\"no\"}"))
    })
    .await;
    let outcome = house.call("f").await.unwrap();
    assert_eq!(outcome.function_error, Some("Unhandled"));
    assert_eq!(body(&outcome), "{\"errorMessage\":\"no\"}");
    house.call("f").await.unwrap();
    assert_eq!(
        house.fake.started(),
        1,
        "the environment lives on after an error"
    );
}

#[tokio::test]
async fn a_timeout_ends_the_environment_and_reports_the_limit() {
    let house = House::with_function(|f| f.answers(|_| Reply::never())).await;
    let outcome = house.call_in_time("f").await.unwrap();
    let text = body(&outcome);
    assert!(text.starts_with("{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: "));
    assert!(
        text.ends_with(" Error: Task timed out after 3.00 seconds\"}"),
        "{text}"
    );
    let tail = House::tail(&outcome);
    assert!(tail.contains("Task timed out after 3.00 seconds"), "{tail}");
    assert!(
        tail.contains("\tDuration: 3000.00 ms\tBilled Duration: "),
        "{tail}"
    );
    assert!(tail.trim_end().ends_with("Status: timeout"), "{tail}");
    house.call_in_time("f").await.unwrap();
    assert_eq!(house.fake.started(), 2);
}

#[tokio::test]
async fn a_crash_gives_the_exit_status_and_a_new_environment() {
    let house = House::with_function(|f| f.answers(|_| Reply::crash(Exit::Code(7)))).await;
    let outcome = house.call("f").await.unwrap();
    let text = body(&outcome);
    assert!(
        text.contains("\"errorType\":\"Runtime.ExitError\""),
        "{text}"
    );
    assert!(
        text.ends_with("Error: Runtime exited with error: exit status 7\"}"),
        "{text}"
    );
    let tail = House::tail(&outcome);
    assert!(
        tail.trim_end()
            .ends_with("Status: error\tError Type: Runtime.ExitError"),
        "{tail}"
    );
    house.call("f").await.unwrap();
    assert_eq!(house.fake.started(), 2);
}

#[tokio::test]
async fn a_memory_limit_shows_as_killed_with_all_memory_used() {
    let house = House::with_function(|f| f.answers(|_| Reply::crash(Exit::OutOfMemory))).await;
    let outcome = house.call("f").await.unwrap();
    assert!(body(&outcome).ends_with("signal: killed\"}"));
    assert!(House::tail(&outcome).contains("Max Memory Used: 128 MB"));
}

#[tokio::test]
async fn a_failed_init_is_done_again_inside_the_call() {
    let house = House::with_function(|f| {
        f.init_fails(|_| {
            Some(StartError::InitFailed {
                error: FunctionError {
                    kind: Some("Runtime.ImportModuleError".to_owned()),
                    payload: "{\"errorType\":\"Runtime.ImportModuleError\"}".into(),
                },
                took: Duration::from_millis(12),
            })
        })
    })
    .await;
    let outcome = house.call("f").await.unwrap();
    assert_eq!(
        body(&outcome),
        "{\"errorType\":\"Runtime.ImportModuleError\"}"
    );
    assert_eq!(outcome.function_error, Some("Unhandled"));
    assert_eq!(house.fake.live(), 0);
    let kept = house.lines.0.lock().unwrap();
    let report = kept
        .iter()
        .find(|(_, line)| line.starts_with("INIT_REPORT"))
        .unwrap();
    assert_eq!(
        report.1,
        "INIT_REPORT Init Duration: 12.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"
    );
}

/// Section 4.8: `Runtime.InvalidWorkingDir`, `Runtime.InvalidTaskConfig`: what the sandbox refuses to start.
#[tokio::test]
async fn a_start_that_cannot_be_is_the_function_s_error() {
    type Start = fn(String) -> StartError;
    let cases: [(Start, &str, &str); 2] = [
        (
            |reason| StartError::BadWorkingDir { reason },
            "Runtime.InvalidWorkingDir",
            "the working directory doesn't exist: /srv",
        ),
        (
            |reason| StartError::BadTaskConfig { reason },
            "Runtime.InvalidTaskConfig",
            "neither an \"entry point\" nor a command",
        ),
    ];
    for (start, kind, reason) in cases {
        let fails = move |_: &_| Some(start(reason.to_owned()));
        let house = House::with_function(|f| f.init_fails(fails)).await;
        let outcome = house.call("f").await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
        assert_eq!(json["errorType"], kind);
        let message = json["errorMessage"].as_str().unwrap();
        assert!(message.starts_with("RequestId: "), "{message}");
        assert!(message.ends_with(&format!(" Error: {reason}")), "{message}");
        let end = format!("Status: error\tError Type: {kind}");
        assert!(House::tail(&outcome).trim_end().ends_with(&end));
        let kept = house.lines.0.lock().unwrap();
        let report = kept.iter().find(|(_, l)| l.starts_with("INIT_REPORT"));
        assert!(report.unwrap().1.ends_with(&end));
    }
}

#[tokio::test]
async fn a_function_without_bootstrap_names_where_it_was_looked_for() {
    let house = House::with_function(|f| f).await;
    let new = functions::NewFunction {
        function: name("g"),
        config: config(|_| ()),
        zip: crate::house::zip(&[("other", "x")]),
        tags: Default::default(),
        publish: false,
        signing: None,
    };
    house.functions.create(new).await.unwrap();
    house.functions.resolve_ready(&name("g")).await.unwrap();
    let outcome = house.call("g").await.unwrap();
    let text = body(&outcome);
    assert!(text.contains("Runtime.InvalidEntrypoint"), "{text}");
    assert!(text.contains("Couldn't find valid bootstrap(s)"), "{text}");
    assert_eq!(house.fake.started(), 0);
}

#[tokio::test]
async fn a_runtime_that_the_host_lacks_is_refused_with_what_to_install() {
    let house = House::with_function(|f| f).await;
    house
        .deploy(
            "r",
            config(|c| c.runtime = Some("dotnet8".parse().unwrap())),
        )
        .await;
    match house.call("r").await {
        Err(Refused::InvalidRuntime { message }) => {
            assert!(message.contains("dotnet8"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_over_the_limit_are_throttled() {
    let limits = InvokeConfig {
        concurrency_max: 2,
        ..InvokeConfig::default()
    };
    let house = House::new(
        |f| f.answers(|_| Reply::success("1").after(Duration::from_secs(1))),
        limits,
    )
    .await;
    house.deploy("f", config(|_| ())).await;
    let (a, b, c) = (house.call("f"), house.call("f"), house.call("f"));
    let third = async {
        tokio::task::yield_now().await;
        let refused = c.await;
        house.control.advance(Duration::from_secs(2));
        refused
    };
    let (a, b, third) = tokio::join!(a, b, third);
    assert!(a.is_ok() && b.is_ok());
    let reason = "ConcurrentInvocationLimitExceeded";
    assert_eq!(third, Err(Refused::Throttled { reason }));
    assert!(house.fake.started() == 2);
}

#[tokio::test]
async fn json_format_logs_platform_events() {
    let house = House::with_function(|f| f).await;
    house
        .deploy(
            "j",
            config(|c| c.logging.format = functions::LogFormat::Json),
        )
        .await;
    let outcome = house.call("j").await.unwrap();
    let tail = House::tail(&outcome);
    let kinds: Vec<String> = tail
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["type"].to_string())
        .collect();
    assert_eq!(kinds, ["\"platform.start\"", "\"platform.report\""]);
}
