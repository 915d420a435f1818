//! What the database wrote and the disk does not hold for good yet. A page waits here, in memory, until it was
//! written and synced; so redb never sees a write that failed, and a full disk keeps nobody from reading.
//!
//! A sync of the database only ends an epoch. [`Pages::flush`] brings the epochs to the disk, each of them synced
//! before the next one is begun: whenever that stops, the disk holds what redb's own order of writes would leave.
//! What is read from the file is compared with its sum.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::StorageBackend;

use super::seal::Damage;
use super::sums::{self, BLOCK, Sums};

/// Blocks that are written at once at most.
const RUN_BLOCKS_MAX: usize = 64;

/// Clones are the same pages.
#[derive(Debug, Clone)]
pub(crate) struct Pages(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Box<dyn StorageBackend>,
    sums: Box<dyn StorageBackend>,
    damage: Arc<Damage>,
    state: RwLock<State>,
    /// Blocks of the file of which a bit was turned back, to be written again.
    mended: Mutex<BTreeMap<u64, Box<[u8]>>>,
    /// Held by the one who flushes.
    flush: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Bytes that the file has for certain.
    file_len: u64,
    /// Of what is in the file.
    sums: Sums,
    /// Oldest first.
    ended: VecDeque<Arc<Epoch>>,
    open: Epoch,
}

/// What was written between two syncs.
#[derive(Debug, Default)]
struct Epoch {
    len: Option<u64>,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Epoch {
    fn is_empty(&self) -> bool {
        self.len.is_none() && self.blocks.is_empty()
    }
}

/// A place in a file as a place in memory.
fn place(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

fn start_of(block: u64) -> u64 {
    block * BLOCK as u64
}

/// The blocks that this range touches.
fn blocks_of(offset: u64, length: usize) -> std::ops::Range<u64> {
    offset / BLOCK as u64..(offset + length as u64).div_ceil(BLOCK as u64)
}

/// Copies the part that `from`, which begins at `from_at`, has of `to`, which begins at `to_at`.
fn overlay(to: &mut [u8], to_at: u64, from: &[u8], from_at: u64) -> io::Result<()> {
    let skip_to = place(from_at.saturating_sub(to_at))?;
    let skip_from = place(to_at.saturating_sub(from_at))?;
    let to = to.get_mut(skip_to..).unwrap_or_default();
    let from = from.get(skip_from..).unwrap_or_default();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    Ok(())
}

impl State {
    fn len(&self) -> u64 {
        let ended = self.ended.iter().rev().find_map(|epoch| epoch.len);
        self.open.len.or(ended).unwrap_or(self.file_len)
    }

    /// Whether a block waits here.
    fn holds(&self, block: u64) -> bool {
        let mut all = self.ended.iter().map(|epoch| &epoch.blocks);
        self.open.blocks.contains_key(&block) || all.any(|blocks| blocks.contains_key(&block))
    }
    fn write(&mut self, disk: &Inner, offset: u64, data: &[u8]) -> io::Result<()> {
        for block in blocks_of(offset, data.len()) {
            let start = start_of(block);
            if let Some(bytes) = self.open.blocks.get_mut(&block) {
                overlay(bytes, start, data, offset)?;
                continue;
            }
            let mut bytes = vec![0; BLOCK].into_boxed_slice();
            if start < offset || start_of(block + 1) > offset + data.len() as u64 {
                disk.read(self, start, &mut bytes)?;
            }
            overlay(&mut bytes, start, data, offset)?;
            self.open.blocks.insert(block, bytes);
        }
        Ok(())
    }
}

impl Inner {
    /// What the database has written here last.
    fn read(&self, state: &State, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let blocks = blocks_of(offset, out.len());
        if !blocks.clone().all(|block| state.holds(block)) {
            let start = start_of(blocks.start);
            let whole = place(start_of(blocks.end) - start)?;
            if (start, whole) == (offset, out.len()) {
                self.read_file(state, blocks.start, out)?;
            } else {
                let mut bytes = vec![0; whole];
                self.read_file(state, blocks.start, &mut bytes)?;
                overlay(out, offset, &bytes, start)?;
            }
        }
        for epoch in state.ended.iter().map(Arc::as_ref).chain([&state.open]) {
            for (block, bytes) in epoch.blocks.range(blocks.clone()) {
                overlay(out, offset, bytes, start_of(*block))?;
            }
        }
        Ok(())
    }

    /// Whole blocks as the file has them, zeros behind its end.
    fn read_file(&self, state: &State, first: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = start_of(first);
        let there = state.file_len.saturating_sub(offset);
        let there = place(there.min(out.len() as u64))?;
        let (from_file, behind) = out.split_at_mut(there);
        if !from_file.is_empty() {
            self.file.read(offset, from_file)?;
        }
        behind.fill(0);
        for (block, bytes) in (first..).zip(out.chunks_mut(BLOCK)) {
            let is_there = start_of(block) < state.file_len;
            if is_there && !state.holds(block) {
                self.check(state, block, bytes);
            }
        }
        Ok(())
    }

    fn check(&self, state: &State, block: u64, bytes: &mut [u8]) {
        match state.sums.check(block, bytes) {
            sums::State::Sound => {}
            sums::State::Mended => {
                self.damage
                    .note(format!("block {block} of the database: one bit, mended"));
                let mut mended = self.mended.lock().unwrap_or_else(PoisonError::into_inner);
                mended.insert(block, bytes.into());
            }
            // The head of the database has sums of its own, and two of everything.
            sums::State::Damaged if block == 0 => {}
            sums::State::Damaged => {
                self.damage
                    .note(format!("block {block} of the database: more than one bit"));
            }
        }
    }
}

impl Pages {
    pub(crate) fn new(
        file: Box<dyn StorageBackend>,
        sums: Box<dyn StorageBackend>,
        damage: &Arc<Damage>,
    ) -> io::Result<Pages> {
        let mut known = Sums::open(&*sums)?;
        let file_len = file.len()?;
        if known.is_empty() && file_len > 0 {
            take_sums(&mut known, &*file, file_len)?;
            known.all().write(&*sums)?;
        }
        let state = State {
            file_len,
            sums: known,
            ended: VecDeque::new(),
            open: Epoch::default(),
        };
        Ok(Pages(Arc::new(Inner {
            file,
            sums,
            damage: damage.clone(),
            state: RwLock::new(state),
            mended: Mutex::default(),
            flush: Mutex::default(),
        })))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait here.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state();
        let epochs = state.ended.iter().map(Arc::as_ref).chain([&state.open]);
        epochs.map(|epoch| epoch.blocks.len() * BLOCK).sum()
    }

    /// Brings everything up to the database's last sync to the disk. After a failure it all still waits here,
    /// and is written again by the next flush, also what the failed sync may have had.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let _one = self.0.flush.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(epoch) = self.state().ended.front().cloned() else {
                return Ok(());
            };
            let sums = self.write_out(&epoch)?;
            let mut state = self.state_mut();
            state.ended.pop_front();
            state.file_len = epoch.len.unwrap_or(state.file_len);
            state.sums.take(sums);
        }
    }

    /// The sums, then the blocks.
    fn write_out(&self, epoch: &Epoch) -> io::Result<sums::Next> {
        let file = &self.0.file;
        let before = self.state().file_len;
        let len = epoch.len.unwrap_or(before);
        let blocks = epoch.blocks.iter().map(|(block, bytes)| (*block, &**bytes));
        let end = len.div_ceil(BLOCK as u64);
        let sums = self.state().sums.next(blocks, end)?;
        sums.write(&*self.0.sums)?;
        if len < before {
            self.state_mut().file_len = len;
        }
        if epoch.len.is_some() && len != file.len()? {
            file.set_len(len)?;
        }
        let mut run: (u64, Vec<u8>) = (0, Vec::new());
        for (block, bytes) in &epoch.blocks {
            let (start, end) = (start_of(*block), run.0 + run.1.len() as u64);
            if start != end || run.1.len() >= RUN_BLOCKS_MAX * BLOCK {
                if !run.1.is_empty() {
                    file.write(run.0, &run.1)?;
                }
                run = (start, Vec::new());
            }
            let length = place(len.saturating_sub(start))?.min(BLOCK);
            run.1.extend(bytes.get(..length).unwrap_or_default());
        }
        if !run.1.is_empty() {
            file.write(run.0, &run.1)?;
        }
        file.sync_data()?;
        Ok(sums)
    }

    /// Forgets what the database wrote since its last sync. For a database that is opened again.
    pub(crate) fn roll_back(&self) {
        self.state_mut().open = Epoch::default();
    }
}

/// The sums of a file that an earlier build wrote.
fn take_sums(sums: &mut Sums, file: &dyn StorageBackend, file_len: u64) -> io::Result<()> {
    let mut bytes = vec![0; BLOCK];
    let blocks = blocks_of(0, place(file_len)?);
    let end = blocks.end;
    for block in blocks {
        bytes.fill(0);
        let there = place(file_len - start_of(block))?.min(BLOCK);
        file.read(start_of(block), bytes.get_mut(..there).unwrap_or_default())?;
        sums.take(sums.next([(block, &*bytes)].into_iter(), end)?);
    }
    Ok(())
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset + out.len() as u64 > state.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read(&state, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state_mut();
        state.open.len = Some(len);
        state.open.blocks.split_off(&len.div_ceil(BLOCK as u64));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state_mut();
        let mended =
            std::mem::take(&mut *self.0.mended.lock().unwrap_or_else(PoisonError::into_inner));
        for (block, bytes) in mended {
            if !state.holds(block) && start_of(block) < state.len() {
                state.open.blocks.insert(block, bytes);
            }
        }
        if !state.open.is_empty() {
            let ended = std::mem::take(&mut state.open);
            state.ended.push_back(Arc::new(ended));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state_mut();
        if offset + data.len() as u64 > state.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.write(&self.0, offset, data)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::backends::InMemoryBackend;

    use super::*;

    /// A file with a switch that makes it full.
    #[derive(Debug, Default, Clone)]
    struct Medium {
        bytes: Arc<InMemoryBackend>,
        is_full: Arc<AtomicBool>,
    }

    impl Medium {
        fn full(&self) -> io::Result<()> {
            match self.is_full.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }

        fn content(&self) -> Vec<u8> {
            let mut all = vec![0; place(self.bytes.len().unwrap()).unwrap()];
            self.bytes.read(0, &mut all).unwrap();
            all
        }
    }

    impl StorageBackend for Medium {
        fn len(&self) -> io::Result<u64> {
            self.bytes.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.bytes.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.full()?;
            self.bytes.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.full()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.full()?;
            self.bytes.write(offset, data)
        }
    }

    fn pages(medium: &Medium) -> Pages {
        let sums = Box::new(InMemoryBackend::new());
        Pages::new(Box::new(medium.clone()), sums, &Arc::default()).unwrap()
    }

    #[test]
    fn a_bit_that_turned_over_is_turned_back_for_good() {
        let (medium, sums) = (Medium::default(), Medium::default());
        let damage: Arc<Damage> = Arc::default();
        let open = || {
            let (file, sums) = (Box::new(medium.clone()), Box::new(sums.clone()));
            Pages::new(file, sums, &damage).unwrap()
        };
        let pages = open();
        pages.set_len(16_384).unwrap();
        pages.write(0, &[7; 16_384]).unwrap();
        pages.sync_data().unwrap();
        pages.flush().unwrap();
        medium.bytes.write(9_000, &[7 ^ 16]).unwrap();
        let pages = open();
        assert_eq!(read(&pages, 8_192, 4_096), [7; 4_096]);
        assert_eq!(damage.names(), ["block 2 of the database: one bit, mended"]);
        pages.sync_data().unwrap();
        pages.flush().unwrap();
        assert_eq!(medium.content(), [7; 16_384]);
    }

    fn read(pages: &Pages, offset: u64, length: usize) -> Vec<u8> {
        let mut out = vec![9; length];
        pages.read(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn what_was_written_is_read_wherever_it_is() {
        let medium = Medium::default();
        let pages = pages(&medium);
        pages.set_len(20_000).unwrap();
        pages.write(4_000, &[1; 8_500]).unwrap();
        for _ in 0..3 {
            assert_eq!(read(&pages, 3_998, 4), [0, 0, 1, 1]);
            assert_eq!(read(&pages, 12_498, 4), [1, 1, 0, 0]);
            assert_eq!(read(&pages, 19_998, 2), [0, 0]);
            pages.sync_data().unwrap();
            pages.flush().unwrap();
        }
        assert_eq!(medium.content().len(), 20_000);
        assert_eq!(pages.bytes(), 0);
        pages.write(4_001, &[2]).unwrap();
        assert_eq!(read(&pages, 4_000, 3), [1, 2, 1]);
        assert_eq!(medium.content()[4_001], 1, "not before the sync");
        assert!(pages.read(19_999, &mut [0, 0]).is_err());
        assert!(pages.write(19_999, &[0, 0]).is_err());
    }

    #[test]
    fn a_full_disk_is_seen_by_whoever_flushes_and_by_nobody_else() {
        let medium = Medium::default();
        let pages = pages(&medium);
        pages.set_len(8_192).unwrap();
        pages.write(0, b"old").unwrap();
        pages.sync_data().unwrap();
        pages.flush().unwrap();
        medium.is_full.store(true, Ordering::Relaxed);
        pages.set_len(16_384).unwrap();
        pages.write(12_288, b"new").unwrap();
        pages.sync_data().unwrap();
        pages.write(0, b"NEW").unwrap();
        pages.sync_data().unwrap();
        for _ in 0..2 {
            assert!(pages.flush().is_err());
            assert_eq!(read(&pages, 0, 3), b"NEW");
            assert_eq!(read(&pages, 12_288, 3), b"new");
            assert_eq!(medium.content().len(), 8_192);
        }
        medium.is_full.store(false, Ordering::Relaxed);
        pages.flush().unwrap();
        assert_eq!(pages.bytes(), 0);
        assert_eq!(medium.content()[..3], *b"NEW");
        assert_eq!(medium.content()[12_288..12_291], *b"new");
    }

    #[test]
    fn what_was_not_synced_can_be_forgotten() {
        let pages = pages(&Medium::default());
        pages.set_len(8_192).unwrap();
        pages.write(0, b"kept").unwrap();
        pages.sync_data().unwrap();
        pages.set_len(12_288).unwrap();
        pages.write(0, b"gone").unwrap();
        pages.roll_back();
        assert_eq!(
            (read(&pages, 0, 4), pages.len().unwrap()),
            (b"kept".to_vec(), 8_192)
        );
    }

    #[test]
    fn a_file_can_become_shorter() {
        let medium = Medium::default();
        let pages = pages(&medium);
        pages.set_len(16_384).unwrap();
        pages.write(12_288, &[1; 4_096]).unwrap();
        pages.sync_data().unwrap();
        pages.set_len(8_192).unwrap();
        pages.write(0, &[2; 4_096]).unwrap();
        pages.sync_data().unwrap();
        pages.flush().unwrap();
        assert_eq!(medium.content(), [vec![2; 4_096], vec![0; 4_096]].concat());
        assert_eq!(pages.len().unwrap(), 8_192);
    }
}
