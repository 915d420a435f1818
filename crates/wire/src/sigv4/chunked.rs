//! Bodies in the `aws-chunked` encoding, whose pieces carry signatures of their own.
//! [S3 API: Signature Calculations for the Authorization Header: Transferring Payload in Multiple
//! Chunks]

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac::{self, Key};
use bytes::{Bytes, BytesMut};

use super::{hex, sha256_hex, signature};

/// Longest line between pieces, in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// Most trailers after the last piece.
const TRAILERS_MAX: usize = 16;

/// The words that stand in `x-amz-content-sha256` for a body of this encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub(crate) is_signed: bool,
    pub(crate) has_trailer: bool,
}

impl Kind {
    pub(crate) fn parse(payload: &str) -> Option<Kind> {
        let (is_signed, has_trailer) = match payload {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => (true, false),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => (true, true),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => (false, true),
            _ => return None,
        };
        Some(Kind {
            is_signed,
            has_trailer,
        })
    }
}

/// What the pieces' signatures are checked with.
#[derive(Clone)]
pub(crate) struct Seal {
    pub(crate) key: Key,
    /// `20261120T211000Z`
    pub(crate) stamp: String,
    pub(crate) scope: String,
    /// The signature before the next one; at first the request's own.
    pub(crate) previous: [u8; 32],
}

impl Seal {
    fn check(&mut self, word: &str, hashes: &str, found: Option<[u8; 32]>) -> Result<(), Broken> {
        let text = format!(
            "AWS4-HMAC-SHA256-{word}\n{}\n{}\n{}\n{hashes}",
            self.stamp,
            self.scope,
            hex(&self.previous)
        );
        let found = found.ok_or(Broken::Signature)?;
        hmac::verify(&self.key, text.as_bytes(), &found).map_err(|_| Broken::Signature)?;
        self.previous = found;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// The framing is not that of the encoding, or the body ended early.
    Framing,
    /// A piece or the trailer is not signed right.
    Signature,
}

/// Takes a body apart as it comes in. Without a [`Seal`] the signatures are read and not checked.
pub(crate) struct Decoder {
    kind: Kind,
    seal: Option<Seal>,
    state: State,
    line: Vec<u8>,
    hash: Option<Context>,
    /// The signature that the current piece claims.
    claimed: Option<[u8; 32]>,
    /// Trailers in the spelling that is signed.
    trailers: Vec<u8>,
    trailer_count: usize,
    /// The trailers' own signature came and is right.
    is_sealed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In the line that begins a piece.
    Head,
    /// In a piece, with so many bytes to come.
    Data {
        left: u64,
    },
    /// In the line end after a piece.
    Gap,
    Trailer,
    Done,
}

impl Decoder {
    pub(crate) fn new(kind: Kind, seal: Option<Seal>) -> Decoder {
        Decoder {
            kind,
            seal: seal.filter(|_| kind.is_signed),
            state: State::Head,
            line: Vec::new(),
            hash: None,
            claimed: None,
            trailers: Vec::new(),
            trailer_count: 0,
            is_sealed: false,
        }
    }

    /// Takes the next bytes and gives the payload in them to `out`.
    pub(crate) fn push(&mut self, mut input: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        while !input.is_empty() {
            match self.state {
                State::Done => return Err(Broken::Framing),
                State::Data { left } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let piece = input.split_to(here);
                    if let Some(hash) = &mut self.hash {
                        hash.update(&piece);
                    }
                    out.extend_from_slice(&piece);
                    let left = left - here as u64;
                    self.state = State::Data { left };
                    if left == 0 {
                        self.finish_piece()?;
                        self.state = State::Gap;
                    }
                }
                State::Head | State::Gap | State::Trailer => {
                    let Some(line) = self.line(&mut input)? else {
                        return Ok(());
                    };
                    self.take(&line)?;
                }
            }
        }
        Ok(())
    }

    /// The body ended: it must have ended well.
    pub(crate) fn finish(&self) -> Result<(), Broken> {
        match self.state {
            State::Done => Ok(()),
            // Clients leave out the empty line at the end.
            State::Trailer if self.line.is_empty() => self.may_end(),
            _ => Err(Broken::Framing),
        }
    }

    /// The next whole line without its end, or `None` until more bytes come.
    fn line(&mut self, input: &mut Bytes) -> Result<Option<Vec<u8>>, Broken> {
        let end = input.iter().position(|b| *b == b'\n');
        let here = input.split_to(end.map_or(input.len(), |at| at + 1));
        if self.line.len() + here.len() > LINE_BYTES_MAX {
            return Err(Broken::Framing);
        }
        self.line.extend_from_slice(&here);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Broken> {
        match self.state {
            State::Gap if line.is_empty() => self.state = State::Head,
            State::Head => self.begin_piece(line)?,
            State::Trailer if line.is_empty() => {
                self.may_end()?;
                self.state = State::Done;
            }
            State::Trailer => self.trailer(line)?,
            _ => return Err(Broken::Framing),
        }
        Ok(())
    }

    /// `400;chunk-signature=…`, or `400` where pieces are not signed.
    fn begin_piece(&mut self, line: &[u8]) -> Result<(), Broken> {
        let line = std::str::from_utf8(line).map_err(|_| Broken::Framing)?;
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let is_hex = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| is_hex);
        let size = size.ok_or(Broken::Framing)?;
        self.claimed = extension
            .strip_prefix("chunk-signature=")
            .and_then(signature);
        self.hash = self.seal.as_ref().map(|_| Context::new(&SHA256));
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.finish_piece()?;
        self.state = State::Trailer;
        Ok(())
    }

    fn finish_piece(&mut self) -> Result<(), Broken> {
        let Some(seal) = &mut self.seal else {
            return Ok(());
        };
        let hash = self.hash.take().map(Context::finish);
        let hash = hash.map(|h| hex(h.as_ref())).unwrap_or_default();
        let hashes = format!("{}\n{hash}", sha256_hex(b""));
        seal.check("PAYLOAD", &hashes, self.claimed)
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), Broken> {
        let line = std::str::from_utf8(line).map_err(|_| Broken::Framing)?;
        let (name, value) = line.split_once(':').ok_or(Broken::Framing)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        self.trailer_count += 1;
        if !self.kind.has_trailer || self.trailer_count > TRAILERS_MAX {
            return Err(Broken::Framing);
        }
        if self.is_sealed {
            return Err(Broken::Framing); // nothing follows the signature over it
        }
        if name != "x-amz-trailer-signature" {
            let line = format!("{name}:{value}\n");
            self.trailers.extend_from_slice(line.as_bytes());
            return Ok(());
        }
        if let Some(seal) = &mut self.seal {
            seal.check("TRAILER", &sha256_hex(&self.trailers), signature(value))?;
        }
        self.is_sealed = true;
        Ok(())
    }

    /// Trailers that must be signed and are not cannot be the end.
    fn may_end(&self) -> Result<(), Broken> {
        let must_be_sealed = self.kind.has_trailer && self.seal.is_some();
        if must_be_sealed && !self.is_sealed {
            return Err(Broken::Signature);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
