//! EventBridge Scheduler: schedules, their groups, and what runs them by the clock.
//!
//! ```text
//! operations ─▶ plan (pure: when next?) ─▶ engine (records) ◀─ ticks ─▶ Outbox (durable)
//! ```
//!
//! A tick is posted under an id that schedule and time give, then the next one is written down: after
//! a crash between the two it is posted again, and the outbox takes it for the one it has.
//!
//! Not here: universal targets and targets that Kiln has no service for; they are refused as not
//! built. Start with [`open`] and [`service`].

mod api;
mod checks;
mod engine;
mod fault;
mod operations;
mod plan;
mod record;
mod send;
mod ticks;

use std::sync::Arc;

use ::schedules::Ticker;
pub use engine::Engine;
use http::Method;
use model::ports::Outbox;
use operations::{groups, schedules as all, tags};
use store::{Store, StoreError};
use tasks::Tasks;
use wire::{Protocol, Service};

/// Opens the stored state and starts the schedules.
///
/// # Errors
/// Fails if the stored schedules cannot be read.
pub async fn open(
    store: &Store,
    outbox: Arc<dyn Outbox>,
    tasks: &Tasks,
) -> Result<Arc<Engine>, StoreError> {
    let engine = Arc::new(Engine::new(store, outbox, tasks));
    engine.load_ticks().await?;
    tasks.add(Ticker::new(
        "scheduler: schedules",
        ticks::Clockwork(engine.clone()),
        tasks,
    ));
    Ok(engine)
}

/// The service as the router takes it.
pub fn service(engine: Arc<Engine>) -> Service {
    const SCHEDULE: &str = "/schedules/{Name}";
    const GROUP: &str = "/schedule-groups/{Name}";
    Service::new("scheduler", engine)
        .protocols([Protocol::RestJson])
        .internal_failure("InternalServerException", "Internal server error.")
        .capital_messages()
        .rest("CreateSchedule", Method::POST, SCHEDULE, 200, all::create)
        .rest("UpdateSchedule", Method::PUT, SCHEDULE, 200, all::update)
        .rest(
            "GetSchedule",
            Method::GET,
            "/schedules/{Name}?groupName={GroupName}",
            200,
            all::get,
        )
        .rest(
            "DeleteSchedule",
            Method::DELETE,
            "/schedules/{Name}?groupName={GroupName}&clientToken={ClientToken}",
            200,
            all::delete,
        )
        .rest(
            "ListSchedules",
            Method::GET,
            "/schedules?ScheduleGroup={GroupName}&MaxResults&NamePrefix&NextToken&State",
            200,
            all::list,
        )
        .rest(
            "CreateScheduleGroup",
            Method::POST,
            GROUP,
            200,
            groups::create,
        )
        .rest("GetScheduleGroup", Method::GET, GROUP, 200, groups::get)
        .rest(
            "DeleteScheduleGroup",
            Method::DELETE,
            "/schedule-groups/{Name}?clientToken={ClientToken}",
            200,
            groups::delete,
        )
        .rest(
            "ListScheduleGroups",
            Method::GET,
            "/schedule-groups?MaxResults&NamePrefix&NextToken",
            200,
            groups::list,
        )
        .rest(
            "TagResource",
            Method::POST,
            "/tags/{ResourceArn}",
            200,
            tags::tag,
        )
        .rest(
            "UntagResource",
            Method::DELETE,
            "/tags/{ResourceArn}?TagKeys",
            200,
            tags::untag,
        )
        .rest(
            "ListTagsForResource",
            Method::GET,
            "/tags/{ResourceArn}",
            200,
            tags::list,
        )
        .build()
}
