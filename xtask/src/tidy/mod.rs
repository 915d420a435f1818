//! The rules of the house that a machine can see: dependency table, doors, clocks, unsafe, file
//! length, links. Each finding names the rule and what to do instead.

mod doors;
mod edges;
mod links;
mod locks;
mod settings;
mod source;
mod sources;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::counts::Counts;
use crate::step::{self, Done, Failed, Outcome};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the repository.
    file: PathBuf,
    /// From 1; 0 speaks of the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            file: file.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What `cargo metadata` says, as far as we look at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// Absent for ordinary ones, else `dev` or `build`.
    kind: Option<String>,
    /// Present for crates of this repository.
    path: Option<PathBuf>,
}

impl Dependency {
    fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

pub(crate) fn metadata(root: &Path) -> Result<Metadata> {
    let output = step::cargo(root)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata prints something unknown")
}

pub(crate) fn run(root: &Path) -> Result<bool> {
    let findings = findings(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy");
    }
    Ok(findings.is_empty())
}

/// As one step of several.
pub(crate) fn step(root: &Path) -> Outcome {
    let findings = findings(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        return Ok(Done::default());
    }
    Err(Failed {
        counts: Counts::default(),
        reason: format!("{} findings, see above", findings.len()),
    })
}

fn findings(root: &Path) -> Result<Vec<Finding>> {
    let metadata = metadata(root)?;
    let files = tree::files(root)?;
    let mut findings = edges::check(root, &metadata)?;
    findings.extend(doors::check(root, &metadata));
    findings.extend(settings::check(root)?);
    for path in &files {
        let Some(text) = tree::text(&root.join(path))? else {
            continue;
        };
        if path.extension().is_some_and(|e| e == "rs") {
            findings.extend(sources::check(path, &text));
        }
        if path.extension().is_some_and(|e| e == "md") {
            findings.extend(links::check(root, path, &text));
        }
        findings.extend(locks::check(path, &text));
    }
    findings.sort();
    Ok(findings)
}
