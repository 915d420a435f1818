//! The commands of the house, run as `cargo xtask NAME`.
//!
//! It is a program of its own and not a shell script so that the rules it holds can be tested.
//! It speaks to people on a terminal and measures durations, which the rest of the house may not.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command for people: it prints, reads the environment and times its steps"
)]

mod check;
mod counts;
mod coverage;
mod prerequisites;
mod rows;
mod step;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const HELP: &str = "\
The commands of the house

Usage: cargo xtask COMMAND [OPTIONS]

  test [--only STEP]…     everything that a change must pass; installs what it needs
  check                   the quick part: fmt, tidy, clippy, unit tests
  tidy                    the rules of ARCHITECTURE.md and STYLE.md that a machine can see
  e2e [PYTEST OPTIONS]    the black-box tests alone, against the release build
  bench [OPTIONS]         ratios against bare controls; writes docs/benchmarks.md (--help for more)
  torture [OPTIONS]       kills, broken disks, secrets, clones, queues against a model (--help for more)
  api-coverage [--check]  what is built of AWS's APIs; writes docs/coverage.md
  rows [--check]          which test shows which row of the specification; writes docs/rows.md
  help                    this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one command. `Ok(false)` says that it ran and that something did not pass.
fn run(arguments: &[String]) -> Result<bool> {
    let root = root()?;
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments),
    };
    match command {
        "test" => test::run(&root, &test::Options::parse(rest)?),
        "check" => check::run(&root),
        "tidy" => tidy::run(&root),
        "e2e" => test::e2e_alone(&root, rest),
        "bench" => bench(&root, rest),
        "torture" => {
            let torture = ["torture".to_owned()];
            bench(&root, &[&torture, rest].concat())
        }
        "api-coverage" => coverage::run(&root, &tidy::metadata(&root)?.target_directory, rest),
        "rows" => rows::run(&root, rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        other => bail!("no command {other}\n\n{HELP}"),
    }
}

/// The measuring program is a crate of its own, so that this one stays quick to build.
fn bench(root: &Path, arguments: &[String]) -> Result<bool> {
    let status = step::cargo(root)
        .args(["run", "--release", "--quiet", "--package", "bench", "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    Ok(status.success())
}

fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("xtask lies in the repository")?;
    Ok(root.to_path_buf())
}
