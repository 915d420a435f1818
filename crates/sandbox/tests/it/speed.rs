//! Prints what an environment costs. Run it alone and in release mode:
//! `cargo test --release -p sandbox --test it speed -- --ignored --nocapture`

use std::time::Duration;

use crate::bench::{ask, namespaces};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn the_cost_of_an_environment_is_printed() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    let clock = bench.tasks.clock();
    let (mut setup, mut init, mut stop, mut call) = (vec![], vec![], vec![], vec![]);
    for _ in 0..200 {
        let mut env = bench.start().await;
        setup.push(env.init().setup);
        init.push(env.init().duration);
        for _ in 0..5 {
            call.push(ask(&mut env, "x").await.duration);
        }
        let begin = clock.monotonic();
        env.stop().await;
        stop.push(clock.monotonic().since(begin));
    }
    for (what, times) in [
        ("setup", setup),
        ("init", init),
        ("stop", stop),
        ("call", call),
    ] {
        print(what, times);
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p10 {:?} p50 {:?} p90 {:?}", at(10), at(50), at(90));
}
