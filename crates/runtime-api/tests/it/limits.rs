use bytes::Bytes;
use model::RESPONSE_MAX;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use runtime_api::Reply;

use crate::client::{Client, call, invocation, path, with_session};

#[test]
fn a_large_event_arrives_whole() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let event = vec![b'7'; 6 << 20];
        let runtime = async {
            let next = client.get(&path("invocation/next")).await;
            client.post(&invocation("response"), "", &next.body).await;
        };
        let server = async {
            handle.idle().await;
            handle.invoke(call(&event), None).await
        };
        let ((), reply) = tokio::join!(runtime, server);
        assert!(reply == Reply::Response(event.clone().into()));
    });
}

#[test]
fn an_answer_of_the_greatest_size_passes_and_one_byte_more_does_not() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        for (size, status) in [(RESPONSE_MAX, 202), (RESPONSE_MAX + 1, 413)] {
            let body = vec![b'x'; size];
            let runtime = async {
                client.get(&path("invocation/next")).await;
                client.post(&invocation("response"), "", &body).await
            };
            let (reply, posted) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
            assert_eq!(posted.status, status);
            match reply {
                Reply::Response(bytes) => assert_eq!((bytes.len(), status), (size, 202)),
                Reply::TooLarge(_) => {
                    assert!(
                        posted
                            .text()
                            .contains("allowed payload size (6291556 bytes).")
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        // The connection is still good.
        let runtime = async {
            client.get(&path("invocation/next")).await;
            client.post(&invocation("response"), "", b"1").await;
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
        assert_eq!(reply, Reply::Response(Bytes::from_static(b"1")));
    });
}

#[test]
fn a_runtime_that_breaks_off_leaves_a_truncated_answer() {
    with_session(|mut handle, address| async move {
        for broken in [
            "Content-Length: 10\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        ] {
            let runtime = async {
                let mut client = Client::connect(address).await;
                client.get(&path("invocation/next")).await;
                let head = format!("POST {} HTTP/1.1\r\n{broken}", invocation("response"));
                client.send(head.as_bytes()).await;
            };
            let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
            assert_eq!(reply, Reply::Truncated);
        }
    });
}

#[test]
fn broken_requests_get_400_and_lose_their_connection() {
    with_session(|handle, address| async move {
        let _kept = handle;
        for bad in [
            "nonsense\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let mut client = Client::connect(address).await;
            client.send(bad.as_bytes()).await;
            assert_eq!(client.answer().await.status, 400);
            assert_eq!(client.try_answer().await, None);
        }
    });
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    with_session(|mut handle, address| async move {
        let mut client = Client::connect(address).await;
        let runtime = async {
            client.get(&path("invocation/next")).await;
            let head = format!(
                "POST {} HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
                invocation("response")
            );
            client.send(head.as_bytes()).await;
            assert_eq!(client.answer().await.status, 100);
            client.send(b"42").await;
            assert_eq!(client.answer().await.status, 202);
        };
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
        assert_eq!(reply, Reply::Response("42".into()));
    });
}

#[test]
fn a_connection_that_asked_and_left_is_forgotten() {
    with_session(|mut handle, address| async move {
        let mut gone = Client::connect(address).await;
        let text = format!("GET {} HTTP/1.1\r\n\r\n", path("invocation/next"));
        gone.send(text.as_bytes()).await;
        handle.idle().await;
        drop(gone);
        // A ninth connection is served only because the first has been given back.
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = Client::connect(address).await;
            assert_eq!(client.get("/2018-06-01/ping").await.status, 200);
            clients.push(client);
        }
        let client = clients.last_mut().unwrap();
        let runtime = async {
            assert_eq!(client.get(&path("invocation/next")).await.text(), "1");
            client.post(&invocation("response"), "", b"").await;
        };
        tokio::join!(handle.invoke(call(b"1"), None), runtime);
    });
}

#[test]
fn the_session_ends_with_its_handle() {
    with_session(|handle, address| async move {
        let mut client = Client::connect(address).await;
        assert_eq!(client.get("/2018-06-01/ping").await.status, 200);
        drop(handle);
        assert_eq!(client.try_answer().await, None);
    });
}

/// Pieces of requests in any order, some of them cut.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n".to_owned()),
        Just(format!("POST {} HTTP/1.1\r\n", invocation("response"))),
        Just(format!("POST {} HTTP/1.1\r\n", invocation("error"))),
        Just("Transfer-Encoding: chunked\r\n".to_owned()),
        Just("Lambda-Runtime-Function-Response-Mode: streaming\r\n".to_owned()),
        (0u32..20).prop_map(|n| format!("Content-Length: {n}\r\n")),
        Just("Expect: 100-continue\r\n".to_owned()),
        Just("Connection: close\r\n".to_owned()),
        Just("\r\n".to_owned()),
        "[0-9a-f]{1,2}\r\n[a-z]{0,9}\r\n",
        "[ -~]{0,30}",
    ];
    let pieces = prop::collection::vec(piece, 0..12);
    (pieces, 0usize..400).prop_map(|(pieces, cut)| {
        let mut bytes = pieces.concat().into_bytes();
        bytes.truncate(cut);
        bytes
    })
}

#[test]
fn noise_from_the_runtime_never_stops_the_session() {
    with_session(|mut handle, address| async move {
        let mut runner = TestRunner::deterministic();
        for _ in 0..300 {
            let bytes = noise().new_tree(&mut runner).unwrap().current();
            let mut client = Client::connect(address).await;
            client.send(&bytes).await;
            if client.close().await.is_err() {
                panic!("no end after {:?}", String::from_utf8_lossy(&bytes));
            }
        }
        let mut client = Client::connect(address).await;
        let runtime = async {
            client.get(&path("invocation/next")).await;
            client.post(&invocation("response"), "", b"1").await
        };
        let (reply, posted) = tokio::join!(handle.invoke(call(b"{}"), None), runtime);
        assert_eq!((reply, posted.status), (Reply::Response("1".into()), 202));
    });
}
