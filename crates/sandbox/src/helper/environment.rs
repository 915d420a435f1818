//! From clone to exec: what the first process of an environment does.
//!
//! It runs the helper's own code in a copy of the helper's memory. It makes network and root, starts
//! the runtime, then only reaps and waits; when the runtime ends it tells the server and ends too,
//! and the kernel kills what is left in the PID namespace.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Signal, WaitOptions, WaitStatus, set_dumpable_behavior,
    set_parent_process_death_signal, setsid, umask,
};

use super::cgroup::SELF;
use super::confine;
use super::network;
use super::proto::{FRAMED_FD, FromInit, Start};
use super::root::{self, At, Failure, Tree};
use super::seccomp::Filter;
use super::template::HOST_NAME;
use crate::{channel, sys};

/// What the helper prepared for this environment.
pub(super) struct Plan<'a> {
    pub(super) start: &'a Start,
    pub(super) trees: Vec<Tree>,
    /// The cgroups to enter.
    pub(super) groups: Vec<File>,
    pub(super) filter: &'a Filter,
    pub(super) rootless: bool,
    /// Where no cgroup limits memory: the most that one process may allocate.
    pub(super) data_bytes_max: Option<u64>,
    /// Writing ends, and the socket to the server.
    pub(super) text: OwnedFd,
    pub(super) framed: OwnedFd,
    pub(super) server: OwnedFd,
    /// Readable once the helper has written the id maps.
    pub(super) go: OwnedFd,
}

/// Never returns to the helper's code.
pub(super) fn run(plan: &Plan<'_>) -> ! {
    let report = match make(plan) {
        Ok(runtime) => reap(runtime),
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

/// Makes everything and starts the runtime; gives its process id.
fn make(plan: &Plan<'_>) -> Result<i32, FromInit> {
    sys::ordinary_priority().at("take the ordinary priority")?;
    for mut group in &plan.groups {
        group.write_all(SELF).at("enter the cgroup")?;
    }
    if !matches!(rustix::io::read(&plan.go, &mut [0; 1][..]), Ok(1)) {
        sys::exit_now(1); // the helper died
    }
    if !plan.rootless {
        confine::become_id(0, 0).at("become the environment's own root")?;
    }
    set_parent_process_death_signal(Some(Signal::KILL)).at("tie the life to the helper's")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("close the process to others")?;
    let name = HOST_NAME.to_string();
    rustix::system::sethostname(name.as_bytes()).at("set the host name")?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    let listeners = network::make(plan.start.reach).at("make the network")?;
    no_more_namespaces();
    let tmp = root::complete(&plan.trees, plan.start.tmp_bytes)?;
    let runtime = launch(plan)?;
    let mut fds: Vec<BorrowedFd<'_>> = vec![tmp.as_fd()];
    fds.extend(listeners.iter().map(AsFd::as_fd));
    if channel::send(&plan.server, &FromInit::Started, &fds).is_err() {
        sys::exit_now(1);
    }
    drop((tmp, listeners));
    close_up(plan).at("shrink the first process")?;
    Ok(runtime)
}

/// Nobody in here may make user namespaces. Seccomp refuses it too; this holds if that fails.
fn no_more_namespaces() {
    // In a container `/proc/sys` may be read-only.
    let _ = std::fs::write("/proc/sys/user/max_user_namespaces", "0");
}

/// Forks the runtime and waits until its program runs or cannot.
fn launch(plan: &Plan<'_>) -> Result<i32, FromInit> {
    let (failed, fail) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(io::Error::from)
        .at("make a pipe")?;
    let program = Program::new(plan.start).at("read the program's name")?;
    let Some(pid) = sys::fork().at("fork the runtime")? else {
        let (step, error) = become_runtime(plan, &program);
        let message = (step, error.raw_os_error().unwrap_or(0));
        if let Ok(text) = serde_json::to_vec(&message) {
            let _ = rustix::io::write(&fail, &text);
        }
        sys::exit_now(127);
    };
    drop(fail);
    let mut text = [0; 512];
    let length = rustix::io::read(&failed, &mut text[..]).unwrap_or(0);
    let text = text.get(..length).unwrap_or_default();
    match serde_json::from_slice::<(String, i32)>(text) {
        Err(_) => Ok(pid), // closed by the exec
        Ok((step, errno)) if step == EXEC => Err(FromInit::BadEntrypoint { errno }),
        Ok((step, errno)) => Err(FromInit::Failed { step, errno }),
    }
}

const EXEC: &str = "exec";

/// What execve wants, made before the fork.
struct Program {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    fn new(start: &Start) -> io::Result<Program> {
        let strings = |list: &[String]| {
            list.iter()
                .map(|s| CString::new(s.as_bytes()).map_err(|_| Errno::INVAL))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Program {
            argv: strings(&start.argv)?,
            env: strings(&start.env)?,
        })
    }
}

/// Returns only if it could not.
fn become_runtime(plan: &Plan<'_>, program: &Program) -> (String, io::Error) {
    if let Err((step, error)) = bind(plan) {
        return (step.to_owned(), error);
    }
    let Some(path) = program.argv.first() else {
        return (EXEC.to_owned(), Errno::NOENT.into());
    };
    let error = sys::execve(path, &program.argv, &program.env);
    (EXEC.to_owned(), error)
}

fn bind(plan: &Plan<'_>) -> Result<(), (&'static str, io::Error)> {
    fn at<T>(
        step: &'static str,
        result: Result<T, impl Into<io::Error>>,
    ) -> Result<T, (&'static str, io::Error)> {
        result.map_err(|error| (step, error.into()))
    }
    at("start a session", setsid())?;
    at("set limits", confine::limits(plan.data_bytes_max))?;
    at("set descriptors", descriptors(plan))?;
    at("drop rights", confine::identity(plan.rootless))?;
    let other = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    at(
        "restrict by landlock",
        confine::landlock().map_err(|e| other(&e)),
    )?;
    at(
        "filter system calls",
        plan.filter.install().map_err(|e| other(&e)),
    )
}

/// 0 is the null device, 1 and 2 the text pipe, 3 the framed pipe; the rest closes on exec.
fn descriptors(plan: &Plan<'_>) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    // Taken above 3 first, so that no copy overwrites one that is still needed.
    let high = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 16);
    let (null, text, framed) = (
        high(null.as_fd())?,
        high(plan.text.as_fd())?,
        high(plan.framed.as_fd())?,
    );
    sys::dup_to(null.as_fd(), 0)?;
    sys::dup_to(text.as_fd(), 1)?;
    sys::dup_to(text.as_fd(), 2)?;
    sys::dup_to(framed.as_fd(), FRAMED_FD)?;
    sys::close_on_exec_from(4)
}

/// The first process keeps nothing but its socket to the server.
fn close_up(plan: &Plan<'_>) -> io::Result<()> {
    sys::drop_bounding_set()?;
    confine::no_capabilities()?;
    // Dropping rights may have made it readable again.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let null = File::open("/dev/null")?;
    for standard in 0..3 {
        sys::dup_to(null.as_fd(), standard)?;
    }
    drop(null);
    sys::close_all_but(&[plan.server.as_fd()])
}

/// Reaps until the runtime itself ended.
fn reap(runtime: i32) -> FromInit {
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
