//! The files of one log group: segments that grow at the end, and the search through them.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::frame::{self, Frame, MAGIC, SEAL_BYTES, Span};
use crate::page::{Direction, Event, Limits, Page, Place};
use crate::pattern::Pattern;

/// Bytes of a segment, above which the next one is begun.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;
/// Bytes that one search reads before it answers with what it has.
const SEARCH_BYTES_MAX: u64 = 64 << 20;

/// All calls block on the disk.
pub(crate) struct Journal {
    dir: PathBuf,
    /// The folder that holds all journals; its own name is safe.
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_loaded: bool,
    is_removed: bool,
    segments: Vec<Segment>,
    /// The last segment while it may grow.
    open: Option<File>,
}

#[derive(Clone, Debug)]
struct Segment {
    number: u32,
    bytes: u64,
    span: Span,
    is_sealed: bool,
}

/// Which streams a search looks at, and where their events can be in sealed segments.
pub(crate) enum Streams {
    All {
        except: HashSet<u64>,
        prefix: String,
    },
    Some(HashMap<u64, Span>),
}

pub(crate) struct Search {
    pub(crate) streams: Streams,
    /// First place that counts.
    pub(crate) from: Place,
    /// First place that does not count any more.
    pub(crate) to: Place,
    pub(crate) direction: Direction,
    pub(crate) limits: Limits,
    pub(crate) pattern: Pattern,
}

pub(crate) struct Found {
    /// Earliest first.
    pub(crate) events: Vec<Event>,
    /// Where to go on if the page is not the last one.
    pub(crate) more: Option<Place>,
}

#[derive(Debug)]
pub(crate) enum JournalError {
    /// Its group was deleted.
    Removed,
    Io(io::Error),
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> JournalError {
        JournalError::Io(error)
    }
}

impl Journal {
    pub(crate) fn new(root: &Path, dir: PathBuf) -> Journal {
        Journal {
            dir,
            root: root.to_owned(),
            state: Mutex::default(),
        }
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:08}.log"))
    }

    fn loaded(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_removed {
            return Err(JournalError::Removed);
        }
        if !state.is_loaded {
            state.segments = self.load()?;
            state.is_loaded = true;
        }
        Ok(state)
    }

    fn load(&self) -> io::Result<Vec<Segment>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut numbers: Vec<u32> = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|n| n.strip_suffix(".log"));
            numbers.extend(number.and_then(|n| n.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        numbers
            .into_iter()
            .map(|number| self.inspect(number))
            .collect()
    }

    /// Reads the seal, or all of a segment that has none and cuts off what a crash tore.
    fn inspect(&self, number: u32) -> io::Result<Segment> {
        let path = self.path(number);
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let seal_bytes = u64::try_from(SEAL_BYTES).unwrap_or(u64::MAX);
        if let Some(start) = bytes.checked_sub(seal_bytes) {
            let mut tail = [0; SEAL_BYTES];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut tail)?;
            if let Some(span) = frame::read_seal(&tail) {
                return Ok(Segment {
                    number,
                    bytes,
                    span,
                    is_sealed: true,
                });
            }
        }
        let content = fs::read(&path)?;
        let (end, span) = frame::sound(&content);
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        if end < bytes {
            tracing::warn!(path = %path.display(), lost = bytes - end, "log segment was torn");
            file.set_len(end)?;
        }
        Ok(Segment {
            number,
            bytes: end,
            span,
            is_sealed: false,
        })
    }

    /// Appends whole frames; with `durable`, they are on the disk when it returns.
    /// Answers whether the segment is full and shall be sealed.
    pub(crate) fn append(
        &self,
        frames: &[u8],
        span: Span,
        durable: bool,
    ) -> Result<bool, JournalError> {
        let mut state = self.loaded()?;
        self.open_last(&mut state, durable)?;
        let State { segments, open, .. } = &mut *state;
        let (Some(segment), Some(file)) = (segments.last_mut(), open.as_mut()) else {
            return Err(io::Error::other("no segment is open").into());
        };
        let written = file
            .write_all(frames)
            .and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half a frame must not stand before the next one.
            file.set_len(segment.bytes)?;
            return Err(error.into());
        }
        segment.bytes += u64::try_from(frames.len()).unwrap_or(u64::MAX);
        segment.span = segment.span.join(span);
        Ok(segment.bytes >= SEGMENT_BYTES_MAX)
    }

    fn open_last(&self, state: &mut State, durable: bool) -> io::Result<()> {
        if state.open.is_some() {
            return Ok(());
        }
        let last = state.segments.last().filter(|s| !s.is_sealed);
        // A segment whose very beginning was torn is written anew.
        let fresh = last.is_none_or(|s| s.bytes == 0);
        let number = match last {
            Some(last) => last.number,
            None => state.segments.last().map_or(1, |s| s.number + 1),
        };
        fs::create_dir_all(&self.dir)?;
        let path = self.path(number);
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if fresh {
            file.set_len(0)?;
            file.write_all(MAGIC)?;
            if durable {
                self.sync_names()?;
            }
            state.segments.retain(|s| s.number != number);
            state.segments.push(Segment {
                number,
                bytes: u64::try_from(MAGIC.len()).unwrap_or(u64::MAX),
                span: Span::EMPTY,
                is_sealed: false,
            });
        }
        state.open = Some(file);
        Ok(())
    }

    /// Makes the names of the file and of the folders above it survive a crash.
    fn sync_names(&self) -> io::Result<()> {
        let mut at = self.dir.as_path();
        loop {
            File::open(at)?.sync_all()?;
            match at.parent() {
                Some(above) if at != self.root => at = above,
                _ => return Ok(()),
            }
        }
    }

    /// Closes the growing file until the next append.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = None;
    }

    /// Ends the growing segment. The caller has saved the spans of the streams in it.
    pub(crate) fn seal(&self) -> Result<(), JournalError> {
        let mut state = self.loaded()?;
        let State { segments, open, .. } = &mut *state;
        let (Some(segment), Some(mut file)) = (segments.last_mut(), open.take()) else {
            return Ok(());
        };
        let seal = frame::seal(segment.span);
        file.write_all(&seal)?;
        file.sync_data()?;
        segment.bytes += u64::try_from(seal.len()).unwrap_or(u64::MAX);
        segment.is_sealed = true;
        Ok(())
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> Result<u64, JournalError> {
        Ok(self.loaded()?.segments.iter().map(|s| s.bytes).sum())
    }

    /// The earliest time of any event; the end of time without events.
    pub(crate) fn earliest(&self) -> Result<i64, JournalError> {
        let state = self.loaded()?;
        let times = state.segments.iter().map(|s| s.span.earliest);
        Ok(times.min().unwrap_or(i64::MAX))
    }

    /// Deletes the segments whose events are all earlier than `time`.
    pub(crate) fn trim(&self, time: i64) -> Result<(), JournalError> {
        let mut state = self.loaded()?;
        let State { segments, open, .. } = &mut *state;
        let growing = open.is_some().then(|| segments.last().map(|s| s.number));
        let growing = growing.flatten();
        let mut failed = None;
        segments.retain(|segment| {
            if segment.span.latest >= time || Some(segment.number) == growing {
                return true;
            }
            match fs::remove_file(self.path(segment.number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    failed = Some(error);
                    true
                }
                _ => false,
            }
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Deletes everything; every later call answers [`JournalError::Removed`].
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_removed = true;
        state.open = None;
        state.segments.clear();
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn search(&self, search: &Search) -> Result<Found, JournalError> {
        let mut segments = self.loaded()?.segments.clone();
        segments.retain(|segment| search.may_hold(segment));
        match search.direction {
            Direction::Forward => segments.sort_by_key(|s| s.span.earliest),
            Direction::Backward => segments.sort_by_key(|s| std::cmp::Reverse(s.span.latest)),
        }
        let mut page = Page::new(search.direction, search.limits);
        let mut read = 0;
        for segment in segments {
            let edge = search.edge(&segment);
            if page.is_cut() && !page.wants(edge) {
                break;
            }
            if read >= SEARCH_BYTES_MAX && search.is_progress(edge) {
                page.stop_at(edge);
                return Ok(Found {
                    events: page.into_events(),
                    more: Some(edge),
                });
            }
            match self.read_segment(&segment) {
                Ok(file) => search.read(segment.number, &file, &mut page),
                // Trimmed since the list was made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            read += segment.bytes;
        }
        let is_cut = page.is_cut();
        let events = page.into_events();
        let more = match search.direction {
            Direction::Forward => events.last().map(|e| e.place.after()),
            Direction::Backward => events.first().map(|e| e.place),
        };
        Ok(Found {
            events,
            more: more.filter(|_| is_cut),
        })
    }

    /// The known part of a segment: behind it an append may be under way.
    fn read_segment(&self, segment: &Segment) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(segment.number))?;
        let mut content = Vec::with_capacity(usize::try_from(segment.bytes).unwrap_or(0));
        file.take(segment.bytes).read_to_end(&mut content)?;
        Ok(content)
    }
}

impl Search {
    fn span(&self) -> Span {
        Span {
            earliest: self.from.time,
            latest: self.to.time,
        }
    }

    fn may_hold(&self, segment: &Segment) -> bool {
        if !segment.span.meets(self.span()) {
            return false;
        }
        match &self.streams {
            Streams::All { .. } => true,
            // Spans of streams are saved before a segment is sealed, not earlier.
            Streams::Some(streams) => {
                !segment.is_sealed || streams.values().any(|span| span.meets(segment.span))
            }
        }
    }

    /// The end of the segment that a search in this direction meets first.
    fn edge(&self, segment: &Segment) -> Place {
        match self.direction {
            Direction::Forward => Place::before_time(segment.span.earliest),
            Direction::Backward => Place::before_time(segment.span.latest.saturating_add(1)),
        }
    }

    fn is_progress(&self, edge: Place) -> bool {
        match self.direction {
            Direction::Forward => edge > self.from,
            Direction::Backward => edge < self.to,
        }
    }

    fn wants(&self, frame: &Frame<'_>) -> bool {
        let stream = match &self.streams {
            Streams::All { except, prefix } => {
                !except.contains(&frame.stream) && frame.name.starts_with(prefix.as_str())
            }
            Streams::Some(streams) => streams.contains_key(&frame.stream),
        };
        stream && frame.span.meets(self.span())
    }

    fn read(&self, number: u32, file: &[u8], page: &mut Page) {
        for frame in frame::frames(file) {
            if !self.wants(&frame) {
                continue;
            }
            let Some(events) = frame.events() else {
                tracing::warn!(number, offset = frame.offset, "frame of a log is damaged");
                return;
            };
            let offset = u64::try_from(frame.offset).unwrap_or(u64::MAX);
            for (nth, (time, message)) in (0..).zip(events) {
                let place = Place {
                    time,
                    at: (u64::from(number) << 32) | offset,
                    nth,
                };
                let in_range = self.from <= place && place < self.to;
                if in_range && page.wants(place) && self.pattern.matches(message) {
                    page.add(Event {
                        place,
                        stream: frame.name.to_owned(),
                        ingested: frame.ingested,
                        message: message.to_owned(),
                    });
                }
            }
        }
    }
}
