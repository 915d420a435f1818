//! The canonical request: the one spelling of a request that both sides can hash.
//! [Create a signed AWS API request: Step 1]

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::{Form, Presented};

/// Everything but `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The canonical request. `payload` is the hash, or the word that stands for it.
pub(crate) fn request(parts: &Parts, presented: &Presented, payload: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b'\n');
    if presented.service == "s3" {
        path_as_is(&mut out, parts.uri.path());
    } else {
        path_normal(&mut out, parts.uri.path());
    }
    out.push(b'\n');
    let skip = match presented.form {
        Form::Header => None,
        Form::Presigned { .. } => Some("X-Amz-Signature"),
    };
    query(&mut out, parts.uri.query().unwrap_or_default(), skip);
    out.push(b'\n');
    for name in &presented.signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        header(&mut out, parts, name);
        out.push(b'\n');
    }
    out.push(b'\n');
    for (index, name) in presented.signed_headers.iter().enumerate() {
        if index > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

/// Encodes the path once more than it came, after taking out `//`, `.` and `..`; what every service
/// but S3 does.
fn path_normal(out: &mut Vec<u8>, path: &str) {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    for segment in &kept {
        out.push(b'/');
        encode(out, segment.as_bytes());
    }
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if kept.is_empty() || ends_open {
        out.push(b'/');
    }
}

/// S3 takes the path as it is, encoded once.
fn path_as_is(out: &mut Vec<u8>, path: &str) {
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        let decoded: Vec<u8> = percent_decode(segment.as_bytes()).collect();
        encode(out, &decoded);
    }
    if path.is_empty() {
        out.push(b'/');
    }
}

/// The parameters in the order of their encoded names, then values.
fn query(out: &mut Vec<u8>, raw: &str, skip: Option<&str>) {
    if raw.is_empty() {
        return;
    }
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recode(name), recode(value))
        })
        .filter(|(name, _)| Some(name.as_str()) != skip)
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// Decodes what the client encoded, and encodes it in the one canonical way. A plus is a blank, as
/// it is when the parameters are read.
fn recode(raw: &str) -> String {
    let blanks: Vec<u8> = raw
        .bytes()
        .map(|b| if b == b'+' { b' ' } else { b })
        .collect();
    let decoded: Vec<u8> = percent_decode(&blanks).collect();
    percent_encode(&decoded, RESERVED).to_string()
}

fn encode(out: &mut Vec<u8>, text: &[u8]) {
    for piece in percent_encode(text, RESERVED) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The values of a header, trimmed, with runs of blanks made one, joined by commas.
fn header(out: &mut Vec<u8>, parts: &Parts, name: &str) {
    let mut values = parts.headers.get_all(name).iter().peekable();
    if values.peek().is_none() && name == "host" {
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        out.extend_from_slice(authority.unwrap_or_default().as_bytes());
    }
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let words = value
            .as_bytes()
            .split(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
        for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}
