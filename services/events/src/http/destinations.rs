//! Operations on API destinations.

use std::sync::Arc;

use model::Arn;
use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use super::api::{
    DestinationInput, DestinationResponse, DestinationShape, ListDestinationsRequest,
    ListDestinationsResponse, NameRequest,
};
use super::connections;
use super::record::{ApiDestination, State};
use crate::api::Nothing;
use crate::engine::{Engine, change, named};
use crate::fault::Fault;
use crate::names::{Names, Place, after, limit};

/// In the order in which AWS tells them.
const METHODS: [&str; 7] = ["HEAD", "POST", "PATCH", "DELETE", "PUT", "GET", "OPTIONS"];
const CONNECTION_PATTERN: &str = r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$";
/// [EventBridge API: CreateApiDestination]
const PER_SECOND_DEFAULT: u32 = 300;

fn no_destination(name: &str) -> Fault {
    Fault::NotFound(format!(
        "Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
    ))
}

fn arn(at: &Place, destination: &ApiDestination) -> String {
    let ApiDestination { name, id, .. } = destination;
    at.arn(&format!("api-destination/{name}/{id}"))
}

/// The API destination that an ARN names, and only that one.
pub(crate) async fn of_arn(engine: &Engine, arn: &Arn) -> Result<Option<ApiDestination>, Fault> {
    let mut parts = arn.resource.split('/');
    let (Some("api-destination"), Some(name), Some(id)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let at = Place {
        account: arn.account.clone(),
        region: arn.region.clone(),
    };
    let row = engine.destinations.get(&named(&at, name)).await?;
    let found = row.map(|row| row.value);
    Ok(found.filter(|destination| destination.id == id))
}

fn is_connection(text: &str) -> bool {
    let Ok(arn) = text.parse::<Arn>() else {
        return false;
    };
    let parts: Vec<&str> = arn.resource.split('/').collect();
    arn.service == "events"
        && matches!(parts.as_slice(), ["connection", name, id] if !name.is_empty() && !id.is_empty())
}

fn check(input: &DestinationInput) -> Result<(), Fault> {
    let mut checks = Checks::default();
    if let Some(arn) = &input.connection_arn {
        checks.pattern(is_connection(arn), arn, "connectionArn", CONNECTION_PATTERN);
    }
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    if let Some(method) = &input.http_method {
        checks.choice(method, "httpMethod", &METHODS);
    }
    if let Some(endpoint) = &input.invocation_endpoint {
        checks.length(endpoint, "invocationEndpoint", 1, 2_048);
    }
    if let Some(rate) = input.invocation_rate_limit_per_second {
        let member = "invocationRateLimitPerSecond";
        checks.range(rate, member, 1, i64::from(i32::MAX));
    }
    checks.name(&input.name, "name", 64);
    Ok(checks.done()?)
}

/// Refuses a connection that is not there and an endpoint that is never called.
async fn check_parts(
    engine: &Engine,
    connection: Option<&str>,
    endpoint: Option<&str>,
) -> Result<(), Fault> {
    if let Some(text) = connection {
        let arn: Arn = text.parse().map_err(|_| Fault::no_connection(text))?;
        if connections::of_arn(engine, &arn).await?.is_none() {
            let name = arn.resource.split('/').nth(1).unwrap_or_default();
            return Err(Fault::no_connection(name));
        }
    }
    match endpoint {
        Some(url) => super::check_endpoint(engine, "InvocationEndpoint", url),
        None => Ok(()),
    }
}

/// A destination works as long as its connection does.
async fn state(engine: &Engine, destination: &ApiDestination) -> Result<&'static str, Fault> {
    let connection = match destination.connection.parse() {
        Ok(arn) => connections::of_arn(engine, &arn).await?,
        Err(_) => None,
    };
    Ok(match connection.map(|connection| connection.state) {
        Some(State::Authorized) => "ACTIVE",
        _ => "INACTIVE",
    })
}

async fn response(
    engine: &Engine,
    at: &Place,
    destination: &ApiDestination,
) -> Result<DestinationResponse, Fault> {
    Ok(DestinationResponse {
        api_destination_arn: arn(at, destination),
        api_destination_state: state(engine, destination).await?,
        creation_time: Timestamp(destination.created_ms),
        last_modified_time: Timestamp(destination.modified_ms),
    })
}

fn rate(input: Option<i64>) -> Option<u32> {
    input.and_then(|rate| u32::try_from(rate).ok())
}

/// [EventBridge API: CreateApiDestination]
pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: DestinationInput,
) -> Result<DestinationResponse, wire::Fault> {
    check(&input)?;
    let at = Place::of(&cx);
    let (connection, endpoint) = (&input.connection_arn, &input.invocation_endpoint);
    check_parts(&engine, connection.as_deref(), endpoint.as_deref()).await?;
    let missing = |name: &str| {
        Fault::Validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    };
    let now = engine.now_ms();
    let destination = ApiDestination {
        name: input.name,
        id: engine.tasks.ids().uuid(),
        description: input.description,
        connection: input
            .connection_arn
            .ok_or_else(|| missing("connectionArn"))?,
        endpoint: input
            .invocation_endpoint
            .ok_or_else(|| missing("invocationEndpoint"))?,
        method: input.http_method.ok_or_else(|| missing("httpMethod"))?,
        per_second: rate(input.invocation_rate_limit_per_second).unwrap_or(PER_SECOND_DEFAULT),
        created_ms: now,
        modified_ms: now,
    };
    let parts = named(&at, &destination.name);
    let written = engine
        .destinations
        .put(&parts, &destination, Expect::Absent);
    match written.await {
        Ok(_) => Ok(response(&engine, &at, &destination).await?),
        Err(StoreError::Conflict(_)) => {
            let text = format!("An api-destination '{}' already exists.", destination.name);
            Err(Fault::Exists(text).into())
        }
        Err(other) => Err(Fault::from(other).into()),
    }
}

/// [EventBridge API: UpdateApiDestination]
pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: DestinationInput,
) -> Result<DestinationResponse, wire::Fault> {
    check(&input)?;
    let at = Place::of(&cx);
    let (connection, endpoint) = (&input.connection_arn, &input.invocation_endpoint);
    check_parts(&engine, connection.as_deref(), endpoint.as_deref()).await?;
    let now = engine.now_ms();
    let edit = |destination: &mut ApiDestination| {
        let set = |to: &mut String, new: &Option<String>| {
            if let Some(new) = new {
                to.clone_from(new);
            }
        };
        set(&mut destination.connection, &input.connection_arn);
        set(&mut destination.endpoint, &input.invocation_endpoint);
        set(&mut destination.method, &input.http_method);
        if let Some(text) = &input.description {
            destination.description = Some(text.clone());
        }
        if let Some(rate) = rate(input.invocation_rate_limit_per_second) {
            destination.per_second = rate;
        }
        destination.modified_ms = now;
        Ok(destination.clone())
    };
    let changed = change(&engine.destinations, &named(&at, &input.name), edit).await?;
    let destination = changed.ok_or_else(|| no_destination(&input.name))?;
    Ok(response(&engine, &at, &destination).await?)
}

async fn item(
    engine: &Engine,
    at: &Place,
    destination: ApiDestination,
) -> Result<DestinationShape, Fault> {
    Ok(DestinationShape {
        api_destination_arn: arn(at, &destination),
        api_destination_state: state(engine, &destination).await?,
        name: destination.name,
        description: None,
        connection_arn: destination.connection,
        invocation_endpoint: destination.endpoint,
        http_method: destination.method,
        invocation_rate_limit_per_second: destination.per_second,
        creation_time: Timestamp(destination.created_ms),
        last_modified_time: Timestamp(destination.modified_ms),
    })
}

async fn find(engine: &Engine, at: &Place, name: &str) -> Result<ApiDestination, Fault> {
    let row = engine.destinations.get(&named(at, name)).await?;
    row.map(|row| row.value).ok_or_else(|| no_destination(name))
}

/// [EventBridge API: DescribeApiDestination]
pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: NameRequest,
) -> Result<DestinationShape, wire::Fault> {
    let at = Place::of(&cx);
    let destination = find(&engine, &at, &input.name).await?;
    Ok(DestinationShape {
        description: destination.description.clone(),
        ..item(&engine, &at, destination).await?
    })
}

/// [EventBridge API: DeleteApiDestination]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: NameRequest,
) -> Result<Nothing, wire::Fault> {
    let at = Place::of(&cx);
    let destination = find(&engine, &at, &input.name).await?;
    let parts = named(&at, &input.name);
    let gone = engine.destinations.delete(&parts, Expect::Any).await;
    gone.map_err(Fault::from)?;
    engine.rates.forget(&destination.id);
    Ok(Nothing {})
}

/// [EventBridge API: ListApiDestinations]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListDestinationsRequest,
) -> Result<ListDestinationsResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    let rows = engine.destinations.all(&[&at.account, &at.region]).await;
    let rows = rows.map_err(Fault::from)?.into_iter();
    let mut found: Vec<ApiDestination> = rows.map(|row| row.value).collect();
    let prefix = input.name_prefix.unwrap_or_default();
    let connection = input.connection_arn;
    found.retain(|destination| {
        destination.name.starts_with(&prefix)
            && connection
                .as_ref()
                .is_none_or(|arn| destination.connection == *arn)
            && after.as_ref().is_none_or(|after| destination.name > *after)
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let (found, next_token) = paging::page(found, limit, |d| d.name.clone());
    let mut api_destinations = Vec::with_capacity(found.len());
    for destination in found {
        api_destinations.push(item(&engine, &at, destination).await?);
    }
    Ok(ListDestinationsResponse {
        api_destinations,
        next_token,
    })
}
