//! Requests that a web page makes in its reader's browser.
//!
//! Where signatures are not checked every page that somebody on this machine reads could call the API: a form
//! or an image needs no permission of ours. A browser says for whom it asks, and pages cannot change what it
//! says.  [Fetch: Origin header; Fetch Metadata: Sec-Fetch-Site]

use std::net::IpAddr;

use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderName, Uri};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page that is not from this machine asks.
pub(crate) fn is_foreign(parts: &Parts) -> bool {
    if let Some(origin) = parts.headers.get(ORIGIN) {
        return !origin.to_str().is_ok_and(is_local);
    }
    // Images and links come without an origin.
    let site = parts.headers.get(FETCH_SITE);
    site.is_some_and(|site| site.as_bytes() == b"cross-site")
}

fn is_local(origin: &str) -> bool {
    let uri = origin.parse::<Uri>();
    let Some(host) = uri.as_ref().ok().and_then(Uri::host) else {
        return false; // `null`
    };
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    // Names below `localhost` are this machine.  [RFC 6761, section 6.3]
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn pages_of_other_hosts_are_foreign() {
        for (name, value, is) in [
            ("accept", "*/*", false),
            ("origin", "http://evil.example", true),
            ("origin", "https://localhost.evil.example", true),
            ("origin", "http://localhost@evil.example", true),
            ("origin", "http://192.168.0.7:3000", true),
            ("origin", "null", true),
            ("origin", "", true),
            ("origin", "http://localhost:3000", false),
            ("origin", "http://LOCALHOST", false),
            ("origin", "http://app.localhost:3000", false),
            ("origin", "http://127.0.0.1:3000", false),
            ("origin", "http://[::1]:3000", false),
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
        ] {
            let request = Request::builder().header(name, value).body(()).unwrap();
            let parts = request.into_parts().0;
            assert_eq!(is_foreign(&parts), is, "{name}: {value}");
        }
    }
}
