//! The first call of a published version that is restored from a snapshot, against the same function's full
//! init.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cold::Colds;
use super::{Bench, Language};
use crate::client::Client;
use crate::kiln::{Function, Kiln};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Init of somewhat more than a second of work, as a framework's would be.
const HANDLER: &[u8] = b"import time\n\
    until = time.thread_time() + 1.0\n\
    table = {}\n\
    while time.thread_time() < until:\n    \
        table[len(table) % 10_000] = str(len(table))\n\
    def handler(event, context):\n    \
        return len(table)\n";

/// Longest wait for a version to be published.
const PUBLISH_MAX: Duration = Duration::from_secs(20);

const WHAT: &str = "first call of a restored version";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    // AWS offers it for newer versions of Python than a machine may have: that is no fault.
    let Some(runtime) = Language::restorable(&bench.binary)? else {
        return Ok(vec![Row::empty("P8", WHAT, "no Python here that has it")]);
    };
    let kiln = bench.kiln()?;
    let function = Function::new(&runtime, "main.handler", &[("main.py", HANDLER)])?;
    kiln.deploy("full", &function)?;
    let asked = json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } });
    let mut client = kiln.client()?;
    let answer = client.send(&kiln.creation_with("restored", &function, &asked)?)?;
    if !(200..300).contains(&answer.status) {
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        return Ok(vec![Row::empty("P8", WHAT, &format!("not built: {said}"))]);
    }
    kiln.settle(&mut client, "restored")?;
    let mut restored = Restored {
        kiln: &kiln,
        client,
        round: 0,
    };
    if !restored.publish()?.1 {
        return Ok(vec![Row::empty("P8", WHAT, "not built")]);
    }
    let mut full = Colds::of(&kiln, "full")?;
    let plan = Plan {
        rounds: bench.some(4),
        block: 1,
    };
    let pairs = paired::durations(plan, || restored.once(), || full.once())?;
    Ok(vec![
        Row::new("P8", WHAT, "its full init", &pairs)
            .millis(&pairs)
            .goal(Goal::AtMost(0.10))
            .stretch(Goal::AtMost(0.05))
            .note(runtime),
    ])
}

/// A function of which a new version is published for each call.
struct Restored<'a> {
    kiln: &'a Kiln,
    client: Client,
    round: u64,
}

impl Restored<'_> {
    /// The number of a fresh version, and whether a snapshot of it was made.
    fn publish(&mut self) -> Result<(String, bool)> {
        self.round += 1;
        self.kiln
            .make_cold(&mut self.client, "restored", self.round)?;
        let path = "/2015-03-31/functions/restored/versions";
        let answer = self
            .client
            .succeed(&self.kiln.request("POST", path, b"{}")?)?;
        let made: Value = serde_json::from_slice(&answer.body)?;
        let version = made.get("Version").and_then(Value::as_str);
        let version = version.context("a version has a number")?.to_owned();
        let path = format!("/2015-03-31/functions/restored/configuration?Qualifier={version}");
        let until = Instant::now() + PUBLISH_MAX;
        loop {
            let answer = self
                .client
                .succeed(&self.kiln.request("GET", &path, b"")?)?;
            let seen: Value = serde_json::from_slice(&answer.body)?;
            if seen.get("State").is_some_and(|state| state == "Active") {
                let status = seen.pointer("/SnapStart/OptimizationStatus");
                return Ok((version, status.is_some_and(|status| status == "On")));
            }
            if Instant::now() > until {
                bail!("version {version} does not become active: {seen}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The wait for the first call of a fresh version less that for the second.
    fn once(&mut self) -> Result<Duration> {
        let (version, _) = self.publish()?;
        let path = format!("/2015-03-31/functions/restored/invocations?Qualifier={version}");
        let request = self.kiln.request("POST", &path, b"{}")?;
        let mut timed = || -> Result<Duration> {
            let started = Instant::now();
            self.client.succeed(&request)?;
            Ok(started.elapsed())
        };
        let cold = timed()?;
        let warm = timed()?.min(timed()?);
        Ok(cold.saturating_sub(warm))
    }
}
