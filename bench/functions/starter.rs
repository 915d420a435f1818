//! Remembers when each event reached it, by the clock of the host. An event with `report` is answered with all of
//! them, after as many milliseconds as its `hold` says, and they are forgotten. Needs the standard library alone.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> io::Result<()> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(&address)?;
    stream.set_nodelay(true)?;
    let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut buffer = Vec::new();
    let mut starts = Vec::new();
    stream.write_all(next.as_bytes())?;
    loop {
        let (head, event) = message(&mut stream, &mut buffer)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = header(&head, "lambda-runtime-aws-request-id").unwrap_or_default();
        let answer = if event.contains("\"report\"") {
            thread::sleep(Duration::from_millis(member(&event, "hold").unwrap_or(0)));
            report(&mut starts)
        } else {
            // Warm calls have no number.
            if let Some(number) = member(&event, "n") {
                starts.push((number, now.as_nanos()));
            }
            "{}".to_owned()
        };
        let length = answer.len();
        let text = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: kiln\r\nContent-Length: {length}\r\n\r\n{answer}{next}"
        );
        stream.write_all(text.as_bytes())?;
        message(&mut stream, &mut buffer)?;
    }
}

/// `[[number, nanoseconds], …]`
fn report(starts: &mut Vec<(u64, u128)>) -> String {
    let mut text = "[".to_owned();
    for (at, (number, nanos)) in starts.drain(..).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}[{number},{nanos}]");
    }
    text.push(']');
    text
}

/// The value of a member that is a whole number.
fn member(json: &str, name: &str) -> Option<u64> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads one whole message; what follows it stays in the buffer.
fn message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<(String, String)> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
                buffer.drain(..end + 4 + length);
                return Ok((head, body));
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}
