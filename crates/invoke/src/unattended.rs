//! Work that goes on when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tasks::Tasks;

/// Runs in the task of its caller, which saves a hand-over on the warm path; if the caller goes away
/// before the end, the rest runs in a task of its own.
pub(crate) struct Unattended<T: Send + 'static> {
    /// `None` once it ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: Tasks,
}

impl<T: Send + 'static> Unattended<T> {
    pub(crate) fn new(
        work: impl Future<Output = T> + Send + 'static,
        tasks: &Tasks,
    ) -> Unattended<T> {
        Unattended {
            work: Some(Box::pin(work)),
            tasks: tasks.clone(),
        }
    }
}

impl<T: Send + 'static> Future for Unattended<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Polled after its end it waits for ever, as a fused future does.
        let Some(work) = self.work.as_mut() else {
            return Poll::Pending;
        };
        let ended = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for Unattended<T> {
    fn drop(&mut self) {
        // A panic has left the work in pieces: there is nothing to go on with.
        // Without a runtime the process is ending.
        if std::thread::panicking() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        if let Some(work) = self.work.take() {
            self.tasks.spawn("unattended call", async move {
                drop(work.await);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tasks::{Clock, Ids};

    #[tokio::test]
    async fn what_was_dropped_half_way_still_ends() {
        let tasks = Tasks::new(Clock::real(), Ids::seeded(1));
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, ended) = tokio::sync::oneshot::channel();
        let mut call = Unattended::new(
            async move {
                let _ = wait.await;
                let _ = done.send(7);
            },
            &tasks,
        );
        tokio::select! {
            biased;
            () = &mut call => panic!("it waits"),
            () = tokio::task::yield_now() => {}
        }
        drop(call);
        go.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn what_ended_is_not_run_again() {
        let tasks = Tasks::new(Clock::real(), Ids::seeded(1));
        assert_eq!(Unattended::new(async { 3 }, &tasks).await, 3);
    }
}
