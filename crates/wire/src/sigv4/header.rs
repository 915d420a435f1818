//! The `Authorization` header.

use http::HeaderMap;

use super::{ALGORITHM, Form, Malformed, Presented, Stamp, incomplete, shown, single};

/// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` and the headers beside it.
pub(super) fn read(text: &str, headers: &HeaderMap) -> Result<Presented, Malformed> {
    let text = text.trim();
    let (algorithm, rest) = text
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        return Err(incomplete(format!(
            "Unsupported AWS 'algorithm': '{}'",
            shown(algorithm)
        )));
    }
    let fields = Fields::read(rest)?;
    let stamp = match single(headers, "x-amz-date")? {
        Some(text) => Stamp::parse(text),
        None => single(headers, "date")?.and_then(Stamp::parse_date),
    };
    let (Some(credential), Some(signed), Some(signature), Some(stamp)) = (
        fields.credential,
        fields.signed_headers,
        fields.signature,
        stamp.as_ref(),
    ) else {
        return Err(incomplete(fields.lacks(stamp.is_some())));
    };
    let scope = super::scope(credential)?;
    if scope.date != stamp.date() {
        return Err(Malformed::Contradicting(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{}', from '{}'.",
            scope.date,
            stamp.date(),
            stamp.text
        )));
    }
    Ok(Presented {
        form: Form::Header,
        access_key: scope.access_key,
        date: scope.date,
        region: scope.region,
        service: scope.service,
        signed_headers: super::signed_headers(signed)?,
        // A signature of another shape can match nothing: it is compared and found wrong.
        signature: super::signature(signature).unwrap_or([0; 32]),
        stamp: stamp.clone(),
        session_token: single(headers, "x-amz-security-token")?.map(str::to_owned),
    })
}

#[derive(Default)]
struct Fields<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Fields<'a>, Malformed> {
        let mut fields = Fields::default();
        let is_gap = |c: char| c == ',' || c.is_ascii_whitespace();
        for pair in text.split(is_gap).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(incomplete(format!(
                    "Invalid key=value pair (missing equal-sign) in Authorization header: '{}'.",
                    shown(pair)
                )));
            };
            let field = match name {
                "Credential" => &mut fields.credential,
                "SignedHeaders" => &mut fields.signed_headers,
                "Signature" => &mut fields.signature,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(incomplete(format!(
                    "Authorization header has more than one '{name}' parameter."
                )));
            }
        }
        Ok(fields)
    }

    /// AWS's list of everything that is missing at once.
    fn lacks(&self, has_date: bool) -> String {
        let mut lacks = Vec::new();
        for (name, is_missing) in [
            ("Credential", self.credential.is_none()),
            ("Signature", self.signature.is_none()),
            ("SignedHeaders", self.signed_headers.is_none()),
        ] {
            if is_missing {
                lacks.push(format!("Authorization header requires '{name}' parameter."));
            }
        }
        if !has_date {
            lacks.push(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header."
                    .to_owned(),
            );
        }
        lacks.join(" ")
    }
}
