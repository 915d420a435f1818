//! The engine of one process: redb behind one writer, files for what is large.
//!
//! A write becomes a job in the line of the writer, which commits all waiting jobs at once. A read
//! opens a view of the last commit. The embedded and the simulated engine differ in their disk, in
//! their clock and in who runs a batch: the writer thread, or the caller itself, which makes a run
//! repeatable.

mod ahead;
mod blobs;
mod bus;
mod check;
mod commit;
mod flush;
mod leases;
mod log;
mod pages;
mod queue;
mod records;
mod seal;
mod sums;
mod tables;
mod watch;
mod writer;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use redb::{Database, StorageBackend};
use tasks::Tasks;

use crate::files::Files;
use crate::primitives::Lifecycle;
use crate::{Store, StoreError, Vault};

use bus::Desk;
use commit::Committer;
use leases::Held;
use pages::Pages;
use queue::{Due, Earlier};
use seal::Damage;
use tables::View;
use watch::Watches;
use writer::Inbox;

pub(crate) use tables::io_error;

/// Where the database lives.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Opens the file of the database, or makes an empty one.
    fn database(&self) -> Result<Box<dyn StorageBackend>, StoreError>;
    /// Opens the file of the sums beside it, or makes an empty one.
    fn sums(&self) -> Result<Box<dyn StorageBackend>, StoreError>;
    /// Memory for pages of the database.
    fn cache_bytes(&self) -> usize;
    fn files(&self) -> Arc<dyn Files>;
    fn vault(&self) -> Result<Vault, StoreError>;
    /// Opens the log in front of the database, or makes an empty one.
    fn ahead(&self) -> Result<Box<dyn StorageBackend>, StoreError>;
    /// Bytes of the log; one batch that is larger has it for itself.
    fn ahead_bytes_max(&self) -> u64;
    /// Whether a thread of its own brings pages to the file.
    fn flushes_in_background(&self) -> bool;
    /// Another process may take over from here.
    fn release(&self) {}
}

/// Who commits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A thread of its own, which saves the allocator's state when idle this long.
    Thread { idle: Duration },
    /// The caller, at once.
    Caller,
}

pub(crate) struct Engine {
    disk: Box<dyn Disk>,
    /// Between the database and its file.
    pages: Pages,
    /// `None` while it is closed or did not open again after a failure.
    database: RwLock<Option<Database>>,
    committer: Mutex<Committer>,
    inbox: Option<Inbox>,
    files: Arc<dyn Files>,
    tasks: Tasks,
    watches: Watches,
    due: Due,
    earlier: Earlier,
    held: Held,
    desk: Desk,
    damage: Arc<Damage>,
    closed: AtomicBool,
}

/// What the primitives of a [`Store`] share; the writer ends with the last of them.
pub(crate) struct Shared {
    engine: Arc<Engine>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl std::ops::Deref for Shared {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

pub(crate) fn open(
    disk: Box<dyn Disk>,
    tasks: &Tasks,
    writer: Writer,
) -> Result<Store, StoreError> {
    let vault = disk.vault()?;
    let damage = Arc::default();
    let pages = Pages::new(disk.database()?, disk.sums()?, &damage);
    let pages = pages.map_err(|error| files_error(&error))?;
    let database = open_database(&*disk, &pages)?;
    let committer = Committer::open(&*disk, &database, &pages, &damage, tasks.ids().u64())?;
    let rev = committer.rev();
    let all = check::view(&database)?;
    let engine = Arc::new(Engine {
        files: disk.files(),
        disk,
        pages,
        database: RwLock::new(Some(database)),
        committer: Mutex::new(committer),
        inbox: (writer != Writer::Caller).then(Inbox::new),
        tasks: tasks.clone(),
        watches: Watches::default(),
        due: Due::default(),
        earlier: Earlier::new(rev, tasks.clock().now()),
        held: Held::default(),
        desk: Desk::default(),
        damage,
        closed: AtomicBool::new(false),
    });
    match writer {
        Writer::Thread { .. } => {
            let damage = engine.damage.clone();
            // It ends by itself; nothing waits for it.
            let check = std::thread::Builder::new().name("store-check".to_owned());
            check
                .spawn(move || check::check(&all, &damage))
                .map_err(|error| StoreError::Io(error.to_string().into()))?;
        }
        Writer::Caller => check::check(&all, &engine.damage),
    }
    let thread = match writer {
        Writer::Thread { idle } => Some(writer::start(&engine, idle)?),
        Writer::Caller => None,
    };
    let shared = Arc::new(Shared {
        engine,
        thread: Mutex::new(thread),
    });
    Ok(Store {
        records: shared.clone(),
        queue: shared.clone(),
        log: shared.clone(),
        blobs: shared.clone(),
        leases: shared.clone(),
        bus: shared.clone(),
        lifecycle: shared,
        vault: Arc::new(vault),
    })
}

fn open_database(disk: &dyn Disk, pages: &Pages) -> Result<Database, StoreError> {
    redb::Builder::new()
        .set_cache_size(disk.cache_bytes())
        .create_with_backend(pages.clone())
        .map_err(io_error)
}

impl Engine {
    fn view(&self) -> Result<View, StoreError> {
        let place = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match place.as_ref() {
            Some(database) => View::new(database, &self.damage),
            None if self.is_closed() => Err(StoreError::Closed),
            None => Err(StoreError::Io("the database is not open".into())),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Runs work on files: off the async threads, unless the engine must be repeatable.
    async fn with_files<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Files) -> Result<T, StoreError> + Send + 'static,
    {
        if self.is_closed() {
            return Err(StoreError::Closed);
        }
        if self.inbox.is_none() {
            return work(&*self.files);
        }
        let files = self.files.clone();
        self.tasks
            .blocking(move || work(&*files))
            .await
            .map_err(|panicked| StoreError::Io(panicked.to_string().into()))?
    }
}

impl Shared {
    /// Ends the writer after all accepted jobs, then closes the database. Blocks.
    fn end(engine: &Engine, thread: Option<std::thread::JoinHandle<()>>) {
        engine.closed.store(true, Ordering::Release);
        if let Some(inbox) = &engine.inbox {
            inbox.close();
        }
        engine.due.wake_all();
        if engine.inbox.is_none() {
            engine.settle();
        }
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store panicked");
        }
        let mut place = engine
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if place.take().is_some() {
            // What the database wrote when it was closed.
            if let Err(error) = engine.pages.flush() {
                tracing::warn!(%error, "the log stays for the next start");
            }
            engine.disk.release();
        }
    }

    fn take_thread(&self) -> Option<std::thread::JoinHandle<()>> {
        self.thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[async_trait]
impl Lifecycle for Shared {
    fn damage(&self) -> Vec<String> {
        self.damage.names()
    }

    async fn close(&self) {
        let (engine, thread) = (self.engine.clone(), self.take_thread());
        if engine.inbox.is_none() {
            Shared::end(&engine, thread);
            return;
        }
        let ended = self.tasks.blocking(move || Shared::end(&engine, thread));
        if let Err(error) = ended.await {
            tracing::error!(%error, "the store did not close");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let thread = self.take_thread();
        Shared::end(&self.engine, thread);
    }
}

fn files_error(error: &std::io::Error) -> StoreError {
    StoreError::Io(error.to_string().into())
}

fn within(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max {
        return Err(StoreError::TooLarge { what, size, max });
    }
    Ok(())
}
