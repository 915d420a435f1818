mod find;
mod read;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::Fault;
use crate::access::{Access, Admitted, Hint, Identity};
use crate::body::Body;
use crate::context::{Context, Facts};
use crate::handler::{Handler, RawRequest, RawResponse};
use crate::hosts::{BodyFault, Hosted, Hosts};
use crate::members::{Members, Tree};
use crate::protocol::{self, Encoding, Protocol, Style, refusal};
use crate::service::{Operation, Service};
use find::Found;
use read::Overrun;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// What the listener knows of a request and `wire` must not find out by itself.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// Answered as `x-amzn-RequestId`.
    pub request_id: String,
    pub now_unix_ms: i64,
    /// Whether the peer is on this machine. Others always need a right signature.
    pub loopback: bool,
}

/// Finds the service and the operation of a request, lets it in, and writes the answer.
///
/// One router serves all services on one address: operations are found by `X-Amz-Target`, by REST
/// path, or by the form's `Action`; where two services would fit, the credential scope decides.
pub struct Router {
    access: Access,
    services: Vec<Arc<Service>>,
    hosts: Option<Arc<dyn Hosts>>,
}

impl Router {
    pub fn new(access: Access) -> Router {
        Router {
            access,
            services: Vec::new(),
            hosts: None,
        }
    }

    #[must_use]
    pub fn with(mut self, service: Service) -> Router {
        self.services.push(Arc::new(service));
        self
    }

    /// Gives requests to the hosts of `hosts` to it, before any service is asked.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Arc<dyn Hosts>) -> Router {
        self.hosts = Some(hosts);
        self
    }

    /// What answers a request to this host, if it is no endpoint of AWS.
    pub fn host(&self, request: &Parts) -> Option<&Arc<dyn Hosts>> {
        let hosts = self.hosts.as_ref()?;
        hosts.has(host_of(request)?).then_some(hosts)
    }

    /// Longest body that any operation takes, in bytes.
    pub fn body_bytes_max(&self) -> u64 {
        let operations = self.services.iter().flat_map(|s| &s.operations);
        let hosts = self.hosts.iter().map(|hosts| hosts.body_bytes_max());
        let all = operations.map(|o| o.body_bytes_max).chain(hosts);
        all.max().unwrap_or_default()
    }

    /// All services and operations, for `kiln internal-api`.
    pub fn describe(&self) -> Value {
        let services: Vec<Value> = self.services.iter().map(|s| s.describe()).collect();
        json!({ "services": services })
    }

    /// Answers one request. Never fails: whatever goes wrong becomes the error that the protocol
    /// has for it.
    ///
    /// Waits for the request's body and for the handler. The deadline for slow clients belongs to
    /// `body`, which shall end with an error; dropping the future ends the request.
    pub async fn handle<B>(&self, request: Request<B>, call: CallInfo) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Buf + Send,
        B::Error: std::fmt::Display,
    {
        let (mut parts, body) = request.into_parts();
        let request_id = call.request_id.clone();
        if let Some(hosts) = self.host(&parts) {
            let hosts = hosts.clone();
            let response = self.hosted(hosts, parts, body, call).await;
            return finished(response, &request_id);
        }
        let (protocol, style, answer) = self.answer(&mut parts, body, call).await;
        let response = match answer {
            Ok(response) => response,
            Err(fault) => {
                report(&fault, &parts, &request_id);
                let (status, headers, body) = refusal(protocol, &style, fault, &request_id);
                RawResponse {
                    status,
                    headers,
                    body: Body::from(body),
                }
            }
        };
        finished(response, &request_id)
    }

    async fn hosted<B>(
        &self,
        hosts: Arc<dyn Hosts>,
        parts: Parts,
        body: B,
        call: CallInfo,
    ) -> RawResponse
    where
        B: http_body::Body + Send,
        B::Data: Buf + Send,
        B::Error: std::fmt::Display,
    {
        let body = match read::whole(body, hosts.body_bytes_max()).await {
            Ok(body) => Ok(body),
            Err(Overrun::TooLong { .. }) => Err(BodyFault::TooLong),
            Err(Overrun::Broken(_)) => Err(BodyFault::Broken),
        };
        let access = self.access.clone();
        let request = Hosted {
            parts,
            body,
            call,
            access,
        };
        hosts.answer(request).await
    }
}

/// The host that a request is for, without its port.
fn host_of(parts: &Parts) -> Option<&str> {
    let authority = match parts.headers.get(http::header::HOST) {
        Some(host) => host.to_str().ok()?,
        None => parts.uri.authority()?.as_str(),
    };
    let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
    Some(host)
}

/// The response with its id.
fn finished(mut response: RawResponse, request_id: &str) -> Response<Body> {
    if !response.headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(request_id)
    {
        response.headers.insert(REQUEST_ID, id);
    }
    let mut answer = Response::new(response.body);
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    answer
}

/// An answer, and how a fault in it is to be written.
type Written = (Protocol, Style, Result<RawResponse, Fault>);

impl Router {
    async fn answer<B>(&self, parts: &mut Parts, body: B, call: CallInfo) -> Written
    where
        B: http_body::Body + Send,
        B::Data: Buf + Send,
        B::Error: std::fmt::Display,
    {
        let scope = Hint::read(parts).service;
        match find::find(&self.services, parts, scope.as_deref()) {
            Found::Operation(target) => {
                let (protocol, style) = (target.protocol, target.service.style);
                let answer = self.run(target, parts, body, call).await;
                (protocol, style, answer)
            }
            Found::Form => {
                let scope = scope.map(Cow::into_owned);
                self.form(parts, scope.as_deref(), body, call).await
            }
            Found::Unknown(protocol, fault) => {
                read::discard(body).await;
                let admitted = self.admit(parts, None, protocol, &call);
                (protocol, STYLE, Err(admitted.err().unwrap_or(fault)))
            }
        }
    }

    fn admit(
        &self,
        parts: &Parts,
        service: Option<&str>,
        protocol: Protocol,
        call: &CallInfo,
    ) -> Result<Admitted, Fault> {
        self.access
            .admit_call(parts, service, call.now_unix_ms, call.loopback)
            .map_err(|denied| denied.fault(protocol))
    }

    /// An operation that is named by the body itself.
    async fn form<B>(&self, parts: &Parts, scope: Option<&str>, body: B, call: CallInfo) -> Written
    where
        B: http_body::Body + Send,
        B::Data: Buf + Send,
        B::Error: std::fmt::Display,
    {
        let protocol = find::form_protocol(&self.services, scope);
        // A link that somebody follows bears no signature; what it may do, its operation checks.
        let is_public = find::is_public_link(&self.services, parts);
        let admitted = match is_public {
            true => Ok(self.access.anybody(parts)),
            false => self.admit(parts, None, protocol, &call),
        };
        let mut admitted = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => {
                read::discard(body).await;
                return (protocol, STYLE, Err(fault));
            }
        };
        let settled = match read::whole(body, FORM_BYTES_MAX).await {
            Ok(form) => admitted
                .settle(parts, form)
                .map_err(|denied| denied.fault(protocol)),
            Err(overrun) => Err(overrun.fault("form")),
        };
        let found = settled.and_then(|form| {
            let tree = find::form_members(parts, &form)?;
            let target = find::action(&self.services, &tree, scope, parts.uri.path() == "/")?;
            match is_public && !target.operation.is_public {
                true => Err(Fault::client(
                    "MissingAuthenticationToken",
                    403,
                    "Request is missing Authentication Token",
                )),
                false => Ok((tree, target)),
            }
        });
        let (tree, target) = match found {
            Ok(found) => found,
            Err(fault) => return (protocol, STYLE, Err(fault)),
        };
        let (protocol, style) = (target.protocol, target.service.style);
        // The service is known only now: a signature made for another one is not good here.
        if !is_public
            && let Err(fault) = self.admit(parts, Some(target.service.name), protocol, &call)
        {
            return (protocol, style, Err(fault));
        }
        let context = self.context(admitted.identity, parts, call, target.operation.name);
        if let Some(Err(fault)) = target.service.gate.as_ref().map(|gate| gate(&context)) {
            return (protocol, style, Err(fault));
        }
        let mut members = Members::from_form(tree);
        members.names = protocol::rename(members.names, target.operation.flat);
        if let Some(member) = target.service.path_member
            && parts.uri.path() != "/"
        {
            let path = || Tree::Text(parts.uri.path().to_owned());
            members.names.entry(member.to_owned()).or_insert_with(path);
        }
        let answer = dispatch(&target, context, members).await;
        (protocol, style, answer)
    }

    async fn run<B>(
        &self,
        mut target: find::Target<'_>,
        parts: &mut Parts,
        body: B,
        call: CallInfo,
    ) -> Result<RawResponse, Fault>
    where
        B: http_body::Body + Send,
        B::Data: Buf + Send,
        B::Error: std::fmt::Display,
    {
        let operation = target.operation;
        let admitted = if operation.is_public {
            Ok(self.access.anybody(parts))
        } else {
            self.admit(parts, Some(target.service.name), target.protocol, &call)
        };
        let mut admitted = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => {
                read::discard(body).await;
                return Err(fault);
            }
        };
        let mut members = std::mem::take(&mut target.members);
        for (header, member) in &operation.headers {
            if let Some(value) = parts.headers.get(header) {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                members.insert((*member).to_owned(), Value::String(text));
            }
        }
        let body = match read::whole(body, operation.body_bytes_max).await {
            Ok(body) => body,
            Err(overrun) => return Err(overrun_fault(operation, &members, overrun)),
        };
        let body = admitted
            .settle(parts, body)
            .map_err(|denied| denied.fault(target.protocol))?;
        let context = self.context(admitted.identity, parts, call, operation.name);
        if let Some(gate) = &target.service.gate {
            gate(&context)?;
        }
        if let Handler::Raw(handler) = &operation.handler {
            let headers = std::mem::take(&mut parts.headers);
            let request = RawRequest {
                members,
                headers,
                body,
            };
            return handler(context, request).await;
        }
        if let Handler::NotBuilt = &operation.handler {
            return Err(not_built(target.service, operation));
        }
        let mut all = Members::from_json(protocol::parse(&body)?);
        drop(body);
        all.add_text(members);
        dispatch(&target, context, all).await
    }
}

/// Longest form, in bytes.
const FORM_BYTES_MAX: u64 = 4 << 20;

/// How faults are written before a service is known.
const STYLE: Style = Style {
    internal: ("InternalFailure", ""),
    validation: "ValidationException",
    is_capital: false,
};

impl Router {
    fn context(
        &self,
        identity: Identity,
        parts: &Parts,
        call: CallInfo,
        operation: &'static str,
    ) -> Context {
        let authority = parts
            .uri
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let given = parts.headers.get(TRACE);
        let own = self.access.trace(
            identity.access_key.as_deref(),
            given.and_then(|value| value.to_str().ok()),
        );
        let own = own.and_then(|text| HeaderValue::from_str(&text).ok());
        Context::new(Facts {
            account: identity.account,
            region: identity.region,
            request_id: call.request_id,
            operation,
            access_key: identity.access_key,
            principal: identity.principal,
            is_verified: identity.is_verified,
            host: parts.headers.get(http::header::HOST).cloned().or(authority),
            user_agent: parts.headers.get(http::header::USER_AGENT).cloned(),
            trace: own.or_else(|| given.cloned()),
            now_unix_ms: call.now_unix_ms,
        })
    }
}

/// Runs a typed operation and dresses its output.
async fn dispatch(
    target: &find::Target<'_>,
    context: Context,
    members: Members,
) -> Result<RawResponse, Fault> {
    let operation = target.operation;
    let handler = match &operation.handler {
        Handler::Typed(handler) => handler,
        Handler::NotBuilt => return Err(not_built(target.service, operation)),
        Handler::Raw(_) => return Err(Fault::internal("a raw operation was called by name")),
    };
    let encoding = match target.protocol {
        Protocol::Query { xmlns } => Encoding::Xml {
            operation: operation.name,
            xmlns,
            request_id: context.request_id().to_owned(),
            flat: operation.flat,
        },
        _ => Encoding::Json,
    };
    let body: Bytes = handler(context, members, encoding).await?;
    let mut response = RawResponse::new(operation.status);
    if !body.is_empty() || operation.route.is_none() {
        response.headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static(target.protocol.content_type()),
        );
    }
    response.body = Body::from(body);
    Ok(response)
}

fn not_built(service: &Service, operation: &Operation) -> Fault {
    Fault::server(
        "NotImplementedException",
        StatusCode::NOT_IMPLEMENTED.as_u16(),
        format!(
            "Kiln has not built the operation {} of {} yet; docs/coverage.md lists what it has",
            operation.name, service.name
        ),
    )
}

fn overrun_fault(operation: &Operation, members: &Map<String, Value>, overrun: Overrun) -> Fault {
    match (&overrun, operation.oversize) {
        (Overrun::TooLong { bytes, .. }, Some(fault)) => fault(members, *bytes),
        _ => overrun.fault(operation.name),
    }
}

/// Our log's line about a fault: loud if it is ours, quiet if it is the caller's.
fn report(fault: &Fault, parts: &Parts, request: &str) {
    let inner = fault.inner();
    let (code, status) = (fault.code(), fault.status().as_u16());
    let detail = inner.detail.as_deref().unwrap_or_default();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    if fault.status().is_server_error() && fault.status() != StatusCode::NOT_IMPLEMENTED {
        tracing::error!(%request, code, status, method, path, detail, "request failed");
    } else {
        tracing::debug!(%request, code, status, method, path, detail, "request refused");
    }
}
