//! Applications of mobile push.

use std::sync::Arc;

use store::{Expect, StoreError};
use wire::{Context, paging};

use super::required;
use crate::api::{
    ApplicationArnResponse, ApplicationInput, ApplicationShape, CreateApplicationInput, Empty,
    ListApplicationsResponse, ListInput, NamedAttributesResponse, SetApplicationInput,
};
use crate::engine::{Engine, TXN_MAX};
use crate::fault::Fault;
use crate::mobile::{self, Application, ApplicationRef};
use crate::record::Attributes;

/// [SNS API: ListPlatformApplications]
const PAGE: usize = 100;
/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// AWS says so of a map without entries too: none arrive.
pub(super) fn null_attributes() -> Fault {
    Fault::Validation(
        "1 validation error detected: Value null at 'attributes' failed to satisfy constraint: \
         Member must not be null"
            .to_owned(),
    )
}

fn no_application() -> Fault {
    Fault::NotFound("PlatformApplication")
}

pub(super) fn named(text: Option<&String>) -> Result<ApplicationRef, Fault> {
    ApplicationRef::parse(required("PlatformApplicationArn", text)?)
}

/// An application that is there, of the caller's account.
pub(super) async fn found(
    engine: &Engine,
    cx: &Context,
    at: &ApplicationRef,
) -> Result<Application, Fault> {
    if at.account != cx.account() {
        return Err(no_application());
    }
    let row = engine.applications.get(&at.parts()).await?;
    row.map(|row| row.value).ok_or_else(no_application)
}

/// With what an application has that set nothing.
fn shown(mut attributes: Attributes) -> Attributes {
    let enabled = attributes.entry("Enabled".to_owned());
    enabled.or_insert_with(|| "true".to_owned());
    attributes
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateApplicationInput,
) -> Result<ApplicationArnResponse, wire::Fault> {
    let attributes = input.attributes.ok_or_else(null_attributes)?;
    let name = required("Name", input.name.as_ref())?;
    mobile::check_name(name)?;
    let platform = required("Platform", input.platform.as_ref())?;
    mobile::check_platform(platform)?;
    let attributes = mobile::application_attributes(attributes, Some(platform))?;
    let at = ApplicationRef {
        account: cx.account().to_owned(),
        region: cx.region().to_owned(),
        platform: platform.to_owned(),
        name: name.to_owned(),
    };
    let application = Application {
        platform: platform.to_owned(),
        name: name.to_owned(),
        attributes,
    };
    let put = engine
        .applications
        .put(&at.parts(), &application, Expect::Absent)
        .await;
    match put {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => {
            let have = found(&engine, &cx, &at).await?;
            if shown(have.attributes) != shown(application.attributes) {
                return Err(Fault::parameter(
                    "Attributes Reason: Platform application already exists with different attributes",
                )
                .into());
            }
        }
        Err(other) => return Err(Fault::from(other).into()),
    }
    Ok(ApplicationArnResponse {
        platform_application_arn: at.arn(),
    })
}

pub(crate) async fn attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: ApplicationInput,
) -> Result<NamedAttributesResponse, wire::Fault> {
    let at = named(input.platform_application_arn.as_ref())?;
    let application = found(&engine, &cx, &at).await?;
    Ok(NamedAttributesResponse {
        attributes: shown(application.attributes),
    })
}

pub(crate) async fn set_attributes(
    engine: Arc<Engine>,
    cx: Context,
    input: SetApplicationInput,
) -> Result<Empty, wire::Fault> {
    let at = named(input.platform_application_arn.as_ref())?;
    let wanted = input.attributes.ok_or_else(null_attributes)?;
    found(&engine, &cx, &at).await?;
    let wanted = mobile::application_attributes(wanted, None)?;
    for _ in 0..ATTEMPTS_MAX {
        let row = engine.applications.get(&at.parts()).await;
        let mut row = row.map_err(Fault::from)?.ok_or_else(no_application)?;
        row.value.attributes.extend(wanted.clone());
        let put = engine
            .applications
            .put(&at.parts(), &row.value, Expect::At(row.rev))
            .await;
        match put {
            Ok(_) => return Ok(Empty {}),
            Err(StoreError::Conflict(_)) => {}
            Err(other) => return Err(Fault::from(other).into()),
        }
    }
    Err(Fault::Overtaken.into())
}

/// Deletes an application and its endpoints; the application last, so that a second request finishes what a crash
/// interrupted. What is not there is deleted.
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: ApplicationInput,
) -> Result<(), wire::Fault> {
    let at = named(input.platform_application_arn.as_ref())?;
    if at.account != cx.account() {
        return Ok(());
    }
    let turn = engine.turns.take(at.arn()).await?;
    loop {
        let rows = engine.endpoints.scan(&at.parts(), None, TXN_MAX).await;
        let rows = rows.map_err(Fault::from)?;
        if rows.is_empty() {
            break;
        }
        let ops = rows.into_iter().map(|row| store::Op::Delete {
            key: row.key,
            expect: Expect::Any,
        });
        let txn = engine.endpoints.txn(ops.collect()).await;
        txn.map_err(Fault::from)?;
    }
    let deleted = engine.applications.delete(&at.parts(), Expect::Any).await;
    deleted.map_err(Fault::from)?;
    drop(turn);
    Ok(())
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListInput,
) -> Result<ListApplicationsResponse, wire::Fault> {
    let (account, region) = (cx.account(), cx.region());
    let wrong = || Fault::parameter("NextToken");
    let after = match &input.next_token {
        Some(token) => {
            let text = paging::decode(token).ok_or_else(wrong)?;
            let (platform, name) = text.split_once('/').ok_or_else(wrong)?;
            Some(engine.applications.key(&[account, region, platform, name]))
        }
        None => None,
    };
    let rows = engine
        .applications
        .scan(&[account, region], after.as_ref(), PAGE + 1)
        .await;
    let rows = rows.map_err(Fault::from)?;
    let all: Vec<Application> = rows.into_iter().map(|row| row.value).collect();
    let (page, next_token) = paging::page(all, PAGE, |a| format!("{}/{}", a.platform, a.name));
    let shapes = page.into_iter().map(|application| ApplicationShape {
        platform_application_arn: ApplicationRef {
            account: account.to_owned(),
            region: region.to_owned(),
            platform: application.platform,
            name: application.name,
        }
        .arn(),
        attributes: shown(application.attributes),
    });
    Ok(ListApplicationsResponse {
        platform_applications: shapes.collect(),
        next_token,
    })
}
