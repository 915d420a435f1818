//! What the operator may ask of the server itself, outside of every path that AWS uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use functions::Functions;
use http::Method;
use invoke::{NotAccepted, Request, Tree};
use model::FunctionRef;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasks::{ClockMover, Progress, Tasks, WorkError, Worker};
use wire::{Context, Fault, Service};

/// The signing name of these operations; no service of AWS has it.
pub(crate) const NAME: &str = "kiln";
pub(crate) const CLOCK: &str = "/_kiln/clock";
pub(crate) const COUNTERS: &str = "/_kiln/counters";
pub(crate) const TRACE: &str = "/_kiln/trace";

/// What the operations need.
pub(crate) struct Admin {
    /// Who may ask, where signatures are checked.
    pub(crate) operator: Option<String>,
    pub(crate) clock: Option<ClockMover>,
    pub(crate) functions: Functions,
    pub(crate) events: invoke::EventQueue,
    pub(crate) outbox: targets::DurableOutbox,
    pub(crate) deliveries: targets::Counters,
}

impl Admin {
    pub(crate) fn service(self) -> Service {
        Service::new(NAME, Arc::new(self))
            .rest("GetClock", Method::GET, CLOCK, 200, get_clock)
            .rest("MoveClock", Method::PUT, CLOCK, 200, move_clock)
            .rest("TraceEvent", Method::GET, "/_kiln/trace/{id}", 200, trace)
            .rest(
                "ReplayEvent",
                Method::POST,
                "/_kiln/trace/{id}/replay",
                202,
                replay,
            )
            .rest("GetCounters", Method::GET, COUNTERS, 200, counters)
            .build()
    }

    /// Functions have keys too, and are no operators.
    fn admit(&self, cx: &Context) -> Result<(), Fault> {
        let is_operator = self.operator.as_deref() == cx.access_key();
        match cx.is_verified() && !is_operator {
            true => Err(Fault::client(
                "AccessDeniedException",
                403,
                "Only the operator's key may do this.",
            )),
            false => Ok(()),
        }
    }

    fn clock(&self) -> Result<&ClockMover, Fault> {
        let why = "The clock of this server cannot be moved: start it with movable_clock = true.";
        self.clock
            .as_ref()
            .ok_or_else(|| Fault::client("InvalidRequestException", 400, why))
    }
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClockAnswer {
    now: String,
    /// Seconds that pass in one of the machine's.
    speed: u32,
    ahead_seconds: f64,
}

fn shown(clock: &ClockMover) -> ClockAnswer {
    let pace = clock.pace();
    ClockAnswer {
        now: pace.now.iso_millis(),
        speed: pace.speed,
        ahead_seconds: pace.ahead.as_secs_f64(),
    }
}

async fn get_clock(admin: Arc<Admin>, cx: Context, _: Nothing) -> Result<ClockAnswer, Fault> {
    admin.admit(&cx)?;
    Ok(shown(admin.clock()?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MoveClock {
    speed: Option<u32>,
    step_seconds: Option<f64>,
}

async fn move_clock(
    admin: Arc<Admin>,
    cx: Context,
    input: MoveClock,
) -> Result<ClockAnswer, Fault> {
    admin.admit(&cx)?;
    let clock = admin.clock()?;
    let refused = |why: String| Fault::client("ValidationException", 400, why);
    if let Some(speed) = input.speed {
        clock.set_speed(speed).map_err(|e| refused(e.to_string()))?;
    }
    if let Some(seconds) = input.step_seconds {
        let step = Duration::try_from_secs_f64(seconds);
        let step = step.map_err(|_| refused("a step goes forward".to_owned()))?;
        clock.step(step).map_err(|e| refused(e.to_string()))?;
    }
    Ok(shown(clock))
}

async fn counters(admin: Arc<Admin>, cx: Context, _: Nothing) -> Result<Value, Fault> {
    admin.admit(&cx)?;
    let functions = admin.events.counters().all().into_iter().map(|(arn, c)| {
        let counts = json!({
            "AsyncEventsReceived": c.received,
            "AsyncEventsDropped": c.dropped,
            "AsyncEventAgeMilliseconds": c.age.as_millis() as u64,
            "AsyncEventAgeMaxMilliseconds": c.age_max.as_millis() as u64,
            "DeadLetterErrors": c.dead_letter_errors,
            "DestinationDeliveryFailures": c.destination_failures,
            "RecursiveInvocationsDropped": c.recursive_dropped,
        });
        (arn, counts)
    });
    let deliveries = admin.deliveries.all().into_iter().map(|(arn, c)| {
        let counts = json!({
            "Delivered": c.delivered,
            "Retried": c.retried,
            "DeadLettered": c.dead_lettered,
            "Lost": c.lost,
        });
        (arn, counts)
    });
    let functions: serde_json::Map<String, Value> = functions.collect();
    let deliveries: serde_json::Map<String, Value> = deliveries.collect();
    let unreadable = [admin.events.unreadable(), admin.outbox.unreadable()];
    let unreadable = unreadable
        .into_iter()
        .flatten()
        .map(|aside| json!({ "Lane": aside.lane, "Message": aside.message, "Why": aside.why }));
    let unreadable: Vec<Value> = unreadable.collect();
    Ok(json!({
        "Functions": functions,
        "Deliveries": deliveries,
        "EventsWaiting": admin.events.tally().waiting,
        "Unreadable": unreadable,
        "PackagesUnpacked": admin.functions.packages_unpacked(),
    }))
}

#[derive(Deserialize)]
struct TraceEvent {
    id: String,
}

async fn trace(admin: Arc<Admin>, cx: Context, input: TraceEvent) -> Result<Tree, Fault> {
    admin.admit(&cx)?;
    let tree = admin.events.journal().trace(&input.id);
    tree.ok_or_else(|| unknown(&input.id))
}

fn unknown(id: &str) -> Fault {
    let text = format!("Nothing is known of {id}: it is no asynchronous event, or too long ago.");
    Fault::client("ResourceNotFoundException", 404, text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplayEvent {
    id: String,
    /// A version or an alias; without one, what the event was for.
    qualifier: Option<String>,
    /// Whether it is the same event once more, as a queue that delivers at least once may give it.
    is_duplicate: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replayed {
    request_id: String,
}

async fn replay(admin: Arc<Admin>, cx: Context, input: ReplayEvent) -> Result<Replayed, Fault> {
    admin.admit(&cx)?;
    let past = admin.events.journal().past(&input.id);
    let past = past.ok_or_else(|| unknown(&input.id))?;
    let bad = |what: &str| Fault::client("ValidationException", 400, what.to_owned());
    let (account, region) = (cx.account().parse(), cx.region().parse());
    let (Ok(account), Ok(region)) = (account, region) else {
        return Err(Fault::internal("the caller has no account"));
    };
    let function = FunctionRef::parse(&past.function, None, &account, &region);
    let function = function.map_err(|_| Fault::internal("the journal names no function"))?;
    let function = match &input.qualifier {
        Some(text) => {
            let qualifier = text.parse().map_err(|_| bad("that is no qualifier"))?;
            function.with_qualifier(Some(qualifier))
        }
        None => function,
    };
    if admin.functions.resolve(&function).is_err() {
        return Err(bad("that version or alias does not exist"));
    }
    let is_duplicate = input.is_duplicate.unwrap_or_default();
    let (request_id, trace) = match is_duplicate {
        true => (input.id.clone(), past.trace),
        false => (cx.request_id().to_owned(), None),
    };
    let request = Request {
        function,
        payload: past.payload,
        request_id: request_id
            .parse()
            .map_err(|_| bad("the request has no id"))?,
        client_context: None,
        cognito_identity: None,
        trace,
        want_log: false,
        tenant: None,
    };
    let accepted = match is_duplicate {
        true => admin.events.accept(&request).await,
        false => admin.events.accept_from(&request, &input.id).await,
    };
    accepted.map_err(|e| match e {
        NotAccepted::Throttled { reason } => {
            Fault::client("TooManyRequestsException", 429, "Rate Exceeded.")
                .with_member("Reason", reason)
        }
        NotAccepted::Store(error) => Fault::internal(format!("event: {error}")),
    })?;
    Ok(Replayed { request_id })
}

/// How often is noted how far the clock was moved; after a crash it is so much behind at most.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Keeps in a file how far the clock is ahead, so that a restart goes on there.
pub(crate) struct ClockNote {
    clock: ClockMover,
    machine: tasks::Clock,
    file: PathBuf,
    noted: Duration,
}

/// How far an earlier process had moved the clock.
pub(crate) fn ahead(data: &Path) -> Duration {
    let text = std::fs::read_to_string(data.join("clock")).unwrap_or_default();
    text.trim()
        .parse()
        .map_or(Duration::ZERO, Duration::from_micros)
}

impl ClockNote {
    pub(crate) fn new(clock: &ClockMover, machine: &Tasks, data: &Path) -> ClockNote {
        ClockNote {
            clock: clock.clone(),
            machine: machine.clock().clone(),
            file: data.join("clock"),
            noted: ahead(data),
        }
    }
}

#[async_trait]
impl Worker for ClockNote {
    fn name(&self) -> String {
        "clock".to_owned()
    }

    async fn wait(&mut self) {
        self.machine.sleep(NOTE_EVERY).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let ahead = self.clock.pace().ahead;
        // Both clocks are read one after the other.
        if ahead.abs_diff(self.noted) > Duration::from_millis(100) {
            let fresh = self.file.with_extension("new");
            std::fs::write(&fresh, format!("{}\n", ahead.as_micros()))?;
            std::fs::rename(&fresh, &self.file)?;
            self.noted = ahead;
        }
        Ok(Progress::More)
    }
}

/// Keeps in a file by how much the wall clock was set, so that a restart counts what waits and lives as before.
pub(crate) struct SetNote {
    clock: tasks::Clock,
    file: PathBuf,
    noted_us: i64,
}

/// By how much the wall clock was set while earlier processes ran.
pub(crate) fn set_us(data: &Path) -> i64 {
    let text = std::fs::read_to_string(data.join("clock-set")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

impl SetNote {
    pub(crate) fn new(clock: &tasks::Clock, data: &Path) -> SetNote {
        SetNote {
            clock: clock.clone(),
            file: data.join("clock-set"),
            noted_us: set_us(data),
        }
    }
}

#[async_trait]
impl Worker for SetNote {
    fn name(&self) -> String {
        "clock set".to_owned()
    }

    async fn wait(&mut self) {
        self.clock.sleep(NOTE_EVERY).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let set_us = self.clock.set_us();
        if set_us != self.noted_us {
            let fresh = self.file.with_extension("new");
            std::fs::write(&fresh, format!("{set_us}\n"))?;
            std::fs::rename(&fresh, &self.file)?;
            tracing::warn!(set_us, "the wall clock was set");
            self.noted_us = set_us;
        }
        Ok(Progress::More)
    }
}
