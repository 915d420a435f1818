//! What the tests need beyond Rust, installed where it is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::{self, Done, Outcome};

/// Oldest Node.js that the JavaScript SDK and the Node.js bootstrap are tested with.
const NODE_MAJOR_MIN: u32 = 18;

/// The Python that runs the black-box tests, with their packages.
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    pub(crate) fn of(target: &Path) -> Venv {
        Venv {
            dir: target.join("e2e-venv"),
        }
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }
}

/// Checks licences and bans. Built without optimisation: that takes half the time and is fast enough.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Where `cargo deny` is: the user's own, or ours below `target`.
pub(crate) fn cargo_deny(root: &Path, target: &Path) -> Command {
    let ours = target.join("tools/bin/cargo-deny");
    if ours.exists() {
        let mut command = Command::new(ours);
        command.current_dir(root).arg("deny");
        return command;
    }
    let mut command = step::cargo(root);
    command.arg("deny");
    command
}

/// Python, Node.js, Ruby, a JDK and `cargo deny`: installs what is missing, or says how.
pub(crate) fn tools(root: &Path, target: &Path) -> Outcome {
    let mut installed = Vec::new();
    let mut missing = Vec::new();
    if !answers("python3", &["-c", "import venv, ensurepip"]) {
        missing.extend(["python3", "python3-venv"]);
    }
    if node_major().is_none_or(|major| major < NODE_MAJOR_MIN) || !answers("npm", &["--version"]) {
        missing.extend(["nodejs", "npm"]);
    }
    if !answers("ruby", &["-e", "exit RUBY_VERSION.to_i >= 3"]) {
        missing.push("ruby");
    }
    if !answers("javac", &["-version"]) {
        missing.push("default-jdk-headless");
    }
    if !missing.is_empty() {
        apt_install(&missing)?;
        installed.extend(missing);
    }
    let has_deny = cargo_deny(root, target)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_deny {
        let mut install = step::cargo(root);
        install.args(["install", "--locked", "--debug", CARGO_DENY, "--root"]);
        install.arg(target.join("tools"));
        step::passes(install)?;
        installed.push("cargo-deny");
    }
    if installed.is_empty() {
        return Ok(Done::default());
    }
    Ok(Done::noted(format!("installed {}", installed.join(", "))))
}

/// The Python environment and the node modules of the black-box tests.
pub(crate) fn packages(root: &Path, target: &Path) -> Outcome {
    let venv = Venv::of(target);
    if !venv.python().exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&venv.dir);
        step::passes(make)?;
    }
    let mut install = Command::new(venv.python());
    install
        .current_dir(root)
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg("e2e/requirements.txt");
    step::passes(install)?;
    if root.join("e2e/package-lock.json").exists() {
        let mut install = Command::new("npm");
        install.current_dir(root.join("e2e")).args([
            "ci",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        step::passes(install)?;
    }
    Ok(Done::default())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !answers("apt-get", &["--version"]) {
        bail!("needs {list}: install them with the package manager of this system, then run again");
    }
    if !answers("sh", &["-c", "test \"$(id -u)\" = 0"]) {
        bail!("needs {list}: run `sudo apt-get install {list}`, then run again");
    }
    for arguments in [vec!["update"], [&["install", "--yes"], packages].concat()] {
        let status = Command::new("apt-get")
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .context("cannot start apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed", arguments.join(" "));
        }
    }
    Ok(())
}

fn node_major() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

/// `v20.11.1` → 20
fn major_of(version: &str) -> Option<u32> {
    let (major, _) = version.trim().strip_prefix('v')?.split_once('.')?;
    major.parse().ok()
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major_of("v20.11.1\n"), Some(20));
        assert_eq!(major_of("node"), None);
    }

    #[test]
    fn a_program_that_is_missing_does_not_answer() {
        assert!(answers("true", &[]));
        assert!(!answers("false", &[]));
        assert!(!answers("no-such-program-anywhere", &[]));
    }
}
