use std::sync::Arc;

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};
use redb::{TableDefinition, WriteTransaction};

use super::ahead::Redo;
use super::seal::{Damage, seal, unseal};
use crate::StoreError;

/// The schema this build writes. It grows when older code could misread the stored bytes.
/// 3: what the database does not hold yet lies in the log in front of it.
pub(crate) const SCHEMA: u32 = 3;
/// The first one with them.
const SEALED: u32 = 2;
/// The last one without sums behind the values.
const UNSEALED: u32 = 1;
/// Values that are sealed at a time, when an older store is opened.
const SEALED_MAX: usize = 64;

type Bytes = &'static [u8];

/// Every table is plain bytes to plain bytes; the modules of the primitives own the encodings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Which {
    /// Schema version and the revision counter.
    Meta,
    /// (space, key) → revision, value.
    Records,
    /// (queue, id) → state of a message.
    QueueState,
    /// (queue, id) → body.
    QueueBody,
    /// (queue, when, id) → whether it is leased until then.
    QueueDue,
    /// (queue, dedup id) → when it ends, message id.
    Dedup,
    /// (end, queue, dedup id) → nothing.
    DedupEnd,
    /// (log, shard) → head of the shard.
    LogHead,
    /// (log, shard, number) → time, bytes.
    LogTail,
    /// (log, shard, first number) → a sealed segment.
    LogSegment,
    /// name → fence.
    Lease,
}

pub(crate) const ALL: [Which; 11] = [
    Which::Meta,
    Which::Records,
    Which::QueueState,
    Which::QueueBody,
    Which::QueueDue,
    Which::Dedup,
    Which::DedupEnd,
    Which::LogHead,
    Which::LogTail,
    Which::LogSegment,
    Which::Lease,
];

impl Which {
    /// The table with this number in the log.
    pub(crate) fn of(number: u8) -> Option<Which> {
        ALL.get(usize::from(number)).copied()
    }

    pub(crate) fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(self.name())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Meta => "meta",
            Which::Records => "rec",
            Which::QueueState => "queue_state",
            Which::QueueBody => "queue_body",
            Which::QueueDue => "queue_due",
            Which::Dedup => "dedup",
            Which::DedupEnd => "dedup_end",
            Which::LogHead => "log_head",
            Which::LogTail => "log_tail",
            Which::LogSegment => "log_segment",
            Which::Lease => "lease",
        }
    }
}

/// Why a job of a batch did not apply.
pub(crate) enum Failure {
    /// This job alone is refused; it changed nothing.
    Refused(StoreError),
    /// The disk failed: the whole batch is given up.
    Storage(redb::Error),
}

impl Failure {
    pub(crate) fn into_error(self) -> redb::Error {
        match self {
            Failure::Storage(error) => error,
            Failure::Refused(error) => redb::Error::Corrupted(error.to_string()),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Storage(error.into())
    }
}

pub(crate) fn io_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Damaged(what.into()),
        other => StoreError::Io(other.to_string().into()),
    }
}

type WriteTable<'t> = redb::Table<'t, Bytes, Bytes>;
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The tables of one write transaction, opened when first used.
pub(crate) struct Tables<'t> {
    txn: &'t WriteTransaction,
    damage: &'t Damage,
    open: [Option<WriteTable<'t>>; ALL.len()],
    /// What was changed, for the log in front of the database.
    redo: Redo,
}

impl<'t> Tables<'t> {
    pub(crate) fn new(txn: &'t WriteTransaction, damage: &'t Damage) -> Tables<'t> {
        Tables {
            txn,
            damage,
            open: Default::default(),
            redo: Redo::default(),
        }
    }

    pub(crate) fn into_redo(self) -> Redo {
        self.redo
    }

    fn table(&mut self, which: Which) -> Result<&mut WriteTable<'t>, Failure> {
        // The array has one place for every variant.
        #[allow(clippy::indexing_slicing)]
        let place = &mut self.open[which as usize];
        match place {
            Some(table) => Ok(table),
            None => Ok(place.insert(self.txn.open_table(which.definition())?)),
        }
    }

    /// What `read` makes of the value of `key`, `None` without one. A damaged one refuses the job.
    pub(crate) fn read<T>(
        &mut self,
        which: Which,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Failure> {
        let damage = self.damage;
        let Some(sealed) = self.table(which)?.get(key)? else {
            return Ok(None);
        };
        match unseal(which, key, sealed.value()) {
            Some(value) => Ok(Some(read(value))),
            None => Err(Failure::Refused(damage.value(which, key))),
        }
    }

    pub(crate) fn get(&mut self, which: Which, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.read(which, key, <[u8]>::to_vec)
    }

    pub(crate) fn put(&mut self, which: Which, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let sealed = seal(which, key, value);
        self.table(which)?.insert(key, sealed.as_slice())?;
        self.redo.put(which, key, value);
        Ok(())
    }

    /// Returns whether there was one.
    pub(crate) fn delete(&mut self, which: Which, key: &[u8]) -> Result<bool, Failure> {
        let was_there = self.table(which)?.remove(key)?.is_some();
        if was_there {
            self.redo.delete(which, key);
        }
        Ok(was_there)
    }

    /// At most `max` pairs from `from` (included) to `to` (excluded).
    pub(crate) fn range(
        &mut self,
        which: Which,
        from: &[u8],
        to: &[u8],
        max: usize,
    ) -> Result<Pairs, Failure> {
        let damage = self.damage;
        let table = self.table(which)?;
        collect(&*table, which, damage, from, to, max).map_err(Failure::from)
    }
}

/// Damaged values are left out, and told.
fn collect(
    table: &impl ReadableTable<Bytes, Bytes>,
    which: Which,
    damage: &Damage,
    from: &[u8],
    to: &[u8],
    max: usize,
) -> Result<Pairs, redb::StorageError> {
    if from >= to {
        return Ok(Pairs::new());
    }
    table
        .range::<&[u8]>(from..to)?
        .filter_map(|pair| match pair {
            Ok((key, sealed)) => {
                let key = key.value();
                let value = unseal(which, key, sealed.value());
                if value.is_none() {
                    damage.value(which, key);
                }
                value.map(|value| Ok((key.to_vec(), value.to_vec())))
            }
            Err(error) => Some(Err(error)),
        })
        .take(max)
        .collect()
}

/// One consistent view for reading.
pub(crate) struct View {
    txn: ReadTransaction,
    damage: Arc<Damage>,
}

impl View {
    pub(crate) fn new(database: &Database, damage: &Arc<Damage>) -> Result<View, StoreError> {
        Ok(View {
            txn: database.begin_read().map_err(io_error)?,
            damage: damage.clone(),
        })
    }

    fn table(&self, which: Which) -> Result<ReadOnlyTable<Bytes, Bytes>, StoreError> {
        self.txn.open_table(which.definition()).map_err(io_error)
    }

    pub(crate) fn get(&self, which: Which, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.table(which)?.get(key).map_err(io_error)?;
        found
            .map(|sealed| match unseal(which, key, sealed.value()) {
                Some(value) => Ok(value.to_vec()),
                None => Err(self.damage.value(which, key)),
            })
            .transpose()
    }

    pub(crate) fn range(
        &self,
        which: Which,
        from: &[u8],
        to: &[u8],
        max: usize,
    ) -> Result<Pairs, StoreError> {
        collect(&self.table(which)?, which, &self.damage, from, to, max).map_err(io_error)
    }

    /// Calls `each` for every pair of the range until it returns false. Damaged values are left out.
    pub(crate) fn each(
        &self,
        which: Which,
        from: &[u8],
        to: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let table = self.table(which)?;
        for pair in table.range::<&[u8]>(from..to).map_err(io_error)? {
            let (key, sealed) = pair.map_err(io_error)?;
            let key = key.value();
            let Some(value) = unseal(which, key, sealed.value()) else {
                self.damage.value(which, key);
                continue;
            };
            if !each(key, value) {
                break;
            }
        }
        Ok(())
    }
}

pub(crate) const SCHEMA_KEY: &[u8] = b"schema";
const REV_KEY: &[u8] = b"rev";
/// The last frame of the log that is in here for good, and what its checksums begin with.
const AHEAD_KEY: &[u8] = b"ahead";
const SECRET_KEY: &[u8] = b"secret";

/// How the log in front of a database goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Basis {
    pub(crate) last: u64,
    pub(crate) secret: u64,
}

/// Checks the schema of an opened database. `None`: it is fresh, or an earlier build made it.
pub(crate) fn prepare(
    database: &Database,
    damage: &Arc<Damage>,
) -> Result<Option<Basis>, StoreError> {
    let read = database.begin_read().map_err(io_error)?;
    match read.open_table(Which::Meta.definition()) {
        Ok(_) => {}
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(io_error(error)),
    }
    let view = View::new(database, damage)?;
    let damaged = || StoreError::Damaged(Arc::from("the schema version is missing"));
    let version = view.get(Which::Meta, SCHEMA_KEY)?.ok_or_else(damaged)?;
    let version = u32::from_be_bytes(version.try_into().map_err(|_| damaged())?);
    if version > SCHEMA {
        return Err(StoreError::Newer {
            found: version,
            known: SCHEMA,
        });
    }
    if version == UNSEALED {
        seal_all(database).map_err(io_error)?;
    }
    if version < SCHEMA {
        return Ok(None);
    }
    let number = |key| Ok::<_, StoreError>(view.get(Which::Meta, key)?.map(|b| be_u64(&b)));
    Ok(Some(Basis {
        last: number(AHEAD_KEY)?.unwrap_or(0),
        secret: number(SECRET_KEY)?.ok_or_else(damaged)?,
    }))
}

impl Basis {
    /// Makes every table that is missing, and says that this build owns the database from here on.
    pub(crate) fn lay_out(database: &Database, secret: u64) -> Result<Basis, redb::Error> {
        let mut txn = database.begin_write()?;
        txn.set_quick_repair(true);
        for which in ALL {
            let mut table = txn.open_table(which.definition())?;
            if which == Which::Meta {
                let (version, secret) = (SCHEMA.to_be_bytes(), secret.to_be_bytes());
                for (key, value) in [(SCHEMA_KEY, &version[..]), (SECRET_KEY, &secret[..])] {
                    table.insert(key, seal(which, key, value).as_slice())?;
                }
            }
        }
        txn.commit()?;
        Ok(Basis { last: 0, secret })
    }
}

/// The last revision given out.
pub(crate) fn last_rev(database: &Database, damage: &Arc<Damage>) -> Result<u64, StoreError> {
    let rev = View::new(database, damage)?.get(Which::Meta, REV_KEY)?;
    Ok(rev.map_or(0, |bytes| be_u64(&bytes)))
}

/// Remembers which frame of the log is the last in here.
pub(crate) fn save_ahead(tables: &mut Tables<'_>, number: u64) -> Result<(), Failure> {
    tables.put(Which::Meta, AHEAD_KEY, &number.to_be_bytes())
}

/// Puts the sums behind the values of an older store, all or none.
fn seal_all(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    for which in ALL {
        let mut table = txn.open_table(which.definition())?;
        let mut from = Vec::new();
        loop {
            let some = table.range::<&[u8]>(from.as_slice()..)?.take(SEALED_MAX);
            let some = some
                .map(|pair| pair.map(|(k, v)| (k.value().to_vec(), v.value().to_vec())))
                .collect::<Result<Pairs, redb::StorageError>>()?;
            let Some((last, _)) = some.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &some {
                table.insert(key.as_slice(), seal(which, key, value).as_slice())?;
            }
        }
        if which == Which::Meta {
            table.insert(SCHEMA_KEY, SEALED.to_be_bytes().as_slice())?;
        }
    }
    txn.commit()?;
    Ok(())
}

pub(crate) fn save_rev(tables: &mut Tables<'_>, rev: u64) -> Result<(), Failure> {
    tables.put(Which::Meta, REV_KEY, &rev.to_be_bytes())
}

/// The first eight bytes as a big-endian number; missing bytes count as zero.
pub(crate) fn be_u64(bytes: &[u8]) -> u64 {
    let mut full = [0; 8];
    full.iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(full)
}

/// A name in front of a key so that no name is a prefix of another: length, then bytes.
pub(crate) fn named(name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut key = length.to_be_bytes().to_vec();
    key.extend_from_slice(name.as_bytes());
    key
}

/// The first key behind all keys that start with `prefix`.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0xff; 8]
}

/// Sorts like the number it stands for, negative ones first.
pub(crate) fn time_key(time: tasks::Time) -> [u8; 8] {
    // Flipping the sign bit makes two's complement sort as bytes.
    (time.unix_micros() ^ i64::MIN).to_be_bytes()
}

pub(crate) fn key_time(bytes: &[u8]) -> tasks::Time {
    let raw = i64::from_be_bytes(be_u64(bytes).to_be_bytes());
    tasks::Time::from_unix_micros(raw ^ i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_without_sums_gets_them_at_its_next_start() {
        let memory = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(memory).unwrap();
        let txn = database.begin_write().unwrap();
        for which in ALL {
            let mut table = txn.open_table(which.definition()).unwrap();
            for n in 0..200_u8 {
                table.insert([n].as_slice(), [n; 9].as_slice()).unwrap();
            }
            if which == Which::Meta {
                let old = UNSEALED.to_be_bytes();
                table.insert(SCHEMA_KEY, old.as_slice()).unwrap();
                let rev = 7_u64.to_be_bytes();
                table.insert(REV_KEY, rev.as_slice()).unwrap();
            }
        }
        txn.commit().unwrap();
        let damage = Arc::default();
        for _ in 0..2 {
            if prepare(&database, &damage).unwrap().is_none() {
                Basis::lay_out(&database, 5).unwrap();
            }
            let basis = prepare(&database, &damage).unwrap();
            assert_eq!(basis, Some(Basis { last: 0, secret: 5 }));
            assert_eq!(last_rev(&database, &damage).unwrap(), 7);
            let view = View::new(&database, &damage).unwrap();
            for n in 0..200_u8 {
                let found = view.get(Which::Records, &[n]).unwrap();
                assert_eq!(found, Some(vec![n; 9]));
            }
        }
        assert!(damage.names().is_empty());
    }
}
