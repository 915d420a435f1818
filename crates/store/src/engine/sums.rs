//! A sum for each block of the database's file, in a file beside it. redb keeps sums of its pages and looks at them
//! only after a crash; these are looked at whenever a block is read, and one bit that turned over is turned back.
//!
//! A CRC-32 tells which bit it was: in a block of 4 KiB every single bit changes it in another way, and no two bits
//! together look like one (its distance is 4 up to 91,607 bits).  [Koopman 2002]
//!
//! ```text
//!   file: nothing u32 · the sum that block 0 had before u32 · sum of each block u32      (zero: not known)
//! ```
//!
//! New sums are on the disk before their blocks. After a crash between the two, blocks that no commit refers to may
//! not fit. Only block 0, the database's head, is written in place: it may fit either of its two sums.

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;

/// Bytes that one sum covers.
pub(crate) const BLOCK: usize = 4_096;
/// Sums that are written at once: what a disk writes as one piece.
const SECTOR: usize = 512 / SUM_BYTES;
const SUM_BYTES: usize = 4;
/// Places in front of the sum of block 0.
const FRONT: usize = 2;
/// Where the earlier sum of block 0 is.
const BEFORE: usize = 1;
/// The polynomial of CRC-32 (IEEE 802.3), its bits in reverse.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Of what is in the database's file.
#[derive(Debug)]
pub(crate) struct Sums(Vec<u32>);

/// What a block turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Or nothing is known about it.
    Sound,
    /// One bit, of the block or of its sum, was turned over, and is turned back.
    Mended,
    Damaged,
}

/// What the sums become with blocks that are about to be written.
pub(crate) struct Next {
    sums: Vec<(usize, u32)>,
    /// Their sectors, and where they are.
    sectors: Vec<(u64, Vec<u8>)>,
}

fn place(block: u64) -> io::Result<usize> {
    let block = usize::try_from(block).map_err(io::Error::other)?;
    Ok(block + FRONT)
}

impl Sums {
    pub(crate) fn open(file: &dyn StorageBackend) -> io::Result<Sums> {
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read(0, &mut bytes)?;
        let sums = bytes.as_chunks::<SUM_BYTES>().0.iter();
        Ok(Sums(sums.map(|sum| u32::from_be_bytes(*sum)).collect()))
    }

    /// Whether there are none: an earlier build wrote the database, or it is fresh.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn at(&self, place: usize) -> u32 {
        self.0.get(place).copied().unwrap_or(0)
    }

    /// Looks at a whole block as it is in the file.
    pub(crate) fn check(&self, block: u64, bytes: &mut [u8]) -> State {
        let Ok(place) = place(block) else {
            return State::Sound;
        };
        let before = if block == 0 { self.at(BEFORE) } else { 0 };
        let known = [self.at(place), before].into_iter().filter(|sum| *sum != 0);
        let found = crc32fast::hash(bytes);
        let mut differences = known.map(|sum| sum ^ found).peekable();
        if differences.peek().is_none() || differences.clone().any(|d| d == 0) {
            return State::Sound;
        }
        for difference in differences {
            if difference.is_power_of_two() {
                return State::Mended;
            }
            if let Some(bit) = turned(difference, bytes.len() * 8)
                && let Some(byte) = bytes.get_mut(bit / 8)
            {
                *byte ^= 1 << (bit % 8);
                return State::Mended;
            }
        }
        State::Damaged
    }

    /// With these blocks, and none behind `end`.
    pub(crate) fn next<'b>(
        &self,
        blocks: impl Iterator<Item = (u64, &'b [u8])>,
        end: u64,
    ) -> io::Result<Next> {
        let mut sums = Vec::new();
        for (block, bytes) in blocks.filter(|(block, _)| *block < end) {
            if block == 0 {
                sums.push((BEFORE, self.at(place(0)?)));
            }
            sums.push((place(block)?, crc32fast::hash(bytes)));
        }
        sums.extend((place(end)?..self.0.len()).map(|place| (place, 0)));
        let mut touched: BTreeMap<usize, [u32; SECTOR]> = BTreeMap::new();
        for (place, sum) in &sums {
            let first = place / SECTOR * SECTOR;
            let now = || std::array::from_fn(|i| self.at(first + i));
            let sector = touched.entry(first).or_insert_with(now);
            if let Some(to) = sector.get_mut(place % SECTOR) {
                *to = *sum;
            }
        }
        let sectors = touched.into_iter();
        let sectors = sectors.map(|(first, sums)| ((first * SUM_BYTES) as u64, bytes_of(&sums)));
        Ok(Next {
            sectors: sectors.collect(),
            sums,
        })
    }

    /// All as they are.
    pub(crate) fn all(&self) -> Next {
        Next {
            sectors: vec![(0, bytes_of(&self.0))],
            sums: Vec::new(),
        }
    }

    /// The blocks are in the file.
    pub(crate) fn take(&mut self, next: Next) {
        for (place, sum) in next.sums {
            if self.0.len() <= place {
                self.0.resize(place + 1, 0);
            }
            if let Some(to) = self.0.get_mut(place) {
                *to = sum;
            }
        }
    }
}

fn bytes_of(sums: &[u32]) -> Vec<u8> {
    sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
}

impl Next {
    /// Durable when it returns.
    pub(crate) fn write(&self, file: &dyn StorageBackend) -> io::Result<()> {
        let ends = self.sectors.iter();
        let ends = ends.map(|(offset, bytes)| offset + bytes.len() as u64);
        let Some(length) = ends.max() else {
            return Ok(());
        };
        if file.len()? < length {
            file.set_len(length)?;
        }
        for (offset, bytes) in &self.sectors {
            file.write(*offset, bytes)?;
        }
        file.sync_data()
    }
}

/// Which of so many bits, turned over, makes this difference of two sums.
fn turned(difference: u32, bits: usize) -> Option<usize> {
    let mut made = 1;
    (0..bits).rev().find(|_| {
        made = (made >> 1) ^ (POLYNOMIAL * (made & 1));
        made == difference
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn block(seed: u8) -> Vec<u8> {
        let byte = |i: usize| (i as u8).wrapping_mul(seed).wrapping_add((i / 7) as u8);
        (0..BLOCK).map(byte).collect()
    }

    fn sums() -> Sums {
        let file = InMemoryBackend::new();
        let mut sums = Sums::open(&file).unwrap();
        for content in [block(3), block(5)] {
            let next = sums.next([(0, &*content), (1, &*content)].into_iter(), 9);
            let next = next.unwrap();
            next.write(&file).unwrap();
            sums.take(next);
        }
        let read = Sums::open(&file).unwrap();
        assert_eq!(read.0[..sums.0.len()], sums.0);
        read
    }

    #[test]
    fn every_single_bit_is_turned_back() {
        let (sums, sound) = (sums(), block(5));
        for bit in (0..BLOCK * 8).step_by(7) {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sums.check(1, &mut bytes), State::Mended, "bit {bit}");
            assert!(bytes == sound, "bit {bit}");
        }
    }

    #[test]
    fn a_bit_of_a_sum_costs_nothing() {
        for bit in 0..32 {
            let (mut sums, mut bytes) = (sums(), block(5));
            sums.0[FRONT + 1] ^= 1 << bit;
            assert_eq!(sums.check(1, &mut bytes), State::Mended, "bit {bit}");
            assert_eq!(bytes, block(5));
        }
    }

    #[test]
    fn more_is_told_and_left_as_it_is() {
        let sums = sums();
        for (one, other) in [(0, 1), (17, 4_000), (32_000, 32_767)] {
            let mut bytes = block(5);
            for bit in [one, other] {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let found = bytes.clone();
            assert_eq!(sums.check(1, &mut bytes), State::Damaged);
            assert_eq!(bytes, found);
        }
    }

    #[test]
    fn the_first_block_may_be_what_it_was_before() {
        let sums = sums();
        assert_eq!(sums.check(0, &mut block(5)), State::Sound);
        assert_eq!(sums.check(0, &mut block(3)), State::Sound);
        assert_eq!(sums.check(1, &mut block(3)), State::Damaged);
        assert_eq!(sums.check(7, &mut block(3)), State::Sound, "not known");
    }

    #[test]
    fn blocks_behind_the_end_are_not_known_any_more() {
        let mut sums = sums();
        let next = sums.next(std::iter::empty(), 1).unwrap();
        sums.take(next);
        assert_eq!(sums.check(1, &mut block(3)), State::Sound);
        assert_eq!(sums.check(0, &mut block(9)), State::Damaged);
    }
}
