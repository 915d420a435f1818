//! How a runtime is started: the interpreter on this host, the bootstrap, and the environment
//! variables.  [spec 4.6, 4.10]

mod bootstrap;
mod environment;
mod find;
mod java;
mod waiting;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Memory, Runtime, RuntimeFamily};
use sandbox::Mount;
use tasks::Tasks;

pub(crate) use environment::{Facts, environment};
use find::Interpreter;
pub use waiting::Waiting;

/// Where the interpreter's own prefix appears, if the host keeps it outside of `/usr`.
const LANG_DIR: &str = "/var/lang";
/// Where layers appear.
const OPT_DIR: &str = "/opt";
/// Where our bootstraps appear.
const RUNTIME_DIR: &str = "/var/runtime";

/// The program of an environment and the folders that it needs beside the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub argv: Vec<String>,
    pub mounts: Vec<Mount>,
    /// How the runtime starts before its function is known, if it can.
    pub waiting: Option<Arc<Waiting>>,
    /// A `provided.*` function without an executable `bootstrap`.
    pub bootstrap_missing: bool,
}

impl Launch {
    /// Adds the merged layers. Their bootstrap serves a function that brings none.
    /// [Lambda guide: custom runtimes]
    pub(crate) fn with_layers(mut self, opt: &Path) -> Launch {
        if self.bootstrap_missing && opt.join("bootstrap").exists() {
            self.argv = vec!["/opt/bootstrap".to_owned()];
            self.bootstrap_missing = false;
        }
        // A library of theirs may have to take the place of one that a waiting process has loaded.
        if opt.join("lib").exists() {
            self.waiting = None;
        }
        self.mounts.push(Mount {
            host: opt.to_owned(),
            inside: OPT_DIR.into(),
        });
        self
    }
}

/// The host cannot run the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MissingRuntime {
    /// Names what to install.
    pub message: String,
}

/// One row of `kiln doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub runtime: String,
    /// `None`: not found.
    pub path: Option<String>,
    /// What to install, if it is absent.
    pub fix: String,
}

/// Knows the interpreters of this host. Looks for one when it is first asked for.
pub struct Catalog {
    places: find::Places,
    bootstraps: PathBuf,
    ready: Mutex<HashMap<Runtime, Arc<Prepared>>>,
    /// Held while a bootstrap is written: one writer at a time.
    making: tokio::sync::Mutex<()>,
}

/// A managed runtime that can be launched.
#[derive(Debug)]
struct Prepared {
    argv: Vec<String>,
    mounts: Vec<Mount>,
    waiting: Option<Arc<Waiting>>,
}

impl Catalog {
    /// `folders`: where the operator keeps more interpreters. `home`: whose version managers are
    /// looked at. `bootstraps`: where our own files are written.
    pub fn new(folders: Vec<PathBuf>, home: Option<PathBuf>, bootstraps: PathBuf) -> Catalog {
        Catalog {
            places: find::Places { folders, home },
            bootstraps,
            ready: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// Finds what `runtime` needs and makes its bootstrap ready. `memory` is the function's.
    ///
    /// # Errors
    /// The host lacks the interpreter, or the data folder cannot be written.
    pub async fn prepare(
        &self,
        runtime: Runtime,
        code: &Path,
        memory: Memory,
        tasks: &Tasks,
    ) -> Result<Launch, MissingRuntime> {
        if runtime.family() == RuntimeFamily::Provided {
            return Ok(provided(code));
        }
        let prepared = match self.known(runtime) {
            Some(prepared) => prepared,
            None => self.make_ready(runtime, tasks).await?,
        };
        let mut argv = prepared.argv.clone();
        if runtime.family() == RuntimeFamily::Java {
            argv.insert(1, java::heap(memory));
        }
        Ok(Launch {
            argv,
            mounts: prepared.mounts.clone(),
            waiting: prepared.waiting.clone(),
            bootstrap_missing: false,
        })
    }

    fn known(&self, runtime: Runtime) -> Option<Arc<Prepared>> {
        self.ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&runtime)
            .cloned()
    }

    async fn make_ready(
        &self,
        runtime: Runtime,
        tasks: &Tasks,
    ) -> Result<Arc<Prepared>, MissingRuntime> {
        let _making = self.making.lock().await;
        if let Some(made_meanwhile) = self.known(runtime) {
            return Ok(made_meanwhile);
        }
        let (places, folder) = (self.places.clone(), self.bootstraps.clone());
        let work = move || {
            let interpreter = places.find(runtime).ok_or_else(|| missing(runtime))?;
            prepare_blocking(runtime, &interpreter, &folder).map_err(|e| MissingRuntime {
                message: format!("the bootstrap of {runtime} cannot be written: {e}"),
            })
        };
        let prepared = tasks.blocking(work).await.map_err(|e| MissingRuntime {
            message: format!("{runtime} was not prepared: {e}"),
        })??;
        let prepared = Arc::new(prepared);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.insert(runtime, prepared.clone());
        Ok(prepared)
    }

    /// Every runtime that Kiln has a bootstrap for, found or not.
    pub async fn list(&self, tasks: &Tasks) -> Vec<Found> {
        let places = self.places.clone();
        let work = move || {
            let row = |runtime: Runtime| Found {
                runtime: runtime.to_string(),
                path: match runtime.family() {
                    RuntimeFamily::Provided => Some("the function brings its own".to_owned()),
                    _ => places.find(runtime).map(|i| told(runtime, &i)),
                },
                fix: missing(runtime).message,
            };
            Runtime::all().filter(|r| is_built(*r)).map(row).collect()
        };
        tasks.blocking(work).await.unwrap_or_default()
    }

    /// The newest runtime of the same family that this host has; `name` itself if it has that.
    ///
    /// # Errors
    /// The host has none of the family.
    pub fn best_like(&self, name: &str) -> Result<String, MissingRuntime> {
        let wanted: Runtime = name.parse().map_err(|_| MissingRuntime {
            message: format!("{name} is no runtime of Lambda"),
        })?;
        let has =
            |r: Runtime| r.family() == RuntimeFamily::Provided || self.places.find(r).is_some();
        if has(wanted) {
            return Ok(name.to_owned());
        }
        let like = Runtime::all().filter(|r| r.family() == wanted.family() && is_built(*r));
        let mut like: Vec<Runtime> = like.filter(|r| has(*r)).collect();
        like.sort_by_key(|r| version_key(r.language_version()));
        like.last()
            .map(ToString::to_string)
            .ok_or_else(|| missing(wanted))
    }
}

/// Where an interpreter is, and which it is if it only stands in.
fn told(runtime: Runtime, interpreter: &Interpreter) -> String {
    let path = interpreter.program.display();
    match &interpreter.stands_in {
        None => path.to_string(),
        Some(version) => format!(
            "{path} (version {version} stands in for {})",
            runtime.language_version()
        ),
    }
}

/// The runtimes that Kiln has a bootstrap for.
fn is_built(runtime: Runtime) -> bool {
    match runtime.family() {
        RuntimeFamily::Python => version_key(runtime.language_version()) >= vec![3, 8],
        RuntimeFamily::NodeJs => version_key(runtime.language_version()) >= vec![16],
        RuntimeFamily::Java => runtime.as_str() != "java8",
        RuntimeFamily::Ruby => version_key(runtime.language_version()) >= vec![3, 2],
        RuntimeFamily::Provided => runtime.as_str() != "provided",
        _ => false,
    }
}

fn version_key(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or_default())
        .collect()
}

fn missing(runtime: Runtime) -> MissingRuntime {
    let version = runtime.language_version();
    let message = match runtime.family() {
        RuntimeFamily::Python if is_built(runtime) => format!(
            "{runtime} needs Python {version} on this host: install python{version}, or set `runtimes` to a folder that holds bin/python{version}"
        ),
        RuntimeFamily::NodeJs if is_built(runtime) => format!(
            "{runtime} needs Node.js {version} on this host: install node {version}, or set `runtimes` to a folder that holds bin/node"
        ),
        RuntimeFamily::Java if is_built(runtime) => format!(
            "{runtime} needs a JDK of version {version} or newer on this host (a JRE cannot compile the bootstrap): install openjdk-{version}-jdk-headless or default-jdk-headless, or set `runtimes` to a folder that holds bin/javac"
        ),
        RuntimeFamily::Ruby if is_built(runtime) => format!(
            "{runtime} needs Ruby {version} on this host, or any 3.x in its place: install ruby, or set `runtimes` to a folder that holds bin/ruby"
        ),
        _ => format!(
            "{runtime} is not built in Kiln yet: package the function with a bootstrap for provided.al2023"
        ),
    };
    MissingRuntime { message }
}

/// [Lambda guide: custom runtimes]
fn provided(code: &Path) -> Launch {
    Launch {
        argv: vec!["/var/task/bootstrap".to_owned()],
        mounts: Vec::new(),
        waiting: None,
        bootstrap_missing: !code.join("bootstrap").exists(),
    }
}

fn prepare_blocking(
    runtime: Runtime,
    interpreter: &Interpreter,
    folder: &Path,
) -> std::io::Result<Prepared> {
    let host = bootstrap::write(runtime, interpreter, folder)?;
    let mut mounts = vec![Mount {
        host: host.dir,
        inside: RUNTIME_DIR.into(),
    }];
    if let Some(prefix) = &interpreter.mounted_prefix {
        mounts.push(Mount {
            host: prefix.clone(),
            inside: LANG_DIR.into(),
        });
    }
    let mut argv = vec![interpreter.inside()];
    if runtime.family() == RuntimeFamily::Ruby {
        argv.extend(find::ruby_libraries(interpreter));
    }
    if runtime.family() == RuntimeFamily::Java {
        let options = java::options_of(&interpreter.program);
        argv.extend(options.into_iter().map(str::to_owned));
    }
    argv.extend(host.arguments);
    let waiting = Waiting::of(runtime, &argv, environment::generic(runtime), &mounts);
    Ok(Prepared {
        argv,
        mounts,
        waiting: waiting.map(Arc::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_absent_names_what_to_install() {
        let catalog = Catalog::new(Vec::new(), None, PathBuf::new());
        let error = catalog.best_like("dotnet8").unwrap_err();
        assert!(error.message.contains("provided.al2023"), "{error}");
        assert!(
            missing("python3.13".parse().unwrap())
                .message
                .contains("install python3.13")
        );
        assert!(
            missing("nodejs22.x".parse().unwrap())
                .message
                .contains("install node 22")
        );
    }

    #[test]
    fn a_bootstrap_of_a_layer_serves_a_function_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let (code, opt) = (dir.path().join("code"), dir.path().join("opt"));
        for folder in [&code, &opt] {
            std::fs::create_dir(folder).unwrap();
        }
        let launch = || provided(&code).with_layers(&opt);
        assert!(launch().bootstrap_missing);
        std::fs::write(opt.join("bootstrap"), "").unwrap();
        assert_eq!(launch().argv, ["/opt/bootstrap"]);
        assert!(!launch().bootstrap_missing);
        assert_eq!(launch().mounts[0].inside, Path::new("/opt"));
        std::fs::write(code.join("bootstrap"), "").unwrap();
        assert_eq!(launch().argv, ["/var/task/bootstrap"]);
    }

    #[tokio::test]
    async fn a_bootstrap_that_many_ask_for_is_written_once() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["p/bin", "p/lib/python3.14"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("p/lib/python3.14/os.py"), "").unwrap();
        let program = at("p/bin/python3.14");
        let log = at("log");
        std::fs::write(
            &program,
            format!("#!/bin/sh\necho run >> {}\n", log.display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let catalog = Catalog::new(vec![dir.path().to_owned()], None, at("runtimes"));
        let tasks = Tasks::new(tasks::Clock::real(), tasks::Ids::seeded(1));
        let runtime: Runtime = "python3.14".parse().unwrap();
        let code = at("code");
        let one = || catalog.prepare(runtime, &code, Memory::MIN, &tasks);
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let first = a.unwrap();
        assert!(
            [b, c, d]
                .into_iter()
                .all(|other| other.as_ref() == Ok(&first))
        );
        assert_eq!(std::fs::read_to_string(log).unwrap(), "run\n");
        assert!(first.mounts[0].host.join("bootstrap.py").is_file());
        assert_eq!(std::fs::read_dir(at("runtimes")).unwrap().count(), 1);
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(version_key("3.9") < version_key("3.10"));
        assert!(is_built("python3.14".parse().unwrap()));
        assert!(!is_built("python3.7".parse().unwrap()));
    }
}
