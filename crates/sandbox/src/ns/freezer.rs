use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, Signal, kill_process};

use crate::helper::Cgroups;
use crate::meter::below;

/// Looks at the processes of an environment until none is new: one that forks while it is stopped.
const ROUNDS_MAX: usize = 8;

/// Stops the processes of one environment where they are, and lets them go on.
///
/// A group of version 2 does it with one write, cannot be escaped, and its processes can still be
/// killed. Where there is none every process gets a signal.
pub(super) struct Freezer {
    /// The environment's first process; it only waits, so signals spare it.
    pid: u32,
    /// `cgroup.freeze`, kept open: thawing is on the path of a call.
    group: Option<File>,
    is_frozen: bool,
}

impl Freezer {
    pub(super) fn open(cgroups: &Cgroups, id: &str, pid: u32) -> Freezer {
        let path = cgroups
            .freezer
            .as_ref()
            .map(|dir| dir.join(id).join("cgroup.freeze"));
        Freezer {
            pid,
            group: path.and_then(|path| OpenOptions::new().write(true).open(path).ok()),
            is_frozen: false,
        }
    }

    pub(super) fn freeze(&mut self) {
        if self.is_frozen {
            return;
        }
        self.is_frozen = true;
        match &self.group {
            Some(file) => told(file.write_all_at(b"1", 0)),
            None => self.stop_all(),
        }
    }

    pub(super) fn thaw(&mut self) {
        if !self.is_frozen {
            return;
        }
        self.is_frozen = false;
        match &self.group {
            Some(file) => told(file.write_all_at(b"0", 0)),
            None => below(self.pid)
                .into_iter()
                .skip(1)
                .for_each(|pid| signal(pid, Signal::CONT)),
        }
    }

    fn stop_all(&self) {
        let mut stopped: Vec<u32> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let mut fresh = below(self.pid);
            fresh.retain(|pid| *pid != self.pid && !stopped.contains(pid));
            if fresh.is_empty() {
                return;
            }
            fresh.iter().for_each(|pid| signal(*pid, Signal::STOP));
            stopped.extend(fresh);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that ended by itself needs none.
        let _ = kill_process(pid, signal);
    }
}

fn told(done: io::Result<()>) {
    if let Err(error) = done {
        // A frozen environment that does not go on runs into the deadline of its call.
        tracing::warn!(%error, "an environment could not be frozen or thawed");
    }
}
