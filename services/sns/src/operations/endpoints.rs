//! Endpoints of mobile push: apps on devices.

use std::sync::Arc;

use store::{Expect, Row, StoreError};
use wire::{Context, paging};

use super::{applications, required};
use crate::api::{
    CreateEndpointInput, Empty, EndpointArnResponse, EndpointInput, EndpointShape,
    ListEndpointsInput, ListEndpointsResponse, NamedAttributesResponse, SetEndpointInput,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::mobile::{self, ApplicationRef, Endpoint};
use crate::record::Attributes;

/// [SNS API: ListEndpointsByPlatformApplication]
const PAGE: usize = 100;
/// Endpoints of one application. Differs: AWS has no such limit.
const ENDPOINTS_MAX: usize = 10_000;

fn no_endpoint() -> Fault {
    Fault::NotFound("Endpoint")
}

fn named(text: Option<&String>) -> Result<(ApplicationRef, String), Fault> {
    mobile::endpoint("EndpointArn", required("EndpointArn", text)?)
}

impl Engine {
    async fn endpoint(
        &self,
        cx: &Context,
        (at, id): &(ApplicationRef, String),
    ) -> Result<Row<Endpoint>, Fault> {
        if at.account != cx.account() {
            return Err(no_endpoint());
        }
        let [account, region, platform, name] = at.parts();
        let row = self
            .endpoints
            .get(&[account, region, platform, name, id])
            .await?;
        row.ok_or_else(no_endpoint)
    }

    /// Whether something may be pushed to an endpoint that a request names in `member`.
    pub(crate) async fn check_push(
        &self,
        cx: &Context,
        member: &str,
        text: &str,
    ) -> Result<(), Fault> {
        let (at, id) = mobile::endpoint(member, text)?;
        let missing = || {
            let text = "TargetArn Reason: No endpoint found for the target arn specified";
            Fault::parameter(text)
        };
        let endpoint = match self.endpoint(cx, &(at.clone(), id)).await {
            Ok(row) => row.value,
            Err(Fault::NotFound(_)) => return Err(missing()),
            Err(other) => return Err(other),
        };
        let application = applications::found(self, cx, &at).await?;
        if !mobile::is_enabled(&application.attributes) {
            return Err(Fault::ApplicationDisabled);
        }
        match mobile::is_enabled(&endpoint.attributes) {
            true => Ok(()),
            false => Err(Fault::EndpointDisabled),
        }
    }

    /// The endpoint of the application that has this token.
    async fn by_token(
        &self,
        at: &ApplicationRef,
        token: &str,
    ) -> Result<(usize, Option<Endpoint>), Fault> {
        let rows = self
            .endpoints
            .scan(&at.parts(), None, ENDPOINTS_MAX)
            .await?;
        let count = rows.len();
        let mut all = rows.into_iter().map(|row| row.value);
        let same = all.find(|e| e.attributes.get("Token").is_some_and(|have| have == token));
        Ok((count, same))
    }
}

fn exists(at: &ApplicationRef, id: &str) -> Fault {
    let arn = at.endpoint_arn(id);
    Fault::parameter(format!(
        "Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
    ))
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateEndpointInput,
) -> Result<EndpointArnResponse, wire::Fault> {
    let token = required("Token", input.token.as_ref())?;
    let at = applications::named(input.platform_application_arn.as_ref())?;
    applications::found(&engine, &cx, &at).await?;
    let mut attributes = Attributes::from([("Enabled".to_owned(), "true".to_owned())]);
    let data = input.custom_user_data.filter(|data| !data.is_empty());
    attributes.extend(data.map(|data| ("CustomUserData".to_owned(), data)));
    attributes.extend(input.attributes.unwrap_or_default());
    attributes.insert("Token".to_owned(), token.to_owned());
    mobile::check_endpoint(&attributes)?;
    // Two that ask for the same at the same time get the same endpoint.
    let _turn = engine.turns.take(at.arn()).await?;
    let (count, same) = engine.by_token(&at, token).await?;
    let id = match same {
        Some(same) if same.attributes == attributes => same.id,
        Some(same) => return Err(exists(&at, &same.id).into()),
        None if count >= ENDPOINTS_MAX => return Err(Fault::TooManyEndpoints.into()),
        None => {
            let id = engine.ids.uuid();
            let endpoint = Endpoint {
                id: id.clone(),
                attributes,
            };
            let [account, region, platform, name] = at.parts();
            let key = [account, region, platform, name, &id];
            let put = engine.endpoints.put(&key, &endpoint, Expect::Absent).await;
            put.map_err(Fault::from)?;
            id
        }
    };
    Ok(EndpointArnResponse {
        endpoint_arn: at.endpoint_arn(&id),
    })
}

pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: EndpointInput,
) -> Result<NamedAttributesResponse, wire::Fault> {
    let at = named(input.endpoint_arn.as_ref())?;
    let endpoint = engine.endpoint(&cx, &at).await?.value;
    Ok(NamedAttributesResponse {
        attributes: endpoint.attributes,
    })
}

pub(crate) async fn set_attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: SetEndpointInput,
) -> Result<Empty, wire::Fault> {
    let at = named(input.endpoint_arn.as_ref())?;
    let wanted = input.attributes.ok_or_else(applications::null_attributes)?;
    let _turn = engine.turns.take(at.0.arn()).await?;
    let mut row = engine.endpoint(&cx, &at).await?;
    mobile::check_endpoint(&wanted)?;
    if let Some(token) = wanted.get("Token")
        && let (_, Some(same)) = engine.by_token(&at.0, token).await?
        && same.id != at.1
    {
        return Err(exists(&at.0, &same.id).into());
    }
    row.value.attributes.extend(wanted);
    let [account, region, platform, name] = at.0.parts();
    let key = [account, region, platform, name, &at.1];
    match engine
        .endpoints
        .put(&key, &row.value, Expect::At(row.rev))
        .await
    {
        Ok(_) => Ok(Empty {}),
        Err(StoreError::Conflict(_)) => Err(Fault::Overtaken.into()),
        Err(other) => Err(Fault::from(other).into()),
    }
}

/// What is not there is deleted; its subscriptions stay.  [SNS API: DeleteEndpoint]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: EndpointInput,
) -> Result<(), wire::Fault> {
    let (at, id) = named(input.endpoint_arn.as_ref())?;
    if at.account == cx.account() {
        let [account, region, platform, name] = at.parts();
        let key = [account, region, platform, name, &id];
        let deleted = engine.endpoints.delete(&key, Expect::Any).await;
        deleted.map_err(Fault::from)?;
    }
    Ok(())
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListEndpointsInput,
) -> Result<ListEndpointsResponse, wire::Fault> {
    let at = applications::named(input.platform_application_arn.as_ref())?;
    applications::found(&engine, &cx, &at).await?;
    let [account, region, platform, name] = at.parts();
    let wrong = || Fault::parameter("NextToken");
    let after = match &input.next_token {
        Some(token) => {
            let id = paging::decode(token).ok_or_else(wrong)?;
            Some(
                engine
                    .endpoints
                    .key(&[account, region, platform, name, &id]),
            )
        }
        None => None,
    };
    let rows = engine
        .endpoints
        .scan(&at.parts(), after.as_ref(), PAGE + 1)
        .await;
    let rows = rows.map_err(Fault::from)?;
    let all: Vec<Endpoint> = rows.into_iter().map(|row| row.value).collect();
    let (page, next_token) = paging::page(all, PAGE, |endpoint| endpoint.id.clone());
    let shapes = page.into_iter().map(|endpoint| EndpointShape {
        endpoint_arn: at.endpoint_arn(&endpoint.id),
        attributes: endpoint.attributes,
    });
    Ok(ListEndpointsResponse {
        endpoints: shapes.collect(),
        next_token,
    })
}
