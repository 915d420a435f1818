//! Event source mappings: kept, checked and shown. Their sources are not polled yet.

mod check;
mod settings;
mod shape;
mod twin;

use std::sync::Arc;

use functions::{Error, Mapping, MappingSource, SourceKind};
use wire::{Context, Fault, paging};

use self::settings::{apply, defaults};
use self::shape::{
    BOOTSTRAP, EventSourceMapping, ListMappingsRequest, ListMappingsResponse, MappingRequest, shown,
};
use self::twin::Twin;
use crate::Lambda;
use crate::fault::{self, in_use, invalid_parameter, no_resource};
use crate::name::{NAMESPACED, Target, home};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::PUBLISHER;
use crate::violations::Violations;

/// [Lambda API: CreateEventSourceMapping]
pub(crate) async fn create(
    lambda: Arc<Lambda>,
    cx: Context,
    input: MappingRequest,
) -> Result<EventSourceMapping, Fault> {
    check::model(&input, true)?;
    let (account, region) = home(&cx)?;
    let source = source(&input)?;
    let kind = source.kind().ok_or_else(unrecognized)?;
    check::parameters(kind, &input)?;
    check::completeness(kind, &input)?;
    let name = input.function_name.as_deref().unwrap_or_default();
    let target = Target::resolve(&cx, name, None)?;
    let uuid = lambda.tasks.ids().uuid();
    let mut mapping = Mapping {
        function: String::new(),
        is_enabled: input.enabled.unwrap_or(true),
        settings: defaults(kind, &uuid),
        tags: input.tags.clone().unwrap_or_default(),
        modified_us: lambda.tasks.clock().now().unix_micros(),
        source,
        uuid,
    };
    apply(&mut mapping.settings, input);
    finish(&lambda, &mut mapping, &target, kind).await?;
    let twin = Twin::of(&mapping, &target);
    let functions = &lambda.functions;
    let made = functions.create_mapping(&account, &region, mapping).await;
    let made = made.map_err(|e| refused(e, &twin))?;
    Ok(shown(&account, &region, &made))
}

/// [Lambda API: UpdateEventSourceMapping]
pub(crate) async fn update(
    lambda: Arc<Lambda>,
    cx: Context,
    input: MappingRequest,
) -> Result<EventSourceMapping, Fault> {
    check::model(&input, false)?;
    let (account, region) = home(&cx)?;
    let functions = &lambda.functions;
    let former = functions.mapping(&account, &region, &input.uuid);
    let former = former.ok_or_else(no_resource)?.mapping;
    let kind = former.source.kind().ok_or_else(unrecognized)?;
    check::parameters(kind, &input)?;
    let name = input.function_name.as_deref().unwrap_or(&former.function);
    let target = Target::resolve(&cx, name, None)?;
    let mut mapping = (*former).clone();
    mapping.is_enabled = input.enabled.unwrap_or(mapping.is_enabled);
    let (uuid, is_moved) = (input.uuid.clone(), input.function_name.is_some());
    apply(&mut mapping.settings, input);
    match is_moved {
        true => finish(&lambda, &mut mapping, &target, kind).await?,
        // The function may be gone, and the mapping may be changed all the same.
        false => check::settings(kind, is_fifo(&mapping.source), &mapping.settings)?,
    }
    let twin = Twin::of(&mapping, &target);
    let edit = move |now: &mut Mapping| {
        // Two updates at once: the second was made for what the first has changed.
        if *now != *former {
            return Err(Error::MappingBusy);
        }
        *now = mapping;
        Ok(())
    };
    let changed = functions.update_mapping(&account, &region, &uuid, edit);
    let changed = changed.await.map_err(|e| refused(e, &twin))?;
    Ok(shown(&account, &region, &changed))
}

/// [Lambda API: GetEventSourceMapping]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: MappingRequest,
) -> Result<EventSourceMapping, Fault> {
    let (account, region) = home(&cx)?;
    let found = lambda.functions.mapping(&account, &region, &input.uuid);
    Ok(shown(&account, &region, &found.ok_or_else(no_resource)?))
}

/// [Lambda API: DeleteEventSourceMapping]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: MappingRequest,
) -> Result<EventSourceMapping, Fault> {
    let (account, region) = home(&cx)?;
    let functions = &lambda.functions;
    let gone = functions.delete_mapping(&account, &region, &input.uuid);
    let gone = gone.await.map_err(|e| match e {
        Error::MappingBusy => in_use("delete"),
        other => fault::refused_anywhere(other),
    })?;
    Ok(shown(&account, &region, &gone))
}

/// [Lambda API: ListEventSourceMappings]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListMappingsRequest,
) -> Result<ListMappingsResponse, Fault> {
    let mut v = Violations::new();
    let (source, name) = (&input.event_source_arn, input.function_name.as_deref());
    v.pattern("eventSourceArn", source.as_deref(), PUBLISHER);
    if name.is_some() {
        Target::check(&mut v, NAMESPACED, name, None);
    }
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let (account, region) = home(&cx)?;
    let function = match name {
        Some(name) => Some(Target::resolve(&cx, name, None)?.arn()),
        None => None,
    };
    let after = match &input.marker {
        Some(marker) => Some(paging::decode(marker).ok_or_else(|| bad_marker(marker))?),
        None => None,
    };
    let mut all = lambda.functions.mappings(&account, &region);
    all.retain(|m| {
        let m = &m.mapping;
        after.as_ref().is_none_or(|last| m.uuid > *last)
            && function.as_ref().is_none_or(|arn| m.function == *arn)
            && source
                .as_ref()
                .is_none_or(|arn| m.source == MappingSource::Arn(arn.clone()))
    });
    let (page, next_marker) = paging::page(all, page_size(input.max_items), |shown| {
        shown.mapping.uuid.clone()
    });
    Ok(ListMappingsResponse {
        event_source_mappings: page.iter().map(|m| shown(&account, &region, m)).collect(),
        next_marker,
    })
}

fn source(input: &MappingRequest) -> Result<MappingSource, Fault> {
    let own = input.self_managed_event_source.as_ref();
    match (own, &input.event_source_arn) {
        (Some(own), _) => {
            let endpoints = own.endpoints.as_ref();
            let servers = endpoints.and_then(|e| e.get(BOOTSTRAP));
            let servers = servers.ok_or_else(unrecognized)?;
            Ok(MappingSource::Kafka(servers.clone()))
        }
        (None, Some(arn)) => Ok(MappingSource::Arn(arn.clone())),
        (None, None) => Err(unrecognized()),
    }
}

/// Checks the mapping as a whole, its function and its source.
async fn finish(
    lambda: &Lambda,
    mapping: &mut Mapping,
    target: &Target,
    kind: SourceKind,
) -> Result<(), Fault> {
    check::settings(kind, is_fifo(&mapping.source), &mapping.settings)?;
    let unknown = || invalid_parameter("Function does not exist");
    let function = target.function().map_err(|_| unknown())?;
    let found = lambda.functions.describe(&function);
    let timeout = found.map_err(|_| unknown())?.deployed.config.timeout;
    mapping.function = target.arn();
    let MappingSource::Arn(arn) = &mapping.source else {
        return Ok(());
    };
    if kind != SourceKind::Queue {
        return Ok(());
    }
    let arn = arn.parse().map_err(|_| unrecognized())?;
    let queue = lambda.queues.facts(&arn).await.map_err(|why| {
        invalid_parameter(format!(
            "Error occurred while ReceiveMessage. SQS Error Code: {}. SQS Error Message: {}",
            why.code, why.message
        ))
    })?;
    let (visibility, timeout) = (queue.visibility_timeout, timeout.duration());
    if visibility < timeout {
        return Err(invalid_parameter(format!(
            "Queue visibility timeout: {} seconds is less than Function timeout: {} seconds",
            visibility.as_secs(),
            timeout.as_secs()
        )));
    }
    Ok(())
}

fn is_fifo(source: &MappingSource) -> bool {
    matches!(source, MappingSource::Arn(arn) if arn.ends_with(".fifo"))
}

fn refused(error: Error, twin: &Twin) -> Fault {
    match error {
        Error::MappingExists { uuid } => twin.refused(&uuid),
        other => fault::refused_anywhere(other),
    }
}

fn unrecognized() -> Fault {
    invalid_parameter("Unrecognized event source.")
}
