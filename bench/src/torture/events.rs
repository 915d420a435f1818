//! R1: the server is killed again and again while it accepts events and messages; all that it accepted must
//! happen, or wait.

mod audit;
mod queue;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use self::audit::Audit;
use self::queue::Consumer;
use super::page::Finding;
use super::{Dice, Torture, wait_for_end};
use crate::kiln::{Kiln, Setup, kill, tree};

/// What one run is: full, short.
const FULL: Plan = Plan {
    kills: 200,
    events: 500_000,
    each_second: 620,
    // 2,600 events between two kills.
    life: (400, 8_000),
    clean_starts: 7,
};
const SHORT: Plan = Plan {
    kills: 5,
    events: 500,
    each_second: 300,
    life: (300, 1_300),
    clean_starts: 2,
};

struct Plan {
    kills: u64,
    events: u64,
    each_second: u64,
    /// The shortest and the longest time from a start to a kill, in milliseconds.
    life: (u64, u64),
    clean_starts: u64,
}

/// Connections that send events, and messages beside them.
const SENDERS: u64 = 16;
const QUEUE_SENDERS: u64 = 2;
const MESSAGES_EACH_SECOND: u64 = 60;

/// Environments of the function: what it can be in the middle of.
const RESERVED: u64 = 8;

/// Accepted each second, as the goal says.
const RATE_MIN: f64 = 500.0;

/// How much longer than a clean start the one after a kill may take.
const START_TIMES_MAX: u32 = 3;

/// Events that may run twice, of a thousand. With few events to a kill the share says nothing.
const TWICE_PER_MILLE: u64 = 1;

/// Events of one function that the server has in hand at once; no kill may repeat more.
const IN_HAND_MAX: u64 = 128;

const FUNCTION: &str = "audited";

/// What all lives of the server have in common.
struct Loop<'a> {
    torture: &'a Torture,
    plan: &'a Plan,
    audit: Audit,
    consumer: Consumer,
    /// The next number of an event, of a message.
    next: [AtomicU64; 2],
    sending: Duration,
    restarts: Vec<Duration>,
}

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let plan = if torture.is_full { &FULL } else { &SHORT };
    let mut this = Loop {
        torture,
        plan,
        audit: Audit::new(torture.bench.folder.path())?,
        consumer: Consumer::default(),
        next: Default::default(),
        sending: Duration::ZERO,
        restarts: Vec::new(),
    };
    let mut kiln = this.setup().start()?;
    this.prepare(&kiln)?;
    let dice = Dice::new()?;
    let bar = torture.progress("R1 events", plan.kills);
    let until = torture.until();
    let mut kills = 0;
    while kills < plan.kills && Instant::now() < until {
        let (shortest, longest) = plan.life;
        let life = Duration::from_millis(shortest + dice.below(longest - shortest));
        kiln = this.live(kiln, life)?;
        kills += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let lost = this.audit.wait_for_all()?;
    this.consumer.empty(&kiln)?;
    let clean = this.clean_starts(kiln)?;
    Ok(this.findings(kills, &dice, lost, clean))
}

impl Loop<'_> {
    fn setup(&self) -> Setup {
        self.torture.bench.setup().with("KILN_SANDBOX", "process")
    }

    fn prepare(&self, kiln: &Kiln) -> Result<()> {
        let variables = json!({ "Variables": { "AUDIT": self.audit.path() } });
        let more = json!({ "Environment": variables });
        kiln.deploy_with(FUNCTION, &self.torture.victim()?, &more)?;
        let path = format!("/2017-10-31/functions/{FUNCTION}/concurrency");
        let body = json!({ "ReservedConcurrentExecutions": RESERVED }).to_string();
        let mut client = kiln.client()?;
        client.succeed(&kiln.request("PUT", &path, body.as_bytes())?)?;
        queue::create(kiln)
    }

    /// One life of the server: load, a kill, and the next start.
    fn live(&mut self, kiln: Kiln, life: Duration) -> Result<Kiln> {
        let begun = Instant::now();
        let (events, messages) = (&self.next[0], &self.next[1]);
        let plan = self.plan;
        let consumer = &mut self.consumer;
        let (accepted, sent, family) = thread::scope(|scope| -> Result<_> {
            let server = &kiln;
            let senders: Vec<_> = (0..SENDERS)
                .map(|at| {
                    let pace = Pace::new(at, SENDERS, plan.each_second);
                    scope.spawn(move || send(server, events, pace, audit::event))
                })
                .collect();
            let queue_senders: Vec<_> = (0..QUEUE_SENDERS)
                .map(|at| {
                    let pace = Pace::new(at, QUEUE_SENDERS, MESSAGES_EACH_SECOND);
                    scope.spawn(move || send(server, messages, pace, queue::message))
                })
                .collect();
            let receiver = scope.spawn(move || consumer.receive(server));
            thread::sleep(life.saturating_sub(begun.elapsed()));
            let family = tree(server.pid())?;
            kill(server.pid());
            let sent = |handles: Vec<thread::ScopedJoinHandle<'_, Vec<u64>>>| {
                let joined = handles.into_iter().map(|h| h.join().unwrap_or_default());
                joined.flatten().collect::<Vec<u64>>()
            };
            let (accepted, sent) = (sent(senders), sent(queue_senders));
            let _ = receiver.join();
            Ok((accepted, sent, family))
        })?;
        self.sending += begun.elapsed();
        let data = kiln.killed()?;
        family.into_iter().for_each(wait_for_end);
        self.audit.mark_kill()?;
        self.audit.accepted(accepted);
        self.consumer.sent(sent);
        let kiln = self.setup().on(&data).start().context("after a kill")?;
        self.restarts.push(kiln.started_in);
        Ok(kiln)
    }

    /// The median of starts after an orderly stop, with the same data.
    fn clean_starts(&self, mut kiln: Kiln) -> Result<Duration> {
        let mut took = Vec::new();
        for _ in 0..self.plan.clean_starts {
            let data = kiln.stop()?;
            kiln = self.setup().on(&data).start()?;
            took.push(kiln.started_in);
        }
        Ok(median(&mut took))
    }

    fn findings(
        mut self,
        kills: u64,
        dice: &Dice,
        lost: Vec<u64>,
        clean: Duration,
    ) -> Vec<Finding> {
        let plan = self.plan;
        let tally = self.audit.tally();
        let finding = |what: &str, wanted| Finding::new("R1", what, wanted);
        let accepted = tally.accepted;
        let rate = accepted as f64 / self.sending.as_secs_f64();
        let first = lost.iter().take(5);
        let note = match lost.is_empty() {
            true => format!("{rate:.0} each second, seed {}", dice.seed),
            false => format!("first: {:?}", first.collect::<Vec<_>>()),
        };
        let is_over = tally.twice_max > IN_HAND_MAX;
        let mut findings = vec![
            finding("accepted event lost", plan.events)
                .counted(accepted, lost.len() as u64)
                .noted(&note),
            finding("kill that repeats more than was in hand", plan.kills)
                .counted(kills, u64::from(is_over))
                .noted(&format!("at most {} of {IN_HAND_MAX}", tally.twice_max)),
            finding("event run again", plan.events)
                .counted(accepted, tally.twice)
                .allowing(if self.torture.is_full {
                    TWICE_PER_MILLE
                } else {
                    1_000
                })
                .noted(&format!(
                    "{} were in the middle of their run, {} over and not yet noted",
                    tally.cut_off, tally.unnoted
                )),
            finding("accepted message of a queue lost", 0)
                .counted(self.consumer.accepted(), self.consumer.lost())
                .noted("SendMessage, with a consumer beside"),
            finding("deleted message received again", 0)
                .counted(self.consumer.deleted(), self.consumer.came_back),
        ];
        let half = median(&mut self.restarts);
        let slowest = self.restarts.iter().max().copied().unwrap_or_default();
        let is_slow = half > clean * START_TIMES_MAX && self.torture.is_full;
        findings.push(
            finding("kill -9, ready again within 3 clean starts", plan.kills)
                .counted(kills, u64::from(is_slow))
                .noted(&format!(
                    "median {} ms, slowest {} ms, clean {} ms",
                    half.as_millis(),
                    slowest.as_millis(),
                    clean.as_millis()
                )),
        );
        if self.torture.is_full {
            let is_low = rate < RATE_MIN;
            let floor = finding("500 events accepted each second", 1);
            findings.push(
                floor
                    .counted(1, u64::from(is_low))
                    .noted(&format!("{rate:.0}")),
            );
        }
        findings
    }
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// When a sender sends.
struct Pace {
    begun: Instant,
    at: u64,
    of: u64,
    each_second: u64,
    turn: u64,
}

impl Pace {
    fn new(at: u64, of: u64, each_second: u64) -> Pace {
        Pace {
            begun: Instant::now(),
            at,
            of,
            each_second,
            turn: 0,
        }
    }

    fn wait(&mut self) {
        let micros = (self.turn * self.of + self.at) * 1_000_000 / self.each_second;
        self.turn += 1;
        let due = Duration::from_micros(micros);
        thread::sleep(due.saturating_sub(self.begun.elapsed()));
    }
}

/// Sends until the server is gone; gives the numbers that it accepted.
fn send(
    kiln: &Kiln,
    next: &AtomicU64,
    mut pace: Pace,
    request: fn(&Kiln, u64) -> Result<Vec<u8>>,
) -> Vec<u64> {
    let mut accepted = Vec::new();
    // An error is the kill.
    let _ = (|| -> Result<()> {
        let mut client = kiln.client()?;
        loop {
            pace.wait();
            let number = next.fetch_add(1, Ordering::Relaxed);
            client.succeed(&request(kiln, number)?)?;
            accepted.push(number);
        }
    })();
    accepted
}
