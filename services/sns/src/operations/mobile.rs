//! Mobile push, of which Kiln has none: no application can be made, and so none is found.

use std::sync::Arc;

use wire::Context;

use super::required;
use crate::api::{
    ApplicationInput, CreateApplicationInput, CreateEndpointInput, Empty, EndpointInput,
    ListApplicationsResponse, ListInput, SetApplicationInput, SetEndpointInput,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::arn;

/// In characters.  [SNS API: CreatePlatformApplication]
const NAME_MAX: usize = 256;
const PLATFORMS: &[&str] = &[
    "ADM",
    "APNS",
    "APNS_SANDBOX",
    "APNS_VOIP",
    "APNS_VOIP_SANDBOX",
    "BAIDU",
    "GCM",
    "MACOS",
    "MACOS_SANDBOX",
    "MPNS",
    "WNS",
];

fn no_attributes() -> Fault {
    Fault::Validation(
        "1 validation error detected: Value null at 'attributes' failed to satisfy constraint: \
         Member must not be null"
            .to_owned(),
    )
}

fn check_name(name: &str) -> Result<(), Fault> {
    let wrong = |why: &str| Err(Fault::parameter(format!("{name} Reason: {why}")));
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match name.chars().count() {
        0 => wrong("cannot be empty"),
        count if count > NAME_MAX => wrong("must be at most 256 characters long"),
        _ if !name.chars().all(is_good) => {
            wrong("must contain only characters 'a'-'z', 'A'-'Z', '0'-'9', '_', '-', and '.'")
        }
        _ => Ok(()),
    }
}

pub(crate) async fn create_application(
    _engine: Arc<Engine>,
    _cx: Context,
    input: CreateApplicationInput,
) -> Result<Empty, wire::Fault> {
    let attributes = input.attributes.ok_or_else(no_attributes)?;
    check_name(required("Name", input.name.as_ref())?)?;
    let platform = required("Platform", input.platform.as_ref())?;
    if !PLATFORMS.contains(&platform) {
        let text = format!("Platform Reason: {platform} is not supported");
        return Err(Fault::parameter(text).into());
    }
    let has = |name: &str| attributes.contains_key(name);
    let (one, other) = ("PlatformPrincipal", "PlatformCredential");
    for (is_there, is_missing) in [(one, other), (other, one)] {
        if has(is_there) && !has(is_missing) {
            return Err(Fault::parameter(format!(
                "Attributes Reason: {is_there} attribute provided without {is_missing}"
            ))
            .into());
        }
    }
    Err(Fault::NotBuilt("mobile push").into())
}

/// An ARN of an application, well written: there is none of it.
fn application(text: Option<&String>) -> Result<Fault, Fault> {
    let member = "PlatformApplicationArn";
    arn(member, required(member, text)?)?;
    Ok(Fault::NotFound("PlatformApplication"))
}

/// As [`application`], of an endpoint.
fn endpoint(text: Option<&String>) -> Result<Fault, Fault> {
    const SLASHES: usize = 3;
    let member = "EndpointArn";
    let arn = arn(member, required(member, text)?)?;
    if arn.resource.matches('/').count() != SLASHES {
        return Err(Fault::parameter(
            "EndpointArn Reason: Wrong number of slashes in relative portion of the ARN.",
        ));
    }
    Ok(Fault::NotFound("Endpoint"))
}

pub(crate) async fn get_application(
    _engine: Arc<Engine>,
    _cx: Context,
    input: ApplicationInput,
) -> Result<Empty, wire::Fault> {
    Err(application(input.platform_application_arn.as_ref())?.into())
}

pub(crate) async fn set_application(
    _engine: Arc<Engine>,
    _cx: Context,
    input: SetApplicationInput,
) -> Result<Empty, wire::Fault> {
    let missing = application(input.platform_application_arn.as_ref())?;
    input.attributes.ok_or_else(no_attributes)?;
    Err(missing.into())
}

/// What is not there is deleted.
pub(crate) async fn delete_application(
    _engine: Arc<Engine>,
    _cx: Context,
    input: ApplicationInput,
) -> Result<(), wire::Fault> {
    application(input.platform_application_arn.as_ref())?;
    Ok(())
}

pub(crate) async fn list_applications(
    _engine: Arc<Engine>,
    _cx: Context,
    _input: ListInput,
) -> Result<ListApplicationsResponse, wire::Fault> {
    Ok(ListApplicationsResponse {
        platform_applications: Vec::new(),
    })
}

pub(crate) async fn create_endpoint(
    _engine: Arc<Engine>,
    _cx: Context,
    input: CreateEndpointInput,
) -> Result<Empty, wire::Fault> {
    required("Token", input.token.as_ref())?;
    Err(application(input.platform_application_arn.as_ref())?.into())
}

pub(crate) async fn get_endpoint(
    _engine: Arc<Engine>,
    _cx: Context,
    input: EndpointInput,
) -> Result<Empty, wire::Fault> {
    Err(endpoint(input.endpoint_arn.as_ref())?.into())
}

pub(crate) async fn set_endpoint(
    _engine: Arc<Engine>,
    _cx: Context,
    input: SetEndpointInput,
) -> Result<Empty, wire::Fault> {
    let missing = endpoint(input.endpoint_arn.as_ref())?;
    input.attributes.ok_or_else(no_attributes)?;
    Err(missing.into())
}

/// What is not there is deleted.
pub(crate) async fn delete_endpoint(
    _engine: Arc<Engine>,
    _cx: Context,
    input: EndpointInput,
) -> Result<(), wire::Fault> {
    endpoint(input.endpoint_arn.as_ref())?;
    Ok(())
}
