//! What the first process of an environment does, from clone to the end of the runtime.
//!
//! It runs the helper's own code in a copy of the helper's memory. First it prepares what no function
//! is needed for: network, root, and a second process with all bounds of a runtime that lacks only
//! its program. Then it waits, maybe for long, to be told what it becomes. Once the runtime runs it
//! only reaps and waits; when the runtime ends it tells the server and ends too, and the kernel kills
//! what is left in the PID namespace.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open,
    set_dumpable_behavior, set_parent_process_death_signal, umask,
};

use super::beside::Beside;
use super::cgroup::SELF;
use super::confine::{self, FUNCTION_GID, FUNCTION_UID};
use super::copy;
use super::interpreters::Offer;
use super::keeper::{self, Keeper};
use super::network;
use super::order;
use super::proto::{FromInit, Furniture, Neighbours, Program, Reach, ToInit};
use super::root::{self, At, Failure, Root};
use super::runtime::{Runtime, Started};
use super::seccomp::Filter;
use super::template::HOST_NAME;
use crate::channel;
use crate::left;
use crate::sys;

/// What an environment is for.
pub(super) enum Kind {
    Any,
    Snapshot,
    Fork {
        /// Speaks to the first process of the snapshot.
        keeper: OwnedFd,
        /// The snapshot's `/tmp`.
        tmp: OwnedFd,
    },
}

/// What the helper prepared for this environment.
pub(super) struct Plan<'a> {
    pub(super) reach: Reach,
    pub(super) kind: Kind,
    /// The cgroups to enter.
    pub(super) groups: Vec<File>,
    pub(super) filter: &'a Filter,
    pub(super) snapshot_filter: &'a Filter,
    pub(super) rootless: bool,
    /// Writing ends.
    pub(super) text: OwnedFd,
    pub(super) framed: OwnedFd,
    /// Sockets to both.
    pub(super) server: OwnedFd,
    pub(super) helper: OwnedFd,
}

impl Plan<'_> {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        [&self.text, &self.framed, &self.server, &self.helper]
            .map(AsFd::as_fd)
            .into()
    }
}

/// Never returns to the helper's code.
pub(super) fn run(plan: &Plan<'_>) -> ! {
    let report = match live(plan) {
        Ok(Alive {
            runtime,
            beside,
            handed,
        }) => match beside {
            None => match (reap(runtime), handed) {
                (_, Some(handed)) if is_unread(&handed) => FromInit::Unheard,
                (report, _) => report,
            },
            Some(mut beside) => {
                // Nothing that the server could say now matters but that it is gone.
                beside.watch(plan.server.as_fd());
                sys::exit_now(0)
            }
        },
        Err(report) => report,
    };
    // If the server is gone there is nobody to tell.
    let _ = channel::send(&plan.server, &report, &[]);
    sys::exit_now(0)
}

impl From<Failure> for FromInit {
    fn from(failure: Failure) -> FromInit {
        FromInit::Failed {
            step: failure.step,
            errno: failure.errno,
        }
    }
}

/// A function that runs.
struct Alive {
    runtime: i32,
    beside: Option<Beside>,
    /// From where the program that waited reads its variables.
    handed: Option<OwnedFd>,
}

fn is_unread(pipe: &OwnedFd) -> bool {
    rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0)
}

/// Prepares and becomes a function.
fn live(plan: &Plan<'_>) -> Result<Alive, FromInit> {
    let (mut root, listeners, keeper) = prepare(plan)?;
    let rules = match &keeper {
        None => confine::landlock_rules(),
        Some(_) => confine::landlock_rules_for_snapshots(),
    };
    let rules = rules.at("make landlock's rules")?;
    let control = keeper.as_ref().map(Keeper::runtimes_end);
    let mut runtime = Runtime::fork(plan, rules.as_ref(), control).at("fork the runtime")?;
    let mut fds: Vec<BorrowedFd<'_>> = vec![root.tmp.as_fd()];
    fds.extend(listeners.iter().map(AsFd::as_fd));
    tell(plan, &FromInit::Prepared, &fds);
    drop(listeners);
    let mut pid = runtime.pid;
    let mut beside = None;
    let is_handed = loop {
        let (told, text, brought, offer) = furnished(plan, &root, pid)?;
        match told {
            ToInit::Run {
                tmp_bytes,
                neighbours,
                program,
            } => {
                root.resize_tmp(tmp_bytes)?;
                bring(plan, &root, brought);
                root::stand()?;
                // If there is no fork the program is started.
                if let Some((offer, data_bytes_max)) = &offer {
                    let variables = order::variables(&program.env).at("write the variables")?;
                    match order::fork(plan, rules.as_ref(), offer, &variables, *data_bytes_max) {
                        Ok(fork) => {
                            pid = fork;
                            break false;
                        }
                        Err(Failure { step, errno }) => {
                            tell(plan, &FromInit::NotForked { step, errno }, &[]);
                        }
                    }
                }
                if let Some(neighbours) = &neighbours {
                    beside = Some(settle(plan, neighbours, pid)?);
                }
                started(runtime.start(&text), &program)?;
                break false;
            }
            ToInit::Go => return Err(Errno::PROTO).at("go without extensions")?,
            ToInit::Wait { program } => {
                started(runtime.start(&text), &program)?;
                tell(plan, &FromInit::Waiting, &[]);
            }
            ToInit::Restore { tmp_bytes } => {
                root.resize_tmp(tmp_bytes)?;
                root::stand()?;
                let Kind::Fork { keeper, tmp } = &plan.kind else {
                    return Err(Errno::PROTO).at("restore without a snapshot")?;
                };
                copy::all(tmp, &root.tmp).at("copy /tmp")?;
                keeper::ask(keeper)?;
                pid = keeper::arrived(runtime.pid).at("find the fork")?;
                break false;
            }
            ToInit::WaitAsFork => {
                let offer = offer.as_ref().ok_or(Errno::NOENT);
                let (offer, data_bytes_max) = offer.at("find an interpreter")?;
                let (variables, words) = pipe_with(PipeFlags::CLOEXEC).at("make a pipe")?;
                pid = order::fork(plan, rules.as_ref(), offer, &variables, *data_bytes_max)?;
                runtime.give_way(pid, words, variables);
                tell(plan, &FromInit::Waiting, &[]);
            }
            ToInit::HandOver { tmp_bytes, env } => {
                root.resize_tmp(tmp_bytes)?;
                bring(plan, &root, brought);
                root::stand()?;
                runtime.hand_over(&env).at("hand over the variables")?;
                break true;
            }
        }
    };
    tell(plan, &FromInit::Started, &[]);
    if let Some(keeper) = keeper {
        drop((runtime, rules));
        let tmp = root.into_tmp();
        stay(plan, &keeper, &tmp).at("stay as it is")?;
        return Err(keeper.keep(plan, &tmp, pid));
    }
    drop((root, rules));
    let handed = Some(runtime.into_heard()).filter(|_| is_handed);
    let lives = beside.iter().flat_map(Beside::lives);
    let kept = lives.chain(handed.as_ref().map(AsFd::as_fd)).collect();
    close_up(plan, kept).at("shrink the first process")?;
    Ok(Alive {
        runtime: pid,
        beside,
        handed,
    })
}

/// Starts the extensions and waits until all have registered.
fn settle(plan: &Plan<'_>, neighbours: &Neighbours, runtime: i32) -> Result<Beside, FromInit> {
    let rules = confine::landlock_rules().at("make landlock's rules")?;
    let (mut beside, ends) = Beside::start(plan, rules.as_ref(), neighbours)?;
    drop(rules);
    beside.add_runtime(runtime)?;
    let ends: Vec<BorrowedFd<'_>> = ends.0.iter().map(AsFd::as_fd).collect();
    tell(plan, &FromInit::Beside, &ends);
    beside.watch(plan.server.as_fd());
    match channel::receive::<ToInit>(&plan.server) {
        Ok((ToInit::Go, _)) => Ok(beside),
        // The server is gone, or stopped the environment.
        _ => sys::exit_now(0),
    }
}

fn started(started: Started, program: &Program) -> Result<(), FromInit> {
    match started {
        Started::Runs => Ok(()),
        Started::NoProgram { errno } => Err(FromInit::BadEntrypoint { errno }),
        Started::NoWorkingDir { errno } => {
            let path = program.working_dir.clone();
            Err(FromInit::BadWorkingDir { path, errno })
        }
        Started::Failed(failure) => Err(failure.into()),
    }
}

/// Without a server nobody needs the environment.
pub(super) fn tell(plan: &Plan<'_>, word: &FromInit, fds: &[BorrowedFd<'_>]) {
    if channel::send(&plan.server, word, fds).is_err() {
        sys::exit_now(1);
    }
}

/// Makes everything that does not depend on the function; gives the listeners too.
fn prepare(plan: &Plan<'_>) -> Result<(Root, Vec<OwnedFd>, Option<Keeper>), FromInit> {
    sys::ordinary_priority().at("take the ordinary priority")?;
    for mut group in &plan.groups {
        group.write_all(SELF).at("enter the cgroup")?;
    }
    // It may live long: what belongs to the helper and to other environments goes now.
    let mut kept = plan.fds();
    if let Kind::Fork { keeper, tmp } = &plan.kind {
        kept.extend([keeper.as_fd(), tmp.as_fd()]);
    }
    sys::close_all_but(&kept).at("close what is the helper's")?;
    let Ok((inside, house)) = channel::receive_bytes(&plan.helper) else {
        sys::exit_now(1); // the helper died
    };
    let inside: Vec<String> = serde_json::from_slice(&inside).unwrap_or_default();
    if let Kind::Fork { .. } = &plan.kind {
        // It was moved into its cgroup after it was cloned.
        sys::unshare(libc::CLONE_NEWCGROUP).at("make a cgroup namespace")?;
    }
    if !plan.rootless {
        confine::become_id(0, 0).at("become the environment's own root")?;
    }
    set_parent_process_death_signal(Some(Signal::KILL)).at("tie the life to the helper's")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("close the process to others")?;
    let name = HOST_NAME.to_string();
    rustix::system::sethostname(name.as_bytes()).at("set the host name")?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    let listeners = network::make(plan.reach).at("make the network")?;
    let keeper = match &plan.kind {
        Kind::Snapshot => Some(Keeper::make().at("make a keeper")?),
        Kind::Any | Kind::Fork { .. } => {
            no_more_namespaces();
            None
        }
    };
    let root = Root::make()?;
    root.furnish(&inside, &house)?;
    Ok((root, listeners, keeper))
}

/// Nobody in here may make user namespaces. Seccomp refuses it too; this holds if that fails.
fn no_more_namespaces() {
    // In a container `/proc/sys` may be read-only.
    let _ = std::fs::write("/proc/sys/user/max_user_namespaces", "0");
}

/// Waits for what comes next, from the helper what it takes and then from the server what it is.
/// Gives that also as it came, for the runtime's process, and an interpreter to be forked, with the
/// limit of what the fork may allocate.
fn furnished(plan: &Plan<'_>, root: &Root, runtime: i32) -> Result<Told, FromInit> {
    await_helper(plan, runtime)?;
    let malformed = |_| io::Error::from(Errno::PROTO);
    let (furniture, mut fds): (_, Vec<OwnedFd>) = channel::receive(&plan.helper)
        .map_err(malformed)
        .at("hear the helper")?;
    let offer = match furniture {
        Furniture::Mounts {
            inside,
            data_bytes_max,
            template,
        } => {
            let offered = fds.split_off(inside.len().min(fds.len()));
            root.furnish(&inside, &fds)?;
            if let (Some(bytes), Some(pid)) = (data_bytes_max, Pid::from_raw(runtime)) {
                confine::limit_data(pid, bytes).at("limit allocations")?;
            }
            template
                .and_then(|template| Offer::of_fds(offered, template.has_cgroup))
                .map(|offer| (offer, data_bytes_max))
        }
        Furniture::Failed { step, errno } => return Err(FromInit::Failed { step, errno }),
    };
    let (text, mut brought) = channel::receive_bytes(&plan.server)
        .map_err(malformed)
        .at("hear the server")?;
    let told = serde_json::from_slice(&text)
        .map_err(|_| io::Error::from(Errno::PROTO))
        .at("understand the server")?;
    Ok((told, text, brought.pop(), offer))
}

type Told = (
    ToInit,
    Vec<u8>,
    Option<OwnedFd>,
    Option<(Offer, Option<u64>)>,
);

/// Puts what was brought into the empty `/tmp`, before anything of the function is there.
fn bring(plan: &Plan<'_>, root: &Root, brought: Option<OwnedFd>) {
    let Some(pipe) = brought else { return };
    let owner = (FUNCTION_UID, FUNCTION_GID);
    if let Err(error) = left::unpack(File::from(pipe), &root.tmp, owner) {
        let errno = error.raw_os_error().unwrap_or(0);
        tell(plan, &FromInit::TmpNotKept { errno }, &[]);
    }
}

/// Returns when the helper has something to say; `Err` if the runtime ended before.
fn await_helper(plan: &Plan<'_>, runtime: i32) -> Result<(), FromInit> {
    let pid = Pid::from_raw(runtime).ok_or(Errno::SRCH);
    let life = pid
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .at("watch the runtime")?;
    loop {
        let mut fds = [
            PollFd::new(&plan.helper, PollFlags::IN),
            PollFd::new(&life, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.at("wait for a function")?,
        };
        let [helper, life] = fds.map(|fd| fd.revents());
        if !helper.is_empty() {
            return Ok(());
        }
        if !life.is_empty() {
            return Err(reap(runtime));
        }
    }
}

/// The first process of a snapshot keeps its rights and what it makes forks with.
fn stay(plan: &Plan<'_>, keeper: &Keeper, tmp: &OwnedFd) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    for standard in 0..3 {
        sys::dup_to(null.as_fd(), standard)?;
    }
    drop(null);
    let mut kept = plan.fds();
    kept.extend(keeper.fds());
    kept.push(tmp.as_fd());
    sys::close_all_but(&kept)
}

/// The first process keeps nothing but this and its socket to the server.
fn close_up<'a>(plan: &'a Plan<'_>, mut kept: Vec<BorrowedFd<'a>>) -> io::Result<()> {
    sys::drop_bounding_set()?;
    confine::no_capabilities()?;
    // Dropping rights may have made it readable again.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let null = File::open("/dev/null")?;
    for standard in 0..3 {
        sys::dup_to(null.as_fd(), standard)?;
    }
    drop(null);
    kept.push(plan.server.as_fd());
    sys::close_all_but(&kept)
}

/// Reaps until the runtime itself ended.
pub(super) fn reap(runtime: i32) -> FromInit {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == runtime => {
                return exited(status);
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => {
                return FromInit::Exited {
                    code: None,
                    signal: 0,
                };
            }
        }
    }
}

fn exited(status: WaitStatus) -> FromInit {
    FromInit::Exited {
        code: status.exit_status(),
        signal: status.terminating_signal().unwrap_or(0),
    }
}
