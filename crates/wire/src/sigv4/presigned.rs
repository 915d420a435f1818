//! The query of a presigned URL.

use std::borrow::Cow;

use super::{ALGORITHM, Form, Malformed, Presented, Stamp, incomplete, shown};

/// A presigned URL is good for a week at most.  [SigV4: X-Amz-Expires]
const EXPIRES_S_MAX: u32 = 604_800;

const MARKS: [&str; 2] = ["X-Amz-Signature", "X-Amz-Algorithm"];

pub(super) fn is_presigned(query: &str) -> bool {
    // Cheap for the usual request, which has neither.
    query.contains("X-Amz-") && pairs(query).any(|(name, _)| MARKS.contains(&name.as_ref()))
}

fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

/// The parameter, which must not come twice.
fn once<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, Malformed> {
    let mut values = pairs(query).filter(|(n, _)| n == name).map(|(_, v)| v);
    let value = values.next();
    if values.next().is_some() {
        return Err(incomplete(format!("'{name}' must be there only once.")));
    }
    Ok(value)
}

fn needed<'q>(query: &'q str, name: &str) -> Result<Cow<'q, str>, Malformed> {
    once(query, name)?.ok_or_else(|| {
        incomplete(format!(
            "AWS query-string parameters must include '{name}'."
        ))
    })
}

pub(super) fn read(query: &str) -> Result<Presented, Malformed> {
    let algorithm = needed(query, "X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(incomplete(format!(
            "Unsupported AWS 'algorithm': '{}'",
            shown(&algorithm)
        )));
    }
    let credential = needed(query, "X-Amz-Credential")?;
    let date = needed(query, "X-Amz-Date")?;
    let expires = match once(query, "X-Amz-Expires")? {
        // Services other than S3 accept a URL without it, with the window of a signed header.
        None => 300,
        Some(text) => text
            .parse::<u32>()
            .ok()
            .filter(|s| (1..=EXPIRES_S_MAX).contains(s))
            .ok_or_else(|| {
                incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800")
            })?,
    };
    let signed = needed(query, "X-Amz-SignedHeaders")?;
    let signature = needed(query, "X-Amz-Signature")?;
    let scope = super::scope(&credential)?;
    let stamp = Stamp::parse(&date)
        .ok_or_else(|| incomplete("X-Amz-Date must be in the ISO8601 Long Format"))?;
    if scope.date != stamp.date() {
        return Err(Malformed::Contradicting(format!(
            "Invalid credential date {}. This date is not the same as X-Amz-Date: {}.",
            scope.date,
            stamp.date()
        )));
    }
    Ok(Presented {
        form: Form::Presigned { expires },
        access_key: scope.access_key,
        date: scope.date,
        region: scope.region,
        service: scope.service,
        signed_headers: super::signed_headers(&signed)?,
        signature: super::signature(&signature).unwrap_or([0; 32]),
        stamp,
        session_token: once(query, "X-Amz-Security-Token")?.map(Cow::into_owned),
    })
}
