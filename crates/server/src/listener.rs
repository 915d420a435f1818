//! The door: accepts connections and hands requests to the router.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tasks::{Clock, Mono, Tasks};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use wire::{CallInfo, Router};

/// Open connections; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// A request head must be complete within it.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// Longest pause within a request body.
const BODY_PAUSE_LIMIT: Duration = Duration::from_secs(20);
/// Longest time for a whole request body, however steadily it drips.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);
/// Memory that large request bodies may take together, in KiB; more of them wait for their turn.
const BODIES_KIB_MAX: usize = 512 << 10;
/// Bodies up to this size are not counted.
const BODY_SMALL: u64 = 64 << 10;
/// What a body of unknown length counts for.
const BODY_UNKNOWN: u64 = 6 << 20;
/// Request line and headers.  [Lambda quotas: 1 MB]
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Pause after the kernel refused a connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` until shutdown is asked for, then lets open requests end.
pub(crate) async fn serve(listener: TcpListener, router: Arc<Router>, tasks: Tasks) {
    let mut stop = tasks.stop();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let bodies = Arc::new(Semaphore::new(BODIES_KIB_MAX));
    let server = Arc::new(server());
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
                let _room = match weight(request.body()) {
                    0 => None,
                    kib => bodies.acquire_many_owned(kib).await.ok(),
                };
                let request = request.map(|body| Patient::new(body, clock));
                Ok::<_, Infallible>(router.handle(request, call).await)
            }
        });
        let connection = server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tasks.spawn("connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .pipeline_flush(true)
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

/// What a body counts for in [`BODIES_KIB_MAX`].
fn weight(body: &Incoming) -> u32 {
    let hint = body.size_hint();
    match hint.upper().unwrap_or(BODY_UNKNOWN) {
        small if small <= BODY_SMALL => 0,
        large => u32::try_from((large >> 10).min(BODIES_KIB_MAX as u64)).unwrap_or(u32::MAX),
    }
}

/// A request body whose sender may neither pause for long nor drip for ever.
struct Patient {
    body: Incoming,
    clock: Clock,
    started: Mono,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Patient {
    fn new(body: Incoming, clock: Clock) -> Patient {
        Patient {
            body,
            started: clock.monotonic(),
            clock,
            pause: None,
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if self.pause.take().is_some()
                && self.clock.monotonic().since(self.started) > BODY_TIME_MAX
            {
                return Poll::Ready(Some(Err("the request body took too long".into())));
            }
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let clock = self.clock.clone();
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(async move { clock.sleep(BODY_PAUSE_LIMIT).await }));
        match pause.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Poll::Ready(Some(Err("the request body paused for too long".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
