//! Eight clients at once, and power cuts between: what each sees must fit what the others see. While the server
//! lives the clock stands still, so that every message is received once and every repetition is inside of the
//! deduplication window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use store::simulated::Image;
use tasks::Ids;

use crate::harness::Sqs;

const CLIENTS: usize = 8;
/// Sends of each client in the short form, and between two power cuts.
const SENDS: u64 = 60;
const ROUND_SENDS: u64 = 20;
const GROUPS: u64 = 5;
/// After a power cut: longer than messages stay invisible, far shorter than the deduplication window.
const AFTER_CUT: Duration = Duration::from_secs(31);

/// What all clients know together. An operation whose answer came after the power cut is not in it: it may
/// have happened or not.
#[derive(Default)]
struct Seen {
    /// Deduplication id → message id.
    accepted: BTreeMap<String, String>,
    /// Group → numbers of sequence that were accepted and whose deletion has not begun.
    waiting: BTreeMap<String, BTreeSet<String>>,
    /// In this life of the server.
    received: BTreeSet<String>,
    received_ever: BTreeSet<String>,
    /// Their deletion has begun.
    gone: BTreeSet<String>,
    /// Their deletion was answered.
    deleted: BTreeSet<String>,
    repeats: u64,
    operations: u64,
    /// After which operation the power goes, and what it leaves.
    cut_at: Option<u64>,
    left: Option<Image>,
}

/// The power is gone.
struct Cut;

#[derive(Clone)]
struct Client {
    sqs: Arc<Sqs>,
    url: String,
    is_fifo: bool,
    number: usize,
    /// Which life of the server it is.
    life: u64,
    seen: Arc<Mutex<Seen>>,
}

impl Client {
    /// Sends from `next` to before `end`; gives how far it came.
    async fn run(self, mut next: u64, end: u64) -> u64 {
        while next < end {
            if self.send(next).await.is_err() {
                break;
            }
            next += 1;
            if self.receive().await.is_err() {
                break;
            }
        }
        next
    }

    /// Notes the end of an operation, unless the power went before.
    fn note(&self, what: impl FnOnce(&mut Seen)) -> Result<(), Cut> {
        let mut seen = self.seen.lock().unwrap();
        if seen.left.is_some() {
            return Err(Cut);
        }
        what(&mut seen);
        seen.operations += 1;
        if seen.cut_at == Some(seen.operations) {
            seen.left = Some(self.sqs.crash());
        }
        Ok(())
    }

    /// In a FIFO queue all clients send the same ids: one of eight is accepted.
    async fn send(&self, n: u64) -> Result<(), Cut> {
        let group = format!("g{}", n % GROUPS);
        let id = match self.is_fifo {
            true => format!("d{n}"),
            false => format!("d{n}-{}-{}", self.number, self.life),
        };
        let mut input = json!({"QueueUrl": self.url, "MessageBody": id});
        if self.is_fifo {
            input["MessageGroupId"] = group.clone().into();
            input["MessageDeduplicationId"] = id.clone().into();
        }
        let answer = self.sqs.ok("SendMessage", input).await;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        self.note(|seen| {
            if let Some(known) = seen.accepted.get(&id) {
                assert_eq!(*known, text("MessageId"), "{id} was accepted twice");
                seen.repeats += 1;
                return;
            }
            seen.accepted.insert(id.clone(), text("MessageId"));
            if !seen.gone.contains(&id) {
                let waiting = seen.waiting.entry(group).or_default();
                waiting.insert(text("SequenceNumber"));
            }
        })
    }

    async fn receive(&self) -> Result<usize, Cut> {
        let before = self.seen.lock().unwrap().waiting.clone();
        let messages = self.sqs.receive(&self.url).await;
        self.note(|seen| {
            let mut here: BTreeSet<String> = BTreeSet::new();
            for message in &messages {
                self.check(message, &before, &mut here);
                let body = body(message);
                assert!(!seen.deleted.contains(&body), "{body} came back");
                assert!(seen.received.insert(body.clone()), "{body} came twice");
                seen.received_ever.insert(body);
            }
        })?;
        for message in &messages {
            self.note(|seen| forget(seen, message))?;
            self.sqs.delete(&self.url, message).await;
            self.note(|seen| {
                seen.deleted.insert(body(message));
            })?;
        }
        Ok(messages.len())
    }

    /// Nothing that waited in its group before may come after it.
    fn check(
        &self,
        message: &Value,
        before: &BTreeMap<String, BTreeSet<String>>,
        here: &mut BTreeSet<String>,
    ) {
        if !self.is_fifo {
            return;
        }
        let attribute = |name: &str| {
            let value = message["Attributes"][name].as_str();
            value.unwrap_or_default().to_owned()
        };
        let (group, sequence) = (attribute("MessageGroupId"), attribute("SequenceNumber"));
        let waiting = before.get(&group).into_iter().flatten();
        let mut earlier = waiting.take_while(|known| **known < sequence);
        let overtaken = earlier.find(|known| !here.contains(*known));
        assert_eq!(overtaken, None, "{sequence} overtook it in {group}");
        here.insert(sequence);
    }
}

fn body(message: &Value) -> String {
    message["Body"].as_str().unwrap().to_owned()
}

/// From here on the message may be gone, and the next of its group may come.
fn forget(seen: &mut Seen, message: &Value) {
    let sequence = message["Attributes"]["SequenceNumber"].as_str();
    for waiting in seen.waiting.values_mut() {
        waiting.remove(sequence.unwrap_or_default());
    }
    seen.gone.insert(body(message));
}

/// All clients together, from life to life.
struct Crowd {
    client: Client,
    next: [u64; CLIENTS],
    cuts: u64,
}

impl Crowd {
    /// Lets every client send up to `end`, over a power cut after so many operations.
    async fn run(&mut self, end: u64, cut_after: u64) {
        let now = self.client.seen.lock().unwrap().operations;
        self.client.seen.lock().unwrap().cut_at = Some(now + cut_after);
        while self.next.iter().any(|next| *next < end) {
            let clients = (0..CLIENTS).map(|number| {
                let client = Client {
                    number,
                    ..self.client.clone()
                };
                tokio::spawn(client.run(self.next[number], end))
            });
            for (number, client) in clients.collect::<Vec<_>>().into_iter().enumerate() {
                self.next[number] = client.await.unwrap();
            }
            let left = self.client.seen.lock().unwrap().left.take();
            if let Some(left) = left {
                self.restart(Sqs::after(left)).await;
            }
        }
    }

    async fn restart(&mut self, sqs: Sqs) {
        self.cuts += 1;
        sqs.pass(AFTER_CUT).await;
        self.client.sqs = Arc::new(sqs);
        self.client.life += 1;
        self.client.seen.lock().unwrap().received.clear();
    }
}

async fn at_once(is_fifo: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let sends = number("KILN_QUEUE_CLIENT_OPERATIONS").unwrap_or(SENDS);
    let seed = number("KILN_QUEUE_SEED").unwrap_or_else(|| Ids::system().u64());
    eprintln!("KILN_QUEUE_SEED={seed}");
    let dice = Ids::seeded(seed);
    let sqs = Sqs::new();
    let url = match is_fifo {
        true => {
            sqs.create_with("q.fifo", json!({"FifoQueue": "true"}))
                .await
        }
        false => sqs.create("q").await,
    };
    let client = Client {
        sqs: Arc::new(sqs),
        url: url.clone(),
        is_fifo,
        number: 0,
        life: 0,
        seen: Arc::default(),
    };
    let mut crowd = Crowd {
        client,
        next: [0; CLIENTS],
        cuts: 0,
    };
    for end in (ROUND_SENDS..=sends).step_by(ROUND_SENDS as usize) {
        // Each send comes with a receive and perhaps deletions: the cut is well inside of the round.
        let cut_after = dice.u64() % (2 * ROUND_SENDS * CLIENTS as u64);
        crowd.run(end, cut_after + 1).await;
    }
    crowd.client.seen.lock().unwrap().cut_at = None;
    while crowd.client.receive().await.is_ok_and(|got| got > 0) {}
    let after = crowd.client.sqs.again();
    assert_eq!(after.counts(&url).await, [0, 0, 0], "nothing comes back");
    let seen = crowd.client.seen.lock().unwrap();
    let mut accepted = seen.accepted.keys();
    let lost = accepted.find(|id| !seen.received_ever.contains(*id));
    assert_eq!(lost, None, "lost");
    let (sent, cuts) = (sends * CLIENTS as u64, crowd.cuts);
    assert_eq!(cuts, sends / ROUND_SENDS, "power cuts");
    let note = format!("8 clients, {cuts} power losses");
    if is_fifo {
        assert_eq!(seen.accepted.len() as u64, sends, "invented");
        assert_eq!(seen.repeats, sent - sends);
        eprintln!(
            "FOUND R6 | repeat accepted inside of the window | {} | 0 | {note}",
            seen.repeats
        );
        eprintln!("FOUND R6 | message of a group out of order | {sends} | 0 | {note}");
    } else {
        eprintln!(
            "FOUND R6 | message lost or received twice, standard queue | {sent} | 0 | {note}"
        );
    }
    eprintln!(
        "FOUND R6 | operation that does not fit the others, {} | {} | 0 | {note}",
        if is_fifo { "FIFO" } else { "standard" },
        seen.operations
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_of_a_standard_queue_share_its_messages() {
    at_once(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_of_a_fifo_queue_see_each_message_once_and_in_order() {
    at_once(true).await;
}
