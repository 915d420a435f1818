//! Keeps one core busy: as a function, for as many milliseconds as the event's `spin` says; as a program with
//! an argument, until it is killed. Needs the standard library alone.

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    if env::args().nth(1).is_some() {
        loop {
            std::hint::spin_loop();
        }
    }
    let address = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    loop {
        let event = ask(&address, "GET", "invocation/next", "")?;
        let id = header(&event, "lambda-runtime-aws-request-id").unwrap_or_default();
        let (_, rest) = event.split_once("\"spin\":").unwrap_or_default();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let until = Instant::now() + Duration::from_millis(digits.parse().unwrap_or(0));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        ask(&address, "POST", &format!("invocation/{id}/response"), "{}")?;
    }
}

/// One request on a connection of its own; gives the whole answer.
fn ask(address: &str, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    whole(&mut stream)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads until the body is as long as the head says.
fn whole(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]);
            let length = header(&head, "content-length").and_then(|n| n.parse::<usize>().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return String::from_utf8(bytes).map_err(io::Error::other);
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}
