use std::sync::Arc;

use functions::{Deployed, Details};
use model::{FunctionName, Version};
use wire::{Context, Fault, paging};

use crate::api::{
    Concurrency, FunctionCodeLocation, FunctionConfiguration, FunctionRefRequest,
    GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse,
};
use crate::fault::{self, invalid_parameter};
use crate::name::{NAMESPACED, Target, home};
use crate::rules::MASTER_REGION;
use crate::violations::Violations;
use crate::{Lambda, configuration};

/// Most functions of one page, whatever `MaxItems` says.  [Lambda API: ListFunctions]
const PAGE_MAX: usize = 50;

/// [Lambda API: GetFunction]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<GetFunctionResponse, Fault> {
    let (target, found) = described(&lambda, &cx, &input)?;
    let digest = found.deployed.code.digest();
    Ok(GetFunctionResponse {
        configuration: configuration::full(&found.deployed, target.qualifier.as_deref()),
        code: FunctionCodeLocation {
            repository_type: "S3",
            location: lambda
                .signer
                .address(cx.host(), digest, lambda.tasks.clock().now()),
        },
        tags: (*found.tags).clone(),
        concurrency: found.reserved.map(|n| Concurrency {
            reserved_concurrent_executions: Some(n),
        }),
    })
}

/// [Lambda API: GetFunctionConfiguration]
pub(crate) async fn configuration(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionRefRequest,
) -> Result<FunctionConfiguration, Fault> {
    let (target, found) = described(&lambda, &cx, &input)?;
    Ok(configuration::full(
        &found.deployed,
        target.qualifier.as_deref(),
    ))
}

/// What a request for one version names, and what it is.
pub(crate) fn described(
    lambda: &Lambda,
    cx: &Context,
    input: &FunctionRefRequest,
) -> Result<(Target, Details), Fault> {
    let qualifier = input.qualifier.as_deref();
    let target = Target::read_shared(lambda, cx, NAMESPACED, &input.function_name, qualifier)?;
    let found = lambda.functions.describe(&target.function()?);
    let found = found.map_err(|_| fault::not_found(&target.arn()))?;
    Ok((target, found))
}

/// [Lambda API: ListFunctions]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, Fault> {
    let mut v = Violations::new();
    v.one_of(
        "functionVersion",
        input.function_version.as_deref(),
        &["ALL"],
    );
    let region = input.master_region.as_deref();
    v.text("masterRegion", region, (1, 50), MASTER_REGION);
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let (account, region) = home(&cx)?;
    let is_all = input.function_version.is_some();
    // Only replicas at the edge have a master, and Kiln has no edge.
    if input.master_region.is_some_and(|r| r != "ALL") {
        return Ok(ListFunctionsResponse {
            functions: Vec::new(),
            next_marker: None,
        });
    }
    let limit = page_size(input.max_items);
    let after = input.marker.as_deref().map(position).transpose()?;
    let (functions, next_marker) = if is_all {
        let items = versions_after(&lambda, &account, &region, after, limit)?;
        paging::page(items, limit, |d| {
            format!("{}:{}", d.function.name, d.version)
        })
    } else {
        let name = after.map(|(name, _)| name);
        let items = lambda
            .functions
            .list(&account, &region, name.as_ref(), limit + 1);
        paging::page(items, limit, |d| d.function.name.to_string())
    };
    let qualifier = |d: &Deployed| is_all.then(|| d.version.to_string());
    Ok(ListFunctionsResponse {
        functions: functions
            .iter()
            .map(|d| configuration::listed(d, qualifier(d).as_deref()))
            .collect(),
        next_marker,
    })
}

/// Functions with all their versions, from behind `after`; one more than `limit` if there are more.
fn versions_after(
    lambda: &Lambda,
    account: &model::Account,
    region: &model::Region,
    after: Option<(FunctionName, Option<Version>)>,
    limit: usize,
) -> Result<Vec<Arc<Deployed>>, Fault> {
    let mut items = Vec::new();
    let mut last = after.as_ref().map(|(name, _)| name.clone());
    if let Some((name, Some(version))) = after {
        let function = model::FunctionRef {
            account: account.clone(),
            region: region.clone(),
            name,
            qualifier: None,
        };
        // A function that went since the last page has no more versions to show.
        let versions = lambda
            .functions
            .list_versions(&function)
            .unwrap_or_default();
        items.extend(versions.into_iter().filter(|d| d.version > version));
    }
    while items.len() <= limit {
        let page = lambda
            .functions
            .list(account, region, last.as_ref(), limit + 1);
        let Some(end) = page.last().map(|d| d.function.name.clone()) else {
            break;
        };
        last = Some(end);
        for d in &page {
            items.extend(
                lambda
                    .functions
                    .list_versions(&d.function)
                    .unwrap_or_default(),
            );
            if items.len() > limit {
                break;
            }
        }
    }
    items.truncate(limit + 1);
    Ok(items)
}

pub(crate) fn page_size(max_items: Option<i64>) -> usize {
    let asked = max_items.and_then(|n| usize::try_from(n).ok());
    asked.map_or(PAGE_MAX, |n| n.min(PAGE_MAX))
}

/// Where a page ended: a function, perhaps one of its versions.
fn position(marker: &str) -> Result<(FunctionName, Option<Version>), Fault> {
    let bad = || bad_marker(marker);
    let key = paging::decode(marker).ok_or_else(bad)?;
    let (name, version) = match key.split_once(':') {
        Some((name, version)) => (name, Some(version.parse().map_err(|_| bad())?)),
        None => (key.as_str(), None),
    };
    Ok((name.parse().map_err(|_| bad())?, version))
}

pub(crate) fn bad_marker(marker: &str) -> Fault {
    let shown: String = marker.chars().take(100).collect();
    invalid_parameter(format!("Invalid marker: {shown}"))
}
