//! Greets. A custom runtime is any program that asks the Runtime API for events and answers them; this
//! one needs the standard library alone.

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    let address = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let mut calls = 0u64;
    let mut api = Api::connect(&address)?;
    let mut event = api.first()?;
    loop {
        calls += 1;
        let answer = hello(&greeting, &event.body, calls);
        event = api.answer_and_next(&event.request, &answer)?;
    }
}

/// The function itself: JSON in, JSON out.
fn hello(greeting: &str, event: &str, calls: u64) -> String {
    let name = text_member(event, "name").unwrap_or("world");
    format!(r#"{{"message":"{greeting}, {name}, from Rust","calls":{calls}}}"#)
}

/// The value of a member that is a string, still escaped: good enough to pass on. A real function would
/// use a JSON library.
fn text_member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\""))?;
    let text = rest.trim_start().strip_prefix(':')?;
    let text = text.trim_start().strip_prefix('"')?;
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    text.get(..end)
}

/// An event and the invocation that it belongs to.
struct Event {
    request: String,
    body: String,
}

/// The Runtime API over one kept connection.
struct Api {
    stream: TcpStream,
    /// The request for the next event, always the same.
    next: String,
    /// What has arrived and has not been read yet.
    buffer: Vec<u8>,
}

impl Api {
    fn connect(address: &str) -> io::Result<Api> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Api {
            stream,
            next: format!(
                "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n"
            ),
            buffer: Vec::with_capacity(4096),
        })
    }

    fn first(&mut self) -> io::Result<Event> {
        self.stream.write_all(self.next.as_bytes())?;
        self.event()
    }

    /// Posts an answer and asks for the next event in one write.
    fn answer_and_next(&mut self, request: &str, answer: &str) -> io::Result<Event> {
        let length = answer.len();
        let next = &self.next;
        let text = format!(
            "POST /2018-06-01/runtime/invocation/{request}/response HTTP/1.1\r\nHost: kiln\r\n\
             Content-Length: {length}\r\n\r\n{answer}{next}"
        );
        self.stream.write_all(text.as_bytes())?;
        // An answer that came too late is no reason to stop.
        self.reply()?;
        self.event()
    }

    fn event(&mut self) -> io::Result<Event> {
        let (head, body) = self.reply()?;
        let request = header(&head, "lambda-runtime-aws-request-id")
            .ok_or_else(|| io::Error::other(format!("no event: {head}")))?;
        Ok(Event {
            request: request.to_owned(),
            body,
        })
    }

    /// Reads the head and the body of one reply.
    fn reply(&mut self) -> io::Result<(String, String)> {
        let head_end = loop {
            match self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.receive()?,
            }
        };
        let head: Vec<u8> = self.buffer.drain(..head_end).collect();
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let length = match header(&head, "content-length") {
            Some(text) => text.parse().map_err(io::Error::other)?,
            None => 0,
        };
        while self.buffer.len() < length {
            self.receive()?;
        }
        let body = self.buffer.drain(..length).collect();
        Ok((head, String::from_utf8(body).map_err(io::Error::other)?))
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
