//! From an event on a bus to what is sent to whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::Arn;
use model::ports::{
    Attribute, AttributeValue, DeadLetter, DeadLetterStyle, LogLine, LogStreamRef, Parcel,
    Patience, Posting, Sender, Waits,
};
use patterns::Pattern;
use serde_json::Value;

use crate::engine::{Engine, bus_parts, lock};
use crate::event::{Event, stable_id};
use crate::fault::Fault;
use crate::http;
use crate::http::record::TargetParameters;
use crate::input::{Meeting, body};
use crate::names::BusRef;
use crate::path::Path;
use crate::record::{Archive, Rule, RuleTarget};

/// Buses that an event may pass, so that buses that send to each other come to an end.
pub(crate) const HOPS_MAX: u32 = 10;
/// Begins the resource in the ARN of an API destination.
pub(crate) const API_DESTINATION: &str = "api-destination/";
/// The attribute that counts them.
pub(crate) const HOPS: &str = "AWSEventsHops";
/// [EventBridge API: RetryPolicy]
const RETRIES_DEFAULT: u32 = 185;
pub(crate) const AGE_S_DEFAULT: u64 = 86_400;

/// Rules of buses, ready to be asked. They are read again when they changed.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Grows with every change, so that what was read before one is not kept after it.
    changes: u64,
    buses: HashMap<BusRef, Arc<Bus>>,
}

/// What listens to a bus.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    rules: Vec<(Rule, Pattern)>,
    archives: Vec<(Archive, Option<Pattern>)>,
}

impl Routes {
    pub(crate) fn forget(&self, bus: &BusRef) {
        let mut kept = lock(&self.0);
        kept.changes += 1;
        kept.buses.remove(bus);
    }
}

/// An event on its way, and what travels with it.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) event: Event,
    pub(crate) trace: Option<String>,
    pub(crate) hops: u32,
    /// Rules that alone get it (replays); empty: all. Archives get no replayed event.
    pub(crate) only: Vec<String>,
}

impl Engine {
    async fn routes_of(&self, bus: &BusRef) -> Result<Arc<Bus>, Fault> {
        let before = {
            let kept = lock(&self.routes.0);
            if let Some(found) = kept.buses.get(bus) {
                return Ok(found.clone());
            }
            kept.changes
        };
        let mut found = Bus::default();
        for rule in self.rules_of(bus).await? {
            let pattern = rule.pattern.as_deref().map(Pattern::parse);
            if let Some(Ok(pattern)) = pattern
                && rule.is_enabled()
            {
                found.rules.push((rule, pattern));
            }
        }
        let at = [&*bus.at.account, &*bus.at.region];
        for row in self.archives.all(&at).await? {
            if row.value.bus == bus.name {
                let pattern = row.value.pattern.as_deref().map(Pattern::parse);
                found
                    .archives
                    .push((row.value, pattern.and_then(Result::ok)));
            }
        }
        let found = Arc::new(found);
        let mut kept = lock(&self.routes.0);
        if kept.changes == before {
            kept.buses.insert(bus.clone(), found.clone());
        }
        Ok(found)
    }

    /// Brings events to everybody who listens. They are kept for good when it returns.
    pub(crate) async fn accept(&self, all: Vec<(BusRef, Passage)>) -> Result<(), Fault> {
        let ingested = self.now().iso_secs();
        let mut postings = Vec::new();
        let mut archived: Vec<(String, Vec<Bytes>)> = Vec::new();
        for (bus, passage) in &all {
            let routes = self.routes_of(bus).await?;
            let value = passage.event.value();
            for (rule, pattern) in &routes.rules {
                let arn = bus.rule_arn(&rule.name);
                if (passage.only.is_empty() || passage.only.contains(&arn))
                    && pattern.matches(&value)
                {
                    let meeting = Meeting {
                        event: &passage.event,
                        value: &value,
                        rule_arn: &arn,
                        rule_name: &rule.name,
                        ingested: &ingested,
                    };
                    postings.extend(self.postings(rule, &meeting, passage, Duration::ZERO));
                }
            }
            if passage.event.replay_name.is_some() {
                continue;
            }
            for (archive, pattern) in &routes.archives {
                if pattern.as_ref().is_none_or(|p| p.matches(&value)) {
                    let json = Bytes::from(passage.event.json());
                    match archived.iter_mut().find(|(id, _)| *id == archive.id) {
                        Some((_, events)) => events.push(json),
                        None => archived.push((archive.id.clone(), vec![json])),
                    }
                }
            }
        }
        for (id, events) in archived {
            self.archive(&id, events).await?;
        }
        if !postings.is_empty() {
            self.outbox.post(postings).await?;
        }
        Ok(())
    }

    /// What a rule sends of an event that is `age` old already.
    pub(crate) fn postings(
        &self,
        rule: &Rule,
        meeting: &Meeting<'_>,
        passage: &Passage,
        age: Duration,
    ) -> Vec<Posting> {
        let mut postings = Vec::new();
        for target in &rule.targets {
            let Ok(to) = target.arn.parse::<Arn>() else {
                continue;
            };
            let Some(body) = body(target, meeting) else {
                tracing::debug!(rule = meeting.rule_arn, target = %target.id, "the template gives no JSON");
                continue;
            };
            if to.service == "logs" {
                self.print(&to, target, meeting, body);
                continue;
            }
            postings.extend(posting(target, to, body, meeting, passage, age));
        }
        postings
    }

    fn print(&self, to: &Arn, target: &RuleTarget, meeting: &Meeting<'_>, message: String) {
        let group = to.resource.strip_prefix("log-group:").unwrap_or_default();
        let group = group.strip_suffix(":*").unwrap_or(group);
        let stream = stable_id(&[meeting.rule_arn, &target.id]);
        let (Ok(account), Ok(region)) = (to.account.parse(), to.region.parse()) else {
            return;
        };
        let to = LogStreamRef {
            account,
            region,
            group: group.into(),
            stream: stream.into(),
        };
        let unix_ms = self.now_ms();
        self.sink.append(&to, vec![LogLine { unix_ms, message }]);
    }
}

fn posting(
    target: &RuleTarget,
    to: Arn,
    body: String,
    meeting: &Meeting<'_>,
    passage: &Passage,
    age: Duration,
) -> Option<Posting> {
    let replay = passage.event.replay_name.as_deref().unwrap_or_default();
    let id = stable_id(&[&passage.event.id, meeting.rule_arn, &target.id, replay]);
    let is_endpoint = to.resource.starts_with(API_DESTINATION);
    let is_bus = to.service == "events" && !is_endpoint;
    // Another bus needs the event itself, and how far it came.
    let attributes = is_bus.then(|| {
        let value = AttributeValue::Text((passage.hops + 1).to_string());
        let kind = "Number".to_owned();
        (HOPS.to_owned(), Attribute { kind, value })
    });
    let called = target.http.as_ref().filter(|_| is_endpoint);
    let attributes = attributes.or_else(|| http::attributes(&resolved(called?, meeting.value)));
    let body = if is_bus { meeting.event.json() } else { body };
    let rule: Arn = meeting.rule_arn.parse().ok()?;
    let age_max = Duration::from_secs(target.age_s.unwrap_or(AGE_S_DEFAULT)).saturating_sub(age);
    if age_max.is_zero() {
        return None;
    }
    let dead_letter = target.dead_letter.as_deref().and_then(|to| {
        let style = DeadLetterStyle::Rule { rule: rule.clone() };
        to.parse().ok().map(|to| DeadLetter { to, style })
    });
    Some(Posting {
        parcel: Parcel {
            id,
            to,
            sender: Sender {
                service: "events.amazonaws.com",
                source: rule,
                role: target.role.clone(),
            },
            body: Bytes::from(body),
            attributes: attributes.into_iter().collect(),
            subject: None,
            group: target.group.clone(),
            dedup: None,
            trace: passage.trace.clone(),
            event: None,
        },
        patience: Patience {
            retries_max: target.retries.unwrap_or(RETRIES_DEFAULT),
            age_max,
            waits: Waits::Doubling,
        },
        dead_letter,
    })
}

/// Values that are paths into the event stand for what is there.
fn resolved(target: &TargetParameters, event: &Value) -> TargetParameters {
    let value = |text: &String| {
        let path = text.starts_with("$.").then(|| Path::parse(text)).flatten();
        match path.and_then(|path| path.find(event)) {
            Some(Value::String(found)) => found,
            Some(found) => found.to_string(),
            None => text.clone(),
        }
    };
    let map = |all: &BTreeMap<String, String>| {
        let all = all.iter();
        all.map(|(key, text)| (key.clone(), value(text))).collect()
    };
    TargetParameters {
        path: target.path.iter().map(value).collect(),
        headers: map(&target.headers),
        query: map(&target.query),
    }
}

impl Engine {
    /// Whether there is such a bus to send to.
    pub(crate) async fn has_bus(&self, bus: &BusRef) -> Result<bool, Fault> {
        let is_default = bus.name == crate::names::DEFAULT_BUS;
        Ok(is_default || self.buses.get(&bus_parts(bus)).await?.is_some())
    }
}
