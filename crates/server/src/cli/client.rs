//! A small client of the AWS API for the commands of this program.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tasks::{Clock, Ids, Tasks};
use tokio::net::TcpStream;
use wire::Signer;
use wire::access::Secret;

use crate::admin;
use crate::config::variable;

/// Where a server listens unless it is told otherwise.
pub(crate) const ADDRESS: &str = "127.0.0.1:4566";
/// Longest wait for an answer: the longest function and some more.
const ANSWER_LIMIT: Duration = Duration::from_secs(930);

pub(crate) struct Client {
    authority: String,
    region: String,
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    clock: Clock,
    tasks: Tasks,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).context("the server's answer is not JSON")
    }

    /// The error that the service named, as one line.
    pub(crate) fn fault(&self) -> String {
        let body = self.json().unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = self
            .header("x-amzn-errortype")
            .map(str::to_owned)
            .or_else(|| text("__type"));
        let kind = kind.unwrap_or_else(|| self.status.to_string());
        let message = text("message")
            .or_else(|| text("Message"))
            .unwrap_or_default();
        format!("{kind}: {message}")
    }

    /// # Errors
    /// The service's fault, unless the status is a success.
    pub(crate) fn ok(self) -> anyhow::Result<Answer> {
        if self.status.is_success() {
            return Ok(self);
        }
        bail!("{}", self.fault())
    }
}

impl Client {
    pub(crate) fn from_environment(
        endpoint: Option<&str>,
        region: Option<&str>,
    ) -> anyhow::Result<Client> {
        let endpoint = endpoint
            .map(str::to_owned)
            .or_else(|| variable("AWS_ENDPOINT_URL_LAMBDA"))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .unwrap_or_else(|| format!("http://{ADDRESS}"));
        let region = region
            .map(str::to_owned)
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned());
        let mut client = Client::new(&endpoint, &region)?;
        if let (Some(key), Some(secret)) = (
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        ) {
            client.access_key = key;
            client.secret_key = secret;
            client.session_token = variable("AWS_SESSION_TOKEN");
        }
        Ok(client)
    }

    pub(crate) fn new(endpoint: &str, region: &str) -> anyhow::Result<Client> {
        let uri: http::Uri = endpoint
            .parse()
            .with_context(|| format!("{endpoint} is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            bail!("{endpoint}: only http:// is supported; put --endpoint-url http://HOST:PORT");
        }
        let authority = uri.authority().context("the URL names no host")?;
        let port = authority.port_u16().unwrap_or(80);
        let clock = Clock::real();
        Ok(Client {
            authority: format!("{}:{port}", authority.host()),
            region: region.to_owned(),
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
            session_token: None,
            tasks: Tasks::new(clock.clone(), Ids::system()),
            clock,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::GET, path, "lambda", &[], Bytes::new())
            .await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let json = ("content-type", "application/json");
        self.call(method, path, "lambda", &[json], body.to_string().into())
            .await
    }

    /// One of the server's own operations; a body of null is none.
    pub(crate) async fn admin(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let bytes = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        let json = ("content-type", "application/json");
        self.call(method, path, admin::NAME, &[json], bytes).await
    }

    /// One operation of CloudWatch Logs.
    pub(crate) async fn logs(&self, operation: &str, body: &Value) -> anyhow::Result<Answer> {
        let target = format!("Logs_20140328.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        self.call(Method::POST, "/", "logs", &headers, body.to_string().into())
            .await
    }

    /// Sends one signed request on a connection of its own.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        service: &'static str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body.clone()))?;
        let to = request.headers_mut();
        to.insert("host", HeaderValue::from_str(&self.authority)?);
        for (name, value) in headers {
            to.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        let signer = Signer {
            access_key: self.access_key.clone(),
            secret_key: Secret::new(self.secret_key.as_str()),
            session_token: self.session_token.clone(),
            region: self.region.clone(),
            service,
        };
        let request = signer.sign(request, &body, self.clock.now().unix_secs())?;
        let work = async {
            let stream = TcpStream::connect(&self.authority).await.with_context(|| {
                format!(
                    "no server at {}; start one with `kiln serve`",
                    self.authority
                )
            })?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            self.tasks.spawn("client connection", async move {
                let _ = connection.await; // the answer tells what went wrong
            });
            let answer = sender.send_request(request).await?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        let late = |_| anyhow::anyhow!("no answer from {} within {ANSWER_LIMIT:?}", self.authority);
        self.clock.timeout(ANSWER_LIMIT, work).await.map_err(late)?
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}
