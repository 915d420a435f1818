//! The way of a fork into its environment, every step of it made from outside.
//!
//! What binds it otherwise it has inherited: user, limits, the filter of system calls, no new privileges
//! and the first layer of Landlock. Entering a user namespace gives all rights in there; they are given
//! up before the fork runs again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::c_long;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::confine;
use super::root::{At, Failure};
use crate::sys_trace::{Traced, is_same_file};

/// The user namespace first: it gives the right to enter the others.
const SPACES: [&str; 7] = ["user", "pid", "net", "ipc", "uts", "cgroup", "mnt"];

/// Highest number that is tried for a capability.
const CAPABILITIES: u64 = 64;
/// Version 3: 64 capabilities in two halves.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// What a fork needs to get into an environment: its namespaces and the rules of its files.
pub(super) struct Doors {
    spaces: Vec<OwnedFd>,
    rules: Option<OwnedFd>,
}

impl Doors {
    /// Of this process.
    pub(super) fn open() -> io::Result<Doors> {
        let one = |name: &&str| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            open(format!("/proc/self/ns/{name}"), flags, Mode::empty())
        };
        Ok(Doors {
            spaces: SPACES.iter().map(one).collect::<Result<_, _>>()?,
            rules: confine::landlock_rules()?,
        })
    }

    pub(super) fn of_fds(fds: Vec<OwnedFd>) -> Option<Doors> {
        let mut spaces = fds;
        let rules = match spaces.len().checked_sub(SPACES.len())? {
            0 => None,
            1 => spaces.pop(),
            _ => return None,
        };
        Some(Doors { spaces, rules })
    }

    pub(super) fn as_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.spaces
            .iter()
            .chain(&self.rules)
            .map(AsFd::as_fd)
            .collect()
    }

    /// Each namespace as a link in `/proc/PID/ns` shows it.
    pub(super) fn links(&self) -> impl Iterator<Item = io::Result<(&'static str, String)>> {
        SPACES.into_iter().zip(&self.spaces).map(|(name, fd)| {
            let inode = rustix::fs::fstat(fd)?.st_ino;
            let kind = name;
            Ok((name, format!("{kind}:[{inode}]")))
        })
    }
}

/// Moves a fork that stands still into the environment of `doors`, without any right in there.
pub(super) fn enter(fork: &mut Traced, doors: &Doors) -> Result<(), Failure> {
    let path = fork.put(0, b"/var/task\0").at("write the path")?;
    let header = [CAPABILITY_VERSION.to_ne_bytes(), [0; 4]].concat();
    let header = fork.put(16, &header).at("write the header")?;
    let none = fork.put(32, &[0; 24]).at("write no capabilities")?;
    let spaces = doors.spaces.iter().map(|fd| found(fork.pid(), fd));
    let spaces = spaces
        .collect::<io::Result<Vec<_>>>()
        .at("find the namespaces")?;
    let rules = doors.rules.as_ref().map(|fd| found(fork.pid(), fd));
    let rules = rules.transpose().at("find the rules")?;
    let mut make = |step: &'static str, call: c_long, args: &[u64]| fork.call(call, args).at(step);
    for space in spaces {
        make("enter the namespaces", libc::SYS_setns, &[space, 0])?;
    }
    make("enter /var/task", libc::SYS_chdir, &[path])?;
    let option = |option: i32| u64::try_from(option).unwrap_or(0);
    for capability in 0..CAPABILITIES {
        let drop = [option(libc::PR_CAPBSET_DROP), capability, 0, 0, 0];
        match make("drop the bounding set", libc::SYS_prctl, &drop) {
            Err(failure) if failure.errno == libc::EINVAL && capability > 0 => break,
            other => drop_value(other?),
        }
    }
    let bits = u64::from(confine::locked_bits().bits());
    let lock = [option(libc::PR_SET_SECUREBITS), bits, 0, 0, 0];
    make("lock the rights", libc::SYS_prctl, &lock)?;
    make("give up capabilities", libc::SYS_capset, &[header, none])?;
    // Changing rights closed its own files to it.
    let open = [option(libc::PR_SET_DUMPABLE), 1, 0, 0, 0];
    make("open its files", libc::SYS_prctl, &open)?;
    if let Some(rules) = rules {
        let call = libc::SYS_landlock_restrict_self;
        make("restrict by landlock", call, &[rules, 0])?;
    }
    Ok(())
}

fn drop_value(_: u64) {}

/// The number under which the process has the same open file.
fn found(pid: i32, own: &OwnedFd) -> io::Result<u64> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if is_same_file(own.as_fd(), pid, number) {
            return u64::try_from(number).map_err(io::Error::other);
        }
    }
    Err(Errno::BADF.into())
}
