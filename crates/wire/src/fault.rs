use std::borrow::Cow;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

/// Why a request was refused or failed, in the words of the AWS API.
///
/// It has two messages: the one that the caller sees, and a [`detail`](Fault::detail) that goes to
/// our log alone.
#[derive(Clone, Debug)]
pub struct Fault(Box<Inner>);

#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) kind: Kind,
    pub(crate) code: Cow<'static, str>,
    pub(crate) status: StatusCode,
    pub(crate) message: Option<String>,
    pub(crate) capital_message: bool,
    pub(crate) is_typed: bool,
    pub(crate) members: Map<String, Value>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) detail: Option<String>,
    /// What the query protocol says instead, in services that changed from it to JSON.
    pub(crate) query_code: Option<&'static str>,
    pub(crate) query_message: Option<&'static str>,
}

/// Which side is to blame, and whether the protocol chooses the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Client,
    Server,
    /// Code, status and message are those of the service's internal failure.
    Internal,
    /// A required member is missing; the service decides the code. The code field holds the member.
    Invalid,
}

impl Fault {
    /// The caller's fault. A `status` that is no HTTP status becomes 400.
    pub fn client(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Fault {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Fault::new(Kind::Client, code.into(), status, Some(message.into()))
    }

    /// The service's fault. A `status` that is no HTTP status becomes 500.
    pub fn server(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Fault {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Fault::new(Kind::Server, code.into(), status, Some(message.into()))
    }

    /// Our own failure: the caller sees the internal failure of the service's protocol, our log sees
    /// `detail`.
    pub fn internal(detail: impl Into<String>) -> Fault {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Fault::new(Kind::Internal, Cow::Borrowed(""), status, None).detail(detail)
    }

    /// A value that breaks the service's model. The service decides the code: `ValidationException`
    /// in most JSON services, `ValidationError` in query services, see
    /// [`ServiceBuilder::validation_code`](crate::ServiceBuilder::validation_code).
    pub fn invalid(message: impl Into<String>) -> Fault {
        let status = StatusCode::BAD_REQUEST;
        Fault::new(
            Kind::Invalid,
            Cow::Borrowed(""),
            status,
            Some(message.into()),
        )
    }

    fn new(
        kind: Kind,
        code: Cow<'static, str>,
        status: StatusCode,
        message: Option<String>,
    ) -> Fault {
        Fault(Box::new(Inner {
            kind,
            code,
            status,
            message,
            capital_message: false,
            is_typed: true,
            members: Map::new(),
            headers: Vec::new(),
            detail: None,
            query_code: None,
            query_message: None,
        }))
    }

    /// Adds a modelled member of the error shape, for example `Reason`.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Fault {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a response header, for example `Retry-After`. A name or value that HTTP does not allow
    /// is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Fault {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// The code that the query protocol had for this fault, for services that speak JSON by now:
    /// JSON answers carry it as `x-amzn-query-error`.  [Smithy: awsQueryCompatible]
    #[must_use]
    pub fn query_code(mut self, code: &'static str) -> Fault {
        self.0.query_code = Some(code);
        self
    }

    /// Says it in these words where the caller speaks the query protocol.
    #[must_use]
    pub fn query_message(mut self, message: &'static str) -> Fault {
        self.0.query_message = Some(message);
        self
    }

    /// Spells the body's key `Message`, as 33 of Lambda's error shapes do, instead of `message`.
    #[must_use]
    pub fn capital_message(mut self) -> Fault {
        self.0.capital_message = true;
        self
    }

    /// Leaves the message out of the answer.
    #[must_use]
    pub fn without_message(mut self) -> Fault {
        self.0.message = None;
        self
    }

    /// Leaves the body's `Type` out, which REST services else add.
    #[must_use]
    pub fn without_type(mut self) -> Fault {
        self.0.is_typed = false;
        self
    }

    /// What our log shall say and the caller shall not see.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Fault {
        self.0.detail = Some(text.into());
        self
    }

    /// The code as the service wrote it; empty where the protocol chooses it.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The message for the caller; empty if there is none.
    pub fn message(&self) -> &str {
        self.0.message.as_deref().unwrap_or_default()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn into_inner(self) -> Inner {
        *self.0
    }
}
