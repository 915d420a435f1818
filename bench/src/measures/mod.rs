//! What is measured, and the goals.

mod cold;
mod durable;
mod footprint;
mod load;
mod warm;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::controls::process::{Hello, compile};
use crate::kiln::{Function, Kiln};
use crate::report::Row;

pub(crate) const NAMES: [&str; 5] = ["warm", "load", "cold", "footprint", "durable"];

/// Length of the payload of warm calls.
const PAYLOAD_BYTES: usize = 1 << 10;

/// What every measure needs.
pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    /// On the disk of the build, gone at the end.
    pub(crate) folder: TempDir,
    pub(crate) binary: PathBuf,
    pub(crate) hello: Hello,
    is_quick: bool,
}

impl Bench {
    pub(crate) fn new(root: &Path, is_quick: bool) -> Result<Bench> {
        // The build puts this program beside the server.
        let products = std::env::current_exe()?
            .parent()
            .context("this program lies in a folder")?
            .to_path_buf();
        let folder = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(&products)?;
        let hello = Hello::build(folder.path())?;
        Ok(Bench {
            root: root.to_path_buf(),
            binary: products.join("kiln"),
            folder,
            hello,
            is_quick,
        })
    }

    /// Fewer of something in a quick run.
    pub(crate) fn some(&self, n: usize) -> usize {
        if self.is_quick { n.div_ceil(4) } else { n }
    }

    pub(crate) fn kiln(&self) -> Result<Kiln> {
        Kiln::start(&self.binary, self.folder.path())
    }

    /// `examples/hello-rust`, linked statically.
    pub(crate) fn native(&self) -> Result<Function> {
        let path = self.folder.path().join("bootstrap");
        if !path.exists() {
            compile(&self.root.join("examples/hello-rust/src/main.rs"), &path)?;
        }
        let program = std::fs::read(&path)?;
        Function::new("provided.al2023", "bootstrap", &[("bootstrap", &program)])
    }
}

pub(crate) fn run(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    match name {
        "warm" => warm::run(bench),
        "load" => load::run(bench),
        "cold" => cold::run(bench),
        "footprint" => footprint::run(bench),
        _ => durable::run(bench),
    }
}

/// A payload of one KiB that every example takes.
fn payload() -> Vec<u8> {
    let frame = "{\"name\":\"\"}".len();
    format!("{{\"name\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES - frame)).into_bytes()
}

/// An interpreter of this machine and the runtime that it stands for.
pub(crate) struct Language {
    pub(crate) name: &'static str,
    pub(crate) runtime: String,
    pub(crate) program: PathBuf,
    handler_file: &'static str,
    handler_source: &'static str,
}

impl Language {
    /// Python and Node.js in the versions that this machine calls its own, where the server finds them: both
    /// sides of a comparison run the same executable.
    pub(crate) fn all(server: &Path) -> Result<Vec<Language>> {
        let doctor = Command::new(server).args(["doctor", "--json"]).output()?;
        let found: Value = serde_json::from_slice(&doctor.stdout).context("kiln doctor --json")?;
        let candidates = [Language::python(), Language::node()];
        let here = |mut language: Language| {
            let rows = found.get("runtimes")?.as_array()?.iter();
            let row = rows.into_iter().find(|row| {
                row.get("runtime").and_then(Value::as_str) == Some(language.runtime.as_str())
            })?;
            language.program = row.get("path")?.as_str()?.into();
            Some(language)
        };
        Ok(candidates.into_iter().flatten().filter_map(here).collect())
    }

    fn python() -> Option<Language> {
        let version = said(
            "python3",
            &["-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        )?;
        Some(Language {
            name: "Python",
            runtime: format!("python{version}"),
            program: PathBuf::new(),
            handler_file: "main.py",
            handler_source: "import sys\ndef handler(event, context):\n    return sorted(sys.modules) if event.get('modules') else event\n",
        })
    }

    fn node() -> Option<Language> {
        let version = said("node", &["-p", "process.versions.node.split('.')[0]"])?;
        Some(Language {
            name: "Node.js",
            runtime: format!("nodejs{version}.x"),
            program: PathBuf::new(),
            handler_file: "main.mjs",
            handler_source: "import { builtinModules } from 'node:module';\n\
                export const handler = async (event) => event.modules\n  \
                ? process.moduleLoadList.map((m) => m.replace(/^NativeModule /, '')).filter((m) => builtinModules.includes(m))\n  \
                : event;\n",
        })
    }

    pub(crate) fn function(&self) -> Result<Function> {
        Function::new(
            &self.runtime,
            "main.handler",
            &[(self.handler_file, self.handler_source.as_bytes())],
        )
    }

    /// Writes the handler to a folder, for a run without Kiln.
    pub(crate) fn write_to(&self, folder: &Path) -> Result<()> {
        std::fs::write(folder.join(self.handler_file), self.handler_source)?;
        Ok(())
    }

    /// The program and arguments that start Kiln's bootstrap.
    pub(crate) fn bootstrap(&self, root: &Path) -> Vec<String> {
        let script = match self.name {
            "Python" => "runtimes/python/bootstrap.py",
            _ => "runtimes/nodejs/index.cjs",
        };
        vec![
            self.program.to_string_lossy().into_owned(),
            root.join(script).to_string_lossy().into_owned(),
        ]
    }

    /// Arguments of the bare interpreter that import the named modules and end.
    pub(crate) fn imports(&self, modules: &[String]) -> Vec<String> {
        match self.name {
            "Python" => vec!["-c".to_owned(), format!("import {}", modules.join(", "))],
            _ => {
                let requires: Vec<String> =
                    modules.iter().map(|m| format!("require('{m}')")).collect();
                vec!["-e".to_owned(), requires.join(";")]
            }
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_json_of_one_kib() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        serde_json::from_slice::<serde_json::Value>(&payload()).unwrap();
    }
}
