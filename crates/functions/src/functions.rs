use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::{Account, FunctionName, FunctionRef, Qualifier, Region};
use store::{Store, Table};
use tasks::Tasks;
use tokio::sync::{Mutex, broadcast, mpsc};

use crate::attached::AttachedRecord;
use crate::code::{CodeStore, Sweeper};
use crate::idle::Idle;
use crate::index::{Entry, Index, Key};
use crate::layers::LayerIndex;
use crate::mappings::{Mapping, Mappings};
use crate::prepare::Line;
use crate::records::{
    AliasRecord, FunctionRecord, LayerRecord, LayerVersionRecord, PolicyRecord, RetiredRecord,
    SPACE, VersionRecord, parse_digest,
};
use crate::settle::{Settler, Unsettled};
use crate::{Alias, Deployed, Error, ResolveError, SigningConfig, State};

/// Settings of this crate.
#[derive(Debug, Clone)]
pub struct FunctionsConfig {
    /// Code is unpacked into `code` inside it.
    pub data: PathBuf,
    /// How long a new or updated function shows `Pending` or `InProgress`.
    pub settle: Duration,
    /// How long a version stays active without a call. None: for ever.
    pub idle_after: Option<Duration>,
}

impl FunctionsConfig {
    /// Long enough that a caller who does not wait sees the state that AWS shows.
    pub const SETTLE: Duration = Duration::from_millis(50);

    pub fn new(data: PathBuf) -> FunctionsConfig {
        FunctionsConfig {
            data,
            settle: FunctionsConfig::SETTLE,
            idle_after: None,
        }
    }
}

/// All functions of this process. Clones share them.
#[derive(Clone)]
pub struct Functions(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) index: Arc<Index>,
    pub(crate) layers: LayerIndex,
    pub(crate) mappings: Mappings,
    /// One change of a code signing configuration at a time.
    pub(crate) signing_writer: Mutex<()>,
    pub(crate) unprepared: Line,
    pub(crate) code: CodeStore,
    pub(crate) tasks: Tasks,
    pub(crate) tables: Tables,
    /// One writer at a time for each function, by the hash of its name.
    pub(crate) writers: Vec<Mutex<()>>,
    pub(crate) unsettled: mpsc::Sender<Unsettled>,
    pub(crate) settle: Duration,
    changes: broadcast::Sender<Change>,
    generations: AtomicU64,
    /// One change at a time of what is claimed of an account.
    pub(crate) claiming: Mutex<()>,
    pub(crate) idle: Idle,
}

pub(crate) struct Tables {
    pub(crate) functions: Table<FunctionRecord>,
    pub(crate) versions: Table<VersionRecord>,
    pub(crate) aliases: Table<AliasRecord>,
    pub(crate) policies: Table<PolicyRecord>,
    pub(crate) attached: Table<AttachedRecord>,
    pub(crate) retired: Table<RetiredRecord>,
    pub(crate) layers: Table<LayerRecord>,
    pub(crate) layer_versions: Table<LayerVersionRecord>,
    pub(crate) signing: Table<SigningConfig>,
    pub(crate) mappings: Table<Mapping>,
}

/// What the data plane must hear of.
#[derive(Debug, Clone)]
pub enum Change {
    /// From now on this is what runs.
    Live(Arc<Deployed>),
    /// No call resolves to this any more: let its environments finish and retire them.
    Retired(Arc<Deployed>),
    /// The environments that are to be ready for this function are others.
    Provisioned(FunctionRef),
}

/// A version together with the facts of its function.
#[derive(Debug, Clone)]
pub struct Details {
    pub deployed: Arc<Deployed>,
    pub tags: Arc<BTreeMap<String, String>>,
    /// Reserved concurrency, if set.
    pub reserved: Option<u32>,
    /// Whether a loop of invocations is let run.
    pub allows_recursion: bool,
}

/// [Lambda API: AccountUsage]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub functions: u64,
    pub code_bytes: u64,
}

/// Changes that a slow reader may fall behind before it is told to look anew.
const CHANGES_KEPT: usize = 1_024;
/// Functions that wait to settle; a change waits for room.
const UNSETTLED_MAX: usize = 1_024;
const WRITERS: usize = 64;

impl Functions {
    /// Reads all records, completes what a crash interrupted and starts the background work.
    ///
    /// # Errors
    /// Fails if records cannot be read or were written by a newer version.
    pub async fn open(
        config: FunctionsConfig,
        store: &Store,
        tasks: &Tasks,
    ) -> Result<Functions, Error> {
        let (unsettled, settling) = mpsc::channel(UNSETTLED_MAX);
        let code = CodeStore::open(&config.data, store, tasks).await?;
        let functions = Functions(Arc::new(Inner {
            index: Arc::new(Index::new()),
            layers: LayerIndex::default(),
            mappings: Mappings::default(),
            signing_writer: Mutex::default(),
            unprepared: Line::new(),
            code,
            tasks: tasks.clone(),
            tables: Tables {
                functions: Table::new(store, SPACE),
                versions: Table::new(store, SPACE),
                aliases: Table::new(store, SPACE),
                policies: Table::new(store, SPACE),
                attached: Table::new(store, SPACE),
                retired: Table::new(store, SPACE),
                layers: Table::new(store, SPACE),
                layer_versions: Table::new(store, SPACE),
                signing: Table::new(store, SPACE),
                mappings: Table::new(store, SPACE),
            },
            writers: (0..WRITERS).map(|_| Mutex::default()).collect(),
            unsettled,
            settle: config.settle,
            changes: broadcast::channel(CHANGES_KEPT).0,
            generations: AtomicU64::new(1),
            claiming: Mutex::default(),
            idle: Idle::new(config.idle_after, tasks.clock().now()),
        }));
        functions.load_layers().await?;
        functions.load().await?;
        functions.load_mappings().await?;
        tasks.add(Settler::new(functions.clone(), settling));
        tasks.add(Sweeper::new(
            functions.0.code.clone(),
            tasks.clock().clone(),
        ));
        Ok(functions)
    }

    /// What runs when `f` is invoked. Reads memory only: no wait, no I/O.
    ///
    /// The answer may be `Pending` or `Failed`: look at its state.
    pub fn resolve(&self, f: &FunctionRef) -> Result<Arc<Deployed>, ResolveError> {
        self.entry(f)
            .and_then(|e| e.find(f.qualifier.as_ref(), &e.running, || self.draw()))
            .ok_or_else(|| not_found(f))
    }

    /// As [`Functions::resolve`], but a function that is being created is made ready first.
    pub async fn resolve_ready(&self, f: &FunctionRef) -> Result<Arc<Deployed>, ResolveError> {
        let found = self.resolve(f)?;
        if found.state != State::Pending {
            return Ok(found);
        }
        self.settle_now(&Key::of(f)).await;
        self.resolve(f)
    }

    /// The version as the API shows it: an update in progress is visible.
    pub fn describe(&self, f: &FunctionRef) -> Result<Details, ResolveError> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        // Only calls are split: a weighted alias is shown as its first version.
        let deployed = entry
            .find(f.qualifier.as_ref(), entry.shown(), || 1.0)
            .ok_or_else(|| not_found(f))?;
        let is_idle = self.0.idle.is_idle(&deployed, self.0.tasks.clock().now());
        Ok(Details {
            deployed: asleep(deployed, is_idle),
            tags: entry.tags.clone(),
            reserved: entry.reserved,
            allows_recursion: entry.allows_recursion,
        })
    }

    /// Whether the function exists, whatever the qualifier says.
    pub fn exists(&self, f: &FunctionRef) -> bool {
        self.entry(f).is_some()
    }

    /// Functions of one account and region in the order of their names.
    pub fn list(
        &self,
        account: &Account,
        region: &Region,
        after: Option<&FunctionName>,
        max: usize,
    ) -> Vec<Arc<Deployed>> {
        let index = &self.0.index;
        index
            .names(account, region, after, max)
            .iter()
            .filter_map(|key| index.get(key))
            .map(|entry| entry.shown().clone())
            .collect()
    }

    /// `$LATEST`, then the published versions in the order of their numbers.
    pub fn list_versions(&self, f: &FunctionRef) -> Result<Vec<Arc<Deployed>>, ResolveError> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        Ok(std::iter::once(entry.shown().clone())
            .chain(entry.versions.values().cloned())
            .collect())
    }

    pub fn alias(&self, f: &FunctionRef) -> Result<Arc<Alias>, Error> {
        let found = match &f.qualifier {
            Some(Qualifier::Alias(name)) => {
                self.entry(f).and_then(|e| e.aliases.get(name).cloned())
            }
            _ => None,
        };
        found.ok_or_else(|| Error::AliasNotFound { arn: f.to_string() })
    }

    /// In the order of their names.
    pub fn list_aliases(&self, f: &FunctionRef) -> Result<Vec<Arc<Alias>>, ResolveError> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        Ok(entry.aliases.values().cloned().collect())
    }

    /// What one account holds in one region. Cost grows with the number of its functions.
    pub fn usage(&self, account: &Account, region: &Region) -> Usage {
        let index = &self.0.index;
        let keys = index.names(account, region, None, usize::MAX);
        let own = Usage {
            functions: 0,
            code_bytes: self.layer_bytes(account, region),
        };
        keys.iter()
            .filter_map(|key| index.get(key))
            .fold(own, |sum, entry| Usage {
                functions: sum.functions + 1,
                code_bytes: sum.code_bytes
                    + entry.shown().code.bytes()
                    + entry.versions.values().map(|v| v.code.bytes()).sum::<u64>(),
            })
    }

    /// The exact bytes of the zip with this digest, in lower-case hexadecimal.
    pub async fn zip(&self, digest: &str) -> Result<Bytes, Error> {
        Ok(self.0.code.zip(parse_digest(digest)?).await?)
    }

    /// Removes code that nothing holds any more, as the background work does from time to time.
    /// Gives how much was removed.
    pub async fn sweep_code(&self) -> Result<usize, Error> {
        Ok(self.0.code.sweep().await?)
    }

    /// Packages that were unpacked since the start: each once, however many functions and calls use it.
    pub fn packages_unpacked(&self) -> u64 {
        self.0.code.unpacked()
    }

    /// Changes from now on. A reader that falls behind gets `Lagged` and must look at
    /// [`Functions::is_current`] of what it holds.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Whether calls still resolve to this.
    pub fn is_current(&self, deployed: &Deployed) -> bool {
        self.0
            .index
            .get(&Key::of(&deployed.function))
            .is_some_and(|entry| match deployed.version {
                model::Version::Latest => entry.running.generation == deployed.generation,
                model::Version::Published(n) => entry
                    .versions
                    .get(&n)
                    .is_some_and(|v| v.generation == deployed.generation),
            })
    }

    pub(crate) fn entry(&self, f: &FunctionRef) -> Option<Arc<Entry>> {
        self.0.index.get(&Key::of(f))
    }

    pub(crate) fn announce(&self, change: Change) {
        // No receiver is no error: nobody holds environments yet.
        let _ = self.0.changes.send(change);
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.0.generations.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn writer(&self, key: &Key) -> &Mutex<()> {
        static NOBODY: Mutex<()> = Mutex::const_new(());
        let writers = &self.0.writers;
        writers.get(key.shard(writers.len())).unwrap_or(&NOBODY)
    }

    #[allow(clippy::cast_precision_loss)] // a share needs no more than 53 bits
    pub(crate) fn draw(&self) -> f64 {
        (self.0.tasks.ids().u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// As it is shown and called while it is idle.
pub(crate) fn asleep(deployed: Arc<Deployed>, is_idle: bool) -> Arc<Deployed> {
    match deployed.state {
        State::Active if is_idle => Arc::new(deployed.inactive()),
        _ => deployed,
    }
}

/// [Lambda API: ResourceNotFoundException]
pub(crate) fn not_found(f: &FunctionRef) -> ResolveError {
    ResolveError::NotFound { arn: f.to_string() }
}
