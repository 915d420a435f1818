//! An HTTP client that costs next to nothing: one keep-alive connection, requests built beforehand.
//! Both sides of a comparison use it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longest wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) has_function_error: bool,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        Ok(Client {
            stream,
            buffer: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0_u8; 16 << 10];
        loop {
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                bail!("the server closed the connection");
            }
            self.buffer
                .extend_from_slice(chunk.get(..n).unwrap_or_default());
            if let Some(answer) = parse(&self.buffer)? {
                return Ok(answer);
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
            }
        }
    }

    /// As [`Client::send`]; any status but success is an error that shows the body.
    pub(crate) fn succeed(&mut self, request: &[u8]) -> Result<Answer> {
        let answer = self.send(request)?;
        if !(200..300).contains(&answer.status) || answer.has_function_error {
            let body = String::from_utf8_lossy(&answer.body);
            bail!(
                "status {}: {}",
                answer.status,
                body.chars().take(400).collect::<String>()
            );
        }
        Ok(answer)
    }
}

/// The answer, if it is complete.
fn parse(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, body) = bytes.split_at(end + 4);
    let head = std::str::from_utf8(head).context("the head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .context("no status")?;
    let mut length = None;
    let mut is_chunked = false;
    let mut has_function_error = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked = true;
        } else if name.eq_ignore_ascii_case("x-amz-function-error") {
            has_function_error = true;
        }
    }
    let body = match (length, is_chunked) {
        (Some(length), _) => body.get(..length).map(<[u8]>::to_vec),
        (None, true) => dechunked(body),
        (None, false) => Some(Vec::new()),
    };
    Ok(body.map(|body| Answer {
        status,
        has_function_error,
        body,
    }))
}

/// The body without its chunk heads, if the last chunk is here.
fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Amz-Function-Error: Unhandled\r\n\r\n";
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(b"ab");
        assert!(parse(&bytes).unwrap().is_none());
        bytes.push(b'c');
        let answer = parse(&bytes).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, b"abc".as_slice())
        );
        assert!(answer.has_function_error);
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(
            dechunked(b"3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n").unwrap(),
            b"abcd"
        );
        assert!(dechunked(b"3\r\nab").is_none());
    }
}
