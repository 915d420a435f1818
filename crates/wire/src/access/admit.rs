use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, Key};
use bytes::{Bytes, BytesMut};
use http::request::Parts;

use super::{Access, Credential, Denied, Mode, Principal, page};
use crate::sigv4::chunked::{Decoder, Kind, Seal};
use crate::sigv4::{ALGORITHM, Form, Presented, Stamp, canonical, sha256_hex, signature, single};

/// How far a signed time may be from ours, in either direction.  [IAM guide: signature lifetime]
const WINDOW_S: i64 = 300;

const PAYLOAD_HEADER: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Who a request is from.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) access_key: Option<String>,
    pub(crate) principal: Option<Principal>,
    pub(crate) is_verified: bool,
}

/// A request that may go on to have its body read.
pub(crate) struct Admitted {
    pub(crate) identity: Identity,
    /// What is left to check once the body is there.
    pending: Option<Pending>,
    chunked: Option<Kind>,
}

struct Pending {
    presented: Presented,
    key: Key,
}

/// Access key, region and service of a credential scope, read without judging it.
#[derive(Default)]
pub(crate) struct Hint<'a> {
    access_key: Option<Cow<'a, str>>,
    region: Option<Cow<'a, str>>,
    pub(crate) service: Option<Cow<'a, str>>,
}

impl<'a> Hint<'a> {
    pub(crate) fn read(parts: &'a Parts) -> Hint<'a> {
        if let Some(value) = parts.headers.get(http::header::AUTHORIZATION) {
            let scope = value
                .to_str()
                .ok()
                .and_then(|v| v.split_once("Credential="));
            let is_end = |c: char| c == ',' || c.is_ascii_whitespace();
            let scope = scope.and_then(|(_, rest)| rest.split(is_end).next());
            return scope.map(Hint::scope).unwrap_or_default();
        }
        let query = parts.uri.query().unwrap_or_default();
        if !query.contains("X-Amz-Credential=") {
            return Hint::default();
        }
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "X-Amz-Credential")
            .map(|(_, scope)| Hint::scope(&scope).kept())
            .unwrap_or_default()
    }

    fn scope(scope: &'a str) -> Hint<'a> {
        let mut fields = scope.rsplitn(5, '/').skip(1);
        let mut next = || {
            let field = fields.next().filter(|field| !field.is_empty());
            field.map(Cow::Borrowed)
        };
        let (service, region, _date, access_key) = (next(), next(), next(), next());
        Hint {
            access_key,
            region,
            service,
        }
    }

    fn kept<'b>(self) -> Hint<'b> {
        let keep = |field: Option<Cow<'a, str>>| field.map(|f| Cow::Owned(f.into_owned()));
        Hint {
            access_key: keep(self.access_key),
            region: keep(self.region),
            service: keep(self.service),
        }
    }
}

impl Access {
    /// Lets a request to an operation in: as [`Access::admit`], and never for a page of another host where nobody
    /// looks at signatures.
    pub(crate) fn admit_call(
        &self,
        parts: &Parts,
        service: Option<&str>,
        now_unix_ms: i64,
        is_loopback: bool,
    ) -> Result<Admitted, Denied> {
        if self.mode_for(is_loopback) != Mode::Strict
            && let Some(foreign) = page::foreign(parts, &self.hosts)
        {
            return Err(Denied::Foreign(foreign));
        }
        self.admit(parts, service, now_unix_ms, is_loopback)
    }

    /// Callers that are not on this machine always need a right signature.
    fn mode_for(&self, is_loopback: bool) -> Mode {
        match is_loopback {
            true => self.mode,
            false => Mode::Strict,
        }
    }

    /// Lets a request in, or not, as far as its head can tell. `service` is the signing name of the
    /// service it is for, if that is known.
    pub(crate) fn admit(
        &self,
        parts: &Parts,
        service: Option<&str>,
        now_unix_ms: i64,
        is_loopback: bool,
    ) -> Result<Admitted, Denied> {
        match self.mode_for(is_loopback) {
            Mode::Off => Ok(self.anybody(parts)),
            Mode::Parse => {
                Presented::read(parts)?;
                Ok(self.anybody(parts))
            }
            Mode::Strict => self.verified(parts, service, now_unix_ms),
        }
    }

    /// Lets a request in as whoever it says it is.
    pub(crate) fn anybody(&self, parts: &Parts) -> Admitted {
        let hint = Hint::read(parts);
        let key = hint.access_key.as_deref();
        let known = key.and_then(|key| self.credentials.find(key));
        let is_account = |key: &&str| key.len() == 12 && key.bytes().all(|b| b.is_ascii_digit());
        let account = match &known {
            Some(credential) => credential.account.clone(),
            None => key.filter(is_account).unwrap_or(&self.account).to_owned(),
        };
        let region = hint.region.as_deref().unwrap_or(&self.region).to_owned();
        let payload = parts.headers.get(PAYLOAD_HEADER);
        Admitted {
            identity: Identity {
                account,
                region,
                access_key: key.map(str::to_owned),
                principal: known.and_then(|k| k.principal),
                is_verified: false,
            },
            pending: None,
            chunked: payload.and_then(|v| Kind::parse(v.to_str().ok()?)),
        }
    }

    fn verified(
        &self,
        parts: &Parts,
        service: Option<&str>,
        now_unix_ms: i64,
    ) -> Result<Admitted, Denied> {
        let presented = Presented::read(parts)?;
        let known = self.credentials.find(&presented.access_key);
        let credential = known.ok_or(Denied::UnknownKey)?;
        check_token(&presented, &credential, now_unix_ms)?;
        check_time(&presented, now_unix_ms)?;
        if let Some(service) = service
            && service != presented.service
        {
            return Err(Denied::Signature(format!(
                "Credential should be scoped to correct service: '{service}'."
            )));
        }
        check_signed_headers(parts, &presented)?;
        let key = self.keys.get(&presented, &credential.secret);
        let payload = payload_word(parts)?;
        Ok(Admitted {
            identity: Identity {
                account: credential.account,
                region: presented.region.clone(),
                access_key: Some(presented.access_key.clone()),
                principal: credential.principal,
                is_verified: false,
            },
            chunked: payload.and_then(|word| Kind::parse(&word)),
            pending: Some(Pending { presented, key }),
        })
    }
}

impl Admitted {
    /// Checks what the head promised about the body, and gives the payload: the body itself, or
    /// what is inside its `aws-chunked` encoding.
    pub(crate) fn settle(&mut self, parts: &Parts, body: Bytes) -> Result<Bytes, Denied> {
        let seal = match self.pending.take() {
            Some(pending) => Some(pending.check(parts, &body)?),
            None => None,
        };
        self.identity.is_verified = seal.is_some();
        let Some(kind) = self.chunked else {
            return Ok(body);
        };
        let mut payload = BytesMut::with_capacity(body.len());
        let mut decoder = Decoder::new(kind, seal);
        decoder.push(body, &mut payload)?;
        decoder.finish()?;
        let length = single(&parts.headers, "x-amz-decoded-content-length")?;
        if length.is_some_and(|length| length.parse() != Ok(payload.len())) {
            return Err(Denied::Framing);
        }
        Ok(payload.freeze())
    }
}

impl Pending {
    fn check(self, parts: &Parts, body: &[u8]) -> Result<Seal, Denied> {
        let presented = self.presented;
        let word = payload_word(parts)?;
        let payload = match word {
            Some(word) if word == UNSIGNED || Kind::parse(&word).is_some() => word,
            Some(word) => {
                let promised = signature(&word).ok_or_else(Denied::mismatch)?;
                verify_slices_are_equal(digest(&SHA256, body).as_ref(), &promised)
                    .map_err(|_| Denied::mismatch())?;
                word
            }
            None if is_s3_url(&presented) => Cow::Borrowed(UNSIGNED),
            None => Cow::Owned(sha256_hex(body)),
        };
        let canonical = canonical::request(parts, &presented, &payload);
        let text = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            presented.stamp.text,
            presented.scope(),
            sha256_hex(&canonical)
        );
        // Compares in constant time.
        hmac::verify(&self.key, text.as_bytes(), &presented.signature)
            .map_err(|_| Denied::mismatch())?;
        Ok(Seal {
            key: self.key,
            scope: presented.scope(),
            previous: presented.signature,
            stamp: presented.stamp.text,
        })
    }
}

/// S3 never signs the payload of a presigned URL.
fn is_s3_url(presented: &Presented) -> bool {
    presented.service == "s3" && presented.form != Form::Header
}

/// What the client says of the payload's hash, in a header or in a presigned query.
fn payload_word(parts: &Parts) -> Result<Option<Cow<'_, str>>, Denied> {
    if let Some(word) = single(&parts.headers, PAYLOAD_HEADER)? {
        return Ok(Some(Cow::Borrowed(word)));
    }
    let query = parts.uri.query().unwrap_or_default();
    if !query.contains("X-Amz-Content-Sha256") {
        return Ok(None);
    }
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    Ok(pairs
        .find(|(name, _)| name == "X-Amz-Content-Sha256")
        .map(|(_, word)| word))
}

/// Temporary credentials need their token, and permanent ones have none.
fn check_token(
    presented: &Presented,
    credential: &Credential,
    now_unix_ms: i64,
) -> Result<(), Denied> {
    let given = presented.session_token.as_deref();
    let is_right = match (&credential.session_token, given) {
        (None, None) => true,
        (Some(token), Some(given)) => {
            verify_slices_are_equal(token.reveal().as_bytes(), given.as_bytes()).is_ok()
        }
        _ => false,
    };
    if !is_right {
        return Err(Denied::UnknownKey);
    }
    match credential.expires_unix_ms {
        Some(end) if end <= now_unix_ms => Err(Denied::ExpiredToken),
        _ => Ok(()),
    }
}

/// Refuses a request that is signed too long ago, or in the future.
fn check_time(presented: &Presented, now_unix_ms: i64) -> Result<(), Denied> {
    let now = now_unix_ms.div_euclid(1000);
    let signed = &presented.stamp;
    if signed.unix_s > now.saturating_add(WINDOW_S) {
        return Err(Denied::Signature(format!(
            "Signature not yet current: {} is still later than {} ({} + 5 min.)",
            signed.text,
            Stamp::at(now.saturating_add(WINDOW_S)).text,
            Stamp::at(now).text,
        )));
    }
    let (good_s, word) = match presented.form {
        Form::Header => (WINDOW_S, "5 min.".to_owned()),
        Form::Presigned { expires } => (i64::from(expires), format!("{expires} s")),
    };
    if signed.unix_s < now.saturating_sub(good_s) {
        return Err(Denied::Signature(format!(
            "Signature expired: {} is now earlier than {} ({} - {word})",
            signed.text,
            Stamp::at(now.saturating_sub(good_s)).text,
            Stamp::at(now).text,
        )));
    }
    Ok(())
}

/// The host and every `x-amz-` header must be signed, or they could be changed on the way.
fn check_signed_headers(parts: &Parts, presented: &Presented) -> Result<(), Denied> {
    let is_signed = |name: &str| presented.signed_headers.iter().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(Denied::Signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    if parts
        .headers
        .get_all(http::header::HOST)
        .iter()
        .nth(1)
        .is_some()
    {
        return Err(Denied::Incomplete("'Host' must be there once.".to_owned()));
    }
    for name in parts.headers.keys() {
        let name = name.as_str();
        if name.starts_with("x-amz-") && !is_signed(name) {
            return Err(Denied::Signature(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    // The time of a header form that has no x-amz-date is that of its Date header.
    let has_amz_date = parts.headers.contains_key("x-amz-date");
    if presented.form == Form::Header && !has_amz_date && !is_signed("date") {
        return Err(Denied::Signature(
            "'Date' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    Ok(())
}
