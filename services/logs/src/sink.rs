//! The way of a function's output: it is kept for a moment, then appended in one go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ports::{LogLine, LogSink, LogStreamRef};
use tokio::sync::Notify;

use crate::engine::{Engine, Part, Place};
use crate::fault::Fault;
use crate::frame::Line;
use crate::record::Group;

/// Bytes of lines that wait for the disk; what comes beyond is dropped and counted.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// How long lines wait for others.
const LINGER: Duration = Duration::from_millis(100);
/// Bytes of one message; the rest of a longer one is cut off.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Streams whose ids are remembered; beyond that they are looked up again.
const KNOWN_MAX: usize = 4_096;
/// Streams that are made at the same time.
const MADE_TOGETHER_MAX: usize = 64;
/// What a line costs besides its text.
const LINE_BYTES: usize = 64;

#[derive(Default)]
pub(crate) struct Sink {
    waiting: Mutex<Waiting>,
    news: Notify,
    dropped: AtomicU64,
    /// Held while a flush is under way. Whoever deletes a group or a stream takes it out here.
    pub(crate) known: tokio::sync::Mutex<HashMap<LogStreamRef, To>>,
}

#[derive(Default)]
struct Waiting {
    lines: HashMap<LogStreamRef, Vec<Line>>,
    bytes: usize,
}

/// Where the lines of a stream go.
#[derive(Clone, Copy)]
pub(crate) struct To {
    pub(crate) group: u64,
    pub(crate) stream: u64,
}

impl Sink {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn dropped_lines(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_lines(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let before = self.dropped.fetch_add(count, Ordering::Relaxed);
        // The first, then every doubling: a slow disk must not also fill our own log.
        if before == 0 || (before + count).ilog2() > before.ilog2() {
            tracing::warn!(lines = before + count, "function output was dropped");
        }
    }
}

/// The message as CloudWatch Logs keeps it: not too long, and with the end of its line.
fn finished(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX)
            .rev()
            .find(|i| message.is_char_boundary(*i));
        message.truncate(end.unwrap_or(0));
    }
    if !message.ends_with('\n') {
        message.push('\n');
    }
    message
}

impl LogSink for Engine {
    fn append(&self, to: &LogStreamRef, lines: Vec<LogLine>) {
        if lines.is_empty() {
            return;
        }
        let bytes: usize = lines.iter().map(|l| l.message.len() + LINE_BYTES).sum();
        let mut waiting = self.sink.waiting();
        if waiting.bytes + bytes > WAITING_BYTES_MAX {
            drop(waiting);
            self.sink.drop_lines(lines.len());
            return;
        }
        let was_empty = waiting.bytes == 0;
        waiting.bytes += bytes;
        let lines = lines.into_iter().map(|line| Line {
            time: line.unix_ms,
            message: finished(line.message),
        });
        match waiting.lines.get_mut(to) {
            Some(before) => before.extend(lines),
            None => drop(waiting.lines.insert(to.clone(), lines.collect())),
        }
        drop(waiting);
        if was_empty {
            self.sink.news.notify_one();
        }
    }
}

impl Engine {
    /// Writes what waits. Readers call it, so that they see what was appended before.
    pub(crate) async fn flush(&self) {
        let mut known = self.sink.known.lock().await;
        let waiting = std::mem::take(&mut *self.sink.waiting());
        if waiting.lines.is_empty() {
            return;
        }
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        let unknown: Vec<LogStreamRef> = waiting
            .lines
            .keys()
            .filter(|to| !known.contains_key(*to))
            .cloned()
            .collect();
        self.get_to_know(&mut known, unknown).await;
        let mut groups: HashMap<(Place, u64), Vec<Part>> = HashMap::new();
        for (to, lines) in waiting.lines {
            let Some(ids) = known.get(&to) else {
                self.sink.drop_lines(lines.len());
                continue;
            };
            let part = Part {
                stream: ids.stream,
                name: to.stream.clone(),
                lines,
            };
            groups
                .entry((place(&to), ids.group))
                .or_default()
                .push(part);
        }
        for ((at, group), parts) in groups {
            let count = parts.iter().map(|part| part.lines.len()).sum();
            if let Err(error) = self.write(&at, group, parts, false).await {
                tracing::warn!(%error, "function output was not written");
                self.sink.drop_lines(count);
                known.retain(|_, to| to.group != group);
            }
        }
    }

    /// Finds or makes the groups and the streams of `unknown`.
    async fn get_to_know(&self, known: &mut HashMap<LogStreamRef, To>, unknown: Vec<LogStreamRef>) {
        let mut groups: HashMap<(Place, Arc<str>), Option<Group>> = HashMap::new();
        for to in &unknown {
            let key = (place(to), to.group.clone());
            if groups.contains_key(&key) {
                continue;
            }
            let group = self.find_or_make_group(&key.0, &to.group).await;
            let group = group.inspect_err(|error| {
                tracing::warn!(group = &*to.group, %error, "log group was not made");
            });
            groups.insert(key, group.ok());
        }
        for chunk in unknown.chunks(MADE_TOGETHER_MAX) {
            let made = chunk.iter().map(|to| {
                let group = groups.get(&(place(to), to.group.clone()));
                self.find_or_make_stream(group.and_then(Option::as_ref), &to.stream)
            });
            let made = futures_util::future::join_all(made).await;
            for (to, ids) in chunk.iter().zip(made) {
                match ids {
                    Ok(ids) => drop(known.insert(to.clone(), ids)),
                    Err(error) => {
                        tracing::warn!(stream = &*to.stream, %error, "log stream was not made");
                    }
                }
            }
        }
    }

    async fn find_or_make_group(&self, at: &Place, name: &str) -> Result<Group, Fault> {
        match self.group(at, name).await {
            Err(Fault::NoGroup) => {}
            other => return other,
        }
        let group = self.new_group(name);
        match self.create_group(at, &group).await {
            Ok(()) => Ok(group),
            Err(Fault::GroupExists) => self.group(at, name).await,
            Err(other) => Err(other),
        }
    }

    async fn find_or_make_stream(&self, group: Option<&Group>, name: &str) -> Result<To, Fault> {
        let group = group.ok_or(Fault::NoGroup)?;
        let stream = match self.create_stream(group, name).await {
            Err(Fault::StreamExists) => self.stream(group, name).await?,
            other => other?,
        };
        Ok(To {
            group: group.id,
            stream: stream.id,
        })
    }

    /// Writes function output until the process goes down.
    pub(crate) async fn run_flusher(self: Arc<Engine>) {
        let mut stop = self.tasks.stop();
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = self.sink.news.notified() => {}
            }
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = self.tasks.clock().sleep(LINGER) => {}
            }
            self.flush().await;
        }
        self.flush().await;
    }
}

fn place(to: &LogStreamRef) -> Place {
    Place {
        account: to.account.as_str().to_owned(),
        region: to.region.as_str().to_owned(),
    }
}
