//! An environment whose processes run: what all backends with real processes share.

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use model::{Call, Concluded, Death, Ending, Exit, Unfinished};
use runtime_api::{InitEnd, Reply, ResponseWriter, SessionHandle};
use rustix::process::Signal;
use tasks::{Clock, Mono};

use crate::debugger::{Debugger, run_out};
use crate::extensions::{StopReason, fallen};
use crate::left::{Leaves, LeftTmp};
use crate::near::Bound;
use crate::output::Streams;
use crate::{Answer, Environment, InitReport, StartError};

/// How long an answer and the end of the process that gave it may be apart and still be told apart
/// rightly: the two arrive over different sockets.
const SETTLE: Duration = Duration::from_millis(20);
/// The same for an answer that broke off: nobody waits for an answer any more, and a process may take
/// a while to end after its connections did.
const CRASH_SETTLE: Duration = Duration::from_millis(500);
/// A call so short cannot use much memory that was not used before,
const SHORT: Duration = Duration::from_millis(1);
/// so its peak is that of a call which ended at most so long ago.
const PEAK_AGE_MAX: Duration = Duration::from_millis(20);

/// The processes of one environment. Dropping it kills them without waiting.
#[async_trait]
pub(crate) trait Body: Send {
    /// Returns when the runtime ended; the same again if asked again. Cancel-safe.
    async fn exited(&mut self) -> Exit;

    /// Returns when the next process ended that is told of. Cancel-safe.
    async fn heard(&mut self) -> Ended {
        Ended::Runtime(self.exited().await)
    }

    /// The extension whose end [`Body::exited`] told.
    fn fallen(&self) -> Option<&str> {
        None
    }

    /// Starts the runtime, which waited for the extensions. `path`: its program.
    async fn launch(&mut self, path: &str) -> Result<(), StartError> {
        let _ = path;
        Ok(())
    }

    /// Where a debugger may be, which holds time limits up.
    fn debugger(&self) -> Option<Debugger> {
        None
    }

    /// The runtime has ended, while the rest goes on.
    fn runtime_is_gone(&self) -> bool {
        false
    }

    /// The program that waited for a function has ended without having read which one.
    fn is_unheard(&self) -> bool {
        false
    }

    /// Sends a signal to the runtime itself.
    fn signal_runtime(&mut self, signal: Signal) {
        let _ = signal;
    }

    /// A call begins or ended.
    fn is_busy(&mut self, is_busy: bool);

    /// The runtime is ready: what is allowed only during init ends here.
    fn init_done(&mut self);

    /// Stops all processes where they are. Harmless if repeated.
    fn freeze(&mut self);

    /// Lets them go on. Harmless if repeated.
    fn thaw(&mut self);

    /// If it is called alone, has the runtime wake up on this processor while the answer lives.
    fn come_near(&mut self) -> Option<Bound> {
        None
    }

    /// Peak memory of all processes so far.
    fn memory_max_mib(&mut self) -> Option<u32>;

    /// The mount of `/tmp`, which outlives the environment.
    fn tmp(&self) -> Option<OwnedFd> {
        None
    }

    /// Kills all processes, waits for their end and gives everything back.
    /// Harmless if repeated.
    async fn end(&mut self);
}

/// A process that ended.
pub(crate) enum Ended {
    Runtime(Exit),
    Extension(String, Death),
    /// The environment as a whole.
    All(Exit),
}

pub(crate) struct Running {
    pub(crate) body: Box<dyn Body>,
    pub(crate) session: SessionHandle,
    pub(crate) streams: Streams,
    pub(crate) clock: Clock,
    init: InitReport,
    /// The zero of the session's stopwatch.
    since: Mono,
    /// The peak of memory and when it was read.
    memory: Option<(Mono, Option<u32>)>,
}

/// What the wait for init ended with.
pub(crate) enum Begin {
    Said(InitEnd),
    Exited(Exit),
    TimedOut,
    /// The runtime's program could not be started after the extensions.
    NotLaunched(StartError),
}

impl Running {
    /// Waits until the runtime, started at `since`, which is also the zero of the session's stopwatch,
    /// asks for its first event; `init` tells what came
    /// before. An environment that does not get there is ended before this returns.
    pub(crate) async fn begin(
        body: Box<dyn Body>,
        session: SessionHandle,
        streams: Streams,
        clock: Clock,
        (since, init): (Mono, InitReport),
        (path, limit): (&str, Duration),
        leaves: &Leaves,
    ) -> Result<Running, StartError> {
        let mut running = Running {
            body,
            session,
            streams,
            clock,
            init,
            since,
            memory: None,
        };
        let end = match running.settle(path, limit).await {
            Ok(()) => {
                let spent = running.clock.monotonic().since(since);
                running.wait_for_init(limit.saturating_sub(spent)).await
            }
            Err(end) => end,
        };
        running.streams.drain();
        let took = running.clock.monotonic().since(since);
        let (failure, reason) = match end {
            Begin::Said(InitEnd::Ready) => {
                running.init.duration = took;
                running.body.init_done();
                running.end_init();
                return Ok(running);
            }
            Begin::Said(InitEnd::Failed(error)) => {
                (StartError::InitFailed { error, took }, StopReason::Failure)
            }
            Begin::Said(InitEnd::Extension(extension)) => {
                let exit = running.gave_up(&extension).await;
                (StartError::InitExited { exit, took }, StopReason::Failure)
            }
            Begin::Exited(_) if running.body.is_unheard() => {
                running.body.end().await;
                return Err(StartError::Unheard);
            }
            Begin::Exited(exit) => {
                let exit = running.blame(exit);
                (StartError::InitExited { exit, took }, StopReason::Failure)
            }
            Begin::TimedOut => (
                StartError::InitTimedOut { waited: limit },
                StopReason::Timeout,
            ),
            Begin::NotLaunched(error) => (error, StopReason::Failure),
        };
        running.end_init();
        let tmp = running.body.tmp();
        running.wind_up(reason).await;
        if let Some(tmp) = tmp {
            leaves.put(LeftTmp::new(tmp));
        }
        running.streams.drain();
        Err(failure)
    }

    async fn wait_for_init(&mut self, limit: Duration) -> Begin {
        let debugger = self.body.debugger();
        let (session, clock) = (&mut self.session, &self.clock);
        let first = tokio::select! {
            biased;
            end = session.init_end() => return Begin::Said(end),
            exit = self.body.exited() => Begin::Exited(exit),
            () = run_out(clock, limit, debugger) => Begin::TimedOut,
            _ = self.streams.pump() => return Begin::TimedOut, // it never returns
        };
        // A runtime that reports an init error ends right after; the report may still be on its way.
        match clock.timeout(SETTLE, session.init_end()).await {
            Ok(InitEnd::Failed(error)) => Begin::Said(InitEnd::Failed(error)),
            _ => first,
        }
    }

    async fn run(&mut self, call: Call, limit: Duration, to: Option<ResponseWriter>) -> Ending {
        let (clock, debugger) = (&self.clock, self.body.debugger());
        let mut reply = std::pin::pin!(self.session.invoke(call, to));
        let begun = match self.body.come_near() {
            None => Poll::Pending,
            Some(bound) => {
                // The first poll writes the event, which is what wakes the runtime.
                let begun = poll_fn(|cx| Poll::Ready(reply.as_mut().poll(cx))).await;
                drop(bound);
                begun
            }
        };
        let first = match begun {
            Poll::Ready(reply) => Ok(reply),
            Poll::Pending => tokio::select! {
                biased;
                reply = &mut reply => Ok(reply),
                exit = self.body.exited() => Err(Unfinished::Crashed(exit)),
                () = run_out(clock, limit, debugger) => Err(Unfinished::TimedOut),
                _ = self.streams.pump() => Err(Unfinished::TimedOut), // it never returns
            },
        };
        match first {
            // A broken-off answer is mostly the first sign of a crash.
            Ok(Reply::Truncated) => match clock.timeout(CRASH_SETTLE, self.body.exited()).await {
                Ok(exit) => Err(Unfinished::Crashed(exit)),
                Err(_) => Err(Unfinished::Truncated),
            },
            Ok(reply) => ending(reply),
            Err(Unfinished::Crashed(exit)) => match clock.timeout(SETTLE, reply).await {
                Ok(answered @ (Reply::Response(_) | Reply::Error(_))) => ending(answered),
                _ => Err(Unfinished::Crashed(exit)),
            },
            Err(other) => Err(other),
        }
    }

    async fn answer(&mut self, call: Call, limit: Duration, to: Option<ResponseWriter>) -> Answer {
        let begin = self.clock.monotonic();
        self.body.thaw();
        self.body.is_busy(true);
        let ending = match self.run(call, limit, to).await {
            Err(Unfinished::Crashed(exit)) => Err(Unfinished::Crashed(self.blame(exit))),
            Err(Unfinished::TimedOut) if self.session.awaits_trailers() => {
                Err(Unfinished::TrailersTimedOut)
            }
            other => other,
        };
        self.body.is_busy(false);
        let end = self.clock.monotonic();
        self.streams.drain();
        Answer {
            ending,
            duration: end.since(begin),
            latency: self.latency(begin),
            memory_max_mib: self.memory_max_mib(begin, end),
        }
    }

    /// From `begin` to the first byte of the answer.
    fn latency(&self, begin: Mono) -> Option<Duration> {
        let began = self.session.answer_began()?;
        Some(began.saturating_sub(begin.since(self.since)))
    }

    /// The peak after a call. One that took no time after another leaves it as it was.
    fn memory_max_mib(&mut self, begin: Mono, end: Mono) -> Option<u32> {
        if end.since(begin) < SHORT
            && let Some((read, peak)) = self.memory
            && end.since(read) < PEAK_AGE_MAX
        {
            return peak;
        }
        let peak = self.body.memory_max_mib();
        self.memory = Some((end, peak));
        peak
    }
}

fn ending(reply: Reply) -> Ending {
    match reply {
        Reply::Response(payload) => Ok(Concluded::Success(payload)),
        Reply::Error(error) => Ok(Concluded::Error(error)),
        Reply::TooLarge(max) => Err(Unfinished::ResponseTooLarge(max)),
        Reply::Truncated => Err(Unfinished::Truncated),
    }
}

#[async_trait]
impl Environment for Running {
    fn init(&self) -> &InitReport {
        &self.init
    }

    async fn invoke(&mut self, call: Call, limit: Duration) -> Answer {
        self.answer(call, limit, None).await
    }

    async fn stream(&mut self, call: Call, limit: Duration, to: ResponseWriter) -> Answer {
        self.answer(call, limit, Some(to)).await
    }

    fn freeze(&mut self) {
        self.body.freeze();
    }

    fn thaw(&mut self) {
        self.body.thaw();
    }

    async fn ready(&mut self) -> Result<(), Exit> {
        let exit = tokio::select! {
            biased;
            exit = self.body.exited() => exit,
            settled = self.session.settled() => match settled {
                Ok(()) => return Ok(()),
                Err(extension) => fallen(&extension, Death::Code(0)),
            },
            _ = self.streams.pump() => return Ok(()), // it never returns
        };
        self.streams.drain();
        Err(self.blame(exit))
    }

    async fn runtime_ready(&mut self) -> Result<(), Exit> {
        let exit = tokio::select! {
            biased;
            exit = self.body.exited() => exit,
            () = self.session.runtime_idle() => return Ok(()),
            _ = self.streams.pump() => return Ok(()), // it never returns
        };
        self.streams.drain();
        Err(self.blame(exit))
    }

    fn has_extensions(&self) -> bool {
        self.session.has_extensions()
    }

    async fn stop_for(mut self: Box<Self>, reason: StopReason) {
        self.wind_up(reason).await;
        self.streams.drain();
    }

    async fn stop_leaving(mut self: Box<Self>, reason: StopReason) -> Option<LeftTmp> {
        let tmp = self.body.tmp();
        // Only when every process has ended nothing changes any more.
        self.wind_up(reason).await;
        self.streams.drain();
        tmp.map(LeftTmp::new)
    }

    async fn lost(&mut self) -> Exit {
        let exit = tokio::select! {
            biased;
            exit = self.body.exited() => exit,
            _ = self.streams.pump() => Exit::Code(0), // it never returns
        };
        self.streams.drain();
        exit
    }

    async fn stop(mut self: Box<Self>) {
        self.body.end().await;
        self.streams.drain();
    }
}
