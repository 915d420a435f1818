use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use model::Call;
use runtime_api::{Facts, Session, SessionHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const REQUEST: &str = "11111111-2222-3333-4444-555555555555";

/// Runs a test beside a session. Nothing here may take long; a hang is a failure.
pub(crate) fn with_session<F, Fut>(test: F)
where
    F: FnOnce(SessionHandle, SocketAddr) -> Fut,
    Fut: Future<Output = ()>,
{
    with_session_of(Facts::default(), test);
}

pub(crate) fn with_session_of<F, Fut>(facts: Facts, test: F)
where
    F: FnOnce(SessionHandle, SocketAddr) -> Fut,
    Fut: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (session, handle) = Session::with(facts);
        let both = async {
            tokio::select! {
                biased;
                _ = test(handle, address) => {}
                _ = async { session.serve(listener).await; std::future::pending().await } => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("the test hangs");
    });
}

pub(crate) fn call(payload: &[u8]) -> Call {
    Call {
        request: REQUEST.parse().unwrap(),
        payload: payload.to_vec().into(),
        deadline_unix_ms: 1_700_000_000_123,
        invoked_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        trace: "Root=1-00000000-000000000000000000000000;Sampled=0".into(),
        client_context: None,
        cognito_identity: None,
        tenant_id: None,
    }
}

pub(crate) fn path(tail: &str) -> String {
    format!("/2018-06-01/runtime/{tail}")
}

pub(crate) fn invocation(tail: &str) -> String {
    path(&format!("invocation/{REQUEST}/{tail}"))
}

/// One keep-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client {
            stream: TcpStream::connect(address).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", b"").await
    }

    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.ask("POST", path, headers, body).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        let length = body.len();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n"
        )
        .into_bytes();
        text.extend_from_slice(body);
        self.send(&text).await;
        self.answer().await
    }

    pub(crate) async fn chunked(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{body}"
        );
        self.send(text.as_bytes()).await;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer")
    }

    /// `None` if the server closed the connection first.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let end = loop {
            match self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if self.read().await == 0 => return None,
                None => {}
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |n| n.parse().unwrap());
        while self.buffer.len() < length {
            assert_ne!(self.read().await, 0, "the answer is cut");
        }
        answer.body = self.buffer.drain(..length).collect();
        Some(answer)
    }

    /// Says that nothing more will come and waits for the server to close as well.
    pub(crate) async fn close(mut self) -> Result<(), tokio::time::error::Elapsed> {
        let _ = self.stream.shutdown().await;
        let rest = async { while self.read().await > 0 {} };
        tokio::time::timeout(Duration::from_secs(5), rest).await
    }

    async fn read(&mut self) -> usize {
        self.stream.read_buf(&mut self.buffer).await.unwrap_or(0)
    }
}
