//! An invocation whose response is given to the caller while the function writes it.

use bytes::Bytes;
use model::Version;
use sandbox::{Piece, ResponseReader};
use tasks::Clock;
use tokio::sync::oneshot;

use crate::handle::{Invoke, Outcome, Refused, Request};
use crate::pace::Pace;
use crate::sync::{Early, check_tenant};

/// What a streamed response may be.  [Lambda quotas: 200 MB; the first 6 MB as fast as they come, the
/// rest at 2 MB in a second]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    pub bytes_max: u64,
    /// Bytes that flow without limit of speed.
    pub burst_max: u64,
    /// What follows them, in bytes; at least 1.
    pub per_sec_max: u64,
}

impl Default for StreamLimits {
    fn default() -> StreamLimits {
        StreamLimits {
            bytes_max: 200 << 20,
            burst_max: 6 << 20,
            per_sec_max: 2 << 20,
        }
    }
}

/// A response that has begun, or is over already. Dropping it lets the function run to its end.
pub struct Streamed {
    pub executed_version: Version,
    /// What the function named, if it answers in streaming mode.
    pub content_type: Option<String>,
    reader: ResponseReader,
    end: oneshot::Receiver<Result<Outcome, Refused>>,
    /// The outcome, once it is known; what was written before it comes first.
    over: Option<Outcome>,
    is_done: bool,
    pace: Pace,
    clock: Clock,
}

/// A part of a [`Streamed`] response.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Never empty.
    Bytes(Bytes),
    /// The last one. The payload is that of a function error, else empty.
    End(Outcome),
}

impl Invoke {
    /// Runs the function and returns as soon as it begins to answer in streaming mode, or ended
    /// without. The function runs to its end, also if the caller goes away.
    ///
    /// # Errors
    /// Those of [`Invoke::request_response`].
    pub async fn response_stream(&self, request: Request) -> Result<Streamed, Refused> {
        let _waiting = self.0.courtesy.call();
        let resolved = self.ready(&request.function).await?;
        check_tenant(&resolved, request.tenant.as_deref())?;
        self.stop_loops(&request)?;
        let admitted = self.0.admit(&resolved, &request.function)?;
        let (inner, limits, clock) = (self.0.clone(), self.0.config.stream, self.0.tasks.clock());
        let (writer, reader) = sandbox::response_stream(limits.bytes_max);
        let (tell, end) = oneshot::channel();
        let mut streamed = Streamed {
            executed_version: resolved.deployed.version,
            content_type: None,
            reader,
            end,
            over: None,
            is_done: false,
            pace: Pace::new(limits.burst_max, limits.per_sec_max, clock.monotonic()),
            clock: clock.clone(),
        };
        // The end of the stream is the end of the phase: nobody is told before.
        let early = Early::default();
        // In a task of its own: its deadline counts also while the caller does not read.
        self.0.tasks.spawn("streamed call", async move {
            let outcome = inner.run(admitted, request, Some(writer), early).await;
            drop(tell.send(outcome)); // the caller may have gone
        });
        streamed.begin().await?;
        Ok(streamed)
    }
}

impl Streamed {
    async fn begin(&mut self) -> Result<(), Refused> {
        match self.step().await? {
            Some(Piece::Begin { content_type }) => self.content_type = content_type,
            // The beginning comes first, always.
            Some(Piece::Bytes(_)) | None => {}
        }
        Ok(())
    }

    /// The next part; `None` after the end. Waits as long as the limits of speed ask for, and while
    /// nobody calls it the function is held up.
    ///
    /// # Errors
    /// The platform lost the invocation.
    pub async fn next(&mut self) -> Result<Option<Part>, Refused> {
        while !self.is_done {
            let bytes = match self.step().await? {
                Some(Piece::Begin { .. }) => continue,
                Some(Piece::Bytes(bytes)) => bytes,
                None => match self.last() {
                    Some(Part::Bytes(bytes)) => bytes,
                    end => return Ok(end),
                },
            };
            let wait = self.pace.take(bytes.len(), self.clock.monotonic());
            if !wait.is_zero() {
                self.clock.sleep(wait).await;
            }
            return Ok(Some(Part::Bytes(bytes)));
        }
        Ok(None)
    }

    /// One piece, or `None` when the invocation is over and all of them were taken.
    async fn step(&mut self) -> Result<Option<Piece>, Refused> {
        if self.over.is_none() {
            tokio::select! {
                biased;
                Some(piece) = self.reader.next() => return Ok(Some(piece)),
                end = &mut self.end => {
                    let lost = "the call was lost".to_owned();
                    let end = end.unwrap_or(Err(Refused::Internal { detail: lost }));
                    self.is_done = end.is_err();
                    self.over = Some(end?);
                }
            }
        }
        Ok(self.reader.try_next())
    }

    /// A result that did not come in pieces, then the end.
    fn last(&mut self) -> Option<Part> {
        let mut outcome = self.over.take()?;
        if outcome.function_error.is_none() && !outcome.payload.is_empty() {
            let payload = std::mem::take(&mut outcome.payload);
            self.over = Some(outcome);
            return Some(Part::Bytes(payload));
        }
        self.is_done = true;
        Some(Part::End(outcome))
    }
}
