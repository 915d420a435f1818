//! XML answers of the query protocol, written straight from the output's shape.
//!
//! A list is a run of `<member>`, a map a run of `<entry><key/><value/></entry>`, and a value that
//! is not there leaves no element.  [Smithy: awsQuery response serialization]

pub(super) mod write;

use bytes::Bytes;
use serde::Serialize;

use super::flat::{self, Flat};
use crate::Fault;

/// The whole answer of one operation. An output of `()` has no result element.
pub(crate) fn encode<O: Serialize>(
    operation: &str,
    xmlns: &str,
    request_id: &str,
    flat: &[Flat],
    output: &O,
) -> Result<Bytes, Fault> {
    let unwritten = |e: &dyn std::fmt::Display| {
        Fault::internal(format!("answer could not be written as XML: {e}"))
    };
    let mut out = String::with_capacity(512);
    write::open(&mut out, "", operation, "Response", xmlns);
    let before = out.len();
    write::tag(&mut out, operation, "Result");
    let inside = out.len();
    let is_there = if flat.is_empty() {
        let content = write::Content(&mut out);
        output.serialize(content).map_err(|e| unwritten(&e))?
    } else {
        let members = serde_json::to_value(output).map_err(|e| unwritten(&e))?;
        flat::structure(&mut out, &members, flat);
        !members.is_null()
    };
    if is_there && out.len() == inside && !flat.is_empty() {
        // As SQS writes a result of nothing.
        out.truncate(inside - 1);
        out.push_str("/>");
    } else if is_there {
        write::end(&mut out, operation, "Result");
    } else {
        out.truncate(before);
    }
    out.push_str("<ResponseMetadata><RequestId>");
    write::text(&mut out, request_id);
    out.push_str("</RequestId></ResponseMetadata>");
    write::end(&mut out, operation, "Response");
    Ok(Bytes::from(out))
}

/// The error document of the query protocol.
pub(crate) fn error(
    xmlns: &str,
    side: &str,
    code: &str,
    message: Option<&str>,
    request_id: &str,
) -> Bytes {
    let mut out = String::with_capacity(512);
    write::open(&mut out, "Error", "", "Response", xmlns);
    out.push_str("<Error>");
    for (name, value) in [
        ("Type", side),
        ("Code", code),
        ("Message", message.unwrap_or_default()),
    ] {
        write::tag(&mut out, name, "");
        write::text(&mut out, value);
        write::end(&mut out, name, "");
    }
    out.push_str("</Error><RequestId>");
    write::text(&mut out, request_id);
    out.push_str("</RequestId></ErrorResponse>");
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;
    use crate::{Blob, Timestamp};

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        role: Role,
        names: Vec<&'static str>,
        marker: Option<String>,
        empty: Vec<u8>,
        map: BTreeMap<&'static str, u32>,
        is_truncated: bool,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Role {
        created: Timestamp,
        size: i64,
        share: f64,
        blob: Blob,
        kind: Kind,
        maybe: Option<Kind>,
    }

    #[derive(Serialize)]
    enum Kind {
        #[serde(rename = "a<b")]
        Odd,
    }

    #[test]
    fn an_answer_has_members_entries_and_iso_times() {
        let output = Output {
            role: Role {
                created: Timestamp(1_795_000_000_123),
                size: -7,
                share: 0.5,
                blob: Blob::from(b"hi".to_vec()),
                kind: Kind::Odd,
                maybe: None,
            },
            names: vec!["a & b", "\u{0}\u{fffe}ü\r\n"],
            marker: None,
            empty: vec![],
            map: BTreeMap::from([("k", 1)]),
            is_truncated: false,
        };
        let text = encode("GetRole", "urn:x", "id", &[], &output).unwrap();
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "<GetRoleResponse xmlns=\"urn:x\"><GetRoleResult><Role><Created>2026-11-18T11:06:40.123Z\
             </Created><Size>-7</Size><Share>0.5</Share><Blob>aGk=</Blob><Kind>a&lt;b</Kind></Role>\
             <Names><member>a &amp; b</member><member>\u{fffd}\u{fffd}ü&#13;\n</member></Names>\
             <Empty></Empty><Map><entry><key>k</key><value>1</value></entry></Map>\
             <IsTruncated>false</IsTruncated></GetRoleResult><ResponseMetadata><RequestId>id\
             </RequestId></ResponseMetadata></GetRoleResponse>"
        );
    }

    #[test]
    fn an_answer_of_nothing_has_no_result() {
        let text = encode("DeleteRole", "urn:x", "id", &[], &()).unwrap();
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "<DeleteRoleResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id</RequestId>\
             </ResponseMetadata></DeleteRoleResponse>"
        );
    }

    #[test]
    fn an_error_is_escaped() {
        let text = error("urn:x", "Sender", "Bad", Some("<&>"), "id");
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>Bad</Code><Message>&lt;\
             &amp;&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>"
        );
    }
}
