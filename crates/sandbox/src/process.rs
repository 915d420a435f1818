//! Plain child processes: no isolation at all, and it says so. For hosts without namespaces and as
//! the weak counterpart that shows that an escape test can succeed.
//!
//! Differs: the mounts of a spec do not exist; the paths in `argv` and `env` that begin with the
//! inside of a mount are rewritten to its directory on the host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::Exit;
use runtime_api::Session;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tasks::Tasks;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;

use crate::debugger::Debugger;
use crate::deliver::{Deliveries, Life, Local};
use crate::extensions::{credential_variables, facts};
use crate::meter::peak_rss_mib;
use crate::output::{Streams, pipe};
use crate::running::{Body, Running};
use crate::sys;
use crate::task;
use crate::{
    Enforcement, Environment, EnvironmentSpec, InitReport, Isolation, LimitState, Mount, Origin,
    Sandbox, StartError, TASK_DIR,
};

pub struct Process {
    tasks: Tasks,
    endpoint: Option<SocketAddr>,
    debugger: Option<Debugger>,
}

/// A backend without isolation. `endpoint` is where Kiln's own API listens; `debug_port` is where
/// functions listen for a debugger: while one is connected there, no time limit of theirs runs.
pub fn open(
    endpoint: Option<SocketAddr>,
    debug_port: Option<u16>,
    tasks: &Tasks,
) -> Arc<dyn Sandbox> {
    Arc::new(Process {
        tasks: tasks.clone(),
        endpoint,
        debugger: debug_port.map(Debugger::new),
    })
}

#[async_trait]
impl Sandbox for Process {
    fn isolation(&self) -> Isolation {
        let missing = [
            "file system",
            "processes",
            "network",
            "user",
            "system calls",
            "memory limit",
            "cpu limit",
            "process limit",
            "/tmp quota",
        ];
        let items = missing.map(|what| Enforcement {
            what: what.to_owned(),
            state: LimitState::Missing,
            detail: "the process backend isolates nothing; use the ns backend".to_owned(),
        });
        Isolation {
            backend: "process".to_owned(),
            items: items.into(),
        }
    }

    fn kiln_endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    async fn start(&self, spec: EnvironmentSpec) -> Result<Box<dyn Environment>, StartError> {
        let clock = self.tasks.clock().clone();
        let begin = clock.monotonic();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(backend)?;
        let api = listener.local_addr().map_err(backend)?;
        let (text, text_end) = pipe().map_err(backend)?;
        let (framed, framed_end) = pipe().map_err(backend)?;
        let streams =
            Streams::new(text, framed, spec.output.clone(), clock.clone()).map_err(backend)?;
        if !spec.extensions.external.is_empty() {
            return Err(backend("the process backend starts no external extensions"));
        }
        let (limit, leaves) = (spec.init_limit, spec.leaves.clone());
        let (host, life) = Deliveries::begin(Arc::new(Local), &self.tasks);
        let started = clock.monotonic();
        let facts = facts(&spec, Some(host), (&clock, started));
        let mut body = self
            .tasks
            .blocking(move || spawn(&spec, api, &text_end, &framed_end))
            .await
            .map_err(|e| StartError::Backend(e.to_string()))??;
        body.deliveries = Some(life);
        body.debugger = self.debugger;
        let (session, handle) = Session::with(facts);
        self.tasks.spawn("runtime-api", session.serve(listener));
        let init = InitReport {
            duration: Duration::ZERO,
            setup: started.since(begin),
            origin: Origin::New,
        };
        let body = Box::new(body);
        let (begin, limit) = ((started, init), ("", limit));
        let running = Running::begin(body, handle, streams, clock, begin, limit, &leaves).await?;
        Ok(Box::new(running))
    }

    async fn shutdown(&self, _grace: Duration) {}
}

fn backend(error: impl std::fmt::Display) -> StartError {
    StartError::Backend(error.to_string())
}

fn spawn(
    spec: &EnvironmentSpec,
    api: SocketAddr,
    text: &OwnedFd,
    framed: &OwnedFd,
) -> Result<Child, StartError> {
    let outside = |text: &str| rewritten_list(text, &spec.mounts);
    let mut argv = spec.argv.iter().map(|a| outside(a));
    let path = argv.next().unwrap_or_default();
    let bad = |error: std::io::Error| StartError::BadEntrypoint {
        path: spec.argv.first().cloned().unwrap_or_default(),
        reason: task::reason(error.raw_os_error().unwrap_or(0)),
    };
    task::check(spec)?;
    let mut command = process::Command::new(&path);
    command
        .args(argv)
        .env_clear()
        .envs(
            spec.env
                .iter()
                .map(|(k, v)| (k, rewritten_list(v, &spec.mounts))),
        )
        .envs(credential_variables(spec, api.port()))
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        // A fourth descriptor would need code between fork and exec. Nothing is read from stdin in
        // Lambda, so the framed pipe takes its place.
        .env("_LAMBDA_TELEMETRY_LOG_FD", "0")
        .stdin(framed.try_clone().map_err(backend)?)
        .stdout(text.try_clone().map_err(backend)?)
        .stderr(text.try_clone().map_err(backend)?)
        .process_group(0);
    let working_dir = rewritten(&spec.working_dir, &spec.mounts);
    // Without code there is no directory of the function on this host.
    if working_dir != TASK_DIR {
        if let Err(error) = std::fs::read_dir(&working_dir) {
            let errno = error.raw_os_error().unwrap_or(0);
            return Err(task::cannot_enter(&spec.working_dir, errno));
        }
        command.current_dir(working_dir);
    }
    let child = command.spawn().map_err(bad)?;
    Child::new(child).map_err(backend)
}

/// `/var/task/x` becomes the path on the host; other text stays.
fn rewritten(text: &str, mounts: &[Mount]) -> String {
    let path = Path::new(text);
    mounts
        .iter()
        .find_map(|mount| {
            let rest = path.strip_prefix(&mount.inside).ok()?;
            let full = if rest.as_os_str().is_empty() {
                mount.host.clone()
            } else {
                mount.host.join(rest)
            };
            Some(full.to_string_lossy().into_owned())
        })
        .unwrap_or_else(|| text.to_owned())
}

/// The same for each part of a list separated by colons.
fn rewritten_list(text: &str, mounts: &[Mount]) -> String {
    let parts: Vec<_> = text.split(':').map(|p| rewritten(p, mounts)).collect();
    parts.join(":")
}

/// The runtime's process and its group.
struct Child {
    child: process::Child,
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    exit: Option<Exit>,
    deliveries: Option<Life>,
    debugger: Option<Debugger>,
}

impl Child {
    fn new(child: process::Child) -> io::Result<Child> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(Errno::SRCH)?;
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Child {
            child,
            pid,
            pidfd: sys::watch(pidfd, Interest::READABLE)?,
            exit: None,
            deliveries: None,
            debugger: None,
        })
    }

    fn kill_group(&self) {
        // The group may be gone already, which is what is wanted.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

#[async_trait]
impl Body for Child {
    fn debugger(&self) -> Option<Debugger> {
        self.debugger
    }

    async fn exited(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = match self.pidfd.readable().await {
            Ok(_) => self
                .child
                .wait()
                .map(|status| match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or(0)),
                }),
            Err(error) => Err(error),
        };
        let exit = exit.unwrap_or(Exit::Signal(0));
        self.exit = Some(exit);
        exit
    }

    fn runtime_is_gone(&self) -> bool {
        self.exit.is_some()
    }

    fn signal_runtime(&mut self, signal: Signal) {
        if self.exit.is_none() {
            // It may have ended by itself.
            let _ = kill_process(self.pid, signal);
        }
    }

    fn is_busy(&mut self, _is_busy: bool) {}

    fn init_done(&mut self) {}

    fn freeze(&mut self) {
        // The group may be gone already; the same below.
        let _ = kill_process_group(self.pid, Signal::STOP);
    }

    fn thaw(&mut self) {
        let _ = kill_process_group(self.pid, Signal::CONT);
    }

    fn memory_max_mib(&mut self) -> Option<u32> {
        peak_rss_mib(self.child.id())
    }

    async fn end(&mut self) {
        self.kill_group();
        self.exited().await;
        self.deliveries = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill_group();
            // Reaps it if it is gone by now; else it stays a zombie until the server ends.
            let _ = self.child.try_wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_a_mount_are_rewritten() {
        let mounts =
            [("/data/code", "/var/task"), ("/data/rt", "/var/runtime")].map(|(h, i)| Mount {
                host: h.into(),
                inside: i.into(),
            });
        for (from, to) in [
            ("/var/task", "/data/code"),
            ("/var/task/bin/x", "/data/code/bin/x"),
            ("/var/tasks/x", "/var/tasks/x"),
            ("handler.main", "handler.main"),
            (
                "/var/runtime:/usr/lib:/var/task/lib",
                "/data/rt:/usr/lib:/data/code/lib",
            ),
        ] {
            assert_eq!(rewritten_list(from, &mounts), to);
        }
    }
}
