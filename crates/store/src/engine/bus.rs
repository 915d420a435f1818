use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::{Bus, StoreError};

/// Requests that wait for one server.
const REQUESTS_MAX: usize = 256;

type Request = (Bytes, oneshot::Sender<Bytes>);

/// Who serves what in this process.
#[derive(Default)]
pub(crate) struct Desk(Mutex<HashMap<String, mpsc::Sender<Request>>>);

#[async_trait]
impl Bus for Shared {
    async fn call(
        &self,
        _to: &str,
        subject: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, StoreError> {
        let unanswered = || StoreError::Unanswered(subject.into());
        let server = {
            let desk = self.desk.0.lock().unwrap_or_else(PoisonError::into_inner);
            desk.get(subject).cloned().ok_or_else(unanswered)?
        };
        let (reply, answer) = oneshot::channel();
        let asked = async move {
            server.send((body, reply)).await.ok()?;
            answer.await.ok()
        };
        let answered = self.tasks.clock().timeout(limit, asked).await;
        answered.ok().flatten().ok_or_else(unanswered)
    }

    fn serve(&self, subject: &str) -> mpsc::Receiver<Request> {
        let (to, requests) = mpsc::channel(REQUESTS_MAX);
        let mut desk = self.desk.0.lock().unwrap_or_else(PoisonError::into_inner);
        desk.insert(subject.to_owned(), to);
        requests
    }
}
