use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tasks::Time;
use tokio::sync::Notify;

use super::seal::whole;
use super::tables::{Failure, Which, be_u64, behind, key_time, named, time_key};
use super::writer::{Batch, Effect};
use super::{Shared, within};
use crate::{Depth, Leased, MsgId, Queue, QueueId, StoreError, Token};

/// How long a taken message stays invisible without an answer.
const LEASE: Duration = Duration::from_secs(30);
/// How long a deduplication id is remembered.
const DEDUP_WINDOW: Duration = Duration::from_secs(300);
/// Forgotten deduplication ids that one put clears away.
const DEDUP_SWEPT: usize = 4;
/// Bytes of one body: an asynchronous event of 1 MiB with its envelope.
const BODY_BYTES_MAX: usize = 2 << 20;
/// Bytes of a queue's name and of a deduplication id.
const NAME_BYTES_MAX: usize = 512;
/// Messages of one take.
const TAKE_MAX: usize = 100;
/// Bytes of the bodies of one take, above which no further message joins.
const TAKE_BYTES_MAX: usize = 8 << 20;
/// Messages that `depth` counts; a longer queue shows this number.
const DEPTH_MAX: u64 = 10_000_000;
/// Messages that it counts at once; between, others have their turn.
const COUNTED_MAX: u64 = 4_096;

/// Leases of an earlier process that the first take of a queue ends.
const ENDED_MAX: usize = 10_000;

/// Wakes those who wait for a queue.
#[derive(Default)]
pub(crate) struct Due(Mutex<HashMap<String, Arc<Notify>>>);

/// Who held leases when this process began is gone: its messages need not wait for their ends. Who had
/// put messages and not noted it puts them again: their ids are known for another window.
pub(crate) struct Earlier {
    /// No lease of this process has this number or a lower one.
    last: u64,
    /// Ids that ended while nothing ran are remembered until then.
    known_until: Time,
    /// Queues that were looked through.
    done: Mutex<HashSet<String>>,
}

impl Earlier {
    pub(crate) fn new(last: u64, opened: Time) -> Earlier {
        Earlier {
            last,
            known_until: opened + DEDUP_WINDOW,
            done: Mutex::default(),
        }
    }

    /// Ids whose end is not behind this are forgotten.
    fn forgotten(&self, now: Time) -> Time {
        if now < self.known_until {
            Time::EPOCH
        } else {
            now
        }
    }

    fn is_first(&self, queue: &str) -> bool {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        !done.contains(queue) && done.insert(queue.to_owned())
    }
}

impl Due {
    fn of(&self, queue: &str) -> Arc<Notify> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = all.get(queue) {
            return notify.clone();
        }
        // Nobody waits on an entry that only the map holds.
        all.retain(|_, notify| Arc::strong_count(notify) > 1);
        all.entry(queue.to_owned()).or_default().clone()
    }

    pub(crate) fn wake(&self, queue: &str) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = all.get(queue) {
            notify.notify_waiters();
        }
    }

    pub(crate) fn wake_all(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().for_each(|notify| notify.notify_waiters());
    }
}

/// The stored state of a message. `at`: due then, or leased until then.
#[derive(Clone, Copy)]
struct State {
    enqueued: Time,
    at: Time,
    attempt: u32,
    /// Zero: not leased.
    lease: u64,
}

impl State {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&time_key(self.enqueued));
        bytes.extend_from_slice(&time_key(self.at));
        bytes.extend_from_slice(&self.lease.to_be_bytes());
        bytes.extend_from_slice(&self.attempt.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> State {
        let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        State {
            enqueued: key_time(part(0, 8)),
            at: key_time(part(8, 16)),
            lease: be_u64(part(16, 24)),
            // Four bytes in the upper half.
            attempt: u32::try_from(be_u64(part(24, 28)) >> 32).unwrap_or(u32::MAX),
        }
    }

    fn due_key(self, queue: &str, id: &str) -> Vec<u8> {
        let mut key = named(queue);
        key.extend_from_slice(&time_key(self.at));
        key.extend_from_slice(id.as_bytes());
        key
    }

    fn due_value(self) -> [u8; 1] {
        [u8::from(self.lease != 0)]
    }
}

fn message_key(queue: &str, id: &str) -> Vec<u8> {
    let mut key = named(queue);
    key.extend_from_slice(id.as_bytes());
    key
}

fn write_state(batch: &mut Batch<'_>, queue: &str, id: &str, state: State) -> Result<(), Failure> {
    let tables = &mut batch.tables;
    tables.put(Which::QueueState, &message_key(queue, id), &state.encode())?;
    tables.put(
        Which::QueueDue,
        &state.due_key(queue, id),
        &state.due_value(),
    )
}

struct Lease {
    queue: String,
    id: String,
    number: u64,
}

impl Lease {
    fn token(&self) -> Token {
        Token(format!("{}|{}|{:x}", self.queue, self.id, self.number))
    }

    fn parse(token: &Token) -> Result<Lease, StoreError> {
        let mut parts = token.0.rsplitn(3, '|');
        let mut part = || parts.next().ok_or(StoreError::Lost);
        let number = u64::from_str_radix(part()?, 16).map_err(|_| StoreError::Lost)?;
        let (id, queue) = (part()?.to_owned(), part()?.to_owned());
        Ok(Lease { queue, id, number })
    }

    /// The state of the message if this lease still holds it.
    fn state(&self, batch: &mut Batch<'_>) -> Result<State, Failure> {
        let key = message_key(&self.queue, &self.id);
        let found = batch.tables.read(Which::QueueState, &key, State::decode)?;
        found
            .filter(|state| state.lease == self.number && self.number != 0)
            .ok_or(Failure::Refused(StoreError::Lost))
    }

    /// Gives the message a new time and, with `keep`, keeps the lease.
    fn move_to(&self, batch: &mut Batch<'_>, at: Time, keep: bool) -> Result<(), Failure> {
        let before = self.state(batch)?;
        batch
            .tables
            .delete(Which::QueueDue, &before.due_key(&self.queue, &self.id))?;
        let after = State {
            at,
            lease: if keep { before.lease } else { 0 },
            ..before
        };
        write_state(batch, &self.queue, &self.id, after)?;
        batch.effects.push(Effect::Wake(self.queue.clone()));
        Ok(())
    }
}

impl Lease {
    /// Gives the message another body and a fresh start.
    fn change(&self, batch: &mut Batch<'_>, body: &Bytes, at: Time) -> Result<(), Failure> {
        let before = self.state(batch)?;
        let tables = &mut batch.tables;
        tables.delete(Which::QueueDue, &before.due_key(&self.queue, &self.id))?;
        let key = message_key(&self.queue, &self.id);
        tables.put(Which::QueueBody, &key, body)?;
        let after = State {
            at,
            attempt: 0,
            lease: 0,
            ..before
        };
        write_state(batch, &self.queue, &self.id, after)?;
        batch.effects.push(Effect::Wake(self.queue.clone()));
        Ok(())
    }
}

struct Put {
    queue: String,
    body: Bytes,
    now: Time,
    forgotten: Time,
    not_before: Time,
    dedup: Option<String>,
}

impl Put {
    fn apply(&self, batch: &mut Batch<'_>) -> Result<MsgId, Failure> {
        if let Some(dedup) = &self.dedup {
            let key = message_key(&self.queue, dedup);
            let known = whole(batch.tables.get(Which::Dedup, &key))?;
            let (end, id) = known
                .as_deref()
                .unwrap_or_default()
                .split_at_checked(8)
                .unzip();
            if let (Some(end), Some(id)) = (end, id)
                && key_time(end) > self.forgotten
            {
                return Ok(MsgId(String::from_utf8_lossy(id).into_owned()));
            }
        }
        let id = format!("{:016x}", batch.next_rev());
        if let Some(dedup) = &self.dedup {
            self.remember(batch, dedup, &id)?;
        }
        let key = message_key(&self.queue, &id);
        batch.tables.put(Which::QueueBody, &key, &self.body)?;
        let state = State {
            enqueued: self.now,
            at: self.not_before,
            attempt: 0,
            lease: 0,
        };
        write_state(batch, &self.queue, &id, state)?;
        batch.effects.push(Effect::Wake(self.queue.clone()));
        Ok(MsgId(id))
    }

    fn remember(&self, batch: &mut Batch<'_>, dedup: &str, id: &str) -> Result<(), Failure> {
        let tables = &mut batch.tables;
        let over = tables.range(Which::DedupEnd, &[], &time_key(self.forgotten), DEDUP_SWEPT)?;
        for (end_key, _) in over {
            let (end, key) = end_key.split_at_checked(8).unwrap_or_default();
            // The id may have been given again since, with a later end.
            let same = whole(tables.read(Which::Dedup, key, |v| v.get(..8) == Some(end)))?;
            if same == Some(true) {
                tables.delete(Which::Dedup, key)?;
            }
            tables.delete(Which::DedupEnd, &end_key)?;
        }
        let key = message_key(&self.queue, dedup);
        let end = time_key(self.now + DEDUP_WINDOW);
        tables.put(Which::Dedup, &key, &[&end, id.as_bytes()].concat())?;
        tables.put(Which::DedupEnd, &[&end[..], &key].concat(), &[])
    }
}

fn take(batch: &mut Batch<'_>, queue: &str, now: Time, max: usize) -> Result<Vec<Leased>, Failure> {
    let prefix = named(queue);
    let from = prefix.clone();
    let to = [&prefix[..], &time_key(now + Duration::from_micros(1))].concat();
    let due = batch.tables.range(Which::QueueDue, &from, &to, max)?;
    let mut taken = Vec::with_capacity(due.len());
    let mut bytes = 0;
    for (due_key, _) in due {
        let id = due_key.get(prefix.len() + 8..).unwrap_or_default();
        let id = String::from_utf8_lossy(id).into_owned();
        let key = message_key(queue, &id);
        batch.tables.delete(Which::QueueDue, &due_key)?;
        let state = whole(batch.tables.read(Which::QueueState, &key, State::decode))?;
        let body = whole(batch.tables.get(Which::QueueBody, &key))?;
        let (Some(state), Some(body)) = (state, body) else {
            continue;
        };
        bytes += body.len();
        let lease = batch.next_rev();
        let state = State {
            at: now + LEASE,
            attempt: state.attempt.saturating_add(1),
            lease,
            ..state
        };
        write_state(batch, queue, &id, state)?;
        let proof = Lease {
            queue: queue.to_owned(),
            id: id.clone(),
            number: lease,
        };
        taken.push(Leased {
            id: MsgId(id),
            body: body.into(),
            attempt: state.attempt,
            enqueued: state.enqueued,
            token: proof.token(),
            until: state.at,
        });
        if bytes >= TAKE_BYTES_MAX {
            break;
        }
    }
    Ok(taken)
}

/// Messages whose lease ends within the usual time: a longer one was asked for with a reason.
fn leased_now(prefix: &[u8], now: Time) -> (Vec<u8>, Vec<u8>) {
    let at = |time: Time| [prefix, &time_key(time)].concat();
    (at(now), at(now + LEASE + LEASE))
}

fn end_earlier(batch: &mut Batch<'_>, queue: &str, now: Time, last: u64) -> Result<(), Failure> {
    let prefix = named(queue);
    let (from, to) = leased_now(&prefix, now);
    for (due, leased) in batch.tables.range(Which::QueueDue, &from, &to, ENDED_MAX)? {
        let id = due.get(prefix.len() + 8..).unwrap_or_default();
        let id = String::from_utf8_lossy(id).into_owned();
        let key = message_key(queue, &id);
        let state = whole(batch.tables.read(Which::QueueState, &key, State::decode))?;
        let Some(state) = state.filter(|s| leased == [1] && s.lease <= last) else {
            continue;
        };
        batch.tables.delete(Which::QueueDue, &due)?;
        let free = State {
            at: now,
            lease: 0,
            ..state
        };
        write_state(batch, queue, &id, free)?;
    }
    Ok(())
}

impl Shared {
    /// Makes due what an earlier process held.
    async fn end_earlier(&self, queue: &str) -> Result<(), StoreError> {
        if !self.earlier.is_first(queue) {
            return Ok(());
        }
        let now = self.tasks.clock().now();
        let (from, to) = leased_now(&named(queue), now);
        let mut is_held = false;
        self.view()?
            .each(Which::QueueDue, &from, &to, |_, leased| {
                is_held = leased == [1];
                !is_held
            })?;
        if !is_held {
            return Ok(());
        }
        let (queue, last) = (queue.to_owned(), self.earlier.last);
        self.write(0, move |batch| end_earlier(batch, &queue, now, last))
            .await
    }

    /// When the next message of the queue is due.
    fn next_due(&self, queue: &str) -> Result<Option<Time>, StoreError> {
        let prefix = named(queue);
        let first = self
            .view()?
            .range(Which::QueueDue, &prefix, &behind(&prefix), 1)?;
        let first = first.into_iter().next();
        Ok(first.map(|(key, _)| key_time(key.get(prefix.len()..).unwrap_or_default())))
    }
}

#[async_trait]
impl Queue for Shared {
    async fn put(
        &self,
        queue: &QueueId,
        body: Bytes,
        not_before: Time,
        dedup: Option<&str>,
    ) -> Result<MsgId, StoreError> {
        within("queue body", body.len(), BODY_BYTES_MAX)?;
        within("queue name", queue.0.len(), NAME_BYTES_MAX)?;
        within(
            "deduplication id",
            dedup.map_or(0, str::len),
            NAME_BYTES_MAX,
        )?;
        let now = self.tasks.clock().now();
        let put = Put {
            queue: queue.0.clone(),
            now,
            forgotten: self.earlier.forgotten(now),
            not_before,
            dedup: dedup.map(str::to_owned),
            body,
        };
        self.write(put.body.len(), move |batch| put.apply(batch))
            .await
    }

    async fn take(
        &self,
        queue: &QueueId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let clock = self.tasks.clock();
        let start = clock.monotonic();
        if max == 0 {
            return Ok(Vec::new());
        }
        let max = max.min(TAKE_MAX);
        self.end_earlier(&queue.0).await?;
        let news = self.due.of(&queue.0);
        loop {
            let mut told = std::pin::pin!(news.notified());
            // Listening starts before looking, so that no put falls between.
            told.as_mut().enable();
            let now = clock.now();
            let next = self.next_due(&queue.0)?;
            if next.is_some_and(|at| at <= now) {
                let name = queue.0.clone();
                // A lease that the power takes back was held by a process that is gone.
                let taken = self.write_lazily(move |batch| take(batch, &name, now, max));
                let taken = taken.await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
                // Somebody else was faster.
                continue;
            }
            let left = wait.saturating_sub(clock.monotonic().since(start));
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let sleep = next.map_or(left, |at| at.since(now).min(left));
            tokio::select! {
                () = told => {}
                () = clock.sleep(sleep) => {}
            }
        }
    }

    async fn ack(&self, token: &Token) -> Result<(), StoreError> {
        let lease = Lease::parse(token)?;
        self.write(0, move |batch| {
            let state = lease.state(batch)?;
            let key = message_key(&lease.queue, &lease.id);
            let due = state.due_key(&lease.queue, &lease.id);
            batch.tables.delete(Which::QueueDue, &due)?;
            batch.tables.delete(Which::QueueState, &key)?;
            batch.tables.delete(Which::QueueBody, &key)?;
            Ok(())
        })
        .await
    }

    async fn retry(&self, token: &Token, not_before: Time) -> Result<(), StoreError> {
        let lease = Lease::parse(token)?;
        self.write(0, move |batch| lease.move_to(batch, not_before, false))
            .await
    }

    async fn replace(
        &self,
        token: &Token,
        body: Bytes,
        not_before: Time,
    ) -> Result<(), StoreError> {
        within("queue body", body.len(), BODY_BYTES_MAX)?;
        let lease = Lease::parse(token)?;
        self.write(body.len(), move |batch| {
            lease.change(batch, &body, not_before)
        })
        .await
    }

    async fn extend(&self, token: &Token, until: Time) -> Result<(), StoreError> {
        let lease = Lease::parse(token)?;
        self.write(0, move |batch| lease.move_to(batch, until, true))
            .await
    }

    async fn depth(&self, queue: &QueueId) -> Result<Depth, StoreError> {
        let now = self.tasks.clock().now();
        let prefix = named(&queue.0);
        let (mut from, to) = (prefix.clone(), behind(&prefix));
        let mut depth = Depth::default();
        let mut counted = 0;
        loop {
            let mut some = 0;
            let mut last = Vec::new();
            self.view()?
                .each(Which::QueueDue, &from, &to, |key, leased| {
                    let at = key_time(key.get(prefix.len()..).unwrap_or_default());
                    if at <= now {
                        depth.due += 1;
                    } else if leased == [1] {
                        depth.leased += 1;
                    } else {
                        depth.delayed += 1;
                    }
                    some += 1;
                    if some == COUNTED_MAX {
                        last = key.to_vec();
                    }
                    some < COUNTED_MAX
                })?;
            counted += some;
            if some < COUNTED_MAX || counted >= DEPTH_MAX {
                return Ok(depth);
            }
            last.push(0);
            from = last;
            tokio::task::yield_now().await;
        }
    }

    async fn next(&self, queue: &QueueId) -> Result<Option<Time>, StoreError> {
        // What an earlier process held is due at once.
        self.end_earlier(&queue.0).await?;
        self.next_due(&queue.0)
    }

    async fn queues(
        &self,
        prefix: &str,
        after: Option<&QueueId>,
        max: usize,
    ) -> Result<Vec<QueueId>, StoreError> {
        let view = self.view()?;
        let mut found = Vec::new();
        let mut from = after.map_or_else(Vec::new, |queue| behind(&named(&queue.0)));
        // One step for each queue: the messages between are not read.
        while found.len() < max {
            let mut name = None;
            view.each(Which::QueueDue, &from, LAST_NAME, |key, _| {
                name = name_of(key);
                false
            })?;
            let Some(name) = name else {
                break;
            };
            from = behind(&named(&name));
            if name.starts_with(prefix) {
                found.push(QueueId(name));
            }
        }
        Ok(found)
    }
}

/// Behind every name: lengths are far below.
const LAST_NAME: &[u8] = &[0xff; 3];

/// The name in front of a key.
fn name_of(key: &[u8]) -> Option<String> {
    let (length, rest) = key.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let name = rest.get(..length)?;
    Some(String::from_utf8_lossy(name).into_owned())
}
