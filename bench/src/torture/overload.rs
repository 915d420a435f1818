//! R9: more calls than a function may run, and a crowd in front of a cold one.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::page::Finding;
use super::{Torture, inside};
use crate::client::Client;
use crate::kiln::Kiln;

/// Calls at once of a function that has no environment: full, short.
const HERD: (u64, u64) = (1_000, 60);
/// What it may run at once.
const HERD_RESERVED: usize = 20;

/// Seconds of ten times too many calls: full, short.
const STORM_SECS: (u64, u64) = (120, 3);
/// Seconds of the measure before and after.
const CALM: Duration = Duration::from_secs(3);
/// What the function may run at once, and how long a call takes.
const RESERVED: usize = 4;
const NAP_MS: u64 = 40;
/// Clients beside each other for each call that may run.
const TIMES_TOO_MANY: usize = 10;
/// Wait of a client that was refused: a storm, but no busy loop.
const AGAIN: Duration = Duration::from_millis(5);

/// What of its capacity the function must still do.
const GOODPUT_MIN: f64 = 0.9;
/// How much slower the median may be afterwards.
const AFTER_MAX: f64 = 1.1;

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let kiln = torture
        .bench
        .setup()
        .with("KILN_SANDBOX", "process")
        .start()?;
    let scene = Scene {
        kiln: &kiln,
        folder: torture.bench.folder.path().to_path_buf(),
        torture,
    };
    let mut findings = scene.herd()?;
    findings.extend(scene.storm()?);
    if torture.is_full {
        findings.extend(inside::admissions(torture)?);
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
        let audit = self.folder.join(name);
        File::create(&audit)?;
        let variables = json!({ "Variables": { "AUDIT": audit } });
        let more = json!({ "Environment": variables });
        self.kiln
            .deploy_with(name, &self.torture.victim()?, &more)?;
        let path = format!("/2017-10-31/functions/{name}/concurrency");
        let body = json!({ "ReservedConcurrentExecutions": reserved }).to_string();
        let request = self.kiln.request("PUT", &path, body.as_bytes())?;
        self.kiln.client()?.succeed(&request)?;
        Ok(audit)
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

    fn herd(&self) -> Result<Vec<Finding>> {
        let callers = self.torture.times(HERD.0, HERD.1);
        let audit = self.deploy("cold", HERD_RESERVED)?;
        let gate = &Barrier::new(usize::try_from(callers)?);
        let all: Vec<Result<Got>> = thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|_| {
                    scope.spawn(|| {
                        let client = self.kiln.client();
                        gate.wait();
                        self.call(&mut client?, "cold")
                    })
                })
                .collect();
            callers
                .into_iter()
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
        let note = format!("{answered} answered, at most {HERD_RESERVED} at once");
        let limit = limit_of(&audit, HERD_RESERVED, "herd")?;
        Ok(vec![typed.noted(&note), limit])
    }

    fn storm(&self) -> Result<Vec<Finding>> {
        let name = "stormed";
        let audit = self.deploy(name, RESERVED)?;
        self.load(name, RESERVED, CALM)?;
        let calm = self.load(name, RESERVED, CALM)?;
        let secs = self.torture.times(STORM_SECS.0, STORM_SECS.1);
        let length = Duration::from_secs(secs);
        let bar = self.torture.progress("R9 overload", 0);
        bar.enable_steady_tick(Duration::from_secs(1));
        let storm = self.load(name, RESERVED * TIMES_TOO_MANY, length)?;
        let after = self.load(name, RESERVED, CALM)?;
        bar.finish_and_clear();
        let goodput = storm.rate / calm.rate;
        let slower = after.median.as_secs_f64() / calm.median.as_secs_f64();
        let strict = self.torture.is_full;
        let finding = |what: &str, wrong: bool, note: String| {
            let wrong = u64::from(wrong && strict);
            Finding::new("R9", what, 1).counted(1, wrong).noted(&note)
        };
        let mut typed = Finding::new("R9", "call of a storm neither answered nor throttled", 1);
        typed = typed.counted(storm.calls, storm.others);
        Ok(vec![
            typed.noted(&storm.first),
            limit_of(&audit, RESERVED, "storm")?,
            finding(
                "goodput below 0.9 of the capacity",
                goodput < GOODPUT_MIN,
                format!(
                    "{goodput:.2} over {secs} s; {:.0} calls each second, {:.0} without the storm",
                    storm.rate, calm.rate
                ),
            ),
            finding(
                "median above 1.1 of before, after the storm",
                slower > AFTER_MAX,
                format!("{slower:.2}"),
            ),
        ])
    }

    /// So many clients, each calling again at once.
    fn load(&self, name: &str, clients: usize, length: Duration) -> Result<Load> {
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
                                Got::Throttle => thread::sleep(AGAIN),
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
            thread::sleep(length);
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
        Ok(Load {
            calls: calls.load(Ordering::Relaxed),
            others: others.load(Ordering::Relaxed),
            rate: took.len() as f64 / begun.elapsed().as_secs_f64(),
            median: took.get(took.len() / 2).copied().unwrap_or_default(),
            first,
        })
    }
}

struct Load {
    calls: u64,
    others: u64,
    /// Answered each second.
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
