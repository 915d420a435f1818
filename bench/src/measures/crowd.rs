//! A warm call and the control plane with two thousand live environments and a hundred thousand functions,
//! against a server that has one of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::registered::{MANY, register};
use super::{Bench, Language, payload};
use crate::client::Client;
use crate::kiln::{Kiln, tree};
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Live environments, Python's included.
const ENVIRONMENTS: usize = 2_000;

/// Of them, those that run Python.
const PYTHON: usize = 10;

/// Callers that fill the host.
const CALLERS: usize = 4;

/// Calls before anything is measured.
const WARM_UP: usize = 200;

/// The function that is measured, on both sides.
const NAME: &str = "measured";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let many = bench
        .setup()
        .with("KILN_ENVIRONMENTS_MAX", 2 * ENVIRONMENTS)
        .start()?;
    let environments = if bench.is_quick() {
        ENVIRONMENTS / 20
    } else {
        ENVIRONMENTS
    };
    fill(bench, &many, environments)?;
    register(&many, environments..bench.some(MANY))?;
    // Each live environment is at least one process.
    let live = tree(many.pid())?.len();
    if live < environments {
        bail!("{live} processes cannot be {environments} environments");
    }
    let one = bench.kiln()?;
    let (mut crowded, mut alone) = (Side::new(bench, &many)?, Side::new(bench, &one)?);
    let plan = Plan {
        rounds: bench.some(20),
        block: 100,
    };
    let warm = paired::durations(plan, || crowded.invoke(), || alone.invoke())?;
    let read = paired::durations(plan, || crowded.read(), || alone.read())?;
    let plan = Plan {
        rounds: bench.some(12),
        block: 20,
    };
    let write = paired::durations(plan, || crowded.write(), || alone.write())?;
    let row = |what: &str, pairs| Row::new("P18", what, "one environment, one function", pairs);
    let note = format!("{environments} environments");
    Ok(vec![
        row("warm call in a crowd", &warm)
            .micros(&warm)
            .goal(Goal::AtMost(1.3))
            .stretch(Goal::AtMost(1.1))
            .note(note),
        row("GetFunctionConfiguration in a crowd", &read)
            .micros(&read)
            .goal(Goal::AtMost(1.5)),
        row("UpdateFunctionConfiguration in a crowd", &write)
            .micros(&write)
            .goal(Goal::AtMost(1.5)),
    ])
}

/// Functions of their own, each with one environment.
fn fill(bench: &Bench, kiln: &Kiln, environments: usize) -> Result<()> {
    let native = &bench.native()?;
    let python = Language::named("Python", bench)?
        .map(|language| language.function())
        .transpose()?;
    let python = python.as_ref();
    let next = &AtomicUsize::new(0);
    thread::scope(|scope| -> Result<()> {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    let mut client = kiln.client()?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= environments {
                            return Ok(());
                        }
                        let function = python.filter(|_| number < PYTHON).unwrap_or(native);
                        let name = format!("live-{number}");
                        kiln.deploy(&name, function)?;
                        client.succeed(&kiln.invocation(&name, &payload())?)?;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))?;
        }
        Ok(())
    })
}

struct Side<'a> {
    kiln: &'a Kiln,
    client: Client,
    invoke: Vec<u8>,
    read: Vec<u8>,
    writes: usize,
}

impl Side<'_> {
    fn new<'a>(bench: &Bench, kiln: &'a Kiln) -> Result<Side<'a>> {
        kiln.deploy(NAME, &bench.native()?)?;
        let path = format!("/2015-03-31/functions/{NAME}/configuration");
        let mut side = Side {
            kiln,
            client: kiln.client()?,
            invoke: kiln.invocation(NAME, &payload())?,
            read: kiln.request("GET", &path, b"")?,
            writes: 0,
        };
        for _ in 0..WARM_UP {
            side.invoke()?;
        }
        Ok(side)
    }

    fn invoke(&mut self) -> Result<Duration> {
        timed(&mut self.client, &self.invoke)
    }

    fn read(&mut self) -> Result<Duration> {
        timed(&mut self.client, &self.read)
    }

    /// Another description: a durable write.
    fn write(&mut self) -> Result<Duration> {
        self.writes += 1;
        let path = format!("/2015-03-31/functions/{NAME}/configuration");
        let body = format!("{{\"Description\": \"{}\"}}", self.writes);
        let request = self.kiln.request("PUT", &path, body.as_bytes())?;
        let took = timed(&mut self.client, &request)?;
        // Another update is refused while this one is being put in place.
        self.kiln.settle(&mut self.client, NAME)?;
        Ok(took)
    }
}

fn timed(client: &mut Client, request: &[u8]) -> Result<Duration> {
    let started = Instant::now();
    client.succeed(request)?;
    Ok(started.elapsed())
}
