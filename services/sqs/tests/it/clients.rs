//! Eight clients at once: what each sees must fit what the others see. The clock stands still, so that every
//! message is received once and every repetition is inside of the deduplication window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::Sqs;

const CLIENTS: usize = 8;
/// Sends of each client in the short form.
const SENDS: u64 = 60;
const GROUPS: u64 = 5;

/// What all clients know together.
#[derive(Default)]
struct Seen {
    /// Deduplication id → message id.
    accepted: BTreeMap<String, String>,
    /// Group → numbers of sequence that were accepted and whose deletion has not begun.
    waiting: BTreeMap<String, BTreeSet<String>>,
    received: BTreeSet<String>,
    repeats: u64,
}

struct Client {
    sqs: Arc<Sqs>,
    url: String,
    is_fifo: bool,
    number: usize,
    seen: Arc<Mutex<Seen>>,
}

impl Client {
    async fn run(self, sends: u64) {
        for n in 0..sends {
            self.send(n).await;
            self.receive().await;
        }
        while self.receive().await > 0 {}
    }

    /// In a FIFO queue all clients send the same ids: one of eight is accepted.
    async fn send(&self, n: u64) {
        let group = format!("g{}", n % GROUPS);
        let id = match self.is_fifo {
            true => format!("d{n}"),
            false => format!("d{n}-{}", self.number),
        };
        let mut input = json!({"QueueUrl": self.url, "MessageBody": id});
        if self.is_fifo {
            input["MessageGroupId"] = group.clone().into();
            input["MessageDeduplicationId"] = id.clone().into();
        }
        let answer = self.sqs.ok("SendMessage", input).await;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let mut seen = self.seen.lock().unwrap();
        if let Some(known) = seen.accepted.get(&id) {
            assert_eq!(*known, text("MessageId"), "{id} was accepted twice");
            seen.repeats += 1;
            return;
        }
        seen.accepted.insert(id.clone(), text("MessageId"));
        if !seen.received.contains(&id) {
            let waiting = seen.waiting.entry(group).or_default();
            waiting.insert(text("SequenceNumber"));
        }
    }

    async fn receive(&self) -> usize {
        let before = self.seen.lock().unwrap().waiting.clone();
        let messages = self.sqs.receive(&self.url).await;
        let mut here: BTreeSet<String> = BTreeSet::new();
        for message in &messages {
            let attribute = |name: &str| {
                let value = message["Attributes"][name].as_str();
                value.unwrap_or_default().to_owned()
            };
            let (group, sequence) = (attribute("MessageGroupId"), attribute("SequenceNumber"));
            if self.is_fifo {
                let waiting = before.get(&group).into_iter().flatten();
                let mut earlier = waiting.take_while(|known| **known < sequence);
                let overtaken = earlier.find(|known| !here.contains(*known));
                assert_eq!(overtaken, None, "{sequence} overtook it in {group}");
                here.insert(sequence);
            }
            let body = message["Body"].as_str().unwrap().to_owned();
            let is_first = self.seen.lock().unwrap().received.insert(body.clone());
            assert!(is_first, "{body} came twice");
        }
        for message in &messages {
            self.forget(message);
            self.sqs.delete(&self.url, message).await;
        }
        messages.len()
    }

    /// From here on the message may be gone, and the next of its group may come.
    fn forget(&self, message: &Value) {
        let sequence = message["Attributes"]["SequenceNumber"].as_str();
        let mut seen = self.seen.lock().unwrap();
        for waiting in seen.waiting.values_mut() {
            waiting.remove(sequence.unwrap_or_default());
        }
    }
}

async fn at_once(is_fifo: bool) {
    let text = std::env::var("KILN_QUEUE_CLIENT_OPERATIONS").ok();
    let sends = text.and_then(|text| text.parse().ok()).unwrap_or(SENDS);
    let sqs = Arc::new(Sqs::new());
    let url = match is_fifo {
        true => {
            sqs.create_with("q.fifo", json!({"FifoQueue": "true"}))
                .await
        }
        false => sqs.create("q").await,
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let clients = (0..CLIENTS).map(|number| {
        let client = Client {
            sqs: sqs.clone(),
            url: url.clone(),
            is_fifo,
            number,
            seen: seen.clone(),
        };
        tokio::spawn(client.run(sends))
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let after = sqs.again();
    assert_eq!(after.counts(&url).await, [0, 0, 0], "nothing comes back");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.received.len(), seen.accepted.len(), "lost or invented");
    let sent = sends * CLIENTS as u64;
    if is_fifo {
        assert_eq!(seen.repeats, sent - sends);
        eprintln!(
            "FOUND R6 | repeat accepted inside of the window | {} | 0 | 8 clients",
            seen.repeats
        );
        eprintln!("FOUND R6 | message of a group out of order | {sends} | 0 | 8 clients");
    } else {
        eprintln!(
            "FOUND R6 | message lost or received twice, standard queue | {sent} | 0 | 8 clients"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_of_a_standard_queue_share_its_messages() {
    at_once(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_of_a_fifo_queue_see_each_message_once_and_in_order() {
    at_once(true).await;
}
