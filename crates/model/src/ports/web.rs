//! Requests to endpoints outside of the process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct WebRequest<'a> {
    /// `POST`, `PUT` …
    pub method: &'a str,
    /// `http://…` or `https://…`. A user and password in it are sent as basic authentication.
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Bytes,
    /// From the look-up of the name to the last byte of the answer that is read.
    pub wait_max: Duration,
    /// Bytes of the answer's body that are read; zero reads none of it.
    pub answer_bytes_max: usize,
}

/// What an endpoint answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebAnswer {
    pub status: u16,
    /// Names in lower case; values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The header `Retry-After`, where it gives seconds.
    pub retry_after: Option<Duration>,
    /// Its beginning, as long as the request allows.
    pub body: Bytes,
}

/// There is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nothing is sent to this URL: it is none, or it leads to an address that may not be reached.
    #[error("{0}")]
    Forbidden(String),
    /// The endpoint was not reached, or did not answer in time.
    #[error("{0}")]
    Failed(String),
}

/// Sends requests to endpoints outside. `egress` implements it.
#[async_trait]
pub trait Web: Send + Sync {
    /// Refuses what [`send`](Self::send) would refuse without looking up a name.
    ///
    /// # Errors
    /// [`Unanswered::Forbidden`].
    fn check(&self, url: &str) -> Result<(), Unanswered>;

    /// Sends a request. A redirection is an answer like others; it is not followed.
    ///
    /// # Errors
    /// See [`Unanswered`].
    async fn send(&self, request: WebRequest<'_>) -> Result<WebAnswer, Unanswered>;
}
