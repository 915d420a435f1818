//! The event of an invocation: its size and its form. It is looked through, never taken apart.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use wire::Fault;

/// Longest event of a synchronous invocation, in bytes.  [Lambda quotas]
pub(crate) const SYNC_MAX: u64 = 6_291_456;
/// Longest event of an asynchronous invocation, in bytes.  [Lambda quotas]
pub(crate) const EVENT_MAX: u64 = 1_048_576;

/// The event as the function gets it.
pub(crate) fn event(body: Bytes, invocation_type: &str) -> Result<Bytes, Fault> {
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if invocation_type == "Event" && bytes > EVENT_MAX {
        return Err(too_large(invocation_type, bytes, EVENT_MAX));
    }
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    // A string that is valid here may hold bytes that are no UTF-8: those are checked apart.
    let problem = match std::str::from_utf8(&body) {
        Ok(text) => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => return Ok(body),
            Err(error) => of_json(text, &error),
        },
        Err(error) => of_bytes(&body, error.valid_up_to()),
    };
    Err(Fault::client(
        "InvalidRequestContentException",
        400,
        format!(
            "Could not parse request body into json: Could not parse payload into json: {problem}"
        ),
    ))
}

/// The answer to a body that was not read to its end.
pub(crate) fn oversize(members: &Map<String, Value>, bytes: u64) -> Fault {
    match members.get("InvocationType").and_then(Value::as_str) {
        Some("Event") => too_large("Event", bytes, EVENT_MAX),
        _ => too_large("RequestResponse", bytes, SYNC_MAX),
    }
}

/// The same for an operation that knows one type of invocation only.
pub(crate) fn oversize_event(_: &Map<String, Value>, bytes: u64) -> Fault {
    too_large("Event", bytes, EVENT_MAX)
}

fn too_large(invocation_type: &str, bytes: u64, max: u64) -> Fault {
    Fault::client(
        "RequestTooLargeException",
        413,
        format!(
            "{bytes} byte payload is too large for the {invocation_type} invocation type (limit {max} bytes)"
        ),
    )
}

const EXPECTED: &str = "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

fn at(line: usize, column: usize) -> String {
    format!(
        "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
    )
}

/// In the words of the parser that AWS uses.
fn of_json(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column().max(1));
    let found = text
        .split('\n')
        .nth(line.saturating_sub(1))
        .and_then(|l| l.get(column.saturating_sub(1)..))
        .and_then(|rest| rest.chars().next());
    let what = match found {
        _ if error.is_eof() => "Unexpected end-of-input".to_owned(),
        Some(c) if c.is_ascii_alphabetic() => {
            let word: String = text
                .split('\n')
                .nth(line.saturating_sub(1))
                .and_then(|l| l.get(column.saturating_sub(1)..))
                .unwrap_or_default()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .take(64)
                .collect();
            format!(
                "Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
            )
        }
        Some(c) if c.is_control() => {
            format!(
                "Unexpected character ((CTRL-CHAR, code {})): {EXPECTED}",
                u32::from(c)
            )
        }
        Some(c) => format!(
            "Unexpected character ('{c}' (code {})): {EXPECTED}",
            u32::from(c)
        ),
        None => "Unexpected end-of-input".to_owned(),
    };
    format!("{what}{}", at(line, column))
}

/// The first byte that is no UTF-8: inside of a token it is a bad start byte, before one a character
/// that can begin no value.
fn of_bytes(body: &[u8], place: usize) -> String {
    let before = body.get(..place).unwrap_or_default();
    let byte = body.get(place).copied().unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    if before.iter().all(u8::is_ascii_whitespace) {
        return format!(
            "Unexpected character ((CTRL-CHAR, code {byte})): {EXPECTED}{}",
            at(line, column)
        );
    }
    format!(
        "Invalid UTF-8 start byte 0x{byte:x}{}",
        at(line, column + 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_json_document_passes_unchanged() {
        for text in [
            "{}",
            "null",
            "1",
            "\"x\"",
            "[1,{\"a\":null}]",
            " {\"ü\": 1} \n",
        ] {
            let body = Bytes::from_static(text.as_bytes());
            assert_eq!(event(body.clone(), "RequestResponse").unwrap(), body);
        }
        assert_eq!(event(Bytes::new(), "RequestResponse").unwrap(), "{}");
    }

    #[test]
    fn what_is_no_json_is_told_as_aws_tells_it() {
        for (body, text) in [
            (
                &b"\x99\xeb,j\x07\xa1zYh"[..],
                "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]",
            ),
            (
                b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt",
                "Invalid UTF-8 start byte 0x87\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 3]",
            ),
            (
                b"hello",
                "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]",
            ),
        ] {
            let fault = event(Bytes::from_static(body), "RequestResponse").unwrap_err();
            assert_eq!(fault.code(), "InvalidRequestContentException");
            let head =
                "Could not parse request body into json: Could not parse payload into json: ";
            assert_eq!(fault.message(), format!("{head}{text}"));
        }
        for body in ["{", "{\"a\":}", "[1,]", "{} {}", "\"x", "'x'"] {
            assert!(
                event(Bytes::from_static(body.as_bytes()), "Event").is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn an_event_has_its_limit() {
        let body = |n: usize| Bytes::from(format!("\"{}\"", "x".repeat(n - 2)));
        assert!(event(body(1_048_576), "Event").is_ok());
        let fault = event(body(1_048_577), "Event").unwrap_err();
        assert_eq!(
            fault.message(),
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
        );
        assert!(event(body(1_048_577), "RequestResponse").is_ok());
    }
}
