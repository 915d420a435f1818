//! A script of random operations on a store, and what must be on its disk because of them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use store::{Digest, Expect, Key, LogId, Op, Pos, QueueId, Seq, Space, Store, StoreError};
use tasks::{Ids, Time};

pub(crate) const SPACE: Space = Space("crash");

/// What must be on the disk. An operation that failed may have happened or not.
#[derive(Default, Clone)]
pub(crate) struct Acknowledged {
    /// Contents that a record may have; `None` is "not there".
    records: BTreeMap<String, Vec<Option<Bytes>>>,
    pub(crate) messages: BTreeMap<Bytes, Sure>,
    log: Vec<(Seq, Bytes)>,
    blobs: BTreeMap<Digest, Bytes>,
    last_rev: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Sure {
    There,
    Gone,
    Unknown,
}

pub(crate) struct Run {
    pub(crate) store: Store,
    pub(crate) truth: Acknowledged,
    pub(crate) dice: Ids,
    count: u32,
}

pub(crate) fn queue() -> QueueId {
    QueueId("q".to_owned())
}

fn log() -> LogId {
    LogId("l".to_owned())
}

impl Run {
    pub(crate) fn new(store: Store, seed: u64) -> Run {
        let dice = Ids::seeded(seed);
        let truth = Acknowledged::default();
        Run {
            store,
            truth,
            dice,
            count: 0,
        }
    }

    fn body(&mut self) -> Bytes {
        self.count += 1;
        let size = match self.dice.u64() % 8 {
            0 => 20_000,
            1 => 3_000,
            _ => 40,
        };
        let text = format!("{}:{}", self.count, self.dice.hex(8));
        Bytes::from(text.repeat(size / 20))
    }

    pub(crate) async fn step(&mut self) -> Result<(), StoreError> {
        match self.dice.u64() % 10 {
            0..=4 => self.write_records().await,
            5 => self.put_message().await,
            6 => self.take_message().await,
            7..=8 => self.append().await,
            _ => self.put_blob().await,
        }
    }

    async fn write_records(&mut self) -> Result<(), StoreError> {
        let mut ops = Vec::new();
        let mut after = Vec::new();
        for _ in 0..=self.dice.u64() % 3 {
            let name = format!("k{}", self.dice.u64() % 40);
            if after.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let key = Key::of(&[&name]);
            let expect = Expect::Any;
            if self.dice.u64().is_multiple_of(4) {
                ops.push(Op::Delete { key, expect });
                after.push((name, None));
            } else {
                let value = self.body();
                ops.push(Op::Put {
                    key,
                    value: value.clone(),
                    expect,
                });
                after.push((name, Some(value)));
            }
        }
        let outcome = self.store.records.txn(SPACE, ops).await;
        for (name, value) in after {
            let may = self.truth.records.entry(name).or_insert_with(|| vec![None]);
            if outcome.is_ok() {
                may.clear();
            }
            may.push(value);
        }
        let rev = outcome?;
        assert!(rev.0 > self.truth.last_rev, "revisions grow over restarts");
        self.truth.last_rev = rev.0;
        Ok(())
    }

    async fn put_message(&mut self) -> Result<(), StoreError> {
        let body = self.body();
        let queue = queue();
        let put = self
            .store
            .queue
            .put(&queue, body.clone(), Time::EPOCH, None);
        let outcome = put.await;
        let sure = if outcome.is_ok() {
            Sure::There
        } else {
            Sure::Unknown
        };
        self.truth.messages.insert(body, sure);
        outcome.map(drop)
    }

    async fn take_message(&mut self) -> Result<(), StoreError> {
        let taken = self.store.queue.take(&queue(), 1, Duration::ZERO).await?;
        let Some(message) = taken.first() else {
            return Ok(());
        };
        let known = self.truth.messages.get(&message.body).copied();
        assert!(
            matches!(known, Some(Sure::There | Sure::Unknown)),
            "{known:?}"
        );
        let outcome = self.store.queue.ack(&message.token).await;
        let sure = if outcome.is_ok() {
            Sure::Gone
        } else {
            Sure::Unknown
        };
        self.truth.messages.insert(message.body.clone(), sure);
        outcome
    }

    async fn append(&mut self) -> Result<(), StoreError> {
        let records = vec![self.body(), self.body()];
        let last = self
            .store
            .log
            .append(&log(), 0, records.clone(), None)
            .await?;
        for (seq, body) in (last.0 - 1..).zip(records) {
            self.truth.log.push((Seq(seq), body));
        }
        Ok(())
    }

    async fn put_blob(&mut self) -> Result<(), StoreError> {
        let body = self.body();
        let digest = self.store.blobs.put(body.clone()).await?;
        self.truth.blobs.insert(digest, body);
        Ok(())
    }

    /// Compares everything, then takes what was found as the truth from here on.
    pub(crate) async fn audit(&mut self, seed: u64) {
        let found = self.truth.differences(&self.store).await;
        assert!(found.wrong.is_empty(), "seed {seed}: {:?}", found.wrong);
        assert!(found.damaged.is_empty(), "seed {seed}: {:?}", found.damaged);
        for (name, may) in &mut self.truth.records {
            let key = Key::of(&[name]);
            let found = self.store.records.get(SPACE, &key).await.unwrap();
            *may = vec![found.map(|(bytes, _)| bytes)];
        }
    }
}

/// What is not as it must be.
#[derive(Default, Debug)]
pub(crate) struct Differences {
    /// Answers that are not true.
    pub(crate) wrong: Vec<String>,
    /// Answers that say that something is damaged.
    pub(crate) damaged: Vec<String>,
}

impl Differences {
    fn note<T: PartialEq>(&mut self, what: String, found: Result<T, StoreError>, may: &[T]) {
        match found {
            Ok(found) if may.contains(&found) => {}
            Ok(_) => self.wrong.push(what),
            Err(error) => self.damaged.push(format!("{what}: {error}")),
        }
    }
}

impl Acknowledged {
    /// What must be there while an operation runs that leads from this to `after`.
    pub(crate) fn until(&self, after: &Acknowledged) -> Acknowledged {
        let mut between = self.clone();
        for (name, may) in &after.records {
            let known = between.records.entry(name.clone());
            let known = known.or_insert_with(|| vec![None]);
            known.extend(may.iter().cloned());
        }
        for (body, sure) in &after.messages {
            if self.messages.get(body) != Some(sure) {
                between.messages.insert(body.clone(), Sure::Unknown);
            }
        }
        between
    }

    /// Reads everything and compares.
    pub(crate) async fn differences(&self, store: &Store) -> Differences {
        let mut all = Differences::default();
        for (name, may) in &self.records {
            let found = store.records.get(SPACE, &Key::of(&[name])).await;
            let found = found.map(|row| row.map(|(bytes, _)| bytes));
            all.note(format!("record {name}"), found, may);
        }
        for (digest, body) in &self.blobs {
            let found = store.blobs.get(digest).await;
            all.note(format!("blob {digest}"), found, std::slice::from_ref(body));
        }
        for (seq, body) in &self.log {
            let found = store.log.read(&log(), 0, Pos::Seq(*seq), 1).await;
            let found = found.map(|(entries, _)| entries.into_iter().next());
            let found = found.map(|entry| entry.map(|(seq, _, body)| (seq, body)));
            let expected = Some((*seq, body.clone()));
            all.note(format!("log entry {seq:?}"), found, &[expected]);
        }
        let is_there = |sure: &&Sure| **sure == Sure::There;
        let there = self.messages.values().filter(is_there).count() as u64;
        match store.queue.depth(&queue()).await {
            Ok(depth) => {
                let stored = depth.due + depth.leased + depth.delayed;
                if stored < there {
                    all.wrong.push(format!("{stored} messages of {there}"));
                }
            }
            Err(error) => all.damaged.push(format!("depth: {error}")),
        }
        all
    }
}
