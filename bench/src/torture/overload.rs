//! R9: more calls than a function may run, a crowd in front of a cold one, and destinations that are all down.

mod down;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::page::Finding;
use super::{Torture, inside};
use crate::client::Client;
use crate::kiln::{Function, Kiln};

/// Calls at once of a function that has no environment: full, short.
const HERD: (u64, u64) = (1_000, 60);
/// What it may run at once.
const HERD_RESERVED: usize = 20;
/// Functions that are created at once from the package of the herd.
const HERD_FUNCTIONS: usize = 8;

/// Seconds of ten times too many calls: full, short.
const STORM_SECS: (u64, u64) = (600, 2);
/// Seconds of clients that call again as soon as they were refused: full, short.
const RETRIES_SECS: (u64, u64) = (30, 1);
/// Seconds that the capacity is measured, with so many clients for each call that may run: the best counts.
const CALM_SECS: (u64, u64) = (3, 1);
const CALM_CLIENTS: [usize; 3] = [1, 2, 3];
/// What the function may run at once, and how long a call takes.
const RESERVED: usize = 4;
const NAP_MS: u64 = 40;
/// Calls for each that the function can do. A client that waits for an answer sends none: some more.
const TIMES_TOO_MANY: f64 = 10.0;
const CLIENTS: usize = 48;
const MARGIN: f64 = 1.3;
/// Wait of a client of the retry storm.
const AGAIN: Duration = Duration::from_millis(5);

/// What of its capacity the function must still do.
const GOODPUT_MIN: f64 = 0.9;
/// How much slower the median may be afterwards, and when at the latest.
const AFTER_MAX: f64 = 1.1;
const BACK_MAX: Duration = Duration::from_secs(30);

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let kiln = torture
        .bench
        .setup()
        .with("KILN_SANDBOX", "process")
        .with("KILN_EGRESS_ALLOW", "127.0.0.0/8")
        .start()?;
    let scene = Scene {
        kiln: &kiln,
        folder: torture.bench.folder.path().to_path_buf(),
        torture,
    };
    let mut findings = scene.herd()?;
    findings.extend(scene.storm()?);
    findings.extend(down::run(&scene)?);
    if torture.is_full {
        let admissions = inside::admissions(torture);
        // What was found in minutes is not lost with it.
        findings.extend(admissions.unwrap_or_else(|error| {
            vec![Finding::broken("R9", "admissions", &format!("{error:#}"))]
        }));
    }
    Ok(findings)
}

struct Scene<'a> {
    kiln: &'a Kiln,
    folder: PathBuf,
    torture: &'a Torture,
}

/// What a caller got.
enum Got {
    Answer,
    /// A refusal as AWS words it.
    Throttle,
    Other(String),
}

impl Scene<'_> {
    /// Deploys a function that notes its runs; gives where.
    fn deploy(&self, name: &str, reserved: usize) -> Result<PathBuf> {
        self.deploy_from(&self.torture.victim()?, name, reserved)
    }

    fn deploy_from(&self, package: &Function, name: &str, reserved: usize) -> Result<PathBuf> {
        let audit = self.folder.join(name);
        File::create(&audit)?;
        let variables = json!({ "Variables": { "AUDIT": audit } });
        let more = json!({ "Environment": variables });
        self.kiln.deploy_with(name, package, &more)?;
        let body = json!({ "ReservedConcurrentExecutions": reserved });
        let path = format!("/2017-10-31/functions/{name}/concurrency");
        self.rest("PUT", &path, &body)?;
        Ok(audit)
    }

    fn rest(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        let body = body.to_string();
        let request = self.kiln.request(method, path, body.as_bytes())?;
        let answer = self.kiln.client()?.succeed(&request);
        answer.with_context(|| path.to_owned()).map(drop)
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let request = self.kiln.admin("/_kiln/counters")?;
        let answer = self.kiln.client()?.succeed(&request)?;
        let counters: Value = serde_json::from_slice(&answer.body)?;
        let found = counters.get(name).and_then(Value::as_u64);
        found.with_context(|| format!("no counter {name}"))
    }

    fn call(&self, client: &mut Client, name: &str) -> Result<Got> {
        let event = format!("{{\"do\":\"nap\",\"ms\":\"{NAP_MS}\"}}");
        let answer = client.send(&self.kiln.invocation(name, event.as_bytes())?)?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = body.get("Reason").and_then(Value::as_str);
        Ok(match answer.status {
            200 if !answer.has_function_error => Got::Answer,
            429 if reason == Some("ReservedFunctionConcurrentInvocationLimitExceeded") => {
                Got::Throttle
            }
            status => Got::Other(format!("{status} {body}")),
        })
    }

    /// A package that the server has never seen: some functions are made of it at once, then a crowd calls.
    fn herd(&self) -> Result<Vec<Finding>> {
        let callers = self.torture.times(HERD.0, HERD.1);
        let program = self.torture.victim_program()?;
        let files = [("bootstrap", &*program), ("herd.txt", b"of the herd")];
        let package = &Function::new("provided.al2023", "bootstrap", &files)?;
        let before = self.counter("PackagesUnpacked")?;
        let audits: Vec<PathBuf> = thread::scope(|scope| {
            let made: Vec<_> = (0..HERD_FUNCTIONS)
                .map(|n| {
                    let name = format!("cold-{n}");
                    scope.spawn(move || self.deploy_from(package, &name, HERD_RESERVED))
                })
                .collect();
            let made = made.into_iter();
            made.map(|made| {
                made.join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))
            })
            .collect::<Result<_>>()
        })?;
        let gate = &Barrier::new(usize::try_from(callers)?);
        let all: Vec<Result<Got>> = thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|_| {
                    scope.spawn(|| {
                        let client = self.kiln.client();
                        gate.wait();
                        self.call(&mut client?, "cold-0")
                    })
                })
                .collect();
            let callers = callers.into_iter();
            callers
                .map(|c| {
                    c.join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))
                })
                .collect()
        });
        let what = "call of a herd neither answered nor throttled";
        let mut typed = Finding::new("R9", what, callers);
        let mut answered = 0;
        for got in all {
            typed.tried(match got {
                Ok(Got::Answer) => {
                    answered += 1;
                    None
                }
                Ok(Got::Throttle) => None,
                Ok(Got::Other(other)) => Some(other),
                Err(error) => Some(error.to_string()),
            });
        }
        let mut client = self.kiln.client()?;
        for n in 1..HERD_FUNCTIONS {
            self.call(&mut client, &format!("cold-{n}"))?;
        }
        let unpacked = self.counter("PackagesUnpacked")? - before;
        let once = Finding::new("R9", "package unpacked not once, herd", 1);
        let note = format!("{HERD_FUNCTIONS} functions made at once and called: {unpacked} time");
        let audit = audits.first().context("no function")?;
        Ok(vec![
            typed.noted(&format!(
                "{answered} answered, at most {HERD_RESERVED} at once"
            )),
            limit_of(audit, HERD_RESERVED, "herd")?,
            once.counted(1, unpacked.abs_diff(1)).noted(&note),
        ])
    }

    fn calm(&self) -> Duration {
        Duration::from_secs(self.torture.times(CALM_SECS.0, CALM_SECS.1))
    }

    /// The most that the function does for any number of patient clients, with its load.
    fn capacity(&self, name: &str) -> Result<(f64, Load)> {
        let mut best: f64 = 0.0;
        let mut first = None;
        for times in CALM_CLIENTS {
            let load = self.load(name, RESERVED * times, self.calm(), AGAIN)?;
            best = best.max(load.rate);
            first = first.or(Some(load));
        }
        Ok((best, first.context("nothing was measured")?))
    }

    fn storm(&self) -> Result<Vec<Finding>> {
        let name = "stormed";
        let audit = self.deploy(name, RESERVED)?;
        self.load(name, RESERVED, self.calm(), AGAIN)?;
        let (capacity, calm) = self.capacity(name)?;
        let secs = self.torture.times(STORM_SECS.0, STORM_SECS.1);
        let bar = self.torture.progress("R9 overload", 0);
        bar.enable_steady_tick(Duration::from_secs(1));
        let offered = capacity * TIMES_TOO_MANY * MARGIN;
        let each = Duration::from_secs_f64(CLIENTS as f64 / offered);
        let storm = self.load(name, CLIENTS, Duration::from_secs(secs), each)?;
        let (slower, back) = self.back(name, &calm)?;
        let secs_of_retries = self.torture.times(RETRIES_SECS.0, RETRIES_SECS.1);
        let retries = self.load(name, CLIENTS, Duration::from_secs(secs_of_retries), AGAIN)?;
        let (capacity_after, _) = self.capacity(name)?;
        bar.finish_and_clear();
        // What the machine can do may change over the minutes: neither before nor after is the truth alone.
        let capacity = capacity.max(capacity_after);
        let (goodput, times) = (storm.rate / capacity, storm.offered / capacity);
        let strict = self.torture.is_full;
        let finding = |what: &str, wrong: bool, note: String| {
            let wrong = u64::from(wrong && strict);
            Finding::new("R9", what, 1).counted(1, wrong).noted(&note)
        };
        let typed = |when: &str, load: &Load| {
            let what = format!("call of a {when} neither answered nor throttled");
            let typed = Finding::new("R9", &what, 1);
            let note = match load.others {
                0 => format!("{:.0} calls each second", load.offered),
                _ => load.first.clone(),
            };
            typed.counted(load.calls, load.others).noted(&note)
        };
        Ok(vec![
            typed("storm", &storm),
            typed("retry storm", &retries),
            limit_of(&audit, RESERVED, "storms")?,
            finding(
                "storm of less than 10 times the capacity",
                times < TIMES_TOO_MANY,
                format!("{times:.1} times over {secs} s"),
            ),
            finding(
                "goodput below 0.9 of the capacity",
                goodput < GOODPUT_MIN,
                format!(
                    "{goodput:.2} over {secs} s; {:.0} calls each second of {capacity:.0}, the best of before and \
                     after; {:.2} in a retry storm",
                    storm.rate,
                    retries.rate / capacity
                ),
            ),
            finding(
                "median above 1.1 of before, 30 s after the storm",
                slower > AFTER_MAX,
                format!("{slower:.2} after {} s", back.as_secs()),
            ),
        ])
    }

    /// How much slower the median is than before, and when it was back.
    fn back(&self, name: &str, before: &Load) -> Result<(f64, Duration)> {
        let begun = Instant::now();
        loop {
            let after = self.load(name, RESERVED, self.calm(), AGAIN)?;
            let slower = after.median.as_secs_f64() / before.median.as_secs_f64();
            if slower <= AFTER_MAX
                || begun.elapsed() + self.calm() > BACK_MAX
                || !self.torture.is_full
            {
                return Ok((slower, begun.elapsed()));
            }
        }
    }

    /// So many clients. One that was refused sends its next call when `each` has passed since that one.
    fn load(&self, name: &str, clients: usize, length: Duration, each: Duration) -> Result<Load> {
        let is_over = &AtomicBool::new(false);
        let (calls, others) = (&AtomicU64::new(0), &AtomicU64::new(0));
        let begun = Instant::now();
        let (mut took, first) = thread::scope(|scope| -> Result<_> {
            let clients: Vec<_> = (0..clients)
                .map(|_| {
                    scope.spawn(|| -> Result<_> {
                        let mut client = self.kiln.client()?;
                        let mut took = Vec::new();
                        let mut first = String::new();
                        while !is_over.load(Ordering::Relaxed) {
                            let begun = Instant::now();
                            calls.fetch_add(1, Ordering::Relaxed);
                            match self.call(&mut client, name)? {
                                Got::Answer => took.push(begun.elapsed()),
                                Got::Throttle => {
                                    thread::sleep(each.saturating_sub(begun.elapsed()));
                                }
                                Got::Other(other) => {
                                    others.fetch_add(1, Ordering::Relaxed);
                                    first = other;
                                }
                            }
                        }
                        Ok((took, first))
                    })
                })
                .collect();
            self.wait(length);
            is_over.store(true, Ordering::Relaxed);
            let mut took = Vec::new();
            let mut first = String::new();
            for client in clients {
                let end = client.join();
                let end = end.unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))?;
                took.extend(end.0);
                first = if first.is_empty() { end.1 } else { first };
            }
            Ok((took, first))
        })?;
        took.sort_unstable();
        let passed = begun.elapsed().as_secs_f64();
        let calls = calls.load(Ordering::Relaxed);
        Ok(Load {
            calls,
            others: others.load(Ordering::Relaxed),
            offered: calls as f64 / passed,
            rate: took.len() as f64 / passed,
            median: took.get(took.len() / 2).copied().unwrap_or_default(),
            first,
        })
    }

    /// Sleeps, and tells each minute how far it is.
    fn wait(&self, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            let left = length.saturating_sub(begun.elapsed());
            thread::sleep(left.min(Duration::from_secs(60)));
            if length > self.calm() {
                let passed = begun.elapsed().as_secs();
                self.torture
                    .say(&format!("R9: {passed} of {} s", length.as_secs()));
            }
        }
    }
}

struct Load {
    calls: u64,
    others: u64,
    /// Sent, and answered, each second.
    offered: f64,
    rate: f64,
    median: Duration,
    /// An answer that should not have been.
    first: String,
}

/// Runs that began while as many ran as may.
fn limit_of(audit: &std::path::Path, max: usize, when: &str) -> Result<Finding> {
    let what = format!("call beyond the reserved concurrency, {when}");
    let mut finding = Finding::new("R9", &what, 1);
    let (mut running, mut most) = (0_usize, 0);
    for line in fs::read_to_string(audit)?.lines() {
        if line == "e" {
            running = running.saturating_sub(1);
            continue;
        }
        running += 1;
        most = most.max(running);
        finding.tried((running > max).then(|| format!("{running} at once")));
    }
    Ok(finding.noted(&format!("at most {most} of {max} at once")))
}
