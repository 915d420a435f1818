//! Torture: servers and environments killed, secrets left behind, clones that must differ. Drives the built
//! server from outside; its results are counts of failures, and none is the goal.
//!
//! Started by `cargo xtask torture`; the full form writes `docs/reliability.md`.

mod census;
mod clones;
mod die;
mod events;
mod inside;
mod leak;
mod loops;
mod overload;
mod page;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use self::page::{Finding, Page};
use crate::controls::process::compile;
use crate::kiln::{Function, Kiln};
use crate::measures::Bench;
use crate::watchdog::Watchdog;

const HELP: &str = "\
Servers and environments killed, secrets left behind, clones that must differ

Usage: cargo xtask torture [NAME]… [OPTIONS]

  NAME        die (R10), leak (S7), clones (S10), events (R1), loops (R8), overload (R9), disk (R2), queues (R6)
              or clock (R4); all without one. The short forms of the last three are among the unit tests.
  --full      as often as the goals say; writes docs/reliability.md
  --json      prints the result as JSON
  --no-write  leaves docs/reliability.md and .json as they are
";

/// One of the trials.
struct Trial {
    name: &'static str,
    id: &'static str,
    /// Longest full form, in minutes; what it has not tried by then counts as missed.
    full_min: u64,
    /// Its short form is among the unit tests.
    is_inside: bool,
    run: fn(&Torture) -> Result<Vec<Finding>>,
}

const TRIALS: [Trial; 9] = [
    Trial {
        name: "die",
        id: "R10",
        full_min: 15,
        is_inside: false,
        run: die::run,
    },
    Trial {
        name: "leak",
        id: "S7",
        full_min: 15,
        is_inside: false,
        run: leak::run,
    },
    Trial {
        name: "clones",
        id: "S10",
        full_min: 15,
        is_inside: false,
        run: clones::run,
    },
    Trial {
        name: "events",
        id: "R1",
        full_min: 40,
        is_inside: false,
        run: events::run,
    },
    Trial {
        name: "disk",
        id: "R2",
        full_min: 30,
        is_inside: true,
        run: inside::disk,
    },
    Trial {
        name: "queues",
        id: "R6",
        full_min: 30,
        is_inside: true,
        run: inside::queues,
    },
    Trial {
        name: "clock",
        id: "R4",
        full_min: 10,
        is_inside: true,
        run: inside::clock,
    },
    Trial {
        name: "loops",
        id: "R8",
        full_min: 15,
        is_inside: false,
        run: loops::run,
    },
    Trial {
        name: "overload",
        id: "R9",
        full_min: 25,
        is_inside: false,
        run: overload::run,
    },
];

/// Longest short form. It takes some seconds; a busy machine may take its time.
const SHORT_MAX: Duration = Duration::from_secs(150);

/// What is left for a trial that is late, before its server is ended.
const LATE: Duration = Duration::from_secs(25);

struct Options {
    names: Vec<String>,
    is_full: bool,
    as_json: bool,
    writes: bool,
}

/// What every trial needs.
pub(crate) struct Torture {
    pub(crate) bench: Bench,
    pub(crate) is_full: bool,
    victim: PathBuf,
    /// Longest trial.
    limit: Duration,
    begun: Instant,
}

impl Torture {
    /// How often, by the length of the run.
    pub(crate) fn times(&self, full: u64, short: u64) -> u64 {
        if self.is_full { full } else { short }
    }

    /// When a trial that starts now must come to its end.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.limit
    }

    pub(crate) fn victim_program(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(&self.victim)?)
    }

    pub(crate) fn victim(&self) -> Result<Function> {
        let program = self.victim_program()?;
        Function::new("provided.al2023", "bootstrap", &[("bootstrap", &program)])
    }

    /// Tells how far a full trial has come.
    pub(crate) fn say(&self, what: &str) {
        if self.is_full {
            eprintln!("{:>5} s  {what}", self.begun.elapsed().as_secs());
        }
    }

    pub(crate) fn progress(&self, name: &str, length: u64) -> ProgressBar {
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        bar
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options {
            names: Vec::new(),
            is_full: false,
            as_json: false,
            writes: true,
        };
        for argument in arguments {
            match argument.as_str() {
                "--full" => options.is_full = true,
                "--json" => options.as_json = true,
                "--no-write" => options.writes = false,
                name if TRIALS.iter().any(|trial| trial.is_called(name)) => {
                    options.names.push(name.to_owned());
                }
                other => bail!("no option {other}\n\n{HELP}"),
            }
        }
        Ok(options)
    }
}

impl Trial {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id.eq_ignore_ascii_case(name)
    }
}

/// `Ok(false)`: something was found.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<bool> {
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        print!("{HELP}");
        return Ok(true);
    }
    let options = Options::parse(arguments)?;
    crate::build(root)?;
    let bench = Bench::new(root, false)?;
    let victim = bench.folder.path().join("victim");
    compile(&root.join("bench/functions/victim.rs"), &victim)?;
    let mut torture = Torture {
        bench,
        is_full: options.is_full,
        victim,
        limit: SHORT_MAX,
        begun: Instant::now(),
    };
    let watchdog = Watchdog::start();
    let mut page = Page::new();
    for trial in TRIALS {
        let is_wanted = options.names.iter().any(|name| trial.is_called(name));
        let is_default = options.names.is_empty() && (options.is_full || !trial.is_inside);
        if !is_wanted && !is_default {
            continue;
        }
        if options.is_full {
            torture.limit = Duration::from_secs(trial.full_min * 60);
        }
        torture.say(&format!(
            "{} {}: at most {} min",
            trial.id, trial.name, trial.full_min
        ));
        let guard = watchdog.watch(torture.limit + LATE);
        let findings = (trial.run)(&torture).unwrap_or_else(|error| {
            let why = if guard.has_bitten() {
                format!("took too long: {error:#}")
            } else {
                format!("{error:#}")
            };
            vec![Finding::broken(trial.id, trial.name, &why)]
        });
        drop(guard);
        for finding in &findings {
            torture.say(&finding.told());
        }
        // At once: what was found stays, whatever comes after.
        if options.writes && options.is_full {
            let mut found = Page::new();
            found.extend(findings.clone());
            found.write(&root.join("docs"))?;
        }
        page.extend(findings);
    }
    if options.as_json {
        println!("{}", page.json()?);
    } else {
        print!("{}", page.table());
    }
    let (passed, failed) = page.counts();
    if options.writes && options.is_full {
        eprintln!("wrote docs/reliability.md and .json");
    }
    if !options.as_json {
        println!("{passed} passed, {failed} failed");
    }
    Ok(failed == 0)
}

/// A function's answer as a list of texts.
fn strings(
    kiln: &Kiln,
    client: &mut crate::client::Client,
    name: &str,
    event: &str,
) -> Result<Vec<String>> {
    let answer = client.succeed(&kiln.invocation(name, event.as_bytes())?)?;
    serde_json::from_slice(&answer.body).with_context(|| {
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        format!("{name} gives no list: {said}")
    })
}

/// A name that nothing else holds.
fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    let mut random = std::fs::File::open("/dev/urandom")?;
    std::io::Read::read_exact(&mut random, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Random numbers that a seed repeats.
struct Dice {
    seed: u64,
    state: std::cell::Cell<u64>,
}

impl Dice {
    fn new() -> Result<Dice> {
        let seed = u64::from_str_radix(secret()?.get(..8).unwrap_or_default(), 16)?;
        let state = std::cell::Cell::new(seed);
        Ok(Dice { seed, state })
    }

    /// A number below `sides`.  [SplitMix64]
    fn below(&self, sides: u64) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }
}

/// Longest wait for the end of a process that was killed.
const END_MAX: Duration = Duration::from_secs(10);

/// Waits until a killed process does not run any more.
fn wait_for_end(pid: u32) {
    let until = Instant::now() + END_MAX;
    while Instant::now() < until && !is_gone(pid) {
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}
