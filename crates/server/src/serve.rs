//! The life of the server: build, listen, wait for a signal, stop in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tasks::{Clock, Ids, Tasks};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::wiring::{self, App};
use crate::{files, listener};

/// A server that answers.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    /// Told when no request is open any more after a stop was asked for.
    answered: oneshot::Receiver<()>,
    pub(crate) tasks: Tasks,
    grace: Duration,
}

impl Running {
    /// Listens and answers from when this returns.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Running> {
        let tasks = Tasks::new(Clock::real(), Ids::system());
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; is another server there? see --listen",
                config.listen
            )
        })?;
        let address = listener.local_addr()?;
        // Before the sandbox: its helper inherits the limit.
        let files = files::shares(config.environments_max);
        let app = wiring::build(config, files.environments, address, &tasks).await?;
        // Written last and renamed into place: who reads it can call at once.
        let file = config.data.join("endpoint");
        let fresh = config.data.join("endpoint.new");
        std::fs::write(&fresh, format!("http://{address}\n"))?;
        std::fs::rename(&fresh, &file)?;
        let (last_answered, answered) = oneshot::channel();
        let work = listener::serve(
            listener,
            app.router.clone(),
            files.connections,
            tasks.clone(),
        );
        tasks.spawn("listener", async move {
            work.await;
            let _ = last_answered.send(()); // nobody waits if the process is not stopping in order
        });
        Ok(Running {
            answered,
            address,
            app,
            tasks,
            grace: config.grace,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, lets open calls end, stops every environment, writes their last output,
    /// flushes the store.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let clock = self.tasks.clock();
        self.tasks.request_stop();
        if clock.timeout(self.grace, self.answered).await.is_err() {
            tracing::warn!("requests were still open after the grace period");
        }
        self.app.invoke.shutdown(self.grace).await;
        if !self.tasks.shutdown(self.grace).await {
            tracing::warn!("background work was still running after the grace period");
        }
        // The last calls ended after the logs' own worker did.
        self.app.logs.close().await;
        self.app.store.close().await;
        Ok(())
    }
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// `kiln serve`
pub(crate) async fn run(config: Arc<Config>) -> anyhow::Result<()> {
    let running = Running::start(&config).await?;
    tracing::info!(target: "kiln", endpoint = running.endpoint(), data = %config.data.display(), "ready");
    asked_to_stop().await?;
    tracing::info!(target: "kiln", "stopping");
    running.stop().await
}

#[cfg(test)]
mod tests {
    use model::ports::{LogLine, LogSink, LogStreamRef};

    use super::*;
    use crate::config::{Backend, Layers};

    /// Whether a file below `dir` holds `text`.
    fn holds(dir: &std::path::Path, text: &str) -> bool {
        std::fs::read_dir(dir).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                return holds(&path, text);
            }
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(text.len()).any(|w| w == text.as_bytes())
        })
    }

    #[tokio::test]
    async fn output_of_the_last_calls_is_written_before_the_end() {
        let data = std::env::temp_dir().join(format!("kiln-stop-{}", std::process::id()));
        let mut config = Layers::defaults().config().unwrap();
        config.listen.set_port(0);
        config.data = data.clone();
        config.backend = Backend::Process;
        let running = Running::start(&config).await.unwrap();
        running.tasks.request_stop();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let to = LogStreamRef {
            account: config.account.clone(),
            region: config.region.clone(),
            group: "/aws/lambda/f".into(),
            stream: "s".into(),
        };
        let line = LogLine {
            unix_ms: running.tasks.clock().now().unix_millis(),
            message: "the last words".to_owned(),
        };
        running.app.logs.append(&to, vec![line]);
        running.stop().await.unwrap();
        assert!(holds(&data.join("logs"), "the last words"));
        std::fs::remove_dir_all(&data).unwrap();
    }
}
