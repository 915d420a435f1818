use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use http::{HeaderName, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::handler::{Handler, RawRequest, RawResponse};
use crate::members::probe;
use crate::protocol::{Flat, Protocol, Style};
use crate::route::{Route, Routes};
use crate::{Context, Fault};

/// Longest body of an operation that names no other limit, in bytes.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// What to answer when a body is longer than the operation allows: from the members that came
/// outside of the body, and the body's length in bytes.
pub(crate) type Oversize = fn(&Map<String, Value>, u64) -> Fault;

/// Looks at a request before its operation runs, and may refuse it.
pub(crate) type Gate = Box<dyn Fn(&Context) -> Result<(), Fault> + Send + Sync>;

/// One AWS endpoint: its operations, their protocols and their handlers.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) target_prefix: Option<&'static str>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) style: Style,
    pub(crate) operations: Vec<Operation>,
    /// Operations that are found by name: `X-Amz-Target` or `Action`.
    pub(crate) by_name: HashMap<&'static str, usize>,
    pub(crate) routes: Routes,
    pub(crate) gate: Option<Gate>,
    /// The member that the path of a form's URL gives.
    pub(crate) path_member: Option<&'static str>,
}

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) handler: Handler,
    pub(crate) route: Option<Route>,
    pub(crate) status: u16,
    /// Header → member.
    pub(crate) headers: Vec<(HeaderName, &'static str)>,
    pub(crate) body_bytes_max: u64,
    pub(crate) oversize: Option<Oversize>,
    pub(crate) is_public: bool,
    /// Whether a form for it may not be sent to the URL of a resource.
    pub(crate) is_root_only: bool,
    /// Lists and maps that the query protocol spells without an element around them.
    pub(crate) flat: &'static [Flat],
    /// The input as the handler's shape has it; none for raw operations.
    pub(crate) input: Option<fn() -> Value>,
}

impl Service {
    /// Begins a service. `name` is its signing name: the one in a credential scope.
    #[allow(clippy::new_ret_no_self)] // a service is whole only after `build`
    pub fn new<S>(name: &'static str, state: Arc<S>) -> ServiceBuilder<S> {
        ServiceBuilder {
            state,
            service: Service {
                name,
                target_prefix: None,
                protocols: Vec::new(),
                style: Style {
                    internal: (
                        "InternalFailure",
                        "The request processing has failed because of an unknown error, exception or \
                         failure.",
                    ),
                    validation: "",
                    is_capital: false,
                },
                operations: Vec::new(),
                by_name: HashMap::new(),
                routes: Routes::default(),
                gate: None,
                path_member: None,
            },
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The protocol whose operations carry their name in a form, if the service speaks it.
    pub(crate) fn query(&self) -> Option<Protocol> {
        let mut protocols = self.protocols.iter().copied();
        protocols.find(|p| matches!(p, Protocol::Query { .. }))
    }

    /// What the service registers, for `kiln internal-api` and the comparison with AWS's models.
    pub fn describe(&self) -> Value {
        let operations: Vec<Value> = self.operations.iter().map(Operation::describe).collect();
        json!({
            "name": self.name,
            "targetPrefix": self.target_prefix,
            "protocols": self.protocols.iter().map(|p| p.name()).collect::<Vec<_>>(),
            "operations": operations,
        })
    }
}

impl Operation {
    fn describe(&self) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(header, member)| json!({"header": header.as_str(), "member": member}))
            .collect();
        json!({
            "name": self.name,
            "built": !matches!(self.handler, Handler::NotBuilt),
            "raw": matches!(self.handler, Handler::Raw(_)),
            "status": self.status,
            "route": self.route.as_ref().map(Route::describe),
            "headers": headers,
            "bodyBytesMax": self.body_bytes_max,
            "input": self.input.map(|shape| shape()),
        })
    }
}

/// Registers the operations of a [`Service`]. `S` is the state that every handler gets.
///
/// The methods that refine an operation ([`header`](Self::header), [`body_max`](Self::body_max) …)
/// speak of the operation that was declared last.
///
/// # Panics
///
/// A service that contradicts itself (an operation declared twice, a route that is not a path, a
/// refinement before any operation) stops the process where it is wired, before a request comes.
#[must_use]
pub struct ServiceBuilder<S> {
    state: Arc<S>,
    service: Service,
}

impl<S: Send + Sync + 'static> ServiceBuilder<S> {
    /// The part of `X-Amz-Target` before the dot, for example `Logs_20140328`.
    pub fn target_prefix(mut self, prefix: &'static str) -> Self {
        self.service.target_prefix = Some(prefix);
        self
    }

    /// The protocols the service speaks, its main one first.
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        self.service.protocols = protocols.into_iter().collect();
        self
    }

    /// Code and message of the service's internal failure, for example `ServiceException`.
    pub fn internal_failure(mut self, code: &'static str, message: &'static str) -> Self {
        self.service.style.internal = (code, message);
        self
    }

    /// The code of a value that breaks the model; `ValidationException`, in query services
    /// `ValidationError`, unless set.
    pub fn validation_code(mut self, code: &'static str) -> Self {
        self.service.style.validation = code;
        self
    }

    /// Every request of a known caller passes it before its operation runs; for limits of rates.
    pub fn gate(
        mut self,
        gate: impl Fn(&Context) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Self {
        self.service.gate = Some(Box::new(gate));
        self
    }

    /// Errors of this service spell `Message`; for services where all of them do.
    pub fn capital_messages(mut self) -> Self {
        self.service.style.is_capital = true;
        self
    }

    /// An operation that `X-Amz-Target` or `Action` names.
    pub fn operation<I, O, F, Fut>(self, name: &'static str, f: F) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(Arc<S>, Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let handler = Handler::typed(Arc::clone(&self.state), f);
        self.add(name, handler, None, 200)
            .last(|operation| operation.input = Some(probe::shape::<I>))
    }

    /// An operation that method and path name. `route` says which members path and query carry:
    /// `/2015-03-31/functions/{FunctionName}?Qualifier&MaxItems`. `{Name+}` takes the rest of the
    /// path; `?tagKeys={TagKeys}` gives a parameter another name; `?find=LayerVersion` must be
    /// there literally.
    pub fn rest<I, O, F, Fut>(
        self,
        name: &'static str,
        method: Method,
        route: &'static str,
        success_status: u16,
        f: F,
    ) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(Arc<S>, Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let handler = Handler::typed(Arc::clone(&self.state), f);
        self.add(
            name,
            handler,
            Some(Route::parse(method, route)),
            success_status,
        )
        .last(|operation| operation.input = Some(probe::shape::<I>))
    }

    /// Like [`rest`](Self::rest), for an operation that reads and writes its bodies itself.
    pub fn rest_raw<F, Fut>(
        self,
        name: &'static str,
        method: Method,
        route: &'static str,
        f: F,
    ) -> Self
    where
        F: Fn(Arc<S>, Context, RawRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<RawResponse, Fault>> + Send + 'static,
    {
        let handler = Handler::raw(Arc::clone(&self.state), f);
        self.add(name, handler, Some(Route::parse(method, route)), 200)
    }

    /// Operations that AWS has and Kiln has not built: they answer so.
    pub fn not_built(self, names: impl IntoIterator<Item = &'static str>) -> Self {
        names.into_iter().fold(self, |builder, name| {
            builder.add(name, Handler::NotBuilt, None, 501)
        })
    }

    /// The same for operations that method and path name.
    pub fn rest_not_built(
        self,
        operations: impl IntoIterator<Item = (&'static str, Method, &'static str)>,
    ) -> Self {
        operations
            .into_iter()
            .fold(self, |builder, (name, method, route)| {
                let route = Route::parse(method, route);
                builder.add(name, Handler::NotBuilt, Some(route), 501)
            })
    }

    /// Binds a request header to a member of the operation declared last.
    pub fn header(self, header: &'static str, member: &'static str) -> Self {
        let header = HeaderName::from_bytes(header.as_bytes());
        assert!(header.is_ok(), "not a header name");
        self.last(|operation| operation.headers.extend(header.ok().map(|h| (h, member))))
    }

    /// The longest body of the operation declared last, in bytes.
    pub fn body_max(self, bytes: u64) -> Self {
        self.last(|operation| operation.body_bytes_max = bytes)
    }

    /// What the operation declared last answers to a body longer than [`body_max`](Self::body_max);
    /// without this, `RequestEntityTooLargeException`.
    pub fn oversize(self, fault: fn(&Map<String, Value>, u64) -> Fault) -> Self {
        self.last(|operation| operation.oversize = Some(fault))
    }

    /// How the query protocol spells lists and maps of the operation declared last, at any depth.
    pub fn flat(self, flat: &'static [Flat]) -> Self {
        self.last(|operation| operation.flat = flat)
    }

    /// In a form without this member it is the path of the URL, as of one that is sent to a queue.
    pub fn path_member(mut self, member: &'static str) -> Self {
        self.service.path_member = Some(member);
        self
    }

    /// A form for the operation declared last names no resource, and is refused at the URL of one.
    pub fn root_only(self) -> Self {
        self.last(|operation| operation.is_root_only = true)
    }

    /// The operation declared last needs no signature: it checks its callers itself.
    pub fn public(self) -> Self {
        self.last(|operation| operation.is_public = true)
    }

    pub fn build(mut self) -> Service {
        let service = &mut self.service;
        if service.protocols.is_empty() {
            service.protocols.push(Protocol::RestJson);
        }
        if service.style.validation.is_empty() {
            service.style.validation = match service.query() {
                Some(_) => "ValidationError",
                None => "ValidationException",
            };
        }
        for (index, operation) in service.operations.iter().enumerate() {
            if let Some(route) = &operation.route {
                service.routes.insert(route, index);
            }
        }
        self.service
    }

    fn add(
        mut self,
        name: &'static str,
        handler: Handler,
        route: Option<Route>,
        status: u16,
    ) -> Self {
        let index = self.service.operations.len();
        if route.is_none() {
            let before = self.service.by_name.insert(name, index);
            assert!(before.is_none(), "{name} is declared twice");
        }
        self.service.operations.push(Operation {
            name,
            handler,
            route,
            status,
            headers: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            oversize: None,
            is_public: false,
            is_root_only: false,
            flat: &[],
            input: None,
        });
        self
    }

    fn last(mut self, refine: impl FnOnce(&mut Operation)) -> Self {
        let operation = self.service.operations.last_mut();
        assert!(operation.is_some(), "no operation is declared yet");
        if let Some(operation) = operation {
            refine(operation);
        }
        self
    }
}
