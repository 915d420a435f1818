use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::Call;
use serde_json::json;
use tokio::sync::Notify;

use super::answer::{self, Function, Reply};
use super::request;
use super::roster::{Extension, GiveUp, Roster, Standing};
use crate::credentials::Credentials;
use crate::outlet::{Delivery, Outlet};
use crate::route::ExtensionHead;
use crate::telemetry::{self, Api, Category, Subscriber, Telemetry};

/// What a session knows of its environment for the extensions.
#[derive(Clone, Default)]
pub struct Facts {
    /// Tells environments apart; identifiers are made from it.
    pub seed: String,
    /// The files in `/opt/extensions` that are started.
    pub external: Vec<String>,
    pub function: std::sync::Arc<Function>,
    pub telemetry: Telemetry,
    /// What is asked for instead of being in the variables.
    pub credentials: Option<Arc<Credentials>>,
    /// Tells when an answer begins. Without it nobody asks.
    pub stopwatch: Option<Stopwatch>,
    /// Delivers telemetry. Without it nobody can subscribe.
    pub host: Option<Arc<dyn Host>>,
}

/// Time since a moment that the one who runs the session knows.
pub type Stopwatch = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the session needs from the one who runs it.
pub trait Host: Send + Sync {
    /// Now, as `2026-01-02T03:04:05.678Z`.
    fn time(&self) -> String;

    /// Somebody has subscribed: deliver to it until the environment ends. Must not wait.
    fn subscribed(&self, subscriber: Arc<Subscriber>);
}

/// Serves the extensions of one environment.
pub(crate) struct Desk {
    facts: Facts,
    state: Mutex<State>,
    /// There are extensions: looked at before the lock is taken.
    is_used: AtomicBool,
    /// Wakes the one who waits for a failure.
    failed: Notify,
}

struct State {
    roster: Roster,
    places: Vec<Place>,
    /// Identifiers given out so far.
    ids: u64,
    is_shutting_down: bool,
}

/// What an extension has open with us.
#[derive(Default)]
struct Place {
    parked: Option<Arc<Outlet>>,
    /// An event that came before it was asked for.
    waiting: Option<Bytes>,
}

/// What an `/event/next` gets.
pub(crate) enum Turn {
    Event(Bytes),
    Wait,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk::new(Facts::default())
    }
}

impl Desk {
    /// The time by the stopwatch.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        Some(self.facts.stopwatch.as_ref()?())
    }

    /// What `token` opens.
    pub(crate) fn credentials(&self, token: &str) -> Option<Bytes> {
        self.facts.credentials.as_ref()?.of(token)
    }

    pub(crate) fn new(facts: Facts) -> Desk {
        let roster = Roster::new(&facts.external);
        let state = State {
            places: facts.external.iter().map(|_| Place::default()).collect(),
            roster,
            ids: 0,
            is_shutting_down: false,
        };
        Desk {
            is_used: AtomicBool::new(!facts.external.is_empty()),
            state: Mutex::new(state),
            failed: Notify::new(),
            facts,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> Vec<Extension> {
        self.lock().roster.all().to_vec()
    }

    pub(crate) fn register(&self, head: &ExtensionHead, body: &[u8]) -> Reply {
        let name = head.name.as_deref().unwrap_or_default();
        if !request::is_name(name) {
            return Reply::EmptyName;
        }
        let wanted = match request::register(body) {
            Ok(wanted) => wanted,
            Err(why) => return Reply::InvalidRequest(why),
        };
        let mut state = self.lock();
        let id = state.new_id(&self.facts.seed);
        match state.roster.register(name, &wanted.events, &id) {
            Ok(place) => {
                while state.places.len() <= place {
                    state.places.push(Place::default());
                }
                self.is_used.store(true, Ordering::Relaxed);
                let with_account = request::wants_account(head.features.as_deref());
                let body = answer::registration(&self.facts.function, with_account);
                Reply::Registered { id, body }
            }
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    /// Answers an `/event/next`, or parks its connection until there is an event.
    pub(crate) fn next(&self, head: &ExtensionHead, outlet: &Arc<Outlet>) -> Result<Turn, Reply> {
        let id = identifier(head)?;
        let mut state = self.lock();
        let place = state.roster.next(id).map_err(Reply::Refused)?;
        let Some(open) = state.places.get_mut(place) else {
            return Ok(Turn::Wait);
        };
        if let Some(event) = open.waiting.take() {
            state.roster.deliver(place);
            return Ok(Turn::Event(event));
        }
        open.parked = Some(outlet.clone());
        Ok(Turn::Wait)
    }

    pub(crate) fn give_up(&self, head: &ExtensionHead, how: GiveUp) -> Reply {
        let id = match identifier(head) {
            Ok(id) => id,
            Err(reply) => return reply,
        };
        let Some(why) = head.error_type.as_deref().filter(|why| !why.is_empty()) else {
            return Reply::MissingErrorType;
        };
        let done = self.lock().roster.give_up(id, how, why);
        match done {
            Ok(()) => {
                self.failed.notify_one();
                Reply::Accepted
            }
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    pub(crate) fn subscribe(&self, api: Api, head: &ExtensionHead, body: &[u8]) -> Reply {
        let id = match identifier(head) {
            Ok(id) => id,
            Err(reply) => return reply,
        };
        let (name, is_closed) = {
            let state = self.lock();
            match state.roster.find(id) {
                Ok(extension) => (extension.name.clone(), state.roster.is_closed()),
                Err(refusal) => return Reply::Refused(refusal),
            }
        };
        let (closed, not_supported, what) = match api {
            Api::Telemetry => (
                "Telemetry.SubscriptionClosed",
                "Telemetry.NotSupported",
                "Telemetry API",
            ),
            Api::Logs => ("Logs.SubscriptionClosed", "Logs.NotSupported", "Logs API"),
        };
        if is_closed {
            let text = format!("{what} subscription is closed");
            return Reply::Subscription(403, answer::error_body(closed, &text));
        }
        let Some(host) = &self.facts.host else {
            let text = format!("{what} is not supported");
            return Reply::Subscription(202, answer::error_body(not_supported, &text));
        };
        let invalid =
            |why: &str| Reply::Subscription(400, answer::error_body("ValidationError", why));
        let subscription = match telemetry::parse(api, body) {
            Ok(subscription) => subscription,
            Err(why) => return invalid(&why),
        };
        let types: Vec<&str> = subscription.categories.iter().map(|c| c.name()).collect();
        let record = json!({"name": name, "state": "Subscribed", "types": types});
        let hub = &self.facts.telemetry;
        match hub.subscribe(&name, subscription) {
            Ok(subscriber) => {
                host.subscribed(subscriber);
                let kind = "platform.telemetrySubscription";
                hub.emit(Category::Platform, &host.time(), kind, &record);
                Reply::Subscription(200, "\"OK\"".to_owned())
            }
            Err(telemetry::OtherApi) => {
                invalid("an extension can use the Telemetry API or the Logs API, not both")
            }
        }
    }

    /// Tells the extensions that asked for it of an invocation.
    pub(crate) fn invoke(&self, call: &Call) {
        if !self.is_used() {
            return;
        }
        let mut state = self.lock();
        for place in state.places_where(|e| e.events.invoke) {
            let event_id = state.new_id(&self.facts.seed);
            state.hand_out(place, answer::invoke_event(call, &event_id));
        }
    }

    /// Tells the extensions that asked for it that the environment ends; gives their names.
    pub(crate) fn shut_down(&self, reason: &str, deadline_unix_ms: i64) -> Vec<String> {
        let mut state = self.lock();
        state.is_shutting_down = true;
        let wanted = |e: &Extension| e.events.shutdown && e.standing != Standing::Exited;
        let places = state.places_where(wanted);
        for place in &places {
            let event_id = state.new_id(&self.facts.seed);
            let event = answer::shutdown_event(reason, deadline_unix_ms, &event_id);
            state.hand_out(*place, event);
        }
        let names = places.iter().filter_map(|place| state.roster.get(*place));
        names.map(|e| e.name.clone()).collect()
    }

    /// The process of an external extension ended. Gives how it stood.
    pub(crate) fn exited(&self, name: &str) -> Standing {
        let before = self.lock().roster.exited(name);
        self.failed.notify_one();
        before
    }

    pub(crate) fn close(&self) {
        self.lock().roster.close();
        self.facts.telemetry.close();
    }

    pub(crate) fn flush(&self) {
        self.facts.telemetry.flush();
    }

    pub(crate) fn is_complete(&self) -> bool {
        !self.is_used() || self.lock().roster.is_complete()
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.is_used() || self.lock().roster.is_ready()
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.is_used() || self.lock().roster.is_idle()
    }

    /// Waits for an extension that gives up or ends. Cancel-safe.
    pub(crate) async fn failure(&self) -> Extension {
        loop {
            {
                let state = self.lock();
                let failed = state.roster.all().iter().find(|e| {
                    matches!(
                        e.standing,
                        Standing::InitError | Standing::ExitError | Standing::Exited
                    )
                });
                if let Some(failed) = failed
                    && !state.is_shutting_down
                {
                    return failed.clone();
                }
            }
            self.failed.notified().await;
        }
    }

    pub(crate) fn is_parked(&self, outlet: &Arc<Outlet>) -> bool {
        let holds = |place: &Place| {
            place
                .parked
                .as_ref()
                .is_some_and(|o| Arc::ptr_eq(o, outlet))
        };
        self.is_used() && self.lock().places.iter().any(holds)
    }

    pub(crate) fn unpark(&self, outlet: &Arc<Outlet>) {
        if self.is_used() {
            for place in &mut self.lock().places {
                place.parked.take_if(|o| Arc::ptr_eq(o, outlet));
            }
        }
    }
}

impl State {
    fn new_id(&mut self, seed: &str) -> String {
        self.ids += 1;
        uuid(seed, self.ids)
    }

    fn places_where(&self, wanted: impl Fn(&Extension) -> bool) -> Vec<usize> {
        let all = self.roster.all().iter().enumerate();
        all.filter(|(_, e)| wanted(e))
            .map(|(place, _)| place)
            .collect()
    }

    /// Writes an event to the connection that waits for it, or keeps it until one does.
    fn hand_out(&mut self, place: usize, event: Bytes) {
        let Some(open) = self.places.get_mut(place) else {
            return;
        };
        match open.parked.take() {
            Some(outlet) => {
                self.roster.deliver(place);
                outlet.send_now(Delivery {
                    head: event,
                    payload: Bytes::new(),
                });
            }
            None => open.waiting = Some(event),
        }
    }
}

fn identifier(head: &ExtensionHead) -> Result<&str, Reply> {
    match head.identifier.as_deref() {
        None | Some("") => Err(Reply::MissingId),
        Some(id) if request::is_uuid(id) => Ok(id),
        Some(_) => Err(Reply::InvalidId),
    }
}

/// The `n`th identifier of a session. It need not be secret: whoever can ask lives in the same
/// environment.
fn uuid(seed: &str, n: u64) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, n, salt).hash(&mut hasher);
        hasher.finish()
    };
    let (high, low) = (half(0), half(1));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_and_differ() {
        let all: std::collections::BTreeSet<_> = (0..100).map(|n| uuid("e", n)).collect();
        assert_eq!(all.len(), 100);
        assert!(all.iter().all(|id| request::is_uuid(id)), "{all:?}");
        assert_ne!(uuid("e", 1), uuid("f", 1));
    }
}
