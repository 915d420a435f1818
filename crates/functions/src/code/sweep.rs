use std::time::Duration;

use async_trait::async_trait;
use tasks::{Clock, Progress, WorkError, Worker};

use super::CodeStore;

/// How long code stays on disk, at the least, after its last function went.
const PAUSE: Duration = Duration::from_secs(300);

/// Removes code that no function and no environment holds.
pub(crate) struct Sweeper {
    code: CodeStore,
    clock: Clock,
}

impl Sweeper {
    pub(crate) fn new(code: CodeStore, clock: Clock) -> Sweeper {
        Sweeper { code, clock }
    }
}

#[async_trait]
impl Worker for Sweeper {
    fn name(&self) -> String {
        "functions: sweep code".to_owned()
    }

    async fn wait(&mut self) {
        self.clock.sleep(PAUSE).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        let removed = self.code.sweep().await?;
        if removed > 0 {
            tracing::info!(removed, "unused code removed");
        }
        Ok(Progress::More)
    }
}
