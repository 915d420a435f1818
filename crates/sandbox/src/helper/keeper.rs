//! The first process of a snapshot: it keeps an initialised runtime and makes environments in which
//! forks of that runtime go on.
//!
//! A fork cannot enter the sandbox that the helper makes: the way in leads down from one's own user and
//! PID namespace only. So sandboxes for forks are made below the snapshot's namespaces, by this process,
//! which keeps its rights there for that.
//!
//! The runtime has run code of its function and is trusted with nothing. It forks when it is told to; the
//! fork stands still under ptrace while this process moves it, looks what it has brought along, has it
//! enter the namespaces and give up every right, and looks again. Its filter lets the calls for that
//! through under ptrace alone, and functions may not trace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, set_dumpable_behavior,
    set_parent_process_death_signal,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::confine;
use super::enter::{self, Doors};
use super::environment::{self, Kind, Plan};
use super::identity::{NAMESPACES, write_nested_maps};
use super::inspect;
use super::proto::{FromInit, FromKeeper, ToKeeper};
use super::root::{At, Failure};
use crate::channel;
use crate::sys::{self, Side};
use crate::sys_trace::Traced;

/// Longest wait for a word of the runtime, which forks meanwhile.
const WORD_MAX: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How often it looks for ended processes after something has happened, and how many times.
const REAP_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};
const REAP_LOOKS: u32 = 50;

/// Most environments of one snapshot.
const NESTED_MAX: usize = 1_024;

/// How often a process looks whether the fork is there, and how many times.
const ARRIVAL_LOOK_EVERY: Duration = Duration::from_micros(100);
const ARRIVAL_LOOKS_MAX: u32 = 30_000;

/// What a snapshot has besides the descriptors of an ordinary environment.
pub(super) struct Keeper {
    /// The runtime; 0 until it runs.
    runtime: i32,
    /// Speaks to it.
    control: OwnedFd,
    /// The runtime's end of it, as an open file.
    theirs: OwnedFd,
    /// The mount namespace before it was changed, to be copied, and the one of this process.
    pristine: OwnedFd,
    own: OwnedFd,
    nested: Vec<Nested>,
}

/// An environment for a fork.
struct Nested {
    /// Speaks to its first process.
    link: OwnedFd,
    text: OwnedFd,
    framed: OwnedFd,
    /// Files that move a process into its cgroups.
    movers: Vec<OwnedFd>,
}

/// What the first process of an environment for a fork says to the keeper, with its [`Doors`].
#[derive(Serialize, Deserialize)]
pub(super) enum ToKeeperInside {
    Fork,
}

/// And the answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Forked {
    Entered,
    Failed { step: String, errno: i32 },
}

/// What the runtime is told.  `kiln_runtime/snapshot.py` reads it.
const TRY: &[u8] = b"try";
const FORK: &[u8] = b"fork";
const GO: &[u8] = b"1";

impl Keeper {
    /// Must be made before the mounts are changed, by a process with one thread.
    pub(super) fn make() -> io::Result<Keeper> {
        let pristine = mounts()?;
        sys::unshare(libc::CLONE_NEWNS)?;
        let own = mounts()?;
        let (control, theirs) = channel::pair()?;
        Ok(Keeper {
            runtime: 0,
            control,
            theirs,
            pristine,
            own,
            nested: Vec::new(),
        })
    }

    /// What the runtime gets.
    pub(super) fn runtimes_end(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }

    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 4] {
        [&self.control, &self.theirs, &self.pristine, &self.own].map(AsFd::as_fd)
    }

    /// Keeps the runtime until it ends.
    pub(super) fn keep(mut self, plan: &Plan<'_>, tmp: &OwnedFd, runtime: i32) -> FromInit {
        self.runtime = runtime;
        let pid = Pid::from_raw(runtime).ok_or(Errno::SRCH);
        let life = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let Ok(life) = life.at("watch the runtime") else {
            return environment::reap(runtime);
        };
        let mut looks = 0;
        loop {
            let mut fds = vec![
                PollFd::new(&plan.helper, PollFlags::IN),
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(&life, PollFlags::IN),
            ];
            fds.extend(
                self.nested
                    .iter()
                    .map(|n| PollFd::new(&n.link, PollFlags::IN)),
            );
            // Nothing wakes it when the process between ends that a fork comes by, and its environment
            // could not end before that is reaped.
            let wait = (looks > 0).then_some(&REAP_EVERY);
            match poll(&mut fds, wait) {
                Ok(0) => looks -= 1,
                Ok(_) => looks = REAP_LOOKS,
                Err(Errno::INTR) => {}
                Err(_) => sys::exit_now(1),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            let is = |at: usize| ready.get(at).copied().unwrap_or(false);
            if is(2) {
                return environment::reap(runtime);
            }
            if is(0) {
                self.hear_helper(plan, tmp);
            }
            if is(1) && !self.hear_runtime(plan) {
                return environment::reap(runtime);
            }
            // From the end, so that what goes moves nothing that is still to come.
            for at in (0..ready.len().saturating_sub(3)).rev() {
                if is(at + 3) && !self.hear_nested(at) {
                    drop(self.nested.remove(at));
                }
            }
            reap_others(runtime);
        }
    }

    /// The runtime is ready to be forked: whether that is possible is found out at once.
    fn hear_runtime(&mut self, plan: &Plan<'_>) -> bool {
        let mut word = [0; 16];
        match rustix::io::read(&self.control, &mut word[..]) {
            Ok(n) if n > 0 => {}
            _ => return false,
        }
        let problem = self.attempt(plan).err();
        environment::tell(plan, &FromInit::Kept { problem }, &[]);
        true
    }

    /// Forks once for nothing.
    fn attempt(&self, plan: &Plan<'_>) -> Result<(), String> {
        if !crate::sys_trace::IS_BUILT {
            return Err("snapshots are not built for this processor".to_owned());
        }
        let say = |failure: Failure| {
            let error = io::Error::from_raw_os_error(failure.errno);
            format!("cannot {}: {error}", failure.step)
        };
        inspect::is_alone(self.runtime)?;
        let fds = [plan.text.as_fd(), plan.framed.as_fd()];
        let traced = self.fork(TRY, &fds).map_err(say)?;
        inspect::is_clean(traced.pid(), &[fds[0], fds[1], self.theirs.as_fd()])
    }

    /// Has the runtime fork; gives the fork, which stands still. The runtime says a number, which may be that
    /// of any process: nothing is done to one that is not its child.
    fn fork(&self, word: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Traced, Failure> {
        channel::send_bytes(&self.control, word, fds)
            .map_err(|_| Errno::PIPE)
            .at("ask for a fork")?;
        let pid = self.hear_pid().at("hear of the fork")?;
        let is_fork = || match inspect::is_child_of(self.runtime, pid) {
            true => Ok(()),
            false => Err(Errno::CHILD).at("find the fork among the runtime's children"),
        };
        is_fork()?;
        let traced = Traced::seize(pid).at("stop the fork")?;
        // From now on nothing else can get its number.
        is_fork()?;
        Ok(traced)
    }

    fn hear_pid(&self) -> io::Result<i32> {
        loop {
            match poll(
                &mut [PollFd::new(&self.control, PollFlags::IN)],
                Some(&WORD_MAX),
            ) {
                Ok(0) => return Err(Errno::TIMEDOUT.into()),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut text = [0; 16];
        let length = rustix::io::read(&self.control, &mut text[..])?;
        let text = text.get(..length).unwrap_or_default();
        let pid = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok());
        pid.filter(|pid| *pid > 1).ok_or(Errno::PROTO.into())
    }

    /// False when the environment is gone.
    fn hear_nested(&self, at: usize) -> bool {
        let Some(nested) = self.nested.get(at) else {
            return false;
        };
        let Ok((ToKeeperInside::Fork, fds)) = channel::receive(&nested.link) else {
            return false;
        };
        let answer = match self.restore(nested, fds) {
            Ok(()) => Forked::Entered,
            Err(Failure { step, errno }) => Forked::Failed { step, errno },
        };
        channel::send(&nested.link, &answer, &[]).is_ok()
    }

    fn restore(&self, nested: &Nested, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let doors = Doors::of_fds(fds)
            .ok_or(Errno::PROTO)
            .at("read the way in")?;
        let mut carried = vec![nested.text.as_fd(), nested.framed.as_fd()];
        carried.extend(doors.as_fds());
        let mut traced = self.fork(FORK, &carried)?;
        carried.push(self.theirs.as_fd());
        inspect::is_clean(traced.pid(), &carried)
            .map_err(|_| Errno::NOTUNIQ)
            .at("find the fork clean")?;
        for mover in &nested.movers {
            rustix::io::write(mover, traced.pid().to_string().as_bytes())
                .at("move the fork into its cgroup")?;
        }
        enter::enter(&mut traced, &doors)?;
        let pid = traced.pid();
        inspect::is_bound(pid, &doors)
            .map_err(|_| Errno::NOTUNIQ)
            .at("find the fork bound")?;
        traced.release().at("let the fork go")?;
        rustix::io::write(&self.control, GO).at("tell the fork")?;
        Ok(())
    }

    fn hear_helper(&mut self, plan: &Plan<'_>, tmp: &OwnedFd) {
        let Ok((ToKeeper::Nest { id, reach }, fds)) = channel::receive(&plan.helper) else {
            sys::exit_now(0); // the helper is gone
        };
        let answer = match self.nest(plan, tmp, reach, fds) {
            Ok(pidfd) => (FromKeeper::Nested { id }, Some(pidfd)),
            Err(Failure { step, errno }) => {
                let error = io::Error::from_raw_os_error(errno);
                let reason = format!("cannot {step}: {error}");
                (FromKeeper::NotNested { id, reason }, None)
            }
        };
        let fds: Vec<_> = answer.1.iter().map(AsFd::as_fd).collect();
        if channel::send(&plan.helper, &answer.0, &fds).is_err() {
            sys::exit_now(0);
        }
    }

    /// Makes an environment below this one, which prepares itself as any other does.
    fn nest(
        &mut self,
        plan: &Plan<'_>,
        tmp: &OwnedFd,
        reach: super::proto::Reach,
        fds: Vec<OwnedFd>,
    ) -> Result<OwnedFd, Failure> {
        if self.nested.len() >= NESTED_MAX {
            return Err(Errno::AGAIN).at("make one more environment of a snapshot");
        }
        let mut fds = fds.into_iter();
        let mut next = || {
            fds.next()
                .ok_or(Errno::PROTO)
                .at("read what belongs to a sandbox")
        };
        let (text, framed, server, helper) = (next()?, next()?, next()?, next()?);
        let movers: Vec<OwnedFd> = fds.collect();
        let (link, theirs) = channel::pair().at("make a socket")?;
        let plan = Plan {
            reach,
            kind: Kind::Fork {
                keeper: theirs,
                tmp: tmp.try_clone().at("keep /tmp")?,
            },
            groups: Vec::new(),
            filter: plan.filter,
            snapshot_filter: plan.snapshot_filter,
            rootless: plan.rootless,
            text,
            framed,
            server,
            helper,
        };
        let (pid, pidfd) = self.clone_environment(&plan)?;
        write_nested_maps(pid, plan.rootless).at("write the id maps")?;
        for mover in &movers {
            rustix::io::write(mover, pid.to_string().as_bytes()).at("move it into its cgroup")?;
        }
        let Plan { text, framed, .. } = plan;
        self.nested.push(Nested {
            link,
            text,
            framed,
            movers,
        });
        Ok(pidfd)
    }

    fn clone_environment(&self, plan: &Plan<'_>) -> Result<(u32, OwnedFd), Failure> {
        // The user namespace of the new one shall belong to the function's user: the fork, which has no
        // other right, may enter it by that.
        let outside = || -> io::Result<()> {
            go_to(&self.pristine)?;
            // Without root it is that user already.
            if !plan.rootless {
                confine::stand_in_for_function()?;
            }
            // The id maps of one that is closed to others could not be written from here.
            Ok(set_dumpable_behavior(DumpableBehavior::Dumpable)?)
        };
        let inside = || -> io::Result<()> {
            if !plan.rootless {
                confine::stand_in_no_more()?;
            }
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            // Lost with the change of the user.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            go_to(&self.own)
        };
        outside().at("stand where it begins")?;
        let side = sys::clone_into(NAMESPACES & !libc::CLONE_NEWCGROUP, None);
        if let Ok(Side::Child) = side {
            environment::run(plan);
        }
        if inside().is_err() {
            sys::exit_now(1);
        }
        match side.at("clone")? {
            Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
            Side::Child => sys::exit_now(1),
        }
    }
}

/// Reaps what ended, except the runtime, whose end tells more.
fn reap_others(runtime: i32) {
    let children = std::fs::read_to_string("/proc/self/task/1/children").unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|text| text.parse().ok());
    for pid in children
        .filter(|pid| *pid != runtime)
        .filter_map(Pid::from_raw)
    {
        // One that still runs is left alone.
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

fn mounts() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(open("/proc/self/ns/mnt", flags, Mode::empty())?)
}

fn go_to(mounts: &OwnedFd) -> io::Result<()> {
    Ok(move_into_link_name_space(
        mounts.as_fd(),
        Some(LinkNameSpaceType::Mount),
    )?)
}

/// Asks the keeper for a fork, in the first process of its environment; returns when it is in here.
pub(super) fn ask(keeper: &OwnedFd) -> Result<(), Failure> {
    let doors = Doors::open().at("open the namespaces")?;
    channel::send(keeper, &ToKeeperInside::Fork, &doors.as_fds())
        .map_err(|_| Errno::PIPE)
        .at("ask for a fork")?;
    drop(doors);
    let answer = channel::receive(keeper)
        .map_err(|_| Errno::PIPE)
        .at("hear of the fork")?;
    match answer.0 {
        Forked::Entered => Ok(()),
        Forked::Failed { step, errno } => Err(Failure { step, errno }),
    }
}

/// Waits for the fork to become a child of this process, besides `other`; gives its number in here.
pub(super) fn arrived(other: i32) -> io::Result<i32> {
    for _ in 0..ARRIVAL_LOOKS_MAX {
        let children = std::fs::read_to_string("/proc/self/task/1/children")?;
        let mut children = children
            .split_whitespace()
            .filter_map(|text| text.parse().ok());
        if let Some(pid) = children.find(|pid| *pid != other) {
            return Ok(pid);
        }
        std::thread::sleep(ARRIVAL_LOOK_EVERY);
    }
    Err(Errno::TIMEDOUT.into())
}
