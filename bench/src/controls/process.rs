//! Unit F: start, run and reap a static program that says hello. Also bare interpreters.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A static executable without a line of work.
pub(crate) struct Hello {
    path: PathBuf,
}

impl Hello {
    /// Compiles it below `folder`.
    pub(crate) fn build(folder: &Path) -> Result<Hello> {
        let source = folder.join("hello.rs");
        std::fs::write(&source, "fn main() { println!(\"hello\"); }\n")?;
        let path = folder.join("hello");
        compile(&source, &path)?;
        Ok(Hello { path })
    }

    pub(crate) fn run(&self) -> Result<Duration> {
        timed(Command::new(&self.path))
    }
}

/// Compiles one file to a static executable.
pub(crate) fn compile(source: &Path, to: &Path) -> Result<()> {
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
        ])
        .args(["-C", "strip=symbols", "-o"])
        .args([to, source])
        .status()
        .context("cannot start rustc")?;
    if !status.success() {
        bail!("{} cannot be compiled", source.display());
    }
    Ok(())
}

/// An interpreter that imports the given modules and ends.
pub(crate) struct Interpreter {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

impl Interpreter {
    pub(crate) fn run(&self) -> Result<Duration> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        timed(command)
    }
}

fn timed(mut command: Command) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    let took = started.elapsed();
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(took)
}
