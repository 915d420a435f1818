use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::ports::{Parcel, Posting, Target, Undelivered};
use store::{Handler, LanesConfig, Leased, Next, StoreError};
use tasks::{Tasks, Worker};

use crate::untried::Untried;
use crate::verdict::{Verdict, verdict};
use crate::{Counters, DurableOutbox, Exhausted, Step, Witness, dead_letter, stored};

/// Who receives, by the service in the ARN: `sqs`, `sns`, `lambda`, `events`.
#[derive(Clone, Default)]
pub struct Registry(HashMap<&'static str, Arc<dyn Target>>);

impl Registry {
    #[must_use]
    pub fn with(mut self, service: &'static str, target: Arc<dyn Target>) -> Registry {
        self.0.insert(service, target);
        self
    }
}

#[derive(Debug, Clone, Copy)]
pub struct DelivererConfig {
    /// Deliveries at once; one receiver alone gets half of them.
    pub deliveries_max: usize,
    /// Bytes of their bodies.
    pub bytes_max: usize,
    /// How long one try may take.
    pub try_max: Duration,
}

impl Default for DelivererConfig {
    fn default() -> DelivererConfig {
        DelivererConfig {
            deliveries_max: 512,
            bytes_max: 64 << 20,
            try_max: Duration::from_secs(30),
        }
    }
}

/// Brings what the outbox holds to its receivers.
pub struct Deliverer {
    outbox: DurableOutbox,
    registry: Registry,
    witnesses: Vec<Arc<dyn Witness>>,
    counters: Counters,
    untried: Untried,
    tasks: Tasks,
    config: DelivererConfig,
}

impl Deliverer {
    pub fn new(outbox: &DurableOutbox, registry: Registry, tasks: &Tasks) -> Deliverer {
        Deliverer {
            outbox: outbox.clone(),
            registry,
            witnesses: Vec::new(),
            counters: Counters::default(),
            untried: Untried::default(),
            tasks: tasks.clone(),
            config: DelivererConfig::default(),
        }
    }

    #[must_use]
    pub fn with_config(mut self, config: DelivererConfig) -> Deliverer {
        self.config = config;
        self
    }

    /// One more who hears of every try.
    #[must_use]
    pub fn with_witness(mut self, witness: Arc<dyn Witness>) -> Deliverer {
        self.witnesses.push(witness);
        self
    }

    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// The loop that delivers; there is one for an outbox.
    pub fn worker(self) -> impl Worker {
        let config = LanesConfig {
            handled_max: self.config.deliveries_max,
            bytes_max: self.config.bytes_max,
        };
        let lanes = self.outbox.lanes.clone();
        lanes.drain(Arc::new(self), config)
    }

    async fn try_once(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let Some(target) = self.registry.0.get(parcel.to.service.as_str()) else {
            return Err(Undelivered::Refused {
                code: "InvalidTarget".to_owned(),
                message: format!("Kiln delivers nothing to {}", parcel.to),
            });
        };
        let limit = self.config.try_max;
        let delivered = self.tasks.clock().timeout(limit, target.deliver(parcel));
        delivered.await.unwrap_or_else(|_| {
            Err(Undelivered::Later {
                code: "RequestTimeout".to_owned(),
                message: format!("no answer within {} s", limit.as_secs()),
            })
        })
    }

    fn note(&self, parcel: &Parcel, attempt: u32, step: &Step) {
        let (to, sender) = (parcel.to.to_string(), parcel.sender.source.to_string());
        self.counters.count(&sender, |counts| match step {
            Step::Delivered => counts.delivered += 1,
            Step::Again { .. } => counts.retried += 1,
            Step::DeadLettered { .. } => counts.dead_lettered += 1,
            Step::Lost { .. } => counts.lost += 1,
        });
        let id = &parcel.id;
        match step {
            Step::Delivered => tracing::debug!(id, to, attempt, "delivered"),
            Step::Again { why, .. } => tracing::debug!(id, to, attempt, %why, "not delivered yet"),
            Step::DeadLettered { why } => {
                tracing::info!(id, to, sender, attempt, %why, "sent to the dead-letter queue");
            }
            Step::Lost { why } => tracing::warn!(id, to, sender, attempt, %why, "not delivered"),
        }
        for witness in &self.witnesses {
            witness.saw(parcel, attempt, step);
        }
    }

    /// Nothing more is tried: the dead-letter queue gets it, where there is one.
    async fn give_up(
        &self,
        posting: &Posting,
        why: Undelivered,
        exhausted: Exhausted,
        attempt: u32,
    ) -> Result<(), StoreError> {
        let Some(letter) = &posting.dead_letter else {
            self.note(&posting.parcel, attempt, &Step::Lost { why });
            return Ok(());
        };
        let next = dead_letter::posting(posting, letter, &why, exhausted, attempt);
        let posted = self.outbox.post_dead_letter(&next).await;
        posted.map_err(|error| StoreError::Io(error.to_string().into()))?;
        self.note(&posting.parcel, attempt, &Step::DeadLettered { why });
        Ok(())
    }
}

#[async_trait]
impl Handler for Deliverer {
    async fn handle(&self, message: &Leased) -> Result<Next, StoreError> {
        let posting = match stored::decode(&message.body) {
            Ok(posting) => posting,
            // Another version may read it.
            Err(error) => {
                let why = error.to_string();
                return Ok(Next::Aside { why });
            }
        };
        let parcel = &posting.parcel;
        let attempt = self.untried.tries(message);
        let Err(why) = self.try_once(parcel).await else {
            self.untried.forget(&message.id);
            self.note(parcel, attempt, &Step::Delivered);
            return Ok(Next::Done);
        };
        let is_busy = matches!(why, Undelivered::Busy { .. });
        let (now, dice) = (self.tasks.clock().now(), self.tasks.ids().u64());
        let posted = message.enqueued;
        match verdict(&why, attempt, posted, now, posting.patience, dice) {
            Verdict::Again(at) if is_busy => {
                tracing::debug!(id = parcel.id, %why, "waits for its turn");
                self.untried.add(&message.id);
                Ok(Next::At(at))
            }
            Verdict::Again(at) => {
                self.note(parcel, attempt, &Step::Again { why, at });
                Ok(Next::At(at))
            }
            Verdict::GiveUp(exhausted) => {
                self.untried.forget(&message.id);
                self.give_up(&posting, why, exhausted, attempt).await?;
                Ok(Next::Done)
            }
        }
    }
}
