//! Follows a caller that is alone to the processor that it runs on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandbox::near::{self, Turns};
use tokio::net::TcpStream;

/// The connections of one listener.
#[derive(Default)]
pub(super) struct Callers {
    last: AtomicU64,
    turns: Turns,
}

/// Who is at the other end of one connection.
pub(super) struct Caller {
    callers: Arc<Callers>,
    number: u64,
    is_near: bool,
}

impl Callers {
    pub(super) fn next(self: &Arc<Self>, peer: SocketAddr) -> Caller {
        Caller {
            callers: self.clone(),
            number: self.last.fetch_add(1, Ordering::Relaxed) + 1,
            is_near: peer.ip().to_canonical().is_loopback(),
        }
    }
}

impl Caller {
    /// It has sent something. While nobody else asks, this thread goes to where the caller is.
    pub(super) fn has_sent(&self, stream: &TcpStream) {
        if self.callers.turns.is_alone(self.number) && self.is_near {
            near::follow(stream);
        }
    }
}
