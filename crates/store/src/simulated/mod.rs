//! The engine on a disk in memory, with a clock and a seed that the test owns.
//!
//! It is the code of the embedded engine; only the disk differs, and the caller commits by itself so
//! that a run can be repeated. The [`Disk`] can lose, tear and reorder what was not synced.

mod disk;
mod files;

use std::sync::Arc;

use redb::StorageBackend;
use tasks::{Clock, ClockControl, Ids, Tasks, Time};

use disk::Part;
pub use disk::{Disk, Image};

use crate::engine::{self, Writer};
use crate::files::Files;
use crate::{Store, StoreError, Vault};

/// When a simulation starts.
const START: Time = Time::from_unix_secs(1_700_000_000);

/// A fresh store on a fresh disk.
///
/// # Panics
/// Never: an empty disk without faults opens.
pub fn open(seed: u64) -> (Store, Disk, ClockControl) {
    let (clock, control) = Clock::virtual_at(START);
    let tasks = Tasks::new(clock, Ids::seeded(seed));
    let disk = Disk::new(seed, tasks, control.clone());
    #[allow(clippy::expect_used)]
    let store = open_on(&disk).expect("an empty disk without faults opens");
    (store, disk, control)
}

/// What a restart finds after [`Disk::crash`]; the clock runs on.
///
/// # Errors
/// Those of [`crate::embedded::open`].
pub fn reopen(image: Image) -> Result<(Store, Disk, ClockControl), StoreError> {
    let disk = Disk::from_image(image);
    let store = open_on(&disk)?;
    let control = disk.control();
    Ok((store, disk, control))
}

/// Opens a store on this disk: after [`Store::close`], or to see that it refuses.
///
/// # Errors
/// Those of [`crate::embedded::open`].
pub fn open_on(disk: &Disk) -> Result<Store, StoreError> {
    engine::open(Box::new(disk.clone()), disk.tasks(), Writer::Caller)
}

/// Like [`open_on`], with the writer thread of the embedded engine, for tests of groups.
///
/// # Errors
/// Those of [`crate::embedded::open`].
pub fn open_threaded(disk: &Disk) -> Result<Store, StoreError> {
    let idle = std::time::Duration::from_millis(50);
    engine::open(
        Box::new(disk.clone()),
        disk.tasks(),
        Writer::Thread { idle },
    )
}

impl engine::Disk for Disk {
    fn database(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(self.backend(Part::Database)))
    }

    fn sums(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(self.backend(Part::Sums)))
    }

    fn cache_bytes(&self) -> usize {
        1 << 20
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    fn vault(&self) -> Result<Vault, StoreError> {
        // The key is in no file of this disk.
        Vault::new(&[7; 32])
    }

    fn ahead(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        Ok(Box::new(self.backend(Part::Ahead)))
    }

    /// Small, so that a short run passes its end often.
    fn ahead_bytes_max(&self) -> u64 {
        64 << 10
    }

    fn flushes_in_background(&self) -> bool {
        false
    }
}
