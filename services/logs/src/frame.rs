//! The bytes of a segment file: frames, each a batch of events of one stream.
//!
//! ```text
//! file  = MAGIC frame*
//! frame = length u32 | crc32 of the payload u32 | payload
//! payload = 1 | stream u64 | ingested i64 | earliest i64 | latest i64 | name | count u32 | event*
//!         | 2 | earliest i64 | latest i64                       (the seal, always the last frame)
//! event = time i64 | length u32 | text
//! ```
//! All numbers big-endian, times in Unix milliseconds. A frame that is cut short or does not match
//! its sum ends the file: it is what a crash left of the last write.

/// First bytes of every segment file.
pub(crate) const MAGIC: &[u8; 8] = b"KILNLOG1";
/// Length and sum in front of a payload.
const HEAD_BYTES: usize = 8;
/// Length of the seal with its head.
pub(crate) const SEAL_BYTES: usize = HEAD_BYTES + 1 + 8 + 8;

const EVENTS: u8 = 1;
const SEAL: u8 = 2;

/// One event as it is written. The time is in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) time: i64,
    pub(crate) message: String,
}

/// Events of one stream that arrived together.
pub(crate) struct Batch<'a> {
    pub(crate) stream: u64,
    pub(crate) name: &'a str,
    pub(crate) ingested: i64,
    pub(crate) lines: &'a [Line],
}

/// The times that some events span, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
}

impl Span {
    /// Holds nothing; joins to whatever it is joined with.
    pub(crate) const EMPTY: Span = Span {
        earliest: i64::MAX,
        latest: i64::MIN,
    };

    pub(crate) fn of(lines: &[Line]) -> Span {
        lines.iter().fold(Span::EMPTY, |span, line| {
            span.join(Span {
                earliest: line.time,
                latest: line.time,
            })
        })
    }

    pub(crate) fn join(self, other: Span) -> Span {
        Span {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.max(other.latest),
        }
    }

    pub(crate) fn meets(self, other: Span) -> bool {
        self.earliest <= other.latest && other.earliest <= self.latest
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn close(out: &mut [u8], start: usize) {
    let payload = out.get(start + HEAD_BYTES..).unwrap_or_default();
    let head = [
        length(payload.len()),
        crc32fast::hash(payload).to_be_bytes(),
    ]
    .concat();
    if let Some(place) = out.get_mut(start..start + HEAD_BYTES) {
        place.copy_from_slice(&head);
    }
}

/// Adds the frame of `batch` to `out`.
pub(crate) fn write(out: &mut Vec<u8>, batch: &Batch<'_>) {
    let start = out.len();
    let span = Span::of(batch.lines);
    out.extend_from_slice(&[0; HEAD_BYTES]);
    out.push(EVENTS);
    out.extend_from_slice(&batch.stream.to_be_bytes());
    for time in [batch.ingested, span.earliest, span.latest] {
        out.extend_from_slice(&time.to_be_bytes());
    }
    out.extend_from_slice(&length(batch.name.len()));
    out.extend_from_slice(batch.name.as_bytes());
    out.extend_from_slice(&length(batch.lines.len()));
    for line in batch.lines {
        out.extend_from_slice(&line.time.to_be_bytes());
        out.extend_from_slice(&length(line.message.len()));
        out.extend_from_slice(line.message.as_bytes());
    }
    close(out, start);
}

/// The frame that ends a segment.
pub(crate) fn seal(span: Span) -> Vec<u8> {
    let mut out = vec![0; HEAD_BYTES];
    out.push(SEAL);
    out.extend_from_slice(&span.earliest.to_be_bytes());
    out.extend_from_slice(&span.latest.to_be_bytes());
    close(&mut out, 0);
    out
}

/// What the last bytes of a file say if it was sealed.
pub(crate) fn read_seal(tail: &[u8]) -> Option<Span> {
    let mut payload = Reader(checked(tail)?);
    if payload.u8()? != SEAL {
        return None;
    }
    Some(Span {
        earliest: payload.i64()?,
        latest: payload.i64()?,
    })
}

/// A frame of events inside a file that was read.
pub(crate) struct Frame<'a> {
    /// Where it starts in the file.
    pub(crate) offset: usize,
    pub(crate) stream: u64,
    pub(crate) name: &'a str,
    pub(crate) ingested: i64,
    pub(crate) span: Span,
    events: Reader<'a>,
    /// Head and payload, not yet compared with the sum.
    raw: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Time and text of its events; `None` if the bytes do not match their sum.
    pub(crate) fn events(&self) -> Option<impl Iterator<Item = (i64, &'a str)> + use<'a>> {
        checked(self.raw)?;
        let mut events = self.events;
        let count = events.u32()?;
        Some((0..count).map_while(move |_| {
            let time = events.i64()?;
            let text = events.take_counted()?;
            Some((time, std::str::from_utf8(text).ok()?))
        }))
    }
}

/// Walks the frames of a whole file. Ends at the first that is not whole.
pub(crate) fn frames(file: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut at = MAGIC.len();
    std::iter::from_fn(move || {
        loop {
            let rest = file.get(at..)?;
            let payload = payload(rest)?;
            let offset = at;
            let whole = HEAD_BYTES + payload.len();
            at += whole;
            let mut reader = Reader(payload);
            if reader.u8()? != EVENTS {
                continue;
            }
            return Some(Frame {
                offset,
                stream: reader.u64()?,
                ingested: reader.i64()?,
                span: Span {
                    earliest: reader.i64()?,
                    latest: reader.i64()?,
                },
                name: std::str::from_utf8(reader.take_counted()?).ok()?,
                events: reader,
                raw: rest.get(..whole)?,
            });
        }
    })
}

/// How much of a file is whole frames with right sums, and the times in it.
pub(crate) fn sound(file: &[u8]) -> (usize, Span) {
    let mut end = 0;
    let mut span = Span::EMPTY;
    if !file.starts_with(MAGIC) {
        return (end, span);
    }
    end = MAGIC.len();
    for frame in frames(file) {
        if checked(frame.raw).is_none() || frame.offset != end {
            break;
        }
        end = frame.offset + frame.raw.len();
        span = span.join(frame.span);
    }
    (end, span)
}

fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let end = HEAD_BYTES.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(HEAD_BYTES..end)
}

fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let payload = payload(bytes)?;
    let sum = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    (crc32fast::hash(payload) == sum).then_some(payload)
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn take_counted(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[(i64, &str)]) -> Vec<Line> {
        let line = |(time, text): &(i64, &str)| Line {
            time: *time,
            message: (*text).to_owned(),
        };
        texts.iter().map(line).collect()
    }

    fn file(batches: &[(u64, &[(i64, &str)])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (stream, texts) in batches {
            let lines = lines(texts);
            let batch = Batch {
                stream: *stream,
                name: "s",
                ingested: 9,
                lines: &lines,
            };
            write(&mut out, &batch);
        }
        out
    }

    fn read(file: &[u8]) -> Vec<(u64, i64, String)> {
        let mut all = Vec::new();
        for frame in frames(file) {
            for (time, text) in frame.events().into_iter().flatten() {
                all.push((frame.stream, time, text.to_owned()));
            }
        }
        all
    }

    #[test]
    fn frames_are_read_back() {
        let file = file(&[(1, &[(5, "a"), (3, "größe")]), (2, &[(7, "")])]);
        let expected = [
            (1, 5, "a".to_owned()),
            (1, 3, "größe".to_owned()),
            (2, 7, String::new()),
        ];
        assert_eq!(read(&file), expected);
        let span = Span {
            earliest: 3,
            latest: 7,
        };
        assert_eq!(sound(&file), (file.len(), span));
    }

    #[test]
    fn every_torn_tail_ends_at_a_whole_frame() {
        let whole = file(&[(1, &[(5, "first")]), (2, &[(6, "second")])]);
        let first = file(&[(1, &[(5, "first")])]).len();
        for cut in 0..whole.len() {
            let torn = &whole[..cut];
            let (end, _) = sound(torn);
            let expected = match cut {
                c if c < MAGIC.len() => 0,
                c if c < first => MAGIC.len(),
                _ => first,
            };
            assert_eq!(end, expected, "cut at {cut}");
            assert!(read(torn).len() <= 1);
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_sound_part_and_never_panics() {
        let whole = file(&[(1, &[(5, "first")]), (2, &[(6, "second")])]);
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (end, _) = sound(&damaged);
            assert!(end <= bit / 8, "bit {bit}");
            let _ = read(&damaged);
        }
    }

    #[test]
    fn a_seal_tells_the_span_and_is_no_event() {
        let span = Span {
            earliest: -4,
            latest: 9,
        };
        let tail = seal(span);
        assert_eq!(tail.len(), SEAL_BYTES);
        assert_eq!(read_seal(&tail), Some(span));
        let mut file = file(&[(1, &[(5, "a")])]);
        let last = file.split_off(file.len() - 3);
        assert_eq!(read_seal(&last), None);
        file.extend(last);
        file.extend(tail);
        assert_eq!(read(&file).len(), 1);
    }
}
