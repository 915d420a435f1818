use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::vectors::{ACCESS_KEY, SECRET, SIGNED};
use super::*;

/// When the suite's requests are signed: 2015-08-30T12:36:00Z.
const SIGNED_MS: i64 = 1_440_938_160_000;

/// Knows the suite's key, and takes any session token for the right one.
struct Suite {
    token: Option<String>,
}

impl Credentials for Suite {
    fn find(&self, access_key: &str) -> Option<Credential> {
        (access_key == ACCESS_KEY).then(|| Credential {
            secret: Secret::new(SECRET),
            account: "123456789012".to_owned(),
            principal: None,
            session_token: self.token.as_deref().map(Secret::new),
            expires_unix_ms: None,
        })
    }
}

/// Reads a request as it is on the wire; a folded header line becomes a blank.
fn parse(text: &str) -> (Parts, Bytes) {
    let text = text.replace("\n ", " ");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let line = lines.next().unwrap();
    let (method, rest) = line.split_once(' ').unwrap();
    let (uri, _) = rest.rsplit_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).unwrap();
        request = request.header(name, value);
    }
    let parts = request.body(()).unwrap().into_parts().0;
    (parts, Bytes::copy_from_slice(body.as_bytes()))
}

fn token(parts: &Parts) -> Option<String> {
    let header = parts.headers.get("x-amz-security-token");
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "X-Amz-Security-Token")
        .map(|(_, value)| value.into_owned());
    header.map(|v| v.to_str().unwrap().to_owned()).or(query)
}

fn settle(parts: &Parts, body: Bytes, now_unix_ms: i64) -> Result<(Identity, Bytes), Denied> {
    let suite = Suite {
        token: token(parts),
    };
    let access = Access::new(Mode::Strict, Arc::new(suite));
    let mut admitted = access.admit(parts, Some("service"), now_unix_ms, true)?;
    let body = admitted.settle(parts, body)?;
    Ok((admitted.identity, body))
}

/// The suite signs these before the token is added, as one service of AWS wants it. Here the token
/// must be signed, or somebody else's could take its place.
fn is_signed_without_token(name: &str) -> bool {
    name.starts_with("post-sts-header-after")
}

#[test]
fn the_requests_of_the_published_suite_are_let_in() {
    for (name, text) in SIGNED {
        let (parts, body) = parse(text);
        let settled = settle(&parts, body.clone(), SIGNED_MS);
        if is_signed_without_token(name) {
            assert!(matches!(settled, Err(Denied::Signature(_))), "{name}");
            continue;
        }
        let (identity, payload) = settled.unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!(identity.account, "123456789012", "{name}");
        assert_eq!(identity.region, "us-east-1", "{name}");
        assert!(identity.is_verified, "{name}");
        assert_eq!(payload, body, "{name}");
    }
}

#[test]
fn a_changed_request_of_the_suite_is_refused() {
    type Change = (&'static str, fn(&mut Parts, &mut Bytes));
    let changes: &[Change] = &[
        ("method", |parts, _| parts.method = http::Method::PUT),
        ("body", |_, body| *body = Bytes::from_static(b"other")),
        ("host", |parts, _| {
            let other = HeaderValue::from_static("evil.example");
            parts.headers.insert("host", other);
        }),
        ("added x-amz header", |parts, _| {
            let value = HeaderValue::from_static("1");
            parts.headers.insert("x-amz-invocation-type", value);
        }),
        ("path", |parts, _| {
            let text = parts.uri.to_string();
            let (path, query) = text.split_once('?').unwrap_or((&text, ""));
            parts.uri = format!("{path}x?{query}").parse().unwrap();
        }),
        ("query", |parts, _| {
            let text = parts.uri.to_string();
            let gap = if text.contains('?') { '&' } else { '?' };
            parts.uri = format!("{text}{gap}x=1").parse().unwrap();
        }),
    ];
    for (name, text) in SIGNED.iter().filter(|(n, _)| !is_signed_without_token(n)) {
        for (what, change) in changes {
            let (mut parts, mut body) = parse(text);
            change(&mut parts, &mut body);
            let settled = settle(&parts, body, SIGNED_MS).map(|_| ());
            assert!(
                matches!(settled, Err(Denied::Signature(_))),
                "{name}: {what}"
            );
        }
    }
}

#[test]
fn every_changed_character_of_the_authorization_is_refused() {
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (header)")
        .unwrap();
    let (parts, body) = parse(text);
    let whole = parts.headers["authorization"].to_str().unwrap().to_owned();
    for at in 0..whole.len() {
        let mut changed = whole.clone().into_bytes();
        changed[at] = if changed[at] == b'b' { b'c' } else { b'b' };
        let mut parts = parts.clone();
        let value = HeaderValue::from_bytes(&changed).unwrap();
        parts.headers.insert("authorization", value);
        let settled = settle(&parts, body.clone(), SIGNED_MS);
        assert!(settled.is_err(), "{}", String::from_utf8(changed).unwrap());
    }
}

#[test]
fn the_window_is_five_minutes_to_the_second() {
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (header)")
        .unwrap();
    let (parts, body) = parse(text);
    for (offset_ms, expected) in [
        (0, None),
        (300_999, None),
        (-300_000, None),
        (
            301_000,
            Some(
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
                 (20150830T124101Z - 5 min.)",
            ),
        ),
        (
            -301_000,
            Some(
                "Signature not yet current: 20150830T123600Z is still later than \
                 20150830T123559Z (20150830T123059Z + 5 min.)",
            ),
        ),
    ] {
        let settled = settle(&parts, body.clone(), SIGNED_MS + offset_ms);
        let refusal = settled.err();
        let expected = expected.map(|text| Denied::Signature(text.to_owned()));
        assert_eq!(refusal, expected, "{offset_ms}");
    }
}

#[test]
fn a_presigned_url_is_good_until_it_expires() {
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (query)")
        .unwrap();
    let (parts, body) = parse(text);
    for (offset_ms, is_good) in [
        (0, true),
        (3_600_999, true),
        (3_601_000, false),
        (-300_000, true),
        (-301_000, false),
    ] {
        let settled = settle(&parts, body.clone(), SIGNED_MS + offset_ms);
        assert_eq!(settled.is_ok(), is_good, "{offset_ms}");
    }
}

/// Admits a request whose head is that of `get-vanilla`, changed.
fn refusal(change: impl FnOnce(&mut Parts)) -> Option<Denied> {
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (header)")
        .unwrap();
    let (mut parts, body) = parse(text);
    change(&mut parts);
    settle(&parts, body, SIGNED_MS).err()
}

fn set(parts: &mut Parts, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    parts.headers.insert(name, value);
}

#[test]
fn what_is_not_whole_is_refused_in_the_words_of_aws() {
    let scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    let zeros = "0".repeat(64);
    let cases: Vec<(String, Denied)> = vec![
        (
            "AWS4-HMAC-SHA256".to_owned(),
            Denied::Incomplete(
                "Authorization header requires 'Credential' parameter. Authorization header \
                 requires 'Signature' parameter. Authorization header requires 'SignedHeaders' \
                 parameter."
                    .to_owned(),
            ),
        ),
        (
            "Bearer abc".to_owned(),
            Denied::Incomplete("Unsupported AWS 'algorithm': 'Bearer'".to_owned()),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential={scope}, oops, SignedHeaders=host, Signature=00"),
            Denied::Incomplete(
                "Invalid key=value pair (missing equal-sign) in Authorization header: 'oops'."
                    .to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={scope}, Credential={scope}, SignedHeaders=host, \
                 Signature=00"
            ),
            Denied::Incomplete(
                "Authorization header has more than one 'Credential' parameter.".to_owned(),
            ),
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host, Signature=00".to_owned(),
            Denied::Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got 'AKIDEXAMPLE'"
                    .to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host;x-amz-date, Signature={zeros}",
                scope.replace("aws4_request", "aws5")
            ),
            Denied::Signature(
                "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'."
                    .to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host;x-amz-date, Signature={zeros}",
                scope.replace("0830", "0829")
            ),
            Denied::Signature(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '20150829' != '20150830', from '20150830T123600Z'."
                    .to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host;x-amz-date, Signature={zeros}",
                scope.replace("service", "sqs")
            ),
            Denied::Signature(
                "Credential should be scoped to correct service: 'service'.".to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host;x-amz-date, Signature={zeros}",
                scope.replace("AKIDEXAMPLE", "AKIDOTHER")
            ),
            Denied::UnknownKey,
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=x-amz-date, Signature={zeros}"
            ),
            Denied::Signature(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned(),
            ),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={zeros}"),
            Denied::Signature(
                "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={zeros}"
            ),
            Denied::mismatch(),
        ),
        (
            format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=x"
            ),
            Denied::mismatch(),
        ),
    ];
    for (authorization, expected) in cases {
        let denied = refusal(|parts| set(parts, "authorization", &authorization));
        assert_eq!(denied, Some(expected), "{authorization}");
    }
    assert_eq!(
        refusal(|parts| {
            parts.headers.remove("authorization");
        }),
        Some(Denied::Missing)
    );
}

#[test]
fn a_second_authentication_is_refused() {
    let twice = refusal(|parts| {
        let value = parts.headers["authorization"].clone();
        parts.headers.append("authorization", value);
    });
    assert!(matches!(twice, Some(Denied::Incomplete(_))), "{twice:?}");
    let both = refusal(|parts| parts.uri = "/?X-Amz-Signature=00".parse().unwrap());
    assert!(matches!(both, Some(Denied::Incomplete(_))), "{both:?}");
    for name in ["x-amz-date", "x-amz-security-token", "host"] {
        let twice = refusal(|parts| {
            parts.headers.append(name, HeaderValue::from_static("a"));
            parts.headers.append(name, HeaderValue::from_static("a"));
        });
        assert!(
            matches!(twice, Some(Denied::Incomplete(_))),
            "{name}: {twice:?}"
        );
    }
}

#[test]
fn temporary_credentials_need_their_token_until_they_end() {
    struct Temporary;
    impl Credentials for Temporary {
        fn find(&self, _access_key: &str) -> Option<Credential> {
            Some(Credential {
                secret: Secret::new(SECRET),
                account: "123456789012".to_owned(),
                principal: None,
                session_token: Some(Secret::new("token")),
                expires_unix_ms: Some(SIGNED_MS + 10),
            })
        }
    }
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (header)")
        .unwrap();
    let access = Access::new(Mode::Strict, Arc::new(Temporary));
    for (token, now, expected) in [
        (None, SIGNED_MS, Denied::UnknownKey),
        (Some("other"), SIGNED_MS, Denied::UnknownKey),
        (Some("token"), SIGNED_MS + 10, Denied::ExpiredToken),
    ] {
        let (mut parts, _) = parse(text);
        if let Some(token) = token {
            set(&mut parts, "x-amz-security-token", token);
        }
        let denied = access.admit(&parts, Some("service"), now, true).err();
        assert_eq!(denied, Some(expected), "{token:?}");
    }
}

#[test]
fn the_mode_decides_what_a_caller_on_this_machine_must_show() {
    let (_, text) = SIGNED
        .iter()
        .find(|(n, _)| *n == "get-vanilla (header)")
        .unwrap();
    let (signed, _) = parse(text);
    let (bare, _) = parse("GET / HTTP/1.1\nHost:h");
    let (wrong, _) = parse("GET / HTTP/1.1\nHost:h\nAuthorization:AWS4-HMAC-SHA256 Credential=a");
    for (mode, parts, is_loopback, expected) in [
        (Mode::Off, &bare, true, None),
        (Mode::Off, &wrong, true, None),
        (Mode::Off, &bare, false, Some(Denied::Missing)),
        (Mode::Parse, &bare, true, Some(Denied::Missing)),
        (Mode::Parse, &signed, true, None),
        (Mode::Parse, &signed, false, Some(Denied::UnknownKey)),
        (Mode::Strict, &bare, true, Some(Denied::Missing)),
        (Mode::Strict, &signed, true, Some(Denied::UnknownKey)),
    ] {
        let access = Access::new(mode, Arc::new(NoCredentials));
        let denied = access.admit(parts, None, SIGNED_MS, is_loopback).err();
        assert_eq!(denied, expected, "{mode:?} {is_loopback}");
    }
    let access = Access::new(Mode::Parse, Arc::new(NoCredentials));
    let denied = access.admit(&wrong, None, SIGNED_MS, true).err();
    assert!(matches!(denied, Some(Denied::Incomplete(_))), "{denied:?}");
}

#[test]
fn an_unverified_caller_has_the_account_and_region_it_names() {
    let access = Access::off()
        .default_account("111111111111")
        .default_region("eu-central-1");
    for (credential, account, region, key) in [
        ("", "111111111111", "eu-central-1", None),
        (
            "123456789012/20261120/us-west-2/lambda/aws4_request",
            "123456789012",
            "us-west-2",
            Some("123456789012"),
        ),
        (
            "test/20261120/us-west-2/lambda/aws4_request",
            "111111111111",
            "us-west-2",
            Some("test"),
        ),
        (
            "a/b/20261120/us-west-2/lambda/aws4_request",
            "111111111111",
            "us-west-2",
            Some("a/b"),
        ),
        ("nonsense", "111111111111", "eu-central-1", None),
        ("////", "111111111111", "eu-central-1", None),
    ] {
        let header = format!("AWS4-HMAC-SHA256 Credential={credential}, Signature=0");
        let (parts, _) = parse(&format!("GET / HTTP/1.1\nAuthorization:{header}"));
        let identity = access.anybody(&parts).identity;
        assert_eq!(identity.account, account, "{credential}");
        assert_eq!(identity.region, region, "{credential}");
        assert_eq!(identity.access_key.as_deref(), key, "{credential}");
        assert!(!identity.is_verified);
    }
}

/// The key of S3's published examples, and the time at which they are signed.
struct S3;

const S3_MS: i64 = 1_369_353_600_000;

impl Credentials for S3 {
    fn find(&self, access_key: &str) -> Option<Credential> {
        (access_key == "AKIAIOSFODNN7EXAMPLE").then(|| Credential {
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            account: "123456789012".to_owned(),
            principal: None,
            session_token: None,
            expires_unix_ms: None,
        })
    }
}

fn settle_s3(head: &str, body: String) -> Result<Bytes, Denied> {
    let (parts, _) = parse(head);
    let access = Access::new(Mode::Strict, Arc::new(S3));
    let mut admitted = access.admit(&parts, Some("s3"), S3_MS, true)?;
    admitted.settle(&parts, Bytes::from(body))
}

/// [S3 API: example of transferring a payload in multiple chunks]
#[test]
fn the_published_chunked_upload_is_let_in() {
    let head = "PUT /examplebucket/chunkObject.txt HTTP/1.1\nHost:s3.amazonaws.com\n\
        x-amz-date:20130524T000000Z\nx-amz-storage-class:REDUCED_REDUNDANCY\n\
        x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD\nContent-Encoding:aws-chunked\n\
        x-amz-decoded-content-length:66560\nContent-Length:66824\nAuthorization:AWS4-HMAC-SHA256 \
        Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
        SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
        x-amz-decoded-content-length;x-amz-storage-class, \
        Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let body = |fill: &str| {
        format!(
            "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\
             \r\n{}\r\n400;chunk-signature=\
             0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n{}\r\n\
             0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\
             \r\n\r\n",
            "a".repeat(65_536),
            fill.repeat(1024)
        )
    };
    let payload = settle_s3(head, body("a")).unwrap();
    assert_eq!(payload, vec![b'a'; 66_560]);
    assert_eq!(settle_s3(head, body("b")), Err(Denied::mismatch()));
    let other = head.replace("length:66560", "length:66559");
    assert_eq!(settle_s3(&other, body("a")), Err(Denied::mismatch()));
}

/// [S3 API: example of a presigned URL]
#[test]
fn the_published_presigned_download_is_let_in() {
    let head = "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
        AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=\
        20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
        aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\n\
        Host:examplebucket.s3.amazonaws.com";
    assert_eq!(settle_s3(head, String::new()), Ok(Bytes::new()));
    let longer = head.replace("Expires=86400", "Expires=86401");
    assert_eq!(settle_s3(&longer, String::new()), Err(Denied::mismatch()));
}

#[test]
fn a_body_without_signature_may_still_be_chunked() {
    let head = "PUT /x HTTP/1.1\nx-amz-content-sha256:STREAMING-UNSIGNED-PAYLOAD-TRAILER\n\
                x-amz-decoded-content-length:3";
    for (body, expected) in [
        (
            "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AA\r\n\r\n",
            Ok(Bytes::from_static(b"abc")),
        ),
        ("2\r\nab\r\n0\r\n\r\n", Err(Denied::Framing)),
        ("abc", Err(Denied::Framing)),
    ] {
        let (parts, _) = parse(head);
        let settled = Access::off()
            .anybody(&parts)
            .settle(&parts, Bytes::from(body));
        assert_eq!(settled, expected, "{body}");
    }
}
