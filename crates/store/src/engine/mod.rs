//! The engine of one process: redb behind one writer, files for what is large.
//!
//! A write becomes a job in the line of the writer, which commits all waiting jobs at once. A read
//! opens a view of the last commit. The embedded and the simulated engine differ in their disk, in
//! their clock and in who runs a batch: the writer thread, or the caller itself, which makes a run
//! repeatable.

mod blobs;
mod bus;
mod check;
mod leases;
mod log;
mod queue;
mod records;
mod seal;
mod tables;
mod watch;
mod writer;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use redb::Database;
use tasks::Tasks;

use crate::files::Files;
use crate::primitives::Lifecycle;
use crate::{Store, StoreError, Vault};

use bus::Desk;
use leases::Held;
use queue::{Due, Earlier};
use seal::Damage;
use tables::{View, prepare};
use watch::Watches;
use writer::{Committer, Inbox};

pub(crate) use tables::io_error;

/// Where the database lives.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Opens the database, or makes an empty one.
    fn open(&self) -> Result<Database, StoreError>;
    fn files(&self) -> Arc<dyn Files>;
    fn vault(&self) -> Result<Vault, StoreError>;
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
    let database = disk.open()?;
    let damage = Arc::default();
    let rev = prepare(&database, &damage)?;
    let all = check::view(&database)?;
    let engine = Arc::new(Engine {
        files: disk.files(),
        disk,
        database: RwLock::new(Some(database)),
        committer: Mutex::new(Committer::new(rev)),
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
