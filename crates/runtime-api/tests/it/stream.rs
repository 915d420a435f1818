//! Responses in pieces.  [spec 4.12]

use bytes::Bytes;
use model::FunctionError;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use runtime_api::{Piece, Reply, ResponseReader, response_stream};

use crate::client::{Client, REQUEST, call, invocation, path, with_session};

const STREAMING: &str = "Lambda-Runtime-Function-Response-Mode: streaming\r\n";

fn head(headers: &str) -> String {
    let path = invocation("response");
    format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{STREAMING}{headers}\r\n")
}

fn begin(content_type: Option<&str>) -> Option<Piece> {
    Some(Piece::Begin {
        content_type: content_type.map(str::to_owned),
    })
}

/// All bytes up to the end, behind the beginning.
async fn rest(mut reader: ResponseReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await {
        if let Piece::Bytes(bytes) = piece {
            assert!(!bytes.is_empty());
            all.extend_from_slice(&bytes);
        }
    }
    all
}

#[test]
fn a_piece_arrives_before_the_next_is_written() {
    with_session(|mut handle, address| async move {
        let (writer, mut reader) = response_stream(100);
        let talk = async {
            let mut client = Client::connect(address).await;
            client.get(&path("invocation/next")).await;
            client
                .send(head("Content-Type: text/x\r\n").as_bytes())
                .await;
            assert_eq!(reader.next().await, begin(Some("text/x")));
            for part in ["one", "two"] {
                client.send(format!("3\r\n{part}\r\n").as_bytes()).await;
                assert_eq!(reader.next().await, Some(Piece::Bytes(part.into())));
            }
            client.send(b"0\r\n\r\n").await;
            assert_eq!(client.answer().await.status, 202);
            assert_eq!(reader.next().await, None);
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk);
        assert_eq!(reply, Reply::Response(Bytes::new()));
    });
}

#[test]
fn an_answer_in_another_mode_is_collected() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        for (kind, headers) in [("response", ""), ("error", STREAMING)] {
            let (writer, mut reader) = response_stream(100);
            let talk = async {
                client.get(&path("invocation/next")).await;
                client.post(&invocation(kind), headers, b"1").await;
            };
            let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk);
            match reply {
                Reply::Response(bytes) => assert_eq!((&bytes[..], kind), (&b"1"[..], "response")),
                Reply::Error(error) => assert_eq!((&error.payload[..], kind), (&b"1"[..], "error")),
                other => panic!("{other:?}"),
            }
            assert_eq!(reader.next().await, None);
        }
    });
}

#[test]
fn a_stream_without_a_reader_s_wish_is_collected() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let talk = async {
            client.get(&path("invocation/next")).await;
            let body = "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
            client
                .chunked(&invocation("response"), STREAMING, body)
                .await
        };
        let (reply, _) = tokio::join!(handle.invoke(call(b"{}"), None), talk);
        assert_eq!(reply, Reply::Response("abc".into()));
    });
}

#[test]
fn an_error_after_the_first_pieces_is_in_the_trailers() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let (writer, reader) = response_stream(100);
        let talk = async {
            client.get(&path("invocation/next")).await;
            let body = "2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Late\r\n\
                        Lambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n";
            client.send((head("") + body).as_bytes()).await;
            client.answer().await.status
        };
        let (reply, status, all) =
            tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
        let error = FunctionError {
            kind: Some("Late".to_owned()),
            payload: Bytes::from_static(b"{\"a\":1}"),
        };
        assert_eq!((reply, status), (Reply::Error(error), 202));
        assert_eq!(all, b"ab");
    });
}

#[test]
fn a_stream_ends_at_its_limit() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        for (bytes, status) in [(100, 202), (101, 413)] {
            let (writer, reader) = response_stream(100);
            let talk = async {
                client.get(&path("invocation/next")).await;
                let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
                client.send((head("") + &body).as_bytes()).await;
                let answer = client.answer().await;
                if status == 413 {
                    assert!(
                        answer.text().contains("payload size (100 bytes)."),
                        "{answer:?}"
                    );
                }
                answer.status
            };
            let (reply, got, all) =
                tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
            assert_eq!((got, all.len()), (status, 100));
            assert_eq!(reply == Reply::TooLarge(100), status == 413, "{reply:?}");
        }
    });
}

#[test]
fn a_stream_that_breaks_off_is_truncated() {
    with_session(|mut handle, address| async move {
        for broken in ["5\r\nab", "2\r\nab\r\n", "2\r\nab\r\nnonsense\r\n"] {
            let (writer, reader) = response_stream(100);
            let talk = async {
                let mut client = Client::connect(address).await;
                client.get(&path("invocation/next")).await;
                client.send((head("") + broken).as_bytes()).await;
            };
            let (reply, (), all) =
                tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
            assert_eq!(
                (reply, &all[..]),
                (Reply::Truncated, &b"ab"[..]),
                "{broken:?}"
            );
        }
    });
}

#[test]
fn an_unknown_mode_is_refused_before_anything_is_handed_on() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let (writer, reader) = response_stream(100);
        let talk = async {
            client.get(&path("invocation/next")).await;
            let mode = "Lambda-Runtime-Function-Response-Mode: dripping\r\n";
            client.post(&invocation("response"), mode, b"1").await
        };
        let (reply, answer, all) =
            tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
        assert_eq!((answer.status, all.len()), (400, 0));
        let Reply::Error(error) = reply else {
            panic!("{reply:?}")
        };
        let kind = "Runtime.InvalidResponseModeHeader";
        assert_eq!(error.kind.as_deref(), Some(kind));
    });
}

#[test]
fn a_reader_that_left_does_not_stop_the_function() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let (writer, mut reader) = response_stream(1 << 20);
        let talk = async {
            client.get(&path("invocation/next")).await;
            client.send((head("") + "1\r\na\r\n").as_bytes()).await;
            assert_eq!(reader.next().await, begin(None));
            drop(reader);
            for _ in 0..1_000 {
                client
                    .send(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes())
                    .await;
            }
            client.send(b"0\r\n\r\n").await;
            client.answer().await.status
        };
        let (reply, status) = tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk);
        assert_eq!((reply, status), (Reply::Response(Bytes::new()), 202));
    });
}

#[test]
fn a_reader_that_pauses_makes_the_function_wait() {
    /// More than sockets and the queue hold together.
    const BYTES: usize = 32 << 20;
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let (writer, mut reader) = response_stream(BYTES as u64);
        let written = std::cell::Cell::new(0);
        let talk = async {
            client.get(&path("invocation/next")).await;
            client.send(head("").as_bytes()).await;
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
            while written.get() < BYTES {
                client.send(chunk.as_bytes()).await;
                written.set(written.get() + (1 << 16));
            }
            client.send(b"0\r\n\r\n").await;
            client.answer().await.status
        };
        let read = async {
            // Waits until the function gets no further.
            let mut seen = usize::MAX;
            while seen != written.get() {
                seen = written.get();
                for _ in 0..10_000 {
                    tokio::task::yield_now().await;
                }
            }
            assert!(seen < BYTES, "the function was not held up");
            let mut count = 0;
            while let Some(piece) = reader.next().await {
                if let Piece::Bytes(bytes) = piece {
                    assert!(bytes.len() <= 1 << 17, "{}", bytes.len());
                    count += bytes.len();
                }
            }
            count
        };
        let (reply, status, count) =
            tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, read);
        assert_eq!((reply, status), (Reply::Response(Bytes::new()), 202));
        assert_eq!(count, BYTES);
    });
}

/// A body in random chunks, and how the whole request is split over writes.
fn split_stream() -> impl Strategy<Value = (Vec<u8>, Vec<usize>, Vec<usize>)> {
    let body = prop::collection::vec(any::<u8>(), 0..3_000);
    let sizes = prop::collection::vec(1usize..700, 1..20);
    let cuts = prop::collection::vec(1usize..900, 1..20);
    (body, sizes, cuts)
}

#[test]
fn a_body_in_any_chunks_and_any_writes_comes_out_whole() {
    with_session(|mut handle, address| async move {
        let mut runner = TestRunner::deterministic();
        let mut client = Client::connect(address).await;
        for _ in 0..100 {
            let (body, sizes, cuts) = split_stream().new_tree(&mut runner).unwrap().current();
            let mut text = head("X: y\r\n").into_bytes();
            let (mut left, mut sizes) = (&body[..], sizes.iter().cycle());
            while !left.is_empty() {
                let (chunk, after) = left.split_at(left.len().min(*sizes.next().unwrap()));
                text.extend_from_slice(format!("{:X};a=b\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
                left = after;
            }
            text.extend_from_slice(b"0\r\n\r\n");
            let (writer, reader) = response_stream(3_000);
            let talk = async {
                client.get(&path("invocation/next")).await;
                let (mut left, mut cuts) = (&text[..], cuts.iter().cycle());
                while !left.is_empty() {
                    let (part, after) = left.split_at(left.len().min(*cuts.next().unwrap()));
                    client.send(part).await;
                    tokio::task::yield_now().await;
                    left = after;
                }
                client.answer().await.status
            };
            let (reply, status, all) =
                tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
            assert_eq!((reply, status), (Reply::Response(Bytes::new()), 202));
            assert_eq!(all, body);
        }
    });
}

/// What may follow the head of a streamed response: chunks, lines and garbage.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[0-9a-fA-F]{1,3}\r\n".prop_map(String::into_bytes),
        Just(b"\r\n".to_vec()),
        Just(b"0\r\n".to_vec()),
        Just(b"3\r\nabc\r\n".to_vec()),
        Just(b"ffffffffffff\r\n".to_vec()),
        Just(b"Lambda-Runtime-Function-Error-Body: %%%\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

#[test]
fn garbage_in_a_stream_ends_the_call_and_nothing_else() {
    with_session(|mut handle, address| async move {
        let mut runner = TestRunner::deterministic();
        for _ in 0..200 {
            let bytes = garbage().new_tree(&mut runner).unwrap().current();
            let (writer, reader) = response_stream(50);
            let talk = async {
                let mut client = Client::connect(address).await;
                client.get(&path("invocation/next")).await;
                client.send(head("").as_bytes()).await;
                client.send(&bytes).await;
                client.close().await.expect("the server closes too");
            };
            let (reply, (), all) =
                tokio::join!(handle.invoke(call(b"{}"), Some(writer)), talk, rest(reader));
            assert!(all.len() <= 50, "{REQUEST} {bytes:?}");
            assert!(
                !matches!(reply, Reply::Response(all) if !all.is_empty()),
                "{bytes:?}"
            );
        }
    });
}
