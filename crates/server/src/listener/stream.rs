//! The stream of a connection, whose reader may not stop reading for long.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tasks::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::callers::Caller;

/// Longest time in which a client may take nothing of its answer. Its connection, the answer and what made it
/// are held meanwhile.
pub(super) const WRITE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Ends with an error when nothing of what is written leaves for [`WRITE_PAUSE_MAX`].
pub(super) struct Stream {
    inner: TcpStream,
    caller: Caller,
    clock: Clock,
    /// Runs while a write waits.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream {
    pub(super) fn new(inner: TcpStream, caller: Caller, clock: Clock) -> Stream {
        Stream {
            inner,
            caller,
            clock,
            pause: None,
        }
    }

    /// What a write came to, with the limit on its waiting.
    fn limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.pause = None;
            return written;
        }
        let clock = &self.clock;
        let pause = self.pause.get_or_insert_with(|| {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(WRITE_PAUSE_MAX).await })
        });
        ready!(pause.as_mut().poll(cx));
        self.pause = None; // it must not be asked again
        let why = "the client does not read its answer";
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, why)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.caller.has_sent(&self.inner);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.limited(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.limited(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// A socket has nothing to flush.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
