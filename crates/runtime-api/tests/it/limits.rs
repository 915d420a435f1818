use bytes::Bytes;
use model::RESPONSE_MAX;
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
            handle.invoke(call(&event)).await
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
            let (reply, posted) = tokio::join!(handle.invoke(call(b"{}")), runtime);
            assert_eq!(posted.status, status);
            match reply {
                Reply::Response(bytes) => assert_eq!((bytes.len(), status), (size, 202)),
                Reply::TooLarge => {
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
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}")), runtime);
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
            let (reply, ()) = tokio::join!(handle.invoke(call(b"{}")), runtime);
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
        let (reply, ()) = tokio::join!(handle.invoke(call(b"{}")), runtime);
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
        tokio::join!(handle.invoke(call(b"1")), runtime);
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
