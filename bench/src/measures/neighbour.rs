//! A light function beside one that keeps every core busy, against the same beside programs outside that
//! do so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, payload};
use crate::client::Client;
use crate::controls::process::compile;
use crate::kiln::{Function, Kiln};
use crate::paired::{self, percentile};
use crate::report::{Goal, Row};

/// How long latencies are collected for one block.
const BLOCK: Duration = Duration::from_secs(3);

/// Between two calls of the light function.
const PAUSE: Duration = Duration::from_micros(500);

/// Time for the busy ones to be busy.
const HEAD_START: Duration = Duration::from_millis(300);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kiln = bench.kiln()?;
    kiln.deploy("light", &bench.native()?)?;
    let spinner = bench.folder.path().join("spinner");
    compile(&bench.root.join("bench/functions/spinner.rs"), &spinner)?;
    let program = std::fs::read(&spinner)?;
    let busy = Function::new("provided.al2023", "bootstrap", &[("bootstrap", &program)])?;
    kiln.deploy("busy", &busy)?;
    let mut light = Light::new(&kiln)?;
    light.p99(BLOCK / 4)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pairs = paired::blocks(
        bench.some(5),
        || beside_function(&kiln, cores),
        || beside_programs(&kiln, &spinner, cores),
    )?;
    Ok(vec![
        Row::new(
            "P19",
            "p99 beside a busy function",
            "p99 beside busy programs outside",
            &pairs,
        )
        .millis(&pairs)
        .goal(Goal::AtMost(1.5))
        .stretch(Goal::AtMost(1.2)),
    ])
}

/// As many calls of the busy function as there are cores, and the light one meanwhile.
fn beside_function(kiln: &Kiln, cores: usize) -> Result<f64> {
    let length = (HEAD_START + BLOCK + HEAD_START).as_millis();
    let request = &kiln.invocation("busy", format!("{{\"spin\":{length}}}").as_bytes())?;
    thread::scope(|scope| {
        let callers: Vec<_> = (0..cores)
            .map(|_| scope.spawn(move || kiln.client()?.succeed(request).map(drop)))
            .collect();
        thread::sleep(HEAD_START);
        let p99 = Light::new(kiln)?.p99(BLOCK);
        for caller in callers {
            caller
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))?;
        }
        p99
    })
}

fn beside_programs(kiln: &Kiln, spinner: &Path, cores: usize) -> Result<f64> {
    let busy: Vec<Outside> = (0..cores)
        .map(|_| Outside::start(spinner))
        .collect::<Result<_>>()?;
    thread::sleep(HEAD_START);
    let p99 = Light::new(kiln)?.p99(BLOCK);
    drop(busy);
    p99
}

struct Light {
    client: Client,
    request: Vec<u8>,
}

impl Light {
    fn new(kiln: &Kiln) -> Result<Light> {
        Ok(Light {
            client: kiln.client()?,
            request: kiln.invocation("light", &payload())?,
        })
    }

    fn p99(&mut self, length: Duration) -> Result<f64> {
        let until = Instant::now() + length;
        let mut waits = Vec::new();
        while Instant::now() < until {
            let started = Instant::now();
            self.client.succeed(&self.request)?;
            waits.push(started.elapsed().as_secs_f64());
            thread::sleep(PAUSE);
        }
        Ok(percentile(&waits, 0.99))
    }
}

/// The same program, as a plain process.
struct Outside(Child);

impl Outside {
    fn start(program: &Path) -> Result<Outside> {
        let child = Command::new(program)
            .arg("forever")
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Outside(child))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It is ours; a failure here means that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
