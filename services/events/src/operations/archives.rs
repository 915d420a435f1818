use std::sync::Arc;

use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use crate::api::{
    ArchiveRequest, ArchiveResponse, ArchiveShape, CreateArchiveRequest, ListArchivesRequest,
    ListArchivesResponse, Nothing, UpdateArchiveRequest,
};
use crate::engine::{Engine, change, named};
use crate::fault::Fault;
use crate::names::{BusRef, Names, Place, after, limit};
use crate::operations::{buses, rules};
use crate::record::Archive;

const ENABLED: &str = "ENABLED";
const STATES: [&str; 6] = [
    "ENABLED",
    "DISABLED",
    "CREATING",
    "UPDATING",
    "CREATE_FAILED",
    "UPDATE_FAILED",
];

pub(crate) fn no_archive(name: &str) -> Fault {
    Fault::NotFound(format!("Archive {name} does not exist."))
}

fn check(
    name: &str,
    description: Option<&str>,
    pattern: Option<&str>,
    days: Option<i64>,
) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.name(name, "archiveName", 48);
    if let Some(text) = description {
        checks.length(text, "description", 0, 512);
    }
    if let Some(text) = pattern {
        checks.length(text, "eventPattern", 0, 4_096);
    }
    if let Some(days) = days {
        checks.range(days, "retentionDays", 0, i64::from(i32::MAX));
    }
    checks.done()?;
    pattern.map_or(Ok(()), rules::check_pattern)
}

fn bus_of(at: &Place, archive: &Archive) -> BusRef {
    BusRef {
        at: at.clone(),
        name: archive.bus.clone(),
    }
}

fn response(at: &Place, archive: &Archive) -> ArchiveResponse {
    ArchiveResponse {
        archive_arn: at.arn(&format!("archive/{}", archive.name)),
        state: ENABLED,
        creation_time: Timestamp(archive.created_ms),
    }
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateArchiveRequest,
) -> Result<ArchiveResponse, wire::Fault> {
    let at = Place::of(&cx);
    let pattern = input.event_pattern.as_deref();
    check(
        &input.archive_name,
        input.description.as_deref(),
        pattern,
        input.retention_days,
    )?;
    let bus = buses::of_arn(&input.event_source_arn, "EventSourceArn")?;
    engine.bus(&bus).await?;
    let archive = Archive {
        name: input.archive_name,
        id: engine.tasks.ids().uuid(),
        bus: bus.name.clone(),
        description: input.description,
        pattern: input.event_pattern,
        retention_days: input.retention_days.unwrap_or_default(),
        kms_key: input.kms_key_identifier,
        created_ms: engine.now_ms(),
    };
    let parts = named(&at, &archive.name);
    match engine.archives.put(&parts, &archive, Expect::Absent).await {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => {
            let name = &archive.name;
            return Err(Fault::Exists(format!("Archive {name} already exists.")).into());
        }
        Err(other) => return Err(Fault::from(other).into()),
    }
    engine.routes.forget(&bus);
    Ok(response(&at, &archive))
}

pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateArchiveRequest,
) -> Result<ArchiveResponse, wire::Fault> {
    let at = Place::of(&cx);
    let pattern = input.event_pattern.as_deref();
    check(
        &input.archive_name,
        input.description.as_deref(),
        pattern,
        input.retention_days,
    )?;
    if input.description.is_none() && pattern.is_none() && input.retention_days.is_none() {
        let text = "At least one of EventPattern, RetentionDays or Description must be provided.";
        return Err(Fault::Validation(text.to_owned()).into());
    }
    let edit = |archive: &mut Archive| {
        let keep = |new: &Option<String>, old: &Option<String>| new.clone().or(old.clone());
        archive.description = keep(&input.description, &archive.description);
        archive.pattern = keep(&input.event_pattern, &archive.pattern);
        archive.retention_days = input.retention_days.unwrap_or(archive.retention_days);
        archive.kms_key = keep(&input.kms_key_identifier, &archive.kms_key);
        Ok(archive.clone())
    };
    let parts = named(&at, &input.archive_name);
    let archive = change(&engine.archives, &parts, edit).await?;
    let archive = archive.ok_or_else(|| no_archive(&input.archive_name))?;
    engine.routes.forget(&bus_of(&at, &archive));
    Ok(response(&at, &archive))
}

/// The archive, which must be there.
pub(crate) async fn find(engine: &Engine, at: &Place, name: &str) -> Result<Archive, Fault> {
    let row = engine.archives.get(&named(at, name)).await?;
    row.map(|row| row.value).ok_or_else(|| no_archive(name))
}

async fn shape(engine: &Engine, at: &Place, archive: Archive) -> Result<ArchiveShape, Fault> {
    let counted = engine.count(&archive.id).await?;
    Ok(ArchiveShape {
        archive_arn: None,
        event_source_arn: bus_of(at, &archive).arn(),
        archive_name: archive.name,
        description: None,
        event_pattern: None,
        state: ENABLED,
        kms_key_identifier: None,
        retention_days: archive.retention_days,
        size_bytes: counted.bytes,
        event_count: counted.events,
        creation_time: Timestamp(archive.created_ms),
    })
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: ArchiveRequest,
) -> Result<ArchiveShape, wire::Fault> {
    let at = Place::of(&cx);
    let archive = find(&engine, &at, &input.archive_name).await?;
    Ok(ArchiveShape {
        archive_arn: Some(at.arn(&format!("archive/{}", archive.name))),
        description: archive.description.clone(),
        event_pattern: archive.pattern.clone(),
        kms_key_identifier: archive.kms_key.clone(),
        ..shape(&engine, &at, archive).await?
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: ArchiveRequest,
) -> Result<Nothing, wire::Fault> {
    let at = Place::of(&cx);
    let archive = find(&engine, &at, &input.archive_name).await?;
    let parts = named(&at, &archive.name);
    let gone = engine.archives.delete(&parts, Expect::Any).await;
    gone.map_err(Fault::from)?;
    engine.routes.forget(&bus_of(&at, &archive));
    engine.empty(&archive.id).await?;
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListArchivesRequest,
) -> Result<ListArchivesResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    if let Some(state) = &input.state {
        let mut checks = Checks::default();
        checks.choice(state, "state", &STATES);
        checks.done()?;
    }
    let source = match &input.event_source_arn {
        None => None,
        Some(arn) => {
            let bus = buses::of_arn(arn, "EventSourceArn")?;
            engine.bus(&bus).await?;
            Some(bus.name)
        }
    };
    let rows = engine.archives.all(&[&at.account, &at.region]).await;
    let mut found: Vec<Archive> = rows
        .map_err(Fault::from)?
        .into_iter()
        .map(|row| row.value)
        .collect();
    let prefix = input.name_prefix.unwrap_or_default();
    let is_asked = input.state.is_none_or(|state| state == ENABLED);
    found.retain(|archive| {
        is_asked
            && archive.name.starts_with(&prefix)
            && source.as_ref().is_none_or(|bus| archive.bus == *bus)
            && after.as_ref().is_none_or(|after| archive.name > *after)
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let (found, next_token) = paging::page(found, limit, |archive| archive.name.clone());
    let mut archives = Vec::with_capacity(found.len());
    for archive in found {
        archives.push(shape(&engine, &at, archive).await?);
    }
    Ok(ListArchivesResponse {
        archives,
        next_token,
    })
}
