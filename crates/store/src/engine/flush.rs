//! Who brings the database's pages to the disk: a thread of its own, or the caller, which makes a run repeatable.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::pages::Pages;
use crate::StoreError;

pub(crate) struct Flusher {
    pages: Pages,
    helper: Option<Helper>,
}

struct Helper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Wanted,
    Done(io::Result<()>),
    Closed,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop of the thread.
    fn serve(&self, pages: &Pages) {
        let mut state = self.lock();
        loop {
            match *state {
                State::Wanted => {
                    drop(state);
                    let flushed = pages.flush();
                    state = self.lock();
                    if matches!(*state, State::Wanted) {
                        *state = State::Done(flushed);
                        self.changed.notify_all();
                    }
                }
                State::Closed => return,
                State::Idle | State::Done(_) => state = self.wait(state),
            }
        }
    }
}

impl Flusher {
    pub(crate) fn new(pages: &Pages, in_background: bool) -> Result<Flusher, StoreError> {
        let mut flusher = Flusher {
            pages: pages.clone(),
            helper: None,
        };
        if in_background {
            let desk: Arc<Desk> = Arc::default();
            let (served, pages) = (desk.clone(), pages.clone());
            let thread = std::thread::Builder::new().name("store-flush".to_owned());
            let thread = thread
                .spawn(move || served.serve(&pages))
                .map_err(|error| StoreError::Io(error.to_string().into()))?;
            flusher.helper = Some(Helper {
                desk,
                thread: Some(thread),
            });
        }
        Ok(flusher)
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Begins a flush; tells how it ended if it did at once.
    pub(crate) fn start(&self) -> Option<io::Result<()>> {
        let Some(helper) = &self.helper else {
            return Some(self.pages.flush());
        };
        *helper.desk.lock() = State::Wanted;
        helper.desk.changed.notify_all();
        None
    }

    /// How the flush that was begun ended, once.
    pub(crate) fn flushed(&self) -> Option<io::Result<()>> {
        let mut state = self.helper.as_ref()?.desk.lock();
        match std::mem::take(&mut *state) {
            State::Done(flushed) => Some(flushed),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Flushes, and waits for it.
    pub(crate) fn wait(&self) -> io::Result<()> {
        if let Some(helper) = &self.helper {
            let mut state = helper.desk.lock();
            while matches!(*state, State::Wanted) {
                state = helper.desk.wait(state);
            }
            *state = State::Idle;
        }
        // Also after a flush that failed: there may be room now.
        self.pages.flush()
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        let Some(helper) = &mut self.helper else {
            return;
        };
        *helper.desk.lock() = State::Closed;
        helper.desk.changed.notify_all();
        if let Some(thread) = helper.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that flushes the store panicked");
        }
    }
}
