//! The other source: messages that are sent to a queue, received and deleted while the server is killed.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::client::Client;
use crate::kiln::Kiln;

const QUEUE: &str = "audited";

/// What was received and not deleted is there again after so many seconds.
const VISIBILITY: &str = "1";

/// How often it looks while there is nothing.
const LOOK: Duration = Duration::from_millis(40);

/// Longest time until the queue is empty at the end.
const EMPTY_MAX: Duration = Duration::from_secs(60);

/// Looks without a message, each longer than the visibility, after which the queue counts as empty.
const EMPTY_LOOKS: u32 = 3;

pub(super) fn create(kiln: &Kiln) -> Result<()> {
    let attributes = json!({ "VisibilityTimeout": VISIBILITY });
    let body = json!({ "QueueName": QUEUE, "Attributes": attributes });
    let mut client = kiln.client()?;
    client.succeed(&kiln.operation("sqs", "AmazonSQS.CreateQueue", &body)?)?;
    Ok(())
}

/// The signed request that sends the message of this number.
pub(super) fn message(kiln: &Kiln, number: u64) -> Result<Vec<u8>> {
    let body = json!({ "QueueUrl": url(kiln), "MessageBody": number.to_string() });
    kiln.operation("sqs", "AmazonSQS.SendMessage", &body)
}

fn url(kiln: &Kiln) -> String {
    format!("http://{}/000000000000/{QUEUE}", kiln.address)
}

/// Receives and deletes, and knows what it has seen.
#[derive(Default)]
pub(super) struct Consumer {
    sent: HashSet<u64>,
    received: HashSet<u64>,
    /// Their deletion was answered.
    deleted: HashSet<u64>,
    pub(super) came_back: u64,
}

impl Consumer {
    /// Receives until the server is gone.
    pub(super) fn receive(&mut self, kiln: &Kiln) {
        // An error is the kill.
        let _ = (|| -> Result<()> {
            let mut client = kiln.client()?;
            loop {
                if self.once(kiln, &mut client)? == 0 {
                    thread::sleep(LOOK);
                }
            }
        })();
    }

    /// Receives what is left.
    pub(super) fn empty(&mut self, kiln: &Kiln) -> Result<()> {
        let mut client = kiln.client()?;
        let until = Instant::now() + EMPTY_MAX;
        let mut looks = 0;
        while looks < EMPTY_LOOKS {
            if Instant::now() > until {
                bail!("the queue does not become empty");
            }
            match self.once(kiln, &mut client)? {
                0 => {
                    looks += 1;
                    thread::sleep(Duration::from_millis(1_100));
                }
                _ => looks = 0,
            }
        }
        Ok(())
    }

    /// Receives once, deletes what came, and gives how many.
    fn once(&mut self, kiln: &Kiln, client: &mut Client) -> Result<usize> {
        let body = json!({ "QueueUrl": url(kiln), "MaxNumberOfMessages": 10 });
        let answer =
            client.succeed(&kiln.operation("sqs", "AmazonSQS.ReceiveMessage", &body)?)?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let messages = answer.get("Messages").and_then(Value::as_array);
        let messages = messages.map(Vec::as_slice).unwrap_or_default();
        let mut numbers = Vec::new();
        let mut entries = Vec::new();
        for message in messages {
            let text = |name: &str| message.get(name).and_then(Value::as_str);
            let number: u64 = text("Body").unwrap_or_default().parse()?;
            self.came_back += u64::from(self.deleted.contains(&number));
            self.received.insert(number);
            let id = numbers.len().to_string();
            entries.push(json!({ "Id": id, "ReceiptHandle": text("ReceiptHandle") }));
            numbers.push(number);
        }
        if !numbers.is_empty() {
            let body = json!({ "QueueUrl": url(kiln), "Entries": entries });
            let request = kiln.operation("sqs", "AmazonSQS.DeleteMessageBatch", &body)?;
            let answer = client.succeed(&request)?;
            let answer: Value = serde_json::from_slice(&answer.body)?;
            let done = answer.get("Successful").and_then(Value::as_array);
            for entry in done.into_iter().flatten() {
                let at = entry.get("Id").and_then(Value::as_str);
                let at = at.and_then(|at| at.parse::<usize>().ok());
                self.deleted.extend(at.and_then(|at| numbers.get(at)));
            }
        }
        Ok(numbers.len())
    }

    pub(super) fn sent(&mut self, numbers: Vec<u64>) {
        self.sent.extend(numbers);
    }

    pub(super) fn accepted(&self) -> u64 {
        self.sent.len() as u64
    }

    pub(super) fn deleted(&self) -> u64 {
        self.deleted.len() as u64
    }

    /// Accepted and never received.
    pub(super) fn lost(&self) -> u64 {
        self.sent.difference(&self.received).count() as u64
    }
}
