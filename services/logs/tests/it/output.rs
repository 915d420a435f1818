use std::time::Duration;

use serde_json::json;

use crate::harness::{Logs, messages, names};

const GROUP: &str = "/aws/lambda/f";
const STREAM: &str = "2023/11/14/[$LATEST]0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn output_makes_its_group_and_stream_and_is_seen_at_once() {
    let logs = Logs::new().await;
    logs.print(GROUP, STREAM, &["START", "hello"]);
    logs.print(GROUP, STREAM, &["END\n"]);
    let got = logs.ok("FilterLogEvents", json!({"logGroupName": GROUP}));
    // A group is found only once it was written: readers write what waits first.
    assert_eq!(messages(&got.await), ["START\n", "hello\n", "END\n"]);
    let streams = logs
        .ok("DescribeLogStreams", json!({"logGroupName": GROUP}))
        .await;
    assert_eq!(names(&streams, "logStreams", "logStreamName"), [STREAM]);
    let stream = json!({"logGroupName": GROUP, "logStreamName": STREAM});
    assert_eq!(messages(&logs.ok("GetLogEvents", stream).await).len(), 3);
}

#[tokio::test]
async fn the_flusher_writes_after_a_moment() {
    let logs = Logs::new().await;
    logs.print(GROUP, STREAM, &["a"]);
    assert!(logs.segments().is_empty());
    for _ in 0..20_000 {
        logs.advance(Duration::from_millis(100)).await;
        if !logs.segments().is_empty() {
            return;
        }
        // Files are written by another thread.
        std::thread::yield_now();
    }
    panic!("nothing was written");
}

#[tokio::test]
async fn output_beyond_the_buffer_is_dropped_and_counted() {
    let logs = Logs::new().await;
    let line = "x".repeat(200 << 10);
    for _ in 0..60 {
        logs.print(GROUP, STREAM, &[&line, "short"]);
    }
    let dropped = logs.engine.dropped_lines();
    assert!(dropped > 0 && dropped < 120, "{dropped}");
    logs.engine.close().await;
    logs.print(GROUP, STREAM, &["after"]);
    let input = json!({"logGroupName": GROUP, "filterPattern": "after"});
    assert_eq!(
        messages(&logs.ok("FilterLogEvents", input).await),
        ["after\n"]
    );
    assert_eq!(logs.engine.dropped_lines(), dropped);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_cut_at_a_letter() {
    let logs = Logs::new().await;
    let line = "ü".repeat(200 << 10);
    logs.print(GROUP, STREAM, &[&line]);
    let got = logs
        .ok("FilterLogEvents", json!({"logGroupName": GROUP}))
        .await;
    let message = messages(&got).remove(0);
    let kept = message.strip_suffix('\n').unwrap();
    assert_eq!(kept.len(), 256 << 10);
    assert!(line.starts_with(kept));
}

#[tokio::test]
async fn a_group_that_was_deleted_comes_back_with_the_next_output() {
    let logs = Logs::new().await;
    logs.print(GROUP, STREAM, &["before"]);
    logs.engine.close().await;
    logs.ok("DeleteLogGroup", json!({"logGroupName": GROUP}))
        .await;
    logs.print(GROUP, STREAM, &["after"]);
    logs.engine.close().await;
    let got = logs
        .ok("FilterLogEvents", json!({"logGroupName": GROUP}))
        .await;
    assert_eq!(messages(&got), ["after\n"]);
}

#[tokio::test]
async fn groups_are_listed_with_the_first_output() {
    let logs = Logs::new().await;
    logs.print(GROUP, STREAM, &["a"]);
    let groups = logs.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(names(&groups, "logGroups", "logGroupName"), [GROUP]);
    logs.print(GROUP, STREAM, &["b"]);
    logs.ok("DeleteLogGroup", json!({"logGroupName": GROUP}))
        .await;
    let groups = logs.ok("ListLogGroups", json!({})).await;
    assert_eq!(groups, json!({"logGroups": []}));
}

#[tokio::test]
async fn output_outlives_a_clean_end() {
    let logs = Logs::new().await;
    logs.print(GROUP, STREAM, &["a"]);
    logs.engine.close().await;
    let logs = logs.killed_and_started().await;
    logs.print(GROUP, STREAM, &["b"]);
    let got = logs
        .ok("FilterLogEvents", json!({"logGroupName": GROUP}))
        .await;
    assert_eq!(messages(&got), ["a\n", "b\n"]);
}

#[tokio::test]
async fn files_of_many_groups_do_not_all_stay_open() {
    let logs = Logs::new().await;
    let group = |n| format!("/aws/lambda/f{n}");
    for round in ["first", "second"] {
        for n in 0..400 {
            logs.print(&group(n), STREAM, &[round]);
        }
        logs.ok("DescribeLogGroups", json!({})).await;
        assert_eq!(logs.segments().len(), 400);
        assert!(logs.open_segments() <= 256, "{}", logs.open_segments());
    }
    let first = json!({"logGroupName": group(0)});
    let got = logs.ok("FilterLogEvents", first).await;
    assert_eq!(messages(&got), ["first\n", "second\n"]);
}
