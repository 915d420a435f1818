//! Connections and API destinations as they are stored. Connections hold secrets: they are sealed, and none of it is
//! printed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Record;

/// How Kiln proves to an endpoint who calls.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) name: String,
    /// A connection made again under its old name is another one.
    pub(crate) id: String,
    /// The end of the ARN of the secret that AWS would keep.
    pub(crate) secret: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key: Option<String>,
    /// `BASIC`, `API_KEY` or `OAUTH_CLIENT_CREDENTIALS`.
    pub(crate) kind: String,
    /// None after the connection was deauthorized.
    pub(crate) auth: Option<Credentials>,
    /// Sent with every call.
    pub(crate) invocation: Option<Parameters>,
    pub(crate) state: State,
    pub(crate) reason: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) authorized_ms: i64,
}

impl Record for Connection {
    const KIND: &'static str = "connection";
    const VERSION: u8 = 1;
    const IS_SECRET: bool = true;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    Authorized,
    Authorizing,
    Deauthorized,
    /// Answers only: what is deleted or deauthorized is so at once.
    Deauthorizing,
    Deleting,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Credentials {
    Basic { username: String, password: String },
    ApiKey { name: String, value: String },
    OAuth(Box<OAuth>),
}

/// The client credentials grant.  [RFC 6749, section 4.4]
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OAuth {
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) parameters: Option<Parameters>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) headers: Vec<Parameter>,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Vec<Parameter>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) is_secret: bool,
}

/// An HTTP endpoint as a target of rules.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ApiDestination {
    pub(crate) name: String,
    /// One made again under its old name is another one.
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    /// An ARN.
    pub(crate) connection: String,
    /// `*` stands for a path parameter of the target.
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) per_second: u32,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
}

impl Record for ApiDestination {
    const KIND: &'static str = "api-destination";
    const VERSION: u8 = 1;
}

/// What a target of a rule adds to the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetParameters {
    pub(crate) path: Vec<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
}
