//! Code signing configurations: kept and shown. Code is not held against them yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use functions::{SigningConfig, TagChange};
use model::{Account, Region};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::{Context, Fault, paging};

use crate::Lambda;
use crate::fault::{self, conflict, missing};
use crate::name::{NAMESPACED, Target, home};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::{PUBLISHER, SIGNING_ARN, TEXT_MAX};
use crate::violations::Violations;

/// Every request about code signing: each operation reads the members that are its own.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SigningRequest {
    code_signing_config_arn: Option<String>,
    function_name: Option<String>,
    description: Option<String>,
    allowed_publishers: Option<AllowedPublishers>,
    code_signing_policies: Option<CodeSigningPolicies>,
    tags: Option<BTreeMap<String, String>>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct AllowedPublishers {
    signing_profile_version_arns: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CodeSigningPolicies {
    untrusted_artifact_on_deployment: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CodeSigningConfig {
    code_signing_config_id: String,
    code_signing_config_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    allowed_publishers: AllowedPublishers,
    code_signing_policies: CodeSigningPolicies,
    last_modified: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CodeSigningConfigResponse {
    code_signing_config: CodeSigningConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListCodeSigningConfigsResponse {
    code_signing_configs: Vec<CodeSigningConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListFunctionsByCodeSigningConfigResponse {
    function_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// The caller's account and region, and the id that an ARN of theirs names.
struct Named {
    account: Account,
    region: Region,
    arn: String,
    /// `None` for a configuration of elsewhere.
    id: Option<String>,
}

impl Named {
    fn read(cx: &Context, arn: Option<&str>) -> Result<Named, Fault> {
        let (account, region) = home(cx)?;
        let arn = arn.unwrap_or_default().to_owned();
        let own = prefix(&account, &region);
        let id = arn.strip_prefix(&own).map(str::to_owned);
        Ok(Named {
            account,
            region,
            arn,
            id,
        })
    }

    async fn config(&self, lambda: &Lambda) -> Result<Option<SigningConfig>, Fault> {
        let Some(id) = &self.id else { return Ok(None) };
        let found = lambda.functions.signing(&self.account, &self.region, id);
        found.await.map_err(fault::refused_anywhere)
    }

    async fn existing(&self, lambda: &Lambda) -> Result<SigningConfig, Fault> {
        self.config(lambda).await?.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Fault {
        let arn = &self.arn;
        missing(format!(
            "The Lambda code signing configuration {arn} can not be found."
        ))
        .without_type()
    }

    fn shown(&self, config: SigningConfig) -> CodeSigningConfig {
        shown(&self.account, &self.region, config)
    }
}

fn prefix(account: &Account, region: &Region) -> String {
    format!("arn:aws:lambda:{region}:{account}:code-signing-config:")
}

fn shown(account: &Account, region: &Region, config: SigningConfig) -> CodeSigningConfig {
    let policy = match config.is_enforced {
        true => "Enforce",
        false => "Warn",
    };
    CodeSigningConfig {
        code_signing_config_arn: format!("{}{}", prefix(account, region), config.id),
        last_modified: config.modified().lambda_string(),
        code_signing_config_id: config.id,
        description: config.description,
        allowed_publishers: AllowedPublishers {
            signing_profile_version_arns: Some(config.publishers),
        },
        code_signing_policies: CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(policy.to_owned()),
        },
    }
}

/// [Lambda API: CreateCodeSigningConfig]
pub(crate) async fn create(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<CodeSigningConfigResponse, Fault> {
    let mut v = Violations::new();
    v.required("allowedPublishers", input.allowed_publishers.as_ref());
    check_settings(&mut v, &input);
    v.check()?;
    let named = Named::read(&cx, None)?;
    let mut config = SigningConfig {
        id: lambda.functions.new_signing_id(),
        description: None,
        publishers: Vec::new(),
        is_enforced: false,
        tags: input.tags.clone().unwrap_or_default(),
        modified_us: 0,
    };
    apply(&mut config, input);
    config.modified_us = lambda.tasks.clock().now().unix_micros();
    let functions = &lambda.functions;
    let stored = functions.create_signing(&named.account, &named.region, config.clone());
    stored.await.map_err(fault::refused_anywhere)?;
    Ok(CodeSigningConfigResponse {
        code_signing_config: named.shown(config),
    })
}

/// [Lambda API: UpdateCodeSigningConfig]
pub(crate) async fn update(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<CodeSigningConfigResponse, Fault> {
    let mut v = Violations::new();
    check_arn(&mut v, &input);
    check_settings(&mut v, &input);
    v.check()?;
    let named = Named::read(&cx, input.code_signing_config_arn.as_deref())?;
    let id = named.existing(&lambda).await?.id;
    let now = lambda.tasks.clock().now();
    let functions = &lambda.functions;
    let edit = move |config: &mut SigningConfig| {
        apply(config, input);
        config.modified_us = now.unix_micros();
        Ok(())
    };
    let changed = functions.edit_signing(&named.account, &named.region, &id, edit);
    let changed = changed.await.map_err(fault::refused_anywhere)?;
    Ok(CodeSigningConfigResponse {
        code_signing_config: named.shown(changed.ok_or_else(|| named.gone())?),
    })
}

/// [Lambda API: GetCodeSigningConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<CodeSigningConfigResponse, Fault> {
    let named = named(&cx, &input)?;
    let config = named.existing(&lambda).await?;
    Ok(CodeSigningConfigResponse {
        code_signing_config: named.shown(config),
    })
}

/// [Lambda API: DeleteCodeSigningConfig]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<(), Fault> {
    let named = named(&cx, &input)?;
    let config = named.existing(&lambda).await?;
    let (functions, account, region) = (&lambda.functions, &named.account, &named.region);
    if !functions
        .signed_with(account, region, &config.id)
        .is_empty()
    {
        return Err(conflict(format!(
            "Cannot delete code signing configuration {} because it is used by functions.",
            named.arn
        )));
    }
    let gone = functions.delete_signing(account, region, &config.id);
    gone.await.map_err(fault::refused_anywhere)
}

/// [Lambda API: ListCodeSigningConfigs]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<ListCodeSigningConfigsResponse, Fault> {
    let mut v = Violations::new();
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let (account, region) = home(&cx)?;
    let all = lambda.functions.list_signing(&account, &region).await;
    let mut all = all.map_err(fault::refused_anywhere)?;
    if let Some(marker) = &input.marker {
        let last = paging::decode(marker).ok_or_else(|| bad_marker(marker))?;
        all.retain(|config| config.id > last);
    }
    let (page, next_marker) = paging::page(all, page_size(input.max_items), |c| c.id.clone());
    Ok(ListCodeSigningConfigsResponse {
        code_signing_configs: page
            .into_iter()
            .map(|config| shown(&account, &region, config))
            .collect(),
        next_marker,
    })
}

/// [Lambda API: ListFunctionsByCodeSigningConfig]
pub(crate) async fn list_functions(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<ListFunctionsByCodeSigningConfigResponse, Fault> {
    let mut v = Violations::new();
    check_arn(&mut v, &input);
    v.range("maxItems", input.max_items, 1, 10_000);
    v.check()?;
    let named = Named::read(&cx, input.code_signing_config_arn.as_deref())?;
    let config = named.existing(&lambda).await?;
    let functions = &lambda.functions;
    let users = functions.signed_with(&named.account, &named.region, &config.id);
    let mut arns: Vec<String> = users.iter().map(ToString::to_string).collect();
    if let Some(marker) = &input.marker {
        let last = paging::decode(marker).ok_or_else(|| bad_marker(marker))?;
        arns.retain(|arn| *arn > last);
    }
    let (function_arns, next_marker) = paging::page(arns, page_size(input.max_items), Clone::clone);
    Ok(ListFunctionsByCodeSigningConfigResponse {
        function_arns,
        next_marker,
    })
}

/// [Lambda API: PutFunctionCodeSigningConfig]
pub(crate) async fn put_function(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<Value, Fault> {
    let mut v = Violations::new();
    check_arn(&mut v, &input);
    let name = input.function_name.as_deref();
    Target::check(&mut v, NAMESPACED, name, None);
    v.check()?;
    let arn = input.code_signing_config_arn.as_deref().unwrap_or_default();
    let target = Target::resolve(&cx, name.unwrap_or_default(), None)?;
    // A configuration that is not there is told before a function that is not.
    let id = usable(&lambda, &cx, arn).await?;
    let function = target.unqualified().function()?;
    let used = lambda.functions.sign_with(&function, Some(id));
    used.await.map_err(|e| fault::refused(e, &target))?;
    Ok(json!({ "CodeSigningConfigArn": arn, "FunctionName": target.name }))
}

/// The id of a configuration that a function may take.
pub(crate) async fn usable(lambda: &Lambda, cx: &Context, arn: &str) -> Result<String, Fault> {
    let named = Named::read(cx, Some(arn))?;
    let config = named.config(lambda).await?;
    config.map(|config| config.id).ok_or_else(|| {
        Fault::client(
            "CodeSigningConfigNotFoundException",
            404,
            format!(
                "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {}.",
                named.arn
            ),
        )
        .capital_message()
    })
}

/// [Lambda API: GetFunctionCodeSigningConfig]
pub(crate) async fn get_function(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<Value, Fault> {
    let target = function(&lambda, &cx, &input)?;
    Ok(match lambda.functions.signing_of(&target.function()?) {
        Some(id) => {
            let arn = format!("{}{id}", prefix(&target.account, &target.region));
            json!({ "CodeSigningConfigArn": arn, "FunctionName": target.name })
        }
        None => json!({}),
    })
}

/// [Lambda API: DeleteFunctionCodeSigningConfig]
pub(crate) async fn delete_function(
    lambda: Arc<Lambda>,
    cx: Context,
    input: SigningRequest,
) -> Result<(), Fault> {
    let target = function(&lambda, &cx, &input)?;
    let function = target.function()?;
    let unused = lambda.functions.sign_with(&function, None);
    unused.await.map_err(|e| fault::refused(e, &target))
}

/// The function that a request names; it exists.
fn function(lambda: &Lambda, cx: &Context, input: &SigningRequest) -> Result<Target, Fault> {
    let name = input.function_name.as_deref().unwrap_or_default();
    let target = Target::read(cx, NAMESPACED, name, None)?;
    match lambda.functions.exists(&target.function()?) {
        true => Ok(target),
        false => Err(fault::not_found(&target.arn())),
    }
}

fn named(cx: &Context, input: &SigningRequest) -> Result<Named, Fault> {
    let mut v = Violations::new();
    check_arn(&mut v, input);
    v.check()?;
    Named::read(cx, input.code_signing_config_arn.as_deref())
}

fn check_arn(v: &mut Violations, input: &SigningRequest) {
    let arn = input.code_signing_config_arn.as_deref();
    v.required("codeSigningConfigArn", arn.as_ref());
    v.text("codeSigningConfigArn", arn, (0, 200), SIGNING_ARN);
}

fn check_settings(v: &mut Violations, input: &SigningRequest) {
    v.length("description", input.description.as_deref(), 0, 256);
    if let Some(publishers) = &input.allowed_publishers {
        let field = "allowedPublishers.signingProfileVersionArns";
        let list = publishers.signing_profile_version_arns.as_ref();
        v.required(field, list);
        v.count(field, list, 1, 20);
        let rule = format!(
            "Member must have length less than or equal to {TEXT_MAX}, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: {}",
            PUBLISHER.text
        );
        v.each(field, list, &rule, |arn| {
            arn.len() <= TEXT_MAX && (PUBLISHER.matches)(arn)
        });
    }
    v.tags(input.tags.as_ref());
    let policy = input.code_signing_policies.as_ref();
    v.one_of(
        "codeSigningPolicies.untrustedArtifactOnDeployment",
        policy.and_then(|p| p.untrusted_artifact_on_deployment.as_deref()),
        &["Warn", "Enforce"],
    );
}

/// Takes over what the request says.
fn apply(config: &mut SigningConfig, input: SigningRequest) {
    if let Some(description) = input.description {
        config.description = Some(description);
    }
    let publishers = input.allowed_publishers;
    if let Some(publishers) = publishers.and_then(|p| p.signing_profile_version_arns) {
        config.publishers = publishers;
    }
    let policies = input.code_signing_policies;
    if let Some(policy) = policies.and_then(|p| p.untrusted_artifact_on_deployment) {
        config.is_enforced = policy == "Enforce";
    }
}

/// The tags of the configuration that an ARN names.
pub(crate) async fn list_tags(
    lambda: &Lambda,
    cx: &Context,
    arn: &str,
) -> Result<BTreeMap<String, String>, Fault> {
    let named = Named::read(cx, Some(arn))?;
    Ok(named.existing(lambda).await?.tags)
}

pub(crate) async fn change_tags(
    lambda: &Lambda,
    cx: &Context,
    arn: &str,
    change: TagChange,
) -> Result<(), Fault> {
    let named = Named::read(cx, Some(arn))?;
    let id = named.existing(lambda).await?.id;
    let functions = &lambda.functions;
    let changed = functions.tag_signing(&named.account, &named.region, &id, change);
    match changed.await.map_err(fault::refused_anywhere)? {
        true => Ok(()),
        false => Err(named.gone()),
    }
}
