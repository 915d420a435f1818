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
mod plot;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::measures::Bench;
use crate::report::Report;

const HELP: &str = "\
Ratios of Kiln to bare controls, measured in one interleaved run

Usage: cargo xtask bench [OPTIONS]

  --only NAME     warm, load, cold, footprint or durable; may be repeated
  --quick         fewer repetitions: for a first look, not for the record
  --json          prints the result as JSON
  --no-write      leaves docs/benchmarks.md and docs/benchmarks.svg as they are
";

struct Options {
    only: Vec<String>,
    is_quick: bool,
    as_json: bool,
    writes: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options {
            only: Vec::new(),
            is_quick: false,
            as_json: false,
            writes: true,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--only" => {
                    let name = rest.next().context("--only wants a name")?;
                    if !measures::NAMES.contains(&name.as_str()) {
                        bail!("no measure {name}; there are {:?}", measures::NAMES);
                    }
                    options.only.push(name.clone());
                }
                "--quick" => options.is_quick = true,
                "--json" => options.as_json = true,
                "--no-write" => options.writes = false,
                other => bail!("no option {other}\n\n{HELP}"),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments.first().map(String::as_str) {
        Some("echo") => return controls::echo::serve(),
        Some("--help" | "-h" | "help") => {
            print!("{HELP}");
            return Ok(());
        }
        _ => {}
    }
    let options = Options::parse(arguments)?;
    let root = root()?;
    build(&root)?;
    let bench = Bench::new(&root, options.is_quick)?;
    let mut report = Report::new(options.is_quick);
    for name in measures::NAMES {
        if options.wants(name) {
            eprintln!("measuring {name} …");
            report.extend(measures::run(&bench, name)?);
        }
    }
    if options.as_json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    if options.writes && options.only.is_empty() && !options.is_quick {
        report.write(&root.join("docs"))?;
        eprintln!("wrote docs/benchmarks.md and docs/benchmarks.svg");
    }
    Ok(())
}

/// The server that is measured, as users build it.
fn build(root: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--release", "--quiet", "--package", "server"])
        .status()
        .context("cannot start cargo")?;
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
