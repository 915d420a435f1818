use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLockReadGuard};
use std::time::Duration;

use redb::Database;
use tokio::sync::oneshot;

use super::commit::Committer;
use super::tables::{Failure, Tables, io_error};
use super::{Engine, open_database};
use crate::{Change, Space, StoreError};

/// Jobs of one commit at most.
const BATCH_JOBS_MAX: usize = 512;
/// Bytes of the jobs of one commit, above which no further job joins.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Jobs that wait for the writer at most; further callers wait outside.
pub(crate) const WAITING_JOBS_MAX: usize = 4_096;
/// How long after a failure the disk is tried again, when nobody writes.
const AGAIN: Duration = Duration::from_secs(1);

/// What a job does besides its writes, carried out after the commit.
pub(crate) enum Effect {
    Changed(Space, Change),
    /// Messages of this queue may be due.
    Wake(String),
    /// A shard's hot tail is large enough for a file.
    Seal(String, u32),
    /// Files of these names are not needed any more.
    Remove(Vec<String>),
}

/// What a job sees while its batch is one open transaction.
pub(crate) struct Batch<'t> {
    pub(crate) tables: Tables<'t>,
    pub(crate) effects: Vec<Effect>,
    rev: u64,
}

impl<'t> Batch<'t> {
    /// `rev`: the last revision given out.
    pub(crate) fn new(tables: Tables<'t>, rev: u64) -> Batch<'t> {
        Batch {
            tables,
            effects: Vec::new(),
            rev,
        }
    }

    pub(crate) fn rev(&self) -> u64 {
        self.rev
    }

    /// A revision above all earlier ones.
    pub(crate) fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }
}

pub(crate) trait Job: Send {
    fn bytes(&self) -> usize;
    /// Whether its answer need not wait for the disk.
    fn is_lazy(&self) -> bool;
    /// # Errors
    /// Only if the disk failed; a refusal is kept for the answer.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), redb::Error>;
    /// `failed`: why the commit did not happen.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Call<F, T> {
    bytes: usize,
    is_lazy: bool,
    run: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnMut(&mut Batch<'_>) -> Result<T, Failure> + Send,
    T: Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_lazy(&self) -> bool {
        self.is_lazy
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), redb::Error> {
        let effects = batch.effects.len();
        self.outcome = match (self.run)(batch) {
            Ok(value) => Some(Ok(value)),
            Err(Failure::Refused(error)) => {
                batch.effects.truncate(effects);
                Some(Err(error))
            }
            Err(Failure::Storage(error)) => return Err(error),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let outcome = match (failed, self.outcome) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(StoreError::Closed),
        };
        // Nobody waits any more: the caller gave up, the commit stands.
        let _ = self.reply.send(outcome);
    }
}

/// The line of jobs in front of the writer thread.
pub(crate) struct Inbox {
    line: Mutex<Line>,
    wake: Condvar,
    room: tokio::sync::Semaphore,
}

struct Line {
    jobs: VecDeque<Box<dyn Job>>,
    asleep: bool,
    closed: bool,
}

enum Next {
    Jobs(Vec<Box<dyn Job>>),
    Idle,
    Closed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            line: Mutex::new(Line {
                jobs: VecDeque::new(),
                asleep: false,
                closed: false,
            }),
            wake: Condvar::new(),
            room: tokio::sync::Semaphore::new(WAITING_JOBS_MAX),
        }
    }

    async fn push(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let permit = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let wake = {
            let mut line = lock(&self.line);
            if line.closed {
                return Err(StoreError::Closed);
            }
            line.jobs.push_back(job);
            // Only a sleeping writer costs a system call; a busy one looks again by itself.
            std::mem::take(&mut line.asleep)
        };
        permit.forget();
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn next(&self, idle: Option<Duration>) -> Next {
        let mut line = lock(&self.line);
        loop {
            if !line.jobs.is_empty() {
                let jobs = take_batch(&mut line.jobs);
                self.room.add_permits(jobs.len());
                return Next::Jobs(jobs);
            }
            if line.closed {
                return Next::Closed;
            }
            line.asleep = true;
            line = match idle {
                Some(idle) => {
                    let (line, waited) = self
                        .wake
                        .wait_timeout(line, idle)
                        .unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && line.jobs.is_empty() && !line.closed {
                        return Next::Idle;
                    }
                    line
                }
                None => self.wake.wait(line).unwrap_or_else(PoisonError::into_inner),
            };
            line.asleep = false;
        }
    }

    /// No further job is taken; those in the line are still done.
    pub(crate) fn close(&self) {
        lock(&self.line).closed = true;
        self.room.close();
        self.wake.notify_all();
    }
}

fn take_batch(line: &mut VecDeque<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut bytes = 0;
    let mut jobs = Vec::with_capacity(line.len().min(BATCH_JOBS_MAX));
    while jobs.len() < BATCH_JOBS_MAX && bytes < BATCH_BYTES_MAX {
        let Some(job) = line.pop_front() else { break };
        bytes += job.bytes();
        jobs.push(job);
    }
    jobs
}

impl Engine {
    /// Runs `run` inside a durable commit and returns its answer after the commit.
    pub(crate) async fn write<T, F>(&self, bytes: usize, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.submit(bytes, false, run).await
    }

    /// Like [`Engine::write`], but the answer does not wait for the disk: it survives the process, and when the
    /// power goes it may not have been. Nothing that was written later is there without it.
    pub(crate) async fn write_lazily<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.submit(0, true, run).await
    }

    async fn submit<T, F>(&self, bytes: usize, is_lazy: bool, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call {
            bytes,
            is_lazy,
            run,
            outcome: None,
            reply,
        });
        match &self.inbox {
            Some(inbox) => inbox.push(job).await?,
            None => self.run_batch(vec![job]),
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Like [`Engine::write`], on this thread and at once. For the writer's own work.
    pub(crate) fn write_now<F>(&self, run: F) -> Result<(), StoreError>
    where
        F: FnMut(&mut Batch<'_>) -> Result<(), Failure> + Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        self.run_batch(vec![Box::new(Call {
            bytes: 0,
            is_lazy: false,
            run,
            outcome: None,
            reply,
        })]);
        answer.try_recv().unwrap_or(Err(StoreError::Closed))
    }

    /// The loop of the writer thread; returns when the inbox is closed and empty.
    pub(crate) fn run_writer(&self, inbox: &Inbox, idle: Duration) {
        let _close_on_panic = CloseOnDrop(inbox);
        loop {
            let wait = lock(&self.committer).wait(idle, AGAIN);
            match inbox.next(wait) {
                Next::Jobs(jobs) => self.run_batch(jobs),
                Next::Idle => self.settle(),
                Next::Closed => break,
            }
        }
        self.settle();
    }

    /// One commit for all jobs, then their answers, then what followed from them.
    pub(crate) fn run_batch(&self, mut jobs: Vec<Box<dyn Job>>) {
        let done = self.commit(&mut jobs);
        let (effects, failed) = match done {
            Ok(effects) => (effects, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut later = Vec::new();
        for effect in effects {
            match effect {
                Effect::Changed(space, change) => self.watches.tell(space, &change),
                Effect::Wake(queue) => self.due.wake(&queue),
                other => later.push(other),
            }
        }
        for job in jobs {
            job.answer(failed.as_ref());
        }
        self.go_on();
        for effect in later {
            match effect {
                Effect::Seal(log, shard) => self.seal(&log, shard),
                Effect::Remove(names) => self.remove_files(&names),
                Effect::Changed(..) | Effect::Wake(_) => {}
            }
        }
    }

    fn commit(&self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Effect>, StoreError> {
        let is_synced = jobs.iter().any(|job| !job.is_lazy());
        let mut committer = lock(&self.committer);
        self.with_database(&mut committer, |committer, database| {
            committer.run(database, jobs, is_synced)
        })?
    }

    /// What the log holds comes to the database bit by bit.
    fn go_on(&self) {
        let mut committer = lock(&self.committer);
        if let Err(error) = self.with_database(&mut committer, Committer::go_on) {
            tracing::warn!(%error, "the database takes nothing over from its log");
        }
    }

    /// With nothing to do: the next start has nothing to repair and nothing to play.
    pub(super) fn settle(&self) {
        let mut committer = lock(&self.committer);
        if !committer.is_unsettled() {
            return;
        }
        let settled = self.with_database(&mut committer, Committer::settle);
        if let Err(error) = settled {
            tracing::warn!(%error, "the log stays for the next start");
        }
    }

    /// Works on the open database. After a failure it is opened again from what is on the disk.
    fn with_database<T>(
        &self,
        committer: &mut Committer,
        work: impl FnOnce(&mut Committer, &Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let is_open = self.place().is_some();
        if !is_open && self.is_closed() {
            return Err(StoreError::Closed);
        }
        if !is_open {
            self.reopen(committer)?;
        }
        let done = self
            .place()
            .as_ref()
            .map(|database| work(committer, database));
        match done {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                tracing::error!(%error, "commit failed, reopening the database");
                if let Err(error) = self.reopen(committer) {
                    tracing::error!(%error, "database does not open");
                }
                Err(io_error(error))
            }
            None => Err(StoreError::Closed),
        }
    }

    fn place(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reopen(&self, committer: &mut Committer) -> Result<(), StoreError> {
        let mut place = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = None;
        self.pages.roll_back();
        let database = open_database(&*self.disk, &self.pages)?;
        committer.reopen(&database)?;
        *place = Some(database);
        Ok(())
    }
}

/// A panic of the writer must not leave callers waiting.
struct CloseOnDrop<'a>(&'a Inbox);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        lock(&self.0.line).jobs.clear();
    }
}

/// Starts the thread that owns all commits of `engine`.
pub(crate) fn start(
    engine: &Arc<Engine>,
    idle: Duration,
) -> Result<std::thread::JoinHandle<()>, StoreError> {
    let engine = engine.clone();
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            if let Some(inbox) = &engine.inbox {
                engine.run_writer(inbox, idle);
            }
        })
        .map_err(|error| StoreError::Io(error.to_string().into()))
}
