use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// Characters of a URL.
const URL_MAX: usize = 8_192;

/// A URL taken apart.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) is_tls: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What the header `Host` says: the port only where it is not the scheme's.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
    /// User and password, as the header `Authorization` has them.
    pub(crate) basic: Option<HeaderValue>,
}

impl Endpoint {
    /// Takes a URL apart; fails with the reason why nothing can be sent there.
    pub(crate) fn parse(url: &str) -> Result<Endpoint, String> {
        if url.len() > URL_MAX {
            return Err(format!("the URL is longer than {URL_MAX} characters"));
        }
        let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
        let (is_tls, usual) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err("its scheme is neither http nor https".to_owned()),
        };
        let bare = uri.host().unwrap_or_default();
        if bare.is_empty() {
            return Err("it names no host".to_owned());
        }
        let whole = uri.authority().map_or("", |a| a.as_str());
        let port = match whole.rsplit_once(bare).map_or("", |(_, rest)| rest) {
            "" | ":" => usual,
            rest => rest
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .ok_or("its port is no port")?,
        };
        let authority = match port == usual {
            true => bare.to_owned(),
            false => format!("{bare}:{port}"),
        };
        let target = uri.path_and_query().map_or("/", |p| p.as_str());
        Ok(Endpoint {
            is_tls,
            host: bare.trim_matches(['[', ']']).to_owned(),
            port,
            authority,
            target: target.to_owned(),
            basic: basic(whole),
        })
    }

    /// The address, if the URL names one and no name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Basic authentication with the user and password before `@`.
fn basic(authority: &str) -> Option<HeaderValue> {
    let (user, _) = authority.rsplit_once('@')?;
    let user: Vec<u8> = percent_decode_str(user).collect();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, host, port, authority, target) in [
            ("http://h", "h", 80, "h", "/"),
            ("http://h:80/a?b=c", "h", 80, "h", "/a?b=c"),
            (
                "https://h.example:8443/a",
                "h.example",
                8443,
                "h.example:8443",
                "/a",
            ),
            ("https://[::1]:9/", "::1", 9, "[::1]:9", "/"),
            ("http://u:p@h/x", "h", 80, "h", "/x"),
            ("HTTPS://H/", "H", 443, "H", "/"),
        ] {
            let found = Endpoint::parse(url).unwrap();
            let got = (found.host.as_str(), found.port, found.authority.as_str());
            assert_eq!(got, (host, port, authority), "{url}");
            assert_eq!(found.target, target, "{url}");
        }
        let with_password = Endpoint::parse("http://user:p%40ss@h/").unwrap();
        assert_eq!(with_password.basic.unwrap(), "Basic dXNlcjpwQHNz");
        assert!(Endpoint::parse("http://h/").unwrap().basic.is_none());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let long = format!("http://h/{}", "a".repeat(URL_MAX));
        for bad in [
            "",
            "h",
            "/a",
            "ftp://h/",
            "http://",
            "http:///a",
            "http://h:99999/",
            "http://a b/",
            long.as_str(),
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
