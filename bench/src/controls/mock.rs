//! The least that a runtime needs: hands out events on a socket and takes the answers.
//!
//! A runtime of Kiln runs against it in the same way as inside an environment; what is measured is the
//! time from handing out an event until its answer is complete.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longest start of a runtime.
const START_MAX: Duration = Duration::from_secs(20);

/// A runtime that has asked for its next event.
pub(crate) struct Mock {
    child: Child,
    listener: TcpListener,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Requests so far, for request ids.
    served: u64,
}

impl Mock {
    /// Starts `argv` with `env` and waits until it asks for work.
    pub(crate) fn start(argv: &[String], env: &[(String, String)], task: &Path) -> Result<Mock> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (program, arguments) = argv.split_first().context("no program")?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .current_dir(task)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let stream = accept(&listener)?;
        let mut mock = Mock {
            child,
            listener,
            stream,
            buffer: Vec::with_capacity(64 << 10),
            served: 0,
        };
        mock.expect("/invocation/next")?;
        Ok(mock)
    }

    /// Hands out one event and waits for its answer and the next question.
    pub(crate) fn event(&mut self, event: &[u8]) -> Result<Duration> {
        self.served += 1;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-{:012}\r\n\
             Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:mock\r\n\
             Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n\r\n",
            event.len(),
            self.served
        );
        let mut answer = head.into_bytes();
        answer.extend_from_slice(event);
        let started = Instant::now();
        self.stream.write_all(&answer)?;
        self.expect("/response")?;
        let took = started.elapsed();
        self.stream
            .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        self.expect("/invocation/next")?;
        Ok(took)
    }

    /// Reads one request, body and all, whose path ends as given.
    fn expect(&mut self, path_end: &str) -> Result<()> {
        self.buffer.clear();
        let mut chunk = [0_u8; 16 << 10];
        loop {
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                // Some clients open a connection for each request.
                self.stream = accept(&self.listener)?;
                self.buffer.clear();
                continue;
            }
            self.buffer
                .extend_from_slice(chunk.get(..n).unwrap_or_default());
            let Some(path) = whole_request(&self.buffer) else {
                continue;
            };
            if !path.ends_with(path_end) {
                bail!("the runtime asked for {path}, not for {path_end}");
            }
            return Ok(());
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It is ours; a failure here means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + START_MAX;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(START_MAX))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() > until {
                    bail!("the runtime did not connect");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The path of the request, if all of it is here.
fn whole_request(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at(end + 4);
    let head = std::str::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let header = |wanted: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let is_whole = match header("content-length").and_then(|n| n.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None if header("transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => true,
    };
    is_whole.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(whole_request(next).unwrap().ends_with("/next"));
        let post = b"POST /a/response HTTP/1.1\r\ncontent-length: 2\r\n\r\n{";
        assert!(whole_request(post).is_none());
        let chunked =
            b"POST /a/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n";
        assert!(whole_request(chunked).is_some());
    }
}
