//! Functions that answer HTTP requests at hosts of their own.  [Lambda guide: function URLs]
//!
//! A request becomes an event (`event`), what the function gives becomes a response (`answer`,
//! `stream`), and pages of other origins are told what they may do (`cors`).

mod answer;
mod cors;
mod event;
mod stream;

use std::net::{IpAddr, Ipv4Addr};

use functions::{FunctionUrl, Functions, UrlAuth, UrlMode};
use futures_util::future::{BoxFuture, FutureExt};
use http::request::Parts;
use invoke::{Invoke, Refused, Request};
use model::FunctionRef;
use model::policy::{Caller, Keys};
use serde_json::{Value, json};
use tasks::Ids;
use wire::RawResponse;
use wire::hosts::{BodyFault, Hosted, Hosts, Peer, SignedBy};

use crate::{payload, permit};

/// The second label of every host.
const LABEL: &str = "lambda-url";

/// How the URLs of this server begin and end: `http://<id>.lambda-url.<region>.localhost:4566/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlBase {
    scheme: String,
    /// With a port, if it needs one.
    domain: String,
}

impl UrlBase {
    /// `domain` is a name, to which the port of the server is added, or a scheme and an authority as
    /// clients see them: `https://functions.example.com`.
    pub fn new(domain: &str, port: u16) -> UrlBase {
        let (scheme, domain) = match domain.split_once("://") {
            Some((scheme, domain)) => (scheme, domain.trim_end_matches('/').to_owned()),
            None => ("http", format!("{domain}:{port}")),
        };
        UrlBase {
            scheme: scheme.to_owned(),
            domain,
        }
    }

    pub(crate) fn url(&self, id: &str, region: &str) -> String {
        let (scheme, domain) = (&self.scheme, &self.domain);
        format!("{scheme}://{id}.{LABEL}.{region}.{domain}/")
    }
}

/// The hosts of all functions.
pub(crate) struct Urls {
    pub(crate) functions: Functions,
    pub(crate) invoke: Invoke,
    pub(crate) ids: Ids,
}

/// What a request was found to be for.
struct Found {
    function: FunctionRef,
    url: FunctionUrl,
}

/// Whose request it is, in the words of the event.
struct From {
    address: IpAddr,
    signer: Option<SignedBy>,
    trace: String,
}

impl Hosts for Urls {
    fn has(&self, host: &str) -> bool {
        let mut labels = host.split('.').skip(1);
        labels.next() == Some(LABEL)
    }

    fn body_bytes_max(&self) -> u64 {
        payload::SYNC_MAX
    }

    fn answer(&self, request: Hosted) -> BoxFuture<'_, RawResponse> {
        self.serve(request).boxed()
    }
}

/// The caller may not use the URL.
struct Denied;

impl Urls {
    async fn serve(&self, mut request: Hosted) -> RawResponse {
        let host = event::host(&request.parts).to_owned();
        let Some(found) = self.find(&host) else {
            return refusal(403, "AccessDeniedException", &json!({ "Message": null }));
        };
        let cors = found.url.cors.as_ref();
        if let Some(preflight) = cors.and_then(|cors| cors::preflight(cors, &request.parts)) {
            return preflight;
        }
        let origin = request.parts.headers.get(http::header::ORIGIN).cloned();
        let trace = self.trace(&request.parts);
        let mut response = match self.admit(&found, &mut request) {
            Ok(signer) => {
                let peer = request.parts.extensions.get::<Peer>();
                let from = From {
                    address: peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |p| p.0),
                    signer,
                    trace: trace.clone(),
                };
                self.call(&found, &host, request, from).await
            }
            Err(Denied) => forbidden(),
        };
        if let Some(cors) = cors {
            cors::decorate(cors, origin.as_ref(), &mut response.headers);
        }
        response.header("X-Amzn-Trace-Id", &trace)
    }

    fn find(&self, host: &str) -> Option<Found> {
        let mut labels = host.split('.');
        let (id, _, region) = (labels.next()?, labels.next()?, labels.next()?);
        let id = id.to_ascii_lowercase();
        let (function, attached) = self.functions.by_url(&id)?;
        let url = attached.url.clone()?;
        (function.region.as_str() == region).then_some(Found { function, url })
    }

    /// The caller's trace, or a new one.
    fn trace(&self, parts: &Parts) -> String {
        let given = parts.headers.get("x-amzn-trace-id");
        match given.and_then(|v| v.to_str().ok()) {
            Some(given) => given.to_owned(),
            None => {
                let hex = self.ids.hex(16);
                let (time, rest) = hex.split_at(8);
                format!("Root=1-{time}-{rest}")
            }
        }
    }

    /// Since October 2025 a caller needs two permissions: for the URL, and for the function through
    /// it.  [Lambda guide: access to function URLs]
    fn admit(&self, found: &Found, request: &mut Hosted) -> Result<Option<SignedBy>, Denied> {
        let (auth, caller, signer) = match found.url.auth {
            UrlAuth::None => ("NONE", Caller::Anonymous, None),
            UrlAuth::Iam => {
                let signer = request.signed_by("lambda").map_err(|_| Denied)?;
                let caller = Caller::Identity {
                    account: signer.account.clone(),
                    arn: signer.arn.clone(),
                };
                ("AWS_IAM", caller, Some(signer))
            }
        };
        // Identities of the function's own account are let in by their own policies.
        let is_own = |s: &SignedBy| s.account == found.function.account.as_str();
        if signer.as_ref().is_some_and(is_own) {
            return Ok(signer);
        }
        let keys = Keys::new().with("lambda:FunctionUrlAuthType", auth);
        let through = keys.clone().with("lambda:InvokedViaFunctionUrl", "true");
        let actions = [
            ("lambda:InvokeFunctionUrl", keys),
            ("lambda:InvokeFunction", through),
        ];
        match permit::allows(&self.functions, &found.function, &caller, &actions) {
            true => Ok(signer),
            false => Err(Denied),
        }
    }

    async fn call(&self, found: &Found, host: &str, request: Hosted, from: From) -> RawResponse {
        let body = match request.body {
            Ok(body) => body,
            Err(BodyFault::TooLong) => return too_large(),
            Err(BodyFault::Broken) => {
                let message = json!({ "Message": "The request body was not received in full." });
                return refusal(408, "RequestTimeoutException", &message);
            }
        };
        let event = event::of(&request.parts, &body, host, &request.call, &from);
        drop(body);
        if event.len() as u64 > payload::SYNC_MAX {
            return too_large();
        }
        let Ok(request_id) = request.call.request_id.parse() else {
            return answer::failed();
        };
        let access_key = from.signer.as_ref().map(|s| s.access_key.as_str());
        let call = Request {
            function: found.function.clone(),
            payload: event.into(),
            request_id,
            client_context: None,
            cognito_identity: None,
            trace: self.invoke.inherit(access_key, Some(&from.trace)),
            want_log: false,
            tenant: None,
        };
        match found.url.mode {
            None | Some(UrlMode::Buffered) => match self.invoke.request_response(call).await {
                Ok(outcome) => answer::of(&outcome),
                Err(why) => refused(&why),
            },
            Some(UrlMode::Stream) => match self.invoke.response_stream(call).await {
                Ok(streamed) => stream::of(streamed).await,
                Err(why) => refused(&why),
            },
        }
    }
}

/// An error of Lambda itself.
fn refusal(status: u16, kind: &str, body: &Value) -> RawResponse {
    RawResponse::new(status)
        .header("Content-Type", "application/json")
        .header("x-amzn-ErrorType", kind)
        .body(body.to_string().into_bytes())
}

fn forbidden() -> RawResponse {
    let message = "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
    refusal(403, "AccessDeniedException", &json!({ "Message": message }))
}

fn too_large() -> RawResponse {
    let max = payload::SYNC_MAX;
    let message =
        format!("Request must be smaller than {max} bytes for the InvokeFunction operation");
    let body = json!({ "Type": "User", "message": message });
    refusal(413, "RequestEntityTooLargeException", &body)
}

fn refused(why: &Refused) -> RawResponse {
    match why {
        Refused::Throttled { reason } => {
            let body = json!({ "Reason": reason, "Type": "User", "message": "Rate Exceeded." });
            refusal(429, "TooManyRequestsException", &body)
        }
        Refused::SwitchedOff => {
            let body = json!({ "Type": "User", "message": "Rate Exceeded." });
            refusal(429, "TooManyRequestsException", &body)
        }
        Refused::NotFound { .. } => forbidden(),
        Refused::Internal { detail } => {
            tracing::error!(detail, "a request to a function URL failed");
            answer::failed()
        }
        Refused::NotReady { .. }
        | Refused::NotRegenerated { .. }
        | Refused::NotRestored { .. }
        | Refused::Recursive
        | Refused::TenantMissing
        | Refused::TenantUnwanted
        | Refused::RestoreTimedOut
        | Refused::InvalidRuntime { .. } => answer::failed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_port_of_the_server_unless_told_otherwise() {
        for (domain, url) in [
            ("localhost", "http://x.lambda-url.us-east-1.localhost:4566/"),
            (
                "https://fn.example.com/",
                "https://x.lambda-url.us-east-1.fn.example.com/",
            ),
            ("http://kiln:80", "http://x.lambda-url.us-east-1.kiln:80/"),
        ] {
            assert_eq!(UrlBase::new(domain, 4566).url("x", "us-east-1"), url);
        }
    }
}
