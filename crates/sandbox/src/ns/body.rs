use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Exit, Memory};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use tasks::Tasks;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::backend;
use super::freezer::Freezer;
use super::link::Link;
use super::meter::Meter;
use crate::StartError;
use crate::channel::{self, ChannelError};
use crate::helper::{Cgroups, FromInit};
use crate::{running, sys};

/// How often a busy environment's memory and `/tmp` are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// The same while it is idle and no cgroup limits it.
const WATCH_IDLE_EVERY: Duration = Duration::from_secs(1);

/// One environment of the helper, seen from the server.
pub(super) struct Body {
    id: String,
    link: Arc<Link>,
    pidfd: OwnedFd,
    socket: AsyncFd<OwnedFd>,
    meter: Meter,
    freezer: Freezer,
    memory: Option<Memory>,
    tasks: Tasks,
    exit: Option<Exit>,
    is_busy: bool,
    is_gone: bool,
    /// Dropping them ends what carries connections out of the environment.
    guards: Vec<oneshot::Sender<()>>,
}

impl Body {
    pub(super) fn new(
        id: String,
        link: Arc<Link>,
        pid: u32,
        pidfd: OwnedFd,
        socket: OwnedFd,
        cgroups: &Cgroups,
        tasks: &Tasks,
    ) -> Result<Body, StartError> {
        let meter = Meter::open(cgroups, &id, pid);
        let freezer = Freezer::open(cgroups, &id, pid);
        Ok(Body {
            socket: sys::watch(socket, Interest::READABLE).map_err(backend)?,
            id,
            link,
            pidfd,
            meter,
            freezer,
            memory: None,
            tasks: tasks.clone(),
            exit: None,
            is_busy: true,
            is_gone: false,
            guards: Vec::new(),
        })
    }

    /// Waits for the first process to tell how far it came.
    pub(super) async fn word(&mut self) -> Result<(FromInit, Vec<OwnedFd>), ChannelError> {
        hear(&self.socket).await
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        self.socket.get_ref()
    }

    /// Whether the first process lives and has nothing to say.
    pub(super) fn is_silent(&self) -> bool {
        let mut fds = [PollFd::new(self.socket.get_ref(), PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// `tmp`: its mount.
    pub(super) fn meter_tmp(&mut self, tmp: Option<OwnedFd>) {
        self.meter.meter_tmp(tmp);
    }

    pub(super) fn limit_to(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    /// Resolves when the environment is gone.
    pub(super) fn guard(&mut self) -> oneshot::Receiver<()> {
        let (guard, gone) = oneshot::channel();
        self.guards.push(guard);
        gone
    }

    fn kill(&self) {
        // Fails only if it ended by itself.
        let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
    }

    /// Kills everything and waits until it is gone.
    pub(super) async fn finish(&mut self) {
        if !self.is_gone {
            self.kill();
            self.link.stop(&self.id).await;
            self.is_gone = true;
            self.guards.clear();
            self.meter.meter_tmp(None);
        }
    }

    /// Does what the kernel does not: kills an environment without cgroup that uses more than it
    /// may; leaves what `/tmp` holds out of the limit of one with a cgroup.
    async fn watch(&self) -> Exit {
        let every = match (self.is_busy, self.meter.is_limited_by_kernel()) {
            (true, _) => WATCH_EVERY,
            (false, false) => WATCH_IDLE_EVERY,
            (false, true) => return std::future::pending().await,
        };
        loop {
            self.tasks.clock().sleep(every).await;
            let Some(memory) = self.memory else { continue };
            if self.meter.is_limited_by_kernel() {
                self.meter.make_room_for_tmp(memory);
            } else if self.meter.used_mib() > Some(memory.mib()) {
                self.kill();
                return Exit::OutOfMemory;
            }
        }
    }
}

/// Cancel-safe: nothing is taken before it is given out.
async fn hear(socket: &AsyncFd<OwnedFd>) -> Result<(FromInit, Vec<OwnedFd>), ChannelError> {
    loop {
        let Ok(mut ready) = socket.readable().await else {
            return Err(ChannelError::Closed);
        };
        match channel::receive(socket.get_ref()) {
            Err(ChannelError::WouldBlock) => ready.clear_ready(),
            other => return other,
        }
    }
}

#[async_trait]
impl running::Body for Body {
    async fn exited(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        let said = tokio::select! {
            biased;
            said = hear(&self.socket) => said,
            exit = self.watch() => {
                self.exit = Some(exit);
                return exit;
            }
        };
        let exit = match said {
            Ok((
                FromInit::Exited {
                    code: Some(code), ..
                },
                _,
            )) => Exit::Code(code),
            Ok((FromInit::Exited { signal, .. }, _)) => Exit::Signal(signal),
            // The first process itself was killed.
            _ => Exit::Signal(Signal::KILL.as_raw()),
        };
        let killed = exit == Exit::Signal(Signal::KILL.as_raw());
        let exit = if killed && self.meter.out_of_memory() {
            Exit::OutOfMemory
        } else {
            exit
        };
        self.exit = Some(exit);
        exit
    }

    fn is_busy(&mut self, is_busy: bool) {
        self.is_busy = is_busy;
    }

    fn init_done(&mut self) {
        self.is_busy = false;
        if let Some(memory) = self.memory {
            self.meter.limit_cpu(memory.millicores());
        }
        self.meter.init_done();
    }

    fn freeze(&mut self) {
        self.freezer.freeze();
    }

    fn thaw(&mut self) {
        self.freezer.thaw();
    }

    fn memory_max_mib(&mut self) -> Option<u32> {
        let peak = self.meter.peak_mib()?;
        let limit = self.memory.map_or(u32::MAX, Memory::mib);
        Some(peak.min(limit))
    }

    async fn end(&mut self) {
        self.finish().await;
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.is_gone {
            self.kill();
            self.link.abandon(&self.id);
        }
    }
}
