//! All destinations are down, and come back: an endpoint that hangs up, and a function that has no room.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Scene;
use crate::client::Client;
use crate::torture::page::Finding;

/// Events of each of two functions: full, short.
const EVENTS: (u64, u64) = (1_000, 20);
/// How long the destinations are down after the last event: full, short.
const DOWN_SECS: (u64, u64) = (20, 1);
/// How much longer the function has no room: sending takes its time too.
const HELD_LONGER: Duration = Duration::from_secs(2);
/// Longest time without an arrival, and what is waited for deliveries that are too many.
const ARRIVAL_MAX: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(3);
const CLIENTS: u64 = 4;
/// Longest request of the endpoint.
const REQUEST_BYTES_MAX: usize = 1 << 20;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:down";
const SINK: &str = "arn:aws:lambda:us-east-1:000000000000:function:sink";

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sns:Publish","lambda:InvokeFunction"],"Resource":"*"}]}"#;

/// Delivers for some minutes, soon again.  [SNS guide: message delivery retries]
const PATIENCE: &str =
    r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":3,"numRetries":100}}"#;

pub(super) fn run(scene: &Scene<'_>) -> Result<Vec<Finding>> {
    let events = scene.torture.times(EVENTS.0, EVENTS.1);
    let down = Duration::from_secs(scene.torture.times(DOWN_SECS.0, DOWN_SECS.1));
    let endpoint = Endpoint::open()?;
    let arrived = prepare(scene, &endpoint)?;
    endpoint.is_up.store(false, Ordering::Relaxed);
    let early = thread::scope(|scope| -> Result<u64> {
        // The only call that it may run takes all that time.
        let holder = scope.spawn(|| hold(scene, down));
        wait_for(&arrived, "b\n")?;
        send(scene, events)?;
        thread::sleep(down);
        let early = ran(&arrived)?.len() + endpoint.count().len();
        let held = holder.join();
        held.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))?;
        Ok(early as u64)
    })?;
    endpoint.is_up.store(true, Ordering::Relaxed);
    let path = "/2017-10-31/functions/sink/concurrency";
    scene.rest("PUT", path, &json!({ "ReservedConcurrentExecutions": 8 }))?;
    let begun = Instant::now();
    let (mut last, mut changed) = (0, begun);
    let (web, function) = loop {
        let (web, function) = (endpoint.count(), ran(&arrived)?);
        let count = web.values().sum::<u64>() + function.values().sum::<u64>();
        if count != last {
            (last, changed) = (count, Instant::now());
        }
        let is_all = web.len().min(function.len()) as u64 >= events && changed.elapsed() > QUIET;
        if is_all || changed.elapsed() > ARRIVAL_MAX {
            break (web, function);
        }
        thread::sleep(Duration::from_millis(100));
    };
    let finding = |what| Finding::new("R9", what, events * 2);
    let mut lost = finding("delivery lost, all destinations down and up");
    let mut twice = finding("delivery that came twice, all destinations down and up");
    for (to, found) in [("endpoint", &web), ("function", &function)] {
        for number in 0..events {
            let times = found.get(&number).copied().unwrap_or(0);
            lost.tried((times == 0).then(|| format!("{number} to the {to}")));
            twice.tried((times > 1).then(|| format!("{number} to the {to}: {times} times")));
        }
    }
    let note = format!(
        "{early} arrived while they were down, the last {} s after; the endpoint hung up {} times",
        changed.duration_since(begun).as_secs(),
        endpoint.refused.load(Ordering::Relaxed)
    );
    Ok(vec![lost.noted(&note), twice])
}

/// A call of the function that has room for one.
fn hold(scene: &Scene<'_>, down: Duration) -> Result<()> {
    let ms = down.as_millis() + HELD_LONGER.as_millis();
    let event = format!("{{\"do\":\"nap\",\"ms\":\"{ms}\"}}");
    let request = scene.kiln.invocation("sink", event.as_bytes())?;
    scene.kiln.client()?.succeed(&request).map(drop)
}

fn wait_for(audit: &Path, line: &str) -> Result<()> {
    let begun = Instant::now();
    while !fs::read_to_string(audit)?.contains(line) {
        if begun.elapsed() > ARRIVAL_MAX {
            bail!("the function does not begin");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Every number to both functions.
fn send(scene: &Scene<'_>, events: u64) -> Result<()> {
    let next = &AtomicU64::new(0);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut client = scene.kiln.client()?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= events {
                            return Ok(());
                        }
                        let event = format!("{{\"do\":\"audit\",\"n\":\"{number}\"}}");
                        for name in ["to-endpoint", "to-function"] {
                            client.succeed(&scene.kiln.event(name, event.as_bytes())?)?;
                        }
                    }
                })
            })
            .collect();
        let ends = senders.into_iter().map(|sender| {
            let end = sender.join();
            end.unwrap_or_else(|_| Err(anyhow::anyhow!("a sender panicked")))
        });
        ends.collect()
    })
}

/// How often the function began with each number.
fn ran(audit: &Path) -> Result<BTreeMap<u64, u64>> {
    let mut times = BTreeMap::new();
    for line in fs::read_to_string(audit)?.lines() {
        let number = line.strip_prefix("b ").and_then(|n| n.parse().ok());
        if let Some(number) = number {
            *times.entry(number).or_default() += 1;
        }
    }
    Ok(times)
}

/// Two functions, one with an endpoint behind its topic, one with a function that has no room. Gives where
/// that one notes its runs.
fn prepare(scene: &Scene<'_>, endpoint: &Endpoint) -> Result<std::path::PathBuf> {
    let form = |service, form: String| -> Result<()> {
        let request = scene.kiln.form(service, &form)?;
        let answer = scene.kiln.client()?.succeed(&request);
        answer.with_context(|| form.clone()).map(drop)
    };
    // The role of all functions here may send to their destinations.
    let trust = escaped(TRUST);
    form(
        "iam",
        format!(
            "Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument={trust}"
        ),
    )?;
    let policy = escaped(POLICY);
    form(
        "iam",
        format!(
            "Action=PutRolePolicy&Version=2010-05-08&RoleName=bench&PolicyName=send&PolicyDocument={policy}"
        ),
    )?;
    form(
        "sns",
        "Action=CreateTopic&Version=2010-03-31&Name=down".to_owned(),
    )?;
    form(
        "sns",
        format!(
            "Action=Subscribe&Version=2010-03-31&TopicArn={}&Protocol=http&Endpoint={}&Attributes.entry.1.key=DeliveryPolicy\
         &Attributes.entry.1.value={}",
            escaped(TOPIC),
            escaped(&format!("http://{}/", endpoint.address)),
            escaped(PATIENCE)
        ),
    )?;
    endpoint.confirm()?;
    scene.deploy("to-endpoint", 8)?;
    scene.deploy("to-function", 8)?;
    // None of its calls finds room: as if its host were gone.
    let arrived = scene.deploy("sink", 1)?;
    for (from, to) in [("to-endpoint", TOPIC), ("to-function", SINK)] {
        let config = json!({ "DestinationConfig": { "OnSuccess": { "Destination": to } } });
        let path = format!("/2019-09-25/functions/{from}/event-invoke-config");
        scene.rest("PUT", &path, &config)?;
    }
    Ok(arrived)
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// An HTTP server on this machine, up or down.
struct Endpoint {
    address: SocketAddr,
    is_up: Arc<AtomicBool>,
    /// What it answered with success.
    bodies: Arc<Mutex<Vec<Value>>>,
    /// Connections that it hung up.
    refused: Arc<AtomicU64>,
}

impl Endpoint {
    /// Its threads end with the process.
    fn open() -> Result<Endpoint> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let endpoint = Endpoint {
            address: listener.local_addr()?,
            is_up: Arc::new(AtomicBool::new(true)),
            bodies: Arc::default(),
            refused: Arc::default(),
        };
        let (is_up, bodies) = (endpoint.is_up.clone(), endpoint.bodies.clone());
        let refused = endpoint.refused.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (is_up, bodies) = (is_up.clone(), bodies.clone());
                let refused = refused.clone();
                thread::spawn(move || {
                    // An error is a client that went away.
                    let _ = serve(stream, &is_up, &bodies, &refused);
                });
            }
        });
        Ok(endpoint)
    }

    fn bodies(&self) -> Vec<Value> {
        let bodies = self.bodies.lock();
        bodies.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the handshake of the topic.
    fn confirm(&self) -> Result<()> {
        let begun = Instant::now();
        let url = loop {
            let bodies = self.bodies();
            let found = bodies
                .iter()
                .find_map(|body| body.get("SubscribeURL")?.as_str());
            match found {
                Some(url) => break url.to_owned(),
                None if begun.elapsed() > ARRIVAL_MAX => bail!("the topic does not say hello"),
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let rest = url.strip_prefix("http://").context("no plain address")?;
        let (host, path) = rest.split_once('/').context("no path")?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Client::connect(host.parse()?)?
            .succeed(request.as_bytes())
            .map(drop)
    }

    /// How often each number arrived: in the event that the record of the destination repeats.
    fn count(&self) -> BTreeMap<u64, u64> {
        let mut times = BTreeMap::new();
        for body in self.bodies() {
            let record = body.get("Message").and_then(Value::as_str);
            let record: Value = serde_json::from_str(record.unwrap_or("")).unwrap_or_default();
            let number = record.pointer("/requestPayload/n").and_then(Value::as_str);
            if let Some(number) = number.and_then(|n| n.parse().ok()) {
                *times.entry(number).or_default() += 1;
            }
        }
        times
    }
}

fn serve(
    mut stream: TcpStream,
    is_up: &AtomicBool,
    bodies: &Mutex<Vec<Value>>,
    refused: &AtomicU64,
) -> Result<()> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        while let Some((body, end)) = whole(&bytes) {
            if !is_up.load(Ordering::Relaxed) {
                refused.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            let body = serde_json::from_slice(body)?;
            bytes.drain(..end);
            let mut all = bodies.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(body);
            drop(all);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            _ if bytes.len() > REQUEST_BYTES_MAX => bail!("too long"),
            n => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
}

/// The body of the first request, if it is whole, and where the request ends.
fn whole(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(bytes.get(..head)?).ok()?;
    let length: usize = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    })?;
    let end = head + length;
    Some((bytes.get(head..end)?, end))
}
