//! R8: functions that cause themselves, by five ways, a thousand chains at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Torture;
use super::page::Finding;
use crate::client::Client;
use crate::kiln::Kiln;

/// Chains of each way: full, short.
const TIMES: (u64, u64) = (200, 2);

/// Runs of one function in one chain.  [Lambda guide: recursive loop detection]
const RUNS_MAX: u64 = 16;

/// Functions of the ring.
const RING: u64 = 5;

/// Runs that a chain must have passed where loops are allowed.
const ALLOWED_RUNS: u64 = 40;
const ALLOWED_CHAINS: u64 = 2;

/// Environments of each function.
const RESERVED: u64 = 3;

/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long nothing more must happen at the end.
const QUIET: Duration = Duration::from_secs(2);

const CALLERS: usize = 8;
const BYSTANDER_CALLS_MIN: usize = 100;
/// How much slower its median may be beside the loops.
const BYSTANDER_MAX: f64 = 1.2;
const DEAD: &str = "looped";
const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

/// How a function causes itself.
const WAYS: [(&str, u64); 5] = [
    ("self", 1),
    ("topic", 1),
    ("bus", 1),
    ("destination", 2),
    ("ring", RING),
];

struct Scene<'a> {
    kiln: &'a Kiln,
    client: Client,
    audit: PathBuf,
    chains: u64,
}

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let chains = torture.times(TIMES.0, TIMES.1);
    let kiln = torture
        .bench
        .setup()
        .with("KILN_SANDBOX", "process")
        // Functions call without any signature.
        .with("KILN_AUTH", "parse")
        .start()?;
    let audit = torture.bench.folder.path().join("loops");
    File::create(&audit)?;
    let mut scene = Scene {
        client: kiln.client()?,
        kiln: &kiln,
        audit,
        chains,
    };
    scene.prepare(torture)?;
    let idle = scene.bystander(&AtomicBool::new(true))?;
    let bar = torture.progress("R8 loops", scene.runs_expected());
    let is_over = &AtomicBool::new(false);
    let busy = thread::scope(|scope| -> Result<Duration> {
        let beside = scope.spawn(|| scene.bystander(is_over));
        let driven = scene.begin().and_then(|()| scene.settle(&bar, is_over));
        is_over.store(true, Ordering::Relaxed);
        driven?;
        beside
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the bystander panicked")))
    })?;
    let mut findings = scene.judge()?;
    findings.push(scene.allowed(torture)?);
    bar.finish_and_clear();
    findings.push(beside_the_loops(torture, idle, busy));
    Ok(findings)
}

/// How much slower the loops make the calls of another function. With few loops it says nothing.
fn beside_the_loops(torture: &Torture, idle: Duration, busy: Duration) -> Finding {
    let times = busy.as_secs_f64() / idle.as_secs_f64();
    let what = format!("bystander's median above {BYSTANDER_MAX} of alone");
    let is_slow = times > BYSTANDER_MAX && torture.is_full;
    let note = format!(
        "{times:.2}: {:.2} ms alone, {:.2} ms beside the loops",
        idle.as_secs_f64() * 1e3,
        busy.as_secs_f64() * 1e3
    );
    let finding = Finding::new("R8", &what, 1);
    finding.counted(1, u64::from(is_slow)).noted(&note)
}

fn lambda_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

impl Scene<'_> {
    fn runs_expected(&self) -> u64 {
        let functions: u64 = WAYS.iter().map(|(_, functions)| functions).sum();
        functions * self.chains * RUNS_MAX
    }

    fn operation(&mut self, service: &'static str, target: &str, body: &Value) -> Result<Value> {
        let request = self.kiln.operation(service, target, body)?;
        let answer = self.client.succeed(&request).context(target.to_owned())?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn rest(&mut self, method: &str, path: &str, body: &Value) -> Result<()> {
        let request = self
            .kiln
            .request(method, path, body.to_string().as_bytes())?;
        self.client.succeed(&request).context(path.to_owned())?;
        Ok(())
    }

    fn form(&mut self, form: &str) -> Result<()> {
        let request = self.kiln.form("sns", form)?;
        self.client.succeed(&request).context(form.to_owned())?;
        Ok(())
    }

    fn prepare(&mut self, torture: &Torture) -> Result<()> {
        let queue = json!({ "QueueName": DEAD });
        self.operation("sqs", "AmazonSQS.CreateQueue", &queue)?;
        let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:loop");
        self.form("Action=CreateTopic&Version=2010-03-31&Name=loop")?;
        self.deploy(torture, "bystander", "none", "")?;
        self.deploy(torture, "self", "lambda", "self")?;
        self.deploy(torture, "topic", "sns", &topic)?;
        self.deploy(torture, "bus", "events", "")?;
        self.deploy(torture, "destination", "none", "")?;
        self.deploy(torture, "destination-2", "none", "")?;
        self.deploy(torture, "allowed", "lambda", "allowed")?;
        for at in 0..RING {
            let next = format!("ring-{}", (at + 1) % RING);
            self.deploy(torture, &format!("ring-{at}"), "lambda", &next)?;
        }
        let escaped = |arn: String| arn.replace(':', "%3A");
        let (topic, function) = (escaped(topic), escaped(lambda_arn("topic")));
        self.form(&format!(
            "Action=Subscribe&Version=2010-03-31&TopicArn={topic}&Protocol=lambda&Endpoint={function}"
        ))?;
        let rule = json!({ "Name": "loop", "EventPattern": "{\"source\":[\"torture\"]}" });
        self.operation("events", "AWSEvents.PutRule", &rule)?;
        let target =
            json!({ "Rule": "loop", "Targets": [{ "Id": "1", "Arn": lambda_arn("bus") }] });
        self.operation("events", "AWSEvents.PutTargets", &target)?;
        for (name, principal) in [("topic", "sns"), ("bus", "events")] {
            let body = json!({ "StatementId": "loop", "Action": "lambda:InvokeFunction",
                "Principal": format!("{principal}.amazonaws.com") });
            let path = format!("/2015-03-31/functions/{name}/policy");
            self.rest("POST", &path, &body)?;
        }
        // No function may be a destination of its own.
        for (from, to) in [
            ("destination", "destination-2"),
            ("destination-2", "destination"),
        ] {
            let other = json!({ "OnSuccess": { "Destination": lambda_arn(to) } });
            let path = format!("/2019-09-25/functions/{from}/event-invoke-config");
            self.rest("PUT", &path, &json!({ "DestinationConfig": other }))?;
        }
        let path = "/2024-08-31/functions/allowed/recursion-config";
        self.rest("PUT", path, &json!({ "RecursiveLoop": "Allow" }))
    }

    fn deploy(&mut self, torture: &Torture, name: &str, how: &str, to: &str) -> Result<()> {
        let audit = self.audit.to_string_lossy();
        let more = json!({
            "Environment": { "Variables": { "AUDIT": audit, "LOOP": how, "TO": to } },
            "DeadLetterConfig": { "TargetArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}") },
        });
        self.kiln.deploy_with(name, &torture.victim()?, &more)?;
        let path = format!("/2017-10-31/functions/{name}/concurrency");
        self.rest(
            "PUT",
            &path,
            &json!({ "ReservedConcurrentExecutions": RESERVED }),
        )
    }

    /// Starts all chains at once. The number of a chain tells its way.
    fn begin(&self) -> Result<()> {
        let next = &AtomicU64::new(0);
        let all = self.chains * WAYS.len() as u64;
        thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        let mut client = self.kiln.client()?;
                        loop {
                            let chain = next.fetch_add(1, Ordering::Relaxed);
                            if chain >= all {
                                return Ok(());
                            }
                            let way = way_of(chain);
                            let name = if way == "ring" { "ring-0" } else { way };
                            self.start(&mut client, name, chain)?;
                        }
                    })
                })
                .collect();
            let ends = callers.into_iter().map(|caller| {
                let end = caller.join();
                end.unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked")))
            });
            ends.collect()
        })
    }

    fn start(&self, client: &mut Client, name: &str, chain: u64) -> Result<()> {
        let body = format!("{{\"mark\":\"looped-{chain}\"}}");
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let headers = [("x-amz-invocation-type", "Event")];
        let request = self
            .kiln
            .request_with("POST", &path, &headers, body.as_bytes())?;
        client.succeed(&request)?;
        Ok(())
    }

    /// Runs so far, by chain.
    fn runs(&self) -> Result<BTreeMap<u64, u64>> {
        let mut runs = BTreeMap::new();
        for line in fs::read_to_string(&self.audit)?.lines() {
            if let Some(refused) = line.strip_prefix("r ") {
                bail!("a function was refused: {refused}");
            }
            let chain = line.strip_prefix("l ").and_then(|chain| chain.parse().ok());
            *runs.entry(chain.unwrap_or(u64::MAX)).or_default() += 1;
        }
        Ok(runs)
    }

    /// Waits until all chains have ended, says so, and waits a while longer.
    fn settle(&self, bar: &indicatif::ProgressBar, is_over: &AtomicBool) -> Result<()> {
        let expected = self.runs_expected();
        let (mut last, mut changed) = (0, Instant::now());
        loop {
            let runs: u64 = self.runs()?.values().sum();
            if runs != last {
                (last, changed) = (runs, Instant::now());
                bar.set_position(runs);
            }
            is_over.fetch_or(runs >= expected, Ordering::Relaxed);
            let patience = if runs >= expected { QUIET } else { PATIENCE };
            // Twice as many: nobody stops them.
            if changed.elapsed() > patience || runs > expected * 2 {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn judge(&mut self) -> Result<Vec<Finding>> {
        // The server may have closed a connection that nobody used meanwhile.
        self.client = self.kiln.client()?;
        let runs = self.runs()?;
        let dead = self.dead()?;
        let mut findings = Vec::new();
        let mut buried = Finding::new("R8", "chain that is not in the dead-letter queue", 0);
        for (at, (way, functions)) in (0..).zip(WAYS) {
            let what = format!("chain not cut after {RUNS_MAX}, {way}");
            let mut cut = Finding::new("R8", &what, self.chains);
            for chain in (0..self.chains).map(|n| n * WAYS.len() as u64 + at) {
                let ran = runs.get(&chain).copied().unwrap_or(0);
                let wrong = ran != functions * RUNS_MAX;
                cut.tried(wrong.then(|| format!("{ran} runs")));
                let found = dead.get(&chain).copied().unwrap_or(0);
                buried.tried((found != 1).then(|| format!("{way}: {found} letters")));
            }
            findings.push(cut);
        }
        findings.push(buried);
        let request = self.kiln.admin("/_kiln/counters")?;
        let counters: Value = serde_json::from_slice(&self.client.succeed(&request)?.body)?;
        let functions = counters.get("Functions").and_then(Value::as_object);
        let dropped = functions.into_iter().flatten();
        let dropped = dropped.filter_map(|(_, c)| c.get("RecursiveInvocationsDropped")?.as_u64());
        let (dropped, all): (u64, u64) = (dropped.sum(), self.chains * WAYS.len() as u64);
        let metric = Finding::new("R8", "chain that the metric does not count", 0);
        findings.push(metric.counted(all, all.abs_diff(dropped)));
        Ok(findings)
    }

    /// Letters in the dead-letter queue, by chain.
    fn dead(&mut self) -> Result<BTreeMap<u64, u64>> {
        let url = format!("http://{}/{ACCOUNT}/{DEAD}", self.kiln.address);
        let body = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600,
            "WaitTimeSeconds": 2 });
        let mut letters = BTreeMap::new();
        loop {
            let answer = self.operation("sqs", "AmazonSQS.ReceiveMessage", &body)?;
            let messages = answer.get("Messages").and_then(Value::as_array);
            let Some(messages) = messages.filter(|messages| !messages.is_empty()) else {
                return Ok(letters);
            };
            for message in messages {
                let text = |name: &str| message.get(name).and_then(Value::as_str);
                let (_, rest) = text("Body")
                    .and_then(|body| body.split_once("looped-"))
                    .unwrap_or_default();
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                *letters
                    .entry(digits.parse().unwrap_or(u64::MAX))
                    .or_default() += 1;
            }
        }
    }

    /// Where loops are allowed nobody stops them.
    fn allowed(&mut self, torture: &Torture) -> Result<Finding> {
        let first = self.chains * WAYS.len() as u64;
        let chains = first..first + ALLOWED_CHAINS;
        for chain in chains.clone() {
            let kiln = self.kiln;
            self.start(&mut kiln.client()?, "allowed", chain)?;
        }
        let until = Instant::now() + PATIENCE;
        let mut finding = Finding::new("R8", "chain cut though its function allows loops", 0);
        loop {
            let runs = self.runs()?;
            let ran = |chain: &u64| runs.get(chain).copied().unwrap_or(0);
            let is_over = chains.clone().all(|chain| ran(&chain) >= ALLOWED_RUNS);
            if is_over || Instant::now() > until || Instant::now() > torture.until() {
                for chain in chains {
                    let few = ran(&chain) < ALLOWED_RUNS;
                    finding.tried(few.then(|| format!("{} runs", ran(&chain))));
                }
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let path = "/2017-10-31/functions/allowed/concurrency";
        self.client = self.kiln.client()?;
        self.rest("PUT", path, &json!({ "ReservedConcurrentExecutions": 0 }))?;
        Ok(finding)
    }

    /// The median of the calls of another function, at least of some.
    fn bystander(&self, is_over: &AtomicBool) -> Result<Duration> {
        let mut client = self.kiln.client()?;
        let request = self.kiln.invocation("bystander", b"{}")?;
        client.succeed(&request)?;
        let mut took = Vec::new();
        while !is_over.load(Ordering::Relaxed) || took.len() < BYSTANDER_CALLS_MIN {
            let begun = Instant::now();
            client.succeed(&self.kiln.invocation("bystander", b"{}")?)?;
            took.push(begun.elapsed());
            thread::sleep(Duration::from_millis(2));
        }
        took.sort_unstable();
        Ok(took.get(took.len() / 2).copied().unwrap_or_default())
    }
}

fn way_of(chain: u64) -> &'static str {
    let at = usize::try_from(chain % WAYS.len() as u64).unwrap_or(0);
    WAYS.get(at).map_or("self", |(way, _)| way)
}
