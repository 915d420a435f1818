//! Code that is run from where it lies, for development: a folder stands in for the code of `$LATEST`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use model::{FunctionRef, Version};
use store::Digest;

use crate::code::Code;
use crate::deployed::{LastUpdate, Optimization, State};
use crate::functions::not_found;
use crate::index::Key;
use crate::{Change, Deployed, Error, Functions};

impl Functions {
    /// Has calls of `$LATEST` run what lies in `dir` from now on, and lets environments of the former code
    /// finish. `state` tells one state of the folder from another.
    ///
    /// Nothing is copied and nothing is kept: after a restart the function has the code that it was made with.
    ///
    /// # Errors
    /// Fails if there is no such function, or if it is still being made.
    pub async fn run_folder(
        &self,
        f: &FunctionRef,
        dir: PathBuf,
        state: &str,
    ) -> Result<Arc<Deployed>, Error> {
        let key = Key::of(f);
        let _writer = self.writer(&key).lock().await;
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        if entry.running.state == State::Pending {
            return Err(Error::NotReady {
                arn: f.unqualified_arn(),
                state: entry.running.state.as_str(),
            });
        }
        let former = entry.running.clone();
        let revision = self.0.tasks.ids().uuid();
        let live = Arc::new(Deployed {
            function: former.function.clone(),
            version: Version::Latest,
            revision: revision.clone(),
            revision_settled: revision,
            generation: self.next_generation(),
            config: former.config.clone(),
            code: Arc::new(Code::of_folder(digest_of(&dir, state), dir)),
            layers: former.layers.clone(),
            state: State::Active,
            last_update: Some(LastUpdate::Successful),
            last_modified: self.0.tasks.clock().now(),
            optimization: Optimization::Off,
        });
        let mut next = (*entry).clone();
        next.running = live.clone();
        self.0.index.put(&key, next);
        self.announce(Change::Retired(former));
        self.announce(Change::Live(live.clone()));
        Ok(live)
    }
}

fn digest_of(dir: &Path, state: &str) -> Digest {
    let mut all = dir.as_os_str().as_encoded_bytes().to_vec();
    all.push(0);
    all.extend_from_slice(state.as_bytes());
    let mut out = [0; 32];
    let hash = digest(&SHA256, &all);
    out.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    Digest(out)
}
