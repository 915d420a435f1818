//! EventBridge: buses, rules by pattern and by the clock, targets, archives and replays.
//!
//! ```text
//! PutEvents ─▶ operations ─┐
//! other buses, functions ─▶ target ─┤
//! the clock ─▶ ticks ──────┼─▶ route: rules that match ─▶ input ─▶ Outbox (durable)
//! archives ─▶ replay ──────┘        └─▶ archive: a log of the store
//! Outbox ─▶ target ─▶ http: API destinations ─▶ Web
//! ```
//!
//! PutEvents answers when all that matched lies in the outbox and in the archives. Delivery, its
//! retries and dead letters are the outbox's.
//!
//! Not here: partner sources, global endpoints; those operations answer that they are not built. Start with [`open`] and [`service`].

mod api;
mod archive;
mod engine;
mod event;
mod fault;
mod http;
mod input;
mod managed;
mod names;
mod operations;
mod path;
mod record;
mod replay;
mod route;
mod target;
mod ticks;

use std::sync::Arc;

use crate::http::{Authorizer, connections, destinations};
pub use engine::Engine;
use model::ports::{LogSink, Outbox, Web};
use operations::{archives, buses, permissions, put_events, replays, rules, tags, targets};
use schedules::Ticker;
use store::{Store, StoreError};
use tasks::Tasks;
use wire::{Protocol, Service};

/// Longest body of PutEvents: a megabyte of entries, escaped, with what is around it.
const PUT_EVENTS_BYTES_MAX: u64 = 8 << 20;

/// Opens the stored state and starts schedules, replays and retention.
///
/// # Errors
/// Fails if the stored rules cannot be read.
pub async fn open(
    store: &Store,
    outbox: Arc<dyn Outbox>,
    sink: Arc<dyn LogSink>,
    web: Arc<dyn Web>,
    tasks: &Tasks,
) -> Result<Arc<Engine>, StoreError> {
    let engine = Arc::new(Engine::new(store, outbox, sink, web, tasks));
    engine.load_ticks().await?;
    engine.load_authorizing().await?;
    engine.replay.notify_one();
    tasks.add(Ticker::new(
        "events: schedules of rules",
        ticks::Clockwork(engine.clone()),
        tasks,
    ));
    tasks.add(Ticker::new(
        "events: connections",
        Authorizer(engine.clone()),
        tasks,
    ));
    tasks.add(replay::Runner(engine.clone()));
    tasks.add(archive::Trim(engine.clone()));
    Ok(engine)
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    Service::new("events", engine)
        .target_prefix("AWSEvents")
        .protocols([Protocol::Json11])
        .operation("PutRule", rules::put)
        .operation("DescribeRule", rules::describe)
        .operation("DeleteRule", rules::delete)
        .operation("ListRules", rules::list)
        .operation("EnableRule", rules::enable)
        .operation("DisableRule", rules::disable)
        .operation("TestEventPattern", rules::test_pattern)
        .operation("PutTargets", targets::put)
        .operation("RemoveTargets", targets::remove)
        .operation("ListTargetsByRule", targets::list)
        .operation("ListRuleNamesByTarget", targets::rules_of)
        .operation("PutEvents", put_events::put)
        .body_max(PUT_EVENTS_BYTES_MAX)
        .operation("CreateEventBus", buses::create)
        .operation("DescribeEventBus", buses::describe)
        .operation("UpdateEventBus", buses::update)
        .operation("DeleteEventBus", buses::delete)
        .operation("ListEventBuses", buses::list)
        .operation("PutPermission", permissions::put)
        .operation("RemovePermission", permissions::remove)
        .operation("TagResource", tags::tag)
        .operation("UntagResource", tags::untag)
        .operation("ListTagsForResource", tags::list)
        .operation("CreateArchive", archives::create)
        .operation("DescribeArchive", archives::describe)
        .operation("UpdateArchive", archives::update)
        .operation("DeleteArchive", archives::delete)
        .operation("ListArchives", archives::list)
        .operation("StartReplay", replays::start)
        .operation("DescribeReplay", replays::describe)
        .operation("ListReplays", replays::list)
        .operation("CancelReplay", replays::cancel)
        .operation("CreateConnection", connections::create)
        .operation("UpdateConnection", connections::update)
        .operation("DescribeConnection", connections::describe)
        .operation("DeleteConnection", connections::delete)
        .operation("DeauthorizeConnection", connections::deauthorize)
        .operation("ListConnections", connections::list)
        .operation("CreateApiDestination", destinations::create)
        .operation("UpdateApiDestination", destinations::update)
        .operation("DescribeApiDestination", destinations::describe)
        .operation("DeleteApiDestination", destinations::delete)
        .operation("ListApiDestinations", destinations::list)
        .not_built(NOT_BUILT)
        .build()
}

/// Operations of the model that Kiln does not have yet.
const NOT_BUILT: [&str; 15] = [
    "ActivateEventSource",
    "CreateEndpoint",
    "CreatePartnerEventSource",
    "DeactivateEventSource",
    "DeleteEndpoint",
    "DeletePartnerEventSource",
    "DescribeEndpoint",
    "DescribeEventSource",
    "DescribePartnerEventSource",
    "ListEndpoints",
    "ListEventSources",
    "ListPartnerEventSourceAccounts",
    "ListPartnerEventSources",
    "PutPartnerEvents",
    "UpdateEndpoint",
];
