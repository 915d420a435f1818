//! The engine on this machine's disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::Database;
use tasks::Tasks;

use crate::engine::{self, Disk, Writer, io_error};
use crate::files::{Files, Folder};
use crate::{Store, StoreError, Vault};

/// With nothing to write for this long, the next crash is made cheap.
const IDLE: Duration = Duration::from_millis(50);

/// How the store of one node is opened.
#[derive(Clone)]
pub struct EmbeddedConfig {
    /// Made if it is missing; belongs to the store alone.
    pub dir: PathBuf,
    pub tasks: Tasks,
    /// Memory for pages of the database.
    pub cache_bytes: usize,
}

impl EmbeddedConfig {
    pub const CACHE_BYTES: usize = 4 << 20;

    pub fn new(dir: impl Into<PathBuf>, tasks: &Tasks) -> EmbeddedConfig {
        EmbeddedConfig {
            dir: dir.into(),
            tasks: tasks.clone(),
            cache_bytes: EmbeddedConfig::CACHE_BYTES,
        }
    }
}

/// Opens the store; blocks for some milliseconds, longer after a crash under load.
///
/// # Errors
/// [`StoreError::InUse`] if another process has it open, [`StoreError::Newer`] if a newer Kiln
/// wrote it.
pub fn open(config: EmbeddedConfig) -> Result<Store, StoreError> {
    let disk = Local::open(&config)?;
    engine::open(Box::new(disk), &config.tasks, Writer::Thread { idle: IDLE })
}

#[derive(Debug)]
struct Local {
    database: PathBuf,
    /// The key of secrets.
    key: PathBuf,
    cache_bytes: usize,
    files: Arc<Folder>,
    lock: Mutex<Option<File>>,
}

impl Local {
    fn open(config: &EmbeddedConfig) -> Result<Local, StoreError> {
        let dir = &config.dir;
        let failed =
            |error: std::io::Error| StoreError::Io(format!("{}: {error}", dir.display()).into());
        std::fs::create_dir_all(dir).map_err(failed)?;
        let lock = lock(&dir.join("lock"), dir).map_err(failed)??;
        Ok(Local {
            database: dir.join("kiln.redb"),
            key: dir.join("secret.key"),
            cache_bytes: config.cache_bytes,
            files: Arc::new(Folder::open(dir).map_err(failed)?),
            lock: Mutex::new(Some(lock)),
        })
    }
}

/// The kernel lets go of the lock when the process ends in any way.
fn lock(path: &Path, dir: &Path) -> std::io::Result<Result<File, StoreError>> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Ok(file)),
        Err(TryLockError::WouldBlock) => {
            Ok(Err(StoreError::InUse(dir.display().to_string().into())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Disk for Local {
    fn open(&self) -> Result<Database, StoreError> {
        let fresh = !self.database.exists();
        let database = redb::Builder::new()
            .set_cache_size(self.cache_bytes)
            .create(&self.database)
            .map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => {
                    StoreError::InUse(self.database.display().to_string().into())
                }
                other => io_error(other),
            })?;
        if fresh {
            self.files
                .sync_root()
                .map_err(|error| StoreError::Io(error.to_string().into()))?;
        }
        Ok(database)
    }

    fn files(&self) -> Arc<dyn Files> {
        self.files.clone()
    }

    fn vault(&self) -> Result<Vault, StoreError> {
        Vault::open(&self.key)
    }

    fn release(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
