use std::sync::Arc;

use functions::{Error, LayerError, LayerRef, LayerVersion, NewLayerVersion};
use model::{Architecture, Runtime};
use wire::{Context, Fault, paging};

use crate::Lambda;
use crate::api::{
    GetLayerVersionByArnRequest, LayerVersionContentOutput, LayerVersionRequest,
    LayerVersionResponse, LayerVersionsListItem, LayersListItem, ListLayerVersionsResponse,
    ListLayersRequest, ListLayersResponse, PublishLayerVersionRequest,
};
use crate::fault::{self, invalid_parameter, missing};
use crate::name::home;
use crate::operations::create::{check_source, zip};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::{LAYER_NAME, LAYER_VERSION_ARN};
use crate::runtimes;
use crate::violations::Violations;

/// [Lambda API: PublishLayerVersion]
pub(crate) async fn publish(
    lambda: Arc<Lambda>,
    cx: Context,
    input: PublishLayerVersionRequest,
) -> Result<LayerVersionResponse, Fault> {
    let mut v = Violations::new();
    check_name(&mut v, &input.layer_name);
    v.required("content", input.content.as_ref());
    v.length("description", input.description.as_deref(), 0, 256);
    v.length("licenseInfo", input.license_info.as_deref(), 0, 512);
    check_source(&mut v, "content.", input.content.as_ref());
    check_compatible(&mut v, &input);
    v.check()?;
    let layer = named(&cx, &input.layer_name)?;
    let (account, region) = home(&cx)?;
    if layer.account != account || layer.region != region {
        return Err(fault::layer_denied(
            &cx,
            "PublishLayerVersion",
            &layer.arn(),
        ));
    }
    let architectures = input.compatible_architectures.map(|list| {
        let parsed = list.iter().map(|word| word.parse::<Architecture>());
        parsed.filter_map(Result::ok).collect()
    });
    let new = NewLayerVersion {
        layer,
        zip: zip(input.content.unwrap_or_default())?,
        description: input.description.unwrap_or_default(),
        license: input.license_info,
        runtimes: input.compatible_runtimes,
        architectures,
    };
    let made = lambda.functions.publish_layer_version(new).await;
    let made = made.map_err(refused)?;
    Ok(shown(&lambda, &cx, &made))
}

/// [Lambda API: GetLayerVersion]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: LayerVersionRequest,
) -> Result<LayerVersionResponse, Fault> {
    let (layer, number) = version(&cx, &input)?;
    found(&lambda, &cx, &layer, number)
}

/// [Lambda API: GetLayerVersionByArn]
pub(crate) async fn get_by_arn(
    lambda: Arc<Lambda>,
    cx: Context,
    input: GetLayerVersionByArnRequest,
) -> Result<LayerVersionResponse, Fault> {
    let mut v = Violations::new();
    v.required("arn", input.arn.as_ref());
    v.text("arn", input.arn.as_deref(), (1, 2_048), LAYER_VERSION_ARN);
    v.check()?;
    let arn = input.arn.unwrap_or_default();
    let (layer, number) = LayerRef::parse_version_arn(&arn).ok_or_else(none)?;
    found(&lambda, &cx, &layer, number)
}

/// [Lambda API: DeleteLayerVersion]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: LayerVersionRequest,
) -> Result<(), Fault> {
    let (layer, number) = version(&cx, &input)?;
    let (account, _) = home(&cx)?;
    if layer.account != account {
        let arn = layer.version_arn(number);
        return Err(fault::layer_denied(&cx, "DeleteLayerVersion", &arn));
    }
    let gone = lambda.functions.delete_layer_version(&layer, number).await;
    gone.map_err(refused)
}

/// [Lambda API: ListLayers]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListLayersRequest,
) -> Result<ListLayersResponse, Fault> {
    let wanted = Wanted::read(&input)?;
    let (account, region) = home(&cx)?;
    let limit = page_size(input.max_items);
    let after = match input.marker.as_deref() {
        Some(marker) => Some(LayerRef {
            account: account.clone(),
            region: region.clone(),
            name: marked(marker)?,
        }),
        None => None,
    };
    let versions =
        lambda
            .functions
            .list_layers(&account, &region, after.as_ref(), limit + 1, |v| {
                wanted.has(v)
            });
    let (versions, next_marker) = paging::page(versions, limit, |v| v.layer.name.to_string());
    let item = |v: &Arc<LayerVersion>| LayersListItem {
        layer_name: v.layer.name.to_string(),
        layer_arn: v.layer.arn(),
        latest_matching_version: listed(v),
    };
    Ok(ListLayersResponse {
        layers: versions.iter().map(item).collect(),
        next_marker,
    })
}

/// [Lambda API: ListLayerVersions]
pub(crate) async fn list_versions(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListLayersRequest,
) -> Result<ListLayerVersionsResponse, Fault> {
    let wanted = Wanted::read(&input)?;
    let mut v = Violations::new();
    check_name(&mut v, &input.layer_name);
    v.check()?;
    let layer = named(&cx, &input.layer_name)?;
    let (account, _) = home(&cx)?;
    if layer.account != account {
        return Err(fault::layer_denied(&cx, "ListLayerVersions", &layer.arn()));
    }
    let before: u64 = match input.marker.as_deref() {
        Some(marker) => marked(marker)?,
        None => u64::MAX,
    };
    let mut versions = lambda.functions.layer_versions(&layer);
    versions.retain(|v| v.number < before && wanted.has(v));
    let (versions, next_marker) = paging::page(versions, page_size(input.max_items), |v| {
        v.number.to_string()
    });
    Ok(ListLayerVersionsResponse {
        layer_versions: versions.iter().map(|v| listed(v)).collect(),
        next_marker,
    })
}

/// What a list is asked for.
struct Wanted {
    runtime: Option<String>,
    architecture: Option<Architecture>,
}

impl Wanted {
    fn read(input: &ListLayersRequest) -> Result<Wanted, Fault> {
        let mut v = Violations::new();
        let runtime = input.compatible_runtime.as_deref();
        v.one_of("compatibleRuntime", runtime, runtimes::LISTED);
        let architecture = input.compatible_architecture.as_deref();
        v.one_of("compatibleArchitecture", architecture, ARCHITECTURES);
        v.range("maxItems", input.max_items, 1, 50);
        v.check()?;
        Ok(Wanted {
            runtime: runtime.map(str::to_owned),
            architecture: architecture.and_then(|word| word.parse().ok()),
        })
    }

    /// A version that names no runtimes or architectures matches no filter for them.
    fn has(&self, version: &LayerVersion) -> bool {
        let runtime = self
            .runtime
            .as_ref()
            .is_none_or(|name| version.runtimes.iter().flatten().any(|r| r == name));
        let architecture = self
            .architecture
            .is_none_or(|a| version.architectures.iter().flatten().any(|b| *b == a));
        runtime && architecture
    }
}

const ARCHITECTURES: &[&str] = &["x86_64", "arm64"];

fn check_compatible(v: &mut Violations, input: &PublishLayerVersionRequest) {
    let runtimes = input.compatible_runtimes.as_ref();
    v.count("compatibleRuntimes", runtimes, 0, 15);
    let is_known = |name: &str| name.parse::<Runtime>().is_ok();
    if let Some(list) = runtimes.filter(|list| !list.iter().all(|name| is_known(name))) {
        v.other(format!(
            "Value '[{}]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            list.join(", "),
            runtimes::NAMED
        ));
    }
    let architectures = input.compatible_architectures.as_ref();
    v.count("compatibleArchitectures", architectures, 0, 2);
    v.each(
        "compatibleArchitectures",
        architectures,
        "Member must satisfy enum value set: [x86_64, arm64], Member must not be null",
        |word| word.parse::<Architecture>().is_ok(),
    );
}

pub(crate) fn check_name(v: &mut Violations, name: &str) {
    v.text("layerName", Some(name), (1, 2_048), LAYER_NAME);
}

/// The layer that a name or an ARN of this form stands for.
pub(crate) fn named(cx: &Context, name: &str) -> Result<LayerRef, Fault> {
    let (account, region) = home(cx)?;
    let parts: Vec<&str> = name.split(':').collect();
    let unknown = |_| none();
    match parts.as_slice() {
        [_, _, _, region, account, _, name] => Ok(LayerRef {
            account: account.parse().map_err(unknown)?,
            region: region.parse().map_err(unknown)?,
            name: name.parse().map_err(unknown)?,
        }),
        _ => Ok(LayerRef {
            account,
            region,
            name: name.parse().map_err(unknown)?,
        }),
    }
}

/// The version that a request names.
pub(crate) fn version(cx: &Context, input: &LayerVersionRequest) -> Result<(LayerRef, u64), Fault> {
    let mut v = Violations::new();
    check_name(&mut v, &input.layer_name);
    v.check()?;
    let number = u64::try_from(input.version_number).unwrap_or_default();
    if number < 1 {
        return Err(invalid_parameter("Layer Version Cannot be less than 1"));
    }
    Ok((named(cx, &input.layer_name)?, number))
}

fn none() -> Fault {
    missing("The resource you requested does not exist.")
}

fn found(
    lambda: &Lambda,
    cx: &Context,
    layer: &LayerRef,
    number: u64,
) -> Result<LayerVersionResponse, Fault> {
    let (account, region) = home(cx)?;
    if !lambda.functions.may_use_layer(&account, layer, number) {
        let arn = layer.version_arn(number);
        return Err(fault::layer_denied(cx, "GetLayerVersion", &arn));
    }
    let version = lambda.functions.layer_version(layer, number);
    let version = version
        .filter(|_| layer.region == region)
        .ok_or_else(none)?;
    Ok(shown(lambda, cx, &version))
}

fn shown(lambda: &Lambda, cx: &Context, version: &LayerVersion) -> LayerVersionResponse {
    let now = lambda.tasks.clock().now();
    LayerVersionResponse {
        content: LayerVersionContentOutput {
            location: lambda.signer.address(cx.host(), version.code.digest(), now),
            code_sha256: version.code.sha256(),
            code_size: version.code.bytes(),
        },
        layer_arn: version.layer.arn(),
        version: listed(version),
    }
}

fn listed(version: &LayerVersion) -> LayerVersionsListItem {
    let words = |list: &Vec<Architecture>| list.iter().map(|a| a.as_str()).collect();
    LayerVersionsListItem {
        layer_version_arn: version.arn(),
        version: version.number,
        description: version.description.clone(),
        created_date: version.created.lambda_string(),
        compatible_runtimes: version.runtimes.clone(),
        compatible_architectures: version.architectures.as_ref().map(words),
        license_info: version.license.clone(),
    }
}

/// Where the page before ended.
fn marked<T: std::str::FromStr>(marker: &str) -> Result<T, Fault> {
    let key = paging::decode(marker).and_then(|key| key.parse().ok());
    key.ok_or_else(|| bad_marker(marker))
}

/// The answer to an operation on layers that `functions` refused.
pub(crate) fn refused(error: Error) -> Fault {
    match error {
        Error::NoSuchLayerVersion { arn } => {
            missing(format!("Layer version {arn} does not exist."))
        }
        Error::PolicyRevisionDiffers => Fault::client(
            "PreconditionFailedException",
            412,
            "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id",
        ),
        other => fault::refused_anywhere(other),
    }
}

/// Why a function cannot have the layers that it names.  [Lambda API: observed]
pub(crate) fn unusable(error: LayerError, cx: &Context) -> Fault {
    match error {
        LayerError::Missing { arn } => {
            invalid_parameter(format!("Layer version {arn} does not exist."))
        }
        LayerError::Denied { arn } => fault::layer_denied(cx, "GetLayerVersion", &arn),
        LayerError::OtherRegion { expected } => invalid_parameter(format!(
            "Layers are not in the same region as the function. Layers are expected to be in region {expected}."
        )),
        LayerError::Twice { first, second } => invalid_parameter(format!(
            "Two different versions of the same layer are not allowed to be referenced in the same function. {first} and {second} are versions of the same layer."
        )),
        LayerError::TooLarge { max } => invalid_parameter(format!(
            "Layers consume more than the available size of {max} bytes"
        )),
        LayerError::CombinedTooLarge { actual, max } => invalid_parameter(format!(
            "Function code combined with layers exceeds the maximum allowed size of {max} bytes. The actual size is {actual} bytes."
        )),
    }
}
