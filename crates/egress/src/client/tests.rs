use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tasks::{Clock, Ids};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Long enough for the busiest machine; nothing here waits for it to pass.
const LONG: Duration = Duration::from_secs(120);

fn tasks() -> Tasks {
    Tasks::new(Clock::real(), Ids::seeded(1))
}

fn loopback() -> Networks {
    "127.0.0.0/8".parse().unwrap()
}

fn request(url: &str) -> WebRequest<'_> {
    WebRequest {
        method: "POST",
        url,
        headers: &[
            ("x-a", "b"),
            ("Host", "other"),
            ("content-type", "text/plain"),
        ],
        body: Bytes::from_static(b"hello"),
        wait_max: LONG,
        answer_bytes_max: 5,
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads one request to the end of its body and answers.
async fn serve(mut stream: impl Stream, answer: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nhello") {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&some[..count]);
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_request_is_sent_and_the_answer_read_up_to_its_limit() {
    let (listener, address) = listen().await;
    let client = Client::new(loopback(), &tasks());
    let url = format!("http://u:p@{address}/path?a=b");
    let answer = "HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 11\r\n\r\nhello world";
    let (sent, seen) = tokio::join!(client.send(request(&url)), async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, answer).await
    });
    let sent = sent.unwrap();
    assert_eq!((sent.status, &sent.body[..]), (503, &b"hello"[..]));
    assert_eq!(sent.retry_after, Some(Duration::from_secs(7)));
    let length = ("content-length".to_owned(), "11".to_owned());
    assert!(sent.headers.contains(&length), "{:?}", sent.headers);
    let lines: Vec<String> = seen.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0], "post /path?a=b http/1.1");
    for wanted in [
        "x-a: b",
        "content-type: text/plain",
        "content-length: 5",
        "connection: close",
        "authorization: basic dtpw",
        &format!("host: {address}"),
    ] {
        assert!(lines.iter().any(|l| l == wanted), "{wanted} in {lines:?}");
    }
    assert!(!seen.contains("other"));
}

#[tokio::test]
async fn names_below_localhost_are_this_machine() {
    let (listener, address) = listen().await;
    let url = format!(
        "http://f.lambda-url.us-east-1.localhost:{}/",
        address.port()
    );
    let strict = Client::new(Networks::default(), &tasks());
    let refused = strict.send(request(&url)).await;
    assert!(matches!(refused, Err(Unanswered::Forbidden(_))));
    let client = Client::new(loopback(), &tasks());
    let (sent, _) = tokio::join!(client.send(request(&url)), async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, "HTTP/1.1 200 OK\r\n\r\n").await
    });
    assert_eq!(sent.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let (listener, address) = listen().await;
    let client = Client::new(loopback(), &tasks());
    let url = format!("http://{address}/");
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{address}/x\r\n\r\n");
    let (sent, _) = tokio::join!(client.send(request(&url)), async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, &answer).await
    });
    assert_eq!(sent.unwrap().status, 302);
}

/// A client for which every name has this address; counts how often it asks.
fn named(address: SocketAddr, allowed: Networks) -> (Client, Arc<AtomicUsize>) {
    let tasks = tasks();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let connector = Connector::new(allowed, &tasks).with_lookup(Arc::new(move |_, _| {
        // A name server that rebinds: harmless to who asks first.
        Ok(vec![match counter.fetch_add(1, Ordering::SeqCst) {
            0 => address,
            _ => SocketAddr::from(([169, 254, 169, 254], 80)),
        }])
    }));
    (Client::over(connector, &tasks), asked)
}

#[tokio::test]
async fn internal_addresses_are_refused_however_they_are_named() {
    let (listener, address) = listen().await;
    let client = Client::new(Networks::default(), &tasks());
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let url = format!("http://{host}:{}/", address.port());
        let (checked, sent) = (client.check(&url), client.send(request(&url)).await);
        for found in [checked, sent.map(drop)] {
            assert!(
                matches!(found, Err(Unanswered::Forbidden(_))),
                "{url}: {found:?}"
            );
        }
    }
    // Of a name it is known after the look-up only.
    let (client, asked) = named(address, Networks::default());
    let url = format!("http://public.example:{}/", address.port());
    assert_eq!(client.check(&url), Ok(()));
    let refused = client.send(request(&url)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "public.example leads to an internal address, and this server does not allow it"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let listener = listener.into_std().unwrap();
    let came = listener.accept().unwrap_err();
    assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_reached() {
    let (listener, address) = listen().await;
    let (client, asked) = named(address, loopback());
    let (sent, seen) = tokio::join!(client.send(request("http://rebinds.example/")), async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, "HTTP/1.1 200 OK\r\n\r\n").await
    });
    assert_eq!(sent.unwrap().status, 200);
    assert!(seen.contains("rebinds.example"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let second = client.send(request("http://rebinds.example/")).await;
    assert!(
        matches!(second, Err(Unanswered::Forbidden(_))),
        "{second:?}"
    );
}

/// An acceptor with a certificate of its own for `endpoint.example`.
fn acceptor() -> (TlsAcceptor, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["endpoint.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

#[tokio::test]
async fn certificates_are_checked() {
    let (acceptor, certificate) = acceptor();
    let (listener, address) = listen().await;
    let (_, stranger) = self::acceptor();
    for (root, host, is_good) in [
        (certificate.clone(), "endpoint.example", true),
        (certificate, "other.example", false),
        (stranger, "endpoint.example", false),
    ] {
        let tasks = tasks();
        let connector = Connector::new(loopback(), &tasks)
            .with_lookup(Arc::new(move |_, _| Ok(vec![address])))
            .with_roots(vec![root]);
        let client = Client::over(connector, &tasks);
        let url = format!("https://{host}/");
        let (sent, ()) = tokio::join!(client.send(request(&url)), async {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, "HTTP/1.1 200 OK\r\n\r\n").await;
            }
        });
        assert_eq!(sent.is_ok(), is_good, "{host}: {sent:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up() {
    let (clock, control) = Clock::virtual_at(tasks::Time::EPOCH);
    let tasks = Tasks::new(clock, Ids::seeded(1));
    let (listener, address) = listen().await;
    let client = Client::new(loopback(), &tasks);
    let url = format!("http://{address}/");
    let (sent, _stream) = tokio::join!(client.send(request(&url)), async {
        let (stream, _) = listener.accept().await.unwrap();
        control.advance(LONG);
        stream
    });
    assert_eq!(
        sent.unwrap_err().to_string(),
        format!("{address}: no answer within 120 s")
    );
}
