//! The door: accepts connections and hands requests to the router.

mod body;
mod callers;
mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tasks::{Clock, Tasks};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use wire::hosts::Peer;
use wire::{CallInfo, Router};

use body::{Patient, Rooms};
use callers::Callers;
use stream::Stream;

/// Open connections; more wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;
/// A request head must be complete within it.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// Request line and headers.  [Lambda quotas: 1 MB]
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Pause after the kernel refused a connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router`, to at most `connections_max` clients at once, until shutdown is asked for, then lets open requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Arc<Router>,
    connections_max: usize,
    tasks: Tasks,
) {
    let mut stop = tasks.stop();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections_max));
    let bodies = Rooms::new(router.body_bytes_max());
    let callers = Arc::new(Callers::default());
    let one = Arc::new(server().http1_only());
    let two = Arc::new(server().http2_only());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tasks.clock().sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, clock, ids) = (router.clone(), tasks.clock().clone(), tasks.ids().clone());
        let bodies = bodies.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let call = CallInfo {
                request_id: ids.uuid(),
                now_unix_ms: clock.now().unix_millis(),
                loopback: peer.ip().to_canonical().is_loopback(),
            };
            let (router, clock, bodies) = (router.clone(), clock.clone(), bodies.clone());
            async move {
                let room = bodies.room(request.body(), &clock).await;
                let has_room = room.is_some();
                let (mut parts, body) = request.into_parts();
                if router.host(&parts).is_some() {
                    parts.extensions.insert(Peer(peer.ip().to_canonical()));
                }
                let body = Patient::new(body, clock, has_room);
                let request = http::Request::from_parts(parts, body);
                Ok::<_, Infallible>(router.handle(request, call).await)
            }
        });
        let (one, two, watcher) = (one.clone(), two.clone(), graceful.watcher());
        let (clock, mut stop) = (tasks.clock().clone(), tasks.stop());
        let caller = callers.next(peer);
        tasks.spawn("connection", async move {
            let _place = place;
            let first = clock.timeout(HEAD_LIMIT, speaks_http2(&stream, &clock));
            let first = tokio::select! {
                biased;
                () = stop.requested() => return,
                first = first => first,
            };
            let server = match first {
                Ok(Ok(true)) => two,
                Ok(Ok(false)) => one,
                Ok(Err(_)) | Err(_) => return, // nothing was asked
            };
            let stream = Stream::new(stream, caller, clock);
            let connection = server
                .serve_connection(TokioIo::new(stream), service)
                .into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Without pipelined flushes: with them hyper asks a response body for more while the client does not read,
/// and a streamed response would pile up in memory.
fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .max_pending_accept_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(60));
    server
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, Place)> {
    let place = places
        .clone()
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// The first bytes of a client that speaks HTTP/2.  [RFC 9113, 3.4]
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause before a preface that came in part is looked at again.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the first bytes, and leaves them where they are. (The server would find out by itself,
/// but with no limit of time.)
async fn speaks_http2(stream: &TcpStream, clock: &Clock) -> std::io::Result<bool> {
    let mut head = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut head).await?;
        match head.get(..seen) {
            Some(all) if all == PREFACE => return Ok(true),
            Some(part) if seen > 0 && PREFACE.starts_with(part) => {
                clock.sleep(PREFACE_PAUSE).await;
            }
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the network takes real time, whatever the clock says
mod tests {
    use bytes::Bytes;
    use serde_json::Value;
    use tasks::{ClockControl, Ids, Time};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use wire::access::{Credential, Credentials};
    use wire::{Access, Mode};

    use super::*;

    struct Nobody;

    impl Credentials for Nobody {
        fn find(&self, _access_key: &str) -> Option<Credential> {
            None
        }
    }

    async fn listening() -> (SocketAddr, Tasks, ClockControl) {
        listening_to(CONNECTIONS_MAX).await
    }

    async fn listening_to(connections_max: usize) -> (SocketAddr, Tasks, ClockControl) {
        let (clock, control) = Clock::virtual_at(Time::from_unix_secs(1_000));
        let tasks = Tasks::new(clock, Ids::seeded(1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Arc::new(Router::new(Access::new(Mode::Off, Arc::new(Nobody))));
        let served = serve(listener, router, connections_max, tasks.clone());
        tasks.spawn("listener", served);
        (address, tasks, control)
    }

    /// What the server sends before it closes, while its time passes.
    async fn until_closed(mut client: TcpStream, control: &ClockControl) -> String {
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        let mut read = std::pin::pin!(read);
        for _ in 0..1_000 {
            let pass = tokio::time::sleep(Duration::from_millis(2));
            tokio::select! {
                // What the server has not read makes it a reset.
                _ = &mut read => return String::from_utf8_lossy(&answer).into_owned(),
                () = pass => control.advance(Duration::from_millis(100)),
            }
        }
        panic!("the connection stayed open");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_or_half_a_preface_is_let_go() {
        let (address, _tasks, control) = listening().await;
        for said in ["", "PRI * HT"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(until_closed(client, &control).await, "", "{said:?}");
        }
    }

    /// A client that asks and never reads holds its place for a while only.
    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go() {
        let (address, _tasks, control) = listening_to(1).await;
        let deaf = TcpStream::connect(address).await.unwrap();
        let ask = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
        // As much as fits into the sockets: the server is stuck in its answers when no more does, and ends
        // the connection when the time is over.
        let fill = async {
            let mut deaf = deaf;
            while deaf.write_all(&ask).await.is_ok() {}
            deaf
        };
        let next = async {
            let mut next = TcpStream::connect(address).await.unwrap();
            let request = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            next.write_all(request).await.unwrap();
            let mut answer = String::new();
            next.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let pass = async {
            loop {
                tokio::time::sleep(Duration::from_millis(2)).await;
                control.advance(Duration::from_millis(500));
            }
        };
        let (deaf, answer) = tokio::select! {
            both = async { tokio::join!(fill, next) } => both,
            () = pass => unreachable!("time passes for ever"),
        };
        drop(deaf);
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    struct Somebody;

    impl Credentials for Somebody {
        fn find(&self, _access_key: &str) -> Option<Credential> {
            Some(Credential {
                secret: wire::access::Secret::new("secret"),
                account: "000000000000".to_owned(),
                principal: None,
                session_token: None,
                expires_unix_ms: None,
            })
        }
    }

    /// Whether a request that was signed then is let in.
    async fn is_let_in(address: SocketAddr, signed: Time) -> bool {
        let signer = wire::Signer {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: wire::access::Secret::new("secret"),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "lambda",
        };
        let request = http::Request::get("/2015-03-31/functions")
            .header("host", address.to_string())
            .header("connection", "close")
            .body(())
            .unwrap();
        let signed = signer.sign(request, b"", signed.unix_secs()).unwrap();
        let mut text = "GET /2015-03-31/functions HTTP/1.1\r\n".to_owned();
        for (name, value) in signed.headers() {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(format!("{text}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let is_late = ["Signature expired", "Signature not yet current"];
        let is_late = is_late.iter().any(|text| answer.contains(text));
        assert!(is_late || answer.starts_with("HTTP/1.1 200 "), "{answer}");
        !is_late
    }

    #[derive(serde::Deserialize)]
    struct Nothing {}

    async fn nothing(_: Arc<()>, _: wire::Context, _: Nothing) -> Result<Value, wire::Fault> {
        Ok(serde_json::json!({}))
    }

    /// The short form is the full one; `cargo xtask torture clock` reads what it found.  [R4]
    #[tokio::test]
    async fn signatures_are_as_old_as_the_wall_clock_says() {
        let jumps = 1_000;
        let dice = Ids::system();
        let (clock, control) = Clock::virtual_at(Time::from_unix_secs(1_700_000_000));
        let tasks = Tasks::new(clock.clone(), Ids::seeded(1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let path = "/2015-03-31/functions";
        let service = wire::Service::new("lambda", Arc::new(()))
            .rest("ListFunctions", http::Method::GET, path, 200, nothing)
            .build();
        let access = Access::new(Mode::Strict, Arc::new(Somebody));
        let router = Arc::new(Router::new(access).with(service));
        let served = serve(listener, router, CONNECTIONS_MAX, tasks.clone());
        tasks.spawn("listener", served);
        for _ in 0..jumps {
            let before = clock.now();
            let by = 1_000_000 + (dice.u64() % 86_400_000_000).cast_signed();
            let by = if dice.u64().is_multiple_of(2) {
                by
            } else {
                -by
            };
            control.jump_to(Time::from_unix_micros(before.unix_micros() + by));
            assert!(is_let_in(address, clock.now()).await, "{by}");
            let is_near = by.unsigned_abs() < 300_000_000;
            // To the second neither says anything.
            if by.unsigned_abs().abs_diff(300_000_000) > 1_000_000 {
                assert_eq!(is_let_in(address, before).await, is_near, "{by}");
            }
        }
        eprintln!(
            "FOUND R4 | signature not judged by the wall clock | {jumps} | 0 | signed before and after each jump"
        );
    }

    #[tokio::test]
    async fn a_silent_client_does_not_hold_up_a_stop() {
        let (address, tasks, control) = listening().await;
        let client = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        tasks.request_stop();
        assert_eq!(until_closed(client, &control).await, "");
    }

    #[tokio::test]
    async fn both_versions_of_http_are_answered() {
        let (address, _tasks, control) = listening().await;
        let mut one = TcpStream::connect(address).await.unwrap();
        let request = "P";
        one.write_all(request.as_bytes()).await.unwrap();
        let rest = "OST /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        one.write_all(rest.as_bytes()).await.unwrap();
        let answer = until_closed(one, &control).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");

        let two = TcpStream::connect(address).await.unwrap();
        let (mut ask, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(two))
                .await
                .unwrap();
        let drive = async {
            connection.await.unwrap();
            unreachable!("the connection stays")
        };
        let request = http::Request::post("http://x/nowhere")
            .body(http_body_util::Empty::<Bytes>::new())
            .unwrap();
        let answer = tokio::select! {
            answer = ask.send_request(request) => answer.unwrap(),
            () = drive => return,
        };
        assert!(answer.status().is_client_error(), "{answer:?}");
    }
}
