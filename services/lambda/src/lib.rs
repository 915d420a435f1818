//! The Lambda API: the skin of the platform.
//!
//! Each operation reads its shape, checks it as AWS does, asks [`functions`] or [`invoke`], and writes
//! the answer. What an operation means lives in those crates; how AWS words it lives here.
//!
//! - `api`: the wire shapes. `configuration`: a version as the API shows it.
//! - `name`, `settings`, `variables`, `runtimes`: what a request may say. `rules`, `violations`: how
//!   AWS tells that it may not. `fault`: every other error.
//! - `operations`: one file for each family. `urls`: functions that answer HTTP requests themselves.
//! - `permit`: what the policy of a function says of a caller. `role`: what its execution role must be
//!   allowed.
//!
//! Not here: what runs where, and what is kept.

mod api;
mod configuration;
mod fault;
mod location;
mod name;
mod operations;
mod payload;
mod permit;
mod rates;
mod role;
mod rules;
mod runtimes;
mod settings;
mod urls;
mod variables;
mod violations;

use std::sync::Arc;

use functions::Functions;
use http::Method;
use invoke::{EventQueue, Invoke};
use model::ports::{QueueReader, Roles};
use tasks::Tasks;
use wire::hosts::Hosts;
use wire::{Protocol, Service, ServiceBuilder};

use crate::location::Signer;
use crate::operations::{
    account, aliases, call, concurrency, create, delete, event_invoke, layer_permissions, layers,
    permissions, provisioned, read, recursion, runtime, streaming, tags, update, versions,
};
use crate::rates::Rates;
pub use crate::urls::UrlBase;

/// What the service is made of.
#[derive(Clone)]
pub struct Deps {
    pub functions: Functions,
    pub invoke: Invoke,
    pub events: EventQueue,
    pub tasks: Tasks,
    /// Whether AWS's rates of control-plane requests are kept.
    pub control_rates: bool,
    /// How function URLs look.
    pub url_base: UrlBase,
    /// What event source mappings ask about queues.
    pub queues: Arc<dyn QueueReader>,
    /// Who says what execution roles may do; nothing is checked without.
    pub roles: Option<Arc<dyn Roles>>,
}

/// What every operation gets.
pub(crate) struct Lambda {
    pub(crate) functions: Functions,
    pub(crate) invoke: Invoke,
    pub(crate) events: EventQueue,
    pub(crate) tasks: Tasks,
    pub(crate) signer: Signer,
    pub(crate) url_base: UrlBase,
    pub(crate) queues: Arc<dyn QueueReader>,
    pub(crate) roles: Option<Arc<dyn Roles>>,
}

/// What answers at function URLs, to be put into a router.
pub fn urls(deps: &Deps) -> Arc<dyn Hosts> {
    Arc::new(urls::Urls {
        functions: deps.functions.clone(),
        invoke: deps.invoke.clone(),
        ids: deps.tasks.ids().clone(),
    })
}

/// Longest request that carries code: a zip of 50 MB in base64, and its settings.  [Lambda API]
const CODE_REQUEST_MAX: u64 = 70_167_211;
/// Longest request that carries settings only.
const REQUEST_MAX: u64 = 6_291_456;

/// The service, to be put into a router.
pub fn service(deps: Deps) -> Service {
    let rates = deps.control_rates.then(|| Rates::new(deps.tasks.clock()));
    let state = Lambda {
        signer: Signer::new(deps.tasks.ids()),
        functions: deps.functions,
        invoke: deps.invoke,
        events: deps.events,
        tasks: deps.tasks,
        url_base: deps.url_base,
        queues: deps.queues,
        roles: deps.roles,
    };
    let function = "/2015-03-31/functions/{FunctionName}?Qualifier";
    let builder = Service::new("lambda", Arc::new(state))
        .protocols([Protocol::RestJson])
        .gate(move |cx| rates.as_ref().map_or(Ok(()), |rates| rates.admit(cx)))
        .internal_failure(
            "ServiceException",
            "An error occurred and the request cannot be processed.",
        )
        .rest(
            "CreateFunction",
            Method::POST,
            "/2015-03-31/functions",
            201,
            create::create,
        )
        .body_max(CODE_REQUEST_MAX)
        .rest("GetFunction", Method::GET, function, 200, read::get)
        .rest(
            "GetFunctionConfiguration",
            Method::GET,
            "/2015-03-31/functions/{FunctionName}/configuration?Qualifier",
            200,
            read::configuration,
        )
        .rest(
            "ListFunctions",
            Method::GET,
            "/2015-03-31/functions?MasterRegion&FunctionVersion&Marker&MaxItems",
            200,
            read::list,
        )
        .rest(
            "UpdateFunctionCode",
            Method::PUT,
            "/2015-03-31/functions/{FunctionName}/code",
            200,
            update::code,
        )
        .body_max(CODE_REQUEST_MAX)
        .rest(
            "UpdateFunctionConfiguration",
            Method::PUT,
            "/2015-03-31/functions/{FunctionName}/configuration",
            200,
            update::configuration,
        )
        .body_max(REQUEST_MAX)
        .rest(
            "DeleteFunction",
            Method::DELETE,
            function,
            204,
            delete::delete,
        )
        .rest(
            "PublishVersion",
            Method::POST,
            "/2015-03-31/functions/{FunctionName}/versions",
            201,
            versions::publish,
        )
        .rest(
            "ListVersionsByFunction",
            Method::GET,
            "/2015-03-31/functions/{FunctionName}/versions?Marker&MaxItems",
            200,
            versions::list,
        )
        .rest_raw(
            "Invoke",
            Method::POST,
            "/2015-03-31/functions/{FunctionName}/invocations?Qualifier",
            call::invoke,
        )
        .header("X-Amz-Invocation-Type", "InvocationType")
        .header("X-Amz-Log-Type", "LogType")
        .header("X-Amz-Client-Context", "ClientContext")
        .header("X-Amz-Tenant-Id", "TenantId")
        .header("X-Amz-Durable-Execution-Name", "DurableExecutionName")
        .body_max(payload::SYNC_MAX)
        .oversize(payload::oversize);
    let builder = with_other_invocations(builder)
        .rest(
            "GetAccountSettings",
            Method::GET,
            "/2016-08-19/account-settings",
            200,
            account::settings,
        )
        .rest(
            "TagResource",
            Method::POST,
            "/2017-03-31/tags/{Resource}",
            204,
            tags::tag,
        )
        .rest(
            "UntagResource",
            Method::DELETE,
            "/2017-03-31/tags/{Resource}?tagKeys={TagKeys}",
            204,
            tags::untag,
        )
        .rest(
            "ListTags",
            Method::GET,
            "/2017-03-31/tags/{Resource}",
            200,
            tags::list,
        )
        .rest_raw(
            "_DownloadCode",
            Method::GET,
            location::ROUTE,
            location::download,
        )
        .public();
    let builder = with_layers(with_permissions(with_aliases(with_concurrency(builder))));
    let builder = with_mappings(with_signing(with_event_invoke(builder)));
    let builder = with_resource_policies(builder);
    with_urls(with_facts(builder))
        .rest_not_built(operations::NOT_BUILT)
        .build()
}

fn with_aliases(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let all = "/2015-03-31/functions/{FunctionName}/aliases";
    let list = "/2015-03-31/functions/{FunctionName}/aliases?FunctionVersion&Marker&MaxItems";
    let one = "/2015-03-31/functions/{FunctionName}/aliases/{Name}";
    builder
        .rest("CreateAlias", Method::POST, all, 201, aliases::create)
        .rest("ListAliases", Method::GET, list, 200, aliases::list)
        .rest("GetAlias", Method::GET, one, 200, aliases::get)
        .rest("UpdateAlias", Method::PUT, one, 200, aliases::update)
        .rest("DeleteAlias", Method::DELETE, one, 204, aliases::delete)
}

/// The ways to invoke a function besides `Invoke`.
fn with_other_invocations(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    builder
        .rest_raw(
            "InvokeWithResponseStream",
            Method::POST,
            "/2021-11-15/functions/{FunctionName}/response-streaming-invocations?Qualifier",
            streaming::invoke_with_response_stream,
        )
        .header("X-Amz-Invocation-Type", "InvocationType")
        .header("X-Amz-Log-Type", "LogType")
        .header("X-Amz-Client-Context", "ClientContext")
        .header("X-Amz-Tenant-Id", "TenantId")
        .body_max(payload::SYNC_MAX)
        .oversize(payload::oversize)
        .rest_raw(
            "InvokeAsync",
            Method::POST,
            "/2014-11-13/functions/{FunctionName}/invoke-async",
            call::invoke_async,
        )
        .body_max(payload::EVENT_MAX)
        .oversize(payload::oversize_event)
}

fn with_concurrency(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let change = "/2017-10-31/functions/{FunctionName}/concurrency";
    let show = "/2019-09-30/functions/{FunctionName}/concurrency";
    let ahead = "/2019-09-30/functions/{FunctionName}/provisioned-concurrency?Qualifier";
    let list =
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL&Marker&MaxItems";
    builder
        .rest(
            "PutFunctionConcurrency",
            Method::PUT,
            change,
            200,
            concurrency::put,
        )
        .rest(
            "DeleteFunctionConcurrency",
            Method::DELETE,
            change,
            204,
            concurrency::delete,
        )
        .rest(
            "GetFunctionConcurrency",
            Method::GET,
            show,
            200,
            concurrency::get,
        )
        .rest(
            "PutProvisionedConcurrencyConfig",
            Method::PUT,
            ahead,
            202,
            provisioned::put,
        )
        .rest(
            "GetProvisionedConcurrencyConfig",
            Method::GET,
            ahead,
            200,
            provisioned::get,
        )
        .rest(
            "DeleteProvisionedConcurrencyConfig",
            Method::DELETE,
            ahead,
            204,
            provisioned::delete,
        )
        .rest(
            "ListProvisionedConcurrencyConfigs",
            Method::GET,
            list,
            200,
            provisioned::list,
        )
}

fn with_permissions(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let all = "/2015-03-31/functions/{FunctionName}/policy?Qualifier";
    let one = "/2015-03-31/functions/{FunctionName}/policy/{StatementId}?Qualifier&RevisionId";
    builder
        .rest("AddPermission", Method::POST, all, 201, permissions::add)
        .rest("GetPolicy", Method::GET, all, 200, permissions::get)
        .rest(
            "RemovePermission",
            Method::DELETE,
            one,
            204,
            permissions::remove,
        )
}

fn with_event_invoke(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let one = "/2019-09-25/functions/{FunctionName}/event-invoke-config?Qualifier";
    let list = "/2019-09-25/functions/{FunctionName}/event-invoke-config/list?Marker&MaxItems";
    builder
        .rest(
            "PutFunctionEventInvokeConfig",
            Method::PUT,
            one,
            200,
            event_invoke::put,
        )
        .rest(
            "UpdateFunctionEventInvokeConfig",
            Method::POST,
            one,
            200,
            event_invoke::update,
        )
        .rest(
            "GetFunctionEventInvokeConfig",
            Method::GET,
            one,
            200,
            event_invoke::get,
        )
        .rest(
            "DeleteFunctionEventInvokeConfig",
            Method::DELETE,
            one,
            204,
            event_invoke::delete,
        )
        .rest(
            "ListFunctionEventInvokeConfigs",
            Method::GET,
            list,
            200,
            event_invoke::list,
        )
}

fn with_layers(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let all = "/2018-10-31/layers?CompatibleRuntime&CompatibleArchitecture&Marker&MaxItems";
    let by_arn = "/2018-10-31/layers?find=LayerVersion&Arn";
    let versions = "/2018-10-31/layers/{LayerName}/versions?CompatibleRuntime&CompatibleArchitecture&Marker&MaxItems";
    let new = "/2018-10-31/layers/{LayerName}/versions";
    let one = "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}";
    let policy = "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy?RevisionId";
    let statement =
        "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}?RevisionId";
    builder
        .rest(
            "PublishLayerVersion",
            Method::POST,
            new,
            201,
            layers::publish,
        )
        .body_max(CODE_REQUEST_MAX)
        .rest("GetLayerVersion", Method::GET, one, 200, layers::get)
        .rest(
            "GetLayerVersionByArn",
            Method::GET,
            by_arn,
            200,
            layers::get_by_arn,
        )
        .rest(
            "DeleteLayerVersion",
            Method::DELETE,
            one,
            204,
            layers::delete,
        )
        .rest("ListLayers", Method::GET, all, 200, layers::list)
        .rest(
            "ListLayerVersions",
            Method::GET,
            versions,
            200,
            layers::list_versions,
        )
        .rest(
            "AddLayerVersionPermission",
            Method::POST,
            policy,
            201,
            layer_permissions::add,
        )
        .rest(
            "GetLayerVersionPolicy",
            Method::GET,
            policy,
            200,
            layer_permissions::get,
        )
        .rest(
            "RemoveLayerVersionPermission",
            Method::DELETE,
            statement,
            204,
            layer_permissions::remove,
        )
}

fn with_urls(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    use operations::urls;
    let one = "/2021-10-31/functions/{FunctionName}/url?Qualifier";
    let all = "/2021-10-31/functions/{FunctionName}/urls?Marker&MaxItems";
    builder
        .rest(
            "CreateFunctionUrlConfig",
            Method::POST,
            one,
            201,
            urls::create,
        )
        .rest(
            "UpdateFunctionUrlConfig",
            Method::PUT,
            one,
            200,
            urls::update,
        )
        .rest("GetFunctionUrlConfig", Method::GET, one, 200, urls::get)
        .rest(
            "DeleteFunctionUrlConfig",
            Method::DELETE,
            one,
            204,
            urls::delete,
        )
        .rest("ListFunctionUrlConfigs", Method::GET, all, 200, urls::list)
}

/// What belongs to a function and is no setting of a version.
fn with_facts(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    let recursion = "/2024-08-31/functions/{FunctionName}/recursion-config";
    let management = "/2021-07-20/functions/{FunctionName}/runtime-management-config?Qualifier";
    builder
        .rest(
            "PutFunctionRecursionConfig",
            Method::PUT,
            recursion,
            200,
            recursion::put,
        )
        .rest(
            "GetFunctionRecursionConfig",
            Method::GET,
            recursion,
            200,
            recursion::get,
        )
        .rest(
            "GetRuntimeManagementConfig",
            Method::GET,
            management,
            200,
            runtime::get,
        )
        .rest(
            "PutRuntimeManagementConfig",
            Method::PUT,
            management,
            200,
            runtime::put,
        )
}

#[rustfmt::skip] // a table
fn with_resource_policies(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    use operations::{resource_policies, scaling};
    let one = "/2026-07-09/resource-policy/{ResourceArn}";
    let gone = "/2026-07-09/resource-policy/{ResourceArn}?RevisionId";
    let scale = "/2025-11-30/functions/{FunctionName}/function-scaling-config?Qualifier";
    builder
        .rest("PutResourcePolicy", Method::PUT, one, 200, resource_policies::put)
        .rest("GetResourcePolicy", Method::GET, one, 200, resource_policies::get)
        .rest("DeleteResourcePolicy", Method::DELETE, gone, 204, resource_policies::delete)
        .rest("PutFunctionScalingConfig", Method::PUT, scale, 202, scaling::put)
        .rest("GetFunctionScalingConfig", Method::GET, scale, 200, scaling::get)
}

#[rustfmt::skip] // a table
fn with_mappings(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    use operations::mappings;
    let all = "/2015-03-31/event-source-mappings";
    let list = "/2015-03-31/event-source-mappings?EventSourceArn&FunctionName&Marker&MaxItems";
    let one = "/2015-03-31/event-source-mappings/{UUID}";
    builder
        .rest("CreateEventSourceMapping", Method::POST, all, 202, mappings::create)
        .rest("ListEventSourceMappings", Method::GET, list, 200, mappings::list)
        .rest("GetEventSourceMapping", Method::GET, one, 200, mappings::get)
        .rest("UpdateEventSourceMapping", Method::PUT, one, 202, mappings::update)
        .rest("DeleteEventSourceMapping", Method::DELETE, one, 202, mappings::delete)
}

#[rustfmt::skip] // a table
fn with_signing(builder: ServiceBuilder<Lambda>) -> ServiceBuilder<Lambda> {
    use operations::signing;
    let all = "/2020-04-22/code-signing-configs";
    let list = "/2020-04-22/code-signing-configs?Marker&MaxItems";
    let one = "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}";
    let users = "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions?Marker&MaxItems";
    let own = "/2020-06-30/functions/{FunctionName}/code-signing-config";
    builder
        .rest("CreateCodeSigningConfig", Method::POST, all, 201, signing::create)
        .rest("ListCodeSigningConfigs", Method::GET, list, 200, signing::list)
        .rest("GetCodeSigningConfig", Method::GET, one, 200, signing::get)
        .rest("UpdateCodeSigningConfig", Method::PUT, one, 200, signing::update)
        .rest("DeleteCodeSigningConfig", Method::DELETE, one, 204, signing::delete)
        .rest("ListFunctionsByCodeSigningConfig", Method::GET, users, 200, signing::list_functions)
        .rest("PutFunctionCodeSigningConfig", Method::PUT, own, 200, signing::put_function)
        .rest("GetFunctionCodeSigningConfig", Method::GET, own, 200, signing::get_function)
        .rest("DeleteFunctionCodeSigningConfig", Method::DELETE, own, 204, signing::delete_function)
}
