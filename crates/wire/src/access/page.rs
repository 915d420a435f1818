//! Requests that a web page makes in its reader's browser.
//!
//! Where signatures are not checked every page that somebody on this machine reads could call the API: a form
//! or an image needs no permission of ours. A browser says for whom it asks, and pages cannot change what it
//! says.  [Fetch: Origin header; Fetch Metadata: Sec-Fetch-Site]
//!
//! A page whose own name is made to lead here asks as a page of this server would. What it cannot change is that
//! name: it stands in `Host`. So only names are good that nobody can have lead here from outside.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderName, Uri};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names that no stranger has in the name service: reserved ones, and those of AWS, for clients that are led
/// here by a hosts file.  [RFC 6761, RFC 6762, RFC 8375; ICANN: .internal]
const OWN_ENDS: [&str; 12] = [
    "localhost",
    "local",
    "internal",
    "test",
    "example",
    "invalid",
    "lan",
    "home.arpa",
    "amazonaws.com",
    "amazonaws.com.cn",
    "api.aws",
    "on.aws",
];

/// Why a request is not from somebody on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Foreign {
    Page,
    /// It asks for a name that may be anybody's.
    Host,
}

/// Whether a page that is not from this machine asks. `hosts` are good besides those that cannot be foreign.
pub(crate) fn foreign(parts: &Parts, hosts: &[String]) -> Option<Foreign> {
    let host = match parts.headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => parts.uri.authority().map_or("localhost", |a| a.as_str()),
    };
    if !is_own(host, hosts) {
        return Some(Foreign::Host);
    }
    if let Some(origin) = parts.headers.get(ORIGIN) {
        let is_own = origin.to_str().is_ok_and(is_local);
        return (!is_own).then_some(Foreign::Page);
    }
    // Images and links come without an origin.
    let site = parts.headers.get(FETCH_SITE);
    let is_cross = site.is_some_and(|site| site.as_bytes() == b"cross-site");
    is_cross.then_some(Foreign::Page)
}

/// A host without its port, and without the brackets of an address.
fn bare(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_own(authority: &str, hosts: &[String]) -> bool {
    let host = bare(authority).trim_end_matches('.').to_ascii_lowercase();
    // A name without a dot is nobody's in the name service.
    if !host.contains('.') || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let ends = OWN_ENDS.into_iter().chain(hosts.iter().map(String::as_str));
    ends.into_iter().any(|end| {
        let front = host.strip_suffix(end);
        front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

fn is_local(origin: &str) -> bool {
    let uri = origin.parse::<Uri>();
    let Some(host) = uri.as_ref().ok().and_then(Uri::host) else {
        return false; // `null`
    };
    let host = bare(host).to_ascii_lowercase();
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    // Names below `localhost` are this machine.  [RFC 6761, section 6.3]
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(name: &str, value: &str, expected: Option<Foreign>) {
        let request = Request::builder().header(name, value).body(()).unwrap();
        let parts = request.into_parts().0;
        let found = foreign(&parts, &["kiln.corp.com".to_owned()]);
        assert_eq!(found, expected, "{name}: {value}");
    }

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
            check(name, value, is.then_some(Foreign::Page));
        }
    }

    #[test]
    fn a_name_that_a_stranger_can_have_lead_here_is_foreign() {
        for (host, is) in [
            ("evil.com", true),
            ("evil.com:4566", true),
            ("localhost.evil.com", true),
            ("127.0.0.1.evil.com", true),
            ("amazonaws.com.evil.com", true),
            ("notamazonaws.com", true),
            ("evil.corp.com", true),
            ("localhost", false),
            ("localhost:4566", false),
            ("Localhost.:4566", false),
            ("127.0.0.1:4566", false),
            ("169.254.100.1:4566", false),
            ("[::1]:4566", false),
            ("kiln", false),
            ("kiln:4566", false),
            ("host.docker.internal:4566", false),
            ("sqs.us-east-1.amazonaws.com", false),
            ("KILN.corp.com", false),
            ("sqs.kiln.corp.com:80", false),
        ] {
            check("host", host, is.then_some(Foreign::Host));
        }
    }
}
