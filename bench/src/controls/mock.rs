//! The least that stands between a caller and a runtime: takes a call over HTTP, hands the event to the
//! runtime, and gives its answer back.
//!
//! A runtime of Kiln runs against it in the same way as inside an environment. No sandbox, no names, no
//! signatures, no log, one call at a time, nothing parsed that need not be: blocking sockets and one thread.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longest start of a runtime, and longest wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A runtime that has asked for its first event, and the address where it can be called.
pub(crate) struct Mock {
    runtime: Child,
    pub(crate) address: SocketAddr,
}

impl Mock {
    /// Starts `argv` with `env` and waits until it asks for work.
    pub(crate) fn start(argv: &[String], env: &[(String, String)], task: &Path) -> Result<Mock> {
        let inside = TcpListener::bind(("127.0.0.1", 0))?;
        let (program, arguments) = argv.split_first().context("no program")?;
        let runtime = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", inside.local_addr()?.to_string())
            .current_dir(task)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut runtime_side = Requests::accept(inside)?;
        runtime_side.expect("/invocation/next")?;
        let outside = TcpListener::bind(("127.0.0.1", 0))?;
        let address = outside.local_addr()?;
        // Ends when the caller hangs up or the runtime is killed; nobody waits for it.
        thread::spawn(move || serve(outside, runtime_side));
        Ok(Mock { runtime, address })
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It is ours; a failure here means that it is gone already.
        let _ = self.runtime.kill();
        let _ = self.runtime.wait();
    }
}

/// One caller, until it hangs up.
fn serve(outside: TcpListener, mut runtime: Requests) -> Result<()> {
    let mut caller = Requests::accept(outside)?;
    for number in 1_u64.. {
        let event = caller.expect("/")?;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-{number:012}\r\n\
             Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:mock\r\n\
             Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n\r\n",
            event.len()
        );
        runtime.send(head.as_bytes(), &event)?;
        let answer = runtime.expect("/response")?;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        caller.send(head.as_bytes(), &answer)?;
        runtime.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", b"")?;
        runtime.expect("/invocation/next")?;
    }
    Ok(())
}

/// Requests of one client, on one connection after the other.
struct Requests {
    listener: TcpListener,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Requests {
    fn accept(listener: TcpListener) -> Result<Requests> {
        Ok(Requests {
            stream: accept(&listener)?,
            listener,
            buffer: Vec::with_capacity(64 << 10),
        })
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(&[head, body].concat())?)
    }

    /// Reads one request whose path ends as given; returns its body as it came. What follows it is kept: a
    /// runtime may send its next request before it has read an answer.
    fn expect(&mut self, path_end: &str) -> Result<Vec<u8>> {
        let mut chunk = [0_u8; 16 << 10];
        loop {
            if let Some(request) = whole_request(&self.buffer) {
                if !request.path.ends_with(path_end) {
                    bail!("asked for {}, not for {path_end}", request.path);
                }
                let body = self
                    .buffer
                    .get(request.head..request.end)
                    .unwrap_or_default()
                    .to_vec();
                self.buffer.drain(..request.end);
                return Ok(body);
            }
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                // Some clients open a connection for each request.
                self.stream = accept(&self.listener)?;
                self.buffer.clear();
            }
            self.buffer
                .extend_from_slice(chunk.get(..n).unwrap_or_default());
        }
    }
}

/// Where the parts of a request end.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    path: String,
    head: usize,
    end: usize,
}

/// The first request, if all of it is here.
fn whole_request(bytes: &[u8]) -> Option<Whole> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let (head, body) = bytes.split_at(end);
    let head = std::str::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let header = |wanted: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let length = match header("content-length").and_then(|n| n.parse::<usize>().ok()) {
        Some(length) => length,
        None if header("transfer-encoding").is_some() => {
            let last = b"0\r\n\r\n";
            body.windows(last.len()).position(|w| w == last)? + last.len()
        }
        None => 0,
    };
    (body.len() >= length).then_some(Whole {
        path,
        head: end,
        end: end + length,
    })
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + WAIT_MAX;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(WAIT_MAX))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() > until {
                    bail!("nobody connects");
                }
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
        let whole = whole_request(next).unwrap();
        assert!(whole.path.ends_with("/next") && whole.end == next.len());
        let post = b"POST /a/response HTTP/1.1\r\ncontent-length: 2\r\n\r\n{";
        assert!(whole_request(post).is_none());
        let chunked =
            b"POST /a/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n";
        assert_eq!(whole_request(chunked).unwrap().end, chunked.len());
    }

    #[test]
    fn a_request_ends_where_the_next_one_begins() {
        let post = b"POST /a/response HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}".to_vec();
        let both = [post.clone(), b"GET /next HTTP/1.1\r\n\r\n".to_vec()].concat();
        assert_eq!(whole_request(&both).unwrap().end, post.len());
    }
}
