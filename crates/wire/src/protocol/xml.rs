use bytes::Bytes;
use serde::Serialize;

use crate::Fault;

pub(crate) fn encode<O: Serialize>(
    operation: &str,
    xmlns: &str,
    request_id: &str,
    output: &O,
) -> Result<Bytes, Fault> {
    let _ = (operation, xmlns, request_id, output);
    Err(Fault::internal("XML answers are not written yet"))
}

/// The error document of the query protocol.
pub(crate) fn error(
    xmlns: &str,
    side: &str,
    code: &str,
    message: Option<&str>,
    request_id: &str,
) -> Bytes {
    Bytes::from(format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message>\
         </Error><RequestId>{}</RequestId></ErrorResponse>",
        quick_xml::escape::escape(xmlns),
        quick_xml::escape::escape(code),
        quick_xml::escape::escape(message.unwrap_or_default()),
        quick_xml::escape::escape(request_id),
    ))
}
