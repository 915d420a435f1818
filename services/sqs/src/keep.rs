//! Messages on the disk.
//!
//! ```text
//! h/queue/seq    head: when sent, when ready, parts, group     what the index is rebuilt from
//! b/queue/seq    attributes and the first part of the body
//! p/queue/seq/n  further parts of a long body                  written before the head
//! r/queue/seq    receives so far                               written late, may be missing
//! d/queue/seq    deduplication id of the message, and its end
//! e/queue        how often the queue was opened                first half of every number
//! w/queue        messages up to this one are purged
//! ```

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use store::{Expect, Key, Op, Records, Space, Store, StoreError};

use crate::message::Message;
use crate::shelf::{Receipts, Seq};

const SPACE: Space = Space("sqs-messages");
const FORM: u8 = 1;

/// Bytes of a body in one record; a record holds 512 KiB.
const PART_BYTES: usize = 400 << 10;
/// Records read at once.
const PAGE: usize = 1_000;
/// Operations of one transaction; the store takes 100.
pub(crate) const OPS_MAX: usize = 96;
/// Bytes of one transaction; the store takes 1 MiB.
pub(crate) const TXN_BYTES_MAX: usize = 900 << 10;

/// Reads and writes the records of messages.
#[derive(Clone)]
pub(crate) struct Keep {
    records: Arc<dyn Records>,
}

/// What the index needs to know of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: Seq,
    pub(crate) sent_ms: i64,
    pub(crate) at_ms: i64,
    pub(crate) parts: u32,
    pub(crate) group: String,
}

/// A message that was accepted not long ago: its like is not taken again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    pub(crate) until_ms: i64,
    pub(crate) id: String,
    pub(crate) key: String,
}

/// What of a message must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) seq: Seq,
    pub(crate) parts: u32,
    pub(crate) is_saved: bool,
    pub(crate) group: String,
}

fn key(kind: &str, queue: &str, seq: Seq) -> Key {
    Key::of(&[kind, queue, &format!("{seq:016x}")])
}

fn part_key(queue: &str, seq: Seq, part: u32) -> Key {
    Key::of(&["p", queue, &format!("{seq:016x}"), &format!("{part:04x}")])
}

fn put(key: Key, value: Bytes) -> Op {
    let expect = Expect::Any;
    Op::Put { key, value, expect }
}

fn delete(key: Key) -> Op {
    let expect = Expect::Any;
    Op::Delete { key, expect }
}

fn damaged(key: &Key) -> StoreError {
    StoreError::Damaged(format!("record {}", key.as_str()).into())
}

/// The number at the end of a key.
fn seq_of(key: &Key) -> Option<Seq> {
    Seq::from_str_radix(key.as_str().rsplit('/').next()?, 16).ok()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

impl Head {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(21 + self.group.len());
        bytes.put_u8(FORM);
        bytes.put_i64(self.sent_ms);
        bytes.put_i64(self.at_ms);
        bytes.put_u32(self.parts);
        bytes.put_slice(self.group.as_bytes());
        bytes.freeze()
    }

    fn decode(seq: Seq, mut bytes: &[u8]) -> Option<Head> {
        let bytes = &mut bytes;
        let [_form] = take(bytes)?;
        Some(Head {
            seq,
            sent_ms: i64::from_be_bytes(take(bytes)?),
            at_ms: i64::from_be_bytes(take(bytes)?),
            parts: u32::from_be_bytes(take(bytes)?),
            group: text(bytes)?,
        })
    }
}

fn encode_receipts(receipts: Receipts, at_ms: i64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(37);
    bytes.put_u8(FORM);
    bytes.put_u32(receipts.count);
    bytes.put_i64(receipts.first_ms);
    bytes.put_u64(receipts.nonce);
    bytes.put_i64(at_ms);
    bytes.put_i64(receipts.last_ms);
    bytes.freeze()
}

fn decode_receipts(mut bytes: &[u8]) -> Option<(Receipts, i64)> {
    let bytes = &mut bytes;
    let [_form] = take(bytes)?;
    let mut receipts = Receipts {
        count: u32::from_be_bytes(take(bytes)?),
        first_ms: i64::from_be_bytes(take(bytes)?),
        last_ms: 0,
        nonce: u64::from_be_bytes(take(bytes)?),
    };
    let at_ms = i64::from_be_bytes(take(bytes)?);
    // Records of the time before have no last receive.
    receipts.last_ms = take(bytes).map_or(receipts.first_ms, i64::from_be_bytes);
    Some((receipts, at_ms))
}

/// Attributes as JSON with its length before it, then body.
fn encode_message(message: &Message, body: &[u8]) -> Result<Bytes, StoreError> {
    let json = serde_json::to_vec(message)
        .map_err(|e| StoreError::Damaged(format!("message does not encode: {e}").into()))?;
    let mut bytes = BytesMut::with_capacity(5 + json.len() + body.len());
    bytes.put_u8(FORM);
    bytes.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&json);
    bytes.put_slice(body);
    Ok(bytes.freeze())
}

fn decode_message(bytes: &Bytes) -> Option<Message> {
    let mut rest: &[u8] = bytes;
    let [_form] = take(&mut rest)?;
    let length = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
    let json = rest.get(..length)?;
    let mut message: Message = serde_json::from_slice(json).ok()?;
    message.body = bytes.slice_ref(rest.get(length..)?);
    Some(message)
}

impl Keep {
    pub(crate) fn new(store: &Store) -> Keep {
        Keep {
            records: store.records.clone(),
        }
    }

    pub(crate) async fn txn(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        self.records.txn(SPACE, ops).await.map(drop)
    }

    /// Counts one opening of the queue and returns the first number of this one.
    pub(crate) async fn open(&self, queue: &str) -> Result<Seq, StoreError> {
        /// Bits of a number that count within one opening.
        const BITS: u32 = 40;
        let key = Key::of(&["e", queue]);
        let found = self.records.get(SPACE, &key).await?;
        let last = match &found {
            Some((bytes, _)) => {
                u64::from_be_bytes(<[u8; 8]>::try_from(bytes.as_ref()).map_err(|_| damaged(&key))?)
            }
            None => 0,
        };
        let epoch = last + 1;
        let value = Bytes::copy_from_slice(&epoch.to_be_bytes());
        self.txn(vec![put(key, value)]).await?;
        Ok(epoch << BITS)
    }

    /// Writes the further parts of a long body, and returns the operations that make the message
    /// whole.
    pub(crate) async fn write_parts(
        &self,
        queue: &str,
        seq: Seq,
        at_ms: i64,
        message: &Message,
    ) -> Result<Vec<Op>, StoreError> {
        let mut parts = message.body.chunks(PART_BYTES);
        let first = parts.next().unwrap_or_default();
        let mut count = 0;
        for part in parts {
            count += 1;
            let value = message.body.slice_ref(part);
            self.txn(vec![put(part_key(queue, seq, count), value)])
                .await?;
        }
        let head = Head {
            seq,
            sent_ms: message.sent_ms,
            at_ms,
            parts: count,
            group: message.group.clone().unwrap_or_default(),
        };
        let value = match count == message.parts {
            true => encode_message(message, first)?,
            false => {
                let message = Message {
                    parts: count,
                    ..message.clone()
                };
                encode_message(&message, first)?
            }
        };
        Ok(vec![
            put(key("h", queue, seq), head.encode()),
            put(key("b", queue, seq), value),
        ])
    }

    /// The message with its whole body, if it is still there.
    pub(crate) async fn read(&self, queue: &str, seq: Seq) -> Result<Option<Message>, StoreError> {
        let at = key("b", queue, seq);
        let Some((bytes, _)) = self.records.get(SPACE, &at).await? else {
            return Ok(None);
        };
        let mut message = decode_message(&bytes).ok_or_else(|| damaged(&at))?;
        if message.parts == 0 {
            return Ok(Some(message));
        }
        let mut body = BytesMut::from(message.body.as_ref());
        for part in 1..=message.parts {
            match self.records.get(SPACE, &part_key(queue, seq, part)).await? {
                Some((bytes, _)) => body.extend_from_slice(&bytes),
                // Deleted between two reads.
                None => return Ok(None),
            }
        }
        message.body = body.freeze();
        Ok(Some(message))
    }

    /// The operations that delete a message.
    pub(crate) fn delete_ops(queue: &str, trace: &Trace) -> Vec<Op> {
        let mut ops = vec![
            delete(key("h", queue, trace.seq)),
            delete(key("b", queue, trace.seq)),
        ];
        if trace.is_saved {
            ops.push(delete(key("r", queue, trace.seq)));
        }
        let parts = 1..=trace.parts;
        ops.extend(parts.map(|part| delete(part_key(queue, trace.seq, part))));
        ops
    }

    pub(crate) fn receipts_op(queue: &str, seq: Seq, receipts: Receipts, at_ms: i64) -> Op {
        put(key("r", queue, seq), encode_receipts(receipts, at_ms))
    }

    pub(crate) fn forget_receipts_op(queue: &str, seq: Seq) -> Op {
        delete(key("r", queue, seq))
    }

    pub(crate) fn known_op(queue: &str, known: &Known) -> Op {
        let mut bytes = BytesMut::new();
        bytes.put_u8(FORM);
        bytes.put_i64(known.until_ms);
        bytes.put_u16(u16::try_from(known.id.len()).unwrap_or(u16::MAX));
        bytes.put_slice(known.id.as_bytes());
        bytes.put_slice(known.key.as_bytes());
        put(key("d", queue, known.seq), bytes.freeze())
    }

    pub(crate) fn forget_op(queue: &str, seq: Seq) -> Op {
        delete(key("d", queue, seq))
    }

    /// Messages up to `last` are as good as deleted when this returns.
    pub(crate) async fn set_purged(&self, queue: &str, last: Seq) -> Result<(), StoreError> {
        let value = Bytes::copy_from_slice(&last.to_be_bytes());
        self.txn(vec![put(Key::of(&["w", queue]), value)]).await
    }

    pub(crate) async fn purged(&self, queue: &str) -> Result<Seq, StoreError> {
        let found = self.records.get(SPACE, &Key::of(&["w", queue])).await?;
        let seq = found.and_then(|(bytes, _)| <[u8; 8]>::try_from(bytes.as_ref()).ok());
        Ok(seq.map_or(0, u64::from_be_bytes))
    }

    /// The queues that have something to clear.
    pub(crate) async fn all_purged(&self) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        self.each("w", None, |key, _| {
            let queue = key.as_str().rsplit('/').next().unwrap_or_default();
            all.push(queue.to_owned());
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// The first heads behind `after`, in order.
    pub(crate) async fn heads(
        &self,
        queue: &str,
        after: Option<Seq>,
        max: usize,
    ) -> Result<Vec<Head>, StoreError> {
        let prefix = Key::prefix(&["h", queue]);
        let after = after.map(|seq| key("h", queue, seq));
        let rows = self.records.scan(SPACE, &prefix, after.as_ref(), max);
        let decode = |(key, bytes, _): (Key, Bytes, _)| {
            let head = seq_of(&key).and_then(|seq| Head::decode(seq, &bytes));
            head.ok_or_else(|| damaged(&key))
        };
        rows.await?.into_iter().map(decode).collect()
    }

    /// What the index knew of a message, if it is still there.
    pub(crate) async fn head(&self, queue: &str, seq: Seq) -> Result<Option<Head>, StoreError> {
        let at = key("h", queue, seq);
        let found = self.records.get(SPACE, &at).await?;
        let decode = |(bytes, _): (Bytes, _)| Head::decode(seq, &bytes).ok_or_else(|| damaged(&at));
        found.map(decode).transpose()
    }

    pub(crate) async fn receipts(
        &self,
        queue: &str,
    ) -> Result<Vec<(Seq, Receipts, i64)>, StoreError> {
        let mut all = Vec::new();
        self.each("r", Some(queue), |key, bytes| {
            let seq = seq_of(&key).ok_or_else(|| damaged(&key))?;
            let (receipts, at_ms) = decode_receipts(&bytes).ok_or_else(|| damaged(&key))?;
            all.push((seq, receipts, at_ms));
            Ok(())
        })
        .await?;
        Ok(all)
    }

    pub(crate) async fn knowns(&self, queue: &str) -> Result<Vec<Known>, StoreError> {
        let decode = |seq, mut bytes: &[u8]| {
            let bytes = &mut bytes;
            let [_form] = take(bytes)?;
            let until_ms = i64::from_be_bytes(take(bytes)?);
            let length = usize::from(u16::from_be_bytes(take(bytes)?));
            let (id, key) = bytes.split_at_checked(length)?;
            Some(Known {
                seq,
                until_ms,
                id: text(id)?,
                key: text(key)?,
            })
        };
        let mut all = Vec::new();
        self.each("d", Some(queue), |key, bytes| {
            let known = seq_of(&key).and_then(|seq| decode(seq, &bytes));
            all.push(known.ok_or_else(|| damaged(&key))?);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    async fn each(
        &self,
        kind: &str,
        queue: Option<&str>,
        mut row: impl FnMut(Key, Bytes) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let parts: Vec<&str> = std::iter::once(kind).chain(queue).collect();
        let prefix = Key::prefix(&parts);
        let mut after: Option<Key> = None;
        loop {
            let page = self
                .records
                .scan(SPACE, &prefix, after.as_ref(), PAGE)
                .await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(key, ..)| key.clone());
            for (key, bytes, _) in page {
                row(key, bytes)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Deletes some of the purged records of a queue. Returns whether there may be more.
    pub(crate) async fn clear(&self, queue: &str) -> Result<bool, StoreError> {
        /// Messages deleted at once: head, body and receives of each.
        const MESSAGES: usize = 30;
        let mark = Key::of(&["w", queue]);
        let Some((bytes, rev)) = self.records.get(SPACE, &mark).await? else {
            return Ok(false);
        };
        let last = <[u8; 8]>::try_from(bytes.as_ref()).map_err(|_| damaged(&mark))?;
        let last = u64::from_be_bytes(last);
        let heads = self.heads(queue, None, MESSAGES).await?;
        let mut ops = Vec::new();
        for head in heads.iter().filter(|head| head.seq <= last) {
            let trace = Trace {
                seq: head.seq,
                parts: head.parts,
                is_saved: true,
                group: String::new(),
            };
            ops.extend(Keep::delete_ops(queue, &trace));
        }
        let is_done = ops.is_empty();
        if is_done {
            let mut knowns = self.knowns(queue).await?;
            knowns.retain(|known| known.seq <= last);
            ops.extend(knowns.iter().map(|known| Keep::forget_op(queue, known.seq)));
        }
        if is_done && last == Seq::MAX {
            ops.push(delete(Key::of(&["e", queue])));
        }
        for page in ops.chunks(OPS_MAX) {
            self.txn(page.to_vec()).await?;
        }
        if !is_done {
            return Ok(true);
        }
        // Unless it was purged again meanwhile.
        let expect = Expect::At(rev);
        let forgotten = self.txn(vec![Op::Delete { key: mark, expect }]).await;
        match forgotten {
            Err(StoreError::Conflict(_)) => Ok(true),
            other => other.map(|()| false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_come_back() {
        let head = Head {
            seq: 7,
            sent_ms: 1,
            at_ms: -2,
            parts: 3,
            group: "ü".to_owned(),
        };
        assert_eq!(Head::decode(7, &head.encode()), Some(head));
        let receipts = Receipts {
            count: 1,
            first_ms: 2,
            last_ms: 3,
            nonce: u64::MAX,
        };
        let stored = encode_receipts(receipts, 9);
        assert_eq!(decode_receipts(&stored), Some((receipts, 9)));
        let before = Receipts {
            last_ms: 2,
            ..receipts
        };
        assert_eq!(decode_receipts(&stored[..29]), Some((before, 9)));
        let message = Message {
            id: "i".to_owned(),
            body: Bytes::from_static(b"\0body"),
            ..Message::default()
        };
        let stored = encode_message(&message, &message.body).unwrap();
        assert_eq!(decode_message(&stored), Some(message));
        assert_eq!(decode_message(&Bytes::from_static(b"\x01\0\0")), None);
    }
}
