//! Interpreters that are kept to be forked into environments.
//!
//! Each belongs to one account and one runtime, runs the runtime's own bootstrap and nothing else, and
//! never has a function. It stays outside of environments, with the helper's identity and the two
//! capabilities that entering an environment takes; its forks give up both. It dies with the helper.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, open, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::mount::MountAttrFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, chdir, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal, setsid, umask, waitid,
};
use tasks::{Clock, Mono};

use super::confine;
use super::proto::Keep;
use super::root::{Tree, attach_over, place};
use super::runtime::strings;
use super::template::{READ_ONLY, Template, tmpfs};
use crate::channel;
use crate::sys;

/// Most interpreters at a time; the one that was not needed for longest makes room.
const KEPT_MAX: usize = 8;
/// One that was not needed for longer ends.
const KEEP: Duration = Duration::from_secs(600);
/// An interpreter is started when the environment that needed it has had time to start by itself.
const START_AFTER: Duration = Duration::from_millis(150);
/// After so many that ended before they were ready, no more are started of a kind.
const FAILURES_MAX: u32 = 3;
/// Kinds of which failures are remembered.
const KINDS_MAX: usize = 256;

/// Where it finds its socket; everything below is taken, so that no descriptor it gets can lie there.
const CONTROL_FD: i32 = 6;
const FD_VARIABLE: &str = "_KILN_TEMPLATE_FD";

/// Directories of functions that the loader of libraries looks for once, at the start of a program,
/// and then remembers as absent.
const LIBRARIES: [&str; 2] = ["var/task", "opt"];

struct Kept {
    pidfd: OwnedFd,
    control: OwnedFd,
    used: Mono,
    is_ready: bool,
}

pub(super) struct Interpreters {
    clock: Clock,
    /// By everything that tells one kind from another.
    kept: BTreeMap<String, Kept>,
    wanted: BTreeMap<String, (Mono, Keep)>,
    failures: BTreeMap<String, u32>,
    /// Not told yet.
    changed: Vec<(String, bool)>,
}

impl Interpreters {
    pub(super) fn new() -> Interpreters {
        Interpreters {
            clock: Clock::real(),
            kept: BTreeMap::new(),
            wanted: BTreeMap::new(),
            failures: BTreeMap::new(),
            changed: Vec::new(),
        }
    }

    /// The socket that takes orders to fork, if one of this kind is ready; else one will be started.
    pub(super) fn offer(&mut self, keep: &Keep) -> Option<BorrowedFd<'_>> {
        let kind = keep.kind()?;
        let now = self.clock.monotonic();
        let failures = self.failures.get(&kind).copied().unwrap_or(0);
        if !self.kept.contains_key(&kind) && failures < FAILURES_MAX {
            self.wanted.entry(kind).or_insert((now, keep.clone()));
            return None;
        }
        let kept = self.kept.get_mut(&kind)?;
        kept.used = now;
        kept.is_ready.then(|| kept.control.as_fd())
    }

    /// What to wait for: readable when an interpreter has something to say or ended.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (&String, &OwnedFd)> {
        self.kept.iter().map(|(kind, kept)| (kind, &kept.control))
    }

    /// How long nothing needs to be done.
    pub(super) fn rest(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let starts = self
            .wanted
            .values()
            .map(|(since, _)| START_AFTER.saturating_sub(now.since(*since)));
        let ends = self
            .kept
            .values()
            .map(|kept| KEEP.saturating_sub(now.since(kept.used)));
        starts.chain(ends).min()
    }

    /// Hears the interpreters of these kinds, ends what is not needed and starts what is. Gives the
    /// kinds that can be forked from now on, or no longer.
    pub(super) fn tend(&mut self, heard: &[String], template: &Template) -> Vec<(String, bool)> {
        for kind in heard {
            self.hear(kind);
        }
        self.tend_needs(template);
        std::mem::take(&mut self.changed)
    }

    fn tend_needs(&mut self, template: &Template) {
        let now = self.clock.monotonic();
        let is_old = |kept: &Kept| now.since(kept.used) >= KEEP;
        for (kind, kept) in self.kept.extract_if(.., |_, kept| is_old(kept)) {
            self.changed.push((kind, false));
            kept.end();
        }
        let due = |since: &Mono| now.since(*since) >= START_AFTER;
        let due: Vec<_> = self
            .wanted
            .extract_if(.., |_, (since, _)| due(since))
            .collect();
        for (kind, (_, keep)) in due {
            self.make_room();
            match start(&keep, template, now) {
                Ok(kept) => drop(self.kept.insert(kind, kept)),
                Err(_) => self.failed(kind),
            }
        }
    }

    fn hear(&mut self, kind: &str) {
        let Some(kept) = self.kept.get_mut(kind) else {
            return;
        };
        if let Ok((Word::Ready, _)) = channel::receive::<Word>(&kept.control) {
            kept.is_ready = true;
            self.changed.push((kind.to_owned(), true));
        } else if let Some(kept) = self.kept.remove(kind) {
            self.changed.push((kind.to_owned(), false));
            if !kept.is_ready {
                self.failed(kind.to_owned());
            }
            kept.end();
        }
    }

    fn failed(&mut self, kind: String) {
        if self.failures.len() >= KINDS_MAX {
            self.failures.clear();
        }
        *self.failures.entry(kind).or_default() += 1;
    }

    fn make_room(&mut self) {
        while self.kept.len() >= KEPT_MAX {
            let longest = self.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(kind) = longest.map(|(kind, _)| kind.clone()) else {
                return;
            };
            if let Some(kept) = self.kept.remove(&kind) {
                self.changed.push((kind, false));
                kept.end();
            }
        }
    }

    pub(super) fn end_all(&mut self) {
        self.wanted.clear();
        for (_, kept) in std::mem::take(&mut self.kept) {
            kept.end();
        }
    }
}

/// What an interpreter says by itself.
#[derive(serde::Deserialize)]
enum Word {
    /// It takes orders.
    Ready,
}

impl Kept {
    fn end(self) {
        // Fails only if it ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

fn start(keep: &Keep, template: &Template, now: Mono) -> io::Result<Kept> {
    let other = |failure: super::root::Failure| io::Error::from_raw_os_error(failure.errno);
    let trees = template.own_trees(&keep.mounts, None).map_err(other)?;
    let (control, theirs) = channel::pair()?;
    rustix::io::ioctl_fionbio(&control, true)?;
    let Some(pid) = sys::fork()? else {
        drop(control);
        // Nobody hears why; the end of the socket says that it failed.
        let _ = become_interpreter(keep, template, &trees, &theirs);
        sys::exit_now(127);
    };
    let id = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let kept = Kept {
        pidfd: pidfd_open(id, PidfdFlags::empty())?,
        control,
        used: now,
        is_ready: false,
    };
    // Its forks inherit it, as functions do from their first process.
    super::first_to_go(pid.unsigned_abs())?;
    Ok(kept)
}

fn become_interpreter(
    keep: &Keep,
    template: &Template,
    trees: &[Tree],
    control: &OwnedFd,
) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    template.enter()?;
    sys::unshare(libc::CLONE_NEWNS)?;
    furnish(trees)?;
    sys::ordinary_priority()?;
    umask(Mode::from_raw_mode(0o022));
    setsid()?;
    chdir("/var/task")?;
    let mut program = keep.program.clone();
    program.env.push(format!("{FD_VARIABLE}={CONTROL_FD}"));
    let (argv, env) = strings(&program)?;
    descriptors(control)?;
    confine::interpreter_capabilities()?;
    let path = argv.first().ok_or(Errno::NOENT)?;
    Err(sys::execve(path, &argv, &env))
}

/// What it sees: the system, the runtime, and where functions have their code nothing.
fn furnish(trees: &[Tree]) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open("/", flags, Mode::empty())?;
    for tree in trees {
        attach_over(tree.as_fd(), place(&root, tree.inside())?.as_fd())?;
    }
    for path in LIBRARIES {
        let empty = tmpfs(
            &[("size", "64k"), ("mode", "0755")],
            MountAttrFlags::empty(),
        )?;
        mkdirat(&empty, "lib", Mode::from_raw_mode(0o755))?;
        sys::mount_setattr(empty.as_fd(), READ_ONLY.bits().into(), false)?;
        attach_over(empty.as_fd(), place(&root, path)?.as_fd())?;
    }
    Ok(())
}

/// Output is a pipe, as a function's is, because streams find out once. Nobody reads this one.
fn descriptors(control: &OwnedFd) -> io::Result<()> {
    const HIGH: i32 = 16;
    let high = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, HIGH);
    // Their first numbers are free again before they are given out.
    let null = high(&openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?)?;
    let output = high(&pipe_with(PipeFlags::CLOEXEC)?.1)?;
    let control = high(control)?;
    for target in [0, 3, 4, 5] {
        sys::dup_to(null.as_fd(), target)?;
    }
    for target in [1, 2] {
        sys::dup_to(output.as_fd(), target)?;
    }
    sys::dup_to(control.as_fd(), CONTROL_FD)?;
    sys::close_on_exec_from(CONTROL_FD.unsigned_abs() + 1)
}

/// What goes to the first process of an environment that may be a fork.
pub(super) struct Offer {
    /// Takes the order.
    pub(super) control: OwnedFd,
    /// The cgroup of version 2 to be born in.
    pub(super) cgroup: Option<OwnedFd>,
    /// Those of version 1 to enter.
    pub(super) groups: Vec<OwnedFd>,
}

impl Offer {
    pub(super) fn to_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let some = std::iter::once(&self.control).chain(&self.cgroup);
        some.chain(&self.groups).map(AsFd::as_fd)
    }

    pub(super) fn of_fds(
        fds: impl IntoIterator<Item = OwnedFd>,
        has_cgroup: bool,
    ) -> Option<Offer> {
        let mut fds = fds.into_iter();
        Some(Offer {
            control: fds.next()?,
            cgroup: if has_cgroup { Some(fds.next()?) } else { None },
            groups: fds.collect(),
        })
    }
}
