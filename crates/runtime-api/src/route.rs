//! Request heads: what a runtime asks for. Pure.

use httparse::{EMPTY_HEADER, Status};

use crate::credentials::Credentials;
use crate::extension::GiveUp;
use crate::quick;
use crate::telemetry::Api;

/// Longest request head. `Lambda-Runtime-Function-XRay-Error-Cause` alone may take 1 MiB.
/// [Lambda Runtime API]
pub(crate) const HEAD_BYTES_MAX: usize = (1 << 20) + (64 << 10);
/// Most header lines of a request.
pub(crate) const HEADERS_MAX: usize = 64;

/// What a request asks for and how its body is framed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub route: Route,
    pub length: Length,
    pub keep_alive: bool,
    pub expects_continue: bool,
    /// `Lambda-Runtime-Function-Error-Type`
    pub error_type: Option<String>,
    pub mode: Mode,
    /// `Lambda-Runtime-Invocation-Id`
    pub invocation: Option<String>,
    /// Of a streamed response.
    pub content_type: Option<String>,
    /// The content type is `application/vnd.aws.lambda.error.cause+json`.
    pub has_cause: bool,
    pub extension: ExtensionHead,
    /// `Authorization`
    pub authorization: Option<String>,
}

/// The headers of the Extensions API.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtensionHead {
    /// `Lambda-Extension-Name`
    pub name: Option<String>,
    /// `Lambda-Extension-Identifier`
    pub identifier: Option<String>,
    /// `Lambda-Extension-Function-Error-Type`
    pub error_type: Option<String>,
    /// `Lambda-Extension-Accept-Feature`
    pub features: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Next,
    Post(Post, String),
    InitError,
    RestoreNext,
    RestoreError,
    Ping,
    Credentials,
    Extension(ExtensionRoute),
    NotFound,
    WrongMethod,
}

/// What an extension asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtensionRoute {
    Register,
    Next,
    GiveUp(GiveUp),
    Subscribe(Api),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    Response,
    Error,
}

/// `Lambda-Runtime-Function-Response-Mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Buffered,
    Streaming,
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Fixed(u64),
    Chunked,
}

/// The request cannot be understood; the connection must be closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRequest;

impl Post {
    pub(crate) fn state_name(self) -> &'static str {
        match self {
            Post::Response => "InvocationResponse",
            Post::Error => "InvocationErrorResponse",
        }
    }
}

/// Where the head ends, searching from `from` on, which moves so that no byte is searched twice.
pub(crate) fn head_end(bytes: &[u8], from: &mut usize) -> Option<usize> {
    let start = from.saturating_sub(3);
    let found = bytes
        .get(start..)?
        .windows(4)
        .position(|w| w == b"\r\n\r\n");
    *from = bytes.len();
    found.map(|at| start + at + 4)
}

/// Whether `bytes` are a request for the next event, whole and alone.
pub(crate) fn asks_next(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET /2018-06-01/runtime/invocation/next ") && bytes.ends_with(b"\r\n\r\n")
}

/// Reads a whole head, which ends with an empty line.
pub(crate) fn parse(head: &[u8]) -> Result<Head, BadRequest> {
    match quick::parse(head) {
        Some(read) => Ok(read),
        None => general(head),
    }
}

/// Reads any head.
pub(crate) fn general(head: &[u8]) -> Result<Head, BadRequest> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(n)) if n == head.len() => {}
        _ => return Err(BadRequest),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(BadRequest);
    };
    let mut fields = Fields::default();
    for header in request.headers.iter() {
        fields.take(header)?;
    }
    if fields.mode == Some(Mode::Streaming) {
        let mut types = request.headers.iter();
        let found = types.find(|h| h.name.eq_ignore_ascii_case("content-type"));
        fields.content_type = found.map(|h| String::from_utf8_lossy(h.value).into_owned());
    }
    fields.head(route(method, target), request.version == Some(1))
}

fn route(method: &str, target: &str) -> Route {
    let path = target.split('?').next().unwrap_or_default();
    if path == Credentials::PATH {
        return match method {
            "GET" => Route::Credentials,
            _ => Route::WrongMethod,
        };
    }
    let Some(path) = path.strip_prefix("/2018-06-01") else {
        return extension(method, path);
    };
    let (wanted, route) = match path {
        "/runtime/invocation/next" => ("GET", Route::Next),
        "/runtime/init/error" => ("POST", Route::InitError),
        "/runtime/restore/next" => ("GET", Route::RestoreNext),
        "/runtime/restore/error" => ("POST", Route::RestoreError),
        "/ping" => ("GET", Route::Ping),
        _ => match invocation(path) {
            Some(route) => ("POST", route),
            None => return Route::NotFound,
        },
    };
    if method == wanted {
        route
    } else {
        Route::WrongMethod
    }
}

fn extension(method: &str, path: &str) -> Route {
    let (wanted, route) = match path {
        "/2020-01-01/extension/register" => ("POST", ExtensionRoute::Register),
        "/2020-01-01/extension/event/next" => ("GET", ExtensionRoute::Next),
        "/2020-01-01/extension/init/error" => ("POST", ExtensionRoute::GiveUp(GiveUp::Init)),
        "/2020-01-01/extension/exit/error" => ("POST", ExtensionRoute::GiveUp(GiveUp::Exit)),
        "/2022-07-01/telemetry" => ("PUT", ExtensionRoute::Subscribe(Api::Telemetry)),
        "/2020-08-15/logs" => ("PUT", ExtensionRoute::Subscribe(Api::Logs)),
        _ => return Route::NotFound,
    };
    if method == wanted {
        Route::Extension(route)
    } else {
        Route::WrongMethod
    }
}

fn invocation(path: &str) -> Option<Route> {
    let (id, tail) = path.strip_prefix("/runtime/invocation/")?.split_once('/')?;
    let post = match tail {
        "response" => Post::Response,
        "error" => Post::Error,
        _ => return None,
    };
    Some(Route::Post(post, id.to_owned()))
}

impl ExtensionHead {
    fn field(&mut self, header: &str) -> Option<&mut Option<String>> {
        const PREFIX: &str = "lambda-extension-";
        let (prefix, name) = header.split_at_checked(PREFIX.len())?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        match name.to_ascii_lowercase().as_str() {
            "name" => Some(&mut self.name),
            "identifier" => Some(&mut self.identifier),
            "function-error-type" => Some(&mut self.error_type),
            "accept-feature" => Some(&mut self.features),
            _ => None,
        }
    }
}

/// What the headers say.
#[derive(Default)]
pub(crate) struct Fields {
    fixed: Option<u64>,
    chunked: bool,
    close: bool,
    expects_continue: bool,
    error_type: Option<String>,
    mode: Option<Mode>,
    invocation: Option<String>,
    content_type: Option<String>,
    has_cause: bool,
    extension: ExtensionHead,
    authorization: Option<String>,
}

impl Fields {
    pub(crate) fn take(&mut self, header: &httparse::Header<'_>) -> Result<(), BadRequest> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value;
        if is("content-length") {
            let length = content_length(value).ok_or(BadRequest)?;
            if self.fixed.replace(length).is_some_and(|old| old != length) {
                return Err(BadRequest);
            }
        } else if is("transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadRequest);
            }
            self.chunked = true;
        } else if is("connection") {
            self.close |= value
                .split(|b| *b == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if is("authorization") {
            self.authorization = Some(String::from_utf8_lossy(value).into_owned());
        } else if is("expect") {
            self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        } else if is("lambda-runtime-function-error-type") {
            self.error_type = Some(String::from_utf8_lossy(value).into_owned());
        } else if is("lambda-runtime-function-response-mode") {
            self.mode = Some(match value {
                b"" => Mode::Buffered,
                b"streaming" => Mode::Streaming,
                _ => Mode::Invalid,
            });
        } else if is("lambda-runtime-invocation-id") {
            self.invocation = Some(String::from_utf8_lossy(value).into_owned());
        } else if is("content-type") {
            self.has_cause = value == b"application/vnd.aws.lambda.error.cause+json";
        } else if let Some(field) = self.extension.field(header.name) {
            *field = Some(String::from_utf8_lossy(value).into_owned());
        }
        Ok(())
    }

    pub(crate) fn is_streamed(&self) -> bool {
        self.mode == Some(Mode::Streaming)
    }

    pub(crate) fn head(self, route: Route, is_http_1_1: bool) -> Result<Head, BadRequest> {
        Ok(Head {
            route,
            length: self.length()?,
            keep_alive: !self.close && is_http_1_1,
            expects_continue: self.expects_continue,
            error_type: self.error_type,
            mode: self.mode.unwrap_or(Mode::Buffered),
            invocation: self.invocation,
            content_type: self.content_type,
            has_cause: self.has_cause,
            extension: self.extension,
            authorization: self.authorization,
        })
    }

    /// A request with two framings has none.  [RFC 9112, 6.3]
    fn length(&self) -> Result<Length, BadRequest> {
        match (self.fixed, self.chunked) {
            (Some(_), true) => Err(BadRequest),
            (None, true) => Ok(Length::Chunked),
            (fixed, false) => Ok(Length::Fixed(fixed.unwrap_or(0))),
        }
    }
}

fn content_length(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok()?;
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Head, BadRequest> {
        parse(text.replace('\n', "\r\n").as_bytes())
    }

    fn routed(line: &str) -> Route {
        head(&format!("{line} HTTP/1.1\n\n")).unwrap().route
    }

    #[test]
    fn each_path_has_one_method() {
        for (line, route) in [
            ("GET /2018-06-01/runtime/invocation/next", Route::Next),
            ("POST /2018-06-01/runtime/init/error", Route::InitError),
            ("GET /2018-06-01/runtime/restore/next", Route::RestoreNext),
            (
                "POST /2018-06-01/runtime/restore/error",
                Route::RestoreError,
            ),
            ("GET /2018-06-01/ping", Route::Ping),
            (
                "POST /2018-06-01/runtime/invocation/a-b/response",
                Route::Post(Post::Response, "a-b".into()),
            ),
            (
                "POST /2018-06-01/runtime/invocation/a-b/error?x=1",
                Route::Post(Post::Error, "a-b".into()),
            ),
            (
                "POST /2018-06-01/runtime/invocation/next",
                Route::WrongMethod,
            ),
            (
                "GET /2018-06-01/runtime/invocation/x/error",
                Route::WrongMethod,
            ),
            (
                "GET /2018-06-01/runtime/invocation/x/other",
                Route::NotFound,
            ),
            (
                "POST /2020-01-01/extension/register",
                Route::Extension(ExtensionRoute::Register),
            ),
            (
                "GET /2020-01-01/extension/event/next",
                Route::Extension(ExtensionRoute::Next),
            ),
            (
                "POST /2020-01-01/extension/exit/error",
                Route::Extension(ExtensionRoute::GiveUp(GiveUp::Exit)),
            ),
            (
                "PUT /2022-07-01/telemetry",
                Route::Extension(ExtensionRoute::Subscribe(Api::Telemetry)),
            ),
            (
                "PUT /2020-08-15/logs",
                Route::Extension(ExtensionRoute::Subscribe(Api::Logs)),
            ),
            ("POST /2022-07-01/telemetry", Route::WrongMethod),
            ("POST /2020-01-01/extension/other", Route::NotFound),
            ("GET /2018-06-01", Route::NotFound),
            ("GET /", Route::NotFound),
        ] {
            assert_eq!(routed(line), route, "{line}");
        }
    }

    #[test]
    fn the_headers_of_the_api_are_read() {
        let got = head(
            "POST /2018-06-01/runtime/invocation/i/error HTTP/1.1\nHost: h\ncontent-LENGTH: 3\n\
             Expect: 100-continue\nConnection: Keep-Alive, close\n\
             Lambda-Runtime-Function-Error-Type: Runtime.X\nLambda-Runtime-Invocation-Id: 9\n\
             Lambda-Runtime-Function-Response-Mode: streaming\n\n",
        )
        .unwrap();
        assert_eq!(got.length, Length::Fixed(3));
        assert!(got.expects_continue && !got.keep_alive);
        assert_eq!(got.error_type.as_deref(), Some("Runtime.X"));
        assert_eq!(got.invocation.as_deref(), Some("9"));
        assert_eq!(got.mode, Mode::Streaming);
    }

    #[test]
    fn a_framing_that_can_be_read_two_ways_is_refused() {
        for headers in [
            "Content-Length: 1\nContent-Length: 2",
            "Content-Length: 1\nTransfer-Encoding: chunked",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            "Content-Length : 1",
            "X: a\n b",
        ] {
            let text = format!("POST /2018-06-01/ping HTTP/1.1\n{headers}\n\n");
            assert_eq!(head(&text), Err(BadRequest), "{headers}");
        }
    }

    #[test]
    fn too_many_headers_are_refused() {
        let many = "X: y\n".repeat(HEADERS_MAX + 1);
        let text = format!("GET /2018-06-01/ping HTTP/1.1\n{many}\n");
        assert_eq!(head(&text), Err(BadRequest));
    }

    proptest! {
        #[test]
        fn the_end_of_a_head_is_found_however_it_arrives(
            body in "[a-z\r\n]{0,60}", cuts in prop::collection::vec(0usize..64, 0..8),
        ) {
            let text = format!("GET / HTTP/1.1\r\nA: b\r\n\r\n{body}");
            let bytes = text.as_bytes();
            let mut from = 0;
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c < 24).collect();
            cuts.sort_unstable();
            for cut in cuts {
                prop_assert_eq!(head_end(&bytes[..cut], &mut from), None);
            }
            prop_assert_eq!(head_end(bytes, &mut from), Some(24));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_text_that_looks_like_a_request_makes_the_parser_panic(
            text in "(GET|POST) /2018-06-01/runtime/[a-z/]{0,20} HTTP/1.[01]\r\n([A-Za-z-]{1,12}: ?[ -~]{0,12}\r\n){0,5}\r\n",
        ) {
            let _ = parse(text.as_bytes());
        }
    }
}
