//! Trials that run inside of a crate's tests: their full form is the same test with greater numbers. A test
//! tells what it found in lines `FOUND id | what | tried | failed | note`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Torture;
use super::page::Finding;

/// Operations of the script on the simulated disk, and bits that turn over: full.
const DISK_OPERATIONS: &str = "2000";
const DISK_FLIPS: &str = "10000";

/// Random operations on each of three kinds of queue, and those of each of eight clients: full.
const QUEUE_OPERATIONS: &str = "333334";
const QUEUE_CLIENT_OPERATIONS: &str = "20000";

/// Jumps of the clock, and calls that ask to be admitted: full.
const CLOCK_JUMPS: &str = "1000";
const ADMISSIONS: &str = "1000000";

/// R2.
pub(super) fn disk(torture: &Torture) -> Result<Vec<Finding>> {
    let numbers = [
        ("KILN_DISK_OPERATIONS", DISK_OPERATIONS),
        ("KILN_DISK_FLIPS", DISK_FLIPS),
    ];
    test(torture, "store", &["everywhere::", "flips::"], &numbers)
}

/// R6.
pub(super) fn queues(torture: &Torture) -> Result<Vec<Finding>> {
    let numbers = [
        ("KILN_QUEUE_OPERATIONS", QUEUE_OPERATIONS),
        ("KILN_QUEUE_CLIENT_OPERATIONS", QUEUE_CLIENT_OPERATIONS),
    ];
    test(torture, "sqs", &["model::", "clients::"], &numbers)
}

/// R4.
pub(super) fn clock(torture: &Torture) -> Result<Vec<Finding>> {
    let numbers = [("KILN_CLOCK_JUMPS", CLOCK_JUMPS)];
    let mut findings = Vec::new();
    for (package, name) in [
        ("scheduler", "jumps::"),
        ("sqs", "jumps::"),
        ("invoke", "jumps::"),
        ("server", "signatures_are_as_old"),
    ] {
        findings.extend(test(torture, package, &[name], &numbers)?);
    }
    Ok(findings)
}

/// The part of R9 that needs no server.
pub(super) fn admissions(torture: &Torture) -> Result<Vec<Finding>> {
    let numbers = [("KILN_ADMISSIONS", ADMISSIONS)];
    test(torture, "invoke", &["no_crowd_gets_past"], &numbers)
}

/// Runs tests of a crate and reads what they found.
fn test(
    torture: &Torture,
    package: &str,
    names: &[&str],
    numbers: &[(&str, &str)],
) -> Result<Vec<Finding>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&torture.bench.root)
        .args(["test", "--quiet", "--package", package])
        .args(match package {
            "server" => &["--bins"][..],
            _ => &["--lib", "--test", "it"],
        })
        .args((!cfg!(debug_assertions) && package != "server").then_some("--release"))
        .args(["--", "--nocapture"])
        .args(names);
    if torture.is_full {
        command.envs(numbers.iter().copied());
    }
    let bar = torture.progress(&format!("tests of {package}"), 0);
    bar.enable_steady_tick(std::time::Duration::from_secs(1));
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut text = String::new();
    for line in BufReader::new(child.stderr.take().context("no output")?).lines() {
        let line = line?;
        if let Some((_, how_far)) = line.split_once("PROGRESS ") {
            torture.say(how_far);
        } else if let Some((_, what)) = line.split_once("FOUND ") {
            torture.say(what);
        }
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait()?;
    bar.finish_and_clear();
    if !status.success() {
        let tail: Vec<&str> = text.lines().rev().take(8).collect();
        bail!("{}", tail.join(" / "));
    }
    let findings: Vec<Finding> = text.lines().filter_map(found).collect();
    if findings.is_empty() {
        bail!("the tests told nothing");
    }
    Ok(findings)
}

/// One finding of a test. A test that passes has reached its goal, however often it tries.
fn found(line: &str) -> Option<Finding> {
    let (_, rest) = line.split_once("FOUND ")?;
    let mut cells = rest.split(" | ").map(str::trim);
    let (id, what) = (cells.next()?, cells.next()?);
    let (tried, failed) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    let finding = Finding::new(id, what, tried).counted(tried, failed);
    Some(finding.noted(cells.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_tells_what_it_found() {
        let finding = found("test x ... FOUND R2 | image | 12 | 1 | at every step").unwrap();
        let told = serde_json::to_value(&finding).unwrap();
        let cells = ["id", "what", "note"].map(|name| told[name].as_str().unwrap());
        assert_eq!(cells, ["R2", "image", "at every step"]);
        assert_eq!((&told["tried"], &told["failed"]), (&12.into(), &1.into()));
        assert!(found("test x ... ok").is_none());
    }
}
