//! The control plane with a hundred thousand functions of five versions each, against a server that has a
//! hundred of them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Bench;
use crate::client::Client;
use crate::kiln::{Function, Kiln, resident, tree};
use crate::paired::{self, Pairs, Plan};
use crate::report::{Goal, Row};

/// Functions of the large server and of the small one.
const MANY: usize = 100_000;
const FEW: usize = 100;

/// Versions of each function.
const VERSIONS: usize = 5;

/// Clients that fill a server.
const CLIENTS: usize = 32;

/// How long the large server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Longest wait for a change, and how often it is asked for.
const SETTLE_MAX: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// What each operation may cost more with many functions.
const GOAL: Goal = Goal::AtMost(1.5);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (many, few) = (bench.kiln()?, bench.kiln()?);
    let empty = resident(&tree(many.pid())?);
    fill(&few, FEW)?;
    let functions = bench.some(MANY);
    fill(&many, functions)?;
    thread::sleep(IDLE);
    let bytes = resident(&tree(many.pid())?).saturating_sub(empty);
    // Measured in the middle of what there is.
    let (mut large, mut small) = (Side::new(&many, functions / 2)?, Side::new(&few, FEW / 2)?);
    let reads = Plan {
        rounds: bench.some(12),
        block: 50,
    };
    let writes = Plan {
        rounds: bench.some(12),
        block: 10,
    };
    let list = paired::durations(reads, || large.list(), || small.list())?;
    let versions = paired::durations(reads, || large.versions(), || small.versions())?;
    let get = paired::durations(reads, || large.get(), || small.get())?;
    let update = paired::durations(writes, || large.update(), || small.update())?;
    let switch = paired::durations(writes, || large.switch(), || small.switch())?;
    let row = |what: &str, pairs: &Pairs| {
        let what = format!("{what}, {functions} functions");
        Row::new("C1", &what, "100 functions", pairs)
            .micros(pairs)
            .goal(GOAL)
    };
    let each = bytes as f64 / functions as f64 / 1024.0;
    Ok(vec![
        row("ListFunctions, a page of 50", &list),
        row("ListVersionsByFunction", &versions),
        row("GetFunctionConfiguration", &get),
        row("UpdateFunctionConfiguration", &update),
        row("UpdateAlias", &switch),
        Row::absolute(
            "C1",
            "resident memory, a function with 5 versions and an alias",
            each,
            "KiB",
        ),
    ])
}

fn name(number: usize) -> String {
    format!("registered-{number}")
}

/// Makes functions with versions and an alias. Each pass goes through all functions, so that the update before
/// has settled when the next one comes.
fn fill(kiln: &Kiln, functions: usize) -> Result<()> {
    let codes: Vec<Function> = (0..VERSIONS)
        .map(|version| {
            let script = format!("#!/bin/sh\n# {version}\n");
            Function::new(
                "provided.al2023",
                "bootstrap",
                &[("bootstrap", script.as_bytes())],
            )
        })
        .collect::<Result<_>>()?;
    for (version, code) in codes.iter().enumerate() {
        let zip = STANDARD.encode(&code.zip);
        everywhere(kiln, functions, |number| {
            let name = name(number);
            if version == 0 {
                return kiln.creation_with(&name, code, &json!({"Publish": true}));
            }
            let path = format!("/2015-03-31/functions/{name}/code");
            let body = json!({"ZipFile": zip, "Publish": true});
            kiln.request("PUT", &path, body.to_string().as_bytes())
        })?;
    }
    everywhere(kiln, functions, |number| {
        let path = format!("/2015-03-31/functions/{}/aliases", name(number));
        kiln.request(
            "POST",
            &path,
            br#"{"Name": "live", "FunctionVersion": "1"}"#,
        )
    })
}

/// Sends one request for each function, from many clients at once; again while the function is being changed.
fn everywhere(
    kiln: &Kiln,
    functions: usize,
    request: impl Fn(usize) -> Result<Vec<u8>> + Sync,
) -> Result<()> {
    let request = &request;
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|from| {
                scope.spawn(move || -> Result<()> {
                    let mut client = kiln.client()?;
                    for number in (from..functions).step_by(CLIENTS) {
                        settled(&mut client, &request(number)?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for client in clients {
            client
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))?;
        }
        Ok(())
    })
}

/// Sends a request, again while the function is still being changed by the one before.
fn settled(client: &mut Client, request: &[u8]) -> Result<()> {
    let until = Instant::now() + SETTLE_MAX;
    loop {
        let answer = client.send(request)?;
        match answer.status {
            200..300 => return Ok(()),
            409 if Instant::now() < until => thread::sleep(PAUSE),
            status => bail!("status {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}

/// One server, and the function that is asked about.
struct Side<'a> {
    kiln: &'a Kiln,
    client: Client,
    name: String,
    list: Vec<u8>,
    versions: Vec<u8>,
    get: Vec<u8>,
    writes: usize,
}

impl Side<'_> {
    fn new(kiln: &Kiln, number: usize) -> Result<Side<'_>> {
        let name = name(number);
        let path = format!("/2015-03-31/functions/{name}");
        Ok(Side {
            kiln,
            client: kiln.client()?,
            list: kiln.request("GET", "/2015-03-31/functions?MaxItems=50", b"")?,
            versions: kiln.request("GET", &format!("{path}/versions"), b"")?,
            get: kiln.request("GET", &format!("{path}/configuration"), b"")?,
            name,
            writes: 0,
        })
    }

    fn list(&mut self) -> Result<Duration> {
        timed(&mut self.client, &self.list)
    }

    fn versions(&mut self) -> Result<Duration> {
        timed(&mut self.client, &self.versions)
    }

    fn get(&mut self) -> Result<Duration> {
        timed(&mut self.client, &self.get)
    }

    /// Another description: a durable write.
    fn update(&mut self) -> Result<Duration> {
        self.writes += 1;
        let path = format!("/2015-03-31/functions/{}/configuration", self.name);
        let body = json!({"Description": self.writes.to_string()}).to_string();
        let request = self.kiln.request("PUT", &path, body.as_bytes())?;
        let took = timed(&mut self.client, &request)?;
        // Another update is refused while this one is being put in place.
        self.kiln.settle(&mut self.client, &self.name)?;
        Ok(took)
    }

    /// The alias moves on by one version.
    fn switch(&mut self) -> Result<Duration> {
        self.writes += 1;
        let path = format!("/2015-03-31/functions/{}/aliases/live", self.name);
        let version = self.writes % VERSIONS + 1;
        let body = json!({"FunctionVersion": version.to_string()}).to_string();
        let request = self.kiln.request("PUT", &path, body.as_bytes())?;
        timed(&mut self.client, &request)
    }
}

fn timed(client: &mut Client, request: &[u8]) -> Result<Duration> {
    let started = Instant::now();
    client.succeed(request)?;
    Ok(started.elapsed())
}
