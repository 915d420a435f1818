//! The engine on this machine's disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redb::StorageBackend;
use tasks::Tasks;

use crate::engine::{self, Disk, Writer};
use crate::files::{Files, Folder};
use crate::{Store, StoreError, Vault};

/// With nothing to write for this long, the next crash is made cheap.
const IDLE: Duration = Duration::from_millis(50);

/// Bytes of the log in front of the database. It is played at the start after a crash; from its half on the
/// database takes it over.
const AHEAD_BYTES_MAX: u64 = 4 << 20;

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
    sums: PathBuf,
    ahead: PathBuf,
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
            sums: dir.join("kiln.sums"),
            ahead: dir.join("kiln.ahead"),
            cache_bytes: config.cache_bytes,
            files: Arc::new(Folder::open(dir).map_err(failed)?),
            lock: Mutex::new(Some(lock)),
        })
    }
}

impl Local {
    fn file(&self, path: &Path) -> Result<Box<dyn StorageBackend>, StoreError> {
        let failed =
            |error: io::Error| StoreError::Io(format!("{}: {error}", path.display()).into());
        let is_fresh = !path.exists();
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let file = options.open(path).map_err(failed)?;
        if is_fresh {
            self.files.sync_root().map_err(failed)?;
        }
        Ok(Box::new(Opened(file)))
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

/// A file that is written in place. The folder's lock is its lock.
#[derive(Debug)]
struct Opened(File);

impl StorageBackend for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

impl Disk for Local {
    fn database(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        self.file(&self.database)
    }

    fn sums(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        self.file(&self.sums)
    }

    fn cache_bytes(&self) -> usize {
        self.cache_bytes
    }

    fn files(&self) -> Arc<dyn Files> {
        self.files.clone()
    }

    fn vault(&self) -> Result<Vault, StoreError> {
        Vault::open(&self.key)
    }

    fn ahead(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        self.file(&self.ahead)
    }

    fn ahead_bytes_max(&self) -> u64 {
        AHEAD_BYTES_MAX
    }

    fn flushes_in_background(&self) -> bool {
        true
    }

    fn release(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
