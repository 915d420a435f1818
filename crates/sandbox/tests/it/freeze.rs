use std::fs;

use sandbox::Environment;

use crate::bench::{Bench, LONG, namespaces, processes, told};

/// A loop that counts in the background, with a mark in its command line.
const SPINNER: &str = "sh sh -c 'while :; do :; done; : MARK' >/dev/null 2>&1 & echo";

/// LIFE-5: what a function left running stops between calls and goes on in the next.
async fn background_work_stops_between_calls(bench: Bench) {
    let mut env = bench.start().await;
    // It gives time to the rest: how long a test looks is what another environment sleeps.
    let mut other = bench.start().await;
    let pid = spinner(&mut env).await;
    grows(pid, &mut other).await;
    env.freeze();
    env.freeze();
    stands_still(pid, &mut other).await;
    env.thaw();
    grows(pid, &mut other).await;
    env.freeze();
    stands_still(pid, &mut other).await;
    assert!(told(&mut env, "sh echo awake").await.starts_with("awake"));
    grows(pid, &mut other).await;
    env.freeze();
    env.stop().await;
    for _ in 0..100 {
        if is_zombie(pid) {
            break;
        }
        told(&mut other, "sleep 10").await;
    }
    assert!(is_zombie(pid), "a frozen environment can be stopped");
    other.stop().await;
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_stops_in_namespaces() {
    if let Some(bench) = namespaces(None).await {
        background_work_stops_between_calls(bench).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_stops_in_plain_processes() {
    background_work_stops_between_calls(processes()).await;
}

/// One that is killed while it is frozen is not taken for a living one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_was_killed_while_frozen_is_not_ready() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    let mut env = bench.start().await;
    let runtime = parent(spinner(&mut env).await);
    env.freeze();
    let pid = rustix::process::Pid::from_raw(i32::try_from(runtime).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while ticks(runtime).is_some_and(|_| !is_zombie(runtime)) {
        tokio::task::yield_now().await;
    }
    env.thaw();
    assert!(env.ready().await.is_err());
    env.stop().await;
    bench.sandbox.shutdown(LONG).await;
}

async fn spinner(env: &mut Box<dyn Environment>) -> u32 {
    let mark = format!("mark-{}", tasks::Ids::system().hex(8));
    told(env, &SPINNER.replace("MARK", &mark)).await;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&cmdline).contains(&mark) {
            return entry.file_name().to_string_lossy().parse().unwrap();
        }
    }
    panic!("no process has the mark")
}

async fn grows(pid: u32, other: &mut Box<dyn Environment>) {
    let before = ticks(pid).unwrap();
    for _ in 0..100 {
        told(other, "sleep 50").await;
        if ticks(pid).unwrap() > before {
            return;
        }
    }
    panic!("it does not go on");
}

async fn stands_still(pid: u32, other: &mut Box<dyn Environment>) {
    told(other, "sleep 20").await;
    let before = ticks(pid).unwrap();
    told(other, "sleep 300").await;
    assert_eq!(ticks(pid), Some(before));
}

/// CPU time that a process has used, in ticks of the kernel; none if it is gone.
fn ticks(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(number(11)? + number(12)?)
}

fn is_zombie(pid: u32) -> bool {
    stat(pid).is_none_or(|fields| fields[0] == "Z")
}

fn parent(pid: u32) -> u32 {
    stat(pid).unwrap()[1].parse().unwrap()
}

/// What follows the name in `/proc/PID/stat`.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
