use async_trait::async_trait;
use bytes::Bytes;
use tasks::Time;

use super::tables::{Failure, View, Which, be_u64, behind, key_time, named, time_key};
use super::writer::{Batch, Effect};
use super::{Engine, Shared, files_error, within};
use crate::{Key, Log, LogId, Pos, Retention, Seq, StoreError};

/// Bytes of a shard in the database, above which they move to a file.
const HOT_BYTES_MAX: u64 = 8 << 20;
/// Bytes of the records of one append.
const APPEND_BYTES_MAX: usize = 8 << 20;
/// Records of one append.
const APPEND_RECORDS_MAX: usize = 10_000;
/// Bytes of the records of one read, above which no further record joins.
const READ_BYTES_MAX: usize = 8 << 20;
/// Bytes of a log's name; its file name has three times as many.
const NAME_BYTES_MAX: usize = 80;
/// Length, number and time in front of an entry of a segment file.
const FRAME_BYTES: usize = 4 + 8 + 8;

type Entry = (Seq, Time, Bytes);

fn shard_key(log: &str, shard: u32) -> Vec<u8> {
    let mut key = named(log);
    key.extend_from_slice(&shard.to_be_bytes());
    key
}

fn entry_key(shard: &[u8], seq: u64) -> Vec<u8> {
    [shard, &seq.to_be_bytes()].concat()
}

/// What a shard's appends need to know.
#[derive(Clone, Copy)]
struct Head {
    next: u64,
    /// First number that is not in a segment.
    hot_first: u64,
    hot_bytes: u64,
    last: Time,
}

impl Head {
    const NEW: Head = Head {
        next: 1,
        hot_first: 1,
        hot_bytes: 0,
        last: Time::EPOCH,
    };

    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        for number in [self.next, self.hot_first, self.hot_bytes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&time_key(self.last));
        bytes
    }

    fn decode(bytes: &[u8]) -> Head {
        let part = |i: usize| bytes.get(i * 8..i * 8 + 8).unwrap_or_default();
        Head {
            next: be_u64(part(0)),
            hot_first: be_u64(part(1)),
            hot_bytes: be_u64(part(2)),
            last: key_time(part(3)),
        }
    }
}

/// A sealed file of entries.
struct Segment {
    first: u64,
    last: u64,
    bytes: u64,
    first_time: Time,
    last_time: Time,
    sum: Vec<u8>,
}

impl Segment {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.last.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&time_key(self.first_time));
        out.extend_from_slice(&time_key(self.last_time));
        out.extend_from_slice(&self.sum);
        out
    }

    fn decode(key: &[u8], bytes: &[u8]) -> Segment {
        let part = |i: usize| bytes.get(i * 8..i * 8 + 8).unwrap_or_default();
        let first = key.len().saturating_sub(8);
        Segment {
            first: be_u64(key.get(first..).unwrap_or_default()),
            last: be_u64(part(0)),
            bytes: be_u64(part(1)),
            first_time: key_time(part(2)),
            last_time: key_time(part(3)),
            sum: bytes.get(32..).unwrap_or_default().to_vec(),
        }
    }

    fn file(&self, log: &str, shard: u32) -> String {
        let log: String = log.bytes().map(|b| format!("{b:02x}")).collect();
        format!("log/{log}/{shard}/{:016x}-{:016x}", self.first, self.last)
    }
}

fn sum_of(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .to_vec()
}

fn frame(out: &mut Vec<u8>, seq: u64, time: Time, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&time_key(time));
    out.extend_from_slice(body);
}

fn unframe(file: &Bytes) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let length = u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?);
        let end = at + FRAME_BYTES + usize::try_from(length).ok()?;
        let seq = be_u64(file.get(at + 4..at + 12)?);
        let time = key_time(file.get(at + 12..at + 20)?);
        file.get(at..end)?;
        entries.push((Seq(seq), time, file.slice(at + FRAME_BYTES..end)));
        at = end;
    }
    Some(entries)
}

struct Append {
    log: String,
    shard: u32,
    records: Vec<Bytes>,
    expect_tail: Option<Seq>,
    now: Time,
}

impl Append {
    fn apply(&self, batch: &mut Batch<'_>) -> Result<Seq, Failure> {
        let key = shard_key(&self.log, self.shard);
        let head = batch.tables.read(Which::LogHead, &key, Head::decode)?;
        let mut head = head.unwrap_or(Head::NEW);
        if self
            .expect_tail
            .is_some_and(|Seq(tail)| tail.saturating_add(1) != head.next)
        {
            let name = Key::of(&[&self.log, &self.shard.to_string()]);
            return Err(Failure::Refused(StoreError::Conflict(name)));
        }
        // Times within a shard never go back, whatever the wall clock does.
        let time = self.now.max(head.last);
        for record in &self.records {
            let value = [&time_key(time)[..], record].concat();
            batch
                .tables
                .put(Which::LogTail, &entry_key(&key, head.next), &value)?;
            head.next += 1;
            head.hot_bytes += u64::try_from(value.len()).unwrap_or(u64::MAX);
        }
        head.last = time;
        batch.tables.put(Which::LogHead, &key, &head.encode())?;
        if head.hot_bytes >= HOT_BYTES_MAX {
            batch
                .effects
                .push(Effect::Seal(self.log.clone(), self.shard));
        }
        Ok(Seq(head.next - 1))
    }
}

fn hot_entries(
    view: &View,
    key: &[u8],
    from: u64,
    not_before: Option<Time>,
    max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    let skip = key.len();
    view.each(
        Which::LogTail,
        &entry_key(key, from),
        &behind(key),
        |key, value| {
            let (time, body) = value.split_at_checked(8).unwrap_or_default();
            let time = key_time(time);
            if not_before.is_none_or(|t| time >= t) {
                let seq = Seq(be_u64(key.get(skip..).unwrap_or_default()));
                entries.push((seq, time, Bytes::copy_from_slice(body)));
                bytes += body.len();
            }
            entries.len() < max && bytes < READ_BYTES_MAX
        },
    )?;
    Ok(entries)
}

/// Where one step of a read finds its entries.
enum Found {
    Hot(Vec<Entry>),
    Sealed(Segment),
    /// Nothing there yet; the position to wait at.
    End(Pos),
}

impl Engine {
    fn find(&self, log: &str, shard: u32, from: Pos, max: usize) -> Result<Found, StoreError> {
        let view = self.view()?;
        let key = shard_key(log, shard);
        let head = view.get(Which::LogHead, &key)?;
        let head = head.map_or(Head::NEW, |bytes| Head::decode(&bytes));
        let (seq, time) = match from {
            Pos::Latest => return Ok(Found::End(Pos::Seq(Seq(head.next)))),
            Pos::Oldest => (0, None),
            Pos::Seq(Seq(seq)) => (seq, None),
            Pos::Time(time) => (0, Some(time)),
        };
        let mut sealed = None;
        if seq < head.hot_first {
            view.each(Which::LogSegment, &key, &behind(&key), |key, value| {
                let segment = Segment::decode(key, value);
                let holds = segment.last >= seq && time.is_none_or(|t| segment.last_time >= t);
                if holds {
                    sealed = Some(segment);
                }
                !holds
            })?;
        }
        if let Some(segment) = sealed {
            return Ok(Found::Sealed(segment));
        }
        let entries = hot_entries(&view, &key, seq, time, max)?;
        if entries.is_empty() {
            return Ok(Found::End(match from {
                Pos::Time(_) => from,
                _ => Pos::Seq(Seq(head.next.max(seq))),
            }));
        }
        Ok(Found::Hot(entries))
    }

    /// Moves the hot tail of a shard into a file. Only the writer calls this.
    pub(crate) fn seal(&self, log: &str, shard: u32) {
        if let Err(error) = self.try_seal(log, shard) {
            tracing::warn!(log, shard, %error, "log tail stays in the database for now");
        }
    }

    fn try_seal(&self, log: &str, shard: u32) -> Result<(), StoreError> {
        let key = shard_key(log, shard);
        let view = self.view()?;
        let mut file = Vec::new();
        let mut first: Option<(u64, Time)> = None;
        let mut last = (0, Time::EPOCH);
        view.each(Which::LogTail, &key, &behind(&key), |entry, value| {
            let seq = be_u64(entry.get(key.len()..).unwrap_or_default());
            let (time, body) = value.split_at_checked(8).unwrap_or_default();
            last = (seq, key_time(time));
            first.get_or_insert(last);
            frame(&mut file, seq, last.1, body);
            true
        })?;
        drop(view);
        let Some((first, first_time)) = first else {
            return Ok(());
        };
        let segment = Segment {
            first,
            last: last.0,
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
            first_time,
            last_time: last.1,
            sum: sum_of(&file),
        };
        let name = segment.file(log, shard);
        self.files
            .write(&name, &file)
            .map_err(|e| files_error(&e))?;
        self.write_now(move |batch| move_tail(batch, &key, &segment))
    }

    pub(crate) fn remove_files(&self, names: &[String]) {
        for name in names {
            if let Err(error) = self.files.remove(name) {
                tracing::warn!(name, %error, "file stays although nothing needs it");
            }
        }
    }
}

/// Puts the segment in the place of its entries.
fn move_tail(batch: &mut Batch<'_>, key: &[u8], segment: &Segment) -> Result<(), Failure> {
    let head = batch.tables.read(Which::LogHead, key, Head::decode)?;
    let mut head = head.unwrap_or(Head::NEW);
    if head.hot_first > segment.first {
        // A trim or another seal came first.
        return Ok(());
    }
    let (from, to) = (
        entry_key(key, segment.first),
        entry_key(key, segment.last + 1),
    );
    let mut gone = 0;
    for (entry, value) in batch.tables.range(Which::LogTail, &from, &to, usize::MAX)? {
        gone += u64::try_from(value.len()).unwrap_or(u64::MAX);
        batch.tables.delete(Which::LogTail, &entry)?;
    }
    head.hot_first = segment.last + 1;
    head.hot_bytes = head.hot_bytes.saturating_sub(gone);
    batch.tables.put(Which::LogHead, key, &head.encode())?;
    let row = entry_key(key, segment.first);
    batch.tables.put(Which::LogSegment, &row, &segment.encode())
}

fn trim(batch: &mut Batch<'_>, log: &str, keep: Retention) -> Result<(), Failure> {
    let all = named(log);
    let heads = batch
        .tables
        .range(Which::LogHead, &all, &behind(&all), usize::MAX)?;
    let mut size: u64 = 0;
    let mut kept: Vec<(Time, Vec<u8>, u32, Segment)> = Vec::new();
    let mut files = Vec::new();
    for (key, head) in heads {
        let shard = key.get(all.len()..).and_then(|s| s.try_into().ok());
        let shard = u32::from_be_bytes(shard.unwrap_or_default());
        let mut head = Head::decode(&head);
        let rows = batch
            .tables
            .range(Which::LogSegment, &key, &behind(&key), usize::MAX)?;
        for (row, value) in rows {
            let segment = Segment::decode(&row, &value);
            if keep.not_before.is_some_and(|t| segment.last_time < t) {
                batch.tables.delete(Which::LogSegment, &row)?;
                files.push(segment.file(log, shard));
            } else {
                size += segment.bytes;
                kept.push((segment.last_time, row, shard, segment));
            }
        }
        if let Some(not_before) = keep.not_before {
            trim_tail(batch, &key, &mut head, not_before)?;
        }
        size += head.hot_bytes;
    }
    kept.sort_by_key(|(last, ..)| *last);
    for (_, row, shard, segment) in kept {
        if keep.bytes_max.is_none_or(|max| size <= max) {
            break;
        }
        size = size.saturating_sub(segment.bytes);
        batch.tables.delete(Which::LogSegment, &row)?;
        files.push(segment.file(log, shard));
    }
    batch.effects.push(Effect::Remove(files));
    Ok(())
}

fn trim_tail(
    batch: &mut Batch<'_>,
    key: &[u8],
    head: &mut Head,
    not_before: Time,
) -> Result<(), Failure> {
    let tail = batch
        .tables
        .range(Which::LogTail, key, &behind(key), usize::MAX)?;
    let before = head.hot_first;
    for (entry, value) in tail {
        if key_time(value.get(..8).unwrap_or_default()) >= not_before {
            break;
        }
        batch.tables.delete(Which::LogTail, &entry)?;
        let bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
        head.hot_bytes = head.hot_bytes.saturating_sub(bytes);
        head.hot_first = be_u64(entry.get(key.len()..).unwrap_or_default()) + 1;
    }
    if head.hot_first != before {
        batch.tables.put(Which::LogHead, key, &head.encode())?;
    }
    Ok(())
}

impl Shared {
    async fn sealed_entries(
        &self,
        log: &str,
        shard: u32,
        segment: Segment,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let name = segment.file(log, shard);
        self.with_files(move |files| {
            let file = match files.read(&name) {
                // Trimmed since it was found.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(|e| files_error(&e))?,
            };
            if sum_of(&file) != segment.sum {
                return Err(StoreError::Damaged(name.into()));
            }
            unframe(&file)
                .map(Some)
                .ok_or_else(|| StoreError::Damaged(name.into()))
        })
        .await
    }
}

#[async_trait]
impl Log for Shared {
    async fn append(
        &self,
        log: &LogId,
        shard: u32,
        records: Vec<Bytes>,
        expect_tail: Option<Seq>,
    ) -> Result<Seq, StoreError> {
        let bytes = records.iter().map(Bytes::len).sum();
        within("log name", log.0.len(), NAME_BYTES_MAX)?;
        within("log append", bytes, APPEND_BYTES_MAX)?;
        within("log append records", records.len(), APPEND_RECORDS_MAX)?;
        let append = Append {
            log: log.0.clone(),
            shard,
            records,
            expect_tail,
            now: self.tasks.clock().now(),
        };
        self.write(bytes, move |batch| append.apply(batch)).await
    }

    async fn read(
        &self,
        log: &LogId,
        shard: u32,
        from: Pos,
        max: usize,
    ) -> Result<(Vec<Entry>, Pos), StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let mut at = from;
        while entries.len() < max && bytes < READ_BYTES_MAX {
            let room = max - entries.len();
            let more = match self.find(&log.0, shard, at, room)? {
                Found::End(end) => {
                    at = if entries.is_empty() { end } else { at };
                    break;
                }
                Found::Hot(more) => more,
                Found::Sealed(segment) => {
                    let behind = Pos::Seq(Seq(segment.last + 1));
                    match self.sealed_entries(&log.0, shard, segment).await? {
                        Some(all) => within_position(all, at),
                        None => {
                            at = behind;
                            continue;
                        }
                    }
                }
            };
            for (seq, time, body) in more {
                if entries.len() == max || bytes >= READ_BYTES_MAX {
                    break;
                }
                at = Pos::Seq(Seq(seq.0 + 1));
                bytes += body.len();
                entries.push((seq, time, body));
            }
        }
        Ok((entries, at))
    }

    async fn trim(&self, log: &LogId, keep: Retention) -> Result<(), StoreError> {
        let log = log.0.clone();
        self.write(0, move |batch| trim(batch, &log, keep)).await
    }
}

fn within_position(all: Vec<Entry>, from: Pos) -> Vec<Entry> {
    let mut all = all;
    all.retain(|(seq, time, _)| match from {
        Pos::Seq(first) => *seq >= first,
        Pos::Time(first) => *time >= first,
        Pos::Oldest | Pos::Latest => true,
    });
    all
}
