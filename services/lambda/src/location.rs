//! `Code.Location`: an address on our own host that gives the zip to whoever holds it, for a while.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use store::Digest;
use tasks::{Ids, Time};
use wire::{Context, Fault, RawRequest, RawResponse};

use crate::Lambda;

/// Outside of every path that AWS uses.
pub(crate) const ROUTE: &str = "/_kiln/code/{Digest}?Expires&Signature";

/// How long an address works.  [Lambda API: FunctionCodeLocation]
const VALID: Duration = Duration::from_secs(600);

/// Signs addresses with a key of this process.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn new(ids: &Ids) -> Signer {
        let mut secret = [0; 32];
        ids.fill(&mut secret);
        Signer(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    /// The address of a zip, for a client that reached us as `host`.
    pub(crate) fn address(&self, host: &str, digest: Digest, now: Time) -> String {
        let expires = now.after(VALID).unix_secs();
        let tag = hmac::sign(&self.0, signed(&digest.to_string(), expires).as_bytes());
        let signature = tag.as_ref().iter().fold(String::new(), |mut hex, b| {
            let _ = write!(hex, "{b:02x}");
            hex
        });
        format!("http://{host}/_kiln/code/{digest}?Expires={expires}&Signature={signature}")
    }

    fn accepts(&self, digest: &str, expires: i64, signature: &str) -> bool {
        let tag: Option<Vec<u8>> = (0..signature.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(signature.get(i..i + 2)?, 16).ok())
            .collect();
        tag.is_some_and(|tag| {
            hmac::verify(&self.0, signed(digest, expires).as_bytes(), &tag).is_ok()
        })
    }
}

fn signed(digest: &str, expires: i64) -> String {
    format!("{digest}\n{expires}")
}

/// Gives the exact bytes of the zip.
pub(crate) async fn download(
    lambda: Arc<Lambda>,
    cx: Context,
    request: RawRequest,
) -> Result<RawResponse, Fault> {
    let denied = |why: &str| Fault::client("AccessDenied", 403, why);
    let digest = request.text("Digest").unwrap_or_default();
    let expires: i64 = request
        .text("Expires")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| denied("Expires is missing or not a number"))?;
    let signature = request.text("Signature").unwrap_or_default();
    if !lambda.signer.accepts(digest, expires, signature) {
        return Err(denied("The signature does not match"));
    }
    if cx.now_unix_ms() / 1_000 > expires {
        return Err(denied("Request has expired"));
    }
    let zip = lambda.functions.zip(digest).await.map_err(|e| {
        Fault::client("NoSuchKey", 404, "The code is not kept any more").detail(e.to_string())
    })?;
    Ok(RawResponse::new(200)
        .header("Content-Type", "application/zip")
        .body(zip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_untouched_address_is_accepted() {
        let signer = Signer::new(&Ids::seeded(1));
        let digest = Digest([7; 32]);
        let address = signer.address("h:1", digest, Time::from_unix_secs(100));
        let signature = address.rsplit('=').next().unwrap();
        assert!(address.starts_with(&format!("http://h:1/_kiln/code/{digest}?Expires=700&")));
        assert!(signer.accepts(&digest.to_string(), 700, signature));
        assert!(!signer.accepts(&digest.to_string(), 701, signature));
        assert!(!signer.accepts(&Digest([8; 32]).to_string(), 700, signature));
        assert!(!signer.accepts(&digest.to_string(), 700, ""));
        assert!(!signer.accepts(&digest.to_string(), 700, "é"));
        assert!(!Signer::new(&Ids::seeded(2)).accepts(&digest.to_string(), 700, signature));
    }
}
