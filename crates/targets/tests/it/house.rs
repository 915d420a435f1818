use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::Arn;
use model::ports::{Outbox as _, Parcel, Patience, Posting, Sender, Target, Undelivered, Waits};
use store::simulated::{self, Disk};
use targets::{Counters, Counts, Deliverer, DelivererConfig, DurableOutbox, Registry};
use tasks::ClockControl;

/// A receiver: what came, and how it answers each resource.
#[derive(Default)]
pub(crate) struct Inbox {
    came: Mutex<Vec<Parcel>>,
    answer: Mutex<Vec<(&'static str, Answer)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Later,
    Refused,
    Busy,
    Never,
}

#[async_trait]
impl Target for Inbox {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        self.came.lock().unwrap().push(parcel.clone());
        let answers = self.answer.lock().unwrap().clone();
        let answer = answers.iter().find(|(to, _)| *to == parcel.to.resource);
        let (code, message) = ("Code".to_owned(), "why".to_owned());
        match answer {
            None => Ok(()),
            Some((_, Answer::Later)) => Err(Undelivered::Later { code, message }),
            Some((_, Answer::Refused)) => Err(Undelivered::Refused { code, message }),
            Some((_, Answer::Busy)) => Err(Undelivered::Busy {
                code,
                message,
                wait: Duration::from_secs(20),
            }),
            Some((_, Answer::Never)) => std::future::pending().await,
        }
    }
}

pub(crate) struct House {
    pub(crate) outbox: DurableOutbox,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) disk: Disk,
    pub(crate) control: ClockControl,
    pub(crate) counters: Option<Counters>,
}

impl House {
    pub(crate) fn new() -> House {
        let (store, disk, control) = simulated::open(3);
        House {
            outbox: DurableOutbox::open(&store, disk.tasks()),
            inbox: Arc::default(),
            disk,
            control,
            counters: None,
        }
    }

    /// What a restart after a power cut finds.
    pub(crate) fn crash(self) -> House {
        let (store, disk, control) = simulated::reopen(self.disk.crash()).unwrap();
        House {
            outbox: DurableOutbox::open(&store, disk.tasks()),
            inbox: self.inbox,
            disk,
            control,
            counters: None,
        }
    }

    pub(crate) fn deliver(&mut self) {
        let registry = Registry::default().with("sqs", self.inbox.clone());
        let deliverer = Deliverer::new(&self.outbox, registry, self.disk.tasks());
        let deliverer = deliverer.with_config(DelivererConfig {
            deliveries_max: 16,
            ..DelivererConfig::default()
        });
        self.counters = Some(deliverer.counters());
        self.disk.tasks().add(deliverer.worker());
    }

    pub(crate) fn answers(&self, resource: &'static str, answer: Answer) {
        self.inbox.answer.lock().unwrap().push((resource, answer));
    }

    pub(crate) fn answers_well(&self) {
        self.inbox.answer.lock().unwrap().clear();
    }

    pub(crate) async fn post(&self, posting: Posting) {
        self.outbox.post(vec![posting]).await.unwrap();
    }

    /// Resources and ids of what came, in order.
    pub(crate) fn came(&self) -> Vec<(String, String)> {
        let came = self.inbox.came.lock().unwrap();
        let of = |parcel: &Parcel| (parcel.to.resource.clone(), parcel.id.clone());
        came.iter().map(of).collect()
    }

    pub(crate) fn last(&self) -> Parcel {
        self.inbox.came.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counters.as_ref().unwrap().of(&rule().to_string())
    }

    /// Lets the time run on in steps until it is so; gives how long it took.
    pub(crate) async fn until(&self, step: Duration, is_so: impl Fn(&House) -> bool) -> Duration {
        let start = self.disk.clock().now();
        for _ in 0..20_000 {
            for _ in 0..50 {
                if is_so(self) {
                    return self.disk.clock().now().since(start);
                }
                tokio::task::yield_now().await;
            }
            self.control.advance(step);
        }
        panic!("never so; came {:?}", self.came());
    }
}

pub(crate) fn rule() -> Arn {
    "arn:aws:events:us-east-1:000000000000:rule/r"
        .parse()
        .unwrap()
}

pub(crate) fn queue(name: &str) -> Arn {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
        .parse()
        .unwrap()
}

pub(crate) fn posting(to: &str, id: &str) -> Posting {
    Posting {
        parcel: Parcel {
            id: id.to_owned(),
            to: queue(to),
            sender: Sender {
                service: "events.amazonaws.com",
                source: rule(),
                role: None,
            },
            body: Bytes::from_static(b"{}"),
            attributes: Vec::new(),
            subject: None,
            group: None,
            dedup: None,
            trace: None,
            event: None,
        },
        patience: Patience {
            retries_max: 4,
            age_max: Duration::from_secs(3_600),
            waits: Waits::Doubling,
        },
        dead_letter: None,
    }
}
