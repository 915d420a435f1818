mod error;
mod flat;
mod form;
mod json;
mod xml;

use bytes::Bytes;
use serde::Serialize;

use crate::Fault;

pub(crate) use error::{Style, refusal};
pub use flat::Flat;
pub(crate) use flat::rename;
pub(crate) use form::unflatten;
pub(crate) use json::parse;

/// How requests and answers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// The operation is in the method and path; the body is JSON.
    RestJson,
    /// `X-Amz-Target` names the operation; `application/x-amz-json-1.0`.
    Json10,
    /// `X-Amz-Target` names the operation; `application/x-amz-json-1.1`.
    Json11,
    /// A form whose `Action` names the operation; answers are XML in the namespace `xmlns`.
    Query { xmlns: &'static str },
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::RestJson => "rest-json",
            Protocol::Json10 => "json-1.0",
            Protocol::Json11 => "json-1.1",
            Protocol::Query { .. } => "query",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Protocol::RestJson => "application/json",
            Protocol::Json10 => "application/x-amz-json-1.0",
            Protocol::Json11 => "application/x-amz-json-1.1",
            Protocol::Query { .. } => "text/xml",
        }
    }
}

/// How one answer is written.
#[derive(Clone)]
pub(crate) enum Encoding {
    Json,
    Xml {
        operation: &'static str,
        xmlns: &'static str,
        request_id: String,
        flat: &'static [Flat],
    },
}

impl Encoding {
    pub(crate) fn is_xml(&self) -> bool {
        matches!(self, Encoding::Xml { .. })
    }

    /// The body of an answer. An output of `()` is an empty body in JSON.
    pub(crate) fn encode<O: Serialize>(&self, output: &O) -> Result<Bytes, Fault> {
        match self {
            Encoding::Json => json::encode(output),
            Encoding::Xml {
                operation,
                xmlns,
                request_id,
                flat,
            } => xml::encode(operation, xmlns, request_id, flat, output),
        }
    }
}
