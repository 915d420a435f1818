use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::ports::{NotPosted, Outbox, Posting, Unanswered, Web, WebAnswer, WebRequest};
use store::simulated::{self, Disk};
use store::{Key, Space, Store};
use tokio::sync::Notify;
use wire::testing::QueryClient;
use wire::{Access, Router};

/// Keeps what was posted.
#[derive(Default)]
pub(crate) struct Kept {
    posted: Mutex<Vec<Posting>>,
    /// Whether the next post waits for its release.
    holds: AtomicBool,
    released: Notify,
}

#[async_trait]
impl Outbox for Kept {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        if self.holds.swap(false, Ordering::Relaxed) {
            self.released.notified().await;
        }
        self.posted.lock().unwrap().extend(postings);
        Ok(())
    }
}

/// Lets every URL pass but those of `internal.example`, and counts what it does not send.
#[derive(Default)]
struct Checked(AtomicUsize);

#[async_trait]
impl Web for Checked {
    fn check(&self, url: &str) -> Result<(), Unanswered> {
        match url.contains("internal.example") {
            true => Err(Unanswered::Forbidden("it is internal".to_owned())),
            false => Ok(()),
        }
    }

    async fn send(&self, _: WebRequest<'_>) -> Result<WebAnswer, Unanswered> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Unanswered::Failed("nothing is sent".to_owned()))
    }
}

/// SNS on a simulated disk.
pub(crate) struct Sns {
    client: QueryClient,
    pub(crate) engine: Arc<sns::Engine>,
    outbox: Arc<Kept>,
    web: Arc<Checked>,
    store: Store,
    disk: Disk,
}

impl Sns {
    pub(crate) async fn new() -> Sns {
        Sns::with_policies(false).await
    }

    /// One that asks for statements in policies as AWS does, or lets services in without.
    pub(crate) async fn with_policies(needs_policies: bool) -> Sns {
        let (store, disk, _) = simulated::open(7);
        let outbox = Arc::new(Kept::default());
        let web = Arc::new(Checked::default());
        let settings = sns::Settings {
            base: "http://127.0.0.1:4566".to_owned(),
            needs_policies,
        };
        let engine = sns::open(&store, disk.tasks(), outbox.clone(), web.clone(), settings)
            .await
            .unwrap();
        let router = Router::new(Access::off()).with(sns::service(engine.clone()));
        Sns {
            client: QueryClient::new(router, "sns", "2010-03-31"),
            engine,
            outbox,
            web,
            store,
            disk,
        }
    }

    /// Moves the clock and lets the background work go on until it waits again.
    pub(crate) async fn pass(&self, time: Duration) {
        settle().await;
        self.disk.control().advance(time);
        settle().await;
    }

    /// Subscriptions on the disk, whatever their state.
    pub(crate) async fn stored(&self) -> usize {
        self.rows("subscription").await
    }

    /// Deduplication ids on the disk.
    pub(crate) async fn remembered(&self) -> usize {
        self.rows("published").await
    }

    async fn rows(&self, kind: &str) -> usize {
        let prefix = Key::prefix(&[kind]);
        let rows = self.store.records.scan(Space("sns"), &prefix, None, 1_000);
        rows.await.unwrap().len()
    }

    /// What was posted since the last time.
    pub(crate) fn posted(&self) -> Vec<Posting> {
        std::mem::take(&mut *self.outbox.posted.lock().unwrap())
    }

    /// HTTP requests so far.
    pub(crate) fn sent(&self) -> usize {
        self.web.0.load(Ordering::Relaxed)
    }

    /// Whoever posts next waits until [`Sns::release_post`].
    pub(crate) fn hold_first_post(&self) {
        self.outbox.holds.store(true, Ordering::Relaxed);
    }

    pub(crate) fn release_post(&self) {
        self.outbox.released.notify_one();
    }

    /// Lets every task go as far as it can.
    pub(crate) async fn settle(&self) {
        settle().await;
    }
}

impl Deref for Sns {
    type Target = QueryClient;

    fn deref(&self) -> &QueryClient {
        &self.client
    }
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
