//! Reads what an environment prints and hands it on line by line.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fchmod, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use tasks::Clock;
use tokio::net::unix::pipe::Receiver;

use crate::{Output, OutputLine};

/// Longest line or framed message; the rest is cut.  [Lambda guide: a log event holds 256 KiB]
const LINE_BYTES_MAX: usize = 256 * 1024;

/// What one read takes at most.
const READ_BYTES: usize = 16 * 1024;

/// Most bytes that one drain takes from one pipe: what a pipe can hold by default, so that a
/// process that prints without end cannot keep an answer back.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// A pipe, closed on exec, whose reading end (the first) does not block. A function of another user
/// may open it for writing again, as `/dev/stderr`.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, OFlags::NONBLOCK)?;
    fchmod(&write, Mode::from_raw_mode(0o622))?;
    Ok((read, write))
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    /// The line was too long: what follows is dropped until its newline.
    cutting: bool,
}

impl Lines {
    fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8], bool)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (head, rest) = bytes.split_at(end);
            self.extend(head, &mut emit);
            if !std::mem::take(&mut self.cutting) {
                emit(&self.line, false);
                self.line.clear();
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes, &mut emit);
    }

    fn extend(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8], bool)) {
        if self.cutting {
            return;
        }
        let room = LINE_BYTES_MAX - self.line.len();
        match bytes.get(..room) {
            Some(head) if bytes.len() > room => {
                self.line.extend_from_slice(head);
                emit(&self.line, true);
                self.line.clear();
                self.cutting = true;
            }
            _ => self.line.extend_from_slice(bytes),
        }
    }

    /// Gives out a line that lacks its newline.
    fn flush(&mut self, mut emit: impl FnMut(&[u8], bool)) {
        if !self.line.is_empty() {
            emit(&self.line, false);
            self.line.clear();
        }
    }
}

/// Cuts the stream of `_LAMBDA_TELEMETRY_LOG_FD` into messages.
///
/// A frame is a type (4 bytes, upper half `a55a`), the length of the message (4), microseconds
/// since the Unix epoch (8), all big-endian, and the message.  [awslambdaric: FramedTelemetryLogSink]
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    frame: Option<Frame>,
    /// Something else than frames came: from then on everything is lines.
    lines: Option<Lines>,
}

struct Frame {
    unix_ms: i64,
    left: usize,
    message: Vec<u8>,
    cut: bool,
}

const FRAME_HEADER: usize = 16;
const FRAME_MAGIC: [u8; 2] = [0xa5, 0x5a];

impl Frames {
    /// `emit` takes the time if the frame told it.
    fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8], bool, Option<i64>)) {
        while !bytes.is_empty() {
            if let Some(lines) = &mut self.lines {
                lines.feed(bytes, |line, cut| emit(line, cut, None));
                return;
            }
            if let Some(frame) = &mut self.frame {
                let (head, rest) = bytes.split_at(frame.left.min(bytes.len()));
                frame.take(head);
                bytes = rest;
            } else {
                let missing = FRAME_HEADER - self.header.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                self.open(&mut emit);
            }
            if let Some(done) = self.frame.take_if(|frame| frame.left == 0) {
                emit(&done.message, done.cut, Some(done.unix_ms));
            }
        }
    }

    fn open(&mut self, emit: &mut impl FnMut(&[u8], bool, Option<i64>)) {
        if !FRAME_MAGIC.iter().zip(&self.header).all(|(a, b)| a == b) {
            let mut lines = Lines::default();
            lines.feed(&self.header, |line, cut| emit(line, cut, None));
            self.header.clear();
            self.lines = Some(lines);
            return;
        }
        let Some((_, [l0, l1, l2, l3, time @ ..])) = self.header.split_first_chunk::<4>() else {
            return;
        };
        let Ok(time) = <[u8; 8]>::try_from(time) else {
            return;
        };
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
        let micros = i64::try_from(u64::from_be_bytes(time)).unwrap_or(0);
        self.frame = Some(Frame {
            unix_ms: micros / 1_000,
            left: usize::try_from(length).unwrap_or(usize::MAX),
            message: Vec::new(),
            cut: false,
        });
        self.header.clear();
    }
}

impl Frame {
    fn take(&mut self, bytes: &[u8]) {
        self.left -= bytes.len();
        let room = LINE_BYTES_MAX - self.message.len();
        self.cut |= bytes.len() > room;
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.message.extend_from_slice(kept);
    }
}

/// The server's ends of the pipes of one environment.
pub(crate) struct Streams {
    sink: Sink,
    text: Option<Receiver>,
    lines: Lines,
    framed: Option<Receiver>,
    frames: Frames,
    /// Of external extensions, all in one.
    extensions: Option<Receiver>,
    extension_lines: Lines,
    buffer: Vec<u8>,
}

struct Sink {
    output: Arc<dyn Output>,
    clock: Clock,
}

impl Sink {
    fn line(&self, bytes: &[u8], cut: bool, unix_ms: Option<i64>) {
        self.put(bytes, cut, unix_ms, false);
    }

    fn extension_line(&self, bytes: &[u8], cut: bool) {
        self.put(bytes, cut, None, true);
    }

    fn put(&self, bytes: &[u8], cut: bool, unix_ms: Option<i64>, is_extension: bool) {
        let bytes = match bytes {
            [head @ .., b'\n'] => head,
            all => all,
        };
        self.output.line(OutputLine {
            unix_ms: unix_ms.unwrap_or_else(|| self.clock.now().unix_millis()),
            message: String::from_utf8_lossy(bytes).into_owned(),
            cut,
            is_extension,
        });
    }
}

impl Streams {
    /// `text` carries stdout and stderr in one pipe, which keeps their order; both are non-blocking.
    pub(crate) fn new(
        text: OwnedFd,
        framed: OwnedFd,
        output: Arc<dyn Output>,
        clock: Clock,
    ) -> io::Result<Streams> {
        Ok(Streams {
            sink: Sink { output, clock },
            text: Some(Receiver::from_owned_fd(text)?),
            lines: Lines::default(),
            framed: Some(Receiver::from_owned_fd(framed)?),
            frames: Frames::default(),
            extensions: None,
            extension_lines: Lines::default(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Hands on what comes, without end. Cancel-safe.
    pub(crate) async fn pump(&mut self) -> std::convert::Infallible {
        loop {
            let read: fn(&mut Streams, How) -> usize = tokio::select! {
                () = readable(self.text.as_ref()) => Streams::read_text,
                () = readable(self.framed.as_ref()) => Streams::read_framed,
                () = readable(self.extensions.as_ref()) => Streams::read_extensions,
            };
            read(self, Receiver::try_read);
        }
    }

    pub(crate) fn output(&self) -> &Arc<dyn Output> {
        &self.sink.output
    }

    /// Also reads what external extensions write.
    pub(crate) fn with_extensions(mut self, pipe: OwnedFd) -> io::Result<Streams> {
        self.extensions = Some(Receiver::from_owned_fd(pipe)?);
        Ok(self)
    }

    /// Hands on everything that is in the pipes now, an unfinished line too.
    pub(crate) fn drain(&mut self) {
        if !self.is_silent() {
            self.empty(Streams::read_framed);
            self.empty(Streams::read_text);
            if self.extensions.is_some() {
                self.empty(Streams::read_extensions);
            }
        }
        let sink = &self.sink;
        self.lines.flush(|line, cut| sink.line(line, cut, None));
        self.extension_lines
            .flush(|line, cut| sink.extension_line(line, cut));
    }

    /// Whether the pipes are open and empty: most calls print nothing, and one look is less than a
    /// read of each.
    fn is_silent(&self) -> bool {
        let (Some(text), Some(framed)) = (&self.text, &self.framed) else {
            return false;
        };
        let third = self.extensions.as_ref().unwrap_or(text);
        let mut fds = [text, framed, third].map(|pipe| PollFd::new(pipe, PollFlags::IN));
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    fn empty(&mut self, read: fn(&mut Streams, How) -> usize) {
        let mut left = DRAIN_BYTES_MAX;
        while left > 0 {
            match read(self, read_now) {
                0 => break,
                n => left = left.saturating_sub(n),
            }
        }
    }

    fn read_text(&mut self, how: How) -> usize {
        let bytes = read(&mut self.text, &mut self.buffer, how);
        let sink = &self.sink;
        self.lines
            .feed(bytes, |line, cut| sink.line(line, cut, None));
        bytes.len()
    }

    fn read_extensions(&mut self, how: How) -> usize {
        let bytes = read(&mut self.extensions, &mut self.buffer, how);
        let sink = &self.sink;
        self.extension_lines
            .feed(bytes, |line, cut| sink.extension_line(line, cut));
        bytes.len()
    }

    fn read_framed(&mut self, how: How) -> usize {
        let bytes = read(&mut self.framed, &mut self.buffer, how);
        let sink = &self.sink;
        self.frames
            .feed(bytes, |message, cut, time| sink.line(message, cut, time));
        bytes.len()
    }
}

async fn readable(pipe: Option<&Receiver>) {
    match pipe {
        // An error shows again in the read that follows.
        Some(pipe) => drop(pipe.readable().await),
        None => std::future::pending().await,
    }
}

type How = fn(&Receiver, &mut [u8]) -> io::Result<usize>;

/// Asks the kernel itself. `try_read` would believe the reactor, which may not have seen yet what
/// was written a moment ago.
fn read_now(pipe: &Receiver, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(pipe, buffer)?)
}

/// Reads once; closes the pipe at its end or on an error.
fn read<'b>(pipe: &mut Option<Receiver>, buffer: &'b mut [u8], how: How) -> &'b [u8] {
    let Some(open) = pipe else { return &[] };
    match how(open, buffer) {
        Ok(n) if n > 0 => buffer.get(..n).unwrap_or_default(),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => &[],
        _ => {
            *pipe = None;
            &[]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<(usize, String, bool)> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut push = |l: &[u8], cut| {
            let head = String::from_utf8_lossy(l.get(..8).unwrap_or(l)).into_owned();
            seen.push((l.len(), head, cut));
        };
        for chunk in chunks {
            lines.feed(chunk, &mut push);
        }
        lines.flush(&mut push);
        seen
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        let want = vec![
            (1, "a".to_owned(), false),
            (0, String::new(), false),
            (3, "bcd".to_owned(), false),
        ];
        assert_eq!(lines_of(&[b"a\n\nbcd"]), want);
        assert_eq!(lines_of(&[b"a", b"\n", b"\nb", b"c", b"d\n"]), want);
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let want = vec![
            (LINE_BYTES_MAX, "xxxxxxxx".to_owned(), true),
            (2, "ok".to_owned(), false),
        ];
        assert_eq!(lines_of(&[&long, b"more\nok\n"]), want);
        let exact = vec![b'x'; LINE_BYTES_MAX];
        let want = vec![(LINE_BYTES_MAX, "xxxxxxxx".to_owned(), false)];
        assert_eq!(lines_of(&[&exact, b"\n"]), want);
    }

    fn frame(kind: u32, micros: u64, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [
            &kind.to_be_bytes()[..],
            &length.to_be_bytes(),
            &micros.to_be_bytes(),
            message,
        ]
        .concat()
    }

    fn frames_of(bytes: &[u8], step: usize) -> Vec<(String, bool, Option<i64>)> {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for chunk in bytes.chunks(step) {
            frames.feed(chunk, |m, cut, time| {
                seen.push((String::from_utf8_lossy(m).into_owned(), cut, time));
            });
        }
        seen
    }

    #[test]
    fn frames_are_whole_however_the_bytes_arrive() {
        let bytes = [
            frame(0xa55a_0003, 1_700_000_000_123_456, b"one\ntwo"),
            frame(0xa55a_0017, 5_000, b""),
            frame(0xa55a_0003, 6_999, b"three"),
        ]
        .concat();
        let want = vec![
            ("one\ntwo".to_owned(), false, Some(1_700_000_000_123)),
            (String::new(), false, Some(5)),
            ("three".to_owned(), false, Some(6)),
        ];
        for step in [1, 7, 16, 4_096] {
            assert_eq!(frames_of(&bytes, step), want, "chunks of {step}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_cut() {
        let bytes = [
            frame(0xa55a_0003, 0, &vec![b'x'; LINE_BYTES_MAX + 9]),
            frame(0xa55a_0003, 0, b"next"),
        ]
        .concat();
        let seen = frames_of(&bytes, 1_000);
        let shape: Vec<_> = seen.iter().map(|(m, cut, _)| (m.len(), *cut)).collect();
        assert_eq!(shape, [(LINE_BYTES_MAX, true), (4, false)]);
    }

    #[test]
    fn what_is_not_framed_is_taken_as_lines() {
        let seen = frames_of(b"plain text that is no frame\nsecond\n", 5);
        let texts: Vec<_> = seen.iter().map(|(m, ..)| m.as_str()).collect();
        assert_eq!(texts, ["plain text that is no frame", "second"]);
    }
}
