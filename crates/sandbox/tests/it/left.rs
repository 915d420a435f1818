//! After a failure `/tmp` stays, and nothing else does.  [Lambda guide: reset]

use std::sync::Arc;
use std::time::Duration;

use model::{Exit, Unfinished};
use sandbox::{Environment, EnvironmentSpec, LeftTmp, StopReason};

use crate::bench::{Bench, LONG, ask, call, namespaces, pooled, told};

async fn failed(bench: &Bench, spec: EnvironmentSpec, orders: &[&str]) -> Arc<LeftTmp> {
    let mut env = bench.sandbox.start(spec).await.unwrap();
    for order in orders {
        told(&mut env, order).await;
    }
    let end = ask(&mut env, "exit 3").await.ending;
    assert_eq!(end, Err(Unfinished::Crashed(Exit::Code(3))));
    let left = env.stop_leaving(StopReason::Failure).await;
    Arc::new(left.expect("a /tmp"))
}

async fn after(bench: &Bench, left: &Arc<LeftTmp>) -> Box<dyn Environment> {
    let mut spec = bench.spec(&[]);
    spec.left = Some(left.clone());
    bench.sandbox.start(spec).await.unwrap()
}

async fn tmp_stays(bench: &Bench) {
    let script = "sh umask 0; mkdir -p /tmp/a/b && echo kept > /tmp/a/b/file && ln -s a/b /tmp/link \
                  && mkfifo /tmp/pipe; sleep 1000 > /dev/null 2>&1 &";
    let left = failed(bench, bench.spec(&[]), &[script]).await;
    assert!(left.bytes() > 0);
    let mut env = after(bench, &left).await;
    let seen = told(
        &mut env,
        "sh cat /tmp/link/file; find /tmp | sort; stat -c %u:%g /tmp/a",
    )
    .await;
    let ids = told(&mut env, "sh echo $(id -u):$(id -g)").await;
    let ids = ids.strip_suffix("\n[0]").unwrap();
    let want = format!("kept\n/tmp\n/tmp/a\n/tmp/a/b\n/tmp/a/b/file\n/tmp/link\n{ids}\n[0]");
    assert_eq!(seen, want);
    let others = told(&mut env, "sh grep -l sleep /proc/[0-9]*/comm | wc -l").await;
    assert_eq!(others, "0\n[0]", "no process stays");
    // It is its own: writable, and a copy.
    assert_eq!(told(&mut env, "sh echo x >> /tmp/a/b/file").await, "[0]");
    env.stop().await;
    let mut other = after(bench, &left).await;
    assert_eq!(told(&mut other, "sh cat /tmp/a/b/file").await, "kept\n[0]");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tmp_stays_in_a_new_sandbox() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    tmp_stays(&bench).await;
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tmp_stays_in_a_ready_sandbox() {
    let Some(bench) = pooled().await else { return };
    tmp_stays(&bench).await;
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tmp_larger_than_the_memory_stays_and_lifts_no_limit() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    // In pieces: how much room there is follows what is there.
    let fill = "sh for i in 1 2 3 4 5 6; do \
                dd if=/dev/zero of=/tmp/$i bs=1M count=50 2> /dev/null; sleep 0.2; done";
    let left = failed(&bench, bench.spec(&[]), &[fill]).await;
    let mut spec = bench.spec(&[]);
    spec.left = Some(left);
    assert!(spec.memory.mib() < 300);
    let mut env = bench.sandbox.start(spec).await.unwrap();
    let size = told(&mut env, "sh cat /tmp/* | wc -c; rm /tmp/*").await;
    assert_eq!(size, format!("{}\n[0]", 300 << 20));
    // What `/tmp` no longer holds is no memory for the function.
    told(&mut env, "sleep 1500").await;
    let answer = env.invoke(call("eat 300"), Duration::from_secs(30)).await;
    let isolation = bench.sandbox.isolation();
    let is_limited = isolation
        .items
        .iter()
        .any(|item| item.what == "memory limit" && item.state == sandbox::LimitState::Enforced);
    if is_limited {
        let end = Err(Unfinished::Crashed(Exit::OutOfMemory));
        assert_eq!(answer.ending, end);
    }
    env.stop().await;
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_leaves_tmp_empty() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    let mut large = bench.spec(&[]);
    large.ephemeral = model::EphemeralStorage::from_mib(1_024).unwrap();
    let left = failed(&bench, large, &["fill 600"]).await;
    let mut env = after(&bench, &left).await;
    assert_eq!(told(&mut env, "sh ls -A /tmp | wc -l").await, "0\n[0]");
    env.stop().await;
    bench.sandbox.shutdown(LONG).await;
}
