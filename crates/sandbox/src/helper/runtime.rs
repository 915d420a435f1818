//! The process that becomes the runtime. The first process forks it while nobody waits; it binds
//! itself at once and needs only its program then.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, chdir, setsid, waitpid};

use super::confine;
use super::environment::Plan;
use super::proto::{FRAMED_FD, Program, SNAPSHOT_FD, ToInit, WAIT_FD};
use super::root::Failure;
use crate::sys;

/// Descriptors that are needed until exec are kept at and above this, out of the way of those that
/// the program gets.
const HIGH: i32 = 16;

/// It begins bound and without a program.
pub(super) struct Runtime {
    pub(super) pid: i32,
    /// Carries the program, then what a waiting program waits for.
    words: File,
    /// Its reading end, to see what was not read.
    heard: OwnedFd,
    /// Says why there is no program; closed by the exec.
    failed: File,
}

/// What became of a start.
pub(super) enum Started {
    Runs,
    NoProgram { errno: i32 },
    NoWorkingDir { errno: i32 },
    Failed(Failure),
}

impl Runtime {
    /// `control`: the socket by which the runtime of a snapshot is told to fork.
    pub(super) fn fork(
        plan: &Plan<'_>,
        rules: Option<&OwnedFd>,
        control: Option<BorrowedFd<'_>>,
    ) -> io::Result<Runtime> {
        let (heard, words) = pipe_with(PipeFlags::CLOEXEC)?;
        let (failed, fail) = pipe_with(PipeFlags::CLOEXEC)?;
        let Some(pid) = sys::fork()? else {
            drop((words, failed));
            become_runtime(plan, rules, heard.as_fd(), fail.as_fd(), control)
        };
        Ok(Runtime {
            pid,
            words: words.into(),
            heard,
            failed: failed.into(),
        })
    }

    /// Gives it its program and waits until that runs or cannot. `text` is a [`ToInit`].
    pub(super) fn start(&mut self, text: &[u8]) -> Started {
        let length = u32::try_from(text.len()).unwrap_or(0).to_ne_bytes();
        // If it ended it has said why.
        let _ = self
            .words
            .write_all(&length)
            .and_then(|()| self.words.write_all(text));
        let mut said = Vec::new();
        match self.failed.read_to_end(&mut said) {
            Ok(0) => Started::Runs,
            _ => match serde_json::from_slice::<(String, i32)>(&said) {
                Ok((step, errno)) if step == EXEC => Started::NoProgram { errno },
                Ok((step, errno)) if step == ENTER => Started::NoWorkingDir { errno },
                Ok((step, errno)) => Started::Failed(Failure { step, errno }),
                Err(_) => Started::Failed(Failure {
                    step: "start the runtime".to_owned(),
                    errno: 0,
                }),
            },
        }
    }

    /// A fork takes the place of this process, which ends. It reads what comes from `words` at
    /// `heard`.
    pub(super) fn give_way(&mut self, fork: i32, words: OwnedFd, heard: OwnedFd) {
        self.words = words.into();
        self.heard = heard;
        if let Some(pid) = Pid::from_raw(self.pid) {
            // It has nothing to wait for any more; nobody else reaps it before the function runs.
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
        self.pid = fork;
    }

    /// Writes what the waiting program waits for; its end comes with the end of this value.
    pub(super) fn hand_over(&mut self, env: &[String]) -> io::Result<()> {
        let mut records = Vec::new();
        for record in env {
            records.extend_from_slice(record.as_bytes());
            records.push(0);
        }
        self.words.write_all(&records)
    }

    /// The reading end of what was handed over: what is left in it when the program has ended was
    /// never read.
    pub(super) fn into_heard(self) -> OwnedFd {
        self.heard
    }
}

pub(super) const EXEC: &str = "exec";
const ENTER: &str = "enter the working directory";

/// In the new process. Returns to nobody.
fn become_runtime(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    heard: BorrowedFd<'_>,
    fail: BorrowedFd<'_>,
    control: Option<BorrowedFd<'_>>,
) -> ! {
    let Ok(fail) = fcntl_dupfd_cloexec(fail, HIGH) else {
        sys::exit_now(127);
    };
    let (step, error) = match fcntl_dupfd_cloexec(heard, HIGH) {
        Ok(heard) => match bind_with(
            plan,
            rules,
            plan.text.as_fd(),
            Some(plan.framed.as_fd()),
            control,
        ) {
            Ok(()) => exec(heard.into()),
            Err((step, error)) => (step, error),
        },
        Err(error) => ("keep the pipe", error.into()),
    };
    child_failed(fail.as_fd(), step, &error)
}

/// Says why there is no program, and ends.
pub(super) fn child_failed(fail: BorrowedFd<'_>, step: &str, error: &io::Error) -> ! {
    let message = (step, error.raw_os_error().unwrap_or(0));
    if let Ok(text) = serde_json::to_vec(&message) {
        let _ = rustix::io::write(fail, &text);
    }
    sys::exit_now(127)
}

/// Waits for the program and starts it. Returns only if it could not.
fn exec(mut heard: File) -> (&'static str, io::Error) {
    let (program, waits) = match hear(&mut heard) {
        Ok(Some(ToInit::Run { program, .. })) => (program, false),
        Ok(Some(ToInit::Wait { program })) => (program, true),
        Ok(_) => sys::exit_now(0), // the sandbox is not used, or not with this process
        Err(error) => return ("hear what to run", error),
    };
    if waits {
        if let Err(error) = sys::dup_to(heard.as_fd(), WAIT_FD) {
            return ("take its place", error);
        }
    } else if let Err(error) = chdir(program.working_dir.as_str()) {
        return (ENTER, error.into());
    }
    let (argv, env) = match strings(&program) {
        Ok(both) => both,
        Err(error) => return ("read the program's name", error),
    };
    let Some(path) = argv.first() else {
        return (EXEC, Errno::NOENT.into());
    };
    (EXEC, sys::execve(path, &argv, &env))
}

/// None if nothing comes any more.
fn hear(words: &mut File) -> io::Result<Option<ToInit>> {
    let mut length = [0; 4];
    match words.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(0);
    let mut text = vec![0; length];
    words.read_exact(&mut text)?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|_| Errno::PROTO.into())
}

/// What execve wants.
pub(super) fn strings(program: &Program) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let list = |list: &[String]| {
        list.iter()
            .map(|s| CString::new(s.as_bytes()).map_err(|_| io::Error::from(Errno::INVAL)))
            .collect::<io::Result<Vec<_>>>()
    };
    Ok((list(&program.argv)?, list(&program.env)?))
}

/// Takes the bounds of whatever runs in an environment, with `text` as its output.
pub(super) fn bind(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    text: BorrowedFd<'_>,
    framed: Option<BorrowedFd<'_>>,
) -> Result<(), (&'static str, io::Error)> {
    bind_with(plan, rules, text, framed, None)
}

fn bind_with(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    text: BorrowedFd<'_>,
    framed: Option<BorrowedFd<'_>>,
    control: Option<BorrowedFd<'_>>,
) -> Result<(), (&'static str, io::Error)> {
    fn at<T>(
        step: &'static str,
        result: Result<T, impl Into<io::Error>>,
    ) -> Result<T, (&'static str, io::Error)> {
        result.map_err(|error| (step, error.into()))
    }
    at("start a session", setsid())?;
    at("set limits", confine::limits())?;
    // Out of the way of the descriptors that the program gets.
    let rules = rules.map(|rules| fcntl_dupfd_cloexec(rules, HIGH));
    let rules = at("keep landlock's rules", rules.transpose())?;
    at("set descriptors", descriptors(text, framed, control))?;
    at("drop rights", confine::identity(plan.rootless))?;
    if let Some(rules) = rules {
        at(
            "restrict by landlock",
            sys::landlock_restrict(rules.as_fd()),
        )?;
    }
    let other = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let filter = match control {
        None => plan.filter.install(),
        Some(_) => plan.snapshot_filter.install(),
    };
    at("filter system calls", filter.map_err(|e| other(&e)))
}

/// 0 is the null device, 1 and 2 the text pipe, 3 the framed pipe if there is one; the rest closes
/// on exec.
fn descriptors(
    text: BorrowedFd<'_>,
    framed: Option<BorrowedFd<'_>>,
    control: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    // Taken above first, so that no copy overwrites one that is still needed.
    let high = |fd: BorrowedFd<'_>| fcntl_dupfd_cloexec(fd, HIGH);
    let (null, text): (OwnedFd, OwnedFd) = (high(null.as_fd())?, high(text)?);
    let framed: Option<OwnedFd> = framed.map(high).transpose()?;
    let control: Option<OwnedFd> = control.map(high).transpose()?;
    sys::dup_to(null.as_fd(), 0)?;
    sys::dup_to(text.as_fd(), 1)?;
    sys::dup_to(text.as_fd(), 2)?;
    let Some(framed) = framed else {
        return sys::close_on_exec_from(3);
    };
    sys::dup_to(framed.as_fd(), FRAMED_FD)?;
    let Some(control) = control else {
        return sys::close_on_exec_from(4);
    };
    sys::dup_to(control.as_fd(), SNAPSHOT_FD)?;
    sys::close_on_exec_from(SNAPSHOT_FD.unsigned_abs() + 1)
}
