use std::time::Duration;

use model::{Concluded, Exit, Unfinished};
use sandbox::{LimitState, StartError};

use crate::bench::{ask, call, processes, told};

#[tokio::test]
async fn calls_are_answered() {
    let bench = processes();
    let mut env = bench.start().await;
    let answer = ask(&mut env, "one").await;
    assert_eq!(answer.ending, Ok(Concluded::Success("one".into())));
    assert!(answer.memory_max_mib > Some(0));
    told(&mut env, "print hello").await;
    assert_eq!(bench.lines.texts(), ["hello"]);
    env.stop().await;
}

#[tokio::test]
async fn endings_are_those_of_the_real_backend() {
    let bench = processes();
    let mut env = bench.start().await;
    let answer = env
        .invoke(call("sleep 60000"), Duration::from_millis(50))
        .await;
    assert_eq!(answer.ending, Err(Unfinished::TimedOut));
    env.stop().await;
    let mut env = bench.start().await;
    let answer = ask(&mut env, "exit 3").await;
    assert_eq!(answer.ending, Err(Unfinished::Crashed(Exit::Code(3))));
    assert_eq!(env.lost().await, Exit::Code(3));
    env.stop().await;
    let exited = bench.start_fails(bench.spec(&["init-exit"])).await;
    assert!(
        matches!(
            exited,
            StartError::InitExited {
                exit: Exit::Code(7),
                ..
            }
        ),
        "{exited:?}"
    );
    let mut spec = bench.spec(&[]);
    spec.argv = vec!["/var/task/missing".to_owned()];
    let missing = bench.start_fails(spec).await;
    assert!(
        matches!(missing, StartError::BadEntrypoint { .. }),
        "{missing:?}"
    );
}

#[tokio::test]
async fn it_says_that_it_isolates_nothing() {
    let bench = processes();
    let isolation = bench.sandbox.isolation();
    assert_eq!(isolation.backend, "process");
    assert!(
        isolation
            .items
            .iter()
            .all(|i| i.state == LimitState::Missing)
    );
    let mut env = bench.start().await;
    let own = std::process::id();
    assert_eq!(told(&mut env, &format!("sh kill -0 {own}")).await, "[0]");
    env.stop().await;
}
