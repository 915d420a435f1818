//! Whose rights environments have on the host.
//!
//! As root, every environment gets two host user ids of its own, far from all others: one for its
//! first process, one for the function. As an ordinary user the helper first makes a user namespace
//! in which it may mount, and environments run as that same user, without any further right.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{WaitId, WaitIdOptions, getegid, geteuid, waitid};

use super::confine::{FUNCTION_GID, FUNCTION_UID};
use super::network;
use super::proto::Reach;
use super::root;
use super::template::Template;
use crate::sys::{self, Side};

/// What every environment has of its own.
pub(super) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// First host id for environments. The range up to 2 147 483 647 is set aside by no convention:
/// system users, subordinate ids and systemd's containers all lie below.
const ID_BASE: u32 = 1_900_000_000;
const SLOTS_MAX: u32 = 16_384;
const IDS_PER_SLOT: u32 = 2;

pub(super) enum Identity {
    Root { base: u32 },
    Rootless,
}

impl Identity {
    /// As root leaves the process as it is; else moves it into a user namespace of its own.
    pub(super) fn take() -> Result<Identity, String> {
        if geteuid().is_root()
            && let Some(base) =
                free_ids(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default())
        {
            sys::unshare(libc::CLONE_NEWNS).map_err(|e| format!("mount namespace: {e}"))?;
            mount_change(
                "/",
                MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM,
            )
            .map_err(|e| format!("mount propagation: {e}"))?;
            return Ok(Identity::Root { base });
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(|e| {
            match e.raw_os_error() {
                Some(libc::ENOSPC) => "user namespaces are switched off: \
                set sysctl user.max_user_namespaces to a number above 0"
                    .to_owned(),
                Some(libc::EPERM) => {
                    "an ordinary user may not make user namespaces here: set sysctl \
                kernel.unprivileged_userns_clone=1, or run as root"
                        .to_owned()
                }
                _ => format!("user namespace: {e}"),
            }
        })?;
        let map = || -> io::Result<()> {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
        };
        map().map_err(|e| format!("map the user into its namespace: {e}"))?;
        Ok(Identity::Rootless)
    }

    pub(super) fn is_rootless(&self) -> bool {
        matches!(self, Identity::Rootless)
    }

    /// Writes the id maps of a new environment's first process.
    pub(super) fn map(&self, pid: u32, slot: u32) -> io::Result<()> {
        let (uids, gids) = match self {
            Identity::Root { base } => {
                let first = base + slot * IDS_PER_SLOT;
                let own = first + 1;
                (
                    format!("0 {first} 1\n{FUNCTION_UID} {own} 1\n"),
                    format!("0 {first} 1\n{FUNCTION_GID} {own} 1\n"),
                )
            }
            Identity::Rootless => (
                format!("{FUNCTION_UID} 0 1\n"),
                format!("{FUNCTION_GID} 0 1\n"),
            ),
        };
        fs::write(format!("/proc/{pid}/uid_map"), uids)?;
        fs::write(format!("/proc/{pid}/gid_map"), gids)
    }

    /// Makes one empty environment, to find out before anybody needs one. Tells whether the full
    /// network is to be had.
    pub(super) fn try_out(&self, template: &Template) -> Result<bool, String> {
        let (go, hold) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| e.to_string())?;
        match template.clone_into(None) {
            Ok(Side::Child) => {
                drop(hold);
                sys::exit_now(try_inside(&go));
            }
            Ok(Side::Parent { pid, pidfd }) => {
                let mapped = self
                    .map(pid, 0)
                    .and_then(|()| Ok(rustix::io::write(&hold, b"1").map(drop)?));
                drop(hold);
                let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                    .ok()
                    .flatten()
                    .and_then(|s| s.exit_status());
                mapped.map_err(|e| format!("map ids: {e}"))?;
                match status {
                    Some(0) => Ok(true),
                    Some(NO_FULL_NETWORK) => Ok(false),
                    Some(MOUNT_REFUSED) => Err("mounting in a user namespace is refused: \
                        on Ubuntu set sysctl kernel.apparmor_restrict_unprivileged_userns=0; \
                        in a container allow unmasked /proc"
                        .to_owned()),
                    _ => Err("the environment's first process cannot be made".to_owned()),
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                Err("the kernel is older than 5.12".to_owned())
            }
            Err(error) => Err(format!(
                "namespaces: {error}; in a container run with the rights to make them"
            )),
        }
    }
}

/// Writes the id maps of an environment below that of the calling process: the same ids again.
pub(super) fn write_nested_maps(pid: u32, rootless: bool) -> io::Result<()> {
    let same = |id: u32| match rootless {
        true => format!("{id} {id} 1\n"),
        false => format!("0 0 1\n{id} {id} 1\n"),
    };
    fs::write(format!("/proc/{pid}/uid_map"), same(FUNCTION_UID))?;
    fs::write(format!("/proc/{pid}/gid_map"), same(FUNCTION_GID))
}

const MOUNT_REFUSED: i32 = 3;
const NO_FULL_NETWORK: i32 = 4;

/// The steps of an environment that hosts are known to refuse. Gives the exit code.
fn try_inside(go: &OwnedFd) -> i32 {
    if !matches!(rustix::io::read(go, &mut [0; 1][..]), Ok(1)) {
        return 2;
    }
    let everything = Reach {
        kiln: true,
        full: true,
    };
    match (root::new_proc(), network::make(everything)) {
        (Err(_), _) => MOUNT_REFUSED,
        (Ok(_), Err(_)) => NO_FULL_NETWORK,
        (Ok(_), Ok(_)) => 0,
    }
}

/// The first of the ids that environments may have, if this user namespace maps enough of them.
fn free_ids(uid_map: &str) -> Option<u32> {
    let needed = u64::from(SLOTS_MAX * IDS_PER_SLOT);
    let extents: Vec<(u64, u64)> = uid_map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let (first, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
            Some((first, count))
        })
        .collect();
    let base = u64::from(ID_BASE);
    let preferred = extents
        .iter()
        .any(|(first, count)| *first <= base && base + needed <= first + count);
    if preferred {
        return Some(ID_BASE);
    }
    // A container: its users start low, so the end of its range is free.
    let (first, count) = extents.into_iter().max_by_key(|(_, count)| *count)?;
    (count >= 2 * needed.min(32_768)).then(|| u32::try_from(first + count - needed).ok())?
}

/// Numbers of environments, each held by one at a time; the longest unused comes first.
#[derive(Default)]
pub(super) struct Slots {
    used: BTreeSet<u32>,
    next: u32,
}

impl Slots {
    pub(super) fn take(&mut self) -> Option<u32> {
        for _ in 0..SLOTS_MAX {
            let slot = self.next;
            self.next = (self.next + 1) % SLOTS_MAX;
            if self.used.insert(slot) {
                return Some(slot);
            }
        }
        None
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.used.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_what_the_namespace_maps() {
        for (map, want) in [
            ("0 0 4294967295", Some(ID_BASE)),
            ("0 100000 65536", Some(32_768)),
            ("0 1000 1\n1 100000 65535", None),
            ("0 1000 1\n1 100000 65536", Some(32_769)),
            ("0 1000 1", None),
            ("", None),
        ] {
            assert_eq!(free_ids(map), want, "{map}");
        }
    }

    #[test]
    fn a_slot_is_held_once_and_used_again_last() {
        let mut slots = Slots::default();
        assert_eq!((slots.take(), slots.take()), (Some(0), Some(1)));
        slots.give_back(0);
        assert_eq!(slots.take(), Some(2));
        slots.next = 0;
        assert_eq!(slots.take(), Some(0));
        slots.next = 0;
        assert_eq!(slots.take(), Some(3));
    }
}
