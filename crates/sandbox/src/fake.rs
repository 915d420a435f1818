//! A scripted backend for tests of what lies above: no processes, only a clock.
//!
//! ```ignore
//! let fake = Fake::new(&clock)
//!     .init_takes(Duration::from_millis(80))
//!     .answers(|call| Reply::success(call.payload.clone()).after(Duration::from_millis(5)))
//!     .dies_after(3);
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Call, Concluded, Ending, Exit, FunctionError, Unfinished};
use tasks::Clock;
use tokio::sync::watch;

use crate::{
    Answer, Environment, EnvironmentSpec, InitReport, Isolation, Origin, OutputLine, Sandbox,
    StartError,
};
use runtime_api::{Piece, ResponseWriter};

type Script = dyn Fn(&Call) -> Reply + Send + Sync;
type InitFailure = dyn Fn(&EnvironmentSpec) -> Option<StartError> + Send + Sync;

/// A backend whose environments do what a script says, in the time of its clock.
pub struct Fake {
    clock: Clock,
    init: Duration,
    setup: Duration,
    stop: Duration,
    script: Arc<Script>,
    init_failure: Arc<InitFailure>,
    calls_max: Option<u64>,
    exit: Exit,
    counts: Arc<Counts>,
    started: Mutex<Vec<EnvironmentSpec>>,
    down: watch::Sender<Option<Exit>>,
}

/// What a scripted environment does with one call.
pub struct Reply {
    ending: Option<Ending>,
    after: Duration,
    lines: Vec<String>,
    pieces: Vec<Piece>,
    memory_max_mib: Option<u32>,
}

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    stopped: AtomicU64,
    stopping: AtomicU64,
    calls: AtomicU64,
    frozen: AtomicU64,
}

impl Reply {
    fn ending(ending: Option<Ending>) -> Reply {
        Reply {
            ending,
            after: Duration::ZERO,
            lines: Vec::new(),
            pieces: Vec::new(),
            memory_max_mib: Some(32),
        }
    }

    pub fn success(payload: impl Into<Bytes>) -> Reply {
        Reply::ending(Some(Ok(Concluded::Success(payload.into()))))
    }

    pub fn error(kind: &str, payload: impl Into<Bytes>) -> Reply {
        Reply::ending(Some(Ok(Concluded::Error(FunctionError {
            kind: Some(kind.to_owned()),
            payload: payload.into(),
        }))))
    }

    pub fn unfinished(how: Unfinished) -> Reply {
        Reply::ending(Some(Err(how)))
    }

    /// The runtime process ends.
    pub fn crash(exit: Exit) -> Reply {
        Reply::unfinished(Unfinished::Crashed(exit))
    }

    /// Runs into the limit of the call.
    pub fn never() -> Reply {
        Reply::ending(None)
    }

    /// Answers in streaming mode: gives the pieces at once, and ends when it would.
    pub fn streams(mut self, content_type: Option<&str>, pieces: &[&'static [u8]]) -> Reply {
        self.pieces.push(Piece::Begin {
            content_type: content_type.map(str::to_owned),
        });
        let bytes = |piece: &&'static [u8]| Piece::Bytes(Bytes::from_static(piece));
        self.pieces.extend(pieces.iter().map(bytes));
        self
    }

    pub fn after(mut self, wait: Duration) -> Reply {
        self.after = wait;
        self
    }

    /// Writes a line before answering.
    pub fn prints(mut self, line: &str) -> Reply {
        self.lines.push(line.to_owned());
        self
    }

    pub fn uses_mib(mut self, peak: Option<u32>) -> Reply {
        self.memory_max_mib = peak;
        self
    }
}

impl Fake {
    /// Environments that start at once and answer every call with its payload.
    pub fn new(clock: &Clock) -> Fake {
        Fake {
            clock: clock.clone(),
            init: Duration::ZERO,
            setup: Duration::ZERO,
            stop: Duration::ZERO,
            script: Arc::new(|call| Reply::success(call.payload.clone())),
            init_failure: Arc::new(|_| None),
            calls_max: None,
            exit: Exit::Code(1),
            counts: Arc::default(),
            started: Mutex::default(),
            down: watch::Sender::new(None),
        }
    }

    pub fn init_takes(mut self, init: Duration) -> Fake {
        self.init = init;
        self
    }

    /// What an environment with extensions may need to end.
    pub fn stop_takes(mut self, stop: Duration) -> Fake {
        self.stop = stop;
        self
    }

    pub fn setup_takes(mut self, setup: Duration) -> Fake {
        self.setup = setup;
        self
    }

    pub fn answers(mut self, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Fake {
        self.script = Arc::new(script);
        self
    }

    /// Every environment ends by itself, idle, after it answered `calls` calls.
    pub fn dies_after(mut self, calls: u64) -> Fake {
        self.calls_max = Some(calls);
        self
    }

    /// The exit seen when an environment ends by itself.
    pub fn dies_with(mut self, exit: Exit) -> Fake {
        self.exit = exit;
        self
    }

    /// Starts for which this gives an error fail with it, after the time that init takes.
    pub fn init_fails(
        mut self,
        failure: impl Fn(&EnvironmentSpec) -> Option<StartError> + Send + Sync + 'static,
    ) -> Fake {
        self.init_failure = Arc::new(failure);
        self
    }

    /// Ends every idle environment now; calls that run end as crashed.
    pub fn kill_all(&self, exit: Exit) {
        self.down.send_replace(Some(exit));
    }

    /// Environments that got ready.
    pub fn started(&self) -> u64 {
        self.counts.started.load(Ordering::SeqCst)
    }

    /// Environments whose end has begun.
    pub fn stopping(&self) -> u64 {
        self.counts.stopping.load(Ordering::SeqCst)
    }

    /// Environments that are gone.
    pub fn stopped(&self) -> u64 {
        self.counts.stopped.load(Ordering::SeqCst)
    }

    /// Environments that hold resources now.
    pub fn live(&self) -> u64 {
        self.started().saturating_sub(self.stopped())
    }

    /// Environments that are frozen now.
    pub fn frozen(&self) -> u64 {
        self.counts.frozen.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::SeqCst)
    }

    /// What was asked for, in the order of asking, failed starts too.
    pub fn specs(&self) -> Vec<EnvironmentSpec> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.clone()
    }
}

#[async_trait]
impl Sandbox for Fake {
    fn isolation(&self) -> Isolation {
        Isolation {
            backend: "fake".to_owned(),
            items: Vec::new(),
        }
    }

    async fn start(&self, spec: EnvironmentSpec) -> Result<Box<dyn Environment>, StartError> {
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(spec.clone());
        self.clock.sleep(self.setup).await;
        let init = self.init.min(spec.init_limit);
        self.clock.sleep(init).await;
        if self.init > spec.init_limit {
            return Err(StartError::InitTimedOut { waited: init });
        }
        if let Some(failure) = (self.init_failure)(&spec) {
            return Err(failure);
        }
        self.counts.started.fetch_add(1, Ordering::SeqCst);
        let mut down = self.down.subscribe();
        down.mark_unchanged();
        Ok(Box::new(FakeEnvironment {
            clock: self.clock.clone(),
            report: InitReport {
                duration: self.init,
                setup: self.setup,
                origin: Origin::New,
            },
            script: self.script.clone(),
            spec,
            calls_left: self.calls_max,
            exit: self.exit,
            counts: self.counts.clone(),
            is_frozen: false,
            stop: self.stop,
            down,
        }))
    }

    async fn shutdown(&self, _grace: Duration) {
        self.kill_all(Exit::Signal(9));
    }
}

struct FakeEnvironment {
    clock: Clock,
    report: InitReport,
    script: Arc<Script>,
    spec: EnvironmentSpec,
    calls_left: Option<u64>,
    exit: Exit,
    counts: Arc<Counts>,
    is_frozen: bool,
    stop: Duration,
    down: watch::Receiver<Option<Exit>>,
}

impl FakeEnvironment {
    /// Returns when the test killed all environments. Cancel-safe.
    async fn killed(&mut self) -> Exit {
        loop {
            if self.down.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(exit) = *self.down.borrow_and_update() {
                return exit;
            }
        }
    }

    async fn answer(&mut self, call: Call, limit: Duration, to: Option<ResponseWriter>) -> Answer {
        self.thaw();
        self.counts.calls.fetch_add(1, Ordering::SeqCst);
        let begin = self.clock.monotonic();
        let mut reply = (self.script)(&call);
        let mut collected = Vec::new();
        for piece in std::mem::take(&mut reply.pieces) {
            match (&to, piece) {
                // A reader that is gone does not end a function.
                (Some(to), piece) => drop(to.send(piece).await),
                (None, Piece::Bytes(bytes)) => collected.extend_from_slice(&bytes),
                (None, Piece::Begin { .. }) => {}
            }
        }
        let clock = self.clock.clone();
        let wait = reply.after.min(limit);
        let killed = tokio::select! {
            biased;
            exit = self.killed() => Some(exit),
            () = clock.sleep(wait) => None,
        };
        for message in reply.lines {
            self.spec.output.line(OutputLine {
                is_extension: false,
                unix_ms: self.clock.now().unix_millis(),
                message,
                cut: false,
            });
        }
        let ending = match (killed, reply.ending) {
            (Some(exit), _) => Err(Unfinished::Crashed(exit)),
            (None, Some(ending)) if reply.after <= limit => ending,
            (None, _) => {
                clock.sleep(limit.saturating_sub(wait)).await;
                Err(Unfinished::TimedOut)
            }
        };
        let ending = match ending {
            Ok(Concluded::Success(payload)) if payload.is_empty() => {
                Ok(Concluded::Success(collected.into()))
            }
            other => other,
        };
        self.calls_left = self.calls_left.map(|left| left.saturating_sub(1));
        Answer {
            ending,
            duration: self.clock.monotonic().since(begin),
            latency: None,
            memory_max_mib: reply.memory_max_mib,
        }
    }
}

#[async_trait]
impl Environment for FakeEnvironment {
    fn init(&self) -> &InitReport {
        &self.report
    }

    async fn invoke(&mut self, call: Call, limit: Duration) -> Answer {
        self.answer(call, limit, None).await
    }

    async fn stream(&mut self, call: Call, limit: Duration, to: ResponseWriter) -> Answer {
        self.answer(call, limit, Some(to)).await
    }

    fn freeze(&mut self) {
        if !std::mem::replace(&mut self.is_frozen, true) {
            self.counts.frozen.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn thaw(&mut self) {
        if std::mem::take(&mut self.is_frozen) {
            self.counts.frozen.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn ready(&mut self) -> Result<(), Exit> {
        tokio::select! {
            biased;
            exit = self.lost() => Err(exit),
            () = std::future::ready(()) => Ok(()),
        }
    }

    async fn lost(&mut self) -> Exit {
        if self.calls_left == Some(0) {
            return self.exit;
        }
        self.killed().await
    }

    async fn stop(self: Box<Self>) {
        self.counts.stopping.fetch_add(1, Ordering::SeqCst);
        self.clock.sleep(self.stop).await;
    }
}

impl Drop for FakeEnvironment {
    fn drop(&mut self) {
        self.thaw();
        self.counts.stopped.fetch_add(1, Ordering::SeqCst);
    }
}
