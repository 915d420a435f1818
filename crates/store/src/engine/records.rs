use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::tables::{Failure, Which, be_u64, behind, named};
use super::writer::{Batch, Effect};
use super::{Shared, within};
use crate::{Change, Expect, Key, Op, Records, Rev, Space, StoreError};

/// Operations of one transaction.
const OPS_MAX: usize = 100;
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 512 << 10;
/// Bytes of all values of one transaction.
const TXN_BYTES_MAX: usize = 1 << 20;
/// Bytes of the revision in front of a stored value.
const REV_BYTES: usize = 8;

fn place(space: Space, key: &str) -> Vec<u8> {
    let mut place = named(space.0);
    place.extend_from_slice(key.as_bytes());
    place
}

fn key_of(op: &Op) -> &Key {
    match op {
        Op::Put { key, .. } | Op::Delete { key, .. } => key,
    }
}

fn check(ops: &[Op]) -> Result<usize, StoreError> {
    within("transaction operations", ops.len(), OPS_MAX)?;
    let mut bytes = 0;
    let mut keys = HashSet::with_capacity(ops.len());
    for op in ops {
        let key = key_of(op);
        within("key", key.as_str().len(), Key::BYTES_MAX)?;
        if !keys.insert(key) {
            return Err(StoreError::Conflict(key.clone()));
        }
        if let Op::Put { value, .. } = op {
            within("record", value.len(), VALUE_BYTES_MAX)?;
            bytes += value.len();
        }
    }
    within("transaction", bytes, TXN_BYTES_MAX)?;
    Ok(bytes)
}

/// All expectations first, so that a refused job has changed nothing.
fn apply(batch: &mut Batch<'_>, space: Space, ops: &[Op]) -> Result<Rev, Failure> {
    for op in ops {
        let (Op::Put { key, expect, .. } | Op::Delete { key, expect }) = op;
        let holds = match expect {
            Expect::Any => true,
            other => {
                let place = place(space, key.as_str());
                let found = batch.tables.read(Which::Records, &place, be_u64)?;
                *other == found.map_or(Expect::Absent, |rev| Expect::At(Rev(rev)))
            }
        };
        if !holds {
            return Err(Failure::Refused(StoreError::Conflict(key.clone())));
        }
    }
    let rev = batch.next_rev();
    for op in ops {
        let place = place(space, key_of(op).as_str());
        let value = match op {
            Op::Put { value, .. } => {
                let mut stored = Vec::with_capacity(REV_BYTES + value.len());
                stored.extend_from_slice(&rev.to_be_bytes());
                stored.extend_from_slice(value);
                batch.tables.put(Which::Records, &place, &stored)?;
                Some(value.clone())
            }
            Op::Delete { .. } => {
                batch.tables.delete(Which::Records, &place)?;
                None
            }
        };
        let change = Change {
            key: key_of(op).clone(),
            value,
            rev: Rev(rev),
        };
        batch.effects.push(Effect::Changed(space, change));
    }
    Ok(Rev(rev))
}

fn split(mut stored: Vec<u8>) -> (Bytes, Rev) {
    let rev = Rev(be_u64(&stored));
    stored.drain(..REV_BYTES.min(stored.len()));
    (stored.into(), rev)
}

#[async_trait]
impl Records for Shared {
    async fn get(&self, space: Space, key: &Key) -> Result<Option<(Bytes, Rev)>, StoreError> {
        let stored = self
            .view()?
            .get(Which::Records, &place(space, key.as_str()))?;
        Ok(stored.map(split))
    }

    async fn scan(
        &self,
        space: Space,
        prefix: &Key,
        after: Option<&Key>,
        max: usize,
    ) -> Result<Vec<(Key, Bytes, Rev)>, StoreError> {
        let all = place(space, prefix.as_str());
        let from = match after {
            // The byte zero makes the next possible key.
            Some(after) => [&place(space, after.as_str())[..], &[0]]
                .concat()
                .max(all.clone()),
            None => all.clone(),
        };
        let found = self
            .view()?
            .range(Which::Records, &from, &behind(&all), max)?;
        let skip = named(space.0).len();
        let rows = found.into_iter().map(|(key, stored)| {
            let key = String::from_utf8_lossy(key.get(skip..).unwrap_or_default());
            let (value, rev) = split(stored);
            (Key::from_raw(&key), value, rev)
        });
        Ok(rows.collect())
    }

    async fn txn(&self, space: Space, ops: Vec<Op>) -> Result<Rev, StoreError> {
        let bytes = check(&ops)?;
        self.write(bytes, move |batch| apply(batch, space, &ops))
            .await
    }

    fn watch(&self, space: Space, prefix: &Key) -> mpsc::Receiver<Change> {
        self.watches.add(space, prefix)
    }
}
