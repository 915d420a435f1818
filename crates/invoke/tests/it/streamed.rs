//! Responses that reach the caller while the function writes them.  [spec 4.12, INV-19]

use std::time::Duration;

use invoke::{InvokeConfig, Part, Refused, StreamLimits, Streamed};
use model::Unfinished;
use sandbox::fake::{Fake, Reply};

use crate::house::{House, config};

const LONG: Duration = Duration::from_secs(2);

async fn open(house: &House) -> Streamed {
    let request = house.request("f");
    house.invoke.response_stream(request).await.unwrap()
}

/// The next part while the virtual clock moves; also how long that took, to 50 ms.
async fn next(house: &House, stream: &mut Streamed) -> (Option<Part>, Duration) {
    let mut part = Box::pin(stream.next());
    let mut took = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            part = &mut part => return (part.unwrap(), took),
            () = tokio::time::sleep(Duration::from_millis(1)) => {
                house.control.advance(Duration::from_millis(50));
                took += Duration::from_millis(50);
            }
        }
    }
}

fn bytes(text: &'static str) -> Option<Part> {
    Some(Part::Bytes(text.into()))
}

#[tokio::test]
async fn the_first_piece_is_there_while_the_function_runs() {
    let house = House::with_function(|f| {
        f.answers(|_| {
            Reply::success("")
                .streams(Some("text/plain"), &[b"a", b"b"])
                .after(LONG)
        })
    })
    .await;
    let mut stream = open(&house).await;
    assert_eq!(stream.content_type.as_deref(), Some("text/plain"));
    assert_eq!(stream.executed_version.to_string(), "$LATEST");
    // The clock stands still: the function has not ended.
    assert_eq!(stream.next().await.unwrap(), bytes("a"));
    assert_eq!(stream.next().await.unwrap(), bytes("b"));
    assert_eq!(house.invoke.running(), 1);
    let (end, _) = next(&house, &mut stream).await;
    let Some(Part::End(outcome)) = end else {
        panic!("{end:?}")
    };
    assert_eq!(
        (&outcome.payload[..], outcome.function_error),
        (&b""[..], None)
    );
    let tail = House::tail(&outcome);
    assert!(tail.contains("\tDuration: 2000.00 ms\t"), "{tail}");
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_is_known_to_wait_streamed_or_not() {
    let house = House::with_function(|f| f).await;
    assert!(!house.invoke.has_callers());
    drop(open(&house).await);
    assert!(house.invoke.has_callers(), "streamed");
    house.control.advance(LONG);
    assert!(!house.invoke.has_callers());
    house.call("f").await.unwrap();
    assert!(house.invoke.has_callers(), "whole");
}

#[tokio::test]
async fn a_buffered_result_is_one_piece() {
    let house = House::with_function(|f| f).await;
    let mut stream = open(&house).await;
    assert_eq!(stream.content_type, None);
    assert_eq!(stream.next().await.unwrap(), bytes("{\"n\":1}"));
    assert!(matches!(stream.next().await.unwrap(), Some(Part::End(_))));
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_streamed_result_is_collected_for_who_wants_it_whole() {
    let house =
        House::with_function(|f| f.answers(|_| Reply::success("").streams(None, &[b"a", b"b"])))
            .await;
    assert_eq!(house.call("f").await.unwrap().payload, "ab");
}

#[tokio::test]
async fn what_went_wrong_is_at_the_end() {
    type Case<'a> = (fn() -> Reply, &'a str);
    let cases: [Case<'_>; 4] = [
        (
            || Reply::error("E", "{\"errorType\":\"E\"}").streams(None, &[b"a"]),
            "{\"errorType\":\"E\"}",
        ),
        (|| Reply::never().streams(None, &[b"a"]), "Sandbox.Timedout"),
        (
            || Reply::unfinished(Unfinished::ResponseTooLarge(9)).streams(None, &[b"a"]),
            "allowed payload size (9 bytes).",
        ),
        (
            || Reply::unfinished(Unfinished::Truncated).streams(None, &[b"a"]),
            "Runtime.TruncatedResponse",
        ),
    ];
    for (reply, text) in cases {
        let house = House::with_function(|f| f.answers(move |_| reply())).await;
        let mut stream = open(&house).await;
        assert_eq!(stream.next().await.unwrap(), bytes("a"));
        let (end, _) = next(&house, &mut stream).await;
        let Some(Part::End(outcome)) = end else {
            panic!("{end:?}")
        };
        let payload = String::from_utf8_lossy(&outcome.payload).into_owned();
        assert_eq!(outcome.function_error, Some("Unhandled"), "{payload}");
        assert!(payload.contains(text), "{payload}");
    }
}

#[tokio::test]
async fn a_function_that_does_not_run_is_refused_before_the_stream() {
    let limits = InvokeConfig {
        concurrency_max: 0,
        ..InvokeConfig::default()
    };
    let house = House::new(|f| f, limits).await;
    house.deploy("f", config(|_| ())).await;
    let refused = |name| house.invoke.response_stream(house.request(name));
    assert!(matches!(
        refused("g").await.err(),
        Some(Refused::NotFound { .. })
    ));
    assert!(matches!(
        refused("f").await.err(),
        Some(Refused::Throttled { .. })
    ));
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_function() {
    let house = House::with_function(|f| {
        f.answers(|_| {
            Reply::success("")
                .streams(None, &[b"a", b"b", b"c"])
                .after(LONG)
                .prints("done")
        })
    })
    .await;
    drop(open(&house).await);
    while house.invoke.running() > 0 {
        house.control.advance(Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let kept = house.lines.0.lock().unwrap();
    assert!(kept.iter().any(|(_, line)| line == "done"), "{kept:?}");
}

#[tokio::test]
async fn the_deadline_counts_while_the_caller_does_not_read() {
    let script = |f: Fake| f.answers(|_| Reply::never().streams(None, &[b"a"]));
    let house = House::with_function(script).await;
    let mut stream = open(&house).await;
    while house.invoke.running() > 0 {
        house.control.advance(Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stream.next().await.unwrap(), bytes("a"));
    let end = stream.next().await.unwrap();
    assert!(matches!(end, Some(Part::End(o)) if o.function_error.is_some()));
}

#[tokio::test]
async fn what_follows_the_burst_takes_its_time() {
    let limits = InvokeConfig {
        stream: StreamLimits {
            bytes_max: 1_000,
            burst_max: 4,
            per_sec_max: 2,
        },
        ..InvokeConfig::default()
    };
    let script = |f: Fake| f.answers(|_| Reply::success("").streams(None, &[b"abcd", b"ef", b"g"]));
    let house = House::new(script, limits).await;
    house.deploy("f", config(|_| ())).await;
    let mut stream = open(&house).await;
    for (text, at_least_ms) in [("abcd", 0), ("ef", 950), ("g", 450)] {
        let (part, took) = next(&house, &mut stream).await;
        assert_eq!(part, bytes(text));
        let at_least = Duration::from_millis(at_least_ms);
        assert!(
            took >= at_least && took <= at_least + Duration::from_millis(100),
            "{text}: {took:?}"
        );
    }
}
