//! What the torture deploys: a custom runtime that stops in named places, plants secrets and looks for those
//! of others; below /opt/extensions it is an extension. Needs the standard library alone.
//!
//! A place is told to the outside by the name of a thread, which `/proc` shows on the host.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, thread};

/// Where others could find something.
const PLACES: [&str; 8] = [
    "/tmp",
    "/dev/shm",
    "/dev/mqueue",
    "/var/tmp",
    "/run",
    "/mnt",
    "/var/task",
    "/home",
];

const FILES_MAX: usize = 10_000;
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Read at once. On the stack, and small: what lies around it cannot be looked at.
const CHUNK: usize = 4 << 10;

fn main() -> io::Result<()> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let me = env::args().next().unwrap_or_default();
    if me.contains("/extensions/") {
        return extension(&address, &me);
    }
    if env::var("STOP").is_ok_and(|stop| stop == "init") {
        stop("in-init");
    }
    let mut planted = Vec::new();
    loop {
        let event = ask(
            &address,
            "GET",
            "2018-06-01/runtime/invocation/next",
            &[],
            "",
        )?;
        let id = header(&event, "lambda-runtime-aws-request-id")
            .unwrap_or_default()
            .to_owned();
        let (_, event) = event.split_once("\r\n\r\n").unwrap_or_default();
        if let Some(mark) = marked(event) {
            let again = go_on(mark)?;
            let path = format!("2018-06-01/runtime/invocation/{id}/response");
            ask(&address, "POST", &path, &[], &again)?;
            continue;
        }
        let answer = match (text(event, "do"), text(event, "secret")) {
            (Some("nap"), _) => napped(event)?,
            (Some("call"), _) => stop("in-call"),
            (Some("half"), _) => half(&address, &id)?,
            (Some("audit"), _) => audited(event)?,
            (Some("plant"), Some(secret)) => plant(secret, &mut planted),
            (Some("hunt"), Some(backwards)) => hunt(backwards.as_bytes()),
            _ => "{}".to_owned(),
        };
        let path = format!("2018-06-01/runtime/invocation/{id}/response");
        ask(&address, "POST", &path, &[], &answer)?;
        if text(event, "do") == Some("after") {
            stop("after-call");
        }
    }
}

/// What a loop is known by, however deep its event was wrapped on the way.
fn marked(event: &str) -> Option<&str> {
    let (_, rest) = event.split_once("looped-")?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.get(..end).filter(|mark| !mark.is_empty())
}

/// Notes the run of a loop and causes the next, in the way that the variable LOOP says. No header tells
/// the chain: as a client without any tracing would.
fn go_on(mark: &str) -> io::Result<String> {
    note(&format!("l {mark}\n"))?;
    let body = format!("{{\"mark\":\"looped-{mark}\"}}");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let (how, to) = (variable("LOOP"), variable("TO"));
    let endpoint = variable("AWS_ENDPOINT_URL");
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let (service, path, body) = match how.as_str() {
        "lambda" => {
            let path = format!("2015-03-31/functions/{to}/invocations");
            ("lambda", path, body.clone())
        }
        "sns" => {
            let form = format!(
                "Action=Publish&Version=2010-03-31&TopicArn={}&Message=looped-{mark}%20",
                to.replace(':', "%3A")
            );
            ("sns", String::new(), form)
        }
        "events" => {
            let detail = body.replace('"', "\\\"");
            let entry = format!(
                "{{\"Entries\":[{{\"Source\":\"torture\",\"DetailType\":\"loop\",\"Detail\":\"{detail}\"}}]}}"
            );
            ("events", String::new(), entry)
        }
        // A destination does it.
        _ => return Ok(body),
    };
    let key = variable("AWS_ACCESS_KEY_ID");
    let scope = format!("20260101/{}/{service}/aws4_request", variable("AWS_REGION"));
    let signed =
        format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=0");
    let token = variable("AWS_SESSION_TOKEN");
    let kind = match service {
        "sns" => "application/x-www-form-urlencoded",
        _ => "application/x-amz-json-1.1",
    };
    let headers = [
        ("Authorization", signed.as_str()),
        ("X-Amz-Date", "20260101T000000Z"),
        ("X-Amz-Security-Token", &token),
        ("Content-Type", kind),
        ("X-Amz-Invocation-Type", "Event"),
        ("X-Amz-Target", "AWSEvents.PutEvents"),
    ];
    // Only one of the protocols knows this header.
    let headers = &headers[..if service == "events" { 6 } else { 5 }];
    let answer = ask(host, "POST", &path, headers, &body)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        note(&format!("r {mark} {status}\n"))?;
    }
    Ok("{}".to_owned())
}

/// Takes a while, and notes when it begins and ends.
fn napped(event: &str) -> io::Result<String> {
    let ms = text(event, "ms").and_then(|ms| ms.parse().ok());
    note("b\n")?;
    thread::sleep(Duration::from_millis(ms.unwrap_or(20)));
    note("e\n")?;
    Ok("{}".to_owned())
}

/// Adds to a file of the host. One write each: lines of several processes do not mix.
fn note(line: &str) -> io::Result<()> {
    let path = env::var("AUDIT").map_err(io::Error::other)?;
    let mut file = File::options().append(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// Notes in a file of the host when an event begins and ends, which no kill of the server undoes.
fn audited(event: &str) -> io::Result<String> {
    let number = text(event, "n").unwrap_or_default();
    note(&format!("b {number}\n"))?;
    note(&format!("e {number}\n"))?;
    Ok("{}".to_owned())
}

/// Waits for the end from outside.
fn stop(place: &str) -> ! {
    let name = format!("torn-{place}");
    let _ = thread::Builder::new().name(name).spawn(|| {
        loop {
            thread::sleep(Duration::from_secs(60));
        }
    });
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

/// Sends a part of an answer.
fn half(address: &str, id: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\n{{\"half\":\""
    )?;
    stream.flush()?;
    stop("half-answer")
}

fn extension(address: &str, me: &str) -> io::Result<()> {
    let name = me.rsplit('/').next().unwrap_or_default();
    let named = ("Lambda-Extension-Name", name);
    let said = ask(
        address,
        "POST",
        "2020-01-01/extension/register",
        &[named],
        "{\"events\":[\"SHUTDOWN\"]}",
    )?;
    let id = header(&said, "lambda-extension-identifier")
        .unwrap_or_default()
        .to_owned();
    let identified = ("Lambda-Extension-Identifier", id.as_str());
    let event = ask(
        address,
        "GET",
        "2020-01-01/extension/event/next",
        &[identified],
        "",
    )?;
    if event.contains("SHUTDOWN") {
        stop("shutdown");
    }
    Ok(())
}

/// Leaves the secret wherever this function may write; says where.
fn plant(secret: &str, kept: &mut Vec<(String, UnixListener)>) -> String {
    let mut places = vec!["memory".to_owned(), "log".to_owned()];
    println!("planted {secret}");
    let content = secret.repeat(64);
    for place in PLACES {
        let path = Path::new(place).join(format!("left-{secret}"));
        if fs::write(&path, &content).is_ok() {
            places.push(place.to_owned());
        }
    }
    let unnamed = Path::new("/tmp/unnamed");
    if let Ok(mut file) = File::create(unnamed) {
        let _ = file.write_all(content.as_bytes());
        let _ = fs::remove_file(unnamed);
        std::mem::forget(file);
        places.push("descriptor".to_owned());
    }
    let abstract_socket =
        SocketAddr::from_abstract_name(secret).and_then(|a| UnixListener::bind_addr(&a));
    if let Ok(listener) = abstract_socket {
        kept.push((content, listener));
        places.push("abstract socket".to_owned());
    }
    list(&places)
}

/// Looks for a secret that is given backwards, so that nothing here holds it.
fn hunt(backwards: &[u8]) -> String {
    let mut found = BTreeSet::new();
    let holds = |bytes: &[u8]| {
        let (Some(first), n) = (backwards.last(), backwards.len()) else {
            return false;
        };
        bytes
            .windows(n)
            .any(|w| w[0] == *first && w.iter().eq(backwards.iter().rev()))
    };
    let mut files = Vec::new();
    for place in PLACES {
        walk(Path::new(place), &mut files);
    }
    for path in files {
        if holds(path.as_os_str().as_encoded_bytes()) || read(&path).is_some_and(|b| holds(&b)) {
            found.insert(
                path.display()
                    .to_string()
                    .replace(|c: char| !c.is_ascii_graphic(), "?"),
            );
        }
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.map(|entry| entry.path()) {
        for file in ["environ", "cmdline"] {
            if read(&process.join(file)).is_some_and(|b| holds(&b)) {
                found.insert(file.to_owned());
            }
        }
        for link in fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = link.path();
            let target = fs::read_link(&path).unwrap_or_default();
            let is_file = target.starts_with("/") && !target.starts_with("/dev");
            if holds(target.as_os_str().as_encoded_bytes())
                || (is_file && read(&path).is_some_and(|b| holds(&b)))
            {
                found.insert("descriptor".to_owned());
            }
        }
    }
    for table in [
        "/proc/net/unix",
        "/proc/sysvipc/shm",
        "/proc/sysvipc/msg",
        "/proc/keys",
    ] {
        if read(Path::new(table)).is_some_and(|b| holds(&b)) {
            found.insert(table.to_owned());
        }
    }
    match memory(&holds) {
        Ok(true) => drop(found.insert("memory".to_owned())),
        Ok(false) => {}
        Err(_) => drop(found.insert("unreadable memory".to_owned())),
    }
    list(&found.into_iter().collect::<Vec<_>>())
}

/// Own memory, page by page as the kernel lists it.
fn memory(holds: &impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut memory = File::open("/proc/self/mem")?;
    let mut chunk = [0; CHUNK];
    let mut seen = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let Some((from, to)) = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
        else {
            continue;
        };
        let (Ok(mut at), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16))
        else {
            continue;
        };
        let own = chunk.as_ptr() as u64;
        while at < to {
            let n = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let is_own = at <= own && own < at + n as u64;
            if !is_own && memory.seek(SeekFrom::Start(at)).is_ok() {
                let n = memory.read(&mut chunk[..n]).unwrap_or(0);
                seen += n;
                if holds(&chunk[..n]) {
                    return Ok(true);
                }
            }
            at += n as u64;
        }
    }
    // A search that sees nothing is no search.
    if seen == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(false)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if files.len() >= FILES_MAX {
            return;
        }
        files.push(entry.path());
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), files);
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if fs::metadata(path).is_ok_and(|m| !(m.is_file())) {
        return None;
    }
    File::open(path)
        .ok()?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

fn list(items: &[String]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|item| format!("\"{}\"", item.replace(['"', '\\'], "?")))
        .collect();
    format!("[{}]", quoted.join(","))
}

/// The value of a member that is a plain string.
fn text<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// One request on a connection of its own; gives head and body of the answer.
fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    let mut request =
        format!("{method} /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes())?;
    whole(&mut stream)
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
