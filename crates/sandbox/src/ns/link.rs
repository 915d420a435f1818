use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasks::Tasks;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot, watch};

use super::OpenError;
use crate::channel::{self, ChannelError};
use crate::helper::{Event, Furnish, Hello, Like, MARKER, Reach, Request};
use crate::near::Turns;
use crate::sys;

/// Longest wait for the helper's first word: it probes the host, which takes milliseconds.
const HELLO_MAX: Duration = Duration::from_secs(20);

/// Longest wait for an environment to be gone. The kernel needs milliseconds; a helper that takes
/// longer still finishes the work, only nobody waits for it.
const GONE_MAX: Duration = Duration::from_secs(10);

/// The kinds of interpreters that can be forked now.
#[derive(Default)]
pub(super) struct Forkable {
    kinds: Mutex<BTreeSet<String>>,
    pub(super) changed: Notify,
}

impl Forkable {
    pub(super) fn has(&self, kind: &str) -> bool {
        self.kinds().contains(kind)
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, kind: String, is_ready: bool) {
        if is_ready {
            self.kinds().insert(kind);
            self.changed.notify_one();
        } else {
            self.kinds().remove(&kind);
        }
    }
}

/// The connection with one helper process.
pub(super) struct Link {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<Waiting>,
    dead: watch::Sender<bool>,
    forkable: Arc<Forkable>,
    /// Whose turn it is to run, by first process.
    pub(super) turns: Turns,
    tasks: Tasks,
}

/// The first process: its id and pidfd; or why there is none.
pub(super) type Answer = Result<(u32, OwnedFd), String>;

#[derive(Default)]
struct Waiting {
    prepares: BTreeMap<String, oneshot::Sender<Answer>>,
    stops: BTreeMap<String, Vec<oneshot::Sender<()>>>,
}

/// The program as helper, with its end of the socket.
pub(crate) fn helper_command(program: &Path, socket: OwnedFd) -> Command {
    let mut command = Command::new(program);
    command
        .arg0("kiln: sandbox helper")
        .arg(MARKER)
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null());
    command
}

impl Link {
    pub(super) async fn open(
        program: &Path,
        forkable: &Arc<Forkable>,
        tasks: &Tasks,
    ) -> Result<(Arc<Link>, Hello), OpenError> {
        let failed = |e: &dyn std::fmt::Display| OpenError::Helper(e.to_string());
        let (ours, theirs) = channel::pair().map_err(|e| failed(&e))?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|e| failed(&e))?;
        let mut command = helper_command(program, theirs);
        let child = tasks
            .blocking(move || command.spawn())
            .await
            .map_err(|e| failed(&e))?
            .map_err(|e| failed(&e))?;
        let socket =
            sys::watch(ours, Interest::READABLE | Interest::WRITABLE).map_err(|e| failed(&e))?;
        let link = Arc::new(Link {
            socket,
            waiting: Mutex::default(),
            dead: watch::Sender::new(false),
            forkable: forkable.clone(),
            turns: Turns::default(),
            tasks: tasks.clone(),
        });
        let hello = tasks.clock().timeout(HELLO_MAX, link.receive()).await;
        let hello = match hello {
            Ok(Ok((Event::Hello(hello), _))) => hello,
            Ok(Ok((other, _))) => return Err(failed(&format!("it said {other:?} first"))),
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&"it said nothing")),
        };
        tasks.spawn("sandbox-link", link.clone().listen(child));
        match hello.problem.clone() {
            Some(problem) => Err(OpenError::Unsupported(problem)),
            None => Ok((link, hello)),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receive(&self) -> Result<(Event, Vec<OwnedFd>), ChannelError> {
        loop {
            let Ok(mut ready) = self.socket.readable().await else {
                return Err(ChannelError::Closed);
            };
            match channel::receive(self.socket.get_ref()) {
                Err(ChannelError::WouldBlock) => ready.clear_ready(),
                other => return other,
            }
        }
    }

    async fn send(&self, text: &[u8], fds: &[&OwnedFd]) -> Result<(), ChannelError> {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        loop {
            let Ok(mut ready) = self.socket.writable().await else {
                return Err(ChannelError::Closed);
            };
            match channel::send_bytes(self.socket.get_ref(), text, &fds) {
                Err(ChannelError::WouldBlock) => ready.clear_ready(),
                other => return other,
            }
        }
    }

    /// Hands on what the helper says until it ends, then reaps it.
    async fn listen(self: Arc<Link>, mut child: Child) {
        loop {
            match self.receive().await {
                Ok((event, fds)) => self.on(event, fds),
                Err(ChannelError::Closed) => break,
                Err(error) => {
                    tracing::error!(%error, "the sandbox helper cannot be understood");
                    break;
                }
            }
        }
        self.hang_up();
        self.forkable.kinds().clear();
        let reaped = self.tasks.blocking(move || child.wait()).await;
        if let Ok(Err(error)) = reaped {
            tracing::warn!(%error, "the sandbox helper could not be reaped");
        }
        self.dead.send_replace(true);
        // Whoever waits learns it by the closed channels.
        *self.waiting() = Waiting::default();
    }

    fn on(&self, event: Event, fds: Vec<OwnedFd>) {
        match event {
            Event::Prepared { id, pid } => {
                let answer = fds.into_iter().next().map(|pidfd| (pid, pidfd));
                self.prepared(&id, answer.ok_or_else(|| "no pidfd came".to_owned()));
            }
            Event::NotPrepared { id, reason } => self.prepared(&id, Err(reason)),
            Event::Gone { id } => {
                let stops = self.waiting().stops.remove(&id);
                for stop in stops.into_iter().flatten() {
                    let _ = stop.send(()); // nobody may wait any more
                }
            }
            Event::Interpreter { kind, is_ready } => self.forkable.note(kind, is_ready),
            Event::Hello(_) => {}
        }
    }

    fn prepared(&self, id: &str, answer: Answer) {
        let waiter = self.waiting().prepares.remove(id);
        let made = answer.is_ok();
        let taken = waiter.is_some_and(|waiter| waiter.send(answer).is_ok());
        if made && !taken {
            self.abandon(id); // the start was given up meanwhile
        }
    }

    /// Has an environment ended without waiting for it.
    pub(super) fn abandon(&self, id: &str) {
        let request = Request::Stop { id: id.to_owned() };
        if let Err(error) = channel::send(self.socket.get_ref(), &request, &[])
            && !self.is_dead()
        {
            tracing::warn!(environment = id, %error, "it stays until the server ends");
        }
    }

    /// Asks for a sandbox; its first process comes over the channel, or the channel ends because the
    /// helper died.
    pub(super) async fn prepare(
        &self,
        id: &str,
        (reach, like): (Reach, Like),
        fds: [&OwnedFd; 3],
    ) -> Result<oneshot::Receiver<Answer>, ChannelError> {
        let (waiter, answer) = oneshot::channel();
        let request = Request::Prepare {
            id: id.to_owned(),
            reach,
            like,
        };
        let text = channel::encode(&request)?;
        self.waiting().prepares.insert(id.to_owned(), waiter);
        self.send(&text, &fds).await?;
        Ok(answer)
    }

    /// Has the helper bring mounts and limits into a sandbox; that tells what came of it.
    pub(super) async fn furnish(&self, order: Furnish) -> Result<(), ChannelError> {
        let text = channel::encode(&Request::Furnish(order))?;
        self.send(&text, &[]).await
    }

    /// Returns when the helper is reaped. Cancel-safe.
    pub(super) async fn died(&self) {
        // An error would mean that the link itself is gone.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Has an environment killed and removed; returns when it is gone. Without a helper it is.
    pub(super) async fn stop(&self, id: &str) {
        if self.is_dead() {
            return;
        }
        let Ok(text) = channel::encode(&Request::Stop { id: id.to_owned() }) else {
            return;
        };
        let (waiter, gone) = oneshot::channel();
        self.wait_for_stop(id, waiter);
        if self.send(&text, &[]).await.is_err() {
            return;
        }
        if self.tasks.clock().timeout(GONE_MAX, gone).await.is_err() {
            tracing::warn!(environment = id, "still not gone after {GONE_MAX:?}");
        }
    }

    fn wait_for_stop(&self, id: &str, waiter: oneshot::Sender<()>) {
        let mut waiting = self.waiting();
        waiting.stops.entry(id.to_owned()).or_default().push(waiter);
    }

    fn hang_up(&self) {
        // Fails only if the helper hung up first.
        let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Both);
    }

    /// Lets the helper end everything and waits for its own end.
    pub(super) async fn close(&self, grace: Duration) {
        self.hang_up();
        let clock = self.tasks.clock();
        if clock.timeout(grace, self.died()).await.is_err() {
            tracing::warn!("the sandbox helper still ends environments");
        }
    }
}
