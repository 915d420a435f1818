//! AWS Signature Version 4, from the receiving side.
//!
//! [`Presented`] is what a request claims (header or presigned form). [`canonical`] writes the
//! request as its signer saw it; [`key`] derives and caches signing keys; [`chunked`] takes
//! `aws-chunked` bodies apart and checks each piece.
//! [AWS Signature Version 4 for API requests: Create a signed AWS API request]

pub(crate) mod canonical;
pub(crate) mod chunked;
mod header;
pub(crate) mod key;
mod presigned;
mod signer;
mod stamp;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http::request::Parts;

pub use signer::Signer;
pub(crate) use stamp::Stamp;

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Longest `Authorization` header or presigned query that is looked at, in bytes.
const PRESENTED_BYTES_MAX: usize = 16 << 10;

/// Most names in `SignedHeaders`.
const SIGNED_HEADERS_MAX: usize = 100;

/// What a request says about who signed it, taken apart but not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Presented {
    pub(crate) form: Form,
    pub(crate) access_key: String,
    /// `20261120`
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    /// Names in small letters, without duplicates, as they were sent.
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: [u8; 32],
    pub(crate) stamp: Stamp,
    pub(crate) session_token: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Header,
    /// Good for this many seconds.
    Presigned {
        expires: u32,
    },
}

/// Why nothing can be made of what a request presents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    /// No authentication at all.
    Missing,
    /// A part is missing, is there twice, or is not what it must be.
    Incomplete(String),
    /// The parts contradict each other.
    Contradicting(String),
}

impl Presented {
    /// Reads whichever of the two forms the request uses. Using both, or one twice, is refused.
    pub(crate) fn read(parts: &Parts) -> Result<Presented, Malformed> {
        let mut headers = parts.headers.get_all(http::header::AUTHORIZATION).iter();
        let header = headers.next();
        if headers.next().is_some() {
            return Err(incomplete("Only one Authorization header is allowed."));
        }
        let query = parts.uri.query().unwrap_or_default();
        let is_presigned = presigned::is_presigned(query);
        match header {
            Some(_) if is_presigned => Err(incomplete(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the \
                 Authorization header should be specified.",
            )),
            Some(value) => {
                let text = value
                    .to_str()
                    .ok()
                    .filter(|t| t.len() <= PRESENTED_BYTES_MAX);
                let text = text.ok_or_else(|| incomplete("Authorization header is not text."))?;
                header::read(text, &parts.headers)
            }
            None if is_presigned && query.len() > PRESENTED_BYTES_MAX => {
                Err(incomplete("The presigned query is too long."))
            }
            None if is_presigned => presigned::read(query),
            None => Err(Malformed::Missing),
        }
    }

    /// `20261120/us-east-1/lambda/aws4_request`
    pub(crate) fn scope(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        )
    }
}

pub(crate) fn incomplete(text: impl Into<String>) -> Malformed {
    Malformed::Incomplete(text.into())
}

/// The fields of a credential scope. [Elements of a request signature: Credential]
struct Scope {
    access_key: String,
    date: String,
    region: String,
    service: String,
}

/// `AKID/20261120/us-east-1/lambda/aws4_request`; the access key may hold slashes.
fn scope(text: &str) -> Result<Scope, Malformed> {
    let mut fields = text.rsplitn(5, '/');
    let mut next = || fields.next().unwrap_or_default().to_owned();
    let (end, service, region, date, access_key) = (next(), next(), next(), next(), next());
    if access_key.is_empty() || service.is_empty() || region.is_empty() {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got '{}'",
            shown(text)
        )));
    }
    if end != "aws4_request" {
        return Err(Malformed::Contradicting(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.",
            shown(&end)
        )));
    }
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed::Contradicting(format!(
            "Date in Credential scope is not a date: '{}'",
            shown(&date)
        )));
    }
    Ok(Scope {
        access_key,
        date,
        region,
        service,
    })
}

fn signed_headers(text: &str) -> Result<Vec<String>, Malformed> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(';') {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b',');
        if !is_name || names.len() == SIGNED_HEADERS_MAX || names.iter().any(|n| n == name) {
            return Err(incomplete(format!(
                "SignedHeaders is not a list of different names in small letters: '{}'",
                shown(text)
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// 64 hexadecimal digits.
pub(crate) fn signature(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

/// Client text in a message of ours: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Lower-case hexadecimal of the SHA-256 of `data`.
pub(crate) fn sha256_hex(data: &[u8]) -> String {
    hex(digest(&SHA256, data).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('0', |d| char::from(*d));
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The value of a header that must not come twice.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|_| values.next().is_none());
    text.map(Some)
        .ok_or_else(|| incomplete(format!("'{name}' must be there once and be plain text.")))
}
