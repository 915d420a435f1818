use std::collections::BTreeMap;
use std::sync::Arc;

use functions::{Alias, AliasChange, NewAlias};
use model::{AliasName, FunctionRef, Published, Qualifier};
use wire::{Context, Fault, paging};

use crate::Lambda;
use crate::api::{
    AliasConfiguration, AliasRequest, AliasRoutingConfiguration, ListAliasesResponse,
    ListOfFunctionRequest,
};
use crate::fault::{self, invalid_parameter};
use crate::name::{PLAIN, Target};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::{ALIAS, VERSION, VERSION_NUMBER};
use crate::violations::Violations;

const WEIGHTS: &str = "routingConfig.additionalVersionWeights";

/// [Lambda API: CreateAlias]
pub(crate) async fn create(
    lambda: Arc<Lambda>,
    cx: Context,
    input: AliasRequest,
) -> Result<AliasConfiguration, Fault> {
    let (target, name) = checked(&lambda, &cx, &input, true)?;
    let version = input.function_version.as_deref().unwrap_or_default();
    let weight = weight(&input, version)?;
    let version = published(version, &target)?;
    let function = target.function()?;
    let new = NewAlias {
        name,
        version,
        description: input.description.unwrap_or_default(),
        weight: weight_of(weight, &target)?,
    };
    let made = lambda.functions.create_alias(&function, new).await;
    let made = made.map_err(|e| fault::refused_as_is(e, &target))?;
    Ok(shown(&function, &made))
}

/// [Lambda API: UpdateAlias]
pub(crate) async fn update(
    lambda: Arc<Lambda>,
    cx: Context,
    input: AliasRequest,
) -> Result<AliasConfiguration, Fault> {
    let (target, name) = checked(&lambda, &cx, &input, false)?;
    let function = target.function()?;
    let alias = function.with_qualifier(Some(Qualifier::Alias(name.clone())));
    let former = lambda
        .functions
        .alias(&alias)
        .map_err(|_| fault::missing(format!("Alias not found: {alias}")))?;
    let primary = input
        .function_version
        .clone()
        .unwrap_or_else(|| version_text(former.version));
    let weight = weight(&input, &primary)?;
    let change = AliasChange {
        version: match &input.function_version {
            Some(text) => Some(published(text, &target)?),
            None => None,
        },
        description: input.description,
        weight: match input.routing_config {
            Some(_) => Some(weight_of(weight, &target)?),
            None => None,
        },
        revision: input.revision_id,
    };
    let updated = lambda.functions.update_alias(&function, name, change).await;
    let updated = updated.map_err(|e| fault::refused_as_is(e, &target))?;
    Ok(shown(&function, &updated))
}

/// [Lambda API: GetAlias]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: AliasRequest,
) -> Result<AliasConfiguration, Fault> {
    let (target, name) = checked(&lambda, &cx, &input, false)?;
    let function = target.function()?;
    let alias = function.with_qualifier(Some(Qualifier::Alias(name)));
    let found = lambda
        .functions
        .alias(&alias)
        .map_err(|e| fault::refused(e, &target))?;
    Ok(shown(&function, &found))
}

/// [Lambda API: DeleteAlias]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: AliasRequest,
) -> Result<(), Fault> {
    let (target, name) = checked(&lambda, &cx, &input, false)?;
    lambda
        .functions
        .delete_alias(&target.function()?, name)
        .await
        .map_err(|e| fault::refused(e, &target))
}

/// [Lambda API: ListAliases]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListOfFunctionRequest,
) -> Result<ListAliasesResponse, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    let version = input.function_version.as_deref();
    v.text("functionVersion", version, (1, 1_024), VERSION);
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let target = unqualified(Target::shared(&lambda, &cx, &input.function_name, None)?)?;
    let function = target.function()?;
    let mut aliases = lambda
        .functions
        .list_aliases(&function)
        .map_err(|_| fault::not_found(&target.arn()))?;
    if let Some(version) = &input.function_version {
        aliases.retain(|a| version_text(a.version) == *version);
    }
    if let Some(marker) = &input.marker {
        let last = paging::decode(marker).ok_or_else(|| bad_marker(marker))?;
        aliases.retain(|a| a.name.as_str() > last.as_str());
    }
    let limit = page_size(input.max_items);
    let (aliases, next_marker) = paging::page(aliases, limit, |a| a.name.to_string());
    Ok(ListAliasesResponse {
        aliases: aliases.iter().map(|a| shown(&function, a)).collect(),
        next_marker,
    })
}

/// Checks the members of a request for one alias.
fn checked(
    lambda: &Lambda,
    cx: &Context,
    input: &AliasRequest,
    is_new: bool,
) -> Result<(Target, AliasName), Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.text("name", input.name.as_deref(), (1, 128), ALIAS);
    let version = input.function_version.as_deref();
    v.text("functionVersion", version, (1, 1_024), VERSION);
    v.length("description", input.description.as_deref(), 0, 256);
    if is_new {
        v.required("name", input.name.as_ref());
        v.required("functionVersion", input.function_version.as_ref());
    }
    check_weights(&mut v, input.weights());
    v.check()?;
    let target = unqualified(Target::shared(lambda, cx, &input.function_name, None)?)?;
    let name = input.name.as_deref().unwrap_or_default();
    let name = name
        .parse()
        .map_err(|_| Fault::internal("an alias name was not checked"))?;
    Ok((target, name))
}

fn check_weights(v: &mut Violations, weights: Option<&BTreeMap<String, f64>>) {
    let Some(weights) = weights else { return };
    let pairs: Vec<String> = weights.iter().map(|(n, w)| format!("{n}={w:?}")).collect();
    let value = format!("{{{}}}", pairs.join(", "));
    if !weights
        .keys()
        .all(|n| n.len() <= 1_024 && (VERSION_NUMBER.matches)(n))
    {
        v.other(format!(
            "Value '{value}' at '{WEIGHTS}' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: {}]",
            VERSION_NUMBER.text
        ));
    }
    if !weights.values().all(|w| (0.0..=1.0).contains(w)) {
        v.other(format!(
            "Value '{value}' at '{WEIGHTS}' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
        ));
    }
}

/// The one weight that an alias may have beside its version `primary`.
fn weight(input: &AliasRequest, primary: &str) -> Result<Option<(String, f64)>, Fault> {
    let Some(weights) = input.weights().filter(|w| !w.is_empty()) else {
        return Ok(None);
    };
    if weights.len() > 1 {
        return Err(invalid_parameter(
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ));
    }
    if primary == "$LATEST" {
        return Err(invalid_parameter(
            "$LATEST is not supported for an alias pointing to more than 1 version",
        )
        .with_member("Type", serde_json::Value::Null));
    }
    let one = weights.iter().next().map(|(n, w)| (n.clone(), *w));
    match one {
        Some((second, _)) if second == primary => Err(invalid_parameter(format!(
            "Invalid function version {second}. Function version {second} is already included in routing configuration."
        ))),
        other => Ok(other),
    }
}

fn weight_of(
    weight: Option<(String, f64)>,
    target: &Target,
) -> Result<Option<(Published, f64)>, Fault> {
    let Some((number, share)) = weight else {
        return Ok(None);
    };
    Ok(published(&number, target)?.map(|n| (n, share)))
}

/// Reads a version whose form was checked; a number that no version can have names none.
fn published(text: &str, target: &Target) -> Result<Option<Published>, Fault> {
    match text.parse() {
        Ok(model::Version::Latest) => Ok(None),
        Ok(model::Version::Published(n)) => Ok(Some(n)),
        Err(_) => Err(fault::not_found(&format!(
            "{}:{text}",
            target.unqualified_arn()
        ))),
    }
}

fn version_text(version: Option<Published>) -> String {
    version.map_or_else(|| "$LATEST".to_owned(), |n| n.to_string())
}

fn unqualified(target: Target) -> Result<Target, Fault> {
    match target.qualifier {
        None => Ok(target),
        Some(_) => Err(fault::operation_on_version()),
    }
}

fn shown(function: &FunctionRef, alias: &Alias) -> AliasConfiguration {
    AliasConfiguration {
        alias_arn: format!("{}:{}", function.unqualified_arn(), alias.name),
        name: alias.name.to_string(),
        function_version: version_text(alias.version),
        description: alias.description.clone(),
        routing_config: alias.weight.map(|(n, share)| AliasRoutingConfiguration {
            additional_version_weights: Some([(n.to_string(), share)].into()),
        }),
        revision_id: alias.revision.clone(),
    }
}
