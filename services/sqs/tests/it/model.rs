//! Random operations on queues, held against a model that a page describes: what is ready, what is
//! not, and until when. Power cuts come between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tasks::Ids;

use crate::harness::Sqs;

/// Operations of one run in the short form.
const OPERATIONS: u64 = 1_000;
const RETRIES_MAX: u32 = 3;
const DEDUP_S: u64 = 300;
/// Dead messages after which their queue is looked through and emptied: what is checked once need not be
/// carried over every power loss that follows.
const DEAD_MAX: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Standard,
    Fifo,
    /// With a dead-letter queue.
    Mortal,
}

#[derive(Debug)]
struct Expected {
    body: String,
    group: String,
    /// Not to be received before.
    at: u64,
    handle: Option<String>,
    received: u32,
}

/// What the queue must hold, in the order of sending. Times in milliseconds since the start.
struct Model {
    kind: Kind,
    now: u64,
    next: u64,
    messages: BTreeMap<u64, Expected>,
    /// What the dead-letter queue must hold.
    dead: BTreeSet<String>,
    /// Deduplication id → until when, message id.
    recent: BTreeMap<String, (u64, String)>,
    /// Group → its last receive, in the row of sends and receives.
    served: BTreeMap<String, u64>,
    purged: Option<u64>,
}

impl Model {
    fn ready(&self) -> Vec<u64> {
        let mut held = BTreeSet::new();
        let mut ready = Vec::new();
        for (number, message) in &self.messages {
            // In FIFO order nothing overtakes what is held.
            if message.at > self.now || held.contains(&message.group) {
                if self.kind == Kind::Fifo {
                    held.insert(message.group.clone());
                }
                continue;
            }
            ready.push(*number);
        }
        ready
    }

    fn counts(&self) -> [u64; 3] {
        let all = || self.messages.values();
        let later = |m: &&Expected| m.at > self.now;
        let in_flight = all().filter(later).filter(|m| m.handle.is_some()).count();
        let delayed = all().filter(later).count() - in_flight;
        let ready = all().count() - in_flight - delayed;
        [ready, delayed, in_flight].map(|n| n as u64)
    }

    /// What a receive of `max` must give; what dies by it goes to the dead.
    fn receive(&mut self, max: usize, until: u64) -> Vec<u64> {
        let mut got = Vec::new();
        let groups: BTreeSet<String> = self.messages.values().map(|m| m.group.clone()).collect();
        let ready = self.ready();
        let order: Vec<u64> = match self.kind {
            // One group after the other, the one first that waits for longest: since its oldest message
            // was sent, or since it was served.
            Kind::Fifo => {
                let mut runs: Vec<Vec<u64>> = groups
                    .iter()
                    .map(|g| {
                        let of_group = |n: &&u64| self.messages[*n].group == *g;
                        ready.iter().filter(of_group).copied().collect()
                    })
                    .collect();
                runs.retain(|run| !run.is_empty());
                runs.sort_by_key(|run| {
                    let served = self.served.get(&self.messages[&run[0]].group);
                    served.copied().unwrap_or_default().max(run[0])
                });
                runs.concat()
            }
            _ => ready,
        };
        for number in order {
            if got.len() == max {
                break;
            }
            let message = self.messages.get_mut(&number).unwrap();
            if self.kind == Kind::Mortal && message.received >= RETRIES_MAX {
                let body = std::mem::take(&mut message.body);
                self.messages.remove(&number);
                self.dead.insert(body);
                continue;
            }
            message.received += 1;
            message.at = until;
            self.served.insert(message.group.clone(), self.next);
            self.next += 1;
            got.push(number);
        }
        got
    }
}

struct Run {
    sqs: Sqs,
    url: String,
    dead: String,
    model: Model,
    dice: Ids,
    /// Handles that were given out, also old ones.
    crashes: u64,
}

impl Run {
    async fn new(kind: Kind, seed: u64) -> Run {
        let sqs = Sqs::new();
        let dead = sqs.create("dead").await;
        let url = match kind {
            Kind::Standard => sqs.create("q").await,
            Kind::Fifo => {
                sqs.create_with("q.fifo", json!({"FifoQueue": "true"}))
                    .await
            }
            Kind::Mortal => {
                let target = "arn:aws:sqs:us-east-1:000000000000:dead";
                let policy = json!({"deadLetterTargetArn": target, "maxReceiveCount": RETRIES_MAX});
                sqs.create_with("q", json!({"RedrivePolicy": policy.to_string()}))
                    .await
            }
        };
        let model = Model {
            kind,
            now: 0,
            next: 0,
            messages: BTreeMap::new(),
            dead: BTreeSet::new(),
            recent: BTreeMap::new(),
            served: BTreeMap::new(),
            purged: None,
        };
        Run {
            sqs,
            url,
            dead,
            model,
            dice: Ids::seeded(seed),
            crashes: 0,
        }
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.u64() % sides
    }

    async fn step(&mut self) {
        match self.roll(1_000) {
            0..=349 => self.send().await,
            350..=599 => self.receive().await,
            600..=799 => self.delete().await,
            800..=869 => self.change().await,
            870..=979 => self.pass(self.roll(5_000)).await,
            980..=989 => self.pass(self.roll(60_000)).await,
            990 => self.purge().await,
            991..=993 => self.crash().await,
            _ => assert_eq!(self.sqs.counts(&self.url).await, self.model.counts()),
        }
        if self.model.dead.len() >= DEAD_MAX {
            self.bury().await;
        }
    }

    /// Empties the dead-letter queue, which must hold the dead and nothing else.
    async fn bury(&mut self) {
        self.pass(1_000).await;
        loop {
            let got = self.sqs.receive(&self.dead).await;
            if got.is_empty() {
                break;
            }
            for message in got {
                let body = message["Body"].as_str().unwrap();
                assert!(self.model.dead.remove(body), "{body} did not die");
                self.sqs.delete(&self.dead, &message).await;
            }
        }
        assert!(self.model.dead.is_empty(), "lost: {:?}", self.model.dead);
    }

    async fn send(&mut self) {
        let mut entries = Vec::new();
        let mut expected = Vec::new();
        for n in 0..=self.roll(3) {
            let number = self.model.next;
            self.model.next += 1;
            let body = format!("m{number}");
            let mut entry = json!({"Id": n.to_string(), "MessageBody": body});
            let mut message = Expected {
                body,
                group: String::new(),
                at: self.model.now,
                handle: None,
                received: 0,
            };
            let mut dedup = None;
            if self.model.kind == Kind::Fifo {
                message.group = format!("g{}", self.roll(4));
                // Few ids, so that many repeat.
                let id = format!("d{}", self.roll(1_000));
                entry["MessageGroupId"] = message.group.clone().into();
                entry["MessageDeduplicationId"] = id.clone().into();
                dedup = Some(id);
            } else if self.roll(4) == 0 {
                let delay = self.roll(10);
                entry["DelaySeconds"] = delay.into();
                message.at += delay * 1_000;
            }
            entries.push(entry);
            expected.push((number, message, dedup));
        }
        let batch = json!({"QueueUrl": self.url, "Entries": entries});
        let sent = self.sqs.ok("SendMessageBatch", batch).await;
        let sent = sent["Successful"].as_array().unwrap();
        assert_eq!(sent.len(), expected.len());
        for (answer, (number, message, dedup)) in sent.iter().zip(expected) {
            let id = answer["MessageId"].as_str().unwrap().to_owned();
            if let Some(dedup) = dedup {
                let model = &mut self.model;
                if let Some((until, known)) = model.recent.get(&dedup)
                    && *until > model.now
                {
                    assert_eq!(*known, id, "{dedup} was accepted twice");
                    continue;
                }
                let until = model.now + DEDUP_S * 1_000;
                model.recent.insert(dedup, (until, id));
            }
            self.model.messages.insert(number, message);
        }
    }

    async fn receive(&mut self) {
        let (max, visibility) = (1 + self.roll(10), self.roll(30));
        let input = json!({"QueueUrl": self.url, "MaxNumberOfMessages": max,
            "VisibilityTimeout": visibility, "AttributeNames": ["ApproximateReceiveCount"]});
        let got = self.sqs.ok("ReceiveMessage", input).await;
        let got: Vec<Value> = got["Messages"].as_array().cloned().unwrap_or_default();
        let until = self.model.now + visibility * 1_000;
        let expected = self.model.receive(usize::try_from(max).unwrap(), until);
        let bodies: Vec<&str> = got.iter().map(|m| m["Body"].as_str().unwrap()).collect();
        let wanted: Vec<&str> = expected
            .iter()
            .map(|n| self.model.messages[n].body.as_str())
            .collect();
        assert_eq!(bodies, wanted);
        for (number, message) in expected.iter().zip(&got) {
            let known = self.model.messages.get_mut(number).unwrap();
            known.handle = Some(message["ReceiptHandle"].as_str().unwrap().to_owned());
            assert_eq!(
                message["Attributes"]["ApproximateReceiveCount"],
                known.received.to_string()
            );
        }
    }

    /// A message that was received, by now perhaps visible again.
    fn held(&self) -> Option<u64> {
        let all = self.model.messages.iter();
        let held: Vec<u64> = all
            .filter(|(_, m)| m.handle.is_some())
            .map(|(n, _)| *n)
            .collect();
        let at = self.roll(held.len().max(1) as u64);
        held.get(usize::try_from(at).unwrap()).copied()
    }

    async fn delete(&mut self) {
        let Some(number) = self.held() else { return };
        let message = &self.model.messages[&number];
        let input = json!({"QueueUrl": self.url, "ReceiptHandle": message.handle});
        let (status, _, answer) = self.sqs.call("DeleteMessage", input).await;
        if self.model.kind == Kind::Fifo && message.at <= self.model.now {
            assert_eq!(status, 400, "{answer}");
            return;
        }
        assert_eq!(status, 200, "{answer}");
        self.model.messages.remove(&number);
    }

    async fn change(&mut self) {
        let Some(number) = self.held() else { return };
        let visibility = self.roll(20);
        let message = &self.model.messages[&number];
        let input = json!({"QueueUrl": self.url, "ReceiptHandle": message.handle,
            "VisibilityTimeout": visibility});
        self.sqs.ok("ChangeMessageVisibility", input).await;
        let now = self.model.now;
        let message = self.model.messages.get_mut(&number).unwrap();
        if message.at > now {
            message.at = now + visibility * 1_000;
        }
    }

    async fn pass(&mut self, ms: u64) {
        self.sqs.pass(Duration::from_millis(ms)).await;
        self.model.now += ms;
    }

    async fn purge(&mut self) {
        let (status, ..) = self
            .sqs
            .call("PurgeQueue", json!({"QueueUrl": self.url}))
            .await;
        let now = self.model.now;
        if self.model.purged.is_some_and(|last| now - last < 60_000) {
            assert_eq!(status, 403);
            return;
        }
        assert_eq!(status, 200);
        self.model.purged = Some(now);
        self.model.messages.clear();
        self.model.recent.clear();
    }

    /// A power cut. What was in flight may be ready then, and receives of the last moments may be
    /// forgotten, unless there was time to write them down.
    async fn crash(&mut self) {
        self.crashes += 1;
        let is_late = self.model.kind == Kind::Mortal || self.roll(2) == 0;
        if is_late {
            for _ in 0..3 {
                self.pass(1_000).await;
            }
        }
        self.sqs = self.sqs.again();
        self.model.purged = None;
        self.model.served.clear();
        if is_late {
            return;
        }
        self.pass(60_000).await;
        // A look at every message tells how often it was received, as far as that is known.
        for message in self.model.messages.values_mut() {
            message.at = 0;
            message.handle = None;
        }
        let all: BTreeMap<String, u64> = self
            .model
            .messages
            .iter()
            .map(|(n, m)| (m.body.clone(), *n))
            .collect();
        let mut seen = BTreeSet::new();
        loop {
            let got = self.sqs.receive(&self.url).await;
            if got.is_empty() {
                break;
            }
            for message in got {
                let body = message["Body"].as_str().unwrap();
                assert!(seen.insert(body.to_owned()), "{body} came twice");
                let number = all.get(body).unwrap_or_else(|| panic!("{body} came back"));
                let count = message["Attributes"]["ApproximateReceiveCount"]
                    .as_str()
                    .unwrap();
                let known = self.model.messages.get_mut(number).unwrap();
                let count: u32 = count.parse().unwrap();
                assert!((1..=known.received + 1).contains(&count), "{body}: {count}");
                known.received = count;
                known.at = self.model.now + 30_000;
                known.handle = Some(message["ReceiptHandle"].as_str().unwrap().to_owned());
                if self.model.kind == Kind::Fifo {
                    // Only so does the next of its group come.
                    let number = *number;
                    self.sqs.delete(&self.url, &message).await;
                    self.model.messages.remove(&number);
                }
            }
        }
        assert_eq!(seen.len(), all.len(), "messages are lost");
    }

    /// Empties both queues: nothing is lost, nothing is left.
    async fn finish(mut self) {
        self.pass(60_000).await;
        let all = self.model.messages.values();
        let mut left: BTreeSet<String> = all.map(|m| m.body.clone()).collect();
        loop {
            let got = self.sqs.receive(&self.url).await;
            if got.is_empty() {
                break;
            }
            for message in got {
                let body = message["Body"].as_str().unwrap();
                assert!(left.remove(body), "{body} is one too many");
                self.sqs.delete(&self.url, &message).await;
            }
        }
        // What was received too often has died by it.
        self.model.dead.append(&mut left);
        self.bury().await;
        assert_eq!(self.sqs.counts(&self.url).await, [0, 0, 0]);
    }
}

async fn check(kind: Kind) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let operations = number("KILN_QUEUE_OPERATIONS").unwrap_or(OPERATIONS);
    let seed = number("KILN_QUEUE_SEED").unwrap_or_else(|| Ids::system().u64());
    eprintln!("{kind:?}: KILN_QUEUE_SEED={seed}");
    let mut run = Run::new(kind, seed).await;
    for done in 1..=operations {
        run.step().await;
        if done % 50_000 == 0 {
            eprintln!("PROGRESS R6 {kind:?}: {done} of {operations}");
        }
    }
    let crashes = run.crashes;
    run.finish().await;
    eprintln!(
        "FOUND R6 | operation not as the model says, {kind:?} | {operations} | 0 | {crashes} power losses"
    );
}

#[tokio::test]
async fn a_standard_queue_does_what_the_model_says() {
    check(Kind::Standard).await;
}

#[tokio::test]
async fn a_fifo_queue_does_what_the_model_says() {
    check(Kind::Fifo).await;
}

#[tokio::test]
async fn a_queue_with_a_dead_letter_queue_does_what_the_model_says() {
    check(Kind::Mortal).await;
}
