//! What failed environments of a pool left in `/tmp`, for the next ones.
//! [Lambda guide: the content of /tmp stays when an environment is reset]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox::{LEFT_BYTES_MAX, LeftTmp};
use tasks::{Clock, Time};
use tokio::sync::oneshot;

/// Most that one pool keeps; the oldest goes first.
const LEFT_MAX: usize = 16;
/// Most bytes that all pools of the host keep.
const HOST_BYTES_MAX: u64 = 2 << 30;
/// Longest wait for a failed environment to end, whose extensions have two seconds for it.
const END_MAX: Duration = Duration::from_secs(3);

/// One for each environment that failed and was not replaced yet.
#[derive(Default)]
pub(crate) struct Lefts(Mutex<Vec<Left>>);

struct Left {
    tmp: Ended,
    since: Time,
}

/// Comes when the environment has ended; nothing if it left nothing, or too much.
type Ended = oneshot::Receiver<Kept>;

/// What all pools keep.
#[derive(Clone, Default)]
pub(crate) struct HostBytes(Arc<AtomicU64>);

/// What one environment left, counted until it is used or forgotten.
#[derive(Debug)]
pub(crate) struct Kept {
    tmp: Arc<LeftTmp>,
    bytes: u64,
    host: Arc<AtomicU64>,
}

impl HostBytes {
    /// None: it is not worth keeping, or there is no room for it.
    pub(crate) fn keep(&self, tmp: LeftTmp) -> Option<Kept> {
        let bytes = tmp.bytes();
        if bytes == 0 || bytes > LEFT_BYTES_MAX {
            return None;
        }
        let kept = Kept {
            tmp: Arc::new(tmp),
            bytes,
            host: self.0.clone(),
        };
        let before = kept.host.fetch_add(bytes, Ordering::AcqRel);
        (before + bytes <= HOST_BYTES_MAX).then_some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.host.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Lefts {
    fn lock(&self) -> MutexGuard<'_, Vec<Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An environment has failed and ends now; it tells what it leaves.
    pub(crate) fn add(&self, now: Time) -> oneshot::Sender<Kept> {
        let (tell, tmp) = oneshot::channel();
        let mut all = self.lock();
        if all.len() == LEFT_MAX {
            all.remove(0);
        }
        all.push(Left { tmp, since: now });
        tell
    }

    /// What the environment left that failed last. A start waits until that has ended: it takes its place.
    pub(crate) async fn take(&self, clock: &Clock) -> Option<Arc<LeftTmp>> {
        let ended = self.lock().pop()?.tmp;
        let kept = clock.timeout(END_MAX, ended).await.ok()?.ok()?;
        Some(kept.tmp.clone())
    }

    /// Forgets those that nobody wanted for longer than `keep`.
    pub(crate) fn retire(&self, now: Time, keep: Duration) {
        self.lock().retain(|left| now.since(left.since) <= keep);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}
