use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONNECTION, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::ports::{Unanswered, Web, WebAnswer, WebRequest};
use tasks::Tasks;
use tokio::sync::Semaphore;

use crate::Networks;
use crate::connect::{Connector, Stream};
use crate::endpoint::Endpoint;

/// Requests at once; others wait within their time.
const REQUESTS_MAX: usize = 256;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Headers that belong to the connection and not to the caller.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends requests to endpoints of the public Internet, and to what the operator allows besides.
pub struct Client {
    connector: Connector,
    requests: Semaphore,
    tasks: Tasks,
}

impl Client {
    /// `tasks` has the machine's clock: answers take real time.
    pub fn new(allowed: Networks, tasks: &Tasks) -> Client {
        Client::over(Connector::new(allowed, tasks), tasks)
    }

    pub(crate) fn over(connector: Connector, tasks: &Tasks) -> Client {
        Client {
            connector,
            requests: Semaphore::new(REQUESTS_MAX),
            tasks: tasks.clone(),
        }
    }

    fn endpoint(&self, url: &str) -> Result<Endpoint, Unanswered> {
        let endpoint = Endpoint::parse(url).map_err(Unanswered::Forbidden)?;
        self.connector.check(&endpoint)?;
        Ok(endpoint)
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
        answer_bytes_max: usize,
    ) -> Result<WebAnswer, Unanswered> {
        // The semaphore is never closed.
        let _turn = self.requests.acquire().await;
        let stream = self.connector.connect(endpoint).await?;
        exchange(stream, request, answer_bytes_max)
            .await
            .map_err(|error| Unanswered::Failed(format!("{}: {error}", endpoint.authority)))
    }
}

#[async_trait]
impl Web for Client {
    fn check(&self, url: &str) -> Result<(), Unanswered> {
        self.endpoint(url).map(drop)
    }

    async fn send(&self, request: WebRequest<'_>) -> Result<WebAnswer, Unanswered> {
        let endpoint = self.endpoint(request.url)?;
        let (limit, most) = (request.wait_max, request.answer_bytes_max);
        let request = assemble(&endpoint, request).map_err(Unanswered::Forbidden)?;
        let exchange = self.exchange(&endpoint, request, most);
        match self.tasks.clock().timeout(limit, exchange).await {
            Ok(done) => done,
            Err(_) => Err(Unanswered::Failed(format!(
                "{}: no answer within {} s",
                endpoint.authority,
                limit.as_secs()
            ))),
        }
    }
}

fn assemble(endpoint: &Endpoint, request: WebRequest<'_>) -> Result<Request<Full<Bytes>>, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        let bad = || format!("the header {name} cannot be sent");
        let name = HeaderName::try_from(*name).map_err(|_| bad())?;
        if !OWN_HEADERS.contains(&name.as_str()) {
            headers.append(name, HeaderValue::try_from(*value).map_err(|_| bad())?);
        }
    }
    if let Some(basic) = &endpoint.basic {
        headers
            .entry(AUTHORIZATION)
            .or_insert_with(|| basic.clone());
    }
    let host = HeaderValue::try_from(&endpoint.authority).map_err(|e| e.to_string())?;
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut whole = Request::builder()
        .method(request.method)
        .uri(endpoint.target.as_str())
        .body(Full::new(request.body))
        .map_err(|error| error.to_string())?;
    *whole.headers_mut() = headers;
    Ok(whole)
}

/// One request and its answer over a stream of their own.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    answer_bytes_max: usize,
) -> Result<WebAnswer, hyper::Error> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        read(response, answer_bytes_max).await
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        // The endpoint has closed: what it said before is still to be read.
        _ = &mut connection => {}
    }
    answer.await
}

/// The head of an answer and the beginning of its body; the rest is never read.
async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<WebAnswer, hyper::Error> {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while bytes.len() < bytes_max {
        let Some(frame) = body.frame().await else {
            break;
        };
        if let Ok(data) = frame?.into_data() {
            let room = bytes_max - bytes.len();
            bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
    }
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let seconds = head.headers.get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(WebAnswer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        retry_after: seconds.map(Duration::from_secs),
        body: bytes.freeze(),
    })
}

#[cfg(test)]
mod tests;
