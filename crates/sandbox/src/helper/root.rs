//! The root file system of an environment, assembled from descriptors.
//!
//! A small tmpfs holds the skeleton; what the host or the function contributes is a clone of its
//! mount, taken by descriptor in the helper and attached by descriptor in the environment's own
//! mount namespace. No step follows a path that a function could have changed.

use std::fs::FileType;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, mkdirat, openat, openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, fchdir, getcwd, pivot_root};

use super::confine::{FUNCTION_GID, FUNCTION_UID};
use super::proto::LINK_LOCAL;
use crate::sys;

const READ_ONLY: MountAttrFlags = MountAttrFlags::from_bits_retain(1 | 2 | 4); // ro, nosuid, nodev
const DEVICE: MountAttrFlags = MountAttrFlags::from_bits_retain(2 | 8); // nosuid, noexec

/// What the skeleton itself may hold; small, because it counts as the function's memory.
const SKELETON_BYTES_MAX: &str = "1m";
const SKELETON_FILES_MAX: &str = "512";

/// One inode of `/tmp` for so many bytes, as a disk of that size would have.
const TMP_BYTES_PER_FILE: u64 = 16 * 1_024;

/// Directories that every function sees, if the host has them.
const SYSTEM: &[&str] = &[
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "nix/store",
];

/// Files and directories of the host's `/etc` that programs need and that hold no secrets.
const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
    "static",
];
/// Prefix of the JVM's configuration on Debian: `/etc/java-17-openjdk`.
const ETC_JAVA: &str = "java-";

/// What `sh` is on Amazon Linux; the shell of other systems is another one.
const SHELL: &str = "/usr/bin/bash";

/// Starts a runtime's bootstrap with a handler, as in AWS's base images.
const ENTRYPOINT: &str = "#!/bin/sh\nexport _HANDLER=\"$1\"\nexec /var/runtime/bootstrap\n";

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

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

/// What the host contributes to every environment, found once.
pub(super) struct Host {
    links: Vec<(String, PathBuf)>,
    trees: Vec<(PathBuf, String)>,
    /// The file behind the host's `/bin/sh`, below `/`, if `SHELL` is to be seen there.
    shell: Option<String>,
}

/// A clone of one mount, not attached anywhere yet, and where it goes.
pub(super) struct Tree {
    fd: OwnedFd,
    inside: String,
    is_dir: bool,
    /// Covers what an earlier tree brought.
    is_there: bool,
}

impl Host {
    pub(super) fn look() -> Host {
        let mut host = Host {
            links: Vec::new(),
            trees: Vec::new(),
            shell: other_shell(),
        };
        for name in SYSTEM {
            host.add(name);
        }
        for name in ETC {
            host.add(&format!("etc/{name}"));
        }
        for entry in std::fs::read_dir("/etc").into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str()
                && name.starts_with(ETC_JAVA)
            {
                host.add(&format!("etc/{name}"));
            }
        }
        host
    }

    fn add(&mut self, inside: &str) {
        let path = Path::new("/").join(inside);
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            return;
        };
        if !meta.file_type().is_symlink() {
            self.trees.push((path, inside.to_owned()));
        } else if let Ok(target) = std::fs::read_link(&path) {
            self.links.push((inside.to_owned(), target));
        }
    }

    /// Clones what an environment with these mounts is made of.
    pub(super) fn trees(&self, mounts: &[(PathBuf, PathBuf)]) -> Result<Vec<Tree>, Failure> {
        let mut all = Vec::with_capacity(self.trees.len() + mounts.len() + DEVICES.len());
        for (path, inside) in &self.trees {
            all.push(Tree::clone_of(path, inside.clone(), READ_ONLY)?);
        }
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            let tree = Tree::clone_of(&path, format!("dev/{name}"), DEVICE)?;
            tree.is_device().at(format!("check {}", path.display()))?;
            all.push(tree);
        }
        if let Some(inside) = &self.shell {
            all.push(Tree {
                is_there: true,
                ..Tree::clone_of(Path::new(SHELL), inside.clone(), READ_ONLY)?
            });
        }
        for (path, inside) in mounts {
            let inside = inside_of(inside).at(format!("mount at {}", inside.display()))?;
            all.push(Tree::clone_of(path, inside, READ_ONLY)?);
        }
        Ok(all)
    }
}

/// Scripts for Amazon Linux say `#!/bin/sh` and mean bash: what covers another `sh`, and where.
fn other_shell() -> Option<String> {
    let bash = std::fs::canonicalize(SHELL).ok()?;
    let shell = std::fs::canonicalize("/bin/sh").ok()?;
    let is_other = bash.starts_with("/usr") && shell.starts_with("/usr") && shell != bash;
    let inside = shell.strip_prefix("/").ok()?.to_str()?;
    is_other.then(|| inside.to_owned())
}

/// Where a mount of the function may be: not over the system's own directories.
fn inside_of(path: &Path) -> io::Result<String> {
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
    fn clone_of(path: &Path, inside: String, attr: MountAttrFlags) -> Result<Tree, Failure> {
        let step = || format!("clone the mount of {}", path.display());
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let fd = open_tree(CWD, path, flags).at(step())?;
        sys::mount_setattr(fd.as_fd(), attr.bits().into(), true).at(step())?;
        let is_dir =
            rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&fd).at(step())?.st_mode)
                == rustix::fs::FileType::Directory;
        Ok(Tree {
            fd,
            inside,
            is_dir,
            is_there: false,
        })
    }

    fn is_device(&self) -> io::Result<()> {
        let file: FileType = std::fs::File::from(self.fd.try_clone()?)
            .metadata()?
            .file_type();
        if file.is_char_device() {
            Ok(())
        } else {
            Err(Errno::NODEV.into())
        }
    }
}

/// Builds the root from `trees`, makes it the root of this process and its mount namespace and
/// stands in `/var/task`. Gives the mount of `/tmp`.
pub(super) fn enter(
    host: &Host,
    trees: &[Tree],
    tmp_bytes: u64,
    hostname: &str,
) -> Result<OwnedFd, Failure> {
    let root = tmpfs(
        &[
            ("size", SKELETON_BYTES_MAX),
            ("nr_inodes", SKELETON_FILES_MAX),
            ("mode", "0755"),
        ],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )
    .at("make the root")?;
    // It has to be attached before anything can be attached below it; `/usr` exists on every host.
    attach(root.as_fd(), CWD, "/usr").at("attach the root")?;
    skeleton(&root, host, hostname)?;
    for tree in trees {
        let step = || format!("attach /{}", tree.inside);
        if !tree.is_there {
            make_place(&root, &tree.inside, tree.is_dir).at(step())?;
        }
        let place = place(&root, &tree.inside).at(step())?;
        attach_over(tree.fd.as_fd(), place.as_fd()).at(step())?;
    }
    let tmp = tmp(&root, tmp_bytes).at("make /tmp")?;
    proc(&root)?;
    sys::mount_setattr(root.as_fd(), READ_ONLY.bits().into(), false).at("seal the root")?;
    pivot(&root).at("enter the root")?;
    stand()?;
    Ok(tmp)
}

fn tmpfs(options: &[(&str, &str)], attr: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attr,
    )?)
}

fn attach(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", at, path, flags)?)
}

fn attach_over(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", place, "", flags)?)
}

/// Opens a path of the skeleton without following links or leaving it.
fn place(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    Ok(openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?)
}

/// Makes the directories above `path`, and `path` itself as a directory or an empty file.
fn make_place(root: &OwnedFd, path: &str, is_dir: bool) -> io::Result<()> {
    for (end, _) in path.match_indices('/') {
        make_dir(root, path.get(..end).unwrap_or_default())?;
    }
    if is_dir {
        make_dir(root, path)
    } else {
        write_file(root, path, b"")
    }
}

fn make_dir(root: &OwnedFd, path: &str) -> io::Result<()> {
    match mkdirat(root, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn write_file(root: &OwnedFd, path: &str, content: &[u8]) -> io::Result<()> {
    write_file_with(root, path, content, 0o644)
}

fn write_file_with(root: &OwnedFd, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(root, path, flags, Mode::from_raw_mode(mode))?;
    if !content.is_empty() {
        rustix::io::write(&file, content)?;
    }
    Ok(())
}

fn skeleton(root: &OwnedFd, host: &Host, hostname: &str) -> Result<(), Failure> {
    for dir in [
        "dev",
        "etc",
        "opt",
        "proc",
        "tmp",
        "var",
        "var/lang",
        "var/runtime",
        "var/task",
        "var/empty",
    ] {
        make_dir(root, dir).at(format!("make /{dir}"))?;
    }
    for (path, target) in &host.links {
        symlinkat(target, root, path.as_str()).at(format!("link /{path}"))?;
    }
    for (path, target) in [
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
        ("etc/mtab", "/proc/self/mounts"),
        ("etc/localtime", "../usr/share/zoneinfo/UTC"),
        ("etc/os-release", "../usr/lib/os-release"),
    ] {
        symlinkat(target, root, path).at(format!("link /{path}"))?;
    }
    let (uid, gid) = (FUNCTION_UID, FUNCTION_GID);
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         sbx_user1051:x:{uid}:{gid}::/home/sbx_user1051:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\nsbx_user1051:x:{gid}:\nnobody:x:65534:\n");
    let hosts = format!("127.0.0.1 localhost localhost.localdomain {hostname}\n::1 localhost\n");
    for (path, content) in [
        ("etc/passwd", passwd.as_str()),
        ("etc/group", &group),
        ("etc/hosts", &hosts),
        ("etc/hostname", &format!("{hostname}\n")),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n",
        ),
        (
            "etc/protocols",
            "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n",
        ),
        ("etc/resolv.conf", &format!("nameserver {LINK_LOCAL}\n")),
        ("etc/shells", "/bin/sh\n/bin/bash\n"),
    ] {
        write_file(root, path, content.as_bytes()).at(format!("write /{path}"))?;
    }
    let entrypoint = "lambda-entrypoint.sh";
    write_file_with(root, entrypoint, ENTRYPOINT.as_bytes(), 0o755)
        .at(format!("write /{entrypoint}"))
}

fn tmp(root: &OwnedFd, bytes: u64) -> io::Result<OwnedFd> {
    let size = bytes.to_string();
    let files = (bytes / TMP_BYTES_PER_FILE).to_string();
    let tmp = tmpfs(
        &[("size", &size), ("nr_inodes", &files), ("mode", "1777")],
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

/// Puts the null device over a file and an empty directory over a directory.
fn mask(root: &OwnedFd, proc: &OwnedFd, name: &str) -> io::Result<()> {
    let Some(place) = existing(proc, name)? else {
        return Ok(());
    };
    let mode = rustix::fs::fstat(&place)?.st_mode;
    let cover = match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::Directory => clone_below(root, "var/empty")?,
        _ => clone_below(root, "dev/null")?,
    };
    let attr = READ_ONLY.difference(MountAttrFlags::MOUNT_ATTR_NODEV);
    sys::mount_setattr(cover.as_fd(), attr.bits().into(), false)?;
    attach_over(cover.as_fd(), place.as_fd())
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

/// Makes `root` the root and lets the host's tree go.
fn pivot(root: &OwnedFd) -> io::Result<()> {
    fchdir(root)?;
    pivot_root(".", ".")?;
    // The old root lies over the new one now.
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// Goes to the working directory and makes sure that it is where it seems to be.
fn stand() -> Result<(), Failure> {
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
