//! The counterpart of the tests: a small runtime that does inside an environment what the event
//! says, the helper of the backend under test, and a server that a test may kill.
#![allow(clippy::print_stdout)] // what it prints is what the tests look at

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use model::{EphemeralStorage, Memory};
use sandbox::{EnvironmentSpec, Extensions, Mount, Network, Output, OutputLine, ns};
use tasks::{Clock, Ids, Tasks};

fn main() -> io::Result<()> {
    if sandbox::helper::main_if_helper().is_some() {
        return Ok(());
    }
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => serve(&args.next().unwrap_or_default(), args.next().is_some()),
        Some("init-exit") => std::process::exit(7),
        Some("init-hang") => loop {
            std::thread::park();
        },
        Some("init-error") => init_error(),
        _ => runtime(),
    }
}

fn api() -> io::Result<TcpStream> {
    let address = std::env::vars()
        .find_map(|(name, value)| (name == "AWS_LAMBDA_RUNTIME_API").then_some(value))
        .ok_or(io::ErrorKind::NotFound)?;
    TcpStream::connect(address)
}

fn init_error() -> io::Result<()> {
    let body = r#"{"errorMessage":"no module","errorType":"Runtime.ImportModuleError"}"#;
    let mut stream = api()?;
    post(&mut stream, "init/error", body.as_bytes())?;
    drain_answer(&mut BufReader::new(stream))?;
    std::process::exit(1)
}

/// Asks for events and does what they say.
fn runtime() -> io::Result<()> {
    let stream = api()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        stream
            .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n")?;
        let (request, event) = event(&mut reader)?;
        let answer = act(&String::from_utf8_lossy(&event));
        post(
            &mut stream,
            &format!("invocation/{request}/response"),
            &answer,
        )?;
        drain_answer(&mut reader)?;
    }
}

fn post(stream: &mut TcpStream, path: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: api\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())
}

fn drain_answer(reader: &mut impl BufRead) -> io::Result<()> {
    event(reader).map(drop)
}

/// The request id and body of one HTTP answer.
fn event(reader: &mut impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((id, body))
}

/// `word argument`
fn act(event: &str) -> Vec<u8> {
    let (word, argument) = event.split_once(' ').unwrap_or((event, ""));
    let number: usize = argument.parse().unwrap_or(0);
    match word {
        "sh" => shell(argument),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(argument.parse().unwrap_or(0)));
            b"slept".to_vec()
        }
        "exit" => std::process::exit(i32::try_from(number).unwrap_or(1)),
        "abort" => std::process::abort(),
        "eat" => {
            let mut held = Vec::new();
            for mib in 0..number {
                held.push(vec![u8::try_from(mib % 255).unwrap_or(1) + 1; 1 << 20]);
            }
            format!(
                "{}",
                held.iter()
                    .map(|m| m.iter().map(|b| usize::from(*b)).sum::<usize>())
                    .sum::<usize>()
            )
            .into()
        }
        "print" => {
            println!("{argument}");
            b"printed".to_vec()
        }
        "frame" => frame(argument.as_bytes()),
        "flood" => {
            let line = "x".repeat(1_023);
            for _ in 0..number * 1_024 {
                println!("{line}");
            }
            b"flooded".to_vec()
        }
        "fill" => fill(number),
        "connect" => match TcpStream::connect(argument) {
            Ok(mut stream) => {
                let mut first = [0; 5];
                match stream.read_exact(&mut first) {
                    Ok(()) => [b"connected ".as_slice(), &first].concat(),
                    Err(error) => format!("connected, then {error}").into(),
                }
            }
            Err(error) => error.to_string().into(),
        },
        "descriptors" => descriptors(),
        "processes" => processes(number),
        _ => event.into(),
    }
}

fn descriptors() -> Vec<u8> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let mut numbers: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let texts: Vec<_> = numbers.iter().map(u32::to_string).collect();
    texts.join(" ").into()
}

/// Runs a shell script; gives what it printed and its exit code.
fn shell(script: &str) -> Vec<u8> {
    match Command::new("/bin/sh").arg("-c").arg(script).output() {
        Ok(done) => {
            let code = done.status.code().unwrap_or(-1);
            [&done.stdout, &done.stderr, format!("[{code}]").as_bytes()].concat()
        }
        Err(error) => error.to_string().into(),
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/fd/3")
        .and_then(|mut pipe| {
            let length = u32::try_from(message.len()).unwrap_or(0);
            let head = [0xa55a_0003_u32.to_be_bytes(), length.to_be_bytes()].concat();
            let time = 1_700_000_000_123_000_u64.to_be_bytes();
            pipe.write_all(&[&head, &time[..], message].concat())
        });
    format!("{written:?}").into()
}

/// Writes so many MiB to `/tmp`.
fn fill(mib: usize) -> Vec<u8> {
    let block = vec![7; 1 << 20];
    let mut file = match std::fs::File::create("/tmp/filled") {
        Ok(file) => file,
        Err(error) => return error.to_string().into(),
    };
    for done in 0..mib {
        if let Err(error) = file.write_all(&block) {
            drop(file);
            let _ = std::fs::remove_file("/tmp/filled");
            return format!("{done} MiB, then {error}").into();
        }
    }
    format!("{mib} MiB").into()
}

/// Starts processes until it cannot; says how many it got.
fn processes(wanted: usize) -> Vec<u8> {
    let mut children = Vec::new();
    let mut end = "all".to_owned();
    for _ in 0..wanted {
        match Command::new("/bin/sleep").arg("100").spawn() {
            Ok(child) => children.push(child),
            Err(error) => {
                end = error.to_string();
                break;
            }
        }
    }
    let count = children.len();
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
    format!("{count} {end}").into()
}

struct Nowhere;

impl Output for Nowhere {
    fn line(&self, _line: OutputLine) {}
}

/// Starts two environments of the program in `dir` and says so; ends them when told to by a line;
/// waits to be killed. `pooled`: two sandboxes are kept ready beside.
#[tokio::main(flavor = "current_thread")]
async fn serve(dir: &str, pooled: bool) -> io::Result<()> {
    let tasks = Tasks::new(Clock::real(), Ids::system());
    let config = ns::NsConfig {
        helper: std::env::current_exe()?,
        sandboxes_max: if pooled { 2 } else { 0 },
        ready_for: Some(Network::None),
        ..ns::NsConfig::default()
    };
    let kept = config.sandboxes_max;
    let sandbox = ns::open(config, &tasks).await.map_err(io::Error::other)?;
    while sandbox.kept().sandboxes < kept {
        tasks.clock().sleep(Duration::from_millis(1)).await;
    }
    println!("open");
    line(&tasks).await;
    let mut held = Vec::new();
    for n in 0..2 {
        let spec = EnvironmentSpec {
            id: format!("killed-{n}"),
            argv: vec!["/var/task/sandbox-probe".to_owned()],
            working_dir: sandbox::TASK_DIR.to_owned(),
            env: Vec::new(),
            mounts: vec![Mount {
                host: PathBuf::from(dir),
                inside: PathBuf::from("/var/task"),
            }],
            memory: Memory::MIN,
            ephemeral: EphemeralStorage::DEFAULT,
            network: Network::None,
            waiting: None,
            template: None,
            snapshot: None,
            left: None,
            leaves: sandbox::Leaves::default(),
            credentials: None,
            extensions: Extensions::default(),
            init_limit: Duration::from_secs(10),
            output: Arc::new(Nowhere),
        };
        held.push(sandbox.start(spec).await.map_err(io::Error::other)?);
    }
    println!("ready");
    line(&tasks).await;
    for environment in held.drain(..) {
        environment.stop().await;
    }
    println!("stopped");
    std::future::pending::<()>().await;
    drop(held);
    Ok(())
}

async fn line(tasks: &Tasks) {
    let read = || io::stdin().read_line(&mut String::new());
    let _ = tasks.blocking(read).await;
}
