//! The Java bootstrap: compiled once on this host, with an archive of its classes that every environment
//! maps, and started with a heap that fits the function.

use std::io;
use std::path::Path;
use std::process::Command;

use model::Memory;
use tracing::warn;

use super::bootstrap::{Files, Written, run};

/// The class that is started.
pub(super) const MAIN: &str = "kiln.runtime.Main";
/// What is run once to see which classes a start loads.
const TRAINING: &str = "kiln.runtime.Training";
/// Where the sources lie while they are compiled.
pub(super) const SOURCES: &str = "sources";

/// What becomes `/var/runtime`. The archive remembers the path of the jar as it was given, so it is given
/// relative to a folder beside, as `/var/task` will be.
const RUNTIME: &str = "runtime";
const TASK: &str = "task";
const JAR_FROM_TASK: &str = "../runtime/kiln.jar";
const JAR: &str = "kiln.jar";
const ARCHIVE: &str = "kiln.jsa";
/// First JDK that writes an archive when a program ends.  [JEP 350]
const ARCHIVE_SINCE: u32 = 13;
/// First JDK with modules, which has to be told that the bootstrap opens descriptors.
const MODULES_SINCE: u32 = 9;

/// The quickest start: no counters in a file, one thread for garbage, no compiler for the long run.
/// [Lambda guide: Java tiered compilation]
const QUICK: [&str; 3] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
];
/// The share of a function's memory that is heap, in percent.  [observed on AWS]
const HEAP_PERCENT: u64 = 85;

/// Compiles the sources in `fresh`, packs them, and writes the archive if this JDK can.
pub(super) fn build(java: &Path, fresh: &Path, files: Files) -> io::Result<()> {
    let bin = java.parent().unwrap_or(Path::new("/"));
    let (sources, classes) = (fresh.join(SOURCES), fresh.join("classes"));
    for folder in [RUNTIME, TASK, "classes"] {
        std::fs::create_dir_all(fresh.join(folder))?;
    }
    // Joining text by a method handle costs each cold start several milliseconds.
    run(Command::new(bin.join("javac"))
        .args([
            "-nowarn",
            "-encoding",
            "UTF-8",
            "-XDstringConcat=inline",
            "-d",
        ])
        .arg(&classes)
        .args(files.iter().map(|(file, _)| sources.join(file))))?;
    run(Command::new(bin.join("jar"))
        .arg("cf")
        .arg(fresh.join(RUNTIME).join(JAR))
        .arg("-C")
        .arg(&classes)
        .arg("."))?;
    for folder in [&sources, &classes] {
        std::fs::remove_dir_all(folder)?;
    }
    let major = major(java);
    if major >= ARCHIVE_SINCE {
        let trained = run(Command::new(java)
            .current_dir(fresh.join(TASK))
            .args(options(major))
            .arg(format!("-XX:ArchiveClassesAtExit=../{RUNTIME}/{ARCHIVE}"))
            .args(["-cp", JAR_FROM_TASK, TRAINING]));
        if let Err(error) = trained {
            warn!(%error, "no archive of Java classes: cold starts take longer");
        }
    }
    Ok(())
}

/// What `build` left in `dir`.
pub(super) fn written(dir: &Path) -> Written {
    let dir = dir.join(RUNTIME);
    let mut arguments = Vec::new();
    if dir.join(ARCHIVE).is_file() {
        let archive = format!("{}/{ARCHIVE}", super::RUNTIME_DIR);
        arguments.push(format!("-XX:SharedArchiveFile={archive}"));
        // An archive that does not fit is left aside; no function needs to hear of it.
        arguments.extend(["-Xlog:cds=off", "-Xlog:cds+dynamic=off"].map(str::to_owned));
    }
    // The second path counts if a wrapper went to another folder.
    let path = format!("{JAR_FROM_TASK}:{}/{JAR}", super::RUNTIME_DIR);
    arguments.extend(["-cp".to_owned(), path, MAIN.to_owned()]);
    Written { dir, arguments }
}

fn major(java: &Path) -> u32 {
    let home = java.parent().and_then(Path::parent);
    home.and_then(super::find::java_release).unwrap_or_default()
}

/// The options of every start on the JDK of `java`.
pub(super) fn options_of(java: &Path) -> Vec<&'static str> {
    options(major(java))
}

fn options(major: u32) -> Vec<&'static str> {
    let mut options = QUICK.to_vec();
    if major >= MODULES_SINCE {
        options.push("--add-opens=java.base/java.io=ALL-UNNAMED");
    }
    options
}

/// The option that sizes the heap.
pub(super) fn heap(memory: Memory) -> String {
    let kib = memory.bytes() / 1024 * HEAP_PERCENT / 100;
    format!("-XX:MaxHeapSize={kib}k")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_leaves_room_for_the_machine() {
        let memory = Memory::from_mib(512).unwrap();
        assert_eq!(heap(memory), "-XX:MaxHeapSize=445644k");
    }

    #[test]
    fn older_jdks_are_not_told_of_modules() {
        assert!(options(8).iter().all(|o| !o.starts_with("--")));
        assert!(options(17).iter().any(|o| o.starts_with("--add-opens")));
    }
}
