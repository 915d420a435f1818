use bytes::Bytes;
use model::{Call, FunctionError};

/// How the init phase ended, as far as the runtime said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitEnd {
    /// The runtime asked for its first event.
    Ready,
    /// The runtime posted to `/runtime/init/error`.
    Failed(FunctionError),
}

/// How one invocation ended, as far as the runtime said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Response(Bytes),
    /// The runtime answered in streaming mode and named an error in its trailers, or posted to
    /// `/error`.
    Error(FunctionError),
    TooLarge,
    /// The body ended early.
    Truncated,
}

/// Serves the Runtime API on one listener until dropped.
pub struct Session(());

/// The server's side of a session. Dropping it ends the session.
pub struct SessionHandle(());

impl Session {
    /// The session is driven by [`Session::serve`]; the caller spawns that.
    pub fn new() -> (Session, SessionHandle) {
        (Session(()), SessionHandle(()))
    }

    /// Accepts connections and answers them; ends when the handle is dropped. One environment may
    /// hold at most 8 connections.
    pub async fn serve(self, _listener: tokio::net::TcpListener) {
        unimplemented!()
    }
}

impl SessionHandle {
    /// Waits for the runtime's first `/next` or `/init/error`. Cancel-safe.
    pub async fn init_end(&mut self) -> InitEnd {
        unimplemented!()
    }

    /// Hands the call to the waiting (or next) `/next` and waits for its answer. The caller bounds
    /// the wait; dropping the future abandons the call (late answers then get 400).
    pub async fn invoke(&mut self, _call: Call) -> Reply {
        unimplemented!()
    }

    /// Waits until the runtime asks for the next event, that is until it is idle again.
    pub async fn idle(&mut self) {
        unimplemented!()
    }
}
