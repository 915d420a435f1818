use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Fault;

/// The members in a JSON body. No body at all is no members.
pub(crate) fn parse(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Array(_)) => Err(malformed("Start of list found where not expected")),
        Ok(_) => Err(malformed("Unexpected value type in payload")),
        // The parser's own words name a place, never a value.
        Err(error) => Err(malformed(&format!(
            "Could not parse request body into json: {error}"
        ))),
    }
}

fn malformed(message: &str) -> Fault {
    Fault::client("SerializationException", 400, message)
}

pub(crate) fn encode<O: Serialize>(output: &O) -> Result<Bytes, Fault> {
    let text = serde_json::to_vec(output)
        .map_err(|e| Fault::internal(format!("answer could not be written as JSON: {e}")))?;
    Ok(if text == b"null" {
        Bytes::new()
    } else {
        Bytes::from(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_body_is_no_members() {
        for body in ["", " \r\n", "{}", "null"] {
            assert_eq!(parse(body.as_bytes()).unwrap(), Map::new(), "{body:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["[]", "7", "\"x\"", "{", "{\"a\":}", "\u{feff}{}", "{} {}"] {
            let fault = parse(body.as_bytes()).unwrap_err();
            assert_eq!(fault.code(), "SerializationException", "{body}");
            assert_eq!(fault.status(), 400);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(format!("{{\"a\":{deep}}}").as_bytes()).is_err());
    }

    #[test]
    fn an_answer_of_nothing_is_empty() {
        assert_eq!(encode(&()).unwrap(), Bytes::new());
        assert_eq!(encode(&[1]).unwrap(), Bytes::from_static(b"[1]"));
    }
}
