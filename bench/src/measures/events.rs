//! Asynchronous calls: from sending until the handler starts, against a warm call and a lone sync; and events
//! run each second from a backlog, against calls that wait for their answer.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Bench;
use crate::client::Client;
use crate::controls::process::compile;
use crate::controls::sync::Appender;
use crate::kiln::{Function, Kiln};
use crate::paired::{self, percentile};
use crate::report::{Goal, Row};

/// Events of a block, one after the other on an idle system.
const EACH: usize = 20;

/// Between two of them, on both sides.
const PAUSE: Duration = Duration::from_millis(4);

/// Callers at once, and environments that the function may have.
const CALLERS: usize = 8;

/// Events of a backlog, and calls of its control.
const BACKLOG: usize = 8_000;

/// How long all environments are held while the first backlog is sent; later ones, so many times as long as the
/// sending before took.
const FIRST_HOLD: Duration = Duration::from_secs(3);
const HOLD_FACTOR: u32 = 2;
const HOLD_MAX: Duration = Duration::from_secs(12);

/// Calls before anything is measured.
const WARM_UP: usize = 200;

/// Longest wait for events to be run.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long each environment holds the question for its starts, so that every other gets one too.
const HOLD_MS: u64 = 40;

/// From sending until the handler starts.
pub(crate) fn start(bench: &Bench) -> Result<Vec<Row>> {
    let (kiln, function) = (bench.kiln()?, starter(bench)?);
    let mut lone = Lone::new(&kiln, &function)?;
    let mut appender = Appender::new(kiln.folder())?;
    let mut caller = kiln.client()?;
    let start = paired::blocks(
        bench.some(12),
        || lone.block(),
        || warm_and_sync(&mut caller, &lone_call(&kiln)?, &mut appender),
    )?;
    let what = "asynchronous call until its handler starts";
    Ok(vec![
        Row::new("P15", what, "a warm call and a lone fdatasync", &start)
            .micros(&start)
            .goal(Goal::AtMost(2.0))
            .stretch(Goal::AtMost(1.3)),
    ])
}

/// Events run each second.
pub(crate) fn drain(bench: &Bench) -> Result<Vec<Row>> {
    let (kiln, function) = (bench.kiln()?, starter(bench)?);
    let crowd = Crowd::new(&kiln, &function, bench.some(BACKLOG))?;
    let drained = paired::blocks(bench.some(4), || crowd.drained(), || crowd.called())?;
    let what = "events run from a backlog";
    Ok(vec![
        Row::new("P15", what, "calls that wait for their answer", &drained)
            .rates(&drained)
            .goal(Goal::AtLeast(0.8)),
    ])
}

fn starter(bench: &Bench) -> Result<Function> {
    let program = bench.folder.path().join("starter");
    compile(&bench.root.join("bench/functions/starter.rs"), &program)?;
    let files: [(&str, &[u8]); 1] = [("bootstrap", &std::fs::read(&program)?)];
    Function::new("provided.al2023", "bootstrap", &files)
}

/// The function that runs one event at a time.
const LONE: &str = "lone";

/// The one with a backlog.
const CROWD: &str = "crowd";

fn lone_call(kiln: &Kiln) -> Result<Vec<u8>> {
    kiln.invocation(LONE, b"{}")
}

struct Lone<'a> {
    kiln: &'a Kiln,
    client: Client,
    report: Vec<u8>,
    sent: u64,
}

impl Lone<'_> {
    fn new<'a>(kiln: &'a Kiln, function: &Function) -> Result<Lone<'a>> {
        kiln.deploy(LONE, function)?;
        let mut client = kiln.client()?;
        let call = lone_call(kiln)?;
        for _ in 0..WARM_UP {
            client.succeed(&call)?;
        }
        Ok(Lone {
            kiln,
            client,
            report: kiln.invocation(LONE, b"{\"report\":true}")?,
            sent: 0,
        })
    }

    /// Median seconds from sending to the handler's start.
    fn block(&mut self) -> Result<f64> {
        let first = self.sent;
        let mut sent_at = Vec::with_capacity(EACH);
        for _ in 0..EACH {
            let event = format!("{{\"n\":{}}}", self.sent);
            let request = self.kiln.event(LONE, event.as_bytes())?;
            self.sent += 1;
            sent_at.push(now_nanos()?);
            self.client.succeed(&request)?;
            thread::sleep(PAUSE);
        }
        let mut waits = Vec::with_capacity(EACH);
        let until = Instant::now() + WAIT_MAX;
        // Half of them is enough: on a busy machine a second environment may have run some.
        while waits.len() * 2 < EACH {
            if Instant::now() > until {
                bail!("{} of {EACH} events were seen", waits.len());
            }
            thread::sleep(PAUSE);
            let answer = self.client.succeed(&self.report)?;
            for (number, nanos) in starts(&answer.body)? {
                let at = number
                    .checked_sub(first)
                    .and_then(|at| usize::try_from(at).ok());
                if let Some(sent) = at.and_then(|at| sent_at.get(at)) {
                    waits.push(nanos.saturating_sub(*sent) as f64 / 1e9);
                }
            }
        }
        Ok(percentile(&waits, 0.5))
    }
}

/// Median seconds of a warm call and a lone append.
fn warm_and_sync(client: &mut Client, call: &[u8], appender: &mut Appender) -> Result<f64> {
    let mut waits = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let started = Instant::now();
        client.succeed(call)?;
        let warm = started.elapsed();
        waits.push((warm + appender.append()?).as_secs_f64());
        thread::sleep(PAUSE);
    }
    Ok(percentile(&waits, 0.5))
}

struct Crowd<'a> {
    kiln: &'a Kiln,
    events: usize,
    sent: AtomicU64,
    hold: Mutex<Duration>,
}

impl Crowd<'_> {
    fn new<'a>(kiln: &'a Kiln, function: &Function, events: usize) -> Result<Crowd<'a>> {
        kiln.deploy(CROWD, function)?;
        let path = format!("/2017-10-31/functions/{CROWD}/concurrency");
        let body = json!({ "ReservedConcurrentExecutions": CALLERS }).to_string();
        let mut client = kiln.client()?;
        client.succeed(&kiln.request("PUT", &path, body.as_bytes())?)?;
        let crowd = Crowd {
            kiln,
            events,
            sent: AtomicU64::new(0),
            hold: Mutex::new(FIRST_HOLD),
        };
        crowd.report()?;
        Ok(crowd)
    }

    /// Events run each second once all were sent: what sends takes time of the same cores. So all environments
    /// are held until then; events that begin before the last was accepted do not count.
    fn drained(&self) -> Result<f64> {
        let next = self.sent.fetch_add(self.events as u64, Ordering::Relaxed);
        let all = next..next + self.events as u64;
        let hold = *self.hold();
        let event = format!("{{\"report\":true,\"hold\":{}}}", hold.as_millis());
        let held = self.kiln.event(CROWD, event.as_bytes())?;
        let mut client = self.kiln.client()?;
        let begun = Instant::now();
        for _ in 0..CALLERS {
            client.succeed(&held)?;
        }
        let event = |number: u64| {
            self.kiln
                .event(CROWD, format!("{{\"n\":{number}}}").as_bytes())
        };
        self.drive(all, &event)?;
        let sent = now_nanos()?;
        *self.hold() = (begun.elapsed() * HOLD_FACTOR).min(HOLD_MAX);
        // Asking takes a turn of the function: not before most are done.
        thread::sleep(hold.saturating_sub(begun.elapsed()) + Duration::from_secs(1));
        let until = Instant::now() + WAIT_MAX;
        let mut seen = Vec::with_capacity(self.events);
        while seen.len() < self.events {
            if Instant::now() > until {
                bail!("{} of {} events were seen", seen.len(), self.events);
            }
            seen.extend(self.report()?.into_iter().map(|(_, nanos)| nanos));
        }
        let behind: Vec<u64> = seen.into_iter().filter(|at| *at > sent).collect();
        let (first, last) = (behind.iter().min(), behind.iter().max());
        let (first, last) = first.zip(last).context("no backlog was left")?;
        if behind.len() * 2 < self.events {
            bail!("{} of {} events were left", behind.len(), self.events);
        }
        Ok(behind.len() as f64 / ((last - first) as f64 / 1e9))
    }

    fn hold(&self) -> MutexGuard<'_, Duration> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls answered each second.
    fn called(&self) -> Result<f64> {
        let call = self.kiln.invocation(CROWD, b"{}")?;
        let started = Instant::now();
        self.drive(0..self.events as u64, &|_| Ok(call.clone()))?;
        Ok(self.events as f64 / started.elapsed().as_secs_f64())
    }

    /// Sends one request for each number from all callers. They are signed beforehand.
    fn drive(&self, numbers: Range<u64>, request: &dyn Fn(u64) -> Result<Vec<u8>>) -> Result<()> {
        let mut work: Vec<Vec<Vec<u8>>> = vec![Vec::new(); CALLERS];
        for (number, place) in numbers.zip((0..CALLERS).cycle()) {
            if let Some(requests) = work.get_mut(place) {
                requests.push(request(number)?);
            }
        }
        each(work, |requests| {
            let mut client = self.kiln.client()?;
            requests
                .iter()
                .try_for_each(|r| client.succeed(r).map(drop))
        })?;
        Ok(())
    }

    /// The starts of all environments since the last report.
    fn report(&self) -> Result<Vec<(u64, u64)>> {
        let event = format!("{{\"report\":true,\"hold\":{HOLD_MS}}}");
        let request = self.kiln.invocation(CROWD, event.as_bytes())?;
        let answers = each(vec![request; CALLERS], |request| {
            let answer = self.kiln.client()?.send(&request)?;
            // While events still run there may be no turn left for the question.
            match answer.status {
                200 => starts(&answer.body),
                429 => Ok(Vec::new()),
                status => bail!("status {status}"),
            }
        })?;
        Ok(answers.into_iter().flatten().collect())
    }
}

/// Does all of it at once.
fn each<W: Send, T: Send>(work: Vec<W>, act: impl Fn(W) -> Result<T> + Sync) -> Result<Vec<T>> {
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .map(|w| scope.spawn(move || act(w)))
            .collect();
        let join = |t: thread::ScopedJoinHandle<'_, Result<T>>| {
            t.join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))
        };
        threads.into_iter().map(join).collect()
    })
}

/// `[[number, nanoseconds], …]`
fn starts(report: &[u8]) -> Result<Vec<(u64, u64)>> {
    serde_json::from_slice(report).context("a report of starts")
}

/// By the clock that functions read too.
fn now_nanos() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos())?)
}
