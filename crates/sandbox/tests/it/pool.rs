//! What is kept ready: used once, bounded, and with the limits of the function that it becomes.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{EphemeralStorage, Exit, Memory, Unfinished};
use sandbox::{EnvironmentSpec, Network, Origin, Waiting};

use crate::bench::{Bench, LONG, ask, mount, pooled, told};

/// Waits for the function's variables as a bootstrap does, then becomes the probe.
pub(crate) const WAITS: &str = "mapfile -d '' -u $_KILN_WAIT_FD vars; exec 4<&-; cd /var/task; \
    exec env -i \"${vars[@]}\" WAITED=1 /var/task/sandbox-probe";

fn waiting(key: &str, script: &str) -> Arc<Waiting> {
    Arc::new(Waiting {
        key: key.to_owned(),
        argv: ["/usr/bin/bash", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        mounts: Vec::new(),
        is_fork: false,
    })
}

pub(crate) fn with_waiting(bench: &Bench, key: &str, script: &str) -> EnvironmentSpec {
    EnvironmentSpec {
        waiting: Some(waiting(key, script)),
        ..bench.spec(&[])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_is_used_once() {
    let Some(bench) = pooled().await else { return };
    let (mut seen, mut ready, mut all) = (BTreeSet::new(), 0, Vec::new());
    for n in 0..8 {
        let mut env = bench.start().await;
        ready += usize::from(env.init().origin == Origin::Ready);
        let namespaces = told(
            &mut env,
            "sh for n in net mnt pid ipc uts user; do readlink /proc/self/ns/$n; done",
        )
        .await;
        for namespace in namespaces.lines().filter(|line| line.contains(':')) {
            assert!(seen.insert(namespace.to_owned()), "{namespace} again");
        }
        assert_eq!(told(&mut env, "sh ls /tmp; echo > /tmp/mine").await, "[0]");
        all.push(env); // the numbers of namespaces are used again
        if n % 2 == 0 {
            bench.keeps(|kept| kept.sandboxes >= 2).await;
        }
    }
    for env in all {
        env.stop().await;
    }
    assert!(ready >= 4, "{ready} came from the pool");
    assert_eq!(seen.len(), 8 * 6);
    bench.sandbox.shutdown(LONG).await;
    assert_eq!(bench.sandbox.kept().sandboxes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_those_of_the_function_that_it_became() {
    let Some(bench) = pooled().await else { return };
    for (memory, tmp, full, eaten) in [(1_536, 1_024, 1_024, true), (128, 512, 512, false)] {
        bench.keeps(|kept| kept.sandboxes >= 2).await;
        let mut spec = bench.spec(&[]);
        spec.memory = Memory::from_mib(memory).unwrap();
        spec.ephemeral = EphemeralStorage::from_mib(tmp).unwrap();
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(env.init().origin, Origin::Ready);
        let filled = told(&mut env, "fill 1200").await;
        assert!(filled.contains("No space left on device"), "{filled}");
        let mib: u32 = filled.split(' ').next().unwrap().parse().unwrap();
        assert!((full - 12..=full).contains(&mib), "{filled}");
        told(&mut env, "sh rm /tmp/*").await;
        let ending = ask(&mut env, "eat 600").await.ending;
        match eaten {
            true => assert!(ending.is_ok(), "{ending:?}"),
            false => assert_eq!(ending, Err(Unfinished::Crashed(Exit::OutOfMemory))),
        }
        env.stop().await;
    }
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_waits_becomes_one_function() {
    let Some(bench) = pooled().await else { return };
    let more = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(
        more.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::write(more.path().join("file"), "layer").unwrap();
    let first = bench
        .sandbox
        .start(with_waiting(&bench, "a", WAITS))
        .await
        .unwrap();
    assert_eq!(first.init().origin, Origin::Ready);
    first.stop().await;
    for n in 0..3 {
        bench.keeps(|kept| kept.waiting >= 1).await;
        let mut spec = with_waiting(&bench, "a", WAITS);
        spec.env.push(("NUMBER".to_owned(), n.to_string()));
        spec.mounts.push(mount(more.path(), "/opt"));
        spec.memory = Memory::MIN;
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_eq!(env.init().origin, Origin::Waiting);
        let said = told(
            &mut env,
            "sh pwd; cat /opt/file; echo; env | grep -v ^SHLVL=; ls -A /tmp; echo > /tmp/mine",
        )
        .await;
        let want = format!(
            "/var/task\nlayer\nAWS_LAMBDA_RUNTIME_API=169.254.100.1:9001\nNUMBER={n}\n\
             PATH=/usr/bin:/bin:/usr/sbin:/sbin\nPWD=/var/task\nWAITED=1\n_=/usr/bin/env\n\
             _LAMBDA_TELEMETRY_LOG_FD=3\n[0]"
        );
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (said, want) = (lines(&said), lines(&want));
        let extra: Vec<_> = said.difference(&want).collect();
        assert!(extra.is_empty(), "{extra:?}");
        for line in ["/var/task", "layer", "WAITED=1", &format!("NUMBER={n}")] {
            assert!(said.contains(line), "{line} of {said:?}");
        }
        assert_eq!(told(&mut env, "descriptors").await, "0 1 2 3 4 5 6");
        let status = told(&mut env, "sh cat /proc/self/status").await;
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        assert!(status.contains("Seccomp:\t2"), "{status}");
        let ending = ask(&mut env, "eat 600").await.ending;
        assert_eq!(ending, Err(Unfinished::Crashed(Exit::OutOfMemory)));
        env.stop().await;
    }
    // Others do not get it: another key, another program, another network.
    bench.keeps(|kept| kept.waiting >= 1).await;
    let mut network = with_waiting(&bench, "a", WAITS);
    network.network = Network::Full;
    for spec in [
        with_waiting(&bench, "b", WAITS),
        with_waiting(&bench, "a", "exit 1"),
        bench.spec(&[]),
        network,
    ] {
        match bench.sandbox.start(spec).await {
            Ok(env) => {
                assert_ne!(env.init().origin, Origin::Waiting);
                env.stop().await;
            }
            Err(error) => assert!(error.to_string().contains("full network"), "{error}"),
        }
    }
    bench.sandbox.shutdown(LONG).await;
    assert_eq!(bench.sandbox.kept().waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_does_not_wait_harms_nobody() {
    let Some(bench) = pooled().await else { return };
    for script in ["exit 3", "kill -9 $$"] {
        for _ in 0..6 {
            bench.keeps(|kept| kept.sandboxes >= 1).await;
            let spec = with_waiting(&bench, "broken", script);
            let mut env = bench.sandbox.start(spec).await.unwrap();
            assert_eq!(told(&mut env, "alive").await, "alive");
            env.stop().await;
        }
    }
    bench.sandbox.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_as_it_is_handed_over_harms_nobody() {
    let Some(bench) = pooled().await else { return };
    // It ends when there is something to read, and reads nothing.
    for end in ["exit 3", "kill -9 $$"] {
        let script = format!("until read -t 0 -u $_KILN_WAIT_FD; do sleep 0.01; done; {end}");
        let first = bench.sandbox.start(with_waiting(&bench, end, &script));
        first.await.unwrap().stop().await;
        bench.keeps(|kept| kept.waiting >= 1).await;
        let spec = with_waiting(&bench, end, &script);
        let mut env = bench.sandbox.start(spec).await.unwrap();
        assert_ne!(env.init().origin, Origin::Waiting);
        assert_eq!(told(&mut env, "alive").await, "alive");
        env.stop().await;
    }
    bench.sandbox.shutdown(LONG).await;
}
