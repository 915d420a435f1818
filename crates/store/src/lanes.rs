//! Lanes: a queue for each receiver of messages, emptied so that none waits for another.
//!
//! ```text
//!   put ─▶ lane a ▒▒▒▒▒▒▒▒▒▒ ─┐
//!   put ─▶ lane b ▒           ├─▶ turn by turn, as many at once as remain free ─▶ Handler
//!   put ─▶ lane c ▒▒▒         ┘
//! ```
//!
//! In memory are a few words for each lane and the messages that are handled just now, whatever waits.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tasks::{Progress, Tasks, Time, WorkError, Worker};
use tokio::sync::Notify;

use crate::{Leased, MsgId, Queue, QueueId, Store, StoreError, Token};
use state::State;

/// Lanes that are asked for messages at once; their takes share a commit.
const TAKES_MAX: usize = 32;
/// Names of lanes that one look at the store gives.
const LISTED_MAX: usize = 1_000;
/// Lanes in memory; what lies in others is found when some of these are empty.
const LANES_MAX: usize = 100_000;
/// Bytes of a lane's name.
const NAME_BYTES_MAX: usize = 480;
/// How often the lease of a message that is handled is renewed, and for how long.
const RENEW: Duration = Duration::from_secs(10);
const RENEWED: Duration = Duration::from_secs(30);
/// How often lanes that did not fit into memory are looked for.
const LOOK: Duration = Duration::from_secs(10);
/// How long a message rests that its handler cannot read.
const ASIDE: Duration = Duration::from_secs(600);
/// Of those, how many are shown.
const ASIDE_SHOWN_MAX: usize = 1_000;

/// How much is handled at once.
#[derive(Debug, Clone, Copy)]
pub struct LanesConfig {
    /// Messages. One lane alone gets half of them, so that others find room.
    pub handled_max: usize,
    /// Bytes of their bodies, above which no more are taken.
    pub bytes_max: usize,
}

/// How many messages may wait. Those of an earlier process are counted while the first ones are handled; a
/// count may be off by what came and went meanwhile, until the lane is empty once.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub lane_max: u64,
    pub all_max: u64,
}

/// A message that its handler cannot read: it stays in its lane, and the others pass it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    pub lane: String,
    pub message: String,
    pub why: String,
}

/// Where a message waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lane {
    /// Its messages are handled beside each other, in no order. The name does not begin with `=`.
    Free(String),
    /// One after the other in the order of their puts; one that comes again holds up those behind it.
    InOrder(String),
}

/// The first character of the stored name of a lane in order.
const IN_ORDER: &str = "=";

/// Handles messages.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Brings one message on its way. It may come again: after a crash, or when the store failed.
    ///
    /// # Errors
    /// The store failed; the message comes again when its lease ends.
    async fn handle(&self, message: &Leased) -> Result<Next, StoreError>;
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Done,
    /// It comes again then, its attempt counted.
    At(Time),
    /// It comes again then with another body.
    Changed {
        body: Bytes,
        at: Time,
    },
    /// It cannot be read, by this version at least: it is kept, shown, and tried again much later.
    Aside {
        why: String,
    },
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lanes that are known to hold messages.
    pub lanes: usize,
    /// Messages that are handled just now.
    pub handled: usize,
    /// Messages that wait or are handled, see [`Room`].
    pub waiting: u64,
}

/// Queues whose names begin alike. Clones are the same lanes.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    queue: Arc<dyn Queue>,
    prefix: &'static str,
    tasks: Tasks,
    state: Mutex<State>,
    bell: Notify,
}

impl Lanes {
    /// The queues of `store` whose names begin with `prefix`.
    pub fn new(store: &Store, tasks: &Tasks, prefix: &'static str) -> Lanes {
        Lanes(Arc::new(Inner {
            queue: store.queue.clone(),
            prefix,
            tasks: tasks.clone(),
            state: Mutex::default(),
            bell: Notify::new(),
        }))
    }

    /// The same with as much room as that; without it there is no limit but the disk.
    #[must_use]
    pub fn with_room(self, room: Room) -> Lanes {
        self.0.state().set_room(room);
        self
    }

    /// Puts a message into a lane; see [`Queue::put`].
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Full`] before anything is written; a lane's name is at most 479 bytes.
    pub async fn put(
        &self,
        lane: &Lane,
        body: Bytes,
        not_before: Time,
        dedup: Option<&str>,
    ) -> Result<MsgId, StoreError> {
        let lane = match lane {
            Lane::Free(name) => name.clone(),
            Lane::InOrder(name) => [IN_ORDER, name].concat(),
        };
        if lane.len() > NAME_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "lane",
                size: lane.len(),
                max: NAME_BYTES_MAX,
            });
        }
        self.0.state().reserve(&lane)?;
        let reserved = Reserved {
            inner: &self.0,
            lane: &lane,
            is_used: false,
        };
        let id = self.0.id(&lane);
        let id = self.0.queue.put(&id, body, not_before, dedup).await?;
        self.0.look_at(&lane, not_before);
        reserved.used();
        Ok(id)
    }

    /// Messages that cannot be read, as far as this process met them; some of them if there are many.
    pub fn aside(&self) -> Vec<Aside> {
        self.0.state().aside()
    }

    /// The worker that empties the lanes. There is at most one.
    pub fn drain(&self, handler: Arc<dyn Handler>, config: LanesConfig) -> impl Worker + use<> {
        self.0.state().set_limits(config);
        Drain {
            inner: self.0.clone(),
            handler,
            is_listed: false,
        }
    }

    pub fn tally(&self) -> Tally {
        self.0.state().tally()
    }
}

/// Room for a message that is being put; given back if that fails or is dropped.
struct Reserved<'a> {
    inner: &'a Inner,
    lane: &'a str,
    is_used: bool,
}

impl Reserved<'_> {
    fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.inner.state().put(self.lane, self.is_used);
    }
}

impl Inner {
    fn id(&self, lane: &str) -> QueueId {
        QueueId([self.prefix, lane].concat())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.tasks.clock().now()
    }

    fn look_at(&self, lane: &str, at: Time) {
        let now = self.now();
        self.state().look_at(lane, at, now);
        self.bell.notify_one();
    }

    /// Finds the lanes that hold messages.
    async fn list(&self) -> Result<(), StoreError> {
        self.state().overflowed = false;
        let mut after = None;
        loop {
            let found = self.queue.queues(self.prefix, after.as_ref(), LISTED_MAX);
            let found = found.await?;
            let now = self.now();
            let mut state = self.state();
            for queue in &found {
                state.look_at(
                    queue.0.strip_prefix(self.prefix).unwrap_or_default(),
                    now,
                    now,
                );
            }
            match found.last() {
                Some(last) if !state.overflowed => after = Some(last.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Takes from one lane, and says whether it may hold more that is due, or when.
    /// Counts what lay in the lanes when this process began.
    async fn count(&self) -> Result<(), StoreError> {
        let lanes = self.state().names();
        for lane in lanes {
            let depth = self.queue.depth(&self.id(&lane)).await?;
            let waiting = depth.due + depth.delayed + depth.leased;
            self.state().counted(&lane, waiting);
        }
        Ok(())
    }

    async fn take(
        &self,
        lane: &str,
        max: usize,
    ) -> Result<(Vec<Leased>, Option<Time>), StoreError> {
        let id = self.id(lane);
        let taken = self.queue.take(&id, max, Duration::ZERO).await?;
        let next = match taken.len() < max {
            true => self.queue.next(&id).await?,
            false => Some(Time::EPOCH),
        };
        Ok((taken, next))
    }
}

struct Drain {
    inner: Arc<Inner>,
    handler: Arc<dyn Handler>,
    is_listed: bool,
}

#[async_trait]
impl Worker for Drain {
    fn name(&self) -> String {
        self.inner.prefix.to_owned()
    }

    async fn wait(&mut self) {
        if !self.is_listed {
            return;
        }
        loop {
            let mut rung = std::pin::pin!(self.inner.bell.notified());
            rung.as_mut().enable();
            let now = self.inner.now();
            let next = self.inner.state().next_turn(now);
            let sleep = match next {
                Some(at) if at <= now => return,
                Some(at) => at.since(now).min(LOOK),
                None => LOOK,
            };
            tokio::select! {
                () = rung => {}
                () = self.inner.tasks.clock().sleep(sleep) => {
                    if self.inner.state().overflowed {
                        self.is_listed = false;
                        return;
                    }
                }
            }
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        if !self.is_listed {
            self.inner.list().await?;
            self.is_listed = true;
            self.count();
        }
        let turns = self.inner.state().turns(self.inner.now());
        let takes = turns.iter().map(|(lane, max)| self.inner.take(lane, *max));
        let mut failed = None;
        for ((lane, max), taken) in turns.iter().zip(join_all(takes).await) {
            match taken {
                Ok((messages, next)) => self.begin(lane, *max, messages, next),
                Err(error) => {
                    // The worker waits before it asks again.
                    let now = self.inner.now();
                    let mut state = self.inner.state();
                    state.took(lane, *max, 0, Some(now), now);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Progress::More),
        }
    }
}

impl Drain {
    /// What waits is handled meanwhile.
    fn count(&self) {
        let inner = self.inner.clone();
        self.inner.tasks.spawn("count of lanes", async move {
            if let Err(error) = inner.count().await {
                tracing::warn!(lanes = inner.prefix, %error, "not counted: limits begin at zero");
            }
        });
    }

    /// Starts the handling of what was taken.
    fn begin(&self, lane: &str, max: usize, messages: Vec<Leased>, next: Option<Time>) {
        let now = self.inner.now();
        let mut state = self.inner.state();
        let mut begun = Vec::with_capacity(messages.len());
        for message in messages {
            let token = Arc::new(Mutex::new(message.token.clone()));
            // A lease that ended too early gave it out again: whoever handles it goes on.
            if state.begin(lane, &message, &token) {
                begun.push((message, token));
            }
        }
        state.took(lane, max, begun.len(), next, now);
        drop(state);
        for (message, token) in begun {
            let one = One {
                inner: self.inner.clone(),
                lane: lane.to_owned(),
                message,
                token,
            };
            let handler = self.handler.clone();
            let tasks = self.inner.tasks.clone();
            tasks.spawn("message of a lane", async move { one.run(handler).await });
        }
    }
}

/// One message that is handled.
struct One {
    inner: Arc<Inner>,
    lane: String,
    message: Leased,
    token: Arc<Mutex<Token>>,
}

impl One {
    async fn run(self, handler: Arc<dyn Handler>) {
        if let Err(error) = self.handled(handler).await {
            let message = &self.message.id.0;
            tracing::warn!(lane = self.lane, message, %error, "message comes again");
        }
        // Dropping it makes room for the next.
    }

    async fn handled(&self, handler: Arc<dyn Handler>) -> Result<(), StoreError> {
        let next = {
            let mut work = handler.handle(&self.message);
            loop {
                // By the machine's clock: one that is moved may run through many leases in a moment. A lease
                // that ended so early only changes hands, see `State::begin`.
                match self.inner.tasks.clock().timeout(RENEW, &mut work).await {
                    Ok(next) => break next?,
                    Err(_) => self.renew().await,
                }
            }
        };
        loop {
            let token = self.token();
            match self.settle(&next, &token).await {
                // It was taken again meanwhile; what was done counts.
                Err(StoreError::Lost) if self.token() != token => {}
                Ok(()) if next == Next::Done => return Ok(()),
                settled => return settled.and(self.pass_on(&token).await),
            }
        }
    }

    async fn settle(&self, next: &Next, token: &Token) -> Result<(), StoreError> {
        let (queue, lane) = (&self.inner.queue, &self.lane);
        let message = &self.message.id.0;
        match next {
            Next::Done => {
                queue.ack(token).await?;
                let mut state = self.inner.state();
                state.left(lane);
                state.no_longer_aside(lane, message);
            }
            Next::At(at) if lane.starts_with(IN_ORDER) => {
                // It keeps its place: the lane waits, not the message.
                self.inner.state().close_until(lane, *at);
                queue.retry(token, self.message.enqueued).await?;
            }
            Next::At(at) => {
                queue.retry(token, *at).await?;
                self.inner.look_at(lane, *at);
            }
            Next::Changed { body, at } => {
                queue.replace(token, body.clone(), *at).await?;
                self.inner.look_at(lane, *at);
            }
            Next::Aside { why } => {
                tracing::error!(lane, message, why, "message cannot be read; it is kept");
                let at = self.inner.now() + ASIDE;
                queue.retry(token, at).await?;
                let aside = Aside {
                    lane: lane.clone(),
                    message: message.clone(),
                    why: why.clone(),
                };
                self.inner.state().set_aside(aside);
                self.inner.look_at(lane, at);
            }
        }
        Ok(())
    }

    /// Whoever took the message again before this one ended left it here, see `State::begin`: it is given
    /// back, so that nobody waits for the end of its lease.
    async fn pass_on(&self, used: &Token) -> Result<(), StoreError> {
        let (lane, message) = (&self.lane, &self.message);
        self.inner.state().release(lane, message, &self.token);
        let latest = self.token();
        if latest == *used {
            return Ok(());
        }
        let now = self.inner.now();
        self.inner.queue.retry(&latest, now).await?;
        self.inner.look_at(lane, now);
        Ok(())
    }

    fn token(&self) -> Token {
        self.token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn renew(&self) {
        let until = self.inner.now() + RENEWED;
        if let Err(error) = self.inner.queue.extend(&self.token(), until).await {
            // What runs cannot be taken back. At worst it runs twice, which is allowed.
            let message = &self.message.id.0;
            tracing::warn!(lane = self.lane, message, %error, "lease not renewed");
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let now = self.inner.now();
        let mut state = self.inner.state();
        state.end(&self.lane, &self.message, &self.token, now);
        drop(state);
        self.inner.bell.notify_one();
    }
}
