//! Initialised runtimes that are kept, and environments that are forks of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Exit;
use runtime_api::{InitEnd, SessionHandle};
use tasks::Clock;

use super::body::Body;
use super::link::Link;
use super::prepared::{Asked, Failed, Made, Order};
use super::{Namespaces, SETUP_MAX, backend, reach};
use crate::channel::ChannelError;
use crate::helper::{FromInit, Like, Reach};
use crate::output::Streams;
use crate::running::Body as _;
use crate::{EnvironmentSpec, InitReport, Origin, Snapshot, StartError, Taken};

/// How long a report of the runtime and its end may be apart.
const SETTLE: Duration = Duration::from_millis(20);

/// One that lives in the helper's hands.
struct Kept {
    id: String,
    link: Arc<Link>,
    init: InitReport,
    /// Dropping it ends the snapshot.
    body: Mutex<Body>,
}

impl Snapshot for Kept {
    fn id(&self) -> &str {
        &self.id
    }

    fn is_alive(&self) -> bool {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        !self.link.is_dead() && body.is_silent()
    }

    fn init(&self) -> InitReport {
        self.init
    }

    fn tmp_bytes(&self) -> u64 {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.tmp_bytes()
    }
}

/// How an init phase ended that was to end in a snapshot.
enum End {
    Kept(Option<String>),
    Failed(StartError),
}

impl Namespaces {
    pub(super) async fn take(&self, spec: EnvironmentSpec) -> Result<Taken, StartError> {
        let clock = self.tasks.clock().clone();
        let begin = clock.monotonic();
        let reach = reach(&self.config, spec.network);
        let order = Order::snapshot(&spec)?;
        let link = self.link().await?;
        let made = self.made_like(&link, &spec, (reach, Like::Snapshot), &order, Origin::New);
        let made = clock.timeout(SETUP_MAX, made).await;
        let mut made = made.map_err(|_| backend("making the environment took too long"))??;
        let started = clock.monotonic();
        let mut session = self.serve(&mut made, &spec, started)?;
        made.body.limit_to(spec.memory);
        let (text, framed) = (made.text, made.framed);
        let streams = Streams::new(text, framed, spec.output.clone(), clock.clone());
        let mut streams = streams.map_err(backend)?;
        let mut body = made.body;
        let end = init(&body, &mut session, &mut streams, (&clock, spec.init_limit)).await;
        streams.drain();
        let init = InitReport {
            duration: clock.monotonic().since(started),
            setup: started.since(begin),
            origin: made.origin,
        };
        match end {
            End::Kept(None) => {
                body.init_done();
                Ok(Taken::Kept(Arc::new(Kept {
                    id: spec.id,
                    link,
                    init,
                    body: Mutex::new(body),
                })))
            }
            End::Kept(Some(reason)) => {
                body.finish().await;
                Ok(Taken::Not { reason, init })
            }
            End::Failed(mut error) => {
                if let StartError::InitFailed { took, .. } | StartError::InitExited { took, .. } =
                    &mut error
                {
                    *took = init.duration;
                }
                body.finish().await;
                streams.drain();
                Err(error)
            }
        }
    }

    async fn made_like(
        &self,
        link: &Arc<Link>,
        spec: &EnvironmentSpec,
        (reach, like): (Reach, Like),
        order: &Order,
        origin: Origin,
    ) -> Result<Made, StartError> {
        let made = async {
            let asked = Asked::like(link, &spec.id, reach, like).await?;
            let prepared = asked.made(&self.hello().cgroups, &self.tasks).await?;
            prepared.becomes(order, origin).await
        };
        made.await.map_err(Failed::into_error)
    }

    /// Has a fork of the snapshot go on in an environment of its own.
    pub(super) async fn restore(
        &self,
        spec: &EnvironmentSpec,
        snapshot: &Arc<dyn Snapshot>,
        reach: Reach,
    ) -> Result<Made, StartError> {
        let order = Order::restore(spec)?;
        let link = self.link().await?;
        let like = Like::ForkOf(snapshot.id().to_owned());
        let made = self.made_like(&link, spec, (reach, like), &order, Origin::Snapshot);
        let mut made = made.await?;
        made.body.is_below(snapshot.clone());
        Ok(made)
    }
}

/// Waits for the end of the init phase.
async fn init(
    body: &Body,
    session: &mut SessionHandle,
    streams: &mut Streams,
    (clock, limit): (&Clock, Duration),
) -> End {
    let took = Duration::ZERO; // the caller knows
    let exit = tokio::select! {
        biased;
        end = session.init_end() => return said(end),
        word = body.word() => match word {
            Ok((FromInit::Kept { problem }, _)) => return End::Kept(problem),
            Ok((FromInit::Exited { code, signal }, _)) => {
                body.why(code.map_or(Exit::Signal(signal), Exit::Code))
            }
            Ok(_) | Err(ChannelError::Closed) => body.why(Exit::Signal(9)),
            Err(error) => return End::Failed(backend(error)),
        },
        exit = body.watch() => exit,
        () = clock.sleep(limit) => return End::Failed(StartError::InitTimedOut { waited: limit }),
        _ = streams.pump() => return End::Failed(backend("the output ended")), // it never does
    };
    // A runtime that reports an init error ends right after; the report may still be on its way.
    match clock.timeout(SETTLE, session.init_end()).await {
        Ok(InitEnd::Failed(error)) => End::Failed(StartError::InitFailed { error, took }),
        _ => End::Failed(StartError::InitExited { exit, took }),
    }
}

fn said(end: InitEnd) -> End {
    match end {
        InitEnd::Ready => End::Kept(Some("its runtime knows no snapshots".to_owned())),
        InitEnd::Failed(error) => End::Failed(StartError::InitFailed {
            error,
            took: Duration::ZERO,
        }),
        InitEnd::Extension(_) => End::Failed(backend("an extension of its runtime failed")),
    }
}
