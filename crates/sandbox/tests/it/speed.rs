//! Prints what an environment costs. Run it alone and in release mode:
//! `cargo test --release -p sandbox --test it speed -- --ignored --nocapture`

use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, ask, namespaces, pooled, probe};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn the_cost_of_an_environment_is_printed() {
    let (Some(new), Some(ready)) = (namespaces(None).await, pooled().await) else {
        return;
    };
    let clock = new.tasks.clock();
    let mut control = vec![];
    for _ in 0..200 {
        let begin = clock.monotonic();
        Command::new(probe())
            .arg("init-exit")
            .env_clear()
            .status()
            .unwrap();
        control.push(clock.monotonic().since(begin));
    }
    print("fork, exec and exit of the probe", control);
    costs("new", &new).await;
    costs("ready", &ready).await;
}

async fn costs(name: &str, bench: &Bench) {
    let clock = bench.tasks.clock();
    let (mut setup, mut init, mut stop, mut call) = (vec![], vec![], vec![], vec![]);
    for _ in 0..200 {
        let begin = clock.monotonic();
        let mut env = bench.start().await;
        init.push(clock.monotonic().since(begin));
        setup.push(env.init().setup);
        for _ in 0..5 {
            call.push(ask(&mut env, "x").await.duration);
        }
        let begin = clock.monotonic();
        env.stop().await;
        stop.push(clock.monotonic().since(begin));
        if bench.sandbox.kept().sandboxes > 0 {
            bench.keeps(|kept| kept.sandboxes >= 2).await;
        }
    }
    for (what, times) in [
        ("setup", setup),
        ("setup and init", init),
        ("stop", stop),
        ("call", call),
    ] {
        print(&format!("{name}: {what}"), times);
    }
    let begin = clock.monotonic();
    for _ in 0..200 {
        bench.start().await.stop().await;
    }
    let each = clock.monotonic().since(begin) / 200;
    println!("{name}: made and ended one after the other: {each:?} each");
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p10 {:?} p50 {:?} p90 {:?}", at(10), at(50), at(90));
}
