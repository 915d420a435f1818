use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use tasks::{Clock, ClockControl, Ids, Tasks};

use super::files::SimFiles;

/// What a disk writes as one piece, in bytes.
const SECTOR: usize = 512;
/// One unsynced sector of this many is torn in a crash.
const TORN: u64 = 10;

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    tasks: Tasks,
    control: ClockControl,
}

/// What was on the disk when the power came back.
#[derive(Clone)]
pub struct Image {
    database: Vec<u8>,
    sums: Vec<u8>,
    ahead: Vec<u8>,
    files: SimFiles,
    seed: u64,
    tasks: Tasks,
    control: ClockControl,
}

pub(super) struct State {
    database: Medium,
    /// The sums beside it.
    sums: Medium,
    /// The log in front of the database.
    ahead: Medium,
    pub(super) files: SimFiles,
    dice: Ids,
    faults: Faults,
    /// While it is wanted: what a power loss at each operation would leave, with the operation's number.
    photographs: Option<Vec<(u64, Photograph)>>,
}

struct Photograph {
    database: Vec<u8>,
    sums: Vec<u8>,
    ahead: Vec<u8>,
    files: SimFiles,
    seed: u64,
}

/// One file that is written in place.
struct Medium {
    bytes: Vec<u8>,
    /// Sectors written since the last sync: all contents they had, the synced one first.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
    synced_len: usize,
}

/// Which of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Database,
    Sums,
    Ahead,
}

#[derive(Default)]
struct Faults {
    operations: u64,
    fail_at: Option<u64>,
    off_at: Option<u64>,
    capacity: Option<usize>,
}

fn failure(what: &str) -> io::Error {
    io::Error::other(format!("simulated disk: {what}"))
}

impl State {
    /// Counts one operation that changes the disk, and lets it fail if it was told to.
    pub(super) fn step(&mut self) -> io::Result<()> {
        let number = self.faults.operations;
        if self.photographs.is_some() {
            let photograph = self.photograph();
            self.photographs
                .get_or_insert_default()
                .push((number, photograph));
        }
        self.faults.operations += 1;
        if self.faults.off_at.is_some_and(|off| number >= off) {
            return Err(failure("the power is off"));
        }
        if self.faults.fail_at == Some(number) {
            return Err(failure("the operation failed"));
        }
        Ok(())
    }

    fn photograph(&self) -> Photograph {
        Photograph {
            database: self.database.after_power_loss(&self.dice),
            sums: self.sums.after_power_loss(&self.dice),
            ahead: self.ahead.after_power_loss(&self.dice),
            files: self.files.after_power_loss(&self.dice),
            seed: self.dice.u64(),
        }
    }

    pub(super) fn room_for(&self, more: usize) -> io::Result<()> {
        let parts = [&self.database, &self.sums, &self.ahead];
        let used = parts.iter().map(|part| part.bytes.len()).sum::<usize>() + self.files.bytes();
        match self.faults.capacity {
            Some(capacity) if used + more > capacity => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "simulated disk: full",
            )),
            _ => Ok(()),
        }
    }

    fn part(&mut self, part: Part) -> &mut Medium {
        match part {
            Part::Database => &mut self.database,
            Part::Sums => &mut self.sums,
            Part::Ahead => &mut self.ahead,
        }
    }
}

impl Medium {
    fn holding(bytes: Vec<u8>) -> Medium {
        Medium {
            synced_len: bytes.len(),
            bytes,
            unsynced: BTreeMap::new(),
        }
    }

    fn sector(&self, number: usize) -> Vec<u8> {
        let start = number * SECTOR;
        let end = (start + SECTOR).min(self.bytes.len());
        let mut content = self
            .bytes
            .get(start..end)
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        content.resize(SECTOR, 0);
        content
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len();
        let touched = offset / SECTOR..end.div_ceil(SECTOR);
        for number in touched.clone() {
            if !self.unsynced.contains_key(&number) {
                let before = self.sector(number);
                self.unsynced.insert(number, vec![before]);
            }
        }
        let Some(place) = self.bytes.get_mut(offset..end) else {
            return Err(failure("write behind the end"));
        };
        place.copy_from_slice(data);
        for number in touched {
            let after = self.sector(number);
            if let Some(contents) = self.unsynced.get_mut(&number) {
                contents.push(after);
            }
        }
        Ok(())
    }

    /// As it may be found after the power went: every unsynced sector has any of
    /// its contents, some are torn, the length is the old or the new one.
    fn after_power_loss(&self, dice: &Ids) -> Vec<u8> {
        let mut found = self.bytes.clone();
        for (number, contents) in &self.unsynced {
            let mut content = pick(dice, contents);
            if dice.u64().is_multiple_of(TORN) {
                let other = pick(dice, contents);
                let cut = roll(dice, SECTOR);
                content.truncate(cut);
                content.extend_from_slice(other.get(cut..).unwrap_or_default());
            }
            let start = number * SECTOR;
            let end = (start + SECTOR).min(found.len());
            if let (Some(place), Some(content)) = (
                found.get_mut(start..end),
                content.get(..end.saturating_sub(start)),
            ) {
                place.copy_from_slice(content);
            }
        }
        if dice.u64().is_multiple_of(2) {
            found.resize(self.synced_len, 0);
        }
        found
    }
}

fn roll(dice: &Ids, sides: usize) -> usize {
    let sides = u64::try_from(sides).unwrap_or(1).max(1);
    usize::try_from(dice.u64() % sides).unwrap_or(0)
}

fn pick(dice: &Ids, contents: &[Vec<u8>]) -> Vec<u8> {
    contents
        .get(roll(dice, contents.len()))
        .cloned()
        .unwrap_or_default()
}

impl Image {
    /// Bytes of the database, of its sums, of the log in front of it and of the files beside it.
    pub fn bytes(&self) -> usize {
        self.database.len() + self.sums.len() + self.ahead.len() + self.files.bytes()
    }

    /// Turns one bit over, counted through the database, its sums, the log and then the files. Gives where that
    /// is: in one of the three, or in the file of this name.
    pub fn flip(&mut self, bit: usize) -> Option<String> {
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        let parts = self.database.iter_mut().chain(&mut self.sums);
        let mut parts = parts.chain(&mut self.ahead);
        if let Some(place) = parts.nth(byte) {
            *place ^= mask;
            return None;
        }
        let before = self.database.len() + self.sums.len() + self.ahead.len();
        self.files.flip(byte - before, mask)
    }
}

impl Disk {
    pub(super) fn new(seed: u64, tasks: Tasks, control: ClockControl) -> Disk {
        Disk::from_image(Image {
            database: Vec::new(),
            sums: Vec::new(),
            ahead: Vec::new(),
            files: SimFiles::default(),
            seed,
            tasks,
            control,
        })
    }

    pub(super) fn from_image(image: Image) -> Disk {
        Disk {
            state: Arc::new(Mutex::new(State {
                database: Medium::holding(image.database),
                sums: Medium::holding(image.sums),
                ahead: Medium::holding(image.ahead),
                files: image.files,
                dice: Ids::seeded(image.seed),
                faults: Faults::default(),
                photographs: None,
            })),
            tasks: image.tasks,
            control: image.control,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn backend(&self, part: Part) -> Backend {
        Backend(self.clone(), part)
    }

    /// The tasks of the simulation, with its clock and its ids.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub fn clock(&self) -> &Clock {
        self.tasks.clock()
    }

    pub fn ids(&self) -> &Ids {
        self.tasks.ids()
    }

    pub fn control(&self) -> ClockControl {
        self.control.clone()
    }

    /// Changing operations so far: writes, syncs, changes of length, of files and of names.
    pub fn operations(&self) -> u64 {
        self.lock().faults.operations
    }

    /// The changing operation with this number fails, once.
    pub fn fail_at(&self, operation: u64) {
        self.lock().faults.fail_at = Some(operation);
    }

    /// From the changing operation with this number on, all fail.
    pub fn power_off_at(&self, operation: u64) {
        self.lock().faults.off_at = Some(operation);
    }

    /// No more than this many bytes fit on the disk; `None` ends that.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().faults.capacity = bytes;
    }

    /// What a restart would find if the power went now. This disk stays as it is; stores on it
    /// go on and nothing of what they do from here is in the image.
    pub fn crash(&self) -> Image {
        let photograph = self.lock().photograph();
        self.image(photograph)
    }

    /// From now on, keeps what a crash at each changing operation would leave, until it is asked for.
    pub fn photograph(&self) {
        self.lock().photographs = Some(Vec::new());
    }

    /// The crashes since the last question, each at the beginning of the operation with this number.
    pub fn photographs(&self) -> Vec<(u64, Image)> {
        let taken = self.lock().photographs.replace(Vec::new());
        let taken = taken.unwrap_or_default().into_iter();
        taken
            .map(|(number, photograph)| (number, self.image(photograph)))
            .collect()
    }

    fn image(&self, photograph: Photograph) -> Image {
        Image {
            database: photograph.database,
            sums: photograph.sums,
            ahead: photograph.ahead,
            files: photograph.files,
            seed: photograph.seed,
            tasks: self.tasks.clone(),
            control: self.control.clone(),
        }
    }

    /// What a restart would find if only the process ended: every write is there.
    pub fn kill(&self) -> Image {
        let state = self.lock();
        Image {
            database: state.database.bytes.clone(),
            sums: state.sums.bytes.clone(),
            ahead: state.ahead.bytes.clone(),
            files: state.files.after_process_loss(),
            seed: state.dice.u64(),
            tasks: self.tasks.clone(),
            control: self.control.clone(),
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated disk")
    }
}

/// The engine's side of one file.
#[derive(Debug)]
pub(super) struct Backend(Disk, Part);

fn place(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.0.lock().part(self.1).bytes.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = place(offset)?;
        let mut state = self.0.lock();
        let found = state.part(self.1).bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| failure("read behind the end"))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        let mut state = self.0.lock();
        state.step()?;
        let more = len.saturating_sub(state.part(self.1).bytes.len());
        state.room_for(more)?;
        let medium = state.part(self.1);
        medium.bytes.resize(len, 0);
        medium.unsynced.retain(|number, _| number * SECTOR < len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let medium = state.part(self.1);
        medium.unsynced.clear();
        medium.synced_len = medium.bytes.len();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.part(self.1).write(place(offset)?, data)
    }
}
