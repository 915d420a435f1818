//! S10: environments that may come from one template must not share what has to be unique.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Torture;
use super::page::Finding;
use crate::client::Client;
use crate::kiln::{Function, Kiln};
use crate::measures::Language;

/// Environments: full, short.
const TIMES: (u64, u64) = (10_000, 100);

/// Functions that take turns, so that each call finds no environment.
const FUNCTIONS: usize = 24;

const CALLERS: usize = 3;

/// How far an environment's time may be from the caller's, in seconds.
const OFF_MAX: f64 = 1.0;

/// What each environment says once. Some of it was made while the module was loaded.
const HANDLER: &[u8] = br#"
import os, random, secrets, ssl, tempfile, time, uuid
loaded = {
    "random at import": random.getrandbits(64),
    "urandom at import": os.urandom(8).hex(),
    "uuid4 at import": str(uuid.uuid4()),
}
calls = 0
def handler(event, context):
    global calls
    calls += 1
    return {
        "calls": calls,
        "time": time.time(),
        "unique": {
            **loaded,
            "random": random.getrandbits(64),
            "fresh Random": random.Random().getrandbits(64),
            "urandom": os.urandom(8).hex(),
            "secrets": secrets.token_hex(8),
            "OpenSSL": ssl.RAND_bytes(8).hex(),
            "uuid1": str(uuid.uuid1()),
            "uuid4": str(uuid.uuid4()),
            "temporary name": next(tempfile._get_candidate_names()) + next(tempfile._get_candidate_names()),
            "access key": os.environ["AWS_ACCESS_KEY_ID"],
            "secret key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "session token": os.environ["AWS_SESSION_TOKEN"],
            "log stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        },
    }
"#;

/// The same for environments that are forks of an initialised runtime: what they draw after that, and the
/// keys that they ask for.
const RESTORED: &[u8] = br#"
import json, os, random, secrets, ssl, tempfile, time, urllib.request, uuid
random.getrandbits(64), os.urandom(8), uuid.uuid1(), uuid.uuid4(), ssl.RAND_bytes(8), tempfile.gettempdir()
next(tempfile._get_candidate_names())
calls = 0
def handler(event, context):
    global calls
    calls += 1
    url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    token = {"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    keys = json.load(urllib.request.urlopen(urllib.request.Request(url, headers=token)))
    return {
        "calls": calls,
        "time": time.time(),
        "unique": {
            "random": random.getrandbits(64),
            "fresh Random": random.Random().getrandbits(64),
            "urandom": os.urandom(8).hex(),
            "secrets": secrets.token_hex(8),
            "OpenSSL": ssl.RAND_bytes(8).hex(),
            "uuid1": str(uuid.uuid1()),
            "uuid4": str(uuid.uuid4()),
            "temporary name": next(tempfile._get_candidate_names()) + next(tempfile._get_candidate_names()),
            "access key": keys["AccessKeyId"],
            "secret key": keys["SecretAccessKey"],
            "session token": keys["Token"],
        },
    }
"#;

/// Longest wait for a version to be published.
const PUBLISH_MAX: Duration = Duration::from_secs(30);

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let mut languages = Language::all(&torture.bench.binary)?.into_iter();
    let python = languages.find(|language| language.name == "Python");
    let python = python.context("no Python here")?;
    let mut found = hunt(torture, &python.runtime, HANDLER, false)?;
    if let Some(runtime) = Language::restorable(&torture.bench.binary)? {
        found.extend(hunt(torture, &runtime, RESTORED, true)?);
    }
    Ok(found)
}

/// Makes environments one after the other and looks at what each says.
fn hunt(
    torture: &Torture,
    runtime: &str,
    handler: &[u8],
    is_restored: bool,
) -> Result<Vec<Finding>> {
    let until = torture.until();
    let times = torture.times(TIMES.0, TIMES.1);
    let kiln = &torture
        .bench
        .setup()
        .with("KILN_ENVIRONMENTS_MAX", CALLERS)
        .start()?;
    let function = Function::new(runtime, "main.handler", &[("main.py", handler)])?;
    for at in 0..FUNCTIONS {
        let name = format!("clone-{at}");
        if is_restored {
            publish(kiln, &name, &function)?;
        } else {
            kiln.deploy(&name, &function)?;
        }
    }
    let what = if is_restored {
        "S10 restored"
    } else {
        "S10 clones"
    };
    let bar = &torture.progress(what, times);
    let seen = &Mutex::new(Seen::new(times));
    let (turn, made) = (&AtomicUsize::new(0), &AtomicU64::new(0));
    thread::scope(|scope| -> Result<()> {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    let mut client = kiln.client()?;
                    while Instant::now() < until && made.load(Ordering::Relaxed) < times {
                        let at = turn.fetch_add(1, Ordering::Relaxed) % FUNCTIONS;
                        let name = format!("clone-{at}");
                        let (said, off) = ask(kiln, &mut client, &name, is_restored)?;
                        // One that was asked before says nothing new.
                        if said.get("calls").and_then(Value::as_u64) == Some(1) {
                            made.fetch_add(1, Ordering::Relaxed);
                            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                            seen.look(&said, off);
                            bar.inc(1);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for caller in callers {
            caller
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))?;
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let origin = if is_restored {
        ", restored from snapshots"
    } else {
        ""
    };
    let note = format!("{runtime}{origin}, {} kinds of values", seen.kinds());
    let unique = seen.unique.clone().noted(&note);
    let time = std::mem::replace(&mut seen.time, Finding::new("S10", "", 0)).noted(&note);
    Ok(vec![unique, time])
}

/// Deploys a function with SnapStart and waits until its first version has a snapshot.
fn publish(kiln: &Kiln, name: &str, function: &Function) -> Result<()> {
    let more = json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } });
    kiln.deploy_with(name, function, &more)?;
    let mut client = kiln.client()?;
    let path = format!("/2015-03-31/functions/{name}/versions");
    client.succeed(&kiln.request("POST", &path, b"{}")?)?;
    let path = format!("/2015-03-31/functions/{name}/configuration?Qualifier=1");
    let until = Instant::now() + PUBLISH_MAX;
    loop {
        let answer = client.succeed(&kiln.request("GET", &path, b"")?)?;
        let seen: Value = serde_json::from_slice(&answer.body)?;
        let status = seen.pointer("/SnapStart/OptimizationStatus");
        if status.is_some_and(|status| status == "On") {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("{name} has no snapshot: {seen}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the environment says, and how far its time is from ours.
fn ask(kiln: &Kiln, client: &mut Client, name: &str, is_restored: bool) -> Result<(Value, f64)> {
    let now = || -> Result<f64> { Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64()) };
    let version = if is_restored { "?Qualifier=1" } else { "" };
    let path = format!("/2015-03-31/functions/{name}/invocations{version}");
    let request = kiln.request("POST", &path, b"{}")?;
    let before = now()?;
    let answer = client.succeed(&request)?;
    let after = now()?;
    let said: Value = serde_json::from_slice(&answer.body)?;
    let time = said.get("time").and_then(Value::as_f64);
    let time = time.context("an environment tells its time")?;
    Ok((said, (before - time).max(time - after).max(0.0)))
}

/// All that was said so far.
struct Seen {
    values: BTreeMap<String, HashMap<String, u64>>,
    count: u64,
    unique: Finding,
    time: Finding,
}

impl Seen {
    fn new(times: u64) -> Seen {
        Seen {
            values: BTreeMap::new(),
            count: 0,
            unique: Finding::new("S10", "value shared by two environments", times),
            time: Finding::new("S10", "time that is not now", times),
        }
    }

    fn kinds(&self) -> usize {
        self.values.len()
    }

    fn look(&mut self, said: &Value, off: f64) {
        self.count += 1;
        let mut wrong = None;
        let values = said.get("unique").and_then(Value::as_object);
        for (kind, value) in values.into_iter().flatten() {
            let known = self.values.entry(kind.clone()).or_default();
            if let Some(other) = known.insert(value.to_string(), self.count) {
                wrong = Some(format!("{kind} of environments {other} and {}", self.count));
            }
        }
        if values.is_none_or(serde_json::Map::is_empty) {
            wrong = Some("says nothing".to_owned());
        }
        self.unique.tried(wrong);
        self.time
            .tried((off > OFF_MAX).then(|| format!("{off:.1} s away")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_comes_twice_is_found() {
        let mut seen = Seen::new(3);
        let said = |n: u32| serde_json::json!({ "unique": { "random": n } });
        for n in [1, 2, 1] {
            seen.look(&said(n), 0.0);
        }
        assert_eq!(serde_json::to_value(&seen.unique).unwrap()["failed"], 1);
        seen.look(&said(3), 2.0);
        assert_eq!(serde_json::to_value(&seen.time).unwrap()["failed"], 1);
    }
}
