use super::page::Foreign;
use crate::sigv4::Malformed;
use crate::sigv4::chunked::Broken;
use crate::{Fault, Protocol};

/// Why a request is not let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    Missing,
    Incomplete(String),
    UnknownKey,
    ExpiredToken,
    /// The signature is wrong, or what it stands for contradicts itself.
    Signature(String),
    /// A web page of another host asks, where signatures are not checked.
    Foreign(Foreign),
    /// The framing of an `aws-chunked` body is broken.
    Framing,
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

impl Denied {
    pub(crate) fn mismatch() -> Denied {
        Denied::Signature(MISMATCH.to_owned())
    }

    /// The refusal in the words of the protocol's family.
    pub(crate) fn fault(self, protocol: Protocol) -> Fault {
        let is_query = matches!(protocol, Protocol::Query { .. });
        let (json, query, query_status, message) = match self {
            Denied::Missing if is_query => (
                "",
                "MissingAuthenticationToken",
                403,
                "Request is missing Authentication Token".to_owned(),
            ),
            Denied::Missing => (
                "MissingAuthenticationTokenException",
                "",
                403,
                "Missing Authentication Token".to_owned(),
            ),
            Denied::Incomplete(text) => (
                "IncompleteSignatureException",
                "IncompleteSignature",
                400,
                text,
            ),
            Denied::UnknownKey => (
                "UnrecognizedClientException",
                "InvalidClientTokenId",
                403,
                "The security token included in the request is invalid.".to_owned(),
            ),
            Denied::ExpiredToken => (
                "ExpiredTokenException",
                "ExpiredToken",
                403,
                "The security token included in the request is expired".to_owned(),
            ),
            Denied::Signature(text) => (
                "InvalidSignatureException",
                "SignatureDoesNotMatch",
                403,
                text,
            ),
            Denied::Foreign(what) => {
                let text = match what {
                    Foreign::Page => {
                        "Web pages of other hosts may not call this API unless signatures are checked."
                    }
                    Foreign::Host => {
                        "This name may be anybody's: use an address or localhost, add it to the setting hosts, \
                         or have signatures checked."
                    }
                };
                return Fault::client("AccessDeniedException", 403, text);
            }
            Denied::Framing => {
                let text = "The aws-chunked body is not well-formed.";
                return Fault::client("InvalidRequestException", 400, text);
            }
        };
        if is_query {
            Fault::client(query, query_status, message)
        } else {
            Fault::client(json, 403, message)
        }
    }
}

impl From<Malformed> for Denied {
    fn from(why: Malformed) -> Denied {
        match why {
            Malformed::Missing => Denied::Missing,
            Malformed::Incomplete(text) => Denied::Incomplete(text),
            Malformed::Contradicting(text) => Denied::Signature(text),
        }
    }
}

impl From<Broken> for Denied {
    fn from(why: Broken) -> Denied {
        match why {
            Broken::Framing => Denied::Framing,
            Broken::Signature => Denied::mismatch(),
        }
    }
}
