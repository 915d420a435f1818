//! `cargo xtask test`: everything that a change must pass, cheapest first.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::prerequisites::{self, Venv};
use crate::step::{self, Done, Outcome, Steps};
use crate::{coverage, tidy};

/// Black-box tests that run side by side.
const E2E_WORKERS: &str = "2";

/// In the order in which they run.
const STEPS: [&str; 13] = [
    "tools",
    "fmt",
    "tidy",
    "rows",
    "clippy",
    "deny",
    "unit tests",
    "build",
    "packages",
    "runtimes",
    "e2e",
    "torture",
    "api-coverage",
];

pub(crate) struct Options {
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let mut only = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let step = match argument.as_str() {
                "--only" => rest.next().context("--only wants the name of a step")?,
                other => match other.strip_prefix("--only=") {
                    Some(step) => step,
                    None => bail!("no option {other}; there is --only STEP, steps: {STEPS:?}"),
                },
            };
            if !STEPS.contains(&step) {
                bail!("no step {step:?}; there are {STEPS:?}");
            }
            only.push(step.to_string());
        }
        Ok(Options { only })
    }

    fn wants(&self, step: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step)
    }
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let target = target_directory(root)?;
    let mut steps = Steps::new();
    // The names of steps that later ones need and that did not pass.
    let mut broken: Vec<&str> = Vec::new();
    for name in STEPS {
        if !options.wants(name) {
            continue;
        }
        if let Some(needed) = needs(name).iter().find(|need| broken.contains(need)) {
            steps.skip(name, &format!("{needed} failed"));
            broken.push(name);
            continue;
        }
        let passed = steps.run(name, || match name {
            "tools" => prerequisites::tools(root, &target),
            "fmt" => fmt(root),
            "tidy" => tidy::step(root),
            "rows" => rows(root),
            "clippy" => clippy(root),
            "deny" => deny(root, &target),
            "unit tests" => unit(root),
            "build" => build(root),
            "packages" => prerequisites::packages(root, &target),
            "runtimes" => runtimes(root),
            "e2e" => e2e(root, &target, &[]),
            "torture" => torture(root),
            "api-coverage" => api_coverage(root, &target),
            _ => Err(anyhow::anyhow!("step {name} is listed and not written").into()),
        });
        if !passed {
            broken.push(name);
        }
    }
    Ok(steps.conclude())
}

/// The steps without which a step would only repeat their failure.
fn needs(step: &str) -> &'static [&'static str] {
    match step {
        "deny" | "packages" | "runtimes" => &["tools"],
        "torture" => &["build"],
        "e2e" | "api-coverage" => &["tools", "build", "packages"],
        _ => &[],
    }
}

/// `cargo xtask e2e`: builds, installs the packages and runs pytest with further options.
pub(crate) fn e2e_alone(root: &Path, arguments: &[String]) -> Result<bool> {
    let target = target_directory(root)?;
    let mut steps = Steps::new();
    let ready = steps.run("build", || build(root))
        && steps.run("packages", || prerequisites::packages(root, &target));
    if ready {
        steps.run("e2e", || e2e(root, &target, arguments));
    }
    Ok(steps.conclude())
}

pub(crate) fn fmt(root: &Path) -> Outcome {
    let mut command = step::cargo(root);
    command.args(["fmt", "--all", "--check"]);
    step::passes(command)
}

pub(crate) fn clippy(root: &Path) -> Outcome {
    let mut command = step::cargo(root);
    command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    step::passes(command)
}

/// Unit, protocol and in-process integration tests. nextest isolates each test in a process; where it
/// is not installed, `cargo test` runs the same tests.
pub(crate) fn unit(root: &Path) -> Outcome {
    let nextest = step::cargo(root)
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let mut command = step::cargo(root);
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--bins",
            "--lib",
            "--tests",
        ]);
    }
    step::passes_tests(command)
}

/// Licences, banned crates, one door for heavy ones, sources. Advisories only with a copy of the
/// database at hand: the tests must pass without a network.
fn deny(root: &Path, target: &Path) -> Outcome {
    let mut command = prerequisites::cargo_deny(root, target);
    command.args(["--offline", "check", "--hide-inclusion-graph"]);
    command.args(["licenses", "bans", "sources"]);
    step::passes(command)?;
    if !advisory_database_is_here() {
        return Ok(Done::noted(
            "advisories not checked: no copy of the database here",
        ));
    }
    let mut command = prerequisites::cargo_deny(root, target);
    command.args(["--offline", "check", "advisories"]);
    step::passes(command)
}

fn advisory_database_is_here() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    // A fetch that failed leaves a lock file and no copy.
    home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok())
        .is_some_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| e.path().is_dir())))
}

fn build(root: &Path) -> Outcome {
    let mut command = step::cargo(root);
    command.args(["build", "--release"]);
    step::passes(command)
}

/// The bootstraps' own tests, under every interpreter of this machine.
fn runtimes(root: &Path) -> Outcome {
    let mut command = Command::new("python3");
    command.current_dir(root).arg("runtimes/tests/run.py");
    step::passes_tests(command)
}

/// The black-box tests against the release build.
fn e2e(root: &Path, target: &Path, arguments: &[String]) -> Outcome {
    let venv = Venv::of(target);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(venv.bin()).chain(std::env::split_paths(&path)))
            .context("PATH cannot be extended")?;
    // Its output passes through us, so it cannot see the terminal itself.
    let colour = if std::io::stdout().is_terminal() {
        "--color=yes"
    } else {
        "--color=no"
    };
    let mut command = Command::new(venv.python());
    command
        .current_dir(root.join("e2e"))
        .env("KILN_BIN", target.join("release/kiln"))
        .env("PATH", path)
        .args(["-m", "pytest", "-n", E2E_WORKERS, colour])
        .args(arguments);
    step::passes_tests(command)
}

/// The short form: environments killed in each phase, secrets hunted, clones compared.
fn torture(root: &Path) -> Outcome {
    let mut command = step::cargo(root);
    command.args(["run", "--release", "--quiet", "--package", "bench", "--"]);
    command.arg("torture");
    step::passes_tests(command)
}

/// docs/coverage.md is what the program and AWS's models say today.
fn api_coverage(root: &Path, target: &Path) -> Outcome {
    if coverage::run(root, target, &["--check".to_owned()])? {
        return Ok(Done::default());
    }
    Err(anyhow::anyhow!("run `cargo xtask api-coverage` and commit docs/coverage.md").into())
}

fn rows(root: &Path) -> Outcome {
    if crate::rows::run(root, &["--check".to_owned()])? {
        return Ok(Done::default());
    }
    Err(anyhow::anyhow!("run `cargo xtask rows` and commit docs/rows.md").into())
}

fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = tidy::metadata(root)?;
    Ok(metadata.target_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        Options::parse(&arguments)
    }

    #[test]
    fn only_the_named_steps_are_wanted() {
        let options = parse(&["--only", "fmt", "--only=e2e"]).unwrap();
        assert!(options.wants("fmt") && options.wants("e2e") && !options.wants("clippy"));
        assert!(parse(&[]).unwrap().wants("clippy"));
    }

    #[test]
    fn unknown_steps_and_options_are_refused() {
        assert!(parse(&["--only", "everything"]).is_err());
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--quick"]).is_err());
    }

    #[test]
    fn a_step_only_needs_steps_that_run_before_it() {
        for (at, step) in STEPS.iter().enumerate() {
            for need in needs(step) {
                assert!(
                    STEPS.iter().take(at).any(|s| s == need),
                    "{step} needs {need}"
                );
            }
        }
    }
}
