use std::sync::Arc;

use model::ports::{Outbox, Web};
use store::{Expect, Op, Row, Space, Store, StoreError, Table};
use tasks::{Clock, Ids, Rates, Tasks};
use tokio::sync::OnceCell;

use crate::fault::Fault;
use crate::mobile::{Application, Endpoint};
use crate::names::{SubscriptionRef, TopicRef};
use crate::record::{Published, SigningKey, SmsAttributes, Subscription, Topic};
use crate::sequence::Sequence;
use crate::signing::{self, Signer};
use crate::turns::Turns;

const SPACE: Space = Space("sns");

/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// Subscriptions of one topic. Differs: AWS allows 12.5 million.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Filter policies of one topic.  [SNS guide: filter policy constraints]
pub(crate) const FILTERS_MAX: usize = 200;

/// Operations in one transaction of the store.
pub(crate) const TXN_MAX: usize = 100;

/// What SNS is told of the server around it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where receivers reach this server: `http://127.0.0.1:4566`.
    pub base: String,
    /// Whether other services need a statement in the policy of a topic before they may publish to it.
    pub needs_policies: bool,
}

/// The stored topics and subscriptions of all accounts.
pub struct Engine {
    pub(crate) topics: Table<Topic>,
    pub(crate) subscriptions: Table<Subscription>,
    pub(crate) published: Table<Published>,
    pub(crate) sms: Table<SmsAttributes>,
    pub(crate) applications: Table<Application>,
    pub(crate) endpoints: Table<Endpoint>,
    keys: Table<SigningKey>,
    /// Made when it is first needed: that takes as long as the whole start.
    signer: OnceCell<Signer>,
    /// The last part of the certificate's URL.
    pub(crate) certificate_name: String,
    tasks: Tasks,
    pub(crate) sequence: Sequence,
    /// Of topics whose subscriptions change, of groups of FIFO topics, and of applications.
    pub(crate) turns: Turns,
    /// Of HTTP endpoints, by the ids of their subscriptions.
    pub(crate) rates: Rates,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) web: Arc<dyn Web>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
}

/// SNS could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Key(String),
}

impl From<signing::BadKey> for OpenError {
    fn from(error: signing::BadKey) -> OpenError {
        OpenError::Key(error.to_string())
    }
}

impl Engine {
    /// Opens the tables.
    ///
    /// # Errors
    /// Fails if the store does.
    pub async fn open(
        store: &Store,
        tasks: &Tasks,
        outbox: Arc<dyn Outbox>,
        web: Arc<dyn Web>,
        settings: Settings,
    ) -> Result<Engine, OpenError> {
        let keys: Table<SigningKey> = Table::new(store, SPACE);
        keys.seal_all().await?;
        let certificate_name = match stored(&keys).await? {
            Some(key) => key.name,
            // Nobody saw another name: it is told with signatures only, and those need the key.
            None => format!("SimpleNotificationService-{}.pem", tasks.ids().hex(16)),
        };
        Ok(Engine {
            topics: Table::new(store, SPACE),
            subscriptions: Table::new(store, SPACE),
            published: Table::new(store, SPACE),
            sms: Table::new(store, SPACE),
            applications: Table::new(store, SPACE),
            endpoints: Table::new(store, SPACE),
            keys,
            signer: OnceCell::new(),
            certificate_name,
            tasks: tasks.clone(),
            sequence: Sequence::default(),
            turns: Turns::default(),
            rates: Rates::default(),
            outbox,
            web,
            settings,
            clock: tasks.clock().clone(),
            ids: tasks.ids().clone(),
        })
    }

    /// What signs notifications. The first call makes its key, if none is stored.
    pub(crate) async fn signer(&self) -> Result<&Signer, Fault> {
        let made = self.signer.get_or_try_init(async || {
            let name = self.certificate_name.clone();
            let key = signing_key(&self.keys, &self.tasks, name).await?;
            Ok::<_, OpenError>(Signer::new(key)?)
        });
        made.await
            .map_err(|error| Fault::Internal(error.to_string()))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().unix_millis()
    }

    pub(crate) async fn topic(&self, at: &TopicRef) -> Result<Topic, Fault> {
        Ok(self.topic_row(at).await?.value)
    }

    async fn topic_row(&self, at: &TopicRef) -> Result<Row<Topic>, Fault> {
        self.topics
            .get(&parts(at))
            .await?
            .ok_or_else(Fault::no_topic)
    }

    pub(crate) async fn find_topic(&self, at: &TopicRef) -> Result<Option<Topic>, Fault> {
        Ok(self.topics.get(&parts(at)).await?.map(|row| row.value))
    }

    /// Writes a new topic; `false` if there is one of that name.
    pub(crate) async fn insert_topic(&self, at: &TopicRef, topic: &Topic) -> Result<bool, Fault> {
        match self.topics.put(&parts(at), topic, Expect::Absent).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads the topic, lets `edit` change it and writes it back, again if another writer was faster.
    pub(crate) async fn change_topic(
        &self,
        at: &TopicRef,
        edit: impl Fn(&mut Topic) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let mut row = self.topic_row(at).await?;
            edit(&mut row.value)?;
            let expect = Expect::At(row.rev);
            match self.topics.put(&parts(at), &row.value, expect).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Overtaken)
    }

    /// Deletes the topic and its subscriptions. The topic goes last, so that a second request finishes
    /// what a crash interrupted.
    pub(crate) async fn remove_topic(&self, at: &TopicRef) -> Result<(), Fault> {
        let subscriptions = self.all_subscriptions_of(at).await?;
        let ops: Vec<Op> = subscriptions
            .iter()
            .map(|s| {
                self.subscriptions
                    .delete_op(&[&at.account, &at.region, &at.name, &s.id], Expect::Any)
            })
            .collect();
        for chunk in ops.chunks(TXN_MAX) {
            self.subscriptions.txn(chunk.to_vec()).await?;
        }
        self.topics.delete(&parts(at), Expect::Any).await?;
        Ok(())
    }

    /// At most `max` topics of one account and region in the order of their names, from behind `after`.
    pub(crate) async fn list_topics(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Topic>, Fault> {
        let after = after.map(|name| self.topics.key(&[account, region, name]));
        let rows = self
            .topics
            .scan(&[account, region], after.as_ref(), max)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub(crate) async fn subscriptions_of(&self, at: &TopicRef) -> Result<Vec<Subscription>, Fault> {
        let mut all = self.all_subscriptions_of(at).await?;
        let now = self.now();
        all.retain(|subscription| !subscription.is_deleted() && !subscription.is_over(now));
        Ok(all)
    }

    /// With those that are deleted and may come back.
    pub(crate) async fn all_subscriptions_of(
        &self,
        at: &TopicRef,
    ) -> Result<Vec<Subscription>, Fault> {
        let rows = self
            .subscriptions
            .scan(&parts(at), None, SUBSCRIPTIONS_MAX)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub(crate) async fn subscription(&self, at: &SubscriptionRef) -> Result<Subscription, Fault> {
        self.find_subscription(at)
            .await?
            .ok_or_else(Fault::no_subscription)
    }

    pub(crate) async fn find_subscription(
        &self,
        at: &SubscriptionRef,
    ) -> Result<Option<Subscription>, Fault> {
        let found = self.any_subscription(at).await?;
        Ok(found.filter(|s| !s.is_deleted() && !s.is_over(self.now())))
    }

    /// Also one that is deleted and may come back, or that waited too long.
    pub(crate) async fn any_subscription(
        &self,
        at: &SubscriptionRef,
    ) -> Result<Option<Subscription>, Fault> {
        let row = self.subscriptions.get(&subscription_parts(at)).await?;
        Ok(row.map(|row| row.value))
    }

    pub(crate) async fn insert_subscription(
        &self,
        at: &SubscriptionRef,
        subscription: &Subscription,
    ) -> Result<(), Fault> {
        self.subscriptions
            .put(&subscription_parts(at), subscription, Expect::Absent)
            .await?;
        Ok(())
    }

    /// Like [`change_topic`](Self::change_topic).
    pub(crate) async fn change_subscription(
        &self,
        at: &SubscriptionRef,
        edit: impl Fn(&mut Subscription) -> Result<(), Fault> + Send + Sync,
    ) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let parts = subscription_parts(at);
            let mut row = self
                .subscriptions
                .get(&parts)
                .await?
                .ok_or_else(Fault::no_subscription)?;
            edit(&mut row.value)?;
            let expect = Expect::At(row.rev);
            match self.subscriptions.put(&parts, &row.value, expect).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(Fault::Overtaken)
    }

    pub(crate) async fn remove_subscription(&self, at: &SubscriptionRef) -> Result<(), Fault> {
        self.subscriptions
            .delete(&subscription_parts(at), Expect::Any)
            .await?;
        Ok(())
    }
}

/// The stored key. One that cannot be read is gone: another takes its place.
async fn stored(table: &Table<SigningKey>) -> Result<Option<SigningKey>, StoreError> {
    match table.get(&[]).await {
        Err(error @ StoreError::Damaged(_)) => {
            tracing::error!(%error, "notifications get a new signing key");
            table.delete(&[], Expect::Any).await.map(|_| None)
        }
        other => Ok(other?.map(|row| row.value)),
    }
}

/// The stored key, or a new one. Of two servers that make one at once the first to write wins.
async fn signing_key(
    table: &Table<SigningKey>,
    tasks: &Tasks,
    name: String,
) -> Result<SigningKey, OpenError> {
    if let Some(key) = stored(table).await? {
        return Ok(key);
    }
    let made = tasks
        .blocking(move || signing::generate(name))
        .await
        .map_err(|_| OpenError::Key("making the signing key failed".to_owned()))??;
    match table.put(&[], &made, Expect::Absent).await {
        Ok(_) => Ok(made),
        Err(StoreError::Conflict(_)) => {
            let row = table.get(&[]).await?;
            row.map(|row| row.value)
                .ok_or_else(|| OpenError::Key("the signing key went away".to_owned()))
        }
        Err(other) => Err(other.into()),
    }
}

pub(crate) fn parts(topic: &TopicRef) -> [&str; 3] {
    [&topic.account, &topic.region, &topic.name]
}

fn subscription_parts(at: &SubscriptionRef) -> [&str; 4] {
    let [account, region, name] = parts(&at.topic);
    [account, region, name, &at.id]
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use model::ports::{NotPosted, Posting, Unanswered, WebAnswer, WebRequest};

    use super::*;

    struct Nowhere;

    #[async_trait]
    impl Outbox for Nowhere {
        async fn post(&self, _: Vec<Posting>) -> Result<(), NotPosted> {
            Ok(())
        }
    }

    #[async_trait]
    impl Web for Nowhere {
        fn check(&self, _: &str) -> Result<(), Unanswered> {
            Ok(())
        }

        async fn send(&self, _: WebRequest<'_>) -> Result<WebAnswer, Unanswered> {
            Err(Unanswered::Failed("nowhere".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_start_makes_no_signing_key_and_the_first_signature_does() {
        let (store, disk, _) = store::simulated::open(7);
        let open = async || {
            let settings = Settings {
                base: "http://h".to_owned(),
                needs_policies: false,
            };
            Engine::open(
                &store,
                disk.tasks(),
                Arc::new(Nowhere),
                Arc::new(Nowhere),
                settings,
            )
            .await
            .unwrap()
        };
        let engine = open().await;
        assert!(engine.keys.get(&[]).await.unwrap().is_none());
        let made = engine.signer().await.unwrap().certificate_pem.clone();
        assert!(engine.keys.get(&[]).await.unwrap().is_some());
        // The next process has the same key under the same name.
        let again = open().await;
        assert_eq!(again.signer().await.unwrap().certificate_pem, made);
        assert_eq!(again.certificate_name, engine.certificate_name);
    }
}
