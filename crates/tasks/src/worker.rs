use async_trait::async_trait;

/// A background loop, split so that only its waiting is ever cancelled.
#[async_trait]
pub trait Worker: Send {
    fn name(&self) -> String;

    /// Returns when there may be something to do. May be dropped at any await.
    async fn wait(&mut self);

    /// One bounded unit of work; runs to its end.
    async fn work(&mut self) -> Result<Progress, WorkError>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Call `wait` again.
    More,
    /// The loop is finished for good.
    Done,
}

pub type WorkError = Box<dyn std::error::Error + Send + Sync>;

/// One row of the operator's table of workers.
#[derive(Debug, Clone)]
pub struct WorkerStatus {
    pub name: String,
    pub units: u64,
    pub errors: u64,
    pub last_error: Option<String>,
}

impl WorkerStatus {
    pub(crate) fn new(name: String) -> WorkerStatus {
        WorkerStatus {
            name,
            units: 0,
            errors: 0,
            last_error: None,
        }
    }
}
