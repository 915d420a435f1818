use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ::store::{Blobs, Digest, Store, StoreError};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use tasks::Tasks;

use super::merge::{merge, size};
use super::unpack::{check, remove_tree, unpack};
use super::{Code, CodeError};

/// Unpacked code in `<data>/code/<digest>`, and the zips as blobs. Merges of layers lie beside it,
/// named by the digest of their parts' digests, without a blob.
///
/// A directory comes before its blob and goes after it, so what a crash leaves behind is a directory
/// that the sweeper finds. One digest is worked on by one task at a time.
#[derive(Clone)]
pub(crate) struct CodeStore(Arc<Inner>);

struct Inner {
    root: PathBuf,
    blobs: Arc<dyn Blobs>,
    tasks: Tasks,
    slots: Mutex<HashMap<Digest, Slot>>,
    /// Packages that were unpacked since the start.
    unpacked: AtomicU64,
}

#[derive(Default, Clone)]
struct Slot {
    live: Weak<Code>,
    gate: Arc<tokio::sync::Mutex<()>>,
}

/// Zips under it are hashed where they arrive.
const HASHED_INLINE_MAX: usize = 64 * 1024;
/// Holds what is being unpacked or removed.
const SCRATCH: &str = ".scratch";

fn sha256(zip: &[u8]) -> Digest {
    let mut out = [0; 32];
    let hash = digest(&SHA256, zip);
    out.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    Digest(out)
}

impl CodeStore {
    pub(crate) async fn open(
        data: &Path,
        store: &Store,
        tasks: &Tasks,
    ) -> Result<CodeStore, CodeError> {
        let root = data.join("code");
        let made = root.clone();
        tasks
            .blocking(move || {
                let scratch = made.join(SCRATCH);
                fs::create_dir_all(&made)?;
                remove_tree(&scratch)?;
                fs::create_dir(&scratch)
            })
            .await
            .map_err(|_| CodeError::ShuttingDown)??;
        Ok(CodeStore(Arc::new(Inner {
            root,
            blobs: store.blobs.clone(),
            tasks: tasks.clone(),
            slots: Mutex::default(),
            unpacked: AtomicU64::new(0),
        })))
    }

    /// Checks, unpacks and keeps a zip; durable when it returns. The same zip again is found.
    pub(crate) async fn keep(&self, zip: Bytes) -> Result<Arc<Code>, CodeError> {
        let digest = self.digest(&zip).await?;
        let gate = self.slot(digest).gate;
        let _alone = gate.lock().await;
        if let Some(code) = self.slot(digest).live.upgrade() {
            return Ok(code);
        }
        self.unpack(digest, zip.clone()).await?;
        if !self.0.blobs.contains(&digest).await? {
            self.0.blobs.put(zip.clone()).await?;
        }
        Ok(self.enter(digest, bytes(&zip)))
    }

    /// Checks a zip and keeps nothing.
    pub(crate) async fn check(&self, zip: Bytes) -> Result<Code, CodeError> {
        let digest = self.digest(&zip).await?;
        let size = bytes(&zip);
        self.blocking(move || check(zip)).await??;
        Ok(self.describe(digest, size))
    }

    /// Code that was kept by an earlier process; unpacked anew if its directory is gone.
    pub(crate) async fn open_kept(
        &self,
        digest: Digest,
        bytes: u64,
    ) -> Result<Arc<Code>, CodeError> {
        let gate = self.slot(digest).gate;
        let _alone = gate.lock().await;
        if let Some(code) = self.slot(digest).live.upgrade() {
            return Ok(code);
        }
        if !self.dir(digest).is_dir() {
            let zip = self.0.blobs.get(&digest).await?;
            self.unpack(digest, zip).await?;
        }
        Ok(self.enter(digest, bytes))
    }

    /// Several packages as one folder, lowest first. The same packages again are found.
    pub(crate) async fn merged(&self, parts: &[Arc<Code>]) -> Result<Arc<Code>, CodeError> {
        let mut all = b"merge".to_vec();
        parts
            .iter()
            .for_each(|p| all.extend_from_slice(&p.digest.0));
        let digest = sha256(&all);
        let gate = self.slot(digest).gate;
        let _alone = gate.lock().await;
        if let Some(code) = self.slot(digest).live.upgrade() {
            return Ok(code);
        }
        let from: Vec<PathBuf> = parts.iter().map(|p| p.dir.clone()).collect();
        let (scratch, target) = (self.scratch(), self.dir(digest));
        self.blocking(move || match target.is_dir() {
            true => Ok(()),
            false => merge(&from, &scratch, &target),
        })
        .await??;
        Ok(self.enter(digest, 0))
    }

    /// Bytes of all files of a package.
    pub(crate) async fn unzipped(&self, code: &Code) -> Result<u64, CodeError> {
        let dir = code.dir.clone();
        Ok(self.blocking(move || size(&dir)).await??)
    }

    /// Stands for code that is needed but cannot be had.
    pub(crate) fn lost(&self, digest: Digest, bytes: u64) -> Arc<Code> {
        Arc::new(self.describe(digest, bytes))
    }

    pub(crate) async fn zip(&self, digest: Digest) -> Result<Bytes, CodeError> {
        Ok(self.0.blobs.get(&digest).await?)
    }

    /// Removes code that nothing holds any more. Gives how much was removed.
    pub(crate) async fn sweep(&self) -> Result<usize, CodeError> {
        let root = self.0.root.clone();
        let found: Vec<Digest> = self
            .blocking(move || -> std::io::Result<Vec<Digest>> {
                let names = fs::read_dir(root)?
                    .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                Ok(names
                    .filter_map(|name| crate::records::parse_digest(&name).ok())
                    .collect())
            })
            .await??;
        let mut removed = 0;
        for digest in found {
            let gate = self.slot(digest).gate;
            // Whoever holds the gate is about to use it.
            let Ok(_alone) = gate.try_lock() else {
                continue;
            };
            if self.slot(digest).live.strong_count() == 0 {
                self.remove(digest).await?;
                removed += 1;
            }
        }
        self.slots()
            .retain(|_, slot| slot.live.strong_count() > 0 || Arc::strong_count(&slot.gate) > 1);
        Ok(removed)
    }

    async fn remove(&self, digest: Digest) -> Result<(), CodeError> {
        match self.0.blobs.delete(&digest).await {
            Ok(()) | Err(StoreError::NoSuchBlob(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let (dir, doomed) = (self.dir(digest), self.scratch());
        self.blocking(move || {
            fs::rename(dir, &doomed)?;
            remove_tree(&doomed)
        })
        .await??;
        Ok(())
    }

    async fn unpack(&self, digest: Digest, zip: Bytes) -> Result<(), CodeError> {
        let (scratch, target) = (self.scratch(), self.dir(digest));
        let is_new = self
            .blocking(move || match target.is_dir() {
                true => Ok(false),
                false => unpack(zip, &scratch, &target).map(|()| true),
            })
            .await??;
        self.0
            .unpacked
            .fetch_add(u64::from(is_new), Ordering::Relaxed);
        Ok(())
    }

    /// Packages that were unpacked since the start.
    pub(crate) fn unpacked(&self) -> u64 {
        self.0.unpacked.load(Ordering::Relaxed)
    }

    async fn digest(&self, zip: &Bytes) -> Result<Digest, CodeError> {
        if zip.len() <= HASHED_INLINE_MAX {
            return Ok(sha256(zip));
        }
        let zip = zip.clone();
        self.blocking(move || sha256(&zip)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CodeError> {
        let done = self.0.tasks.blocking(work).await;
        done.map_err(|_| CodeError::ShuttingDown)
    }

    fn enter(&self, digest: Digest, bytes: u64) -> Arc<Code> {
        let code = Arc::new(self.describe(digest, bytes));
        self.slots().entry(digest).or_default().live = Arc::downgrade(&code);
        code
    }

    fn describe(&self, digest: Digest, bytes: u64) -> Code {
        Code {
            digest,
            bytes,
            dir: self.dir(digest),
        }
    }

    fn dir(&self, digest: Digest) -> PathBuf {
        self.0.root.join(digest.to_string())
    }

    fn scratch(&self) -> PathBuf {
        self.0.root.join(SCRATCH).join(self.0.tasks.ids().hex(8))
    }

    fn slot(&self, digest: Digest) -> Slot {
        self.slots().entry(digest).or_default().clone()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Digest, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(zip: &Bytes) -> u64 {
    u64::try_from(zip.len()).unwrap_or(u64::MAX)
}
