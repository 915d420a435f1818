//! What the roots of all environments have in common, made once.
//!
//! A small read-only tmpfs holds the skeleton and a few files; what the host contributes is a clone
//! of its mount, attached by descriptor. All of it lies in a mount namespace of its own, in which
//! the helper stands while it clones an environment: the environment gets a copy of a namespace in
//! which the host's other mounts do not even exist, so nothing has to be left or unmounted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, open_tree, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::confine::{FUNCTION_GID, FUNCTION_UID};
use super::identity::NAMESPACES;
use super::proto::LINK_LOCAL;
use super::root::{At, Failure, Tree, attach, attach_over, inside_of, place};
use crate::sys::{self, Side};

pub(super) const READ_ONLY: MountAttrFlags = MountAttrFlags::from_bits_retain(1 | 2 | 4); // ro, nosuid, nodev
const DEVICE: MountAttrFlags = MountAttrFlags::from_bits_retain(2 | 8); // nosuid, noexec

/// What the skeleton may hold.
const SKELETON_BYTES_MAX: &str = "1m";
const SKELETON_FILES_MAX: &str = "1024";

/// Directories that every function sees, if the host has them.
pub(super) const SYSTEM: &[&str] = &[
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

/// Of the template's own files, those that functions look at.
pub(super) const HOUSE: &[&str] = &["opt", "lambda-entrypoint.sh"];

const DIRECTORIES: &[&str] = &[
    "dev",
    "etc",
    "opt",
    "proc",
    "tmp",
    "var",
    "var/empty",
    "var/lang",
    "var/runtime",
    "var/task",
];

const LINKS: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("etc/mtab", "/proc/self/mounts"),
    ("etc/localtime", "../usr/share/zoneinfo/UTC"),
    ("etc/os-release", "../usr/lib/os-release"),
];

/// The name of the host inside. A number resolves to itself, whatever asks.  [observed on AWS]
pub(super) const HOST_NAME: std::net::Ipv4Addr = LINK_LOCAL;

pub(super) struct Template {
    /// The namespace with the host's files, in which the helper mostly is.
    outside: OwnedFd,
    /// The namespace to be copied.
    inside: OwnedFd,
    /// The skeleton, writable, to add places for mounts.
    skeleton: OwnedFd,
}

impl Template {
    /// Makes the template in a new mount namespace and comes back.
    pub(super) fn make() -> Result<Template, Failure> {
        let outside = mount_namespace().at("open the mount namespace")?;
        sys::unshare(libc::CLONE_NEWNS).at("make a mount namespace")?;
        let root = tmpfs(
            &[
                ("size", SKELETON_BYTES_MAX),
                ("nr_inodes", SKELETON_FILES_MAX),
                ("mode", "0755"),
            ],
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
        )
        .at("make the root")?;
        // Attached before anything can be attached below it; `/usr` exists on every host.
        let system = system_trees()?;
        attach(root.as_fd(), CWD, "/usr").at("attach the root")?;
        skeleton(&root)?;
        for tree in &system {
            tree.attach_below(&root)?;
        }
        // A `/proc` of the host has to be in sight for the kernel to allow a new one; that one goes
        // over it.
        let writable = clone_of_mount(&root).at("keep the skeleton")?;
        sys::mount_setattr(root.as_fd(), READ_ONLY.bits().into(), false).at("seal the root")?;
        pivot(&root).at("enter the root")?;
        let inside = mount_namespace().at("open the template's namespace")?;
        let template = Template {
            outside,
            inside,
            skeleton: writable,
        };
        template.leave().at("leave the template")?;
        Ok(template)
    }

    /// Clones the mounts that are a function's own.
    ///
    /// `users`: the user namespace in which root shall own what is root's here.
    pub(super) fn own_trees(
        &self,
        mounts: &[(PathBuf, PathBuf)],
        users: Option<&OwnedFd>,
    ) -> Result<Vec<Tree>, Failure> {
        mounts
            .iter()
            .map(|(path, inside)| {
                let step = || format!("mount at {}", inside.display());
                let inside = inside_of(inside).at(step())?;
                make_place(&self.skeleton, &inside, true).at(step())?;
                Ok(Tree::clone_of(path, inside, READ_ONLY)?.owned_in(users))
            })
            .collect()
    }

    /// Clones of what the template itself has where functions have files of root's: `/opt` without
    /// layers, and the script that starts a runtime. Where they cannot be cloned the template's serve.
    pub(super) fn house_trees(&self, users: &OwnedFd) -> Vec<Tree> {
        let mut trees = Vec::new();
        if move_to(self.inside.as_fd()).is_ok() {
            let clone = |inside: &&str| {
                let path = Path::new("/").join(inside);
                Tree::clone_of(&path, (*inside).to_owned(), READ_ONLY).ok()
            };
            trees.extend(HOUSE.iter().filter_map(clone));
        }
        if self.leave().is_err() {
            // Every path would mean something else from here on. The server starts another helper.
            sys::exit_now(1);
        }
        trees
            .into_iter()
            .map(|tree| tree.owned_in(Some(users)))
            .collect()
    }

    /// Clones a first process that begins with the template as its root.
    pub(super) fn clone_into(&self, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Side> {
        move_to(self.inside.as_fd())?;
        let side = sys::clone_into(NAMESPACES, cgroup);
        if !matches!(side, Ok(Side::Child)) && self.leave().is_err() {
            // Every path would mean something else from here on. The server starts another helper.
            sys::exit_now(1);
        }
        side
    }

    /// Goes in, in a process that does not come back.
    pub(super) fn enter(&self) -> io::Result<()> {
        move_to(self.inside.as_fd())
    }

    /// Back to the host's files.
    fn leave(&self) -> io::Result<()> {
        move_to(self.outside.as_fd())
    }
}

fn move_to(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(move_into_link_name_space(
        namespace,
        Some(LinkNameSpaceType::Mount),
    )?)
}

fn mount_namespace() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty())?)
}

fn clone_of_mount(mount: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(mount, "", flags)?)
}

pub(super) fn tmpfs(options: &[(&str, &str)], attr: MountAttrFlags) -> io::Result<OwnedFd> {
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

/// Clones what the host contributes.
fn system_trees() -> Result<Vec<Tree>, Failure> {
    let mut trees = Vec::new();
    let mut add = |inside: String| -> Result<(), Failure> {
        let path = Path::new("/").join(&inside);
        if path.symlink_metadata().is_ok_and(|m| !m.is_symlink()) {
            trees.push(Tree::clone_of(&path, inside, READ_ONLY)?);
        }
        Ok(())
    };
    for name in SYSTEM {
        add((*name).to_owned())?;
    }
    for name in ETC {
        add(format!("etc/{name}"))?;
    }
    for entry in std::fs::read_dir("/etc").into_iter().flatten().flatten() {
        match entry.file_name().to_str() {
            Some(name) if name.starts_with(ETC_JAVA) => add(format!("etc/{name}"))?,
            _ => {}
        }
    }
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        let tree = Tree::clone_of(&path, format!("dev/{name}"), DEVICE)?;
        is_device(&path).at(format!("check {}", path.display()))?;
        trees.push(tree);
    }
    if let Some(inside) = other_shell() {
        trees.push(Tree::clone_of(Path::new(SHELL), inside, READ_ONLY)?.over_existing());
    }
    let proc = MountAttrFlags::empty(); // a restricted one would not count as in sight
    trees.push(Tree::clone_of(Path::new("/proc"), "proc".to_owned(), proc)?);
    Ok(trees)
}

fn is_device(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?
        .file_type()
        .is_char_device()
    {
        Ok(())
    } else {
        Err(Errno::NODEV.into())
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

/// Makes the directories above `path`, and `path` itself as a directory or an empty file.
pub(super) fn make_place(root: &OwnedFd, path: &str, is_dir: bool) -> io::Result<()> {
    for (end, _) in path.match_indices('/') {
        make_dir(root, path.get(..end).unwrap_or_default())?;
    }
    if is_dir {
        make_dir(root, path)
    } else {
        write_file(root, path, b"", 0o644)
    }
}

fn make_dir(root: &OwnedFd, path: &str) -> io::Result<()> {
    match mkdirat(root, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn write_file(root: &OwnedFd, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(root, path, flags, Mode::from_raw_mode(mode))?;
    if !content.is_empty() {
        rustix::io::write(&file, content)?;
    }
    Ok(())
}

fn skeleton(root: &OwnedFd) -> Result<(), Failure> {
    for dir in DIRECTORIES {
        make_dir(root, dir).at(format!("make /{dir}"))?;
    }
    for name in SYSTEM {
        if let Ok(target) = std::fs::read_link(Path::new("/").join(name)) {
            symlinkat(&target, root, *name).at(format!("link /{name}"))?;
        }
    }
    for (path, target) in LINKS {
        symlinkat(*target, root, *path).at(format!("link /{path}"))?;
    }
    let (uid, gid) = (FUNCTION_UID, FUNCTION_GID);
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         sbx_user1051:x:{uid}:{gid}::/home/sbx_user1051:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\nsbx_user1051:x:{gid}:\nnobody:x:65534:\n");
    let hosts = "127.0.0.1 localhost localhost.localdomain sandbox sandbox.localdomain\n\
                 ::1 localhost\n";
    for (path, content, mode) in [
        ("etc/passwd", passwd.as_str(), 0o644),
        ("etc/group", &group, 0o644),
        ("etc/hosts", hosts, 0o644),
        ("etc/hostname", &format!("{HOST_NAME}\n"), 0o644),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n",
            0o644,
        ),
        (
            "etc/protocols",
            "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n",
            0o644,
        ),
        (
            "etc/resolv.conf",
            &format!("nameserver {LINK_LOCAL}\n"),
            0o644,
        ),
        ("etc/shells", "/bin/sh\n/bin/bash\n", 0o644),
        ("lambda-entrypoint.sh", ENTRYPOINT, 0o755),
    ] {
        write_file(root, path, content.as_bytes(), mode).at(format!("write /{path}"))?;
    }
    Ok(())
}

/// Makes `root` the root and lets the host's tree go.
fn pivot(root: &OwnedFd) -> io::Result<()> {
    fchdir(root)?;
    pivot_root(".", ".")?;
    // The old root lies over the new one now.
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

impl Tree {
    /// Attaches it in the skeleton that is being built.
    fn attach_below(&self, root: &OwnedFd) -> Result<(), Failure> {
        let step = || format!("attach /{}", self.inside());
        if !self.is_over_existing() {
            make_place(root, self.inside(), self.is_dir()).at(step())?;
        }
        let place = place(root, self.inside()).at(step())?;
        attach_over(self.as_fd(), place.as_fd()).at(step())
    }
}
