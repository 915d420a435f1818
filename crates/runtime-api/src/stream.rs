//! A response on its way from the runtime to whoever asked for it, piece by piece.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Pieces that wait for their reader; with more the runtime has to wait.
const PIECES_MAX: usize = 4;
/// Longest piece, in bytes.
pub(crate) const PIECE_BYTES_MAX: usize = 64 << 10;

/// Makes the two ends of one streamed response of at most `bytes_max` bytes.
pub fn response_stream(bytes_max: u64) -> (ResponseWriter, ResponseReader) {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let writer = ResponseWriter { sender, bytes_max };
    (writer, ResponseReader(receiver))
}

/// What a response is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The runtime has begun to answer; comes first, and once.
    Begin {
        /// The header `Content-Type` of the runtime's request.
        content_type: Option<String>,
    },
    /// Never empty.
    Bytes(Bytes),
}

/// The end that the session writes to.
#[derive(Debug, Clone)]
pub struct ResponseWriter {
    sender: mpsc::Sender<Piece>,
    bytes_max: u64,
}

/// The end that the caller reads from. Dropping it lets the function run on and forgets the rest.
#[derive(Debug)]
pub struct ResponseReader(mpsc::Receiver<Piece>);

/// Nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl ResponseWriter {
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Waits until there is room for the piece.
    ///
    /// # Errors
    /// Fails if the reader is gone.
    pub async fn send(&self, piece: Piece) -> Result<(), Gone> {
        self.sender.send(piece).await.map_err(|_| Gone)
    }
}

impl ResponseReader {
    /// The next piece; `None` once the writers are gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Piece> {
        self.0.recv().await
    }

    /// A piece that is there already.
    pub fn try_next(&mut self) -> Option<Piece> {
        self.0.try_recv().ok()
    }
}
