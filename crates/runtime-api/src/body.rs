//! Request bodies: plain and chunked framing. Pure.

use bytes::{Buf, Bytes, BytesMut};

use crate::route::Length;
use crate::stream::PIECE_BYTES_MAX;

/// Longest line of chunk size and extensions.
const SIZE_LINE_MAX: usize = 256;
/// Longest trailer line; `Lambda-Runtime-Function-Error-Body` is one.
const TRAILER_BYTES_MAX: usize = 1 << 20;
/// Most bytes that are asked for at once.
const READ_BYTES_MAX: usize = 8 << 20;
/// Most trailer lines.
const TRAILERS_MAX: usize = 16;

/// Takes a body out of the bytes of a connection, piece by piece.
#[derive(Debug)]
pub(crate) struct Decoder {
    step: Step,
    /// What has been kept so far, or since the last piece was taken.
    content: BytesMut,
    /// Content so far, with the pieces that were taken.
    kept: u64,
    content_max: u64,
    /// Whether the content is wanted as it comes, in pieces.
    in_pieces: bool,
    /// The body is longer than `content_max`; what follows is thrown away.
    too_large: bool,
    /// Bytes thrown away so far.
    wasted: u64,
    trailers: Trailers,
    trailer_lines: usize,
    /// How much of the unfinished line at hand has been searched.
    searched: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Fixed { left: u64 },
    ChunkSize,
    Chunk { left: u64 },
    ChunkEnd,
    Trailer,
    Done,
}

/// What a streaming answer says after its body.  [Lambda Runtime API: response streaming]
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Trailers {
    pub error_type: Option<String>,
    /// As sent: base64.
    pub error_body: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Needs more bytes.
    More,
    Done,
}

/// The chunked framing is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

impl Decoder {
    /// Keeps at most `content_max` bytes.
    pub(crate) fn new(length: Length, content_max: u64) -> Decoder {
        let step = match length {
            Length::Fixed(0) => Step::Done,
            Length::Fixed(left) => Step::Fixed { left },
            Length::Chunked => Step::ChunkSize,
        };
        Decoder {
            step,
            content: BytesMut::new(),
            kept: 0,
            content_max,
            in_pieces: false,
            too_large: matches!(length, Length::Fixed(n) if n > content_max),
            wasted: 0,
            trailers: Trailers::default(),
            trailer_lines: 0,
            searched: 0,
        }
    }

    /// Gives out its content as it comes, see [`Decoder::piece`]; at most `content_max` bytes of it.
    pub(crate) fn in_pieces(length: Length, content_max: u64) -> Decoder {
        let mut decoder = Decoder::new(length, content_max);
        decoder.in_pieces = true;
        // How much was announced says nothing yet: what comes before the limit is handed on.
        decoder.too_large = false;
        decoder
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Bytes thrown away so far.
    pub(crate) fn wasted(&self) -> u64 {
        self.wasted
    }

    /// Takes the content that has come since the last piece, if any has.
    pub(crate) fn piece(&mut self) -> Option<Bytes> {
        let piece = std::mem::take(&mut self.content);
        (!piece.is_empty()).then(|| piece.freeze())
    }

    /// How many bytes at least are still to come; a hint for the size of the next read.
    pub(crate) fn wanted(&self) -> usize {
        let left = match self.step {
            Step::Fixed { left } | Step::Chunk { left } => left,
            _ => 0,
        };
        if self.too_large {
            return 0;
        }
        let most = match self.in_pieces {
            true => PIECE_BYTES_MAX as u64,
            false => self.content_max,
        };
        usize::try_from(left.min(most)).unwrap_or(READ_BYTES_MAX)
    }

    /// All of the content has come; its trailers have not.
    pub(crate) fn awaits_trailers(&self) -> bool {
        self.step == Step::Trailer
    }

    pub(crate) fn finish(self) -> (Bytes, Trailers) {
        (self.content.freeze(), self.trailers)
    }

    /// Consumes what it can from the front of `input`.
    pub(crate) fn feed(&mut self, input: &mut BytesMut) -> Result<Progress, BadChunk> {
        loop {
            match self.step {
                Step::Done => return Ok(Progress::Done),
                Step::Fixed { left } => {
                    // Waiting for the whole of it saves a copy: the buffer itself becomes the body.
                    if !self.too_large && !self.in_pieces && (input.len() as u64) < left {
                        return Ok(Progress::More);
                    }
                    let left = left - self.take(left, input);
                    self.step = Step::Fixed { left };
                    if left > 0 {
                        return Ok(Progress::More);
                    }
                    self.step = Step::Done;
                }
                Step::Chunk { left } => {
                    let left = left - self.take(left, input);
                    self.step = Step::Chunk { left };
                    if left > 0 {
                        return Ok(Progress::More);
                    }
                    self.step = Step::ChunkEnd;
                }
                Step::ChunkSize | Step::ChunkEnd | Step::Trailer => {
                    let Some(line) = self.line(input)? else {
                        return Ok(Progress::More);
                    };
                    self.step = self.after(&line)?;
                }
            }
        }
    }

    /// Moves at most `left` bytes of content; returns how many.
    fn take(&mut self, left: u64, input: &mut BytesMut) -> u64 {
        let n = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        self.too_large |= self.kept + n as u64 > self.content_max;
        let mut wanted = n;
        if self.too_large {
            // A stream goes on to its limit; of a whole answer nothing is left.
            let room = self.content_max.saturating_sub(self.kept);
            wanted = match self.in_pieces {
                true => usize::try_from(room).map_or(n, |room| room.min(n)),
                false => 0,
            };
            if !self.in_pieces {
                self.content = BytesMut::new();
            }
        }
        if self.content.is_empty() {
            self.content = input.split_to(wanted);
        } else {
            self.content
                .extend_from_slice(input.get(..wanted).unwrap_or_default());
            input.advance(wanted);
        }
        input.advance(n - wanted);
        self.kept += wanted as u64;
        self.wasted += (n - wanted) as u64;
        n as u64
    }

    /// Takes one line without its end, if it has arrived.
    fn line(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, BadChunk> {
        let max = match self.step {
            Step::Trailer => TRAILER_BYTES_MAX,
            _ => SIZE_LINE_MAX,
        };
        let fresh = input.get(self.searched..).unwrap_or_default();
        let Some(at) = fresh.iter().position(|b| *b == b'\n') else {
            self.searched = input.len();
            return if input.len() > max {
                Err(BadChunk)
            } else {
                Ok(None)
            };
        };
        let end = self.searched + at;
        self.searched = 0;
        if end > max || end == 0 || input.get(end - 1) != Some(&b'\r') {
            return Err(BadChunk);
        }
        let mut line = input.split_to(end + 1);
        line.truncate(end - 1);
        Ok(Some(line))
    }

    fn after(&mut self, line: &[u8]) -> Result<Step, BadChunk> {
        match self.step {
            Step::ChunkSize => match chunk_size(line).ok_or(BadChunk)? {
                0 => Ok(Step::Trailer),
                left => Ok(Step::Chunk { left }),
            },
            Step::ChunkEnd if line.is_empty() => Ok(Step::ChunkSize),
            Step::Trailer if line.is_empty() => Ok(Step::Done),
            Step::Trailer if self.trailer_lines < TRAILERS_MAX => {
                self.trailer_lines += 1;
                self.trailer(line).ok_or(BadChunk)?;
                Ok(Step::Trailer)
            }
            _ => Err(BadChunk),
        }
    }

    fn trailer(&mut self, line: &[u8]) -> Option<()> {
        let colon = line.iter().position(|b| *b == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"lambda-runtime-function-error-type") {
            self.trailers.error_type = Some(String::from_utf8_lossy(value).into_owned());
        } else if name.eq_ignore_ascii_case(b"lambda-runtime-function-error-body") {
            self.trailers.error_body = Some(value.to_vec());
        }
        Some(())
    }
}

/// Hexadecimal digits, then perhaps extensions, which mean nothing here.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|b| *b == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 12 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: u64 = 32;

    /// Feeds `bytes` in pieces of `step` bytes.
    fn decode(length: Length, bytes: &[u8], step: usize) -> Result<Option<Decoder>, BadChunk> {
        let mut decoder = Decoder::new(length, MAX);
        let mut buffer = BytesMut::new();
        let mut done = decoder.feed(&mut buffer)? == Progress::Done;
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            done = decoder.feed(&mut buffer)? == Progress::Done;
        }
        Ok(done.then_some(decoder))
    }

    fn content(length: Length, bytes: &[u8], step: usize) -> Vec<u8> {
        let decoder = decode(length, bytes, step).unwrap().expect("whole");
        assert!(!decoder.is_too_large());
        decoder.finish().0.to_vec()
    }

    #[test]
    fn both_framings_give_the_same_body() {
        for step in [1, 2, 5, 100] {
            assert_eq!(content(Length::Fixed(5), b"hello", step), b"hello");
            assert_eq!(
                content(
                    Length::Chunked,
                    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
                    step
                ),
                b"hello"
            );
        }
        assert_eq!(content(Length::Fixed(0), b"", 1), b"");
    }

    #[test]
    fn trailers_carry_the_error_of_a_stream() {
        let text = b"1\r\nx\r\n0\r\nLambda-Runtime-Function-Error-Type: E\r\n\
                     lambda-runtime-function-error-body: e30=\r\n\r\n";
        let (_, trailers) = decode(Length::Chunked, text, 3).unwrap().unwrap().finish();
        assert_eq!(trailers.error_type.as_deref(), Some("E"));
        assert_eq!(trailers.error_body.as_deref(), Some(&b"e30="[..]));
    }

    #[test]
    fn what_follows_a_body_stays_in_the_buffer() {
        let mut buffer = BytesMut::from(&b"abcGET"[..]);
        let mut decoder = Decoder::new(Length::Fixed(3), MAX);
        assert_eq!(decoder.feed(&mut buffer), Ok(Progress::Done));
        assert_eq!(&buffer[..], b"GET");
    }

    #[test]
    fn a_long_body_is_thrown_away_but_read_to_its_end() {
        for (length, text) in [
            (Length::Fixed(40), "x".repeat(40)),
            (
                Length::Chunked,
                format!("28\r\n{}\r\n0\r\n\r\n", "x".repeat(40)),
            ),
        ] {
            let decoder = decode(length, text.as_bytes(), 7).unwrap().unwrap();
            assert!(decoder.is_too_large());
            assert!(decoder.finish().0.is_empty());
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for text in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "1\nx",
            "1\r\nxy",
            "ffffffffffffffff\r\n",
            "0\r\nnot a trailer\r\n\r\n",
            "1\r\nx\r\n\r\n",
        ] {
            let text = format!("{text}{}", "\r\n".repeat(3));
            assert!(
                decode(Length::Chunked, text.as_bytes(), 1).is_err(),
                "{text:?}"
            );
        }
        let endless = "1;".to_owned() + &"a".repeat(SIZE_LINE_MAX + 1);
        assert!(decode(Length::Chunked, endless.as_bytes(), 64).is_err());
    }

    proptest! {
        #[test]
        fn a_body_in_any_chunks_comes_out_whole(
            body in prop::collection::vec(any::<u8>(), 0..32),
            size in 1usize..9, step in 1usize..20,
        ) {
            let mut text = Vec::new();
            for chunk in body.chunks(size) {
                text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(content(Length::Chunked, &text, step), body);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic_or_keep_too_much(
            bytes in "([0-9a-f]{1,3}|[\r\n]{1,2}|[a-z:;]{1,9}|\r\n|0\r\n){0,40}", step in 1usize..20,
        ) {
            if let Ok(Some(decoder)) = decode(Length::Chunked, bytes.as_bytes(), step) {
                prop_assert!(decoder.finish().0.len() as u64 <= MAX);
            }
        }
    }
}
