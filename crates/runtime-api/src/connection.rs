use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use model::{FunctionError, RESPONSE_MAX};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::answer::{Answer, CONTINUE};
use crate::body::{Decoder, Progress, Trailers};
use crate::outlet::Outlet;
use crate::route::{self, HEAD_BYTES_MAX, Head, Length, Mode, Post, Route};
use crate::session::{Reply, Shared, Turn};
use crate::state::Event;
use crate::stream::{Piece, ResponseWriter};

/// Room for the next read when nothing says how much will come.
const READ_BYTES: usize = 8 << 10;
/// Longest body that may share its memory with what follows it.
const SHARED_BYTES_MAX: usize = 64 << 10;
/// How much of a body that nobody wants is read so that the connection can be kept.
const DISCARD_BYTES_MAX: u64 = 64 << 20;
/// How much may arrive ahead while a `/next` waits.
const AHEAD_BYTES_MAX: usize = 16 << 10;

/// Answers the requests of one connection until either side closes it.
pub(crate) async fn drive(stream: TcpStream, shared: &Shared) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let (half, write) = stream.into_split();
    let mut connection = Connection {
        half,
        outlet: Arc::new(Outlet::new(write)),
        buffer: BytesMut::new(),
        shared,
    };
    // An error here means that the runtime has gone, which the sandbox sees for itself.
    while let Ok(Flow::Continue) = connection.turn().await {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Close,
}

pub(crate) struct Connection<'a> {
    half: OwnedReadHalf,
    pub(crate) outlet: Arc<Outlet>,
    /// What has arrived and is not yet understood.
    buffer: BytesMut,
    pub(crate) shared: &'a Shared,
}

/// How a request body ended.
pub(crate) enum BodyEnd {
    Whole(Bytes, Trailers),
    TooLarge,
    /// The connection ended first, or the framing broke.
    Truncated,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.shared.unpark(&self.outlet);
    }
}

impl Connection<'_> {
    /// One request and its answer.
    async fn turn(&mut self) -> io::Result<Flow> {
        let Some(length) = self.head().await? else {
            return Ok(Flow::Close);
        };
        let parsed = route::parse(self.buffer.get(..length).unwrap_or_default());
        self.buffer.advance(length);
        let Ok(head) = parsed else {
            return self.close(Answer::BadRequest).await;
        };
        let flow = match &head.route {
            Route::Next => {
                self.discard(&head).await?;
                self.next().await?
            }
            Route::Post(post, request) => self.post(*post, request, &head).await?,
            Route::InitError => self.init_error(&head, &Event::InitError).await?,
            Route::RestoreError => self.init_error(&head, &Event::RestoreError).await?,
            Route::RestoreNext => {
                // No snapshot is taken: what follows a restore follows at once.
                let answer = match self.shared.init(&Event::RestoreNext) {
                    Ok(()) => Answer::Restored,
                    Err(refusal) => Answer::Refused(refusal),
                };
                self.refuse(&head, answer).await?
            }
            Route::Credentials => {
                let token = head.authorization.as_deref().unwrap_or_default();
                let content = self.shared.extensions.credentials(token);
                let answer = content.map_or(Answer::NoCredentials, Answer::Credentials);
                self.refuse(&head, answer).await?
            }
            Route::Ping => self.refuse(&head, Answer::Pong).await?,
            Route::Extension(what) => self.extension(*what, &head).await?,
            Route::NotFound => self.refuse(&head, Answer::NotFound).await?,
            Route::WrongMethod => self.refuse(&head, Answer::WrongMethod).await?,
        };
        Ok(if head.keep_alive { flow } else { Flow::Close })
    }

    /// Reads until a whole head is in the buffer; returns its length, or `None` at the end.
    async fn head(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            if let Some(length) = route::head_end(&self.buffer, &mut searched) {
                return Ok(Some(length));
            }
            if self.buffer.len() >= HEAD_BYTES_MAX {
                self.close(Answer::BadRequest).await?;
                return Ok(None);
            }
            if self.read(READ_BYTES).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn read(&mut self, room: usize) -> io::Result<usize> {
        self.buffer.reserve(room);
        self.half.read_buf(&mut self.buffer).await
    }

    async fn answer(&mut self, answer: Answer) -> io::Result<Flow> {
        self.outlet.send(answer.bytes()).await?;
        Ok(Flow::Continue)
    }

    async fn close(&mut self, answer: Answer) -> io::Result<Flow> {
        self.outlet.send(answer.bytes()).await?;
        Ok(Flow::Close)
    }

    /// Answers a request whose body is of no interest.
    async fn refuse(&mut self, head: &Head, answer: Answer) -> io::Result<Flow> {
        let flow = self.discard(head).await?;
        self.answer(answer).await?;
        Ok(flow)
    }

    /// Reads a body and forgets it.
    pub(crate) async fn discard(&mut self, head: &Head) -> io::Result<Flow> {
        if head.length == Length::Fixed(0) {
            return Ok(Flow::Continue);
        }
        if head.expects_continue {
            // The client waits for leave to send and shall not get it.
            return Ok(Flow::Close);
        }
        let decoder = Decoder::new(head.length, 0);
        let (_, flow) = self.body(decoder, || {}).await?;
        Ok(flow)
    }

    async fn next(&mut self) -> io::Result<Flow> {
        match self.shared.next(&self.outlet) {
            Err(refusal) => self.answer(Answer::Refused(refusal)).await,
            Ok(Turn::Event(delivery)) => {
                self.outlet.deliver(delivery).await?;
                Ok(Flow::Continue)
            }
            Ok(Turn::Wait) => self.wait_for_event().await,
        }
    }

    /// Waits until somebody has written an event to this connection.
    ///
    /// Usually the first sign of that is the runtime's next request.
    pub(crate) async fn wait_for_event(&mut self) -> io::Result<Flow> {
        loop {
            let is_open = self.buffer.len() < AHEAD_BYTES_MAX;
            tokio::select! {
                biased;
                ready = self.half.readable(), if is_open => {
                    ready?;
                    // Not before: by now nobody holds the last answer, and its memory is used again.
                    self.buffer.reserve(READ_BYTES);
                    // Not `try_read_buf`: it would not notice that the socket is empty now.
                    match self.half.read_buf(&mut self.buffer).now_or_never() {
                        Some(Ok(0)) => return Ok(Flow::Close),
                        Some(read) => drop(read?),
                        None => {}
                    }
                }
                _ = self.outlet.woken() => self.outlet.flush().await?,
            }
            if !self.shared.is_parked(&self.outlet) {
                self.outlet.flush().await?;
                return Ok(Flow::Continue);
            }
        }
    }

    async fn post(&mut self, post: Post, request: &str, head: &Head) -> io::Result<Flow> {
        let event = Event::Post {
            what: post,
            request,
            invocation: head.invocation.as_deref(),
        };
        let (number, writer) = match self.shared.post(&event) {
            Ok(taken) => taken,
            Err(refusal) => return self.refuse(head, Answer::Refused(refusal)).await,
        };
        // However this ends, the runtime is done with the invocation.
        let posted = Posted(self.shared, number);
        if post == Post::Response && head.mode == Mode::Invalid {
            self.shared.reply(number, Reply::Error(invalid_mode()));
            drop(posted);
            return self.refuse(head, Answer::InvalidResponseMode).await;
        }
        let shared = self.shared;
        let is_stream = post == Post::Response && head.mode == Mode::Streaming;
        let writer = writer.filter(|_| is_stream);
        let bytes_max = writer
            .as_ref()
            .map_or(RESPONSE_MAX as u64, ResponseWriter::bytes_max);
        let too_large = || shared.reply(number, Reply::TooLarge(bytes_max));
        let (end, flow) = match writer {
            Some(writer) => self.stream_body(head, writer, too_large).await?,
            None => self.take_body(head, too_large).await?,
        };
        let answer = match end {
            BodyEnd::Whole(body, trailers) => {
                shared.reply(number, reply(post, head, body, trailers));
                Answer::Accepted
            }
            BodyEnd::TooLarge => Answer::TooLarge(bytes_max),
            BodyEnd::Truncated => {
                shared.reply(number, Reply::Truncated);
                Answer::Truncated
            }
        };
        drop(posted);
        if answer == Answer::Accepted && head.keep_alive && route::asks_next(&self.buffer) {
            // The runtime has asked for the next event already: it reads this when that comes, and
            // need not wake up for it before.
            self.outlet.hold(answer.bytes());
            return Ok(flow);
        }
        self.answer(answer).await?;
        Ok(flow)
    }

    async fn init_error(&mut self, head: &Head, event: &Event<'_>) -> io::Result<Flow> {
        if let Err(refusal) = self.shared.init(event) {
            return self.refuse(head, Answer::Refused(refusal)).await;
        }
        let (end, flow) = self.take_body(head, || {}).await?;
        let (payload, answer) = match end {
            BodyEnd::Whole(body, _) => (body, Answer::Accepted),
            BodyEnd::TooLarge => (Bytes::new(), Answer::TooLarge(RESPONSE_MAX as u64)),
            BodyEnd::Truncated => (Bytes::new(), Answer::Truncated),
        };
        self.shared.init_failed(FunctionError {
            kind: head.error_type.clone(),
            payload,
        });
        self.answer(answer).await?;
        Ok(flow)
    }

    /// Reads a body of at most [`RESPONSE_MAX`] bytes. `too_large` is called as soon as that is known,
    /// before the rest has been read.
    async fn take_body(
        &mut self,
        head: &Head,
        too_large: impl FnOnce(),
    ) -> io::Result<(BodyEnd, Flow)> {
        if head.expects_continue {
            self.outlet.send(Bytes::from_static(CONTINUE)).await?;
        }
        let decoder = Decoder::new(head.length, RESPONSE_MAX as u64);
        self.body(decoder, too_large).await
    }

    /// Hands a body on as it comes. What its reader has no room for stays in the socket, so that the
    /// function has to wait. If the reader is gone the body is read and forgotten.
    async fn stream_body(
        &mut self,
        head: &Head,
        writer: ResponseWriter,
        too_large: impl FnOnce(),
    ) -> io::Result<(BodyEnd, Flow)> {
        if head.expects_continue {
            self.outlet.send(Bytes::from_static(CONTINUE)).await?;
        }
        let mut decoder = Decoder::in_pieces(head.length, writer.bytes_max());
        let begin = Piece::Begin {
            content_type: head.content_type.clone(),
        };
        let mut writer = writer.send(begin).await.ok().map(|()| writer);
        loop {
            let progress = decoder.feed(&mut self.buffer);
            if let Some(bytes) = decoder.piece()
                && let Some(to) = &writer
                && to.send(Piece::Bytes(bytes)).await.is_err()
            {
                writer = None;
            }
            match progress {
                Err(_) => return Ok((BodyEnd::Truncated, Flow::Close)),
                Ok(_) if decoder.is_too_large() => break,
                Ok(Progress::Done) => {
                    let (content, trailers) = decoder.finish();
                    return Ok((BodyEnd::Whole(content, trailers), Flow::Continue));
                }
                Ok(Progress::More) if decoder.awaits_trailers() => self.shared.awaits_trailers(),
                Ok(Progress::More) => {}
            }
            let room = decoder.wanted().saturating_sub(self.buffer.len());
            match self.read(room.max(READ_BYTES)).await {
                Ok(0) | Err(_) => return Ok((BodyEnd::Truncated, Flow::Close)),
                Ok(_) => {}
            }
        }
        self.body(decoder, too_large).await
    }

    /// Reads a body of at most `max` bytes.
    pub(crate) async fn short_body(
        &mut self,
        head: &Head,
        max: u64,
    ) -> io::Result<(BodyEnd, Flow)> {
        if head.expects_continue {
            self.outlet.send(Bytes::from_static(CONTINUE)).await?;
        }
        self.body(Decoder::new(head.length, max), || {}).await
    }

    async fn body(
        &mut self,
        mut decoder: Decoder,
        too_large: impl FnOnce(),
    ) -> io::Result<(BodyEnd, Flow)> {
        let mut too_large = Some(too_large);
        loop {
            let Ok(progress) = decoder.feed(&mut self.buffer) else {
                return Ok((BodyEnd::Truncated, Flow::Close));
            };
            if decoder.is_too_large()
                && let Some(tell) = too_large.take()
            {
                tell();
            }
            if progress == Progress::Done {
                break;
            }
            if decoder.wasted() > DISCARD_BYTES_MAX {
                return Ok((BodyEnd::TooLarge, Flow::Close));
            }
            let room = decoder.wanted().saturating_sub(self.buffer.len());
            match self.read(room.max(READ_BYTES)).await {
                Ok(0) | Err(_) => return Ok((BodyEnd::Truncated, Flow::Close)),
                Ok(_) => {}
            }
        }
        if decoder.is_too_large() {
            return Ok((BodyEnd::TooLarge, Flow::Continue));
        }
        let (content, trailers) = decoder.finish();
        if content.len() > SHARED_BYTES_MAX {
            // What follows must not keep the body's memory for as long as the environment lives.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok((BodyEnd::Whole(content, trailers), Flow::Continue))
    }
}

/// Says at its end that a post is over, also when its connection breaks.
struct Posted<'a>(&'a Shared, u64);

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.0.posted(self.1);
    }
}

fn reply(post: Post, head: &Head, body: Bytes, trailers: Trailers) -> Reply {
    match post {
        Post::Error => Reply::Error(FunctionError {
            kind: head.error_type.clone(),
            payload: if head.has_cause {
                without_cause(&body)
            } else {
                body
            },
        }),
        Post::Response => match trailers.error_type {
            Some(kind) if head.mode == Mode::Streaming => Reply::Error(FunctionError {
                kind: Some(kind),
                payload: trailers
                    .error_body
                    .and_then(|text| STANDARD.decode(text).ok())
                    .unwrap_or_default()
                    .into(),
            }),
            _ => Reply::Response(body),
        },
    }
}

/// Runtimes may send the error and its X-Ray cause in one body; the caller sees the error only.
/// [Lambda runtime interface emulator]
fn without_cause(body: &[u8]) -> Bytes {
    let Ok(serde_json::Value::Object(mut all)) = serde_json::from_slice(body) else {
        return Bytes::from_static(b"\"Invalid error body\"");
    };
    all.retain(|name, _| matches!(name.as_str(), "errorMessage" | "errorType" | "stackTrace"));
    serde_json::Value::Object(all).to_string().into()
}

fn invalid_mode() -> FunctionError {
    FunctionError {
        kind: Some("Runtime.InvalidResponseModeHeader".to_owned()),
        payload: Bytes::from_static(
            b"{\"errorMessage\":\"Invalid function response mode\",\
              \"errorType\":\"Runtime.InvalidResponseModeHeader\"}",
        ),
    }
}
