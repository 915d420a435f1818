//! Torture: environments killed in every phase, secrets left behind, clones that must differ. Drives the
//! built server from outside; its results are counts of failures, and none is the goal.
//!
//! Started by `cargo xtask torture`; the full form writes `docs/reliability.md`.

mod census;
mod clones;
mod die;
mod leak;
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
Environments killed in every phase, secrets left behind, clones that must differ

Usage: cargo xtask torture [NAME]… [OPTIONS]

  NAME        die (R10), leak (S7) or clones (S10); all without one
  --full      as often as the goals say; writes docs/reliability.md
  --json      prints the result as JSON
  --no-write  leaves docs/reliability.md and .json as they are
";

/// One of the trials.
struct Trial {
    name: &'static str,
    id: &'static str,
    run: fn(&Torture) -> Result<Vec<Finding>>,
}

const TRIALS: [Trial; 3] = [
    Trial {
        name: "die",
        id: "R10",
        run: die::run,
    },
    Trial {
        name: "leak",
        id: "S7",
        run: leak::run,
    },
    Trial {
        name: "clones",
        id: "S10",
        run: clones::run,
    },
];

/// Longest trial; what it has not tried by then counts as missed.
const FULL_MAX: Duration = Duration::from_secs(270);
const SHORT_MAX: Duration = Duration::from_secs(60);

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
}

impl Torture {
    /// How often, by the length of the run.
    pub(crate) fn times(&self, full: u64, short: u64) -> u64 {
        if self.is_full { full } else { short }
    }

    /// When a trial that starts now must come to its end.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + if self.is_full { FULL_MAX } else { SHORT_MAX }
    }

    pub(crate) fn victim_program(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(&self.victim)?)
    }

    pub(crate) fn victim(&self) -> Result<Function> {
        let program = self.victim_program()?;
        Function::new("provided.al2023", "bootstrap", &[("bootstrap", &program)])
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
    let torture = Torture {
        bench,
        is_full: options.is_full,
        victim,
    };
    let watchdog = Watchdog::start();
    let mut page = Page::new();
    for trial in TRIALS {
        let is_wanted = options.names.iter().any(|name| trial.is_called(name));
        if !is_wanted && !options.names.is_empty() {
            continue;
        }
        let limit = if options.is_full { FULL_MAX } else { SHORT_MAX };
        let guard = watchdog.watch(limit + LATE);
        let findings = (trial.run)(&torture).unwrap_or_else(|error| {
            let why = if guard.has_bitten() {
                format!("took too long: {error:#}")
            } else {
                format!("{error:#}")
            };
            vec![Finding::broken(trial.id, trial.name, &why)]
        });
        drop(guard);
        page.extend(findings);
    }
    if options.as_json {
        println!("{}", page.json()?);
    } else {
        print!("{}", page.table());
    }
    let (passed, failed) = page.counts();
    if options.writes && options.is_full {
        page.write(&root.join("docs"))?;
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
