//! What binds the function's process before its program runs, from the outside in: limits, identity,
//! capabilities, Landlock, system calls.

use std::io;
use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::process::{Pid, Resource, Rlimit, prlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Gid, Uid, clear_ambient_capability_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::sys;

/// The user that a function runs as, inside.  [observed on AWS: `sbx_user1051`]
pub(super) const FUNCTION_UID: u32 = 993;
pub(super) const FUNCTION_GID: u32 = 990;

/// Most processes and threads of one environment.  [Lambda quotas: 1 024]
pub(super) const PROCESSES_MAX: u64 = 1_024;
/// Most open files of one process.  [Lambda quotas: 1 024]
const FILES_MAX: u64 = 1_024;
const LOCKED_BYTES_MAX: u64 = 65_536;
const STACK_BYTES: u64 = 8 << 20;
const PENDING_SIGNALS_MAX: u64 = 1_024;

/// Sets the resource limits that all functions have.
pub(super) fn limits() -> io::Result<()> {
    for (resource, limit) in limit_table(None) {
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// The limits of functions; where no cgroup limits memory, what a process may allocate too.
pub(super) fn limit_table(data_bytes_max: Option<u64>) -> Vec<(Resource, Rlimit)> {
    let hard = |n: u64| Rlimit {
        current: Some(n),
        maximum: Some(n),
    };
    let mut table = vec![
        (Resource::Nofile, hard(FILES_MAX)),
        (Resource::Nproc, hard(PROCESSES_MAX)),
        (Resource::Memlock, hard(LOCKED_BYTES_MAX)),
        (Resource::Core, hard(0)),
        (Resource::Msgqueue, hard(0)),
        (Resource::Sigpending, hard(PENDING_SIGNALS_MAX)),
        (Resource::Nice, hard(0)),
        (Resource::Rtprio, hard(0)),
        (
            Resource::Stack,
            Rlimit {
                current: Some(STACK_BYTES),
                maximum: None,
            },
        ),
    ];
    table.extend(data_bytes_max.map(|bytes| (Resource::Data, hard(bytes))));
    table
        .into_iter()
        .map(|(resource, limit)| (resource, lower(resource, limit)))
        .collect()
}

/// Where no cgroup limits memory: limits what a process may allocate.
pub(super) fn limit_data(pid: Pid, bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    prlimit(Some(pid), Resource::Data, lower(Resource::Data, limit))?;
    Ok(())
}

/// A limit of the host that is lower already stays.
fn lower(resource: Resource, wanted: Rlimit) -> Rlimit {
    let now = rustix::process::getrlimit(resource);
    let min = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    };
    let maximum = min(wanted.maximum, now.maximum);
    Rlimit {
        current: min(wanted.current, maximum),
        maximum,
    }
}

/// Becomes the unprivileged user and gives up every capability for good.
pub(super) fn identity(rootless: bool) -> io::Result<()> {
    sys::drop_bounding_set()?;
    set_capabilities_secure_bits(locked_bits())?;
    if !rootless {
        become_id(FUNCTION_UID, FUNCTION_GID)?;
    }
    no_capabilities()
}

/// No way back to capabilities, whatever the user id.
pub(super) fn locked_bits() -> CapabilitiesSecureBits {
    CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED
}

/// Takes both ids and no further groups.
pub(super) fn become_id(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Acts as the function's user, so that what is made belongs to that; its own rights rest meanwhile.
pub(super) fn stand_in_for_function() -> io::Result<()> {
    let (root, function) = (Uid::from_raw(0), Uid::from_raw(FUNCTION_UID));
    Ok(set_thread_res_uid(root, function, root)?)
}

/// Acts for itself again.
pub(super) fn stand_in_no_more() -> io::Result<()> {
    let root = Uid::from_raw(0);
    Ok(set_thread_res_uid(root, root, root)?)
}

/// Keeps what making environments takes, as root: mounts and namespaces, id maps, scores and limits,
/// code that belongs to another user, and the roots of cgroup hierarchies, which nobody may write.
pub(super) fn helper_capabilities() -> io::Result<()> {
    keep_capabilities(
        CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_CHROOT
            | CapabilitySet::SETUID
            | CapabilitySet::SETGID
            | CapabilitySet::SYS_RESOURCE
            | CapabilitySet::DAC_OVERRIDE,
    )
}

/// Keeps what entering the namespaces of an environment takes. In its user namespace whoever enters
/// has all capabilities, until it gives them up.
pub(super) fn interpreter_capabilities() -> io::Result<()> {
    keep_capabilities(CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_CHROOT)
}

/// Without new privileges a program of root's has no more than this either.
fn keep_capabilities(kept: CapabilitySet) -> io::Result<()> {
    let kept = kept & rustix::thread::capabilities(None)?.permitted;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(set_no_new_privs(true)?)
}

pub(super) fn no_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(set_no_new_privs(true)?)
}

/// A second wall behind the mounts: reading and executing everywhere, writing in `/tmp` and to
/// device nodes only; no signals and no abstract sockets across the border of the environment.
///
/// Made once for all processes of an environment. `None`: the kernel has no Landlock.
pub(super) fn landlock_rules() -> io::Result<Option<OwnedFd>> {
    rules(false).map(Into::into).map_err(io::Error::other)
}

/// The same for the runtime of a snapshot: each of its forks gets a `/tmp` of its own, which does not
/// exist yet. Until it has the ordinary rules as well only mounts keep it from writing.
pub(super) fn landlock_rules_for_snapshots() -> io::Result<Option<OwnedFd>> {
    rules(true).map(Into::into).map_err(io::Error::other)
}

fn rules(writes_anywhere: bool) -> Result<RulesetCreated, landlock::RulesetError> {
    let abi = ABI::V6;
    let all = AccessFs::from_all(abi);
    let files: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(abi))?
        .create()?;
    let read = AccessFs::from_read(abi);
    for (path, access) in [
        ("/", if writes_anywhere { all } else { read }),
        ("/tmp", all),
        ("/proc", read | AccessFs::WriteFile | AccessFs::Truncate),
        ("/dev/null", files),
        ("/dev/zero", files),
        ("/dev/full", files),
        ("/dev/random", files),
        ("/dev/urandom", files),
    ] {
        if let Ok(fd) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(fd, access))?;
        }
    }
    Ok(rules)
}
