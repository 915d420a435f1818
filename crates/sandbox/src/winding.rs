//! What extensions add to the life of an environment: they come up before the runtime, and are told
//! of the end.  [Lambda guide: execution environment lifecycle]

use std::time::Duration;

use model::{Death, Exit};
use runtime_api::{Extension, InitEnd};
use rustix::process::Signal;

use crate::StartError;
use crate::extensions::{
    SHUTDOWN_INTERNAL_MAX, SHUTDOWN_MAX, SHUTDOWN_RUNTIME_MAX, StopReason, fallen,
};
use crate::running::{Begin, Ended, Running};

/// Longest wait for the end of an extension that has said that it gives up.
const LAST_WORD_MAX: Duration = Duration::from_millis(300);

impl Running {
    /// With external extensions: waits until all have registered, then starts the runtime.
    pub(crate) async fn settle(&mut self, path: &str, limit: Duration) -> Result<(), Begin> {
        if !self.session.has_extensions() {
            return Ok(());
        }
        let (session, clock) = (&mut self.session, &self.clock);
        tokio::select! {
            biased;
            registered = session.registered() => {
                registered.map_err(|extension| Begin::Said(InitEnd::Extension(extension)))?;
            }
            exit = self.body.exited() => return Err(Begin::Exited(exit)),
            () = clock.sleep(limit) => return Err(Begin::TimedOut),
            _ = self.streams.pump() => return Err(Begin::TimedOut), // it never returns
        }
        let launched: Result<(), StartError> = self.body.launch(path).await;
        launched.map_err(Begin::NotLaunched)
    }

    /// The init phase is over: tells how the extensions stand.
    pub(crate) fn end_init(&mut self) {
        self.session.close_registration();
        if self.session.has_extensions() {
            let now = self.clock.now().unix_millis();
            for extension in self.session.extensions() {
                self.streams.output().extension(&extension, now);
            }
        }
    }

    /// An extension that ended after it gave up did not crash.
    pub(crate) fn blame(&mut self, exit: Exit) -> Exit {
        let Exit::Extension(_, death) = exit else {
            return exit;
        };
        let Some(name) = self.body.fallen().map(str::to_owned) else {
            return exit;
        };
        self.session.extension_exited(&name);
        let all = self.session.extensions();
        let known = all.iter().find(|e| e.is_external && e.name == name);
        known.map_or(exit, |extension| fallen(extension, death))
    }

    /// An extension has given up and ends now.
    pub(crate) async fn gave_up(&mut self, extension: &Extension) -> Exit {
        let ended = self.clock.timeout(LAST_WORD_MAX, self.body.exited()).await;
        match ended {
            Ok(Exit::Extension(_, death)) => fallen(extension, death),
            _ => fallen(extension, Death::Code(0)),
        }
    }

    /// Ends the environment; with extensions in order: first the runtime, then they are told and
    /// have the rest of the time.
    pub(crate) async fn wind_up(&mut self, reason: StopReason) {
        if self.session.has_extensions() {
            self.body.thaw();
            self.session.flush_telemetry();
            let extensions = self.session.extensions();
            let has_external = extensions.iter().any(|e| e.is_external);
            let (total, share) = if has_external {
                (SHUTDOWN_MAX, SHUTDOWN_RUNTIME_MAX)
            } else {
                (SHUTDOWN_INTERNAL_MAX, SHUTDOWN_INTERNAL_MAX)
            };
            let begin = self.clock.monotonic();
            let mut gone: Vec<String> = self.body.fallen().map(str::to_owned).into_iter().collect();
            if !self.end_runtime(share, &mut gone).await && has_external {
                let left = total.saturating_sub(self.clock.monotonic().since(begin));
                self.end_extensions(reason, left, gone).await;
            }
        }
        self.body.end().await;
    }

    /// True if the environment ended as a whole.
    async fn end_runtime(&mut self, limit: Duration, gone: &mut Vec<String>) -> bool {
        if self.body.runtime_is_gone() {
            return false;
        }
        self.body.signal_runtime(Signal::TERM);
        let ended = {
            let (body, streams) = (&mut self.body, &mut self.streams);
            let wait = async {
                loop {
                    match body.heard().await {
                        Ended::Runtime(_) => return false,
                        Ended::All(_) => return true,
                        Ended::Extension(name, _) => gone.push(name),
                    }
                }
            };
            let wait = self.clock.timeout(limit, wait);
            tokio::select! {
                biased;
                ended = wait => ended,
                _ = streams.pump() => Ok(true), // it never returns
            }
        };
        ended.unwrap_or_else(|_| {
            self.body.signal_runtime(Signal::KILL);
            false
        })
    }

    async fn end_extensions(&mut self, reason: StopReason, limit: Duration, gone: Vec<String>) {
        let deadline = self.clock.now().after(limit).unix_millis();
        let mut told = self.session.shut_down(reason.name(), deadline);
        told.retain(|name| !gone.contains(name));
        let (body, streams) = (&mut self.body, &mut self.streams);
        let wait = async {
            while !told.is_empty() {
                match body.heard().await {
                    Ended::Extension(name, _) => told.retain(|other| *other != name),
                    Ended::Runtime(_) => {}
                    Ended::All(_) => return,
                }
            }
        };
        tokio::select! {
            biased;
            // At the deadline all are killed.
            _ = self.clock.timeout(limit, wait) => {}
            _ = streams.pump() => {} // it never returns
        }
    }
}
