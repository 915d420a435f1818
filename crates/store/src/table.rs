use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Expect, Key, Op, Records, Rev, Space, Store, StoreError, Vault};

/// A type that is stored as a record. It is its own type: neither a wire shape nor a domain type.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// First part of every key.
    const KIND: &'static str;
    /// Grows when the stored form changes in a way that older code cannot read.
    const VERSION: u8;
    /// Whether it is sealed in the [`Vault`] on its way to the disk.
    const IS_SECRET: bool = false;
}

/// First byte of a record that is sealed; no version is so high. The rest opens to what is not sealed
/// otherwise.
const SEALED: u8 = u8::MAX;

/// One typed record with its key and revision.
#[derive(Debug, Clone)]
pub struct Row<R> {
    pub key: Key,
    pub value: R,
    pub rev: Rev,
}

/// Typed access to the records of one kind in one space.
pub struct Table<R> {
    records: Arc<dyn Records>,
    space: Space,
    vault: Arc<Vault>,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Table<R> {
        Table {
            records: self.records.clone(),
            space: self.space,
            vault: self.vault.clone(),
            kind: PhantomData,
        }
    }
}

impl<R: Record> Table<R> {
    pub fn new(store: &Store, space: Space) -> Table<R> {
        Table {
            records: store.records.clone(),
            space,
            vault: store.vault.clone(),
            kind: PhantomData,
        }
    }

    /// The key of the record that `parts` name.
    pub fn key(&self, parts: &[&str]) -> Key {
        let mut all = vec![R::KIND];
        all.extend_from_slice(parts);
        Key::of(&all)
    }

    pub async fn get(&self, parts: &[&str]) -> Result<Option<Row<R>>, StoreError> {
        let key = self.key(parts);
        match self.records.get(self.space, &key).await? {
            Some((bytes, rev)) => Ok(Some(Row {
                value: self.decode(&key, &bytes)?,
                key,
                rev,
            })),
            None => Ok(None),
        }
    }

    /// At most `max` records whose key starts with `parts`, from behind the key `after`.
    pub async fn scan(
        &self,
        parts: &[&str],
        after: Option<&Key>,
        max: usize,
    ) -> Result<Vec<Row<R>>, StoreError> {
        let mut all = vec![R::KIND];
        all.extend_from_slice(parts);
        let found = self
            .records
            .scan(self.space, &Key::prefix(&all), after, max)
            .await?;
        let rows = found.into_iter().filter_map(|(key, bytes, rev)| {
            let is_sealed = bytes.first() == Some(&SEALED);
            match self.decode(&key, &bytes) {
                Ok(value) => Some(Ok(Row { key, value, rev })),
                // As any damaged value: told, and left out.
                Err(error @ StoreError::Damaged(_)) if is_sealed => {
                    tracing::error!(%error, "a secret is left out");
                    None
                }
                Err(error) => Some(Err(error)),
            }
        });
        rows.collect()
    }

    /// All records whose key starts with `parts`, read in pages.
    pub async fn all(&self, parts: &[&str]) -> Result<Vec<Row<R>>, StoreError> {
        const PAGE: usize = 1_000;
        let mut rows: Vec<Row<R>> = Vec::new();
        loop {
            let after = rows.last().map(|r| r.key.clone());
            let page = self.scan(parts, after.as_ref(), PAGE).await?;
            let full = page.len() == PAGE;
            rows.extend(page);
            if !full {
                return Ok(rows);
            }
        }
    }

    /// The operation that writes `value`; give it to [`Table::txn`], also with those of other tables
    /// of the space.
    pub fn put_op(&self, parts: &[&str], value: &R, expect: Expect) -> Result<Op, StoreError> {
        let key = self.key(parts);
        let mut value = encode(value)?;
        if R::IS_SECRET {
            value = self.seal(&key, &value)?;
        }
        Ok(Op::Put { key, value, expect })
    }

    pub fn delete_op(&self, parts: &[&str], expect: Expect) -> Op {
        Op::Delete {
            key: self.key(parts),
            expect,
        }
    }

    pub async fn put(&self, parts: &[&str], value: &R, expect: Expect) -> Result<Rev, StoreError> {
        self.txn(vec![self.put_op(parts, value, expect)?]).await
    }

    pub async fn delete(&self, parts: &[&str], expect: Expect) -> Result<Rev, StoreError> {
        self.txn(vec![self.delete_op(parts, expect)]).await
    }

    pub async fn txn(&self, ops: Vec<Op>) -> Result<Rev, StoreError> {
        self.records.txn(self.space, ops).await
    }

    /// Seals the records that an earlier Kiln wrote in plain form, if they are secret.
    ///
    /// # Errors
    /// Those of the store; some may be sealed then.
    pub async fn seal_all(&self) -> Result<(), StoreError> {
        const PAGE: usize = 1_000;
        if !R::IS_SECRET {
            return Ok(());
        }
        let mut last: Option<Key> = None;
        loop {
            let prefix = Key::prefix(&[R::KIND]);
            let found = self.records.scan(self.space, &prefix, last.as_ref(), PAGE);
            let found = found.await?;
            let Some((key, ..)) = found.last() else {
                return Ok(());
            };
            last = Some(key.clone());
            for (key, bytes, rev) in found {
                if bytes.first() == Some(&SEALED) {
                    continue;
                }
                let (value, expect) = (self.seal(&key, &bytes)?, Expect::At(rev));
                self.txn(vec![Op::Put { key, value, expect }]).await?;
            }
        }
    }

    fn place(&self, key: &Key) -> String {
        format!("{} {}", self.space.0, key.as_str())
    }

    fn seal(&self, key: &Key, plain: &[u8]) -> Result<Bytes, StoreError> {
        let sealed = self.vault.seal(&self.place(key), plain)?;
        Ok([&[SEALED], &sealed[..]].concat().into())
    }

    fn decode(&self, key: &Key, bytes: &[u8]) -> Result<R, StoreError> {
        match bytes.split_first() {
            Some((&SEALED, sealed)) => {
                let plain = self.vault.unseal(&self.place(key), sealed);
                let told = |error: StoreError| {
                    StoreError::Damaged(format!("record {}: {error}", key.as_str()).into())
                };
                decode(key, &plain.map_err(told)?)
            }
            _ => decode(key, bytes),
        }
    }
}

/// First byte: the version of the stored form; the rest: JSON.
fn encode<R: Record>(value: &R) -> Result<Bytes, StoreError> {
    let mut bytes = vec![R::VERSION];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|e| StoreError::Damaged(format!("{} does not encode: {e}", R::KIND).into()))?;
    Ok(bytes.into())
}

fn decode<R: Record>(key: &Key, bytes: &[u8]) -> Result<R, StoreError> {
    match bytes.split_first() {
        Some((version, _)) if *version > R::VERSION => Err(StoreError::Newer {
            found: (*version).into(),
            known: R::VERSION.into(),
        }),
        Some((_, json)) => serde_json::from_slice(json)
            .map_err(|e| StoreError::Damaged(format!("record {}: {e}", key.as_str()).into())),
        None => Err(StoreError::Damaged(
            format!("record {} is empty", key.as_str()).into(),
        )),
    }
}
