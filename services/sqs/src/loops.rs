use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tasks::{Progress, WorkError, Worker};

use crate::engine::Engine;
use crate::shelf::Seq;

/// How often receives are written down: a crash forgets those of about twice this time.
const WAIT: Duration = Duration::from_secs(1);
/// Every so many rounds messages are looked for that are too old.
const SWEEP_ROUNDS: u64 = 10;

/// Does late what no caller waits for: receives on the disk, old messages away, purges to their end.
pub(crate) struct Housekeeper {
    engine: Arc<Engine>,
    rounds: u64,
    /// How far each queue was searched for old messages.
    cursors: HashMap<String, Seq>,
}

impl Housekeeper {
    pub(crate) fn new(engine: Arc<Engine>) -> Housekeeper {
        Housekeeper {
            engine,
            rounds: 0,
            cursors: HashMap::new(),
        }
    }

    /// Goes on with what the last process left.
    async fn resume(&self) -> Result<(), WorkError> {
        for queue in self.engine.keep.all_purged().await? {
            while self.engine.keep.clear(&queue).await? {}
        }
        self.engine.load_moves().await?;
        Ok(())
    }
}

#[async_trait]
impl Worker for Housekeeper {
    fn name(&self) -> String {
        "sqs housekeeper".to_owned()
    }

    async fn wait(&mut self) {
        self.engine.tasks.clock().sleep(WAIT).await;
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        if self.rounds == 0 {
            self.resume().await?;
        }
        self.rounds += 1;
        let is_sweep = self.rounds.is_multiple_of(SWEEP_ROUNDS);
        for live in self.engine.lives.open() {
            live.save_receipts().await?;
            if is_sweep {
                let after = self.cursors.remove(&live.id);
                if let Some(next) = live.sweep(after).await? {
                    self.cursors.insert(live.id.clone(), next);
                }
            }
        }
        Ok(Progress::More)
    }
}
