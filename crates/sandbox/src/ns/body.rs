use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Death, Exit, Fault, Memory};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, pidfd_send_signal};
use tasks::Tasks;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::backend;
use super::freezer::Freezer;
use super::link::Link;
use super::meter::Meter;
use super::prepared::word;
use crate::channel::{self, ChannelError};
use crate::deliver::Life;
use crate::helper::{Cgroups, FromInit, ToInit};
use crate::meter::below;
use crate::near::{self, Bound};
use crate::running::{self, Ended};
use crate::sys;
use crate::{Snapshot, StartError};

/// How often a busy environment's memory and `/tmp` are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// The same while it is idle and no cgroup limits it.
const WATCH_IDLE_EVERY: Duration = Duration::from_secs(1);

/// One environment of the helper, seen from the server.
pub(super) struct Body {
    id: String,
    link: Arc<Link>,
    pid: u32,
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
    deliveries: Option<Life>,
    /// The extension whose end is `exit`.
    fallen: Option<String>,
    runtime_is_gone: bool,
    is_unheard: bool,
    /// What it is a fork of must not end before it.
    below: Option<Arc<dyn Snapshot>>,
    /// The runtime's process, once it was looked for.
    runtime: Option<Option<Pid>>,
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
            pid,
            pidfd,
            meter,
            freezer,
            memory: None,
            tasks: tasks.clone(),
            exit: None,
            is_busy: true,
            is_gone: false,
            guards: Vec::new(),
            deliveries: None,
            fallen: None,
            runtime_is_gone: false,
            is_unheard: false,
            below: None,
            runtime: None,
        })
    }

    /// Waits for the first process to tell how far it came.
    pub(super) async fn word(&self) -> Result<(FromInit, Vec<OwnedFd>), ChannelError> {
        hear(&self.socket).await
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn tmp_bytes(&self) -> u64 {
        self.meter.tmp_bytes()
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

    pub(super) fn is_below(&mut self, snapshot: Arc<dyn Snapshot>) {
        self.below = Some(snapshot);
    }

    /// The limit of its memory was set so much higher, for what `/tmp` holds from the beginning.
    pub(super) fn has_tmp_room(&self, bytes: u64) {
        self.meter.has_tmp_room(bytes);
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

    /// What is delivered into the environment ends with it.
    pub(super) fn carries(&mut self, life: Life) {
        self.deliveries = Some(life);
    }

    /// The first process made it before any other.
    fn runtime(&self) -> Option<Pid> {
        let runtime = below(self.pid).get(1).copied()?;
        Pid::from_raw(i32::try_from(runtime).ok()?)
    }

    fn kill(&self) {
        // Fails only if it ended by itself.
        let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
    }

    /// The kernel kills also for memory.
    pub(super) fn why(&self, exit: Exit) -> Exit {
        let killed = matches!(
            exit,
            Exit::Lost | Exit::Signal(9) | Exit::Extension(_, Death::Signal(9))
        );
        match killed && self.meter.out_of_memory() {
            true => Exit::OutOfMemory,
            false => exit,
        }
    }

    /// Kills everything and waits until it is gone.
    pub(super) async fn finish(&mut self) {
        if !self.is_gone {
            self.kill();
            self.link.stop(&self.id).await;
            self.is_gone = true;
            self.guards.clear();
            self.deliveries = None;
            self.below = None;
            self.meter.meter_tmp(None);
        }
    }

    /// Does what the kernel does not: kills an environment without cgroup that uses more than it
    /// may; leaves what `/tmp` holds out of the limit of one with a cgroup.
    pub(super) async fn watch(&self) -> Exit {
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
        let exit = match self.heard().await {
            Ended::Runtime(exit) | Ended::All(exit) => exit,
            Ended::Extension(name, death) => {
                self.fallen = Some(name);
                Exit::Extension(Fault::Crash, death)
            }
        };
        let exit = self.why(exit);
        self.exit = Some(exit);
        exit
    }

    async fn heard(&mut self) -> Ended {
        let said = tokio::select! {
            biased;
            said = hear(&self.socket) => said,
            exit = self.watch() => return Ended::All(exit),
        };
        match said {
            Ok((FromInit::Exited { code, signal }, _)) => {
                self.runtime_is_gone = true;
                Ended::Runtime(code.map_or(Exit::Signal(signal), Exit::Code))
            }
            Ok((FromInit::ExtensionExited { name, code, signal }, _)) => {
                Ended::Extension(name, code.map_or(Death::Signal(signal), Death::Code))
            }
            Ok((FromInit::Unheard, _)) => {
                self.runtime_is_gone = true;
                self.is_unheard = true;
                Ended::Runtime(Exit::Signal(Signal::KILL.as_raw()))
            }
            // The first process itself was killed, which nothing inside can do.
            _ => Ended::All(Exit::Lost),
        }
    }

    fn fallen(&self) -> Option<&str> {
        self.fallen.as_deref()
    }

    async fn launch(&mut self, path: &str) -> Result<(), StartError> {
        match channel::send(self.socket.get_ref(), &ToInit::Go, &[]) {
            // If it is gone its last word says why.
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(error) => return Err(backend(error)),
        }
        loop {
            match word(self, path).await {
                Ok((FromInit::Started, _)) => return Ok(()),
                // An extension ended while it was sent: what follows finds that out.
                Ok((FromInit::ExtensionExited { name, code, signal }, _)) => {
                    self.fallen = Some(name);
                    let death = code.map_or(Death::Signal(signal), Death::Code);
                    self.exit = Some(Exit::Extension(Fault::Crash, death));
                }
                Ok((other, _)) => return Err(backend(format!("unexpected {other:?}"))),
                Err(failed) => return Err(failed.into_error()),
            }
        }
    }

    fn runtime_is_gone(&self) -> bool {
        self.runtime_is_gone
    }

    fn is_unheard(&self) -> bool {
        self.is_unheard
    }

    fn signal_runtime(&mut self, signal: Signal) {
        if self.runtime_is_gone {
            return;
        }
        if let Some(runtime) = self.runtime() {
            // Fails only if it ended by itself.
            let _ = kill_process(runtime, signal);
        }
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

    fn come_near(&mut self) -> Option<Bound> {
        if self.runtime_is_gone || !self.link.turns.is_alone(self.pid.into()) {
            return None;
        }
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => *self.runtime.insert(self.runtime()),
        };
        near::bring(runtime?)
    }

    fn memory_max_mib(&mut self) -> Option<u32> {
        let peak = self.meter.peak_mib()?;
        let limit = self.memory.map_or(u32::MAX, Memory::mib);
        Some(peak.min(limit))
    }

    fn tmp(&self) -> Option<OwnedFd> {
        self.meter.tmp()
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
