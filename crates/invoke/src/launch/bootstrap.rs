//! Writes the bootstraps that Kiln carries inside, once per content.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use model::{Runtime, RuntimeFamily};

use super::find::Interpreter;
use super::java;

pub(super) type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../runtimes/", $folder, "/", $name)))),+]
    };
}

static PYTHON: Files = files!(
    "python": "bootstrap.py", "kiln_runtime/__init__.py", "kiln_runtime/client.py",
    "kiln_runtime/context.py", "kiln_runtime/encoder.py", "kiln_runtime/fault.py",
    "kiln_runtime/handler.py", "kiln_runtime/logs.py", "kiln_runtime/output.py",
    "kiln_runtime/debug.py", "kiln_runtime/rehearsal.py", "kiln_runtime/report.py", "kiln_runtime/result.py", "kiln_runtime/snapshot.py",
    "kiln_runtime/template.py", "snapshot_restore_py.py",
);
static NODE_JS: Files = files!(
    "nodejs": "index.cjs", "client.cjs", "errors.cjs", "handler.cjs", "loop.cjs", "output.cjs",
    "stream.cjs", "wait.cjs",
);

static RUBY: Files = files!(
    "ruby": "bootstrap.rb", "kiln_runtime/client.rb", "kiln_runtime/context.rb",
    "kiln_runtime/fault.rb", "kiln_runtime/handler.rb", "kiln_runtime/logs.rb",
    "kiln_runtime/loop.rb", "kiln_runtime/waiting.rb",
);

static JAVA: Files = files!(
    "java": "com/amazonaws/services/lambda/crac/CheckpointException.java",
    "com/amazonaws/services/lambda/crac/Context.java",
    "com/amazonaws/services/lambda/crac/Core.java",
    "com/amazonaws/services/lambda/crac/Resource.java",
    "com/amazonaws/services/lambda/crac/RestoreException.java",
    "com/amazonaws/services/lambda/runtime/Client.java",
    "com/amazonaws/services/lambda/runtime/ClientContext.java",
    "com/amazonaws/services/lambda/runtime/CognitoIdentity.java",
    "com/amazonaws/services/lambda/runtime/Context.java",
    "com/amazonaws/services/lambda/runtime/CustomPojoSerializer.java",
    "com/amazonaws/services/lambda/runtime/LambdaLogger.java",
    "com/amazonaws/services/lambda/runtime/LambdaRuntime.java",
    "com/amazonaws/services/lambda/runtime/LambdaRuntimeInternal.java",
    "com/amazonaws/services/lambda/runtime/RequestHandler.java",
    "com/amazonaws/services/lambda/runtime/RequestStreamHandler.java",
    "com/amazonaws/services/lambda/runtime/logging/LogFormat.java",
    "com/amazonaws/services/lambda/runtime/logging/LogLevel.java",
    "kiln/runtime/Api.java",
    "kiln/runtime/Beans.java",
    "kiln/runtime/Descriptors.java",
    "kiln/runtime/EventContext.java",
    "kiln/runtime/Fault.java",
    "kiln/runtime/Handler.java",
    "kiln/runtime/Json.java",
    "kiln/runtime/Logs.java",
    "kiln/runtime/Main.java",
    "kiln/runtime/Mapper.java",
    "kiln/runtime/Scalars.java",
    "kiln/runtime/Training.java",
);

/// Held while a bootstrap is written: calls that arrive together want the same folder.
static WRITING: Mutex<()> = Mutex::new(());

/// A folder for `/var/runtime` and what follows the interpreter on its command line.
pub(super) struct Written {
    pub(super) dir: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Writes the bootstrap of `runtime` below `folder` unless it is there. Python's and Java's are compiled
/// by the interpreter that will run them: `/var/runtime` is read-only, and compiling costs on each cold
/// start.
pub(super) fn write(
    runtime: Runtime,
    interpreter: &Interpreter,
    folder: &Path,
) -> io::Result<Written> {
    let (files, main) = match runtime.family() {
        RuntimeFamily::NodeJs => (NODE_JS, "index.cjs"),
        RuntimeFamily::Ruby => (RUBY, "bootstrap.rb"),
        RuntimeFamily::Java => (JAVA, java::MAIN),
        _ => (PYTHON, "bootstrap.py"),
    };
    let mut name = DefaultHasher::new();
    (files, &interpreter.program).hash(&mut name);
    let name = format!("{runtime}-{:016x}", name.finish());
    let dir = folder.join(&name);
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if !dir.is_dir() {
        // Made beside and renamed: a folder that exists is complete.
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        let sources = match runtime.family() {
            RuntimeFamily::Java => fresh.join(java::SOURCES),
            _ => fresh.clone(),
        };
        for (file, text) in files {
            let path = sources.join(file);
            std::fs::create_dir_all(path.parent().unwrap_or(&sources))?;
            std::fs::write(path, text)?;
        }
        match runtime.family() {
            RuntimeFamily::Python => compile(interpreter, &fresh, files)?,
            RuntimeFamily::Java => java::build(&interpreter.program, &fresh, files)?,
            _ => {}
        }
        if let Err(error) = std::fs::rename(&fresh, &dir) {
            std::fs::remove_dir_all(&fresh)?;
            if !dir.is_dir() {
                return Err(error);
            }
        }
    }
    if runtime.family() == RuntimeFamily::Java {
        return Ok(java::written(&dir));
    }
    Ok(Written {
        dir,
        arguments: vec![format!("{}/{main}", super::RUNTIME_DIR)],
    })
}

fn compile(interpreter: &Interpreter, dir: &Path, files: Files) -> io::Result<()> {
    const SCRIPT: &str = "import py_compile, sys\n\
        for f in sys.argv[2:]:\n\
        \x20py_compile.compile(sys.argv[1] + '/' + f, None, '/var/runtime/' + f, True, -1,\
        \x20py_compile.PycInvalidationMode.UNCHECKED_HASH)";
    let mut command = Command::new(&interpreter.program);
    command
        .args(["-I", "-c", SCRIPT])
        .arg(dir)
        .args(files.iter().map(|(file, _)| file));
    run(&mut command)
}

/// Runs a program of the host to its end; its error is what it said.
pub(super) fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_bootstraps_is_carried() {
        for (folder, files) in [
            ("python", PYTHON),
            ("nodejs", NODE_JS),
            ("ruby", RUBY),
            ("java", JAVA),
        ] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../runtimes")
                .join(folder);
            let mut found = Vec::new();
            list(&root, Path::new(""), &mut found);
            let mut carried: Vec<String> =
                files.iter().map(|(name, _)| (*name).to_owned()).collect();
            found.sort();
            carried.sort();
            assert_eq!(found, carried);
        }
    }

    #[test]
    fn calls_that_arrive_together_get_one_whole_bootstrap() {
        let folder = std::env::temp_dir().join(format!("kiln-bootstrap-{}", std::process::id()));
        let interpreter = Interpreter {
            program: "/usr/bin/node".into(),
            mounted_prefix: None,
            stands_in: None,
        };
        let runtime: Runtime = "nodejs22.x".parse().unwrap();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| write(runtime, &interpreter, &folder).unwrap().dir))
                .collect();
            for call in calls {
                let dir = call.join().unwrap();
                assert!(NODE_JS.iter().all(|(file, _)| dir.join(file).is_file()));
            }
        });
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn list(root: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(root.join(below)).unwrap().flatten() {
            let path = below.join(entry.file_name());
            match path.extension().and_then(|e| e.to_str()) {
                Some("py" | "cjs" | "rb" | "java") => found.push(path.display().to_string()),
                None if entry.path().is_dir() && !path.ends_with("__pycache__") => {
                    list(root, &path, found);
                }
                _ => {}
            }
        }
    }
}
