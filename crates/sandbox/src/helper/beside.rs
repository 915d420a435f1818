//! External extensions: the processes beside the runtime.
//!
//! With them the first process goes on after the runtime's end: it tells whose process ended, and
//! the server says when all is over.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fchmod, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, wait};

use super::environment::Plan;
use super::proto::{FromInit, Neighbours};
use super::root::{At, Failure};
use super::runtime::{EXEC, bind, child_failed};
use crate::channel;
use crate::sys;

/// Where external extensions lie.
const DIR: &str = "/opt/extensions";
/// How often processes without a parent are reaped if nothing else happens.
const REAP_EVERY: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// The processes that are watched.
pub(super) struct Beside(Vec<Watched>);

struct Watched {
    pid: i32,
    /// `None`: the runtime.
    name: Option<String>,
    life: OwnedFd,
}

/// What the server gets with [`FromInit::Beside`].
pub(super) struct Ends(pub(super) Vec<OwnedFd>);

impl Beside {
    /// Starts all of them, each bound like the runtime.
    pub(super) fn start(
        plan: &Plan<'_>,
        rules: Option<&OwnedFd>,
        neighbours: &Neighbours,
    ) -> Result<(Beside, Ends), FromInit> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).at("make a pipe")?;
        fcntl_setfl(&read, OFlags::NONBLOCK).at("make a pipe")?;
        fchmod(&write, Mode::from_raw_mode(0o622)).at("make a pipe")?;
        let mut ends = vec![read];
        for _ in &neighbours.names {
            let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            ends.push(socket_with(family, kind, flags, None).at("make a socket")?);
        }
        let mut all = Vec::new();
        for name in &neighbours.names {
            let pid = launch(plan, rules, name, &neighbours.env, write.as_fd())?;
            all.push(watched(pid, Some(name.clone()))?);
        }
        Ok((Beside(all), Ends(ends)))
    }

    /// What must stay open.
    pub(super) fn lives(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|watched| watched.life.as_fd())
    }

    pub(super) fn add_runtime(&mut self, pid: i32) -> Result<(), FromInit> {
        self.0.push(watched(pid, None)?);
        Ok(())
    }

    /// Tells of every process that ends until the server says something.
    pub(super) fn watch(&mut self, server: BorrowedFd<'_>) {
        loop {
            let mut fds = vec![PollFd::new(&server, PollFlags::IN)];
            fds.extend(self.0.iter().map(|w| PollFd::new(&w.life, PollFlags::IN)));
            match poll(&mut fds, Some(&REAP_EVERY)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => sys::exit_now(1),
            }
            let has_word = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            drop(fds);
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                self.ended(pid.as_raw_nonzero().get(), status, server);
            }
            if has_word {
                return;
            }
        }
    }

    fn ended(&mut self, pid: i32, status: WaitStatus, server: BorrowedFd<'_>) {
        let Some(at) = self.0.iter().position(|w| w.pid == pid) else {
            return;
        };
        let (code, signal) = (
            status.exit_status(),
            status.terminating_signal().unwrap_or(0),
        );
        let word = match self.0.swap_remove(at).name {
            Some(name) => FromInit::ExtensionExited { name, code, signal },
            None => FromInit::Exited { code, signal },
        };
        if channel::send(server, &word, &[]).is_err() {
            sys::exit_now(1);
        }
    }
}

fn watched(pid: i32, name: Option<String>) -> Result<Watched, FromInit> {
    let life = Pid::from_raw(pid)
        .ok_or(Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .at("watch a process")?;
    Ok(Watched { pid, name, life })
}

/// Forks an extension and waits until its program runs or cannot.
fn launch(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    name: &str,
    env: &[String],
    text: BorrowedFd<'_>,
) -> Result<i32, FromInit> {
    let strings = |list: &[String]| -> Result<Vec<CString>, FromInit> {
        let list = list.iter().map(|s| CString::new(s.as_bytes()));
        let list: Result<Vec<_>, _> = list.collect();
        Ok(list
            .map_err(|_| Errno::INVAL)
            .at("read the extension's variables")?)
    };
    let argv = strings(&[format!("{DIR}/{name}")])?;
    let env = strings(env)?;
    let (failed, fail) = pipe_with(PipeFlags::CLOEXEC).at("make a pipe")?;
    let Some(pid) = sys::fork().at("fork an extension")? else {
        drop(failed);
        let (step, error) = become_extension(plan, rules, &argv, &env, text);
        child_failed(fail.as_fd(), step, &error)
    };
    drop(fail);
    let mut said = Vec::new();
    let heard = File::from(failed).read_to_end(&mut said);
    if matches!(heard, Ok(0)) {
        return Ok(pid);
    }
    match serde_json::from_slice::<(String, i32)>(&said) {
        Ok((step, errno)) if step == EXEC => Err(FromInit::ExtensionNotLaunched {
            name: name.to_owned(),
            errno,
        }),
        Ok((step, errno)) => Err(Failure { step, errno }.into()),
        Err(_) => Err(Failure {
            step: "start an extension".to_owned(),
            errno: 0,
        }
        .into()),
    }
}

/// Returns only if it could not.
fn become_extension(
    plan: &Plan<'_>,
    rules: Option<&OwnedFd>,
    argv: &[CString],
    env: &[CString],
    text: BorrowedFd<'_>,
) -> (&'static str, io::Error) {
    if let Err(failure) = bind(plan, rules, text, None) {
        return failure;
    }
    if let Err(error) = rustix::process::chdir("/") {
        return ("take its place", error.into());
    }
    let Some(path) = argv.first() else {
        return (EXEC, Errno::NOENT.into());
    };
    (EXEC, sys::execve(path, argv, env))
}
