//! A parser for the two requests that every call makes: `/next` and `/response`. Pure.
//!
//! It takes only heads that can be read in one way; whatever is unusual is left to
//! [`route::parse`](crate::route::parse), which gives the same result for what this one takes.

use httparse::Header;

use crate::route::{Fields, HEADERS_MAX, Head, Post, Route};

const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n";
const POST: &[u8] = b"POST /2018-06-01/runtime/invocation/";
const RESPONSE: &[u8] = b"/response HTTP/1.1\r\n";
/// Length of a request id.
const ID_BYTES: usize = 36;

/// Reads a whole head, which ends with an empty line; `None` if it is not one of the two, or not
/// plain.
pub(crate) fn parse(head: &[u8]) -> Option<Head> {
    let (route, mut rest) = line(head)?;
    let mut fields = Fields::default();
    for _ in 0..HEADERS_MAX {
        if rest == b"\r\n" {
            return fields.head(route, true).ok();
        }
        let (header, next) = header(rest)?;
        // A streamed response keeps its content type, which this parser does not.
        fields.take(&header).ok()?;
        if fields.is_streamed() {
            return None;
        }
        rest = next;
    }
    None
}

/// The request line, and what follows it.
fn line(head: &[u8]) -> Option<(Route, &[u8])> {
    if let Some(rest) = head.strip_prefix(NEXT) {
        return Some((Route::Next, rest));
    }
    let (id, rest) = head.strip_prefix(POST)?.split_at_checked(ID_BYTES)?;
    let is_plain = |b: &u8| b.is_ascii_hexdigit() || *b == b'-';
    let rest = rest.strip_prefix(RESPONSE)?;
    let id = std::str::from_utf8(id).ok()?;
    let is_id = id.as_bytes().iter().all(is_plain);
    is_id.then(|| (Route::Post(Post::Response, id.to_owned()), rest))
}

/// The first header, and what follows it: `name: value` with visible characters and single blanks
/// between them.
fn header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let length = bytes.iter().position(|b| !is_name(b)).filter(|n| *n > 0)?;
    let (name, rest) = bytes.split_at_checked(length)?;
    let rest = rest.strip_prefix(b":")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let length = rest.iter().position(|b| !matches!(b, 0x20..=0x7e))?;
    let (value, rest) = rest.split_at_checked(length)?;
    let is_trimmed = !value.starts_with(b" ") && !value.ends_with(b" ");
    let rest = rest.strip_prefix(b"\r\n").filter(|_| is_trimmed)?;
    let name = std::str::from_utf8(name).ok()?;
    Some((Header { name, value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;
    use proptest::prelude::*;

    const ID: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

    /// What this parser makes of it; the other one must agree.
    fn taken(head: &[u8]) -> Option<Head> {
        let quick = parse(head);
        if let Some(head_read) = &quick {
            assert_eq!(route::general(head).as_ref(), Ok(head_read));
        }
        quick
    }

    #[test]
    fn what_runtimes_send_is_taken() {
        let posts = [
            format!("POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\n"),
            NEXT.iter().copied().map(char::from).collect(),
        ];
        for line in posts {
            for headers in [
                "",
                "Host: 169.254.100.1:9001\r\n",
                "host:h\r\nContent-Length: 12\r\ncontent-type: application/json\r\n",
                "Accept-Encoding: identity\r\nContent-Length: 3\r\nConnection: close\r\n",
                "Transfer-Encoding: chunked\r\nUser-Agent: a/1 (b; c)\r\n",
                "Lambda-Runtime-Invocation-Id: 7\r\nExpect: 100-continue\r\n",
            ] {
                let text = format!("{line}{headers}\r\n");
                assert!(taken(text.as_bytes()).is_some(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_other_parser() {
        for text in [
            "GET /2018-06-01/runtime/invocation/next HTTP/1.0\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next?a HTTP/1.1\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA : b\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA:  b\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA: b \r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA: \tb\r\n\r\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\nA: b\n\n",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nA: b\r\n\r\nGET",
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\n\r\n",
            "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(taken(text.as_bytes()), None, "{text}");
        }
        let streamed = "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: a/b\r\n";
        let line = format!("POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\n");
        assert_eq!(taken(format!("{line}{streamed}\r\n").as_bytes()), None);
        let many = "X: y\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(taken(format!("{line}{many}\r\n").as_bytes()), None);
    }

    proptest! {
        /// Real heads with one to three bytes changed, put in or taken out.
        #[test]
        fn both_parsers_agree_whatever_is_changed(
            post in any::<bool>(),
            names in prop::collection::vec(
                "(content-length|Content-Length|transfer-encoding|connection|expect|host|X-[a-z]{1,3}\
                  |lambda-runtime-invocation-id|Lambda-Runtime-Function-Response-Mode|content-type)", 0..5),
            values in prop::collection::vec(
                "([0-9]{1,3}|chunked|close|keep-alive, close|100-continue|streaming|[ -~\t]{0,6})", 5),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..4),
        ) {
            let line = match post {
                true => format!("POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\n"),
                false => String::from_utf8_lossy(NEXT).into_owned(),
            };
            let mut text = line;
            for (name, value) in names.iter().zip(&values) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            let mut bytes = text.into_bytes();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            taken(&bytes);
        }
    }
}
