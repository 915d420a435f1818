//! R10: environments are killed in each phase of their life.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::census::Census;
use super::page::Finding;
use super::{Torture, wait_for_end};
use crate::client::{Answer, Client};
use crate::kiln::{Function, Kiln, kill, parent, tree};

/// How often in each phase: full, short.
const TIMES: (u64, u64) = (1_000, 15);

/// Deaths of each kind before the count begins.
const WARM_UP: u64 = 4;

/// How long an environment is idle before it is frozen.
const FREEZE_AFTER_MS: u64 = 1_000;

/// Longest wait for a function to come to the place where it dies.
const PLACE_MAX: Duration = Duration::from_secs(10);

/// When and what the caller must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Init,
    Call,
    HalfAnswer,
    AfterAnswer,
    BetweenCalls,
    Shutdown,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Init,
        Phase::BetweenCalls,
        Phase::Call,
        Phase::HalfAnswer,
        Phase::AfterAnswer,
        Phase::Shutdown,
    ];

    fn what(self) -> &'static str {
        match self {
            Phase::Init => "killed in init",
            Phase::Call => "killed in the middle of a call",
            Phase::HalfAnswer => "killed with half an answer sent",
            Phase::AfterAnswer => "killed after the answer",
            Phase::BetweenCalls => "killed between calls",
            Phase::Shutdown => "extension killed in shutdown",
        }
    }

    /// The thread that shows that the function is there.  The kernel keeps fifteen characters.
    fn thread(self) -> &'static str {
        match self {
            Phase::Init => "torn-in-init",
            Phase::Call => "torn-in-call",
            Phase::HalfAnswer => "torn-half-answe",
            Phase::AfterAnswer => "torn-after-call",
            Phase::BetweenCalls => "bootstrap",
            Phase::Shutdown => "torn-shutdown",
        }
    }

    fn function(self) -> &'static str {
        match self {
            Phase::Init => "stops-in-init",
            Phase::Shutdown => "extended",
            _ => "victim",
        }
    }

    fn event(self) -> &'static [u8] {
        match self {
            Phase::Call => b"{\"do\":\"call\"}",
            Phase::HalfAnswer => b"{\"do\":\"half\"}",
            Phase::AfterAnswer => b"{\"do\":\"after\"}",
            _ => b"{}",
        }
    }

    /// Whether the call is answered as if nothing had happened.
    fn is_answered(self) -> bool {
        matches!(
            self,
            Phase::AfterAnswer | Phase::BetweenCalls | Phase::Shutdown
        )
    }
}

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let until = torture.until();
    let times = torture.times(TIMES.0, TIMES.1);
    let kiln = torture
        .bench
        .setup()
        .with("KILN_IDLE_KEEP_SECS", 1)
        // What a function does after its answer may be stopped before it comes to where it dies.
        .with("KILN_FREEZE_AFTER_MS", FREEZE_AFTER_MS)
        .start()?;
    let victim = torture.victim()?;
    kiln.deploy("victim", &victim)?;
    let stops = json!({ "Environment": { "Variables": { "STOP": "init" } } });
    kiln.deploy_with("stops-in-init", &victim, &stops)?;
    let mut scene = Scene {
        client: kiln.client()?,
        kiln: &kiln,
        round: 0,
    };
    let has_extensions = scene.extend(torture, &victim)?;
    let phases = Phase::ALL
        .into_iter()
        .filter(|phase| *phase != Phase::Shutdown || has_extensions);
    for phase in phases.clone() {
        for turn in 0..WARM_UP {
            scene.die(phase, turn)?;
        }
    }
    let start = Census::settled(&kiln)?;
    let mut findings = Vec::new();
    let bar = torture.progress("R10 die", times * phases.clone().count() as u64);
    for phase in phases {
        let mut finding = Finding::new("R10", phase.what(), times);
        for turn in 0..times {
            if Instant::now() > until {
                break;
            }
            finding.tried(scene.die(phase, turn)?);
            bar.inc(1);
        }
        findings.push(finding);
    }
    bar.finish_and_clear();
    if !has_extensions {
        findings.push(Finding::not_built("R10", Phase::Shutdown.what()));
    }
    let mut back = Finding::new("R10", "nothing is left behind", 1);
    back.tried(Census::back_to(&start, &kiln)?);
    findings.push(back.noted(&start.to_string()));
    Ok(findings)
}

struct Scene<'a> {
    kiln: &'a Kiln,
    client: Client,
    round: u64,
}

impl Scene<'_> {
    /// One death. Gives what was wrong about it.
    fn die(&mut self, phase: Phase, turn: u64) -> Result<Option<String>> {
        let takes_all = turn % 2 == 1;
        let answer = match phase {
            Phase::BetweenCalls => {
                self.call(phase)?;
                let pid = self.place(phase)?;
                kill(victim_of(pid, takes_all));
                wait_for_end(pid);
                self.call(phase)?
            }
            Phase::Shutdown => {
                let answer = self.call(phase)?;
                self.round += 1;
                self.kiln
                    .make_cold(&mut self.client, phase.function(), self.round)?;
                kill(self.place(phase)?);
                answer
            }
            _ => self.call_and_kill(phase, takes_all)?,
        };
        if let Some(wrong) = judge(phase, &answer) {
            return Ok(Some(wrong));
        }
        // A function that stops in init never answers: another call would wait for the next death.
        if phase == Phase::Init {
            return Ok(None);
        }
        let request = self.kiln.invocation(phase.function(), b"{}")?;
        let next = self.client.send(&request)?;
        Ok((next.status != 200 || next.has_function_error)
            .then(|| format!("the next call failed: {}", said(&next))))
    }

    fn call(&mut self, phase: Phase) -> Result<Answer> {
        let request = self.kiln.invocation(phase.function(), phase.event())?;
        self.client.send(&request)
    }

    fn call_and_kill(&mut self, phase: Phase, takes_all: bool) -> Result<Answer> {
        let request = self.kiln.invocation(phase.function(), phase.event())?;
        let (kiln, client) = (self.kiln, &mut self.client);
        thread::scope(|scope| {
            let caller = scope.spawn(move || client.send(&request));
            let mut deaths = 0;
            // An init that fails is tried once more with the call: each try dies.
            while !caller.is_finished() || deaths == 0 {
                // The answer is out before the function comes to where it dies.
                let is_over = || phase != Phase::AfterAnswer && caller.is_finished();
                match find(kiln, phase, &is_over) {
                    Some(pid) => {
                        kill(victim_of(pid, takes_all));
                        wait_for_end(pid);
                        deaths += 1;
                    }
                    None if caller.is_finished() && phase != Phase::AfterAnswer => break,
                    None => bail!("no environment came to {phase:?}"),
                }
                if phase == Phase::AfterAnswer {
                    break;
                }
            }
            caller
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("the caller panicked")))
        })
    }

    /// The process that shows the phase's thread.
    fn place(&self, phase: Phase) -> Result<u32> {
        match find(self.kiln, phase, &|| false) {
            Some(pid) => Ok(pid),
            None => bail!("no environment came to {phase:?}"),
        }
    }

    /// Gives a function an extension. False: the server has no layers or does not run extensions.
    fn extend(&mut self, torture: &Torture, victim: &Function) -> Result<bool> {
        let program = torture.victim_program()?;
        let layer = Function::new("", "", &[("extensions/victim", &program)])?;
        let body = json!({ "Content": { "ZipFile": STANDARD.encode(&layer.zip) } });
        let path = "/2018-10-31/layers/extension/versions";
        let request = self
            .kiln
            .request("POST", path, body.to_string().as_bytes())?;
        let answer = self.client.send(&request)?;
        if !(200..300).contains(&answer.status) {
            return Ok(false);
        }
        let made: Value = serde_json::from_slice(&answer.body)?;
        let layers = json!({ "Layers": [made.get("LayerVersionArn")] });
        let function = Phase::Shutdown.function();
        let request = self.kiln.creation_with(function, victim, &layers)?;
        if !(200..300).contains(&self.client.send(&request)?.status) {
            return Ok(false);
        }
        self.kiln.settle(&mut self.client, function)?;
        let answer = self.call(Phase::Shutdown)?;
        if answer.status != 200 || answer.has_function_error {
            return Ok(false);
        }
        self.kiln.make_cold(&mut self.client, function, 0)?;
        let Some(pid) = find(self.kiln, Phase::Shutdown, &|| false) else {
            return Ok(false);
        };
        kill(pid);
        Ok(true)
    }
}

/// What the caller must have got.
fn judge(phase: Phase, answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_right = if phase.is_answered() {
        answer.status == 200 && !answer.has_function_error
    } else {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        answer.status == 200
            && answer.has_function_error
            // The second one if the first process of the environment was killed.
            && ["Runtime.ExitError", "Sandbox.Failure"].contains(&text("errorType"))
            && text("errorMessage").starts_with("RequestId: ")
    };
    (!is_right).then(|| said(answer))
}

fn said(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    format!("{} {body}", answer.status)
}

/// The runtime itself, or the first process of its environment, which takes all others with it.
fn victim_of(pid: u32, takes_all: bool) -> u32 {
    let first = parent(pid).filter(|first| takes_all && is_inside(*first));
    first.unwrap_or(pid)
}

/// In a process namespace below this one: never the helper or the server.
fn is_inside(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() > 1)
}

/// A process below the server with a thread of the phase's name; waits for one.
fn find(kiln: &Kiln, phase: Phase, is_over: &dyn Fn() -> bool) -> Option<u32> {
    let until = Instant::now() + PLACE_MAX;
    while Instant::now() < until {
        let is_last = is_over();
        let pids = tree(kiln.pid()).unwrap_or_default();
        let found = pids
            .into_iter()
            .skip(1)
            .find(|pid| has_thread(*pid, phase.thread()));
        if found.is_some() || is_last {
            return found;
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn has_thread(pid: u32, name: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
        .any(|comm| comm.trim_end() == name)
}
