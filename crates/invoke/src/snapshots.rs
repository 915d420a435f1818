//! SnapStart: which versions have a snapshot, and when one is made again.
//!
//! A snapshot is a process of this server. It is made when the version is published, and again by the
//! first start after the server did, or after others took its room.  [Lambda guide: SnapStart]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use functions::Deployed;
use sandbox::{EnvironmentSpec, InitReport, Sandbox, Snapshot, StartError, Taken};
use tasks::Ids;

/// Most snapshots at a time; the one that was not used for longest makes room. Each is a process with
/// the memory that its init phase took.
const SNAPSHOTS_MAX: usize = 64;
/// Shortest limit of an init phase that ends in a snapshot; the function's timeout if that is longer.
/// [Lambda guide: runtime environment]
const INIT_LIMIT_MIN: Duration = Duration::from_secs(130);

/// Those of all versions.
#[derive(Default)]
pub(crate) struct Snapshots {
    of: Mutex<HashMap<u64, Arc<Place>>>,
    turn: AtomicU64,
}

/// Where the snapshot of one version is, or will be.
pub(crate) struct Place {
    version: Arc<Deployed>,
    /// By which every environment of the version asks for its own keys: it is part of the snapshot.
    pub(crate) token: String,
    used: AtomicU64,
    /// Locked while one is made: whoever else needs it waits.
    slot: tokio::sync::Mutex<Slot>,
}

enum Slot {
    Empty,
    Kept(Arc<dyn Snapshot>),
    /// What its init phase leaves cannot be kept.
    Impossible,
}

/// What there is for a start.
pub(crate) enum Found {
    /// `made`: the init phase that was run for it just now.
    Snapshot {
        snapshot: Arc<dyn Snapshot>,
        made: Option<InitReport>,
    },
    /// Starts run their own init phase. `made`: one that was run well, to find out.
    Nothing { made: Option<InitReport> },
}

/// The longest init phase of a version that is prepared.
pub(crate) fn init_limit(version: &Deployed) -> Duration {
    version.config.timeout.duration().max(INIT_LIMIT_MIN)
}

impl Snapshots {
    /// The place of a version, made if it has none.
    pub(crate) fn place(&self, version: &Arc<Deployed>, ids: &Ids) -> Arc<Place> {
        let now = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = of.get(&version.generation) {
            place.used.store(now, Ordering::Relaxed);
            return place.clone();
        }
        if of.len() >= SNAPSHOTS_MAX {
            let used = |(_, place): &(&u64, &Arc<Place>)| place.used.load(Ordering::Relaxed);
            let longest = of.iter().min_by_key(used).map(|(key, _)| *key);
            longest.and_then(|key| of.remove(&key));
        }
        let place = Arc::new(Place {
            version: version.clone(),
            token: ids.hex(32),
            used: AtomicU64::new(now),
            slot: tokio::sync::Mutex::new(Slot::Empty),
        });
        of.insert(version.generation, place.clone());
        place
    }

    /// Ends those of versions that are gone.
    pub(crate) fn sweep(&self, is_current: impl Fn(&Deployed) -> bool) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, place| is_current(&place.version));
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        self.of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Place {
    /// The snapshot, made now if there is none. `spec`: an environment of the version.
    ///
    /// # Errors
    /// The init phase failed, or the platform.
    pub(crate) async fn find(
        &self,
        sandbox: &Arc<dyn Sandbox>,
        spec: EnvironmentSpec,
    ) -> Result<Found, StartError> {
        let version = &self.version;
        let mut slot = self.slot.lock().await;
        match &*slot {
            Slot::Kept(snapshot) if snapshot.is_alive() => {
                let (snapshot, made) = (snapshot.clone(), None);
                return Ok(Found::Snapshot { snapshot, made });
            }
            Slot::Impossible => return Ok(Found::Nothing { made: None }),
            Slot::Kept(_) | Slot::Empty => {}
        }
        if !spec.extensions.external.is_empty() {
            tell(version, "it has external extensions");
            *slot = Slot::Impossible;
            return Ok(Found::Nothing { made: None });
        }
        let spec = EnvironmentSpec {
            init_limit: init_limit(version),
            template: None,
            waiting: None,
            ..spec
        };
        let found = match sandbox.snapshot(spec).await? {
            Taken::Kept(snapshot) => {
                let made = Some(snapshot.init());
                *slot = Slot::Kept(snapshot.clone());
                Found::Snapshot { snapshot, made }
            }
            Taken::Not { reason, init } => {
                tell(version, &reason);
                *slot = Slot::Impossible;
                Found::Nothing { made: Some(init) }
            }
            Taken::Unsupported => {
                tell(version, "this backend keeps no snapshots");
                *slot = Slot::Impossible;
                Found::Nothing { made: None }
            }
        };
        Ok(found)
    }

    /// A restore failed that is not the function's fault: the next start makes another one.
    pub(crate) async fn empty(&self) {
        *self.slot.lock().await = Slot::Empty;
    }
}

fn tell(version: &Deployed, reason: &str) {
    tracing::info!(%version, reason, "no snapshot: every environment runs its init phase");
}
