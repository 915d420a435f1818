use std::sync::Arc;

use model::Arn;
use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use crate::api::{
    BusRequest, BusShape, CreateEventBusRequest, DeadLetterConfig, ListEventBusesRequest,
    ListEventBusesResponse, Nothing, UpdateEventBusRequest,
};
use crate::engine::{Engine, bus_parts};
use crate::fault::Fault;
use crate::names::{BusRef, DEFAULT_BUS, Names, Place, after, limit};
use crate::operations::tags;
use crate::record::Bus;

/// [EventBridge quotas: event buses]
const BUSES_MAX: usize = 100;

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateEventBusRequest,
) -> Result<BusShape, wire::Fault> {
    let mut checks = Checks::default();
    checks.bus(&input.name, "name");
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    checks.done()?;
    if input.event_source_name.is_some() {
        return Err(Fault::NotBuilt("partner event sources".to_owned()).into());
    }
    if input.name.contains('/') {
        let text = "Event bus name must not contain '/'.";
        return Err(Fault::Validation(text.to_owned()).into());
    }
    let given = input.tags.unwrap_or_default();
    tags::check(&given)?;
    let at = Place::of(&cx);
    let exists = || Fault::Exists(format!("Event bus {} already exists.", input.name));
    if input.name == DEFAULT_BUS {
        return Err(exists().into());
    }
    let known = engine.buses.all(&[&at.account, &at.region]).await;
    if known.map_err(Fault::from)?.len() >= BUSES_MAX {
        return Err(Fault::Limit.into());
    }
    let now = engine.now_ms();
    let bus = Bus {
        name: input.name.clone(),
        created_ms: now,
        modified_ms: now,
        description: input.description,
        kms_key: input.kms_key_identifier,
        dead_letter: input.dead_letter_config.and_then(|config| config.arn),
        log_config: input.log_config,
        policy: None,
        tags: tags::map(&given),
    };
    let name = input.name.clone();
    let to = BusRef { at, name };
    match engine
        .buses
        .put(&bus_parts(&to), &bus, Expect::Absent)
        .await
    {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => return Err(exists().into()),
        Err(other) => return Err(Fault::from(other).into()),
    }
    engine.routes.forget(&to);
    Ok(BusShape {
        event_bus_arn: Some(to.arn()),
        ..settings(bus)
    })
}

/// What CreateEventBus and UpdateEventBus show.
fn settings(bus: Bus) -> BusShape {
    BusShape {
        description: bus.description,
        kms_key_identifier: bus.kms_key,
        dead_letter_config: bus
            .dead_letter
            .map(|arn| DeadLetterConfig { arn: Some(arn) }),
        log_config: bus.log_config,
        ..BusShape::default()
    }
}

fn times(bus: &Bus) -> (Option<Timestamp>, Option<Timestamp>) {
    (
        Some(Timestamp(bus.created_ms)),
        Some(Timestamp(bus.modified_ms)),
    )
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: BusRequest,
) -> Result<BusShape, wire::Fault> {
    let to = BusRef::named(&Place::of(&cx), input.name.as_deref())?;
    let bus = engine.bus(&to).await?;
    let (creation_time, last_modified_time) = times(&bus);
    Ok(BusShape {
        name: Some(bus.name.clone()),
        arn: Some(to.arn()),
        policy: bus.policy.as_ref().map(ToString::to_string),
        creation_time,
        last_modified_time,
        ..settings(bus)
    })
}

pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateEventBusRequest,
) -> Result<BusShape, wire::Fault> {
    let to = BusRef::named(&Place::of(&cx), input.name.as_deref())?;
    let now = engine.now_ms();
    let edit = |bus: &mut Bus| {
        bus.modified_ms = now;
        bus.description.clone_from(&input.description);
        bus.kms_key.clone_from(&input.kms_key_identifier);
        let dead_letter = input.dead_letter_config.as_ref();
        bus.dead_letter = dead_letter.and_then(|config| config.arn.clone());
        bus.log_config.clone_from(&input.log_config);
        Ok(bus.clone())
    };
    let bus = engine.change_bus(&to, edit).await?;
    Ok(BusShape {
        name: Some(to.name.clone()),
        arn: Some(to.arn()),
        ..settings(bus)
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: BusRequest,
) -> Result<Nothing, wire::Fault> {
    let to = BusRef::named(&Place::of(&cx), input.name.as_deref())?;
    if to.name == DEFAULT_BUS {
        let text = "Cannot delete event bus default.";
        return Err(Fault::Validation(text.to_owned()).into());
    }
    engine.bus(&to).await?;
    if !engine.rules_of(&to).await?.is_empty() {
        let text = "Event bus can't be deleted since it has rules.";
        return Err(Fault::Validation(text.to_owned()).into());
    }
    let gone = engine.buses.delete(&bus_parts(&to), Expect::Any).await;
    gone.map_err(Fault::from)?;
    engine.routes.forget(&to);
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListEventBusesRequest,
) -> Result<ListEventBusesResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    let rows = engine.buses.all(&[&at.account, &at.region]).await;
    let rows = rows.map_err(Fault::from)?.into_iter();
    let mut buses: Vec<Bus> = rows.map(|row| row.value).collect();
    if !buses.iter().any(|bus| bus.name == DEFAULT_BUS) {
        let to = BusRef {
            at: at.clone(),
            name: DEFAULT_BUS.to_owned(),
        };
        buses.push(engine.bus(&to).await?);
    }
    buses.sort_by(|a, b| a.name.cmp(&b.name));
    let prefix = input.name_prefix.unwrap_or_default();
    buses.retain(|bus| {
        bus.name.starts_with(&prefix) && after.as_ref().is_none_or(|after| bus.name > *after)
    });
    let (buses, next_token) = paging::page(buses, limit, |bus| bus.name.clone());
    let shape = |bus: Bus| {
        let (creation_time, last_modified_time) = times(&bus);
        let (at, name) = (at.clone(), bus.name.clone());
        BusShape {
            arn: Some(BusRef { at, name }.arn()),
            name: Some(bus.name),
            description: bus.description,
            policy: bus.policy.as_ref().map(ToString::to_string),
            creation_time,
            last_modified_time,
            ..BusShape::default()
        }
    };
    Ok(ListEventBusesResponse {
        event_buses: buses.into_iter().map(shape).collect(),
        next_token,
    })
}

/// The bus of a member that must be the ARN of one.
pub(crate) fn of_arn(text: &str, member: &str) -> Result<BusRef, Fault> {
    let arn = text.parse::<Arn>().ok();
    arn.as_ref().and_then(BusRef::of_arn).ok_or_else(|| {
        Fault::Validation(format!(
            "Parameter {member} is not valid. Reason: Must contain an event bus ARN."
        ))
    })
}
