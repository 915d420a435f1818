//! RequestResponse: resolve → admit → lease → run → report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use functions::{Deployed, LogFormat, ResolveError, Resolved, State};
use model::{Call, Concluded, Exit, FunctionRef, Timeout, Unfinished};
use sandbox::{Answer, ResponseWriter, StartError, StopReason};
use tasks::Ids;
use tokio::sync::oneshot;

use crate::admission::{Permit, Share, Throttle};
use crate::errors;
use crate::handle::{Inner, Invoke, Outcome, Refused, Request};
use crate::lineage::{Lineage, RUNS_MAX};
use crate::output::EnvironmentLog;
use crate::pool::{Live, Pool, Purpose};
use crate::report::{Event, Figures, Level, Lines, Status};
use crate::starter::{Planned, StartFailure};
use crate::unattended::Unattended;

/// Longest init phase outside of an invocation.  [Lambda guide: runtime environment]
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// Idle environments found dead before a lease gives up on them and starts a new one.
const DEAD_IDLE_MAX: usize = 16;
/// Longest wait for a runtime that has answered to ask for its next event, or to end.
const READY_MAX: Duration = Duration::from_millis(100);

impl Invoke {
    /// Runs the function and waits for its answer. Once admitted the invocation runs to its end, also
    /// if the caller goes away.
    ///
    /// # Errors
    /// The function did not run: unknown, not active, throttled, or the host cannot run it.
    pub async fn request_response(&self, request: Request) -> Result<Outcome, Refused> {
        let resolved = self.ready(&request.function).await?;
        self.stop_loops(&request)?;
        let admitted = self.0.admit(&resolved, &request.function)?;
        let inner = self.0.clone();
        let (early, told) = early();
        let run = async move { inner.run(admitted, request, None, early).await };
        let run = Unattended::new(run, &self.0.tasks);
        tokio::select! {
            biased;
            outcome = run => outcome,
            // Extensions are still at work: what is left goes on unattended.
            Ok(outcome) = told => Ok(outcome),
        }
    }

    /// The trace header of a call that the holder of `access_key` makes: if that is an environment, the
    /// call belongs to the chain of the one that runs there, whatever the caller sent.
    pub fn inherit(&self, access_key: Option<&str>, trace: Option<&str>) -> Option<String> {
        match access_key.and_then(|key| self.0.starter.keys.find(key)) {
            Some(issued) => {
                let chain = Lineage::of(trace).joined(&issued.lineage());
                Some(chain.put(trace.unwrap_or_default()))
            }
            None => trace.map(str::to_owned),
        }
    }

    /// Refuses a function that ran too often in one chain of calls, unless it may.
    pub(crate) fn stop_loops(&self, request: &Request) -> Result<(), Refused> {
        let function = &request.function;
        let runs = Lineage::of(request.trace.as_deref()).runs(&function.unqualified_arn());
        if runs < RUNS_MAX {
            return Ok(());
        }
        match self.0.functions.describe(function) {
            Ok(found) if found.allows_recursion => Ok(()),
            _ => Err(Refused::Recursive),
        }
    }

    /// Everything that an invocation checks before it runs.
    ///
    /// # Errors
    /// Those that the invocation would give.
    pub fn dry_run(&self, function: &FunctionRef) -> Result<(), Refused> {
        self.resolve(function).map(|_| ())
    }

    /// A function that was just made is ready a moment later: its first call makes it so.
    pub(crate) async fn ready(&self, function: &FunctionRef) -> Result<Resolved, Refused> {
        match self.resolve(function) {
            Err(Refused::NotReady { .. }) => {
                let settled = self.0.functions.resolve_ready(function).await;
                settled.map_err(not_found)?;
                self.resolve(function)
            }
            other => other,
        }
    }

    fn resolve(&self, function: &FunctionRef) -> Result<Resolved, Refused> {
        self.0
            .functions
            .resolve_call(function)
            .map_err(not_found)
            .and_then(active)
    }
}

fn not_found(error: ResolveError) -> Refused {
    match error {
        ResolveError::NotFound { arn } => Refused::NotFound { arn },
    }
}

fn active(call: Resolved) -> Result<Resolved, Refused> {
    match &call.deployed.state {
        State::Active => Ok(call),
        other => Err(Refused::NotReady {
            state: other.as_str().to_owned(),
        }),
    }
}

/// What a lease gives: an environment, or the end of an invocation that could not start one.
enum Leased {
    Ready(Live),
    /// The init phase failed outside; it is done again inside the invocation.
    InitAgain(Planned),
}

/// An invocation that may run.
pub(crate) struct Admitted {
    pool: Arc<Pool>,
    share: Share,
    on: On,
}

/// What it runs on.
pub(crate) enum On {
    /// An environment that was ready before the call. It counts nowhere else: there are only as many
    /// as were provisioned.
    Provisioned(Live),
    Demand(Permit),
}

fn throttled(why: Throttle) -> Refused {
    Refused::Throttled {
        reason: why.reason(),
    }
}

/// One invocation on its way.
struct Run<'a> {
    inner: &'a Inner,
    pool: &'a Arc<Pool>,
    share: Share,
    request: &'a Request,
    lines: Lines,
    /// Where a streamed response goes.
    to: Option<ResponseWriter>,
    early: Early,
}

/// Takes an outcome before the end of the run.
pub(crate) type Early = Mutex<Option<oneshot::Sender<Outcome>>>;

pub(crate) fn early() -> (Early, oneshot::Receiver<Outcome>) {
    let (teller, told) = oneshot::channel();
    (Mutex::new(Some(teller)), told)
}

fn tell(early: &Early, outcome: &Outcome) {
    let teller = early.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(teller) = teller {
        // A caller that has gone away needs none.
        let _ = teller.send(outcome.clone());
    }
}

impl Inner {
    /// Provisioned environments first; what is more runs on demand.  [spec: CON-14]
    pub(crate) fn admit(
        &self,
        call: &Resolved,
        function: &FunctionRef,
    ) -> Result<Admitted, Refused> {
        let (share, now) = (Share::from(call), self.uptime());
        let shelf = call
            .is_provisioned
            .then(|| self.shelves.pool(function, &call.deployed))
            .flatten();
        if let Some((pool, allocated)) = shelf
            && let Some(live) = pool.take_idle()
        {
            let counted = pool.gate.admit_provisioned(share, allocated, now);
            if let Err(why) = counted {
                self.take_back(&pool, live);
                return Err(throttled(why));
            }
            let on = On::Provisioned(live);
            return Ok(Admitted { pool, share, on });
        }
        let pool = self.pool(&call.deployed);
        let on = On::Demand(pool.gate.admit(share, now).map_err(throttled)?);
        Ok(Admitted { pool, share, on })
    }

    pub(crate) async fn run(
        &self,
        mut admitted: Admitted,
        request: Request,
        to: Option<ResponseWriter>,
        early: Early,
    ) -> Result<Outcome, Refused> {
        if let On::Provisioned(live) = &mut admitted.on
            && !self.is_alive(live).await
        {
            admitted = self.spill(admitted)?;
        }
        let Admitted { pool, share, on } = admitted;
        let run = Run {
            inner: self,
            pool: &pool,
            share,
            lines: lines(&pool.deployed, &request.function, pool.purpose),
            request: &request,
            to,
            early,
        };
        let permit = match on {
            On::Demand(permit) => permit,
            On::Provisioned(live) => return Ok(run.call(live).await),
        };
        let outcome = match run.lease().await? {
            Leased::Ready(live) => run.call(live).await,
            Leased::InitAgain(planned) => run.call_with_init(planned).await?,
        };
        drop(permit);
        Ok(outcome)
    }

    /// The provisioned environment was dead: the call runs on demand.
    fn spill(&self, admitted: Admitted) -> Result<Admitted, Refused> {
        let Admitted { pool, share, on } = admitted;
        if let On::Provisioned(dead) = on {
            self.starter.stop(dead);
        }
        let pool = self.pool(&pool.deployed);
        let permit = pool.gate.admit(share, self.uptime()).map_err(throttled)?;
        let on = On::Demand(permit);
        Ok(Admitted { pool, share, on })
    }

    /// An environment whose runtime ended after its last answer is not leased. One that is still
    /// busy with something gets the call when it asks.
    async fn is_alive(&self, live: &mut Live) -> bool {
        let clock = self.tasks.clock();
        let ready = clock.timeout(READY_MAX, live.environment.ready()).await;
        !matches!(ready, Ok(Err(_)))
    }
}

impl Run<'_> {
    async fn lease(&self) -> Result<Leased, Refused> {
        for _ in 0..DEAD_IDLE_MAX {
            let Some(mut live) = self.pool.take_idle() else {
                break;
            };
            if self.inner.is_alive(&mut live).await {
                return Ok(Leased::Ready(live));
            }
            self.discard(live);
        }
        // A start that must wait for its turn takes an environment that becomes idle meanwhile.
        loop {
            tokio::select! {
                biased;
                permit = self.inner.starts.acquire() => {
                    let _permit = permit.map_err(|e| Refused::Internal { detail: e.to_string() })?;
                    return self.start().await;
                }
                () = self.pool.freed() => {
                    if let Some(mut live) = self.pool.take_idle() {
                        if self.inner.is_alive(&mut live).await {
                            return Ok(Leased::Ready(live));
                        }
                        self.discard(live);
                    }
                }
            }
        }
    }

    async fn start(&self) -> Result<Leased, Refused> {
        if self.inner.is_shut() {
            let detail = "the server is going down".to_owned();
            return Err(Refused::Internal { detail });
        }
        if !self.inner.make_room() {
            return Err(throttled(Throttle::Concurrency));
        }
        if !self.pool.gate.may_start(self.inner.uptime()) {
            return Err(throttled(self.share.rate_throttle()));
        }
        let seat = self.pool.seat();
        let planned = self
            .inner
            .starter
            .plan(&self.pool.deployed, self.pool.purpose)
            .await
            .map_err(refused)?;
        let log = &planned.log;
        let region = &self.request.function.region;
        let runtime = self.pool.deployed.config.runtime;
        let version = runtime.map(|r| (r.version_label(), r.version_arn(region)));
        self.push(log, Event::InitStart(version));
        match self.inner.starter.start(&planned, INIT_LIMIT, seat).await {
            Ok(live) => {
                self.pool.watch_log(&live.log);
                let (took, phase, status) =
                    (live.init.unwrap_or_default(), "init", Status::Success);
                self.push(log, Event::InitRuntimeDone(status));
                self.push(
                    log,
                    Event::InitReport {
                        took,
                        phase,
                        status,
                    },
                );
                Ok(Leased::Ready(live))
            }
            Err(error) => {
                let Some((took, status)) = init_failure(&error) else {
                    self.inner.starter.abandon(&planned);
                    return Err(refused(StartFailure::Sandbox(error)));
                };
                let phase = "init";
                self.push(log, Event::InitRuntimeDone(status));
                self.push(
                    log,
                    Event::InitReport {
                        took,
                        phase,
                        status,
                    },
                );
                Ok(Leased::InitAgain(planned))
            }
        }
    }

    /// The usual call: the environment waits for an event.
    async fn call(&self, mut live: Live) -> Outcome {
        let init = live.init.take();
        let timeout = self.timeout().duration();
        self.begin(&live.log);
        let answer = self.ask(&mut live, timeout).await;
        self.conclude(live, answer, init, Duration::ZERO).await
    }

    /// The init phase failed before: it is part of the invocation now.  [Lambda guide: failures
    /// during the init phase]
    async fn call_with_init(&self, planned: Planned) -> Result<Outcome, Refused> {
        planned.log.telemetry().reopen();
        self.begin(&planned.log);
        let clock = self.inner.tasks.clock();
        let started = clock.monotonic();
        let limit = self.timeout().duration();
        let Ok(_permit) = self.inner.starts.acquire().await else {
            let detail = "the server is going down".to_owned();
            return Err(Refused::Internal { detail });
        };
        let seat = self.pool.seat();
        let error = match self.inner.starter.start(&planned, limit, seat).await {
            Ok(mut live) => {
                drop(_permit);
                self.pool.watch_log(&live.log);
                live.init = None;
                let spent = clock.monotonic().since(started);
                let left = limit.saturating_sub(spent);
                let answer = self.ask(&mut live, left).await;
                return Ok(self.conclude(live, answer, None, spent).await);
            }
            Err(error) => error,
        };
        let took = clock.monotonic().since(started);
        self.inner.starter.abandon(&planned);
        let id = self.request.request_id.as_str();
        let (payload, status) = match &error {
            StartError::InitFailed { error, .. } => (error.payload.clone(), Status::Error(None)),
            StartError::InitTimedOut { .. } => {
                let end = Unfinished::TimedOut;
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                (errors::body(&end, id, self.timeout()), Status::Timeout)
            }
            StartError::InitExited { exit, .. } => {
                let end = Unfinished::Crashed(*exit);
                self.push(&planned.log, Event::Line(self.failure_line(&end)));
                (
                    errors::body(&end, id, self.timeout()),
                    Status::Error(Some(errors::error_type(&end))),
                )
            }
            StartError::ExtensionNotLaunched { name, reason, .. } => {
                let kind = "Extension.LaunchError";
                let text = errors::launch_message(name, reason);
                self.push(
                    &planned.log,
                    Event::Line(format!("RequestId: {id} Error: {text}\n{kind}")),
                );
                (
                    errors::exit_body(kind, id, &text),
                    Status::Error(Some(kind)),
                )
            }
            StartError::BadEntrypoint { reason, .. } => {
                let kind = "Runtime.InvalidEntrypoint";
                let text = serde_json::to_string(reason).unwrap_or_default();
                let text = text.trim_matches('"');
                (errors::exit_body(kind, id, text), Status::Error(Some(kind)))
            }
            StartError::NoCapacity(_) | StartError::Backend(_) => {
                return Err(refused(StartFailure::Sandbox(error)));
            }
        };
        let status = named(status, &error);
        let figures = Figures {
            duration: took.min(limit),
            init: None,
            memory_max_mib: memory_used(&error, self.lines.memory_mib),
            status,
        };
        let log_tail = self.finish(&planned.log, &figures);
        Ok(self.outcome(payload, Some("Unhandled"), log_tail))
    }

    /// Has the environment answer, in pieces if that is wanted.
    async fn ask(&self, live: &mut Live, limit: Duration) -> Answer {
        let lineage = self.lineage();
        let call = self.event(limit, &lineage);
        live.keys.issued.begin(lineage);
        match &self.to {
            None => live.environment.invoke(call, limit).await,
            Some(to) => live.environment.stream(call, limit, to.clone()).await,
        }
    }

    /// Reports, and gives the environment back or ends it.
    async fn conclude(
        &self,
        mut live: Live,
        answer: Answer,
        init: Option<Duration>,
        spent: Duration,
    ) -> Outcome {
        let memory_mib = self.lines.memory_mib;
        let mut figures = Figures {
            duration: answer.duration + spent,
            init,
            memory_max_mib: answer.memory_max_mib.unwrap_or_default().min(memory_mib),
            status: Status::Success,
        };
        let (payload, error) = match answer.ending {
            Ok(Concluded::Success(payload)) => (payload, None),
            Ok(Concluded::Error(error)) => {
                figures.status = Status::Error(None);
                (error.payload, Some("Unhandled"))
            }
            Err(end) => {
                let id = self.request.request_id.as_str();
                let body = errors::body(&end, id, self.timeout());
                if end == Unfinished::TimedOut {
                    figures.duration = self.timeout().duration();
                    figures.status = Status::Timeout;
                } else {
                    figures.status = Status::Error(Some(errors::error_type(&end)));
                }
                if end == Unfinished::Crashed(Exit::OutOfMemory) {
                    figures.memory_max_mib = memory_mib;
                }
                if let Unfinished::Lost(detail) = &end {
                    tracing::error!(request = id, detail, "environment lost");
                }
                self.push(&live.log, Event::Line(self.failure_line(&end)));
                let log_tail = self.finish(&live.log, &figures);
                if matches!(end, Unfinished::ResponseTooLarge(_)) {
                    self.give_back(live);
                } else if end == Unfinished::TimedOut {
                    self.discard_for(live, StopReason::Timeout);
                } else {
                    self.discard(live);
                }
                return self.outcome(body, Some("Unhandled"), log_tail);
            }
        };
        let mut outcome = self.outcome(payload, error, None);
        let phase = if live.environment.has_extensions() {
            self.end_of_phase(&mut live, &mut figures, &outcome).await
        } else {
            self.runtime_done(&live.log, &figures, outcome.payload.len());
            Ok(())
        };
        outcome.log_tail = self.finish(&live.log, &figures);
        match phase {
            Ok(()) => self.give_back(live),
            Err(reason) => self.discard_for(live, reason),
        }
        outcome
    }

    fn give_back(&self, live: Live) {
        self.inner.take_back(self.pool, live);
    }

    fn discard(&self, live: Live) {
        self.discard_for(live, StopReason::Failure);
    }

    fn discard_for(&self, mut live: Live, reason: StopReason) {
        live.reason = reason;
        self.inner.starter.stop(live);
    }

    fn outcome(
        &self,
        payload: bytes::Bytes,
        function_error: Option<&'static str>,
        log_tail: Option<Vec<u8>>,
    ) -> Outcome {
        Outcome {
            executed_version: self.pool.deployed.version,
            payload,
            function_error,
            log_tail,
        }
    }

    /// The chain of calls with this one.
    fn lineage(&self) -> Lineage {
        let before = Lineage::of(self.request.trace.as_deref());
        before.and(&self.request.function.unqualified_arn())
    }

    fn event(&self, limit: Duration, lineage: &Lineage) -> Call {
        Call {
            request: self.request.request_id.clone(),
            payload: self.request.payload.clone(),
            deadline_unix_ms: self.now().after(limit).unix_millis(),
            // Unqualified when called without qualifier, else as called.  [observed, HC-4]
            invoked_arn: self.request.function.to_string(),
            trace: trace_header(
                self.request.trace.as_deref(),
                lineage,
                self.now(),
                self.inner.tasks.ids(),
            ),
            client_context: self.request.client_context.clone(),
            cognito_identity: self.request.cognito_identity.clone(),
            tenant_id: None,
        }
    }

    fn begin(&self, log: &EnvironmentLog) {
        log.begin(self.request.want_log);
        let request = self.request.request_id.as_str();
        self.push(log, Event::Start { request });
    }

    fn finish(&self, log: &EnvironmentLog, figures: &Figures) -> Option<Vec<u8>> {
        let request = self.request.request_id.as_str();
        let figures = *figures;
        self.push(log, Event::End { request });
        self.push(log, Event::Report { request, figures });
        log.end()
    }

    /// The line that tells people why there was no answer.
    fn failure_line(&self, end: &Unfinished) -> String {
        let id = &self.request.request_id;
        let text = errors::message(end, self.timeout());
        match end {
            Unfinished::TimedOut => format!("{} {id} {text}\n", self.now().iso_millis()),
            Unfinished::Crashed(_) => {
                let kind = errors::error_type(end);
                format!("RequestId: {id} Error: {text}\n{kind}")
            }
            _ => format!("RequestId: {id} Error: {text}"),
        }
    }

    fn push(&self, log: &EnvironmentLog, event: Event<'_>) {
        log.say(self.now(), &self.lines, &event);
    }

    /// The runtime is done with its call.
    fn runtime_done(&self, log: &EnvironmentLog, figures: &Figures, produced: usize) {
        let (request, took, status) = (
            self.request.request_id.as_str(),
            figures.duration,
            figures.status,
        );
        let event = Event::RuntimeDone {
            request,
            took,
            produced,
            status,
        };
        self.push(log, event);
    }

    /// Waits until the runtime and all extensions are done, at most until the function's time is
    /// over; the caller has its answer meanwhile, unless it wants the report too.
    async fn end_of_phase(
        &self,
        live: &mut Live,
        figures: &mut Figures,
        outcome: &Outcome,
    ) -> Result<(), StopReason> {
        let clock = self.inner.tasks.clock();
        let begin = clock.monotonic();
        let before = figures.duration;
        if !self.request.want_log {
            tell(&self.early, outcome);
        }
        let limit = self.timeout().duration().saturating_sub(before);
        let produced = outcome.payload.len();
        let settled = clock
            .timeout(limit, async {
                live.environment.runtime_ready().await?;
                figures.duration = before + clock.monotonic().since(begin);
                self.runtime_done(&live.log, figures, produced);
                live.environment.ready().await
            })
            .await;
        figures.duration = (before + clock.monotonic().since(begin)).min(self.timeout().duration());
        match settled {
            Ok(Ok(())) => Ok(()),
            Ok(Err(exit)) => {
                let end = Unfinished::Crashed(exit);
                figures.status = Status::Error(Some(errors::error_type(&end)));
                self.push(&live.log, Event::Line(self.failure_line(&end)));
                Err(StopReason::Failure)
            }
            Err(_) => {
                figures.status = Status::Timeout;
                self.push(
                    &live.log,
                    Event::Line(self.failure_line(&Unfinished::TimedOut)),
                );
                Err(StopReason::Timeout)
            }
        }
    }

    fn timeout(&self) -> Timeout {
        self.pool.deployed.config.timeout
    }

    fn now(&self) -> tasks::Time {
        self.inner.tasks.clock().now()
    }
}

/// What the log says of a failed init phase; nothing if the platform failed.
pub(crate) fn init_failure(error: &StartError) -> Option<(Duration, Status)> {
    let (took, status) = match error {
        StartError::InitFailed { took, .. } => (*took, Status::Error(Some("Runtime.Unknown"))),
        StartError::InitTimedOut { waited } => (*waited, Status::Timeout),
        StartError::InitExited { took, exit } => {
            (*took, Status::Error(Some(errors::exit_type(*exit))))
        }
        StartError::ExtensionNotLaunched { .. } => {
            (Duration::ZERO, Status::Error(Some("Extension.LaunchError")))
        }
        StartError::BadEntrypoint { .. } => (
            Duration::ZERO,
            Status::Error(Some("Runtime.InvalidEntrypoint")),
        ),
        StartError::NoCapacity(_) | StartError::Backend(_) => return None,
    };
    Some((took, named(status, error)))
}

/// A status with the type that the runtime reported for its failed init.
fn named(status: Status, error: &StartError) -> Status {
    match (status, error) {
        (Status::Error(_), StartError::InitFailed { error, .. }) => {
            Status::Error(Some(known_type(error.kind.as_deref())))
        }
        (status, _) => status,
    }
}

/// `Runtime.X` and `Function.X` of the spec's list stay, all else is `Runtime.Unknown`.  [spec 4.8]
fn known_type(kind: Option<&str>) -> &'static str {
    const KNOWN: &[&str] = &[
        "Runtime.ImportModuleError",
        "Runtime.HandlerNotFound",
        "Runtime.MalformedHandlerName",
        "Runtime.UserCodeSyntaxError",
        "Runtime.UnhandledPromiseRejection",
        "Runtime.MarshalError",
        "Runtime.UnmarshalError",
        "Runtime.NodejsExit",
        "Runtime.ExitError",
        "Function.Unknown",
    ];
    kind.and_then(|kind| KNOWN.iter().find(|known| **known == kind))
        .unwrap_or(&"Runtime.Unknown")
}

fn memory_used(error: &StartError, memory_mib: u32) -> u32 {
    match error {
        StartError::InitExited {
            exit: Exit::OutOfMemory,
            ..
        } => memory_mib,
        _ => 0,
    }
}

fn refused(failure: StartFailure) -> Refused {
    match failure {
        StartFailure::MissingRuntime(missing) => Refused::InvalidRuntime {
            message: missing.message,
        },
        StartFailure::Unusable(message) => Refused::InvalidRuntime { message },
        StartFailure::Sandbox(error) => Refused::Internal {
            detail: error.to_string(),
        },
    }
}

pub(crate) fn lines(deployed: &Deployed, function: &FunctionRef, purpose: Purpose) -> Lines {
    let logging = &deployed.config.logging;
    Lines {
        json: logging.format == LogFormat::Json,
        level: Level::of(logging.system_level),
        function_arn: function.to_string(),
        function_name: function.name.to_string(),
        version: deployed.version.to_string(),
        memory_mib: deployed.config.memory.mib(),
        initialization: purpose.as_str(),
    }
}

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0`: the caller's root is kept.
fn trace_header(given: Option<&str>, lineage: &Lineage, now: tasks::Time, ids: &Ids) -> String {
    let field = |name: &str| {
        given.and_then(|text| {
            text.split(';').find_map(|part| {
                let value = part.trim().strip_prefix(name)?.strip_prefix('=')?;
                let fits = value.len() <= 64
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
                fits.then(|| value.to_owned())
            })
        })
    };
    let root =
        field("Root").unwrap_or_else(|| format!("1-{:08x}-{}", now.unix_secs(), ids.hex(12)));
    let sampled = field("Sampled").unwrap_or_else(|| "0".to_owned());
    let parent = ids.hex(8);
    format!("Root={root};Parent={parent};Sampled={sampled};Lineage={lineage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_keeps_the_root_of_its_caller() {
        let ids = Ids::seeded(1);
        let chain = Lineage::default().and("arn");
        let now = tasks::Time::from_unix_secs(0x1234_5678);
        let fresh = trace_header(None, &chain, now, &ids);
        assert!(fresh.starts_with("Root=1-12345678-"), "{fresh}");
        assert!(fresh.contains(";Sampled=0;Lineage=1:"), "{fresh}");
        let kept = trace_header(Some("Root=1-aa-bb;Parent=cc;Sampled=1"), &chain, now, &ids);
        assert!(kept.starts_with("Root=1-aa-bb;Parent="), "{kept}");
        assert!(kept.contains(";Sampled=1;Lineage=1:"), "{kept}");
        let hostile = trace_header(Some("Root=1-a\r\nX: y;Sampled=1"), &chain, now, &ids);
        assert!(!hostile.contains('\r'), "{hostile}");
    }

    #[test]
    fn only_known_error_types_reach_the_log() {
        assert_eq!(
            known_type(Some("Runtime.ImportModuleError")),
            "Runtime.ImportModuleError"
        );
        assert_eq!(known_type(Some("Runtime.<script>")), "Runtime.Unknown");
        assert_eq!(known_type(None), "Runtime.Unknown");
    }
}
