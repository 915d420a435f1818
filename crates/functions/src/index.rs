use std::collections::hash_map::{DefaultHasher, HashMap};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Account, AliasName, FunctionName, FunctionRef, Published, Qualifier, Region};

use crate::concurrency::{Book, Provisioned};
use crate::urls::Urls;
use crate::{Alias, Attached, Deployed, Policy};

/// The functions of this process in memory: what the warm path reads.
///
/// Sharded by name, so that readers of different functions do not meet; an entry is immutable and
/// replaced as a whole, so a reader holds a lock only to clone a pointer.
pub(crate) struct Index {
    shards: Vec<RwLock<HashMap<Key, Arc<Entry>>>>,
    /// All keys in order, for lists.
    names: RwLock<BTreeSet<Key>>,
    /// Functions with an update under way.
    updating: Mutex<HashSet<Key>>,
    /// What functions claim of their accounts' concurrency.
    pub(crate) book: Book,
    pub(crate) urls: Urls,
}

const SHARDS: usize = 32;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) name: FunctionName,
}

impl Key {
    pub(crate) fn of(f: &FunctionRef) -> Key {
        Key {
            account: f.account.clone(),
            region: f.region.clone(),
            name: f.name.clone(),
        }
    }

    pub(crate) fn shard(&self, shards: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        usize::try_from(hasher.finish() % u64::try_from(shards.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// The parts of its records' keys.
    pub(crate) fn parts(&self) -> [&str; 3] {
        [
            self.account.as_str(),
            self.region.as_str(),
            self.name.as_str(),
        ]
    }

    pub(crate) fn function(&self) -> FunctionRef {
        FunctionRef {
            account: self.account.clone(),
            region: self.region.clone(),
            name: self.name.clone(),
            qualifier: None,
        }
    }
}

/// One function.
#[derive(Clone)]
pub(crate) struct Entry {
    /// `$LATEST` as it runs.
    pub(crate) running: Arc<Deployed>,
    /// `$LATEST` as it will run when the update has settled.
    pub(crate) pending: Option<Arc<Deployed>>,
    pub(crate) versions: BTreeMap<Published, Arc<Deployed>>,
    pub(crate) aliases: BTreeMap<AliasName, Arc<Alias>>,
    /// By qualifier; see `policies`.
    pub(crate) policies: BTreeMap<String, Arc<Policy>>,
    /// By qualifier; see `attached`.
    pub(crate) attached: BTreeMap<String, Arc<Attached>>,
    pub(crate) tags: Arc<BTreeMap<String, String>>,
    pub(crate) first_version: u32,
    pub(crate) last_version: u32,
    /// What `$LATEST` was when the last version was cut from it.
    pub(crate) published: Option<String>,
    pub(crate) reserved: Option<u32>,
    pub(crate) provisioned: Arc<BTreeMap<Qualifier, Provisioned>>,
    pub(crate) allows_recursion: bool,
    pub(crate) rev: store::Rev,
}

impl Entry {
    /// `$LATEST` as the API shows it.
    pub(crate) fn shown(&self) -> &Arc<Deployed> {
        self.pending.as_ref().unwrap_or(&self.running)
    }

    /// `draw` picks a version of a weighted alias: a number in `0.0 .. 1.0`.
    pub(crate) fn find(
        &self,
        qualifier: Option<&Qualifier>,
        latest: &Arc<Deployed>,
        draw: impl FnOnce() -> f64,
    ) -> Option<Arc<Deployed>> {
        match qualifier {
            None | Some(Qualifier::Latest) => Some(latest.clone()),
            Some(Qualifier::Version(n)) => self.versions.get(n).cloned(),
            Some(Qualifier::Alias(name)) => match self.aliases.get(name)?.pick(draw) {
                None => Some(latest.clone()),
                Some(n) => self.versions.get(&n).cloned(),
            },
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    pub(crate) fn new() -> Index {
        Index {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            names: RwLock::default(),
            updating: Mutex::default(),
            book: Book::default(),
            urls: Urls::default(),
        }
    }

    fn shard(&self, key: &Key) -> Option<&RwLock<HashMap<Key, Arc<Entry>>>> {
        self.shards.get(key.shard(self.shards.len()))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        read(self.shard(key)?).get(key).cloned()
    }

    pub(crate) fn put(&self, key: &Key, entry: Entry) {
        let Some(shard) = self.shard(key) else { return };
        let entry = Arc::new(entry);
        let old = write(shard).insert(key.clone(), entry.clone());
        self.book.replace(key, old.as_deref(), Some(&entry));
        self.urls.replace(key, old.as_deref(), Some(&entry));
        if old.is_none() {
            write(&self.names).insert(key.clone());
        }
    }

    pub(crate) fn remove(&self, key: &Key) -> Option<Arc<Entry>> {
        let gone = write(self.shard(key)?).remove(key);
        self.book.replace(key, gone.as_deref(), None);
        self.urls.replace(key, gone.as_deref(), None);
        write(&self.names).remove(key);
        gone
    }

    /// Names of one account and region in order, from behind `after`.
    pub(crate) fn names(
        &self,
        account: &Account,
        region: &Region,
        after: Option<&FunctionName>,
        max: usize,
    ) -> Vec<Key> {
        let key = |name: &FunctionName| Key {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
        };
        // `-` sorts before every other character of a name and is itself a name.
        let first = "-".parse::<FunctionName>().ok();
        let from = match (after, &first) {
            (Some(name), _) => Bound::Excluded(key(name)),
            (None, Some(name)) => Bound::Included(key(name)),
            (None, None) => Bound::Unbounded,
        };
        read(&self.names)
            .range((from, Bound::Unbounded))
            .take_while(|k| k.account == *account && k.region == *region)
            .take(max)
            .cloned()
            .collect()
    }

    /// Claims the right to update; `None` while another holds it. Given back by drop.
    pub(crate) fn claim(self: &Arc<Self>, key: &Key) -> Option<Claim> {
        self.updating().insert(key.clone()).then(|| Claim {
            index: self.clone(),
            key: key.clone(),
        })
    }

    fn updating(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.updating.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to update one function.
pub(crate) struct Claim {
    index: Arc<Index>,
    key: Key,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.index.updating().remove(&self.key);
    }
}
