use std::sync::Arc;

use model::lineage::chained;
use model::policy::{Caller, Keys, Policy, Request, Verdict};
use model::ports::EventHead;
use tasks::Time;
use wire::Context;

use crate::api::{PutEventsEntry, PutEventsRequest, PutEventsResponse, PutEventsResult};
use crate::engine::Engine;
use crate::event::{Event, Origin};
use crate::fault::Fault;
use crate::names::{BusRef, Place};
use crate::route::Passage;

/// [EventBridge API: PutEvents]
const ENTRIES_MAX: usize = 10;
/// All entries together.  [EventBridge quotas: PutEvents entry size]
const BYTES_MAX: usize = 1 << 20;
/// What a time counts for.
const TIME_BYTES: usize = 14;

fn check(entries: &[PutEventsEntry]) -> Result<(), Fault> {
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let shown: Vec<String> = entries.iter().map(shown).collect();
        let (word, bound) = if entries.is_empty() {
            ("greater", 1)
        } else {
            ("less", ENTRIES_MAX)
        };
        return Err(Fault::Validation(format!(
            "1 validation error detected: Value '[{}]' at 'entries' failed to satisfy constraint: \
             Member must have length {word} than or equal to {bound}",
            shown.join(", ")
        )));
    }
    if entries.iter().map(size).sum::<usize>() > BYTES_MAX {
        return Err(Fault::Validation(
            "Total size of the entries in the request is over the limit.".to_owned(),
        ));
    }
    Ok(())
}

/// An entry as AWS prints it.
fn shown(entry: &PutEventsEntry) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    let time = entry.time.map_or("null".to_owned(), |time| time.iso8601());
    let resources = match &entry.resources {
        Some(resources) => format!("[{}]", resources.join(", ")),
        None => "null".to_owned(),
    };
    format!(
        "PutEventsRequestEntry(time={time}, source={}, resources={resources}, detailType={}, \
         detail={}, eventBusName={}, traceHeader={}, kmsKeyIdentifier=null, internalMetadata=null)",
        text(&entry.source),
        text(&entry.detail_type),
        text(&entry.detail),
        text(&entry.event_bus_name),
        text(&entry.trace_header),
    )
}

/// [EventBridge guide: calculating PutEvents entry size]
fn size(entry: &PutEventsEntry) -> usize {
    let texts = [&entry.source, &entry.detail_type, &entry.detail];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let resources = entry.resources.iter().flatten();
    let resources: usize = resources.map(String::len).sum();
    texts + resources + entry.time.map_or(0, |_| TIME_BYTES)
}

fn refused(code: &str, message: impl Into<String>) -> PutEventsResult {
    PutEventsResult::Refused {
        error_code: code.to_owned(),
        error_message: message.into(),
    }
}

fn missing(name: &str) -> PutEventsResult {
    refused(
        "InvalidArgument",
        format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
    )
}

/// The event of an entry, or why it is none.
fn event(
    engine: &Engine,
    cx: &Context,
    entry: &PutEventsEntry,
    bus: &BusRef,
) -> Result<Event, PutEventsResult> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let source = given(&entry.source).ok_or_else(|| missing("Source"))?;
    let detail_type = given(&entry.detail_type).ok_or_else(|| missing("DetailType"))?;
    let detail = given(&entry.detail).ok_or_else(|| missing("Detail"))?;
    if source.starts_with("aws.") {
        return Err(refused(
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ));
    }
    let now = engine.now();
    let id = engine.tasks.ids().uuid();
    let origin = Origin {
        id: &id,
        account: cx.account(),
        region: &bus.at.region,
        time: entry.time.map_or(now, |t| Time::from_unix_millis(t.0)),
    };
    let head = EventHead {
        source,
        detail_type,
        resources: entry.resources.clone().unwrap_or_default(),
    };
    Event::new(origin, head, &detail)
        .ok_or_else(|| refused("MalformedDetail", "Detail is malformed."))
}

/// A bus of another account is open to those whom its policy names.
async fn may_put(engine: &Engine, cx: &Context, bus: &BusRef) -> Result<bool, Fault> {
    if bus.at.account == cx.account() {
        return Ok(true);
    }
    let policy = engine.bus(bus).await?.policy;
    let Some(Ok(policy)) = policy.as_ref().map(Policy::read) else {
        return Ok(false);
    };
    let request = Request {
        caller: &Caller::Identity {
            account: cx.account().to_owned(),
            arn: cx.principal_arn(),
        },
        action: "events:PutEvents",
        resource: &bus.arn(),
        keys: &Keys::new(),
    };
    Ok(policy.decide(&request) == Verdict::Allow)
}

/// Answers after what matched lies in the outbox and in the archives.  [EventBridge API: PutEvents]
pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutEventsRequest,
) -> Result<PutEventsResponse, wire::Fault> {
    if input.endpoint_id.is_some() {
        return Err(Fault::NotBuilt("global endpoints".to_owned()).into());
    }
    check(&input.entries)?;
    let mut entries = Vec::with_capacity(input.entries.len());
    let mut passages = Vec::new();
    for entry in &input.entries {
        let bus = BusRef::named(&Place::of(&cx), entry.event_bus_name.as_deref())?;
        let event = match event(&engine, &cx, entry, &bus) {
            Ok(event) => event,
            Err(refused) => {
                entries.push(refused);
                continue;
            }
        };
        let event_id = event.id.clone();
        // An event for a bus that is not there is accepted and goes nowhere.
        if engine.has_bus(&bus).await? {
            if !may_put(&engine, &cx, &bus).await? {
                entries.push(refused("AccessDeniedException", "Access denied."));
                continue;
            }
            let passage = Passage {
                event,
                trace: chained(entry.trace_header.as_deref(), cx.trace()),
                hops: 0,
                only: Vec::new(),
            };
            passages.push((bus, passage));
        }
        entries.push(PutEventsResult::Accepted { event_id });
    }
    engine.accept(passages).await?;
    let is_refused = |entry: &&PutEventsResult| matches!(entry, PutEventsResult::Refused { .. });
    Ok(PutEventsResponse {
        failed_entry_count: entries.iter().filter(is_refused).count(),
        entries,
    })
}
