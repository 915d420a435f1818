//! Measures Kiln against bare controls. Every figure is a ratio: both sides run in turns (A B B A) in
//! one run on one machine, so that a busy neighbour hits both.
//!
//! Started by `cargo xtask bench`; writes `docs/benchmarks.md` and its plot.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command for people that measures real time"
)]

mod client;
mod controls;
mod kiln;
mod measures;
mod paired;
mod peers;
mod plot;
mod report;
mod torture;
mod watchdog;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::measures::{Bench, MEASURES, Measure};
use crate::report::{Report, Row};
use crate::watchdog::Watchdog;

const HELP: &str = "\
Ratios of Kiln to bare controls, measured in one interleaved run

Usage: cargo xtask bench [NAME]… [OPTIONS]

  NAME            a group or a figure, such as cold or p18; without one, all that do not take long
  --only NAME     the same
  --full          also the ones that take long
  --quick         fewer repetitions: for a first look, not for the record
  --json          prints the result as JSON
  --no-write      leaves docs/benchmarks.md, .json and .svg as they are
  --peers         compares with other programs instead; needs --peer-bench PATH (--peers --help for more)

Figures that are not measured keep the row of their last measurement.

Groups:
";

struct Options {
    names: Vec<String>,
    is_full: bool,
    is_quick: bool,
    as_json: bool,
    writes: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options {
            names: Vec::new(),
            is_full: false,
            is_quick: false,
            as_json: false,
            writes: true,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = match argument.as_str() {
                "--only" => rest.next().context("--only wants a name")?,
                "--full" => {
                    options.is_full = true;
                    continue;
                }
                "--quick" => {
                    options.is_quick = true;
                    continue;
                }
                "--json" => {
                    options.as_json = true;
                    continue;
                }
                "--no-write" => {
                    options.writes = false;
                    continue;
                }
                other if other.starts_with('-') => bail!("no option {other}\n\n{}", help()),
                _ => argument,
            };
            let name = name.to_lowercase();
            if !MEASURES.iter().any(|measure| measure.is_called(&name)) {
                bail!("no measure {name}\n\n{}", help());
            }
            options.names.push(name);
        }
        Ok(options)
    }

    fn wants(&self, measure: &Measure) -> bool {
        match self.names.as_slice() {
            [] => self.is_full || !measure.is_long,
            names => names.iter().any(|name| measure.is_called(name)),
        }
    }
}

fn help() -> String {
    let mut text = HELP.to_owned();
    for measure in MEASURES {
        let long = if measure.is_long { " (long)" } else { "" };
        let ids = measure.ids.join(" ");
        text.push_str(&format!("  {:<10} {ids}{long}\n", measure.name));
    }
    text
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<bool> {
    match arguments.first().map(String::as_str) {
        Some("echo") => return controls::echo::serve().map(|()| true),
        Some("torture") => return torture::run(&root()?, arguments.get(1..).unwrap_or_default()),
        Some("--peers") => {
            peers::run(&root()?, arguments.get(1..).unwrap_or_default())?;
            return Ok(true);
        }
        Some("--help" | "-h" | "help") => {
            print!("{}", help());
            return Ok(true);
        }
        _ => {}
    }
    let options = Options::parse(arguments)?;
    let root = root()?;
    build(&root)?;
    let bench = Bench::new(&root, options.is_quick)?;
    let mut report = Report::new(options.is_quick);
    let watchdog = Watchdog::start();
    let started = Instant::now();
    let run_max = match options.is_full {
        true => measures::FULL_RUN_MAX,
        false => measures::RUN_MAX,
    };
    for measure in MEASURES.iter().filter(|measure| options.wants(measure)) {
        let rest = run_max.saturating_sub(started.elapsed());
        let rows = if rest < measures::TIME_MIN {
            measure.nothing("no time left")
        } else {
            take(measure, &bench, &watchdog, rest)
        };
        report.extend(measure, rows);
        // After each, so that a run that is ended keeps what it has.
        if options.writes && !options.is_quick {
            report.write(&root.join("docs"))?;
        }
    }
    if options.as_json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    eprintln!("took {} s", started.elapsed().as_secs());
    Ok(true)
}

/// Takes one measure; whatever becomes of it, each of its figures has a row.
fn take(measure: &Measure, bench: &Bench, watchdog: &Watchdog, rest: Duration) -> Vec<Row> {
    eprintln!("measuring {} …", measure.name);
    let started = Instant::now();
    let guard = watchdog.watch(measure.time_max.min(rest));
    let taken = catch_unwind(AssertUnwindSafe(|| (measure.run)(bench)));
    let taken = taken.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
    let rows = taken.unwrap_or_else(|error| {
        eprintln!("  {}: {error:#}", measure.name);
        measure.nothing(if guard.has_bitten() {
            "took too long"
        } else {
            "failed"
        })
    });
    eprintln!("  {} s", started.elapsed().as_secs());
    rows
}

/// The server that is measured, as users build it. It lies beside this program, so both are built alike.
fn build(root: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--quiet", "--package", "server"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the server cannot be built");
    }
    Ok(())
}

fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here
        .parent()
        .context("bench lies in the repository")?
        .to_path_buf())
}
