//! The sending side, for Kiln's own clients.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue, Request};

use super::{ALGORITHM, Form, Presented, Stamp, canonical, hex, key};
use crate::access::Secret;

/// Signs requests with one key for one service.
/// [AWS Signature Version 4 for API requests: Create a signed AWS API request]
#[derive(Clone, Debug)]
pub struct Signer {
    pub access_key: String,
    pub secret_key: Secret,
    pub session_token: Option<String>,
    pub region: String,
    /// The signing name, `lambda`.
    pub service: &'static str,
}

impl Signer {
    /// Adds `X-Amz-Date`, the token and `Authorization`. The request must have its `Host` header.
    ///
    /// # Errors
    /// A key or token has characters that no header may hold.
    pub fn sign<B>(
        &self,
        request: Request<B>,
        payload: &[u8],
        now_unix_s: i64,
    ) -> Result<Request<B>, http::Error> {
        let stamp = Stamp::at(now_unix_s);
        let (mut parts, body) = request.into_parts();
        let date = HeaderName::from_static("x-amz-date");
        parts
            .headers
            .insert(date, HeaderValue::from_str(&stamp.text)?);
        if let Some(token) = &self.session_token {
            let name = HeaderName::from_static("x-amz-security-token");
            parts.headers.insert(name, HeaderValue::from_str(token)?);
        }
        let is_signed = |name: &&HeaderName| **name == HOST || name.as_str().starts_with("x-amz-");
        let mut signed: Vec<String> = parts
            .headers
            .keys()
            .filter(is_signed)
            .map(|n| n.as_str().to_owned())
            .collect();
        signed.sort_unstable();
        let presented = Presented {
            form: Form::Header,
            access_key: self.access_key.clone(),
            date: stamp.date().to_owned(),
            region: self.region.clone(),
            service: self.service.to_owned(),
            signed_headers: signed,
            signature: [0; 32],
            stamp,
            session_token: None,
        };
        let canonical =
            canonical::request(&parts, &presented, &hex(digest(&SHA256, payload).as_ref()));
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            presented.stamp.text,
            presented.scope(),
            hex(digest(&SHA256, &canonical).as_ref())
        );
        let key = key::derive(
            &self.secret_key,
            &presented.date,
            &self.region,
            self.service,
        );
        let value = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
            self.access_key,
            presented.scope(),
            presented.signed_headers.join(";"),
            hex(hmac::sign(&key, to_sign.as_bytes()).as_ref()),
        );
        parts
            .headers
            .insert(AUTHORIZATION, HeaderValue::from_str(&value)?);
        Ok(Request::from_parts(parts, body))
    }
}
