use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Call, FunctionError};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::answer;
use crate::connection;
use crate::extension::{Desk, Extension, Facts, Standing};
use crate::outlet::{Delivery, Outlet};
use crate::state::{Attempt, Event, Refusal, State};
use crate::stream::ResponseWriter;

/// Most connections of one environment at a time; further ones wait to be accepted. Each of ten
/// extensions holds one in `/event/next`.
const CONNECTIONS_MAX: usize = 32;

/// How the init phase ended, as far as the runtime said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitEnd {
    /// The runtime asked for its first event.
    Ready,
    /// The runtime posted to `/runtime/init/error`.
    Failed(FunctionError),
    /// An extension gave up or ended.
    Extension(Extension),
}

/// How one invocation ended, as far as the runtime said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Empty if it went to a [`ResponseWriter`].
    Response(Bytes),
    /// The runtime answered in streaming mode and named an error in its trailers, or posted to
    /// `/error`.
    Error(FunctionError),
    /// Longer than this, in bytes.
    TooLarge(u64),
    /// The body ended early.
    Truncated,
}

/// Serves the Runtime API on one listener until dropped.
pub struct Session {
    shared: Arc<Shared>,
}

/// The server's side of a session. Dropping it ends the session.
pub struct SessionHandle {
    shared: Arc<Shared>,
}

impl Session {
    /// The session is driven by [`Session::serve`]; the caller spawns that.
    pub fn new() -> (Session, SessionHandle) {
        Session::with(Facts::default())
    }

    /// The same for an environment whose function may have extensions.
    pub fn with(facts: Facts) -> (Session, SessionHandle) {
        let shared = Arc::new(Shared {
            extensions: Desk::new(facts),
            ..Shared::default()
        });
        let handle = SessionHandle {
            shared: shared.clone(),
        };
        (Session { shared }, handle)
    }

    /// Accepts connections and answers them; ends when the handle is dropped. One environment may
    /// hold at most 32 connections.
    pub async fn serve(self, listener: TcpListener) {
        let mut connections = FuturesUnordered::new();
        let mut accepts = true;
        loop {
            tokio::select! {
                biased;
                _ = self.shared.ended.notified() => return,
                Some(()) = connections.next(), if !connections.is_empty() => {}
                accepted = listener.accept(), if accepts && connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => connections.push(connection::drive(stream, &self.shared)),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        // Trying again at once would spin. The environment dies of its timeout.
                        tracing::error!(%error, "runtime connection not accepted");
                        accepts = false;
                    }
                },
            }
        }
    }
}

impl SessionHandle {
    /// Waits for the runtime's first `/next` and that of every extension, or for the first that
    /// fails. Cancel-safe.
    pub async fn init_end(&mut self) -> InitEnd {
        let shared = self.shared.clone();
        let ended = async {
            loop {
                match shared.lock().init.clone() {
                    Some(InitEnd::Ready) if !shared.extensions.is_ready() => {}
                    Some(end) => return end,
                    None => {}
                }
                shared.changed.notified().await;
            }
        };
        tokio::select! {
            biased;
            extension = shared.extensions.failure() => InitEnd::Extension(extension),
            end = ended => end,
        }
    }

    /// Waits until every external extension has registered, or one has failed. Cancel-safe.
    pub async fn registered(&mut self) -> Result<(), Extension> {
        let shared = self.shared.clone();
        let complete = async {
            while !shared.extensions.is_complete() {
                shared.changed.notified().await;
            }
        };
        tokio::select! {
            biased;
            extension = shared.extensions.failure() => Err(extension),
            () = complete => Ok(()),
        }
    }

    /// Ends the time in which extensions may register and subscribe.
    pub fn close_registration(&mut self) {
        self.shared.extensions.close();
    }

    /// Whether the environment has extensions, of either kind.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        self.shared.extensions.is_used()
    }

    #[must_use]
    pub fn extensions(&self) -> Vec<Extension> {
        self.shared.extensions.all()
    }

    /// Waits for an extension that gives up or whose process ends. Cancel-safe.
    pub async fn extension_failure(&mut self) -> Extension {
        self.shared.extensions.failure().await
    }

    /// The process of an external extension ended; gives where it stood.
    pub fn extension_exited(&mut self, name: &str) -> Standing {
        self.shared.extensions.exited(name)
    }

    /// Tells the extensions that asked for it that the environment ends, and why: `spindown`,
    /// `timeout` or `failure`. Gives their names.
    pub fn shut_down(&mut self, reason: &str, deadline_unix_ms: i64) -> Vec<String> {
        self.shared.extensions.shut_down(reason, deadline_unix_ms)
    }

    /// Hands the call to the waiting (or next) `/next` and waits for its answer. The caller bounds
    /// the wait; dropping the future abandons the call (late answers then get 400).
    ///
    /// A response in streaming mode goes to `to` while it comes; without `to`, and in all other
    /// modes, it is collected.  [Lambda Runtime API: response streaming]
    pub async fn invoke(&mut self, call: Call, to: Option<ResponseWriter>) -> Reply {
        let mut abandon = Abandon(&self.shared, Some(self.shared.offer(call, to)));
        loop {
            if let Some(reply) = self.shared.lock().reply.take() {
                abandon.1 = None;
                return reply;
            }
            self.shared.changed.notified().await;
        }
    }

    /// When the answer of the last call began, by the stopwatch of the session's [`Facts`].
    pub fn answer_began(&self) -> Option<Duration> {
        self.shared.lock().began
    }

    /// Whether all of a streamed answer to the last call has come but its trailers.
    pub fn awaits_trailers(&self) -> bool {
        self.shared.lock().awaits_trailers
    }

    /// Waits until the runtime asks for the next event, that is until it is idle again. One whose
    /// connection is gone asks no more.
    pub async fn runtime_idle(&mut self) {
        while !self.shared.lock().is_idle() {
            self.shared.changed.notified().await;
        }
    }

    /// The same as [`SessionHandle::idle`], or an extension that gives up meanwhile.
    pub async fn settled(&mut self) -> Result<(), Extension> {
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            () = self.idle() => Ok(()),
            extension = shared.extensions.failure() => Err(extension),
        }
    }

    /// Has all telemetry sent that waits, because the environment ends.
    pub fn flush_telemetry(&mut self) {
        self.shared.extensions.flush();
    }

    /// Waits until the runtime and every extension that gets invocations ask for the next event.
    pub async fn idle(&mut self) {
        while !self.shared.lock().is_idle() || !self.shared.extensions.is_idle() {
            self.shared.changed.notified().await;
        }
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.shared.ended.notify_one();
    }
}

/// Withdraws a call whose answer nobody waits for any more.
struct Abandon<'a>(&'a Shared, Option<u64>);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let Some(number) = self.1 else { return };
        let mut inner = self.0.lock();
        inner.offered = None;
        inner.reply = None;
        inner.writer = None;
        // Never refused: an invocation that is over stays over.
        let _ = inner.apply(&Event::Abandon(number));
    }
}

/// What the handle and the connections share.
#[derive(Default)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    pub(crate) extensions: Desk,
    /// Wakes the handle, which is the only one to wait here.
    changed: Notify,
    /// Wakes [`Session::serve`] when the handle is gone.
    ended: Notify,
}

struct Inner {
    state: State,
    init: Option<InitEnd>,
    attempts: u64,
    /// The call that waits for a `/next`, or runs.
    offered: Option<(Attempt, Delivery)>,
    reply: Option<Reply>,
    /// When the answer to it began, by the stopwatch.
    began: Option<Duration>,
    awaits_trailers: bool,
    /// Where a streamed response of the call goes.
    writer: Option<ResponseWriter>,
    /// Connections that wait in `/next`, longest first.
    parked: VecDeque<Arc<Outlet>>,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner {
            state: State::Started,
            init: None,
            attempts: 0,
            offered: None,
            reply: None,
            began: None,
            awaits_trailers: false,
            writer: None,
            parked: VecDeque::new(),
        }
    }
}

/// What a `/next` gets.
pub(crate) enum Turn {
    Event(Delivery),
    /// None yet: the connection is parked.
    Wait,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a call and, if a connection waits for one, writes it there at once: from the caller's
    /// task, which saves waking the session's.
    fn offer(&self, call: Call, to: Option<ResponseWriter>) -> u64 {
        self.extensions.invoke(&call);
        let mut inner = self.lock();
        inner.attempts += 1;
        let attempt = Attempt {
            number: inner.attempts,
            request: call.request.as_str().into(),
        };
        let number = attempt.number;
        let delivery = Delivery {
            head: answer::event_head(&call, number),
            payload: call.payload,
        };
        inner.reply = None;
        inner.began = None;
        inner.awaits_trailers = false;
        inner.writer = to;
        inner.offered = Some((attempt.clone(), delivery.clone()));
        if inner.parked.is_empty() || inner.apply(&Event::Deliver(attempt)).is_err() {
            return number;
        }
        let outlet = inner.parked.pop_front();
        drop(inner);
        if let Some(outlet) = outlet {
            outlet.send_now(delivery);
        }
        number
    }

    /// Answers a `/next`, or parks its connection until there is an event.
    pub(crate) fn next(&self, outlet: &Arc<Outlet>) -> Result<Turn, Refusal> {
        let mut inner = self.lock();
        let is_repeat = matches!(inner.state, State::Running(_));
        inner.apply(&Event::Next)?;
        inner.init.get_or_insert(InitEnd::Ready);
        if !is_repeat {
            self.changed.notify_one();
        }
        if let Some((attempt, delivery)) = inner.offered.clone() {
            if !is_repeat {
                inner.apply(&Event::Deliver(attempt))?;
            }
            return Ok(Turn::Event(delivery));
        }
        inner.parked.push_back(outlet.clone());
        Ok(Turn::Wait)
    }

    pub(crate) fn is_parked(&self, outlet: &Arc<Outlet>) -> bool {
        self.lock().parked.iter().any(|o| Arc::ptr_eq(o, outlet))
            || self.extensions.is_parked(outlet)
    }

    /// An extension has said something that the handle may wait for.
    pub(crate) fn extension_spoke(&self) {
        self.changed.notify_one();
    }

    /// The connection is gone.
    pub(crate) fn unpark(&self, outlet: &Arc<Outlet>) {
        self.lock().parked.retain(|o| !Arc::ptr_eq(o, outlet));
        self.extensions.unpark(outlet);
    }

    /// Begins to take an answer; returns the number of its attempt for [`Shared::posted`], and where
    /// it goes if it comes in pieces.
    pub(crate) fn post(&self, event: &Event<'_>) -> Result<(u64, Option<ResponseWriter>), Refusal> {
        let began = self.extensions.elapsed();
        let mut inner = self.lock();
        inner.apply(event)?;
        inner.began = began;
        let number = inner.state.wanted().unwrap_or_default();
        Ok((number, inner.writer.take()))
    }

    /// The answer is known: tells the handle, if that still waits for this attempt.
    pub(crate) fn reply(&self, number: u64, reply: Reply) {
        let mut inner = self.lock();
        if inner.state.wanted() == Some(number) {
            inner.offered = None;
            inner.reply = Some(reply);
            self.changed.notify_one();
        }
    }

    /// The last chunk of a streamed answer has come, and no end of its trailers.
    pub(crate) fn awaits_trailers(&self) {
        self.lock().awaits_trailers = true;
    }

    /// The answer's body is over.
    pub(crate) fn posted(&self, number: u64) {
        // Never refused: an invocation that is over stays over.
        let _ = self.lock().apply(&Event::Posted(number));
    }

    /// Applies an event that ends the init phase with an error, or `/restore/next`.
    pub(crate) fn init(&self, event: &Event<'_>) -> Result<(), Refusal> {
        self.lock().apply(event)
    }

    pub(crate) fn init_failed(&self, error: FunctionError) {
        self.lock().init.get_or_insert(InitEnd::Failed(error));
        self.changed.notify_one();
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        self.state == State::Ready && !self.parked.is_empty()
    }

    fn apply(&mut self, event: &Event<'_>) -> Result<(), Refusal> {
        self.state = self.state.on(event)?;
        Ok(())
    }
}
