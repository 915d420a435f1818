use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Call, Concluded, EphemeralStorage, Exit, Memory, RequestId, Unfinished};
use sandbox::fake::{Fake, Reply};
use sandbox::{EnvironmentSpec, Extensions, Network, Output, OutputLine, Sandbox, StartError};
use tasks::{Clock, Time};

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Output for Lines {
    fn line(&self, line: OutputLine) {
        self.0.lock().unwrap().push(line.message);
    }
}

fn spec(output: Arc<Lines>) -> EnvironmentSpec {
    EnvironmentSpec {
        id: "e1".to_owned(),
        argv: vec!["/var/task/bootstrap".to_owned()],
        working_dir: sandbox::TASK_DIR.to_owned(),
        env: Vec::new(),
        mounts: Vec::new(),
        memory: Memory::MIN,
        ephemeral: EphemeralStorage::DEFAULT,
        network: Network::None,
        waiting: None,
        template: None,
        snapshot: None,
        left: None,
        leaves: sandbox::Leaves::default(),
        credentials: None,
        extensions: Extensions::default(),
        init_limit: 10_000 * MS,
        output,
    }
}

fn call() -> Call {
    Call {
        request: "11111111-2222-4333-8444-555555555555"
            .parse::<RequestId>()
            .unwrap(),
        payload: "{}".into(),
        deadline_unix_ms: 0,
        invoked_arn: String::new(),
        trace: String::new(),
        client_context: None,
        cognito_identity: None,
        tenant_id: None,
    }
}

/// Runs `work` and moves the clock whenever everything waits for it.
async fn driven<T>(control: tasks::ClockControl, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::task::yield_now() => control.advance(MS),
        }
    }
}

#[tokio::test]
async fn init_takes_what_the_script_says() {
    let (clock, control) = Clock::virtual_at(Time::EPOCH);
    let fake = Fake::new(&clock).init_takes(80 * MS);
    let env = driven(control, fake.start(spec(Arc::default())))
        .await
        .unwrap();
    assert_eq!(env.init().duration, 80 * MS);
    assert_eq!(fake.live(), 1);
    env.stop().await;
    assert_eq!(fake.live(), 0);
}

#[tokio::test]
async fn an_init_longer_than_its_limit_times_out() {
    let (clock, control) = Clock::virtual_at(Time::EPOCH);
    let fake = Fake::new(&clock).init_takes(11_000 * MS);
    let failure = driven(control, fake.start(spec(Arc::default())))
        .await
        .err();
    assert!(
        matches!(failure, Some(StartError::InitTimedOut { waited }) if waited == 10_000 * MS),
        "{failure:?}"
    );
}

#[tokio::test]
async fn calls_end_as_the_script_says() {
    let (clock, control) = Clock::virtual_at(Time::EPOCH);
    let cases = [
        (
            Reply::success("1").after(5 * MS).prints("hello"),
            Ok(Concluded::Success("1".into())),
            5,
        ),
        (
            Reply::success("1").after(50 * MS),
            Err(Unfinished::TimedOut),
            20,
        ),
        (Reply::never(), Err(Unfinished::TimedOut), 20),
        (
            Reply::crash(Exit::Code(3)),
            Err(Unfinished::Crashed(Exit::Code(3))),
            0,
        ),
    ];
    for (reply, want, took_ms) in cases {
        let reply = Mutex::new(Some(reply));
        let fake = Fake::new(&clock).answers(move |_| reply.lock().unwrap().take().unwrap());
        let mut env = fake.start(spec(Arc::default())).await.unwrap();
        let answer = driven(control.clone(), env.invoke(call(), 20 * MS)).await;
        assert_eq!(answer.ending, want);
        assert_eq!(answer.duration, took_ms * MS);
    }
}

#[tokio::test]
async fn an_environment_that_dies_after_one_call_is_lost_then() {
    let (clock, _control) = Clock::virtual_at(Time::EPOCH);
    let fake = Fake::new(&clock).dies_after(1).dies_with(Exit::Signal(6));
    let mut env = fake.start(spec(Arc::default())).await.unwrap();
    env.invoke(call(), MS).await;
    assert_eq!(env.lost().await, Exit::Signal(6));
}

#[tokio::test]
async fn output_goes_to_the_sink_before_the_answer() {
    let (clock, _control) = Clock::virtual_at(Time::EPOCH);
    let lines = Arc::<Lines>::default();
    let fake = Fake::new(&clock).answers(|_| Reply::success("").prints("a").prints("b"));
    let mut env = fake.start(spec(lines.clone())).await.unwrap();
    env.invoke(call(), MS).await;
    assert_eq!(*lines.0.lock().unwrap(), ["a", "b"]);
}
