//! The root of one environment: the template that it was cloned into, and over it what is its own.
//!
//! Everything is attached by descriptor; no step follows a path that a function could have changed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, open, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_reconfigure, fsconfig_set_string, fsmount, fsopen, fspick,
    move_mount, open_tree,
};
use rustix::process::{chdir, getcwd};

use super::template::{READ_ONLY, SYSTEM, tmpfs};
use crate::sys;

/// One inode of `/tmp` for so many bytes, as a disk of that size would have.
const TMP_BYTES_PER_FILE: u64 = 16 * 1_024;
/// The size that most functions have, before the function is known.  [Lambda quotas: 512 MB]
const TMP_BYTES: u64 = 512 << 20;

/// Parts of `/proc` that show or steer the host.  [OCI runtime: masked and read-only paths]
const PROC_MASKED: &[&str] = &[
    "acpi",
    "asound",
    "bus",
    "driver",
    "interrupts",
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "schedstat",
    "scsi",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];
const PROC_READ_ONLY: &[&str] = &["fs", "irq", "sys"];

/// The name of the step that failed and why.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) errno: i32,
}

/// Names the step of an error.
pub(super) trait At<T> {
    fn at(self, step: impl AsRef<str>) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: impl AsRef<str>) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step: step.as_ref().to_owned(),
            errno: error.into().raw_os_error().unwrap_or(0),
        })
    }
}

/// A clone of one mount, not attached anywhere yet, and where it goes.
pub(super) struct Tree {
    fd: OwnedFd,
    inside: String,
    is_dir: bool,
    /// Covers what an earlier tree brought.
    is_over_existing: bool,
}

/// Where a mount of the function may be: not over the system's own directories.
pub(super) fn inside_of(path: &Path) -> io::Result<String> {
    let refused = || io::Error::from(Errno::INVAL);
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(refused)?),
            _ => return Err(refused()),
        }
    }
    let reserved = ["etc", "dev", "proc", "sys", "tmp", "nix"];
    match parts.first() {
        Some(top) if !SYSTEM.contains(top) && !reserved.contains(top) => Ok(parts.join("/")),
        _ => Err(refused()),
    }
}

impl Tree {
    pub(super) fn clone_of(
        path: &Path,
        inside: String,
        attr: MountAttrFlags,
    ) -> Result<Tree, Failure> {
        let step = || format!("clone the mount of {}", path.display());
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let fd = open_tree(CWD, path, flags).at(step())?;
        sys::mount_setattr(fd.as_fd(), attr.bits().into(), true).at(step())?;
        let mode = rustix::fs::fstat(&fd).at(step())?.st_mode;
        Ok(Tree {
            fd,
            inside,
            is_dir: is_dir(mode),
            is_over_existing: false,
        })
    }

    /// What is root's on the host is root's inside, where the kernel and the file system can show it
    /// so; elsewhere it is nobody's. The mount stays read-only, whoever owns what it shows.
    pub(super) fn owned_in(self, users: Option<&OwnedFd>) -> Tree {
        if let Some(users) = users {
            // Nothing but the name of the owner depends on it.
            let _ = sys::map_owners(self.fd.as_fd(), users.as_fd());
        }
        self
    }

    pub(super) fn over_existing(mut self) -> Tree {
        self.is_over_existing = true;
        self
    }

    pub(super) fn into_parts(self) -> (String, OwnedFd) {
        (self.inside, self.fd)
    }

    pub(super) fn inside(&self) -> &str {
        &self.inside
    }

    pub(super) fn is_dir(&self) -> bool {
        self.is_dir
    }

    pub(super) fn is_over_existing(&self) -> bool {
        self.is_over_existing
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_dir(mode: u32) -> bool {
    rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Directory
}

/// The root of this process, which is a copy of the template.
pub(super) struct Root {
    root: OwnedFd,
    /// The mount of `/tmp`.
    pub(super) tmp: OwnedFd,
    tmp_bytes: u64,
}

impl Root {
    /// Gives the copy its own `/tmp` and `/proc`.
    pub(super) fn make() -> Result<Root, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open("/", flags, Mode::empty()).at("open the root")?;
        let tmp = tmp(&root, TMP_BYTES).at("make /tmp")?;
        proc(&root)?;
        Ok(Root {
            root,
            tmp,
            tmp_bytes: TMP_BYTES,
        })
    }

    pub(super) fn into_tmp(self) -> OwnedFd {
        self.tmp
    }

    /// Attaches clones of mounts.
    pub(super) fn furnish(&self, inside: &[String], trees: &[OwnedFd]) -> Result<(), Failure> {
        for (inside, tree) in inside.iter().zip(trees) {
            let step = || format!("attach /{inside}");
            let place = place(&self.root, inside).at(step())?;
            attach_over(tree.as_fd(), place.as_fd()).at(step())?;
        }
        Ok(())
    }

    pub(super) fn resize_tmp(&mut self, bytes: u64) -> Result<(), Failure> {
        if bytes != self.tmp_bytes {
            resize(&self.tmp, bytes).at("resize /tmp")?;
            self.tmp_bytes = bytes;
        }
        Ok(())
    }
}

fn resize(tmp: &OwnedFd, bytes: u64) -> io::Result<()> {
    let flags = FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC;
    let context = fspick(tmp, "", flags)?;
    for (key, value) in tmp_limits(bytes) {
        fsconfig_set_string(context.as_fd(), key, value)?;
    }
    Ok(fsconfig_reconfigure(context.as_fd())?)
}

fn tmp_limits(bytes: u64) -> [(&'static str, String); 2] {
    let files = bytes / TMP_BYTES_PER_FILE;
    [
        ("size", bytes.to_string()),
        ("nr_inodes", files.to_string()),
    ]
}

pub(super) fn attach(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", at, path, flags)?)
}

pub(super) fn attach_over(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", place, "", flags)?)
}

/// Opens a path without following links or leaving `root`.
pub(super) fn place(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    Ok(openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?)
}

fn tmp(root: &OwnedFd, bytes: u64) -> io::Result<OwnedFd> {
    let [(size, bytes), (count, files)] = tmp_limits(bytes);
    let tmp = tmpfs(
        &[(size, &bytes), (count, &files), ("mode", "1777")],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?;
    attach(tmp.as_fd(), root.as_fd(), "tmp")?;
    Ok(tmp)
}

fn proc(root: &OwnedFd) -> Result<(), Failure> {
    let proc = new_proc().at("make /proc")?;
    attach(proc.as_fd(), root.as_fd(), "proc").at("attach /proc")?;
    for name in PROC_MASKED {
        mask(root, &proc, name).at(format!("mask /proc/{name}"))?;
    }
    for name in PROC_READ_ONLY {
        let step = format!("make /proc/{name} read-only");
        let Some(place) = existing(&proc, name).at(&step)? else {
            continue;
        };
        let tree = clone_below(&proc, name).at(&step)?;
        let attr = READ_ONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        sys::mount_setattr(tree.as_fd(), attr.bits().into(), true).at(&step)?;
        attach_over(tree.as_fd(), place.as_fd()).at(&step)?;
    }
    Ok(())
}

/// A `/proc` of this PID namespace.
pub(super) fn new_proc() -> io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?)
}

/// Puts the null device over a file and an empty directory over a directory. Both are read-only
/// already, in the template.
fn mask(root: &OwnedFd, proc: &OwnedFd, name: &str) -> io::Result<()> {
    let Some(place) = existing(proc, name)? else {
        return Ok(());
    };
    let cover = if is_dir(rustix::fs::fstat(&place)?.st_mode) {
        "var/empty"
    } else {
        "dev/null"
    };
    attach_over(clone_below(root, cover)?.as_fd(), place.as_fd())
}

fn existing(dir: &OwnedFd, name: &str) -> io::Result<Option<OwnedFd>> {
    match place(dir, name) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn clone_below(dir: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(dir, name, flags)?)
}

/// Goes to the working directory and makes sure that it is where it seems to be.
pub(super) fn stand() -> Result<(), Failure> {
    chdir("/var/task").at("enter /var/task")?;
    let here = getcwd(Vec::new()).at("find the working directory")?;
    if here.as_bytes() != b"/var/task" {
        return Err(Errno::XDEV).at("stay inside the root");
    }
    let top = rustix::fs::statvfs("/").at("look at the root")?;
    if !top.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(Errno::ROFS).at("seal the root");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_function_stay_out_of_the_system() {
        for (path, want) in [
            ("/var/task", Some("var/task")),
            ("/opt", Some("opt")),
            ("/mnt/data", Some("mnt/data")),
            ("/usr/lib", None),
            ("/proc/sys", None),
            ("/dev", None),
            ("/tmp/x", None),
            ("/var/../etc", None),
            ("relative", Some("relative")),
            ("/", None),
        ] {
            assert_eq!(inside_of(Path::new(path)).ok().as_deref(), want, "{path}");
        }
    }
}
