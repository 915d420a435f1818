//! How asynchronous calls of a function, a version or an alias are handled.

use std::sync::Arc;

use functions::{Error, EventInvoke};
use model::{FunctionRef, Qualifier};
use serde::{Deserialize, Serialize};
use wire::{Context, Fault, paging};

use crate::api::{FunctionRefRequest, ListOfFunctionRequest};
use crate::fault::{self, invalid_parameter, missing};
use crate::name::{NAMESPACED, Target};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::DESTINATION;
use crate::violations::Violations;
use crate::{Lambda, role};

/// `PutFunctionEventInvokeConfigRequest` and `UpdateFunctionEventInvokeConfigRequest`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EventInvokeRequest {
    function_name: String,
    qualifier: Option<String>,
    maximum_retry_attempts: Option<i64>,
    maximum_event_age_in_seconds: Option<i64>,
    destination_config: Option<DestinationConfig>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DestinationConfig {
    on_success: Option<Destination>,
    on_failure: Option<Destination>,
}

#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Destination {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
}

/// `FunctionEventInvokeConfig`
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FunctionEventInvokeConfig {
    /// Seconds.
    last_modified: f64,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<u32>,
    destination_config: DestinationConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListFunctionEventInvokeConfigsResponse {
    function_event_invoke_configs: Vec<FunctionEventInvokeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// [Lambda API: PutFunctionEventInvokeConfig]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: EventInvokeRequest,
) -> Result<FunctionEventInvokeConfig, Fault> {
    let target = checked(&lambda, &cx, &input)?;
    if input.maximum_retry_attempts.is_none()
        && input.maximum_event_age_in_seconds.is_none()
        && input.destination_config.is_none()
    {
        return Err(invalid_parameter(
            "You must specify at least one of error handling or destination setting.",
        ));
    }
    write(&lambda, &target, input, true).await
}

/// [Lambda API: UpdateFunctionEventInvokeConfig]
pub(crate) async fn update(
    lambda: Arc<Lambda>,
    cx: Context,
    input: EventInvokeRequest,
) -> Result<FunctionEventInvokeConfig, Fault> {
    let target = checked(&lambda, &cx, &input)?;
    write(&lambda, &target, input, false).await
}

/// [Lambda API: GetFunctionEventInvokeConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<FunctionEventInvokeConfig, Fault> {
    let qualifier = input.qualifier.as_deref();
    let target = Target::read_shared(&lambda, &cx, NAMESPACED, &input.function_name, qualifier)?;
    let found = target.function().ok().and_then(|function| {
        let attached = lambda.functions.attached(&function)?;
        Some(shown(&function, attached.event_invoke.as_ref()?))
    });
    found.ok_or_else(|| has_none(&target))
}

/// [Lambda API: DeleteFunctionEventInvokeConfig]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<(), Fault> {
    let qualifier = input.qualifier.as_deref();
    let target = Target::read_shared(&lambda, &cx, NAMESPACED, &input.function_name, qualifier)?;
    let function = target.function().map_err(|_| has_none(&target))?;
    let removed = lambda.functions.attach(&function, |attached| {
        let former = attached.event_invoke.take();
        former
            .map(drop)
            .ok_or_else(|| Error::Refused(String::new()))
    });
    match removed.await {
        Ok(_) => Ok(()),
        Err(Error::Refused(_) | Error::NotFound(_)) => Err(has_none(&target)),
        Err(other) => Err(fault::refused(other, &target)),
    }
}

/// [Lambda API: ListFunctionEventInvokeConfigs]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListOfFunctionRequest,
) -> Result<ListFunctionEventInvokeConfigsResponse, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), None);
    v.range("maxItems", input.max_items, 1, 50);
    v.check()?;
    let target = Target::shared(&lambda, &cx, &input.function_name, None)?;
    let function = target.function().map_err(|_| no_function())?;
    let all = lambda.functions.all_attached(&function);
    let after = match &input.marker {
        Some(marker) => Some(paging::decode(marker).ok_or_else(|| bad_marker(marker))?),
        None => None,
    };
    let configs: Vec<(String, FunctionEventInvokeConfig)> = all
        .map_err(|_| no_function())?
        .into_iter()
        .filter(|(name, _)| after.as_deref().is_none_or(|last| name.as_str() > last))
        .filter_map(|(name, attached)| {
            let qualifier: Qualifier = name.parse().ok()?;
            let function = function.with_qualifier(Some(qualifier));
            let config = shown(&function, attached.event_invoke.as_ref()?);
            Some((name, config))
        })
        .collect();
    let (page, next_marker) = paging::page(configs, page_size(input.max_items), |c| c.0.clone());
    Ok(ListFunctionEventInvokeConfigsResponse {
        function_event_invoke_configs: page.into_iter().map(|c| c.1).collect(),
        next_marker,
    })
}

fn checked(lambda: &Lambda, cx: &Context, input: &EventInvokeRequest) -> Result<Target, Fault> {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), qualifier);
    v.range("maximumRetryAttempts", input.maximum_retry_attempts, 0, 2);
    v.range(
        "maximumEventAgeInSeconds",
        input.maximum_event_age_in_seconds,
        60,
        21_600,
    );
    let destinations = input.destination_config.as_ref();
    for (field, side) in [
        (
            "onSuccess",
            destinations.and_then(|d| d.on_success.as_ref()),
        ),
        (
            "onFailure",
            destinations.and_then(|d| d.on_failure.as_ref()),
        ),
    ] {
        let field = format!("destinationConfig.{field}.destination");
        let arn = side.and_then(|s| s.destination.as_deref());
        v.text(&field, arn, (0, 350), DESTINATION);
    }
    v.check()?;
    Target::shared(lambda, cx, &input.function_name, qualifier)
}

/// Writes the members that were given; with `is_whole` the others are unset.
async fn write(
    lambda: &Lambda,
    target: &Target,
    input: EventInvokeRequest,
    is_whole: bool,
) -> Result<FunctionEventInvokeConfig, Fault> {
    let function = target.function().map_err(|_| no_function())?;
    if let Some(destinations) = &input.destination_config {
        check_destinations(lambda, &function, destinations)?;
        check_role(lambda, &function, destinations).await?;
    }
    let now = lambda.tasks.clock().now();
    let written = lambda.functions.attach(&function, move |attached| {
        let former = attached.event_invoke.take();
        let mut config = match (former, is_whole) {
            (former, true) => {
                drop(former);
                EventInvoke::default()
            }
            (Some(former), false) => former,
            (None, false) => return Err(Error::Refused(String::new())),
        };
        let number = |n: i64| u32::try_from(n).ok();
        if let Some(retries) = input.maximum_retry_attempts {
            config.retries_max = number(retries);
        }
        if let Some(age) = input.maximum_event_age_in_seconds {
            config.age_max_secs = number(age);
        }
        if let Some(destinations) = input.destination_config {
            if let Some(side) = destinations.on_success {
                config.on_success = side.destination.filter(|arn| !arn.is_empty());
            }
            if let Some(side) = destinations.on_failure {
                config.on_failure = side.destination.filter(|arn| !arn.is_empty());
            }
        }
        config.modified_us = now.unix_micros();
        attached.event_invoke = Some(config);
        Ok(())
    });
    match written.await {
        Ok(attached) => {
            let config = attached.event_invoke.as_ref();
            config
                .map(|config| shown(&function, config))
                .ok_or_else(|| Fault::internal("the configuration is gone"))
        }
        Err(Error::NotFound(_)) => Err(no_function()),
        Err(Error::Refused(_)) => Err(has_none(target)),
        Err(other) => Err(fault::refused(other, target)),
    }
}

/// Services that may hear of events.  [Lambda guide: destinations]
const SERVICES: &[&str] = &["lambda", "sqs", "sns", "events", "s3"];

fn check_destinations(
    lambda: &Lambda,
    function: &FunctionRef,
    destinations: &DestinationConfig,
) -> Result<(), Fault> {
    let arn = |side: &Option<Destination>| -> Option<String> {
        let arn = side.as_ref()?.destination.clone()?;
        (!arn.is_empty()).then_some(arn)
    };
    let success = arn(&destinations.on_success);
    let failure = arn(&destinations.on_failure);
    for (text, is_success) in [(&success, true), (&failure, false)] {
        let Some(text) = text else { continue };
        let mut parts = text.splitn(6, ':').skip(2);
        let service = parts.next().unwrap_or_default();
        // S3 takes what failed only.
        if !SERVICES.contains(&service) || (service == "s3" && is_success) {
            return Err(invalid_parameter(format!(
                "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
                side_text("OnSuccess", success.as_deref()),
                side_text("OnFailure", failure.as_deref()),
            )));
        }
        if service == "lambda" {
            check_function(lambda, function, text)?;
        }
    }
    Ok(())
}

/// The execution role sends the records.
async fn check_role(
    lambda: &Lambda,
    function: &FunctionRef,
    destinations: &DestinationConfig,
) -> Result<(), Fault> {
    let Ok(deployed) = lambda.functions.resolve(&function.with_qualifier(None)) else {
        return Ok(());
    };
    for side in [&destinations.on_success, &destinations.on_failure] {
        let arn = side.as_ref().and_then(|side| side.destination.as_deref());
        if let Some(arn) = arn.filter(|arn| !arn.is_empty()) {
            role::check_destination(lambda, &deployed.config.role, arn).await?;
        }
    }
    Ok(())
}

/// As AWS's own objects print themselves in the error.  [observed on AWS]
fn side_text(name: &str, arn: Option<&str>) -> String {
    arn.map_or_else(
        || "null".to_owned(),
        |arn| format!("{name}(destination={arn})"),
    )
}

fn check_function(lambda: &Lambda, function: &FunctionRef, arn: &str) -> Result<(), Fault> {
    let invalid = || invalid_parameter(format!("The destination ARN {arn} is invalid."));
    let mut parts = arn.split(':').skip(3);
    let mut next = || parts.next().unwrap_or_default();
    let (region, account, kind, name, qualifier) = (next(), next(), next(), next(), next());
    if kind != "function" || region.is_empty() {
        return Err(invalid());
    }
    let qualifier = match qualifier {
        "" => None,
        text => Some(text.parse().map_err(|_| invalid())?),
    };
    let destination = FunctionRef {
        account: account.parse().map_err(|_| invalid())?,
        region: region.parse().map_err(|_| invalid())?,
        name: name.parse().map_err(|_| invalid())?,
        qualifier,
    };
    if destination.unqualified_arn() == function.unqualified_arn() {
        return Err(invalid_parameter(
            "You can't specify the function as a destination for itself.",
        ));
    }
    match lambda.functions.describe(&destination) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid()),
    }
}

fn no_function() -> Fault {
    missing("The function doesn't exist.")
}

fn has_none(target: &Target) -> Fault {
    let qualifier = target.qualifier.as_deref().unwrap_or("$LATEST");
    missing(format!(
        "The function {}:{qualifier} doesn't have an EventInvokeConfig",
        target.unqualified_arn()
    ))
}

fn shown(function: &FunctionRef, config: &EventInvoke) -> FunctionEventInvokeConfig {
    let qualifier = function.qualifier.clone().unwrap_or(Qualifier::Latest);
    let side = |arn: &Option<String>| {
        Some(Destination {
            destination: arn.clone(),
        })
    };
    #[allow(clippy::cast_precision_loss)] // milliseconds of this era fit
    let last_modified = config.modified().unix_millis() as f64 / 1_000.0;
    FunctionEventInvokeConfig {
        last_modified,
        function_arn: format!("{}:{qualifier}", function.unqualified_arn()),
        maximum_retry_attempts: config.retries_max,
        maximum_event_age_in_seconds: config.age_max_secs,
        destination_config: DestinationConfig {
            on_success: side(&config.on_success),
            on_failure: side(&config.on_failure),
        },
    }
}
