//! The bodies and headers of the Extensions API. Pure.

use serde_json::Value;

use super::roster::NAME_BYTES_MAX;

/// What `/register` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Register {
    pub events: Vec<String>,
}

/// Reads the body of `/register`; the error is the text that the extension gets.
pub(crate) fn register(body: &[u8]) -> Result<Register, String> {
    let body: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let Value::Object(members) = body else {
        return Err("the body is no JSON object".to_owned());
    };
    let keys = members.get("configurationKeys").and_then(Value::as_array);
    if keys.is_some_and(|keys| !keys.is_empty()) {
        return Err(
            "configurationKeys are deprecated; use environment variables instead".to_owned(),
        );
    }
    let events = match members.get("events") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(events)) => events
            .iter()
            .map(|event| event.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("events holds something that is no string")?,
        Some(_) => return Err("events is no list".to_owned()),
    };
    Ok(Register { events })
}

/// Whether the name can be an extension's.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX
}

/// Whether `Lambda-Extension-Accept-Feature` lists the account.
pub(crate) fn wants_account(features: Option<&str>) -> bool {
    let mut listed = features.unwrap_or_default().split(',');
    listed.any(|feature| feature.trim() == "accountId")
}

/// Whether the text has the form of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_names_its_events() {
        for (body, want) in [
            (r#"{"events":["INVOKE","SHUTDOWN"]}"#, Ok(2)),
            (r#"{"events":[]}"#, Ok(0)),
            ("{}", Ok(0)),
            (r#"{"events":null,"configurationKeys":[]}"#, Ok(0)),
            (
                r#"{"events":["INVOKE"],"configurationKeys":["A"]}"#,
                Err(()),
            ),
            (r#"{"events":"INVOKE"}"#, Err(())),
            (r#"{"events":[1]}"#, Err(())),
            ("[]", Err(())),
            ("", Err(())),
        ] {
            let got = register(body.as_bytes());
            assert_eq!(got.map(|r| r.events.len()).map_err(drop), want, "{body}");
        }
    }

    #[test]
    fn the_account_is_given_to_those_who_ask() {
        for (features, want) in [
            (None, false),
            (Some("accountId"), true),
            (Some("x, accountId"), true),
            (Some("accountid"), false),
        ] {
            assert_eq!(wants_account(features), want, "{features:?}");
        }
    }

    #[test]
    fn an_identifier_is_a_uuid() {
        assert!(is_uuid("0123abcd-0123-4bcd-8bcd-0123456789ab"));
        for text in [
            "",
            "x",
            "0123abcd01234bcd8bcd0123456789ab",
            "g123abcd-0123-4bcd-8bcd-0123456789ab",
        ] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
