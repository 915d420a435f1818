//! What is measured, and the goals.

mod catalogue;
mod churn;
mod cold;
mod crowd;
mod density;
mod durable;
mod events;
mod footprint;
mod load;
mod neighbour;
mod package;
mod registered;
mod snapstart;
mod warm;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::controls::process::{Hello, Interpreter, compile};
use crate::kiln::{Function, Kiln, Setup};
use crate::report::Row;

/// Longest run, and longest run of everything. What would pass it is not measured.
pub(crate) const RUN_MAX: Duration = Duration::from_secs(15 * 60);
pub(crate) const FULL_RUN_MAX: Duration = Duration::from_secs(25 * 60);
/// With less time left nothing is begun.
pub(crate) const TIME_MIN: Duration = Duration::from_secs(45);

/// Some figures that are measured together.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) ids: &'static [&'static str],
    /// Only in a full run or by name.
    pub(crate) is_long: bool,
    pub(crate) time_max: Duration,
    pub(crate) run: fn(&Bench) -> Result<Vec<Row>>,
}

const fn quick(
    name: &'static str,
    ids: &'static [&'static str],
    run: fn(&Bench) -> Result<Vec<Row>>,
) -> Measure {
    Measure {
        name,
        ids,
        is_long: false,
        time_max: Duration::from_secs(180),
        run,
    }
}

const fn long(
    name: &'static str,
    ids: &'static [&'static str],
    run: fn(&Bench) -> Result<Vec<Row>>,
) -> Measure {
    Measure {
        name,
        ids,
        is_long: true,
        time_max: Duration::from_secs(180),
        run,
    }
}

/// With a hundred thousand functions, which take minutes to register on a busy machine.
const fn crowded(
    name: &'static str,
    ids: &'static [&'static str],
    run: fn(&Bench) -> Result<Vec<Row>>,
) -> Measure {
    Measure {
        time_max: Duration::from_secs(420),
        ..long(name, ids, run)
    }
}

/// In the order in which they run.
pub(crate) const MEASURES: &[Measure] = &[
    quick("warm", &["P1", "P2"], warm::run),
    quick("load", &["P3"], load::run),
    quick("cold", &["P4", "P5"], cold::native),
    quick("python", &["P6"], cold::python),
    quick("node", &["P7"], cold::node),
    quick("snapstart", &["P8"], snapstart::run),
    quick("churn", &["P10"], churn::run),
    quick("density", &["P11"], density::run),
    quick("footprint", &["P12", "P13"], footprint::run),
    quick("durable", &["P14"], durable::run),
    quick("events", &["P15"], events::start),
    quick("drain", &["P15"], events::drain),
    quick("package", &["P17"], package::run),
    long("neighbour", &["P19"], neighbour::run),
    crowded("registered", &["P12", "P13"], registered::run),
    crowded("crowd", &["P18"], crowd::run),
    crowded("catalogue", &["C1"], catalogue::run),
];

impl Measure {
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.ids.iter().any(|id| id.eq_ignore_ascii_case(name))
    }

    /// A row that says why there is no figure.
    pub(crate) fn none(&self, id: &str, why: &str) -> Row {
        let what = format!("the measure `{}`", self.name);
        Row::empty(id, &what, why).of(self)
    }

    /// Such a row for each of its figures.
    pub(crate) fn nothing(&self, why: &str) -> Vec<Row> {
        self.ids.iter().map(|id| self.none(id, why)).collect()
    }
}

/// Length of the payload of warm calls.
const PAYLOAD_BYTES: usize = 1 << 10;

/// What a server keeps ready for cold starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ready {
    Sandboxes,
    /// Runtimes that wait for their function or are forked into it.
    Runtimes,
}

impl Ready {
    /// The key of the setting that says how many; zero is none.
    fn setting(self) -> &'static str {
        match self {
            Ready::Sandboxes => "pool_sandboxes",
            Ready::Runtimes => "pool_waiting",
        }
    }
}

/// What every measure needs.
pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    /// On the disk of the build, gone at the end.
    pub(crate) folder: TempDir,
    pub(crate) binary: PathBuf,
    pub(crate) hello: Hello,
    /// Keys of the server's configuration.
    settings: Vec<String>,
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
        let binary = products.join("kiln");
        Ok(Bench {
            root: root.to_path_buf(),
            settings: settings(&binary)?,
            binary,
            folder,
            hello,
            is_quick,
        })
    }

    /// Fewer of something in a quick run.
    pub(crate) fn some(&self, n: usize) -> usize {
        if self.is_quick { n.div_ceil(4) } else { n }
    }

    /// A server with its defaults.
    pub(crate) fn kiln(&self) -> Result<Kiln> {
        self.setup().start()
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup::new(&self.binary, self.folder.path())
    }

    /// A server that keeps nothing ready: every environment is made when it is asked for.
    pub(crate) fn bare_kiln(&self) -> Result<Kiln> {
        let kept = self.settings.iter().filter(|key| keeps_ready(key));
        let off = |setup: Setup, key: &String| setup.with(&variable(key), off(key));
        kept.fold(self.setup(), off).start()
    }

    /// Whether the server can keep this ready.
    pub(crate) fn has(&self, what: Ready) -> bool {
        self.settings.iter().any(|known| known == what.setting())
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// `examples/hello-rust`, linked statically.
    pub(crate) fn native_program(&self) -> Result<Vec<u8>> {
        let path = self.folder.path().join("bootstrap");
        if !path.exists() {
            compile(&self.root.join("examples/hello-rust/src/main.rs"), &path)?;
        }
        Ok(std::fs::read(&path)?)
    }

    pub(crate) fn native(&self) -> Result<Function> {
        let program = self.native_program()?;
        Function::new("provided.al2023", "bootstrap", &[("bootstrap", &program)])
    }
}

/// The value that keeps nothing ready.
fn off(key: &str) -> &'static str {
    match key {
        "templates" => "false",
        _ => "0",
    }
}

/// Settings that say how much is kept ready.
fn keeps_ready(key: &str) -> bool {
    key.starts_with("pool_") || key.starts_with("template")
}

/// `idle_keep_secs` → `KILN_IDLE_KEEP_SECS`
fn variable(setting: &str) -> String {
    format!("KILN_{}", setting.to_uppercase())
}

/// Keys that `kiln config` lists.
fn settings(binary: &Path) -> Result<Vec<String>> {
    let output = Command::new(binary).arg("config").output()?;
    let text = String::from_utf8(output.stdout).context("kiln config")?;
    let key = |line: &str| Some(line.split_whitespace().next()?.to_owned());
    Ok(text.lines().filter_map(key).collect())
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

    /// That one of them, if it is here.
    pub(crate) fn named(name: &str, bench: &Bench) -> Result<Option<Language>> {
        let mut all = Language::all(&bench.binary)?.into_iter();
        Ok(all.find(|language| language.name == name))
    }

    /// The newest Python here that has SnapStart.  [Lambda guide: 3.12 and newer]
    pub(crate) fn restorable(server: &Path) -> Result<Option<String>> {
        const FIRST: u32 = 12;
        let doctor = Command::new(server).args(["doctor", "--json"]).output()?;
        let found: Value = serde_json::from_slice(&doctor.stdout).context("kiln doctor --json")?;
        let rows = found.get("runtimes").and_then(Value::as_array);
        let minor = |row: &Value| -> Option<u32> {
            row.get("path")?.as_str()?;
            let name = row.get("runtime")?.as_str()?;
            name.strip_prefix("python3.")?.parse().ok()
        };
        let newest = rows.into_iter().flatten().filter_map(minor).max();
        Ok(newest
            .filter(|minor| *minor >= FIRST)
            .map(|minor| format!("python3.{minor}")))
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
        self.importing("")
    }

    /// The function behind further lines of code.
    pub(crate) fn importing(&self, lines: &str) -> Result<Function> {
        let source = format!("{lines}{}", self.handler_source);
        Function::new(
            &self.runtime,
            "main.handler",
            &[(self.handler_file, source.as_bytes())],
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

    /// The bare interpreter, importing the named modules.
    pub(crate) fn interpreter(&self, modules: &[String]) -> Interpreter {
        Interpreter {
            program: self.program.clone(),
            arguments: self.imports(modules),
        }
    }

    /// Arguments of the bare interpreter that import the named modules and end.
    fn imports(&self, modules: &[String]) -> Vec<String> {
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
    fn every_figure_is_found_by_its_name() {
        for measure in MEASURES {
            assert!(measure.is_called(measure.name));
            assert!(
                measure
                    .ids
                    .iter()
                    .all(|id| measure.is_called(&id.to_lowercase()))
            );
        }
        assert!(MEASURES.iter().any(|measure| measure.is_called("p18")));
    }

    #[test]
    fn a_full_run_has_time_for_everything() {
        let longest = |measures: &mut dyn Iterator<Item = &Measure>| -> Duration {
            measures.map(|m| m.time_max).sum()
        };
        let usual = longest(&mut MEASURES.iter().filter(|m| !m.is_long));
        assert!(usual / 4 < RUN_MAX);
        let all = longest(&mut MEASURES.iter());
        assert!(all / 3 < FULL_RUN_MAX, "{all:?}");
    }

    #[test]
    fn the_payload_is_json_of_one_kib() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        serde_json::from_slice::<serde_json::Value>(&payload()).unwrap();
    }
}
