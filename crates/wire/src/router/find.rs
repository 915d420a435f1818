//! Which operation of which service a request is for.

use std::sync::Arc;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use serde_json::{Map, Value};

use crate::Fault;
use crate::members::Tree;
use crate::protocol::{Protocol, unflatten};
use crate::route::Query;
use crate::service::{Operation, Service};

const TARGET: &str = "x-amz-target";

/// An operation, how it was asked for, and the members that path and query carry.
pub(super) struct Target<'s> {
    pub(super) service: &'s Service,
    pub(super) operation: &'s Operation,
    pub(super) protocol: Protocol,
    pub(super) members: Map<String, Value>,
}

pub(super) enum Found<'s> {
    Operation(Target<'s>),
    /// A form; its body names the operation.
    Form,
    Unknown(Protocol, Fault),
}

/// Services in the order in which they are asked: the one of the credential scope first.
fn by_scope<'a>(
    services: &'a [Arc<Service>],
    scope: Option<&str>,
) -> impl Iterator<Item = &'a Service> {
    let first = services.iter().filter(move |s| Some(s.name) == scope);
    let others = services.iter().filter(move |s| Some(s.name) != scope);
    first.chain(others).map(Arc::as_ref)
}

pub(super) fn find<'s>(
    services: &'s [Arc<Service>],
    parts: &Parts,
    scope: Option<&str>,
) -> Found<'s> {
    if let Some(target) = parts.headers.get(TARGET) {
        let protocol = json_protocol(parts);
        let target = target.to_str().unwrap_or_default();
        return match by_target(services, target, protocol) {
            Some(found) => Found::Operation(found),
            None => Found::Unknown(protocol, unknown_operation(target)),
        };
    }
    let path = parts.uri.path();
    let query = Query::parse(parts.uri.query());
    if path != "/" {
        for service in by_scope(services, scope) {
            let found = service.routes.find(&parts.method, path, &query);
            let Some((index, labels)) = found else {
                continue;
            };
            let Some(operation) = service.operations.get(index) else {
                continue;
            };
            let route = operation.route.as_ref();
            return Found::Operation(Target {
                service,
                operation,
                protocol: Protocol::RestJson,
                members: route.map_or_else(Map::new, |r| r.members(&labels, &query)),
            });
        }
    }
    let is_form = has_type(parts, "application/x-www-form-urlencoded");
    if (parts.method == Method::POST && is_form) || query.get("Action").is_some() {
        return Found::Form;
    }
    Found::Unknown(Protocol::RestJson, unknown_route())
}

fn by_target<'a>(
    services: &'a [Arc<Service>],
    target: &str,
    protocol: Protocol,
) -> Option<Target<'a>> {
    let (prefix, name) = target.rsplit_once('.')?;
    let service = services.iter().find(|s| s.target_prefix == Some(prefix))?;
    let operation = service.operations.get(*service.by_name.get(name)?)?;
    Some(Target {
        service,
        operation,
        protocol,
        members: Map::new(),
    })
}

fn json_protocol(parts: &Parts) -> Protocol {
    if has_type(parts, "application/x-amz-json-1.0") {
        Protocol::Json10
    } else {
        Protocol::Json11
    }
}

fn has_type(parts: &Parts, wanted: &str) -> bool {
    let value = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let value = value.and_then(|v| v.split(';').next()).unwrap_or_default();
    value.trim().eq_ignore_ascii_case(wanted)
}

/// Whether the request is a link to a public operation: a GET without signature whose query names it.
pub(super) fn is_public_link(services: &[Arc<Service>], parts: &Parts) -> bool {
    if parts.method != Method::GET || parts.headers.contains_key(AUTHORIZATION) {
        return false;
    }
    let query = Query::parse(parts.uri.query());
    let Some(action) = query.get("Action") else {
        return false;
    };
    let mut speakers = services.iter().filter(|s| s.query().is_some());
    speakers.any(|service| {
        let index = service.by_name.get(action);
        let operation = index.and_then(|index| service.operations.get(*index));
        operation.is_some_and(|operation| operation.is_public)
    })
}

/// How a form's faults are written before its operation is known.
pub(super) fn form_protocol(services: &[Arc<Service>], scope: Option<&str>) -> Protocol {
    by_scope(services, scope)
        .find_map(Service::query)
        .unwrap_or(Protocol::Query { xmlns: "" })
}

/// The members of a form, from its body and its query.
pub(super) fn form_members(parts: &Parts, form: &[u8]) -> Result<Tree, Fault> {
    let query = parts.uri.query().unwrap_or_default();
    if query.is_empty() {
        return unflatten(form);
    }
    let mut all = query.as_bytes().to_vec();
    if !form.is_empty() && has_type(parts, "application/x-www-form-urlencoded") {
        all.push(b'&');
        all.extend_from_slice(form);
    }
    unflatten(&all)
}

/// The operation that a form's `Action` names; `is_root`: whether it was sent to the path `/`.
pub(super) fn action<'a>(
    services: &'a [Arc<Service>],
    form: &Tree,
    scope: Option<&str>,
    is_root: bool,
) -> Result<Target<'a>, Fault> {
    let text = |name: &str| match form {
        Tree::Names(names) => match names.get(name) {
            Some(Tree::Text(text)) => text.as_str(),
            _ => "",
        },
        _ => "",
    };
    let name = text("Action");
    if name.is_empty() {
        return Err(Fault::client(
            "MissingAction",
            400,
            "The request must contain the parameter Action.",
        ));
    }
    for service in by_scope(services, scope) {
        let Some(protocol) = service.query() else {
            continue;
        };
        let index = service.by_name.get(name);
        let operation = index.and_then(|index| service.operations.get(*index));
        match operation {
            Some(operation) if is_root || !operation.is_root_only => {
                return Ok(Target {
                    service,
                    operation,
                    protocol,
                    members: Map::new(),
                });
            }
            None if is_root || service.path_member.is_none() => {}
            // Resources with URLs of their own answer so.  [recorded from SQS]
            _ => {
                let shown: String = name.chars().take(SHOWN_MAX).collect();
                let text = format!("The action {shown} is not valid for this endpoint.");
                return Err(Fault::client("InvalidAction", 400, text));
            }
        }
    }
    let version = text("Version");
    Err(Fault::client(
        "InvalidAction",
        400,
        format!("Could not find operation {name} for version {version}"),
    ))
}

/// Characters of an unknown name in an answer.
const SHOWN_MAX: usize = 128;

fn unknown_operation(target: &str) -> Fault {
    let shown: String = target.chars().take(SHOWN_MAX).collect();
    Fault::client(
        "UnknownOperationException",
        400,
        format!("Unknown operation: {shown}"),
    )
}

/// AWS's front asks who may call an operation before it looks at anything else, and a path that is
/// no operation fails there.
fn unknown_route() -> Fault {
    Fault::client(
        "AccessDeniedException",
        403,
        "Unable to determine service/operation name to be authorized",
    )
    .capital_message()
}
