//! Request bodies on their way in: how much memory they may take together, and how long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tasks::{Clock, Mono};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest pause within a request body.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Longest time for a whole request body, however steadily it drips.
const TIME_MAX: Duration = Duration::from_secs(600);
/// Bytes that a body must bring in each second, on the average since it began: it holds room that others wait for.
const RATE_MIN: u64 = 32 << 10;
/// From when on the average counts.
const RATE_AFTER: Duration = Duration::from_secs(20);
/// Memory that large request bodies may take together, in KiB; more of them wait for their turn.
const ALL_KIB_MAX: usize = 512 << 10;
/// Bodies up to this size are not counted.
const SMALL: u64 = 64 << 10;
/// What a body of unknown length counts for.
const UNKNOWN: u64 = 6 << 20;
/// Longest wait of a large body for its turn: calls that run hold the memory of their events.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(60);

/// The memory of all large bodies. Clones share it.
#[derive(Clone)]
pub(super) struct Rooms {
    free: Arc<Semaphore>,
    /// Longest body that any operation takes.
    body_bytes_max: u64,
}

impl Rooms {
    pub(super) fn new(body_bytes_max: u64) -> Rooms {
        Rooms {
            free: Arc::new(Semaphore::new(ALL_KIB_MAX)),
            body_bytes_max,
        }
    }

    /// Room for a body, held until its request is answered; `None` if none became free in time.
    pub(super) async fn room(
        &self,
        body: &impl Body,
        clock: &Clock,
    ) -> Option<OwnedSemaphorePermit> {
        let kib = self.kib(body.size_hint().upper());
        let turn = clock.timeout(ROOM_WAIT_MAX, self.free.clone().acquire_many_owned(kib));
        turn.await.ok()?.ok()
    }

    /// What a body of this length counts for.
    fn kib(&self, announced: Option<u64>) -> u32 {
        let bytes = match announced.unwrap_or(UNKNOWN) {
            small if small <= SMALL => 0,
            // Nobody takes it: it is read and thrown away as it comes.
            endless if endless > self.body_bytes_max => 0,
            large => large,
        };
        let kib = (bytes >> 10).min(ALL_KIB_MAX as u64);
        u32::try_from(kib).unwrap_or(u32::MAX)
    }
}

/// A request body whose sender may neither pause for long nor drip for ever.
pub(super) struct Patient<B> {
    body: B,
    clock: Clock,
    /// There is no memory for it: it ends at once.
    is_refused: bool,
    started: Mono,
    received: u64,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B: Body<Data = Bytes>> Patient<B> {
    pub(super) fn new(body: B, clock: Clock, has_room: bool) -> Patient<B> {
        Patient {
            body,
            is_refused: !has_room,
            started: clock.monotonic(),
            clock,
            received: 0,
            pause: None,
        }
    }

    /// Whether its sender takes too long; asked when there was a pause.
    fn is_slow(&self) -> bool {
        let took = self.clock.monotonic().since(self.started);
        took > TIME_MAX || took > RATE_AFTER && self.received < RATE_MIN * took.as_secs()
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.is_refused {
            return Poll::Ready(Some(Err("too many large requests are under way".into())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            if self.pause.take().is_some() && frame.is_some() && self.is_slow() {
                return Poll::Ready(Some(Err("the request body took too long".into())));
            }
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let clock = self.clock.clone();
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(async move { clock.sleep(PAUSE_MAX).await }));
        match pause.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Poll::Ready(Some(Err("the request body paused for too long".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty, Full};
    use tasks::{ClockControl, Time};
    use tokio::sync::mpsc;

    use super::*;

    fn virtual_clock() -> (Clock, ClockControl) {
        Clock::virtual_at(Time::from_unix_secs(1_000))
    }

    #[test]
    fn bodies_count_for_what_is_kept_of_them() {
        let rooms = Rooms::new(70 << 20);
        for (announced, kib) in [
            (Some(0), 0),
            (Some(SMALL), 0),
            (Some(SMALL + 1024), 65),
            (Some(70 << 20), 70 << 10),
            (None, 6 << 10),
            // One that says so must not keep all others waiting.
            (Some((70 << 20) + 1), 0),
            (Some(u64::MAX), 0),
        ] {
            assert_eq!(rooms.kib(announced), kib, "{announced:?}");
        }
    }

    #[tokio::test]
    async fn a_body_waits_for_room_only_so_long() {
        let (clock, control) = virtual_clock();
        let rooms = Rooms::new(u64::MAX);
        let large = || Full::new(Bytes::from(vec![0; 1 << 20]));
        let all = u32::try_from(ALL_KIB_MAX).unwrap();
        let held = rooms.free.clone().acquire_many_owned(all).await.unwrap();
        assert!(rooms.room(&Empty::<Bytes>::new(), &clock).await.is_some());
        let body = large();
        let late = async {
            tokio::task::yield_now().await;
            control.advance(ROOM_WAIT_MAX);
        };
        let (waited, ()) = tokio::join!(rooms.room(&body, &clock), late);
        assert!(waited.is_none());
        drop(held);
        assert!(rooms.room(&large(), &clock).await.is_some());
    }

    /// A body that comes piece by piece.
    struct Pieces(mpsc::Receiver<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0
                .poll_recv(cx)
                .map(|piece| piece.map(|p| Ok(Frame::data(p))))
        }
    }

    /// How many seconds a body is taken whose sender gives so many bytes each five seconds.
    async fn taken_for(piece_bytes: usize) -> u64 {
        let (clock, control) = virtual_clock();
        let (sender, receiver) = mpsc::channel(1);
        let mut body = Patient::new(Pieces(receiver), clock.clone(), true);
        let began = clock.monotonic();
        let send = async {
            loop {
                tokio::task::yield_now().await;
                control.advance(Duration::from_secs(5));
                if sender
                    .send(Bytes::from(vec![0; piece_bytes]))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        };
        let take = async {
            while let Some(Ok(_)) = body.frame().await {}
            drop(body);
        };
        tokio::join!(send, take);
        clock.monotonic().since(began).as_secs()
    }

    #[tokio::test]
    async fn a_body_that_drips_is_cut() {
        // With no minimum it could hold its room for ten minutes.
        assert!(taken_for(1).await <= 40);
        let honest = taken_for(1 << 20).await;
        assert!((600..=700).contains(&honest), "{honest}");
    }
}
