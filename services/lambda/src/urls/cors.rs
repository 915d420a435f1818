use functions::Cors;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use wire::RawResponse;

/// Every header that the configuration decides; what the function says of them does not count.
const DECIDED: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// The answer to a browser that asks before its page may ask; the function is not called.
pub(super) fn preflight(cors: &Cors, parts: &Parts) -> Option<RawResponse> {
    let asked = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let origin = parts.headers.get(ORIGIN)?;
    if parts.method != Method::OPTIONS {
        return None;
    }
    let mut response = RawResponse::new(200);
    let headers = &mut response.headers;
    decorate(cors, Some(origin), headers);
    let methods = cors.methods.iter().flatten();
    let is_asked = |m: &String| m == "*" || m.as_bytes() == asked.as_bytes();
    if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) && methods.clone().any(is_asked) {
        list(headers, ACCESS_CONTROL_ALLOW_METHODS, cors.methods.as_ref());
        list(headers, ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.as_ref());
        if let Some(age) = cors.age_max_secs {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age));
        }
    }
    Some(response)
}

/// Tells the page of `origin` what it may read.
pub(super) fn decorate(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    for name in &DECIDED {
        headers.remove(name);
    }
    let Some(origin) = origin else { return };
    let mut origins = cors.origins.iter().flatten();
    let Some(fitting) = origins.find(|own| is_origin(own, origin.as_bytes())) else {
        return;
    };
    let is_anyone = fitting == "*" && cors.credentials != Some(true);
    let shown = match is_anyone {
        true => HeaderValue::from_static("*"),
        false => origin.clone(),
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, shown);
    if !is_anyone {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if cors.credentials == Some(true) {
        let yes = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    list(
        headers,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        cors.exposed.as_ref(),
    );
}

/// `own` is an origin, or `*` for all of them, for those of a scheme, or for all below a domain.
fn is_origin(own: &str, origin: &[u8]) -> bool {
    match own.split_once('*') {
        None => own.as_bytes().eq_ignore_ascii_case(origin),
        Some((before, after)) => {
            origin.len() >= before.len() + after.len()
                && origin.starts_with(before.as_bytes())
                && origin.ends_with(after.as_bytes())
        }
    }
}

fn list(headers: &mut HeaderMap, name: HeaderName, values: Option<&Vec<String>>) {
    let Some(values) = values.filter(|v| !v.is_empty()) else {
        return;
    };
    // A name that HTTP does not allow is told to nobody.
    if let Ok(value) = HeaderValue::from_str(&values.join(",")) {
        headers.insert(name, value);
    }
}
