use std::sync::Arc;

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};
use redb::{TableDefinition, WriteTransaction};

use crate::StoreError;

/// The schema this build writes. It grows when older code could misread the stored bytes.
pub(crate) const SCHEMA: u32 = 1;

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

const ALL: [Which; 11] = [
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
    fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(match self {
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
        })
    }
}

/// Why a job of a batch did not apply.
pub(crate) enum Failure {
    /// This job alone is refused; it changed nothing.
    Refused(StoreError),
    /// The disk failed: the whole batch is given up.
    Storage(redb::Error),
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
    open: [Option<WriteTable<'t>>; ALL.len()],
}

impl<'t> Tables<'t> {
    pub(crate) fn new(txn: &'t WriteTransaction) -> Tables<'t> {
        Tables {
            txn,
            open: Default::default(),
        }
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

    /// What `read` makes of the value of `key`, `None` without one.
    pub(crate) fn read<T>(
        &mut self,
        which: Which,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Failure> {
        let found = self.table(which)?.get(key)?;
        Ok(found.map(|value| read(value.value())))
    }

    pub(crate) fn get(&mut self, which: Which, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.read(which, key, <[u8]>::to_vec)
    }

    pub(crate) fn put(&mut self, which: Which, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.table(which)?.insert(key, value)?;
        Ok(())
    }

    /// Returns whether there was one.
    pub(crate) fn delete(&mut self, which: Which, key: &[u8]) -> Result<bool, Failure> {
        Ok(self.table(which)?.remove(key)?.is_some())
    }

    /// At most `max` pairs from `from` (included) to `to` (excluded).
    pub(crate) fn range(
        &mut self,
        which: Which,
        from: &[u8],
        to: &[u8],
        max: usize,
    ) -> Result<Pairs, Failure> {
        collect(&*self.table(which)?, from, to, max).map_err(Failure::from)
    }
}

fn collect(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    max: usize,
) -> Result<Pairs, redb::StorageError> {
    if from >= to {
        return Ok(Pairs::new());
    }
    table
        .range::<&[u8]>(from..to)?
        .take(max)
        .map(|pair| pair.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        .collect()
}

/// One consistent view for reading.
pub(crate) struct View(ReadTransaction);

impl View {
    pub(crate) fn new(database: &Database) -> Result<View, StoreError> {
        database.begin_read().map(View).map_err(io_error)
    }

    fn table(&self, which: Which) -> Result<ReadOnlyTable<Bytes, Bytes>, StoreError> {
        self.0.open_table(which.definition()).map_err(io_error)
    }

    pub(crate) fn get(&self, which: Which, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.table(which)?.get(key).map_err(io_error)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    pub(crate) fn range(
        &self,
        which: Which,
        from: &[u8],
        to: &[u8],
        max: usize,
    ) -> Result<Pairs, StoreError> {
        collect(&self.table(which)?, from, to, max).map_err(io_error)
    }

    /// Calls `each` for every pair of the range until it returns false.
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
            let (key, value) = pair.map_err(io_error)?;
            if !each(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }
}

const SCHEMA_KEY: &[u8] = b"schema";
const REV_KEY: &[u8] = b"rev";

/// Checks the schema of an opened database, or lays out a fresh one.
/// Returns the last revision given out.
pub(crate) fn prepare(database: &Database) -> Result<u64, StoreError> {
    let fresh = {
        let read = database.begin_read().map_err(io_error)?;
        match read.open_table(Which::Meta.definition()) {
            Ok(_) => false,
            Err(redb::TableError::TableDoesNotExist(_)) => true,
            Err(error) => return Err(io_error(error)),
        }
    };
    if fresh {
        let txn = database.begin_write().map_err(io_error)?;
        for which in ALL {
            let mut table = txn.open_table(which.definition()).map_err(io_error)?;
            if which == Which::Meta {
                let version = SCHEMA.to_be_bytes();
                table
                    .insert(SCHEMA_KEY, version.as_slice())
                    .map_err(io_error)?;
            }
        }
        txn.commit().map_err(io_error)?;
        return Ok(0);
    }
    let view = View::new(database)?;
    let damaged = || StoreError::Damaged(Arc::from("the schema version is missing"));
    let version = view.get(Which::Meta, SCHEMA_KEY)?.ok_or_else(damaged)?;
    let version = u32::from_be_bytes(version.try_into().map_err(|_| damaged())?);
    if version > SCHEMA {
        return Err(StoreError::Newer {
            found: version,
            known: SCHEMA,
        });
    }
    let rev = view.get(Which::Meta, REV_KEY)?;
    Ok(rev.map_or(0, |bytes| be_u64(&bytes)))
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
