//! Functions as receivers of what other parts of the process send: an asynchronous call.

use async_trait::async_trait;
use bytes::Bytes;
use functions::{Functions, Policy};
use model::policy::{self, Caller, Keys, Verdict};
use model::ports::{Parcel, Target, Undelivered};
use model::{FunctionRef, RequestId};
use serde::de::IgnoredAny;

use crate::{EventQueue, NotAccepted, Request};

/// Longest event of an asynchronous invocation, in bytes.  [Lambda quotas]
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Takes parcels for functions.
pub struct EventTarget {
    functions: Functions,
    events: EventQueue,
}

impl EventTarget {
    pub fn new(functions: &Functions, events: &EventQueue) -> EventTarget {
        EventTarget {
            functions: functions.clone(),
            events: events.clone(),
        }
    }
}

#[async_trait]
impl Target for EventTarget {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), Undelivered> {
        let request = request(parcel)?;
        if self.functions.resolve(&request.function).is_err() {
            let message = format!("Function not found: {}", parcel.to);
            return Err(refused("ResourceNotFoundException", message));
        }
        if !may(self.functions.policy(&request.function).as_deref(), parcel) {
            let sender = parcel.sender.service;
            let message = format!(
                "{sender} is not authorized to perform: lambda:InvokeFunction on resource: {}",
                parcel.to
            );
            return Err(refused("AccessDeniedException", message));
        }
        let once = format!("{} {}", parcel.id, request.request_id);
        let accepted = self
            .events
            .accept_once(&request, Some(&once), Some(&parcel.id))
            .await;
        accepted.map_err(|error| {
            let code = match error {
                NotAccepted::Throttled { .. } => "TooManyRequestsException",
                NotAccepted::Store(_) => "ServiceException",
            };
            Undelivered::Later {
                code: code.to_owned(),
                message: error.to_string(),
            }
        })
    }
}

fn refused(code: &str, message: String) -> Undelivered {
    let code = code.to_owned();
    Undelivered::Refused { code, message }
}

/// Whether the function's policy lets the sender in. Who sends in the name of a role has its permissions,
/// which are not looked at here.  [Lambda guide: resource-based policies]
fn may(policy: Option<&Policy>, parcel: &Parcel) -> bool {
    let sender = &parcel.sender;
    if sender.role.is_some() {
        return true;
    }
    let Some(policy) = policy else {
        return false;
    };
    let resource = parcel.to.to_string();
    let account = Some(sender.source.account.as_str()).filter(|a| !a.is_empty());
    let verdict = policy.decide(&policy::Request {
        caller: &Caller::Service(sender.service.to_owned()),
        action: "lambda:InvokeFunction",
        resource: &resource,
        keys: &Keys::new()
            .with("aws:SourceArn", sender.source.to_string())
            .with_some("aws:SourceAccount", account),
    });
    verdict == Verdict::Allow
}

/// The invocation that a parcel asks for.
pub(crate) fn request(parcel: &Parcel) -> Result<Request, Undelivered> {
    let function = function(parcel).ok_or_else(|| {
        let message = format!("{} names no function", parcel.to);
        refused("InvalidParameterValueException", message)
    })?;
    let bytes = parcel.body.len();
    if bytes > EVENT_BYTES_MAX {
        let message = format!(
            "{bytes} byte payload is too large for the Event invocation type (limit {EVENT_BYTES_MAX} bytes)"
        );
        return Err(refused("RequestTooLargeException", message));
    }
    let payload = match parcel.body.is_empty() {
        true => Bytes::from_static(b"{}"),
        false => parcel.body.clone(),
    };
    if serde_json::from_slice::<IgnoredAny>(&payload).is_err() {
        let message = "Could not parse request body into json".to_owned();
        return Err(refused("InvalidRequestContentException", message));
    }
    Ok(Request {
        function,
        payload,
        request_id: request_id(parcel),
        client_context: None,
        cognito_identity: None,
        trace: parcel.trace.clone(),
        want_log: false,
        tenant: None,
    })
}

fn function(parcel: &Parcel) -> Option<FunctionRef> {
    let account = parcel.to.account.parse().ok()?;
    let region = parcel.to.region.parse().ok()?;
    FunctionRef::parse(&parcel.to.to_string(), None, &account, &region).ok()
}

/// The same for every try of one parcel, and another for each function that gets it.
pub(crate) fn request_id(parcel: &Parcel) -> RequestId {
    derived_id(&[&parcel.id, &parcel.to.to_string()])
}

/// An id that the parts determine.
pub(crate) fn derived_id(parts: &[&str]) -> RequestId {
    // FNV-1a of 128 bits: the same over restarts. Whoever chooses the parts gains nothing by a collision
    // but one event of their own.
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(START, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    // The form of a random UUID.
    let hash = hash & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{hash:032x}");
    let field = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let text = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(a, b)| field(a, b));
    // Five groups of hexadecimal digits are a request id.
    #[allow(clippy::expect_used)]
    text.join("-").parse().expect("hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use functions::Principal;
    use model::ports::Sender;

    use super::*;

    fn parcel(to: &str, body: &'static [u8]) -> Parcel {
        Parcel {
            id: "one".to_owned(),
            to: to.parse().unwrap(),
            sender: Sender {
                service: "sns.amazonaws.com",
                source: "arn:aws:sns:us-east-1:000000000000:t".parse().unwrap(),
                role: None,
            },
            body: Bytes::from_static(body),
            attributes: Vec::new(),
            subject: None,
            group: None,
            dedup: None,
            trace: Some("Root=1".to_owned()),
            event: None,
        }
    }

    const F: &str = "arn:aws:lambda:us-east-1:000000000000:function:f:live";

    #[test]
    fn a_parcel_is_an_event_for_the_function_that_it_names() {
        let asked = request(&parcel(F, b"{\"a\":1}")).unwrap();
        assert_eq!(asked.function.to_string(), F);
        assert_eq!(&asked.payload[..], b"{\"a\":1}");
        assert_eq!(asked.trace.as_deref(), Some("Root=1"));
        assert_eq!(&request(&parcel(F, b"")).unwrap().payload[..], b"{}");
    }

    #[test]
    fn what_no_function_can_take_is_refused() {
        let code = |parcel: &Parcel| match request(parcel) {
            Err(Undelivered::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        let layer = "arn:aws:lambda:us-east-1:000000000000:layer:l:1";
        assert_eq!(code(&parcel(layer, b"1")), "InvalidParameterValueException");
        assert_eq!(code(&parcel(F, b"{")), "InvalidRequestContentException");
        let mut large = parcel(F, b"");
        large.body = vec![b'1'; EVENT_BYTES_MAX + 1].into();
        assert_eq!(code(&large), "RequestTooLargeException");
    }

    fn policy(source: &str) -> Policy {
        Policy {
            revision: String::new(),
            statements: vec![functions::Statement {
                id: "s".to_owned(),
                principal: Principal::Service("sns.amazonaws.com".to_owned()),
                action: "lambda:InvokeFunction".to_owned(),
                conditions: vec![functions::Condition {
                    operator: "ArnLike".to_owned(),
                    key: "AWS:SourceArn".to_owned(),
                    value: source.to_owned(),
                }],
                written: None,
            }],
        }
    }

    #[test]
    fn a_service_needs_a_statement_for_its_source() {
        let mut parcel = parcel(F, b"1");
        let topic = policy("arn:aws:sns:us-east-1:000000000000:t");
        assert!(may(Some(&topic), &parcel));
        assert!(!may(None, &parcel));
        let other = policy("arn:aws:sns:us-east-1:000000000000:other");
        assert!(!may(Some(&other), &parcel));
        parcel.sender.service = "events.amazonaws.com";
        assert!(!may(Some(&topic), &parcel));
        parcel.sender.role = Some("arn:aws:iam::000000000000:role/r".to_owned());
        assert!(may(None, &parcel), "a role has permissions of its own");
    }

    #[test]
    fn the_id_is_the_same_over_tries_and_differs_by_function() {
        let one = request_id(&parcel(F, b""));
        assert_eq!(one, request_id(&parcel(F, b"1")));
        let other = F.replace(":f:", ":g:");
        assert_ne!(one, request_id(&parcel(&other, b"")));
        let text = one.to_string();
        assert_eq!((text.as_bytes()[14], text.len()), (b'4', 36));
    }
}
