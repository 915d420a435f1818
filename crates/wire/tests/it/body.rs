use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Frame, SizeHint};
use wire::{Access, Router};

use crate::toy::{Answer, info, send, service};

/// A body that comes in pieces, and may break.
struct Pieces {
    left: VecDeque<Result<Bytes, &'static str>>,
    announced: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.left.pop_front().map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.announced);
        hint
    }
}

fn post(path: &str, pieces: &[Result<&'static str, &'static str>], announced: u64) -> Answer {
    let left = pieces
        .iter()
        .map(|piece| piece.map(|text| Bytes::from_static(text.as_bytes())));
    let body = Pieces {
        left: left.collect(),
        announced,
    };
    let request = Request::builder().method(Method::POST).uri(path).body(body);
    let router = Router::new(Access::off()).with(service());
    send(&router, request.unwrap(), info())
}

#[test]
fn a_body_may_come_in_pieces() {
    let pieces = [Ok(""), Ok("{\"Na"), Ok("me\": \""), Ok("f\"}"), Ok("")];
    for announced in [0, 13] {
        let answer = post("/2015-03-31/things", &pieces, announced);
        assert_eq!(answer.text(), r#"{"Name":"f"}"#);
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_after_it_was_read() {
    let piece = Ok("0123456789");
    let long = vec![piece; 200];
    for announced in [0, 2000] {
        let answer = post("/2015-03-31/things", &long, announced);
        assert_eq!(answer.status, 413);
        assert_eq!(
            answer.header("x-amzn-errortype"),
            "RequestEntityTooLargeException"
        );
        assert_eq!(
            answer.json()["message"],
            "Request must be smaller than 1000 bytes for the CreateThing operation"
        );
        let answer = post("/2015-03-31/things/f/runs", &long, announced);
        assert_eq!(answer.status, 413);
        assert_eq!(
            answer.header("x-amzn-errortype"),
            "RequestTooLargeException"
        );
        assert_eq!(answer.json()["message"], "f: 2000 bytes");
    }
    let fits = vec![piece; 10];
    assert_eq!(post("/2015-03-31/things/f/runs", &fits, 0).text(), "f::100");
}

#[test]
fn a_body_that_breaks_off_is_a_timeout() {
    for path in ["/2015-03-31/things", "/2015-03-31/things/f/runs"] {
        let answer = post(path, &[Ok("{"), Err("reset")], 100);
        assert_eq!(answer.status, 408);
        assert_eq!(answer.header("x-amzn-errortype"), "RequestTimeoutException");
        assert!(!answer.text().contains("reset"), "{}", answer.text());
    }
    let answer = post("/2015-03-31/nothing", &[Ok("{"), Err("reset")], 100);
    assert_eq!(answer.status, 403);
}
