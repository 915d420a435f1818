use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

/// An event on its way to the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub head: Bytes,
    pub payload: Bytes,
}

/// The writing half of a connection. Whoever has an event for a waiting connection writes it from its
/// own task; what the socket does not take at once, the connection's own task sends.
pub(crate) struct Outlet {
    half: OwnedWriteHalf,
    /// What is still to be written.
    rest: Mutex<VecDeque<Bytes>>,
    /// `rest` has become non-empty.
    wake: Notify,
}

impl Outlet {
    pub(crate) fn new(half: OwnedWriteHalf) -> Outlet {
        Outlet {
            half,
            rest: Mutex::default(),
            wake: Notify::new(),
        }
    }

    fn rest(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as the socket takes and leaves the rest to [`Outlet::flush`].
    pub(crate) fn send_now(&self, delivery: Delivery) {
        let mut rest = self.rest();
        rest.push_back(delivery.head);
        rest.push_back(delivery.payload);
        if write_some(&self.half, &mut rest).is_err() || !rest.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Writes `bytes` together with what follows.
    pub(crate) fn hold(&self, bytes: Bytes) {
        self.rest().push_back(bytes);
    }

    pub(crate) async fn send(&self, bytes: Bytes) -> io::Result<()> {
        self.rest().push_back(bytes);
        self.flush().await
    }

    pub(crate) async fn deliver(&self, delivery: Delivery) -> io::Result<()> {
        self.send_now(delivery);
        self.flush().await
    }

    /// Waits until [`Outlet::send_now`] has left something. Cancel-safe.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Writes what is left. Cancel-safe: what has been written is no longer left.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        loop {
            write_some(&self.half, &mut self.rest())?;
            if self.rest().is_empty() {
                return Ok(());
            }
            self.half.writable().await?;
        }
    }
}

/// Writes until all is written or the socket is full.
fn write_some(half: &OwnedWriteHalf, rest: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !rest.is_empty() {
        // A held reply, the head of an event and the event.
        let mut slices = [IoSlice::new(b""); 3];
        for (slice, bytes) in slices.iter_mut().zip(rest.iter()) {
            *slice = IoSlice::new(bytes);
        }
        match half.try_write_vectored(&slices) {
            Ok(n) => advance(rest, n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn advance(rest: &mut VecDeque<Bytes>, mut n: usize) {
    while let Some(first) = rest.front_mut() {
        let step = n.min(first.len());
        first.advance(step);
        n -= step;
        if !first.is_empty() {
            return;
        }
        rest.pop_front();
    }
}
