//! `cargo xtask api-coverage`: holds what Kiln registers against AWS's published service models and
//! writes `docs/coverage.md`.
//!
//! What Kiln registers comes from the program itself (`kiln internal-api`), AWS's models from the
//! installed botocore. Both are read as JSON; nothing is generated into the program.

mod compare;
mod model;
mod page;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::prerequisites::Venv;
use crate::step;

const PAGE: &str = "docs/coverage.md";

/// What the program registers, as `wire::Router::describe` writes it.
#[derive(Deserialize)]
struct Registered {
    services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    name: String,
    target_prefix: Option<String>,
    protocols: Vec<String>,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    name: String,
    built: bool,
    raw: bool,
    status: u16,
    route: Option<Route>,
    headers: Vec<Header>,
    input: Option<Value>,
}

#[derive(Deserialize)]
struct Route {
    method: String,
    path: String,
    query: Vec<Parameter>,
    /// Parameters that must have this value.
    required: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Parameter {
    parameter: String,
    member: String,
}

#[derive(Deserialize)]
struct Header {
    header: String,
    member: String,
}

/// Writes the page, or with `--check` only says whether it is up to date.
pub(crate) fn run(root: &Path, target: &Path, arguments: &[String]) -> Result<bool> {
    let is_check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        other => bail!("api-coverage takes --check or nothing, not {other:?}"),
    };
    let registered = registered(root)?;
    let models = model::read(&python(target), &registered.names())?;
    let text = page::write(&registered, &models);
    let path = root.join(PAGE);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before == text {
        println!("{PAGE} is up to date");
        return Ok(true);
    }
    if is_check {
        println!("{PAGE} is not up to date: run `cargo xtask api-coverage` and commit it");
        return Ok(false);
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{PAGE} is written");
    Ok(true)
}

impl Registered {
    fn names(&self) -> Vec<&str> {
        self.services.iter().map(|s| s.name.as_str()).collect()
    }
}

/// Asks the release build what it registers; builds it if it is not there.
fn registered(root: &Path) -> Result<Registered> {
    let output = step::cargo(root)
        .args(["run", "--release", "--quiet", "--package", "server"])
        .args(["--bin", "kiln", "--", "internal-api"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("kiln internal-api failed");
    }
    serde_json::from_slice(&output.stdout).context("kiln internal-api wrote something else")
}

/// The Python of the black-box tests, whose botocore has a fixed version; else the system's.
fn python(target: &Path) -> Command {
    let venv = Venv::of(target).python();
    if venv.exists() {
        Command::new(venv)
    } else {
        Command::new("python3")
    }
}
