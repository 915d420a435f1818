//! Control groups of one run: made at start, one directory per environment below, all removed at the
//! end. A run that was killed leaves empty ones; the next run removes them.
//!
//! Whether a run lives is told by a lock that its helper holds on the run's directory: the kernel
//! drops it with the process, whatever way it went.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::proto::Cgroups;

/// Below the helper's own group, or the root of the hierarchy.
const HOME: &str = "kiln";
/// Where the server goes if its own group must not hold processes.
const SERVER: &str = "kiln-server";
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// CPU time is granted in periods this long.  [observed on AWS: 20 ms]
pub(crate) const CPU_PERIOD_US: u64 = 20_000;

const MAKE_TRIES_MAX: u32 = 16;

/// Most processes of one environment, its first process and threads included.
const PIDS_MAX: u64 = super::confine::PROCESSES_MAX;

/// The calling thread.
pub(super) const SELF: &[u8] = b"0";

/// The groups of this run.
pub(super) struct Run {
    pub(super) info: Cgroups,
    pub(super) notes: Vec<String>,
    /// Held for the life of the helper.
    _locks: Vec<File>,
}

/// One line of `/proc/self/cgroup` matched with where that hierarchy is mounted.
struct Hierarchy {
    mount: PathBuf,
    /// The group of this process.
    own: PathBuf,
}

impl Run {
    /// Finds what this process may use and takes it.
    pub(super) fn open(name: &str) -> Run {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (groups, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mounts"));
        let mut run = Run {
            info: Cgroups::default(),
            notes: Vec::new(),
            _locks: Vec::new(),
        };
        if let Some(hierarchy) = version_2(&groups, &mounts) {
            match run.open_2(&hierarchy, name) {
                Ok(true) => return run,
                Ok(false) => {}
                Err(error) => run.notes.push(format!(
                    "cgroup v2 at {} cannot be used: {error}",
                    hierarchy.mount.display()
                )),
            }
        }
        // Needs no controller. Without it environments are stopped by signal.
        if let Some(hierarchy) = version_2(&groups, &mounts) {
            run.info.freezer = run.make(&hierarchy.candidates(), name).ok();
        }
        let mut any = false;
        for controller in CONTROLLERS {
            let Some(hierarchy) = version_1(&groups, &mounts, controller) else {
                continue;
            };
            match run.make(&hierarchy.candidates(), name) {
                Ok(path) => {
                    any = true;
                    *run.info.slot(controller) = Some(path);
                }
                Err(error) => run.notes.push(format!(
                    "cgroup v1 controller {controller} at {} cannot be used: {error}",
                    hierarchy.own.display()
                )),
            }
        }
        run.info.version = u8::from(any);
        if !any && run.notes.is_empty() {
            run.notes
                .push("no cgroup hierarchy with a memory controller is mounted".to_owned());
        }
        run
    }

    /// True if version 2 has the memory controller and can be used.
    fn open_2(&mut self, hierarchy: &Hierarchy, name: &str) -> io::Result<bool> {
        let offered = fs::read_to_string(hierarchy.own.join("cgroup.controllers"))
            .or_else(|_| fs::read_to_string(hierarchy.mount.join("cgroup.controllers")))?;
        let offered: Vec<_> = offered.split_whitespace().collect();
        if !offered.contains(&"memory") {
            return Ok(false);
        }
        let wanted: Vec<_> = CONTROLLERS
            .into_iter()
            .filter(|c| offered.contains(c))
            .collect();
        let mut last = io::Error::from(Errno::ACCESS);
        for parent in hierarchy.candidates() {
            match delegate(&parent, &wanted).and_then(|()| {
                let home = parent.join(HOME);
                make_dir(&home)?;
                enable(&home, &wanted)?;
                let path = self.make(std::slice::from_ref(&parent), name)?;
                enable(&path, &wanted)?;
                Ok(path)
            }) {
                Ok(path) => {
                    for controller in wanted {
                        *self.info.slot(controller) = Some(path.clone());
                    }
                    self.info.freezer = Some(path);
                    self.info.version = 2;
                    return Ok(true);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Makes and locks the directory of this run below the first parent that allows it.
    fn make(&mut self, parents: &[PathBuf], name: &str) -> io::Result<PathBuf> {
        let mut last = io::Error::from(Errno::NOENT);
        for parent in parents {
            let home = parent.join(HOME);
            // Another run that ends removes `home` when it seems unused.
            let lost = [io::ErrorKind::NotFound, io::ErrorKind::WouldBlock];
            let mut made = make_run(&home, name);
            for _ in 0..MAKE_TRIES_MAX {
                if !made.as_ref().is_err_and(|e| lost.contains(&e.kind())) {
                    break;
                }
                made = make_run(&home, name);
            }
            match made {
                Ok((path, lock)) => {
                    self._locks.push(lock);
                    return Ok(path);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Removes everything of this run. The environments are gone by now.
    pub(super) fn remove(&self) {
        for path in self.info.directories() {
            remove_tree(path);
            // Others may use it: then it stays.
            if let Some(home) = path.parent() {
                let _ = fs::remove_dir(home);
            }
        }
    }
}

impl Cgroups {
    fn slot(&mut self, controller: &str) -> &mut Option<PathBuf> {
        match controller {
            "memory" => &mut self.memory,
            "cpu" => &mut self.cpu,
            _ => &mut self.pids,
        }
    }

    /// Makes the groups of one environment before it has processes, with the limits that all have.
    pub(super) fn create(&self, id: &str) -> io::Result<()> {
        let paths = self.directories();
        for path in &paths {
            fs::create_dir(path.join(id))?;
        }
        if let Some(pids) = &self.pids {
            write(&pids.join(id).join("pids.max"), &PIDS_MAX.to_string())?;
        }
        // The server adds the share, when init is over.
        if let Some(cpu) = self.cpu.as_ref().filter(|_| self.version == 1) {
            let period = CPU_PERIOD_US.to_string();
            write(&cpu.join(id).join("cpu.cfs_period_us"), &period)?;
        }
        Ok(())
    }

    /// Fails if the processes use more already.
    pub(super) fn limit_memory(&self, id: &str, bytes: u64) -> io::Result<()> {
        let Some(path) = self.memory.as_ref().map(|memory| memory.join(id)) else {
            return Ok(());
        };
        let limit = bytes.to_string();
        if self.version == 2 {
            write(&path.join("memory.max"), &limit)?;
            // Absent where the kernel has no swap accounting or the group is the last level.
            let _ = write(&path.join("memory.swap.max"), "0");
            let _ = write(&path.join("memory.oom.group"), "1");
        } else {
            // With swap must never be below without. Absent without accounting of swap.
            let with_swap = || write(&path.join("memory.memsw.limit_in_bytes"), &limit);
            let without = || write(&path.join("memory.limit_in_bytes"), &limit);
            if without().is_err() {
                let _ = with_swap();
                without()?;
            }
            let _ = with_swap();
            let _ = write(&path.join("memory.swappiness"), "0");
        }
        Ok(())
    }

    /// Files into which the environment's first process writes [`SELF`] to enter its groups, with
    /// version 1. A process that moves itself as one thread spares the kernel the lock that every
    /// other way takes, which costs milliseconds. Version 2 enters groups while cloning.
    pub(super) fn entrances(&self, id: &str) -> io::Result<Vec<File>> {
        if self.version != 1 {
            return Ok(Vec::new());
        }
        self.directories()
            .into_iter()
            .filter(|path| self.freezer.as_ref() != Some(path))
            .map(|path| {
                fs::OpenOptions::new()
                    .write(true)
                    .open(path.join(id).join("tasks"))
            })
            .collect()
    }

    /// Files into which another process writes a number to move that process into the groups.
    pub(super) fn movers(&self, id: &str) -> io::Result<Vec<File>> {
        let mut movers = self.entrances(id)?;
        if let Some(path) = &self.freezer {
            let procs = path.join(id).join("cgroup.procs");
            movers.push(fs::OpenOptions::new().write(true).open(procs)?);
        }
        Ok(movers)
    }

    /// The group of version 2 to clone into.
    pub(super) fn clone_target(&self, id: &str) -> io::Result<Option<OwnedFd>> {
        match &self.freezer {
            Some(path) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(Some(rustix::fs::open(path.join(id), flags, Mode::empty())?))
            }
            None => Ok(None),
        }
    }

    /// True once all groups of the environment are gone; false while the kernel still holds one.
    pub(super) fn try_remove(&self, id: &str) -> bool {
        let mut gone = true;
        for path in self.directories() {
            match fs::remove_dir(path.join(id)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => gone = false,
                Ok(()) => {}
            }
        }
        gone
    }
}

/// Lets children of `parent` have the controllers. A group that holds processes cannot; if they are
/// all our own (a service of our own), they move into a leaf first.
fn delegate(parent: &Path, controllers: &[&str]) -> io::Result<()> {
    let Err(first) = enable(parent, controllers) else {
        return Ok(());
    };
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    let procs = fs::read_to_string(parent.join("cgroup.procs"))?;
    let pids: Vec<u32> = procs.lines().filter_map(|l| l.parse().ok()).collect();
    if pids.is_empty() || !pids.iter().all(|pid| own.contains(pid)) {
        return Err(first);
    }
    let leaf = parent.join(SERVER);
    make_dir(&leaf)?;
    for pid in pids {
        write(&leaf.join("cgroup.procs"), &pid.to_string())?;
    }
    enable(parent, controllers)
}

fn enable(path: &Path, controllers: &[&str]) -> io::Result<()> {
    let file = path.join("cgroup.subtree_control");
    let now = fs::read_to_string(&file)?;
    let missing: Vec<_> = controllers
        .iter()
        .filter(|c| !now.split_whitespace().any(|n| n == **c))
        .map(|c| format!("+{c}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    write(&file, &missing.join(" "))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Makes and locks the directory of a run; first clears what dead ones left.
fn make_run(home: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    make_dir(home)?;
    sweep(home);
    let path = home.join(name);
    make_dir(&path)?;
    let lock = File::open(&path)?;
    // Another run that starts may have taken it for a dead one in between, and removed it.
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    if path.is_dir() {
        Ok((path, lock))
    } else {
        Err(Errno::NOENT.into())
    }
}

/// Removes what runs that are dead left below `home`.
fn sweep(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        let Ok(lock) = (if is_dir { File::open(&path) } else { continue }) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_tree(&path);
        }
    }
}

/// Removes a run's directory and the environments below it, if no process is left in them.
fn remove_tree(run: &Path) {
    for entry in fs::read_dir(run).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
    let _ = fs::remove_dir(run);
}

impl Hierarchy {
    /// Where groups may be made, best first.
    fn candidates(&self) -> Vec<PathBuf> {
        // An earlier helper of this server moved it one down.
        let own = match (self.own.file_name(), self.own.parent()) {
            (Some(name), Some(parent)) if name == SERVER => parent,
            _ => &self.own,
        };
        let mut all = vec![own.to_owned()];
        if self.mount != self.own {
            all.push(self.mount.clone());
        }
        all.retain(|path| path.is_dir());
        all
    }
}

fn version_1(groups: &str, mounts: &str, controller: &str) -> Option<Hierarchy> {
    let has = |list: &str| list.split(',').any(|word| word == controller);
    let own = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let names = parts.next()?;
        has(names).then(|| parts.next().unwrap_or("/"))
    })?;
    let mount = mounted(mounts, |kind, options| kind == "cgroup" && has(options))?;
    Some(Hierarchy::at(mount, own))
}

fn version_2(groups: &str, mounts: &str) -> Option<Hierarchy> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounted(mounts, |kind, _| kind == "cgroup2")?;
    Some(Hierarchy::at(mount, own))
}

impl Hierarchy {
    fn at(mount: PathBuf, own: &str) -> Hierarchy {
        // A path outside of the mount's root shows as `/..`.
        let below = own.trim_start_matches('/');
        let own = if below.is_empty() || below.starts_with("..") {
            mount.clone()
        } else {
            mount.join(below)
        };
        Hierarchy { mount, own }
    }
}

/// The first mount whose type and options match.
fn mounted(mounts: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        wanted(kind, options).then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n";
    const V1_MOUNTS: &str = "cgroup /cg/memory cgroup rw,relatime,memory 0 0\n\
        cgroup /cg/cpu cgroup rw,cpuacct,cpu 0 0\ncgroup2 /cg/unified cgroup2 rw 0 0\n";

    #[test]
    fn hierarchies_are_found_by_controller() {
        let at = |h: Option<Hierarchy>| h.map(|h| h.own.display().to_string());
        for (controller, want) in [
            ("memory", Some("/cg/memory/a/b")),
            ("cpu", Some("/cg/cpu")),
            ("pids", None),
        ] {
            assert_eq!(at(version_1(V1, V1_MOUNTS, controller)).as_deref(), want);
        }
        assert_eq!(at(version_2(V1, V1_MOUNTS)).as_deref(), Some("/cg/unified"));
        let outside = version_2("0::/../x\n", "c /cg cgroup2 rw 0 0\n");
        assert_eq!(at(outside).as_deref(), Some("/cg"));
    }
}
