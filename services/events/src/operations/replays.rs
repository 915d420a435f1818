use std::sync::Arc;

use model::Arn;
use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use crate::api::{
    CancelReplayResponse, ListReplaysRequest, ListReplaysResponse, ReplayDestination,
    ReplayRequest, ReplayShape, StartReplayRequest, StartReplayResponse,
};
use crate::engine::{Engine, change, named};
use crate::fault::Fault;
use crate::names::{BusRef, Names, Place, after, limit};
use crate::operations::{archives, buses};
use crate::record::Replay;

/// Replays that run at the same time.  [EventBridge quotas: replays]
const ACTIVE_MAX: usize = 10;
const STATES: [&str; 6] = [
    "STARTING",
    "RUNNING",
    "CANCELLING",
    "COMPLETED",
    "CANCELLED",
    "FAILED",
];

fn refused(member: &str, reason: &str) -> Fault {
    Fault::Validation(format!("Parameter {member} is not valid. Reason: {reason}"))
}

fn arn(at: &Place, name: &str) -> String {
    at.arn(&format!("replay/{name}"))
}

/// The name in the ARN of an archive.
fn archive_name(text: &str) -> Result<String, Fault> {
    let arn = text.parse::<Arn>().ok();
    let name = arn.and_then(|arn| arn.resource.strip_prefix("archive/").map(str::to_owned));
    name.ok_or_else(|| refused("EventSourceArn", "Must contain an archive ARN."))
}

async fn checked(engine: &Engine, at: &Place, input: StartReplayRequest) -> Result<Replay, Fault> {
    let mut checks = Checks::default();
    checks.name(&input.replay_name, "replayName", 64);
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    checks.done()?;
    let bus = buses::of_arn(&input.destination.arn, "Destination.Arn")?;
    engine.bus(&bus).await?;
    let name = archive_name(&input.event_source_arn)?;
    let archive = match archives::find(engine, at, &name).await {
        Ok(archive) => archive,
        Err(Fault::NotFound(reason)) => return Err(refused("EventSourceArn", &reason)),
        Err(other) => return Err(other),
    };
    if input.event_end_time <= input.event_start_time {
        let reason = "EventStartTime must be before EventEndTime.";
        return Err(refused("EventEndTime", reason));
    }
    if archive.bus != bus.name {
        let reason = "Cross event bus replay is not permitted.";
        return Err(refused("Destination.Arn", reason));
    }
    Ok(Replay {
        name: input.replay_name,
        description: input.description,
        archive: archive.name,
        archive_id: archive.id,
        bus: bus.name,
        filters: input.destination.filter_arns.unwrap_or_default(),
        state: "STARTING".to_owned(),
        from_ms: input.event_start_time.0,
        to_ms: input.event_end_time.0,
        started_ms: engine.now_ms(),
        ended_ms: None,
        last: None,
    })
}

async fn all(engine: &Engine, at: &Place) -> Result<Vec<Replay>, Fault> {
    let rows = engine.replays.all(&[&at.account, &at.region]).await?;
    let mut all: Vec<Replay> = rows.into_iter().map(|row| row.value).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

pub(crate) async fn start(
    engine: Arc<Engine>,
    cx: Context,
    input: StartReplayRequest,
) -> Result<StartReplayResponse, wire::Fault> {
    let at = Place::of(&cx);
    let replay = checked(&engine, &at, input).await?;
    let known = all(&engine, &at).await?;
    let exists = || Fault::Exists(format!("Replay {} already exists.", replay.name));
    if known.iter().any(|known| known.name == replay.name) {
        return Err(exists().into());
    }
    if known.iter().filter(|known| !known.is_over()).count() >= ACTIVE_MAX {
        return Err(Fault::Limit.into());
    }
    let parts = named(&at, &replay.name);
    match engine.replays.put(&parts, &replay, Expect::Absent).await {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => return Err(exists().into()),
        Err(other) => return Err(Fault::from(other).into()),
    }
    engine.replay.notify_one();
    Ok(StartReplayResponse {
        replay_arn: arn(&at, &replay.name),
        state: replay.state,
        replay_start_time: Timestamp(replay.started_ms),
    })
}

fn no_replay(name: &str) -> Fault {
    Fault::NotFound(format!("Replay {name} does not exist."))
}

fn shape(at: &Place, replay: &Replay) -> ReplayShape {
    ReplayShape {
        replay_name: replay.name.clone(),
        replay_arn: None,
        description: None,
        state: replay.state.clone(),
        event_source_arn: at.arn(&format!("archive/{}", replay.archive)),
        destination: None,
        event_start_time: Timestamp(replay.from_ms),
        event_end_time: Timestamp(replay.to_ms),
        event_last_replayed_time: replay.last.map(|(time, _)| Timestamp(time)),
        replay_start_time: Timestamp(replay.started_ms),
        replay_end_time: replay.ended_ms.map(Timestamp),
    }
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: ReplayRequest,
) -> Result<ReplayShape, wire::Fault> {
    let at = Place::of(&cx);
    let row = engine.replays.get(&named(&at, &input.replay_name)).await;
    let row = row.map_err(Fault::from)?;
    let replay = row.ok_or_else(|| no_replay(&input.replay_name))?.value;
    let filters = (!replay.filters.is_empty()).then(|| replay.filters.clone());
    let to = BusRef {
        at: at.clone(),
        name: replay.bus.clone(),
    };
    Ok(ReplayShape {
        replay_arn: Some(arn(&at, &replay.name)),
        description: replay.description.clone(),
        destination: Some(ReplayDestination {
            arn: to.arn(),
            filter_arns: filters,
        }),
        ..shape(&at, &replay)
    })
}

pub(crate) async fn cancel(
    engine: Arc<Engine>,
    cx: Context,
    input: ReplayRequest,
) -> Result<CancelReplayResponse, wire::Fault> {
    let at = Place::of(&cx);
    let edit = |replay: &mut Replay| {
        if replay.is_over() || replay.state == "CANCELLING" {
            return Err(Fault::Status(format!(
                "Replay {} is not in a valid state for this operation.",
                replay.name
            )));
        }
        "CANCELLING".clone_into(&mut replay.state);
        Ok(())
    };
    let parts = named(&at, &input.replay_name);
    let found = change(&engine.replays, &parts, edit).await?;
    found.ok_or_else(|| no_replay(&input.replay_name))?;
    engine.replay.notify_one();
    Ok(CancelReplayResponse {
        replay_arn: arn(&at, &input.replay_name),
        state: "CANCELLING".to_owned(),
    })
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListReplaysRequest,
) -> Result<ListReplaysResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    if let Some(state) = &input.state {
        let mut checks = Checks::default();
        checks.choice(state, "state", &STATES);
        checks.done()?;
    }
    let source = input.event_source_arn.as_deref().map(archive_name);
    let source = source.transpose()?;
    let prefix = input.name_prefix.unwrap_or_default();
    let mut found = all(&engine, &at).await?;
    found.retain(|replay| {
        replay.name.starts_with(&prefix)
            && input
                .state
                .as_ref()
                .is_none_or(|state| replay.state == *state)
            && source
                .as_ref()
                .is_none_or(|archive| replay.archive == *archive)
            && after.as_ref().is_none_or(|after| replay.name > *after)
    });
    let (found, next_token) = paging::page(found, limit, |replay| replay.name.clone());
    Ok(ListReplaysResponse {
        replays: found.iter().map(|replay| shape(&at, replay)).collect(),
        next_token,
    })
}
