use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::subscription::{Api, Category, Subscription};

/// Events kept for subscribers that are still to come, which is until the init phase ends.
const EARLY_EVENTS_MAX: usize = 1_000;
const EARLY_BYTES_MAX: usize = 256 * 1024;
/// What waits for one subscriber at most; what comes after is dropped and counted.
const QUEUE_EVENTS_MAX: usize = 20_000;
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Nobody has subscribed, but somebody may.
const EARLY: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

/// The telemetry of one environment: takes events and keeps them for the subscribers.
///
/// Without a subscriber an event costs the look at one number, once the init phase is over.
#[derive(Clone, Default)]
pub struct Telemetry(Arc<Hub>);

#[derive(Default)]
struct Hub {
    phase: AtomicU8,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    early: Vec<Event>,
    early_bytes: usize,
    subscribers: Vec<Arc<Subscriber>>,
}

#[derive(Clone)]
struct Event {
    category: Category,
    kind: &'static str,
    /// The whole event as JSON.
    text: Arc<str>,
}

/// One extension that gets events.
pub struct Subscriber {
    pub name: String,
    pub subscription: Subscription,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Arc<str>>,
    bytes: usize,
    dropped_events: u64,
    dropped_bytes: u64,
    /// Everything is to be sent at once.
    is_flushed: bool,
}

/// What a subscriber's queue wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing waits.
    Empty,
    /// A batch is to be sent when its first event is this old.
    Within(Duration),
    Now,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telemetry {
    /// Whether an event would reach anybody, now or later.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.phase.load(Ordering::Relaxed) != OFF
    }

    /// Takes an event. `time`: `2026-01-02T03:04:05.678Z`.
    pub fn emit(&self, category: Category, time: &str, kind: &'static str, record: &Value) {
        if !self.is_on() {
            return;
        }
        let text = format!(
            r#"{{"time":{},"type":"{kind}","record":{record}}}"#,
            Value::from(time)
        );
        self.take(Event {
            category,
            kind,
            text: text.into(),
        });
    }

    fn take(&self, event: Event) {
        let mut state = lock(&self.0.state);
        for subscriber in &state.subscribers {
            subscriber.offer(&event);
        }
        if self.0.phase.load(Ordering::Relaxed) == OFF || state.is_closed(&self.0) {
            return;
        }
        let bytes = state.early_bytes + event.text.len();
        if state.early.len() < EARLY_EVENTS_MAX && bytes <= EARLY_BYTES_MAX {
            state.early_bytes = bytes;
            state.early.push(event);
        }
    }

    /// Adds a subscriber, which also gets what happened before; a second subscription of the same
    /// extension takes the place of the first.
    pub(crate) fn subscribe(
        &self,
        name: &str,
        subscription: Subscription,
    ) -> Result<Arc<Subscriber>, OtherApi> {
        let mut state = lock(&self.0.state);
        let mut others = state.subscribers.iter().filter(|s| s.name == name);
        if others.any(|s| s.subscription.api != subscription.api) {
            return Err(OtherApi);
        }
        let subscriber = Arc::new(Subscriber {
            name: name.to_owned(),
            subscription,
            queue: Mutex::default(),
            changed: Notify::new(),
        });
        for event in &state.early {
            subscriber.offer(event);
        }
        state.subscribers.retain(|old| {
            let is_other = old.name != name;
            if !is_other {
                old.flush();
            }
            is_other
        });
        state.subscribers.push(subscriber.clone());
        Ok(subscriber)
    }

    /// The init phase is over: nobody can subscribe any more.
    pub fn close(&self) {
        let mut state = lock(&self.0.state);
        state.early = Vec::new();
        let phase = if state.subscribers.is_empty() {
            OFF
        } else {
            ON
        };
        self.0.phase.store(phase, Ordering::Relaxed);
    }

    /// The environment starts anew: subscribers of the one before are gone.
    pub fn reopen(&self) {
        let mut state = lock(&self.0.state);
        *state = State::default();
        self.0.phase.store(EARLY, Ordering::Relaxed);
    }

    /// Has everything sent that waits, because the environment ends.
    pub fn flush(&self) {
        for subscriber in &lock(&self.0.state).subscribers {
            subscriber.flush();
        }
    }
}

impl State {
    fn is_closed(&self, hub: &Hub) -> bool {
        hub.phase.load(Ordering::Relaxed) != EARLY
    }
}

/// The extension has subscribed to the other interface already.
#[derive(Debug)]
pub(crate) struct OtherApi;

impl Subscriber {
    fn offer(&self, event: &Event) {
        if !self.subscription.categories.contains(&event.category) {
            return;
        }
        let Some(text) = translated(&self.subscription, event) else {
            return;
        };
        let mut queue = lock(&self.queue);
        queue.push(text);
        if queue.events.len() == 1 || self.is_full(&queue) {
            self.changed.notify_one();
        }
    }

    fn is_full(&self, queue: &Queue) -> bool {
        let limits = self.subscription.buffering;
        queue.events.len() >= limits.items_max || queue.bytes >= limits.bytes_max
    }

    fn flush(&self) {
        lock(&self.queue).is_flushed = true;
        self.changed.notify_one();
    }

    /// Waits until something may have become due. Cancel-safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    #[must_use]
    pub fn due(&self) -> Due {
        let queue = lock(&self.queue);
        if queue.events.is_empty() {
            return Due::Empty;
        }
        if queue.is_flushed || self.is_full(&queue) {
            return Due::Now;
        }
        Due::Within(self.subscription.buffering.timeout)
    }

    /// Takes the next batch: events as JSON, oldest first. `time` is put on a report about dropped
    /// events, if there were any.
    #[must_use]
    pub fn take(&self, time: &str) -> Vec<Arc<str>> {
        let limits = self.subscription.buffering;
        let mut queue = lock(&self.queue);
        let mut batch: Vec<Arc<str>> = Vec::new();
        let mut bytes = 0;
        while batch.len() < limits.items_max {
            match queue.events.front() {
                Some(next) if batch.is_empty() || bytes + next.len() <= limits.bytes_max => {
                    bytes += next.len();
                    batch.extend(queue.events.pop_front());
                }
                _ => break,
            }
        }
        queue.bytes -= bytes;
        if queue.dropped_events > 0 {
            let record = json!({
                "droppedRecords": queue.dropped_events,
                "droppedBytes": queue.dropped_bytes,
                "reason": "the subscriber takes events more slowly than they happen",
            });
            (queue.dropped_events, queue.dropped_bytes) = (0, 0);
            let text = json!({"time": time, "type": "platform.logsDropped", "record": record});
            batch.push(text.to_string().into());
        }
        batch
    }

    /// Counts a batch that could not be delivered.
    pub fn lose(&self, batch: &[Arc<str>]) {
        let mut queue = lock(&self.queue);
        for event in batch {
            queue.count_lost(event.len());
        }
    }
}

impl Queue {
    fn push(&mut self, text: Arc<str>) {
        if self.events.len() >= QUEUE_EVENTS_MAX || self.bytes + text.len() > QUEUE_BYTES_MAX {
            self.count_lost(text.len());
            return;
        }
        self.bytes += text.len();
        self.events.push_back(text);
    }

    fn count_lost(&mut self, bytes: usize) {
        self.dropped_events += 1;
        self.dropped_bytes += bytes as u64;
    }
}

/// The older interface has other names for some events and knows others not.
/// [Lambda guide: Logs API]
fn translated(subscription: &Subscription, event: &Event) -> Option<Arc<str>> {
    let text = &event.text;
    let renamed = |to: &str| {
        let old = format!(r#""type":"{}""#, event.kind);
        let new = format!(r#""type":"{to}""#);
        Some(text.replacen(&old, &new, 1).into())
    };
    let is_first = subscription.schema == "2020-08-15";
    match (subscription.api, event.kind) {
        (Api::Telemetry, "platform.end") => None,
        (Api::Logs, "platform.telemetrySubscription") => renamed("platform.logsSubscription"),
        (
            Api::Logs,
            "platform.initStart"
            | "platform.initReport"
            | "platform.restoreStart"
            | "platform.restoreRuntimeDone"
            | "platform.restoreReport",
        ) => None,
        (Api::Logs, "platform.runtimeDone" | "platform.initRuntimeDone") if is_first => None,
        _ => Some(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::subscription::parse;

    const TIME: &str = "2026-01-02T03:04:05.678Z";

    fn subscription(api: Api, types: &[&str]) -> Subscription {
        let body = json!({
            "schemaVersion": if api == Api::Logs { "2020-08-15" } else { "2022-12-13" },
            "types": types,
            "buffering": {"maxItems": 1000},
            "destination": {"protocol": "TCP", "port": 1},
        });
        parse(api, body.to_string().as_bytes()).unwrap()
    }

    fn texts(subscriber: &Subscriber) -> Vec<String> {
        let batch = subscriber.take(TIME);
        batch.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_subscriber_gets_what_happened_before_it_came_and_only_its_types() {
        let hub = Telemetry::default();
        hub.emit(
            Category::Platform,
            TIME,
            "platform.initStart",
            &json!({"phase": "init"}),
        );
        hub.emit(Category::Function, TIME, "function", &json!("line"));
        let got = hub
            .subscribe("a", subscription(Api::Telemetry, &["platform"]))
            .unwrap();
        hub.close();
        hub.emit(
            Category::Platform,
            TIME,
            "platform.start",
            &json!({"requestId": "r"}),
        );
        assert_eq!(got.due(), Due::Within(Duration::from_secs(1)));
        assert_eq!(
            texts(&got),
            [
                r#"{"time":"2026-01-02T03:04:05.678Z","type":"platform.initStart","record":{"phase":"init"}}"#,
                r#"{"time":"2026-01-02T03:04:05.678Z","type":"platform.start","record":{"requestId":"r"}}"#,
            ]
        );
        assert_eq!(got.due(), Due::Empty);
    }

    #[test]
    fn without_subscribers_nothing_is_kept_after_the_init_phase() {
        let hub = Telemetry::default();
        assert!(hub.is_on());
        hub.close();
        assert!(!hub.is_on());
        hub.emit(Category::Function, TIME, "function", &json!("line"));
        assert!(lock(&hub.0.state).early.is_empty());
        hub.reopen();
        assert!(hub.is_on());
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_flushed() {
        let hub = Telemetry::default();
        let got = hub
            .subscribe("a", subscription(Api::Telemetry, &["function"]))
            .unwrap();
        for _ in 0..1_000 {
            assert_ne!(got.due(), Due::Now);
            hub.emit(Category::Function, TIME, "function", &json!("x"));
        }
        assert_eq!(got.due(), Due::Now);
        hub.emit(Category::Function, TIME, "function", &json!("x"));
        assert_eq!(got.take(TIME).len(), 1_000);
        assert_ne!(got.due(), Due::Now);
        hub.flush();
        assert_eq!(got.due(), Due::Now);
        assert_eq!(got.take(TIME).len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told() {
        let hub = Telemetry::default();
        let got = hub
            .subscribe("a", subscription(Api::Telemetry, &["function"]))
            .unwrap();
        let line = json!("x".repeat(1 << 20));
        for _ in 0..6 {
            hub.emit(Category::Function, TIME, "function", &line);
        }
        let mut all = Vec::new();
        while got.due() != Due::Empty {
            all.extend(texts(&got));
        }
        let dropped = all
            .iter()
            .find(|t| t.contains("platform.logsDropped"))
            .unwrap();
        let dropped: Value = serde_json::from_str(dropped).unwrap();
        let lines = all.len() - 1;
        assert_eq!(dropped["record"]["droppedRecords"], 6 - lines);
        assert!(dropped["record"]["droppedBytes"].as_u64().unwrap() > 1 << 20);
    }

    #[test]
    fn the_logs_api_has_names_of_its_own() {
        let hub = Telemetry::default();
        let got = hub
            .subscribe("a", subscription(Api::Logs, &["platform"]))
            .unwrap();
        for kind in [
            "platform.initStart",
            "platform.start",
            "platform.runtimeDone",
            "platform.end",
            "platform.telemetrySubscription",
        ] {
            hub.emit(Category::Platform, TIME, kind, &json!({}));
        }
        let kinds: Vec<String> = texts(&got)
            .iter()
            .map(|t| serde_json::from_str::<Value>(t).unwrap()["type"].to_string())
            .collect();
        assert_eq!(
            kinds,
            [
                r#""platform.start""#,
                r#""platform.end""#,
                r#""platform.logsSubscription""#
            ]
        );
    }

    #[test]
    fn an_extension_has_one_interface_and_one_subscription() {
        let hub = Telemetry::default();
        let first = hub
            .subscribe("a", subscription(Api::Telemetry, &["function"]))
            .unwrap();
        assert!(
            hub.subscribe("a", subscription(Api::Logs, &["function"]))
                .is_err()
        );
        let second = hub
            .subscribe("a", subscription(Api::Telemetry, &["function"]))
            .unwrap();
        hub.emit(Category::Function, TIME, "function", &json!("x"));
        assert_eq!((first.due(), texts(&second).len()), (Due::Empty, 1));
    }
}
