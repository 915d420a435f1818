//! The log in front of the database. What a batch changes is appended and synced here, one short write in place
//! of the pages of a commit; the database takes the batch in memory, and is brought up to date on the disk for many
//! of them at once. At the next start the log is played into the database again.
//!
//! ```text
//!   frame: magic u32 · length u32 · number u64 · after u64 · synced u64 · checksum u32 · entries
//!   entry: table u8 · key length u32 · key · value length u32 · value      (a length of all ones deletes)
//! ```
//!
//! The file is a ring: a frame is written over once the database has it for good. It is zeros before it is written,
//! so that a sync has no new block of the file system to record. A number is given once, also to a frame that could
//! not be written; so each frame names the one it comes after. It also names the last one that was known to be
//! synced then: a frame that is missing and was synced is damage, any other was torn by a crash, and nobody was
//! answered for it. The checksum begins with a secret of the store, so that no stored value can pass for a frame.

use std::collections::BTreeMap;
use std::io;

use crc32fast::Hasher;
use redb::StorageBackend;

use super::tables::Which;

const MAGIC: u32 = 0x6b69_6c6e;
/// Bytes in front of a frame's entries.
const HEAD: usize = 36;
/// Bytes of one frame; a batch is far smaller.
const FRAME_BYTES_MAX: u64 = 32 << 20;
/// Parts of the ring by which the file grows.
const GROWTHS: u64 = 16;
/// Frames begin at multiples of this.
const ALIGN: usize = 8;
/// In place of a value's length: the key is deleted.
const DELETED: u32 = u32::MAX;

/// What a batch changes, as the body of a frame.
pub(crate) struct Redo {
    /// With room for the head.
    bytes: Vec<u8>,
}

impl Default for Redo {
    fn default() -> Redo {
        Redo {
            bytes: vec![0; HEAD],
        }
    }
}

impl Redo {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD
    }

    pub(crate) fn put(&mut self, which: Which, key: &[u8], value: &[u8]) {
        self.key(which, key);
        self.part(value);
    }

    pub(crate) fn delete(&mut self, which: Which, key: &[u8]) {
        self.key(which, key);
        self.bytes.extend_from_slice(&DELETED.to_be_bytes());
    }

    fn key(&mut self, which: Which, key: &[u8]) {
        self.bytes.push(which as u8);
        self.part(key);
    }

    fn part(&mut self, part: &[u8]) {
        // Keys and values are far below 4 GiB.
        let length = u32::try_from(part.len()).unwrap_or(DELETED - 1);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(part);
    }
}

/// One change of a frame. A value of `None` deletes.
pub(crate) type Entry<'b> = (Which, &'b [u8], Option<&'b [u8]>);

/// The entries of a sound frame.
pub(crate) fn entries(mut body: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (which, rest) = body.split_first()?;
        let (length, rest) = number(rest)?;
        let (key, rest) = rest.split_at_checked(length as usize)?;
        let (length, rest) = number(rest)?;
        let value = match length {
            DELETED => None,
            length => Some(rest.get(..length as usize)?),
        };
        body = rest.get(value.map_or(0, <[u8]>::len)..)?;
        Some((Which::of(*which)?, key, value))
    })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// What the log holds that the database may not.
#[derive(Default)]
pub(crate) struct Found {
    /// Bodies of sound frames, in order.
    pub(crate) frames: Vec<Vec<u8>>,
    /// Frames that were synced and cannot be read.
    pub(crate) damaged: u64,
    /// Where frames are that come after nothing: a crash tore what was in front of them.
    strays: Vec<usize>,
    /// Of the last frame in order, and of the last that ever was.
    last: u64,
    number: u64,
    /// Where the first one begins and the last one ends.
    begin: usize,
    end: usize,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Up to where the database has the frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    number: u64,
    end: u64,
}

impl Mark {
    pub(crate) fn number(self) -> u64 {
        self.number
    }
}

/// What became of a frame.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Appended {
    Done,
    /// The ring has no room until the database has more of it for good.
    NoRoom,
}

pub(crate) struct Ahead {
    file: Box<dyn StorageBackend>,
    secret: u64,
    /// Length of the file that is known to be written.
    room: u64,
    /// The ring: where the oldest frame that is needed begins, and where the next one does.
    begin: u64,
    end: u64,
    is_empty: bool,
    /// The last number that was given.
    number: u64,
    /// Of the last frame that was appended, and of the last that was synced.
    last: u64,
    synced: u64,
    /// Where a frame is that was not answered for.
    failed: Option<u64>,
    bytes_max: u64,
}

impl Ahead {
    /// Makes the first part of the file, unless it is there. Durable when it returns; tells whether it was made.
    pub(crate) fn lay_out(file: &dyn StorageBackend, bytes_max: u64) -> io::Result<bool> {
        let is_missing = file.len()? == 0;
        if is_missing {
            grow(file, 0, bytes_max / GROWTHS)?;
            file.sync_data()?;
        }
        Ok(is_missing)
    }

    /// `last`: the last frame that is in the database for good.
    pub(crate) fn open(
        file: Box<dyn StorageBackend>,
        secret: u64,
        last: u64,
        bytes_max: u64,
    ) -> io::Result<(Ahead, Found)> {
        let bytes = content(&*file)?;
        let found = find(&bytes, secret, last, u64::MAX);
        // No frame that is written from here on may come to stand in front of them.
        for stray in &found.strays {
            file.write(*stray as u64, &[0; ALIGN])?;
        }
        if !found.strays.is_empty() {
            file.sync_data()?;
        }
        let ahead = Ahead {
            file,
            secret,
            room: bytes.len() as u64,
            begin: found.begin as u64,
            end: found.end as u64,
            is_empty: found.frames.is_empty(),
            number: found.number,
            last: found.last,
            // What the last process did not sync is synced by the next sync of this one.
            synced: last,
            failed: None,
            bytes_max,
        };
        Ok((ahead, found))
    }

    /// All that is in the file, also what is of no use any more.
    pub(crate) fn content(&self) -> io::Result<Vec<u8>> {
        content(&*self.file)
    }

    /// The frames that a database needs whose last one is `last`, without one that could not be synced.
    pub(crate) fn behind(&self, last: u64) -> io::Result<Found> {
        Ok(find(&self.content()?, self.secret, last, self.last))
    }

    /// Whether it is time that the database takes over what is here.
    pub(crate) fn is_half_full(&self) -> bool {
        self.used() * 2 > self.bytes_max
    }

    /// Bytes of the frames that the database does not have for good.
    fn used(&self) -> u64 {
        match self.is_empty {
            true => 0,
            false if self.begin < self.end => self.end - self.begin,
            false => self.room.saturating_sub(self.begin) + self.end,
        }
    }

    /// Appends; what is not synced survives the process and not the machine. After a failure the frame is not
    /// there, or it is taken back as soon as the disk lets it.
    pub(crate) fn append(&mut self, mut redo: Redo, is_synced: bool) -> io::Result<Appended> {
        self.take_back()?;
        let length = redo.bytes.len().next_multiple_of(ALIGN) as u64;
        let Some(at) = self.place(length) else {
            return Ok(Appended::NoRoom);
        };
        let end = at + length;
        if end > self.room {
            let room = end.next_multiple_of((self.bytes_max / GROWTHS).max(1));
            match grow(&*self.file, self.room, room) {
                Ok(()) => self.room = room,
                // Perhaps there is room at the begin, once the database has what lies there.
                Err(_) if !self.is_empty => return Ok(Appended::NoRoom),
                Err(error) => return Err(error),
            }
        }
        self.number += 1;
        let numbers = [self.number, self.last, self.synced];
        seal(&mut redo.bytes, self.secret, numbers)?;
        if let Err(error) = self.write(at, &redo, is_synced) {
            self.failed = Some(at);
            // The first error is the one to tell; the next write tries again.
            let _ = self.take_back();
            return Err(error);
        }
        if self.is_empty {
            (self.begin, self.is_empty) = (at, false);
        }
        (self.end, self.last) = (end, self.number);
        Ok(Appended::Done)
    }

    fn write(&mut self, at: u64, redo: &Redo, is_synced: bool) -> io::Result<()> {
        self.file.write(at, &redo.bytes)?;
        if is_synced {
            self.file.sync_data()?;
            self.synced = self.number;
        }
        Ok(())
    }

    /// Whoever was told that a write failed may look whether it happened, and must see the same after a crash.
    pub(crate) fn take_back(&mut self) -> io::Result<()> {
        if let Some(at) = self.failed {
            self.file.write(at, &[0; ALIGN])?;
            self.file.sync_data()?;
            self.failed = None;
        }
        Ok(())
    }

    /// Whether a frame is still to be taken back.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Where a frame of this length goes. One that no ring takes has an empty one for itself.
    fn place(&self, length: u64) -> Option<u64> {
        let is_wrapped = self.end <= self.begin;
        if self.is_empty {
            return (length <= FRAME_BYTES_MAX).then_some(0);
        }
        // The end never meets the begin, so that a full ring is not taken for an empty one.
        match is_wrapped {
            false if self.end + length <= self.bytes_max => Some(self.end),
            false => (length < self.begin).then_some(0),
            true => (self.end + length < self.begin).then_some(self.end),
        }
    }

    /// The frames so far. No number up to this one is given again.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            number: self.last,
            end: self.end,
        }
    }

    /// The database has the frames up to this mark for good.
    pub(crate) fn release(&mut self, mark: Mark) {
        self.synced = self.synced.max(mark.number);
        if mark.number >= self.last {
            (self.begin, self.end, self.is_empty) = (0, 0, true);
        } else {
            self.begin = mark.end;
        }
    }
}

fn content(file: &dyn StorageBackend) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read(0, &mut bytes)?;
    Ok(bytes)
}

/// Writes zeros: blocks that the file system must not find when a frame is synced.
fn grow(file: &dyn StorageBackend, from: u64, to: u64) -> io::Result<()> {
    if file.len()? < to {
        file.set_len(to)?;
    }
    let length = usize::try_from(to - from).map_err(io::Error::other)?;
    file.write(from, &vec![0; length])
}

fn seal(frame: &mut [u8], secret: u64, numbers: [u64; 3]) -> io::Result<()> {
    let length = u32::try_from(frame.len() - HEAD).map_err(io::Error::other)?;
    let Some((head, body)) = frame.split_first_chunk_mut::<HEAD>() else {
        return Err(io::Error::other("a frame without a head"));
    };
    let sum = checksum(secret, numbers, body);
    let [number, after, synced] = numbers.map(u64::to_be_bytes);
    let (magic, length) = (MAGIC.to_be_bytes(), length.to_be_bytes());
    let fields: [&[u8]; 6] = [
        &magic,
        &length,
        &number,
        &after,
        &synced,
        &sum.to_be_bytes(),
    ];
    head.iter_mut()
        .zip(fields.into_iter().flatten())
        .for_each(|(to, from)| *to = *from);
    Ok(())
}

fn checksum(secret: u64, numbers: [u64; 3], body: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&secret.to_be_bytes());
    for number in numbers {
        hasher.update(&number.to_be_bytes());
    }
    hasher.update(body);
    hasher.finalize()
}

#[derive(Clone, Copy)]
struct Frame<'b> {
    at: usize,
    number: u64,
    after: u64,
    synced: u64,
    body: &'b [u8],
}

impl Frame<'_> {
    fn end(&self) -> usize {
        (self.at + HEAD + self.body.len()).next_multiple_of(ALIGN)
    }
}

/// The frame that begins here, if it is whole and sound.
fn frame(bytes: &[u8], at: usize, secret: u64) -> Option<Frame<'_>> {
    let (magic, rest) = number(bytes.get(at..)?)?;
    if magic != MAGIC {
        return None;
    }
    let (length, rest) = number(rest)?;
    let (count, rest) = rest.split_first_chunk()?;
    let (after, rest) = rest.split_first_chunk()?;
    let (synced, rest) = rest.split_first_chunk()?;
    let (sum, rest) = number(rest)?;
    let frame = Frame {
        at,
        number: u64::from_be_bytes(*count),
        after: u64::from_be_bytes(*after),
        synced: u64::from_be_bytes(*synced),
        body: rest.get(..length as usize)?,
    };
    let numbers = [frame.number, frame.after, frame.synced];
    (checksum(secret, numbers, frame.body) == sum).then_some(frame)
}

/// All sound frames, wherever they are.
fn all(bytes: &[u8], secret: u64) -> impl Iterator<Item = Frame<'_>> {
    let magic = MAGIC.to_be_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let mut places = bytes.get(at..)?.chunks(ALIGN);
            at += ALIGN * places.position(|place| place.starts_with(&magic))?;
            match frame(bytes, at, secret) {
                Some(frame) => {
                    at = frame.end();
                    return Some(frame);
                }
                None => at += ALIGN,
            }
        }
    })
}

/// The frames behind `last` in their order, up to the one with the number `until`.
fn find(bytes: &[u8], secret: u64, last: u64, until: u64) -> Found {
    let mut found = Found {
        last,
        number: last,
        ..Found::default()
    };
    // The last number that was certainly synced.
    let mut known = 0;
    let mut next: BTreeMap<u64, Frame<'_>> = BTreeMap::new();
    for frame in all(bytes, secret) {
        known = known.max(frame.synced);
        found.number = found.number.max(frame.number);
        // A frame that could not be written whole left its place in the order to a later one.
        let is_newer = |other: &Frame<'_>| other.number < frame.number;
        let is_wanted = frame.number > last && frame.number <= until;
        if is_wanted && next.get(&frame.after).is_none_or(is_newer) {
            next.insert(frame.after, frame);
        }
    }
    loop {
        if let Some(frame) = next.remove(&found.last) {
            if found.frames.is_empty() {
                found.begin = frame.at;
            }
            (found.end, found.last) = (frame.end(), frame.number);
            found.frames.push(frame.body.to_vec());
            continue;
        }
        // Where the order goes on behind frames that are missing.
        let behind = next.range(found.last..).next().map(|(after, _)| *after);
        let goal = behind.filter(|after| *after <= known).unwrap_or(known);
        if goal <= found.last {
            break;
        }
        found.damaged += goal - found.last;
        found.last = goal;
    }
    found.strays = next.values().map(|frame| frame.at).collect();
    found.number = found.number.max(known);
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use redb::backends::InMemoryBackend;

    use super::*;

    const SECRET: u64 = 7;

    #[derive(Debug, Default, Clone)]
    struct Medium(Arc<InMemoryBackend>);

    impl StorageBackend for Medium {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn redo(value: &[u8]) -> Redo {
        let mut redo = Redo::default();
        redo.put(Which::Records, b"key", value);
        redo
    }

    fn sealed(value: &[u8], numbers: [u64; 3]) -> Vec<u8> {
        let mut redo = redo(value);
        seal(&mut redo.bytes, SECRET, numbers).unwrap();
        redo.bytes
            .resize(redo.bytes.len().next_multiple_of(ALIGN), 0);
        redo.bytes
    }

    /// Frames of which each was synced before the next.
    fn written(frames: &[&[u8]], first: u64) -> Vec<u8> {
        let frames = (first..).zip(frames);
        frames
            .flat_map(|(number, value)| sealed(value, [number, number - 1, number - 1]))
            .collect()
    }

    fn values(found: &Found) -> Vec<Vec<u8>> {
        let value = |body: &Vec<u8>| entries(body).next().unwrap().2.unwrap().to_vec();
        found.frames.iter().map(value).collect()
    }

    fn open(medium: &Medium, last: u64, bytes_max: u64) -> (Ahead, Found) {
        Ahead::lay_out(medium, bytes_max).unwrap();
        Ahead::open(Box::new(medium.clone()), SECRET, last, bytes_max).unwrap()
    }

    #[test]
    fn what_was_appended_is_found_and_counted_on() {
        let medium = Medium::default();
        let (mut log, found) = open(&medium, 4, 1 << 20);
        assert!(found.frames.is_empty() && log.used() == 0);
        let mut redo = Redo::default();
        redo.put(Which::Meta, b"a", b"");
        redo.delete(Which::Lease, b"bc");
        let length = redo.bytes.len().next_multiple_of(ALIGN) as u64;
        assert_eq!(log.append(redo, true).unwrap(), Appended::Done);
        let (again, found) = open(&medium, 4, 1 << 20);
        assert_eq!(
            (again.end, again.number, again.last, found.damaged),
            (length, 5, 5, 0)
        );
        let all: Vec<Entry<'_>> = entries(&found.frames[0]).collect();
        assert_eq!(all.len(), 2);
        assert!(matches!(all[0], (Which::Meta, b"a", Some(b""))));
        assert!(matches!(all[1], (Which::Lease, b"bc", None)));
    }

    #[test]
    fn the_ring_writes_over_what_the_database_has_and_nothing_else() {
        let medium = Medium::default();
        let (mut log, _) = open(&medium, 0, 4_096);
        let (mut live, mut number, mut laps) = (Vec::new(), 0_u64, 0);
        let mut marks = Vec::new();
        for n in 0..2_000_u32 {
            let value = vec![n as u8; 10 + (n as usize * 37) % 300];
            let before = log.end;
            while log.append(redo(&value), true).unwrap() == Appended::NoRoom {
                let (mark, kept): (Mark, usize) = marks.remove(0);
                log.release(mark);
                live.drain(..live.len() - (number as usize - kept));
            }
            laps += u32::from(log.end < before);
            number += 1;
            live.push(value);
            if n % 5 == 0 {
                marks.push((log.mark(), number as usize));
            }
            let first = number - live.len() as u64;
            let (again, found) = open(&medium, first, 4_096);
            assert_eq!(values(&found), live, "{n}");
            assert_eq!((found.damaged, found.strays.len()), (0, 0));
            // Without the end of the file, if the first one is at its begin.
            assert_eq!(again.end, log.end);
            assert!(again.used() <= log.used());
            assert!(medium.len().unwrap() <= 4_096);
        }
        assert!(laps > 50, "{laps}");
    }

    #[test]
    fn a_frame_that_no_ring_takes_has_an_empty_one() {
        let medium = Medium::default();
        let (mut log, _) = open(&medium, 0, 4_096);
        assert_eq!(log.append(redo(b"small"), true).unwrap(), Appended::Done);
        assert_eq!(
            log.append(redo(&[1; 9_000]), true).unwrap(),
            Appended::NoRoom
        );
        log.release(log.mark());
        assert_eq!(log.append(redo(&[1; 9_000]), true).unwrap(), Appended::Done);
        assert_eq!(log.append(redo(b"next"), true).unwrap(), Appended::NoRoom);
        assert_eq!(values(&open(&medium, 1, 4_096).1), [vec![1; 9_000]]);
    }

    #[test]
    fn frames_that_the_database_has_are_not_played_again() {
        let mut bytes = written(&[b"old 1", b"old 2", b"old 3"], 1);
        assert!(find(&bytes, SECRET, 3, u64::MAX).frames.is_empty());
        let new = written(&[b"new 4"], 4);
        bytes[..new.len()].copy_from_slice(&new);
        let found = find(&bytes, SECRET, 3, u64::MAX);
        assert_eq!((found.end, found.last), (new.len(), 4));
        assert_eq!(values(&found), [b"new 4"]);
    }

    #[test]
    fn a_database_that_fell_back_is_brought_up_to_date_or_told_that_it_cannot_be() {
        let mut bytes = written(&[b"1", b"2", b"3"], 1);
        assert_eq!(values(&find(&bytes, SECRET, 1, u64::MAX)), [b"2", b"3"]);
        let cut = written(&[b"1", b"2"], 1).len();
        bytes[..cut].fill(0);
        let found = find(&bytes, SECRET, 0, u64::MAX);
        assert_eq!((values(&found), found.damaged), (vec![b"3".to_vec()], 2));
    }

    #[test]
    fn a_torn_last_frame_is_as_if_it_had_not_been() {
        let whole = written(&[b"one", b"two"], 1);
        for cut in written(&[b"one"], 1).len()..whole.len() - ALIGN {
            let found = find(&whole[..cut], SECRET, 0, u64::MAX);
            assert_eq!((found.last, found.damaged), (1, 0), "cut at {cut}");
        }
    }

    #[test]
    fn damage_costs_one_frame_and_is_told() {
        let sound = written(&[b"one", b"two", b"three"], 1);
        let (from, to) = (
            written(&[b"one"], 1).len(),
            written(&[b"one", b"two"], 1).len(),
        );
        for bit in from * 8..(to - ALIGN) * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = find(&bytes, SECRET, 0, u64::MAX);
            assert_eq!((found.damaged, found.end), (1, bytes.len()), "bit {bit}");
            assert_eq!(values(&found), [&b"one"[..], b"three"]);
        }
    }

    #[test]
    fn frames_that_nobody_waited_for_may_be_torn_in_any_order() {
        let one = sealed(b"one", [1, 0, 0]);
        let (two, three) = (sealed(b"two", [2, 1, 0]), sealed(b"three", [3, 2, 0]));
        let mut bytes = [one.clone(), two, three].concat();
        bytes[one.len() - ALIGN] ^= 1;
        let found = find(&bytes, SECRET, 0, u64::MAX);
        assert_eq!((found.frames.len(), found.damaged, found.last), (0, 0, 0));
        assert_eq!((found.strays.len(), found.number), (2, 3));
        // Another that knows the third to be synced, and the first with it.
        bytes.extend_from_slice(&sealed(b"four", [4, 3, 3]));
        let found = find(&bytes, SECRET, 0, u64::MAX);
        assert_eq!((found.damaged, found.last, found.strays.len()), (1, 4, 0));
        assert_eq!(values(&found), [&b"two"[..], b"three", b"four"]);
    }

    #[test]
    fn damage_is_told_also_when_what_follows_was_torn() {
        let mut bytes = written(&[b"one"], 1);
        let last = bytes.len() - ALIGN;
        bytes[last] ^= 1;
        // The second was torn and is gone; the third knows that the first was synced.
        bytes.extend_from_slice(&sealed(b"three", [3, 2, 1]));
        let found = find(&bytes, SECRET, 0, u64::MAX);
        assert_eq!((found.frames.len(), found.damaged, found.last), (0, 1, 1));
        assert_eq!(found.strays.len(), 1);
    }

    #[test]
    fn the_frame_that_was_answered_takes_the_place_of_one_that_failed() {
        let failed = sealed(b"failed", [2, 1, 1]);
        let answered = sealed(b"answered", [3, 1, 1]);
        for order in [[&failed, &answered], [&answered, &failed]] {
            let bytes = [&written(&[b"one"], 1), order[0], order[1]];
            let found = find(&bytes.map(Vec::as_slice).concat(), SECRET, 0, u64::MAX);
            assert_eq!(values(&found), [&b"one"[..], b"answered"]);
        }
        let found = find(&failed, SECRET, 1, u64::MAX);
        assert_eq!(values(&found), [b"failed"], "it may have happened");
    }

    #[test]
    fn a_value_that_looks_like_a_frame_is_none() {
        let forged = {
            let mut redo = redo(b"forged");
            seal(&mut redo.bytes, SECRET + 1, [9, 1, 8]).unwrap();
            redo.bytes
        };
        let mut bytes = written(&[b"one", &forged], 1);
        let last = bytes.len() - ALIGN;
        bytes[last] ^= 1;
        let found = find(&bytes, SECRET, 0, u64::MAX);
        assert_eq!((values(&found), found.damaged), (vec![b"one".to_vec()], 0));
    }
}
