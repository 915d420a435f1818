use std::sync::Arc;

use functions::{Attached, Cors, Error, FunctionUrl, UrlAuth, UrlMode};
use model::{FunctionRef, Qualifier};
use wire::{Context, Fault, paging};

use crate::Lambda;
use crate::api::{
    CorsShape, FunctionUrlConfig, FunctionUrlRequest, ListFunctionUrlConfigsResponse,
    ListOfFunctionRequest,
};
use crate::fault::{self, conflict, invalid_parameter, missing, not_built};
use crate::name::{OF_URL, Target};
use crate::operations::read::{bad_marker, page_size};
use crate::rules::URL_QUALIFIER;
use crate::violations::Violations;

/// [Lambda API: CreateFunctionUrlConfig]
pub(crate) async fn create(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionUrlRequest,
) -> Result<FunctionUrlConfig, Fault> {
    let function = checked(&cx, &input, true)?;
    let found = lambda.functions.resolve(&function);
    if found.is_ok_and(|version| version.config.is_per_tenant) {
        return Err(invalid_parameter(
            "Function URLs are not supported for functions with tenant isolation.",
        ));
    }
    let now = lambda.tasks.clock().now().unix_micros();
    let id = lambda.functions.new_url_id();
    let (auth, mode) = (auth(&input), mode(&input));
    let new = FunctionUrl {
        id,
        auth: auth.unwrap_or(UrlAuth::Iam),
        cors: input.cors.and_then(cors),
        mode,
        created_us: now,
        modified_us: now,
    };
    let taken = Error::Refused(String::new());
    let made = lambda.functions.edit_url(&function, |former| match former {
        Some(_) => Err(taken),
        None => Ok(Some(new)),
    });
    match made.await {
        Ok(attached) => {
            let mut shown = shown(&lambda, &function, &attached)?;
            shown.last_modified_time = None;
            shown.invoke_mode = mode.map(mode_word);
            Ok(shown)
        }
        Err(Error::Refused(_)) => Err(conflict(format!(
            "Failed to create function url config for [functionArn = {function}]. Error message:  FunctionUrlConfig exists for this Lambda function"
        ))),
        Err(other) => Err(changed(other)),
    }
}

/// [Lambda API: UpdateFunctionUrlConfig]
pub(crate) async fn update(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionUrlRequest,
) -> Result<FunctionUrlConfig, Fault> {
    let function = checked(&cx, &input, false)?;
    let now = lambda.tasks.clock().now().unix_micros();
    let updated = lambda.functions.edit_url(&function, move |former| {
        let mut url = former.ok_or(Error::Refused(String::new()))?;
        url.auth = auth(&input).unwrap_or(url.auth);
        url.mode = mode(&input).or(url.mode);
        if let Some(shape) = input.cors {
            url.cors = cors(shape);
        }
        url.modified_us = now;
        Ok(Some(url))
    });
    match updated.await {
        Ok(attached) => {
            let mode = attached.url.as_ref().and_then(|url| url.mode);
            let mut shown = shown(&lambda, &function, &attached)?;
            shown.invoke_mode = mode.map(mode_word);
            Ok(shown)
        }
        Err(Error::Refused(_)) => Err(none()),
        Err(other) => Err(changed(other)),
    }
}

/// [Lambda API: GetFunctionUrlConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionUrlRequest,
) -> Result<FunctionUrlConfig, Fault> {
    let function = checked(&cx, &input, false)?;
    let attached = lambda.functions.attached(&function).ok_or_else(none)?;
    shown(&lambda, &function, &attached)
}

/// [Lambda API: DeleteFunctionUrlConfig]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: FunctionUrlRequest,
) -> Result<(), Fault> {
    let function = checked(&cx, &input, false)?;
    let gone = lambda.functions.edit_url(&function, |former| match former {
        Some(_) => Ok(None),
        None => Err(Error::Refused(String::new())),
    });
    match gone.await {
        Ok(_) => Ok(()),
        Err(Error::Store(error)) => Err(Fault::internal(error.to_string())),
        Err(_) => Err(none()),
    }
}

/// [Lambda API: ListFunctionUrlConfigs]
pub(crate) async fn list(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ListOfFunctionRequest,
) -> Result<ListFunctionUrlConfigsResponse, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, OF_URL, Some(&input.function_name), None);
    v.range("maxItems", input.max_items, 1, 50);
    v.check()?;
    let target = Target::resolve(&cx, &input.function_name, None)?;
    let function = target.unqualified().function()?;
    let all = lambda.functions.all_attached(&function);
    let mut all = all.map_err(|_| missing("Function does not exist"))?;
    all.retain(|_, attached| attached.url.is_some());
    if let Some(marker) = &input.marker {
        let last = paging::decode(marker).ok_or_else(|| bad_marker(marker))?;
        all.retain(|qualifier, _| *qualifier > last);
    }
    let all = all.into_iter().collect();
    let (page, next_marker) = paging::page(all, page_size(input.max_items), |(q, _)| q.clone());
    let mut configs = Vec::with_capacity(page.len());
    for (qualifier, attached) in page {
        let qualifier = qualifier.parse().ok();
        let qualifier = qualifier.filter(|q| *q != Qualifier::Latest);
        let function = function.with_qualifier(qualifier);
        configs.push(shown(&lambda, &function, &attached)?);
    }
    Ok(ListFunctionUrlConfigsResponse {
        function_url_configs: configs,
        next_marker,
    })
}

/// What the request names: a function, or an alias of it.
fn checked(cx: &Context, input: &FunctionUrlRequest, is_new: bool) -> Result<FunctionRef, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, OF_URL, Some(&input.function_name), None);
    let qualifier = input.qualifier.as_deref();
    v.text("qualifier", qualifier, (1, 128), URL_QUALIFIER);
    if is_new {
        v.required("authType", input.auth_type.as_ref());
    }
    v.one_of("authType", input.auth_type.as_deref(), &["NONE", "AWS_IAM"]);
    let modes = ["RESPONSE_STREAM", "BUFFERED"];
    v.one_of("invokeMode", input.invoke_mode.as_deref(), &modes);
    if let Some(cors) = &input.cors {
        check_cors(&mut v, cors);
    }
    v.check()?;
    let target = Target::resolve(cx, &input.function_name, qualifier)?;
    if target.qualifier.as_deref() == Some("$LATEST.PUBLISHED") {
        return Err(not_built("function URLs of $LATEST.PUBLISHED"));
    }
    let function = target
        .function()
        .map_err(|_| missing("Function does not exist"))?;
    Ok(match function.qualifier {
        Some(Qualifier::Latest) => function.with_qualifier(None),
        _ => function,
    })
}

fn check_cors(v: &mut Violations, cors: &CorsShape) {
    let lists = [
        ("cors.allowHeaders", &cors.allow_headers, 100, 0, 1_024),
        ("cors.allowMethods", &cors.allow_methods, 6, 0, 6),
        ("cors.allowOrigins", &cors.allow_origins, 100, 1, 253),
        ("cors.exposeHeaders", &cors.expose_headers, 100, 0, 1_024),
    ];
    for (field, list, count_max, min, max) in lists {
        v.count(field, list.as_ref(), 0, count_max);
        let rules = format!(
            "Member must have length less than or equal to {max}, Member must have length greater than or equal to {min}, Member must satisfy regular expression pattern: .*"
        );
        v.each(field, list.as_ref(), &rules, |item| {
            (min..=max).contains(&item.chars().count()) && !item.contains(['\n', '\r'])
        });
    }
    v.range("cors.maxAge", cors.max_age, 0, 86_400);
}

fn auth(input: &FunctionUrlRequest) -> Option<UrlAuth> {
    input.auth_type.as_deref().map(|word| match word {
        "NONE" => UrlAuth::None,
        _ => UrlAuth::Iam,
    })
}

fn mode(input: &FunctionUrlRequest) -> Option<UrlMode> {
    input.invoke_mode.as_deref().map(|word| match word {
        "RESPONSE_STREAM" => UrlMode::Stream,
        _ => UrlMode::Buffered,
    })
}

fn mode_word(mode: UrlMode) -> &'static str {
    match mode {
        UrlMode::Buffered => "BUFFERED",
        UrlMode::Stream => "RESPONSE_STREAM",
    }
}

/// A configuration that says nothing is none.
fn cors(shape: CorsShape) -> Option<Cors> {
    let cors = Cors {
        credentials: shape.allow_credentials,
        headers: shape.allow_headers,
        methods: shape.allow_methods,
        origins: shape.allow_origins,
        exposed: shape.expose_headers,
        age_max_secs: shape.max_age.and_then(|n| u32::try_from(n).ok()),
    };
    (cors != Cors::default()).then_some(cors)
}

fn cors_shown(cors: &Cors) -> CorsShape {
    CorsShape {
        allow_credentials: cors.credentials,
        allow_headers: cors.headers.clone(),
        allow_methods: cors.methods.clone(),
        allow_origins: cors.origins.clone(),
        expose_headers: cors.exposed.clone(),
        max_age: cors.age_max_secs.map(i64::from),
    }
}

fn shown(
    lambda: &Lambda,
    function: &FunctionRef,
    attached: &Attached,
) -> Result<FunctionUrlConfig, Fault> {
    let url = attached.url.as_ref().ok_or_else(none)?;
    let mode = url.mode.unwrap_or(UrlMode::Buffered);
    Ok(FunctionUrlConfig {
        function_url: lambda.url_base.url(&url.id, function.region.as_str()),
        function_arn: function.to_string(),
        auth_type: match url.auth {
            UrlAuth::None => "NONE",
            UrlAuth::Iam => "AWS_IAM",
        },
        cors: url.cors.as_ref().map(cors_shown),
        creation_time: url.created().iso_millis(),
        last_modified_time: Some(url.modified().iso_millis()),
        invoke_mode: Some(mode_word(mode)),
    })
}

fn changed(error: Error) -> Fault {
    match error {
        Error::NotFound(_) => missing("Function does not exist"),
        other => fault::refused_anywhere(other),
    }
}

fn none() -> Fault {
    missing("The resource you requested does not exist.")
}
