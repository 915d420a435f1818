use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::body::Body;
use crate::members::Members;
use crate::protocol::Encoding;
use crate::{Context, Fault};

/// A request whose body `wire` has read but not looked into.
#[derive(Debug)]
pub struct RawRequest {
    /// What path, query and bound headers gave, under the members' AWS names. Values are strings, or
    /// lists of strings where a query parameter came more than once.
    pub members: Map<String, Value>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl RawRequest {
    /// The members as a shape; text becomes numbers and booleans where the shape has them.
    pub fn input<I: DeserializeOwned>(&self) -> Result<I, Fault> {
        Members::from_text(self.members.clone())
            .read()
            .map_err(|e| e.fault(false))
    }

    /// The member as text, if it was sent once.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member).and_then(Value::as_str)
    }
}

/// An answer that the handler wrote itself. `wire` adds `x-amzn-RequestId` unless it is there.
#[derive(Debug)]
pub struct RawResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl RawResponse {
    /// An answer without body. A `status` that is no HTTP status becomes 500.
    pub fn new(status: u16) -> RawResponse {
        RawResponse {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> RawResponse {
        self.body = body.into();
        self
    }

    /// Sets a header. A name or value that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> RawResponse {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            self.headers.insert(name, value);
        }
        self
    }
}

pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

type Typed = dyn Fn(Context, Members, Encoding) -> Answer<Bytes> + Send + Sync;
type Raw = dyn Fn(Context, RawRequest) -> Answer<RawResponse> + Send + Sync;

/// What an operation does, with its types forgotten.
pub(crate) enum Handler {
    Typed(Box<Typed>),
    Raw(Box<Raw>),
    /// AWS has it and Kiln has not yet.
    NotBuilt,
}

impl Handler {
    pub(crate) fn typed<S, I, O, F, Fut>(state: Arc<S>, f: F) -> Handler
    where
        S: Send + Sync + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
        F: Fn(Arc<S>, Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        Handler::Typed(Box::new(move |context, members, encoding| {
            let input = match members.read::<I>() {
                Ok(input) => input,
                Err(error) => {
                    let fault = error.fault(encoding.is_xml());
                    return Box::pin(std::future::ready(Err(fault)));
                }
            };
            let output = guarded(f(Arc::clone(&state), context, input));
            Box::pin(async move { encoding.encode(&output.await?) })
        }))
    }

    pub(crate) fn raw<S, F, Fut>(state: Arc<S>, f: F) -> Handler
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Context, RawRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<RawResponse, Fault>> + Send + 'static,
    {
        Handler::Raw(Box::new(move |context, request| {
            Box::pin(guarded(f(Arc::clone(&state), context, request)))
        }))
    }
}

/// A handler that panics fails its own request and nothing else.
async fn guarded<T>(future: impl Future<Output = Result<T, Fault>> + Send) -> Result<T, Fault> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "no message".to_owned());
            Err(Fault::internal(format!("handler panicked: {text}")))
        }
    }
}
