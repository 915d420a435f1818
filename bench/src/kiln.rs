//! The server under test: starts it as a user would and speaks to it as a client would.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use wire::Signer;
use wire::access::Secret;

use crate::client::Client;

/// Longest start, and longest wait for a function to settle.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How much of the server's log an error shows.
const LOG_TAIL_BYTES_MAX: usize = 2_000;

const ROLE: &str = "arn:aws:iam::000000000000:role/bench";

/// Servers under test that live now, for the watchdog.
static LIVING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A server with its data directory, and how it is started.
pub(crate) struct Kiln {
    child: Child,
    pub(crate) address: SocketAddr,
    signer: Signer,
    /// From spawning the process to its first good answer.
    pub(crate) started_in: Duration,
    data: Arc<TempDir>,
    log: PathBuf,
}

/// What a server is started with. Signatures are checked.
pub(crate) struct Setup {
    binary: PathBuf,
    /// Must lie on a real disk, not in memory.
    folder: PathBuf,
    data: Option<Arc<TempDir>>,
    settings: Vec<(String, String)>,
}

impl Setup {
    pub(crate) fn new(binary: &Path, folder: &Path) -> Setup {
        Setup {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            data: None,
            settings: Vec::new(),
        }
    }

    /// Sets a variable of the server's configuration; one that it does not know is without effect.
    pub(crate) fn with(mut self, variable: &str, value: impl ToString) -> Setup {
        self.settings.push((variable.to_owned(), value.to_string()));
        self
    }

    /// On a data directory that another server has written and left.
    pub(crate) fn on(mut self, data: &Arc<TempDir>) -> Setup {
        self.data = Some(Arc::clone(data));
        self
    }

    pub(crate) fn start(self) -> Result<Kiln> {
        let data = match self.data {
            Some(data) => data,
            None => Arc::new(tempfile::tempdir_in(&self.folder)?),
        };
        let address = free_address()?;
        let signer = signer("lambda");
        let log = data.path().with_extension("log");
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let started = Instant::now();
        let child = Command::new(&self.binary)
            .arg("serve")
            .args(["--listen", &address.to_string(), "--data"])
            .arg(data.path())
            .env("KILN_AUTH", "strict")
            // AWS's caps on requests and new environments would be measured instead.
            .env("KILN_CALLS_PER_UNIT", "0")
            .env("KILN_SCALING_PER_10S", "1000000")
            .env("KILN_ACCESS_KEY", &signer.access_key)
            .env("KILN_SECRET_KEY", signer.secret_key.reveal())
            .envs(self.settings)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        living().push(child.id());
        let mut kiln = Kiln {
            child,
            address,
            signer,
            started_in: Duration::ZERO,
            data,
            log,
        };
        let question = kiln.request("GET", "/2015-03-31/functions/", b"")?;
        loop {
            let answer = Client::connect(address).and_then(|mut c| c.send(&question));
            if answer.is_ok_and(|answer| answer.status == 200) {
                break;
            }
            if started.elapsed() > WAIT_MAX || kiln.child.try_wait()?.is_some() {
                bail!("the server does not answer:\n{}", kiln.log_tail());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        kiln.started_in = started.elapsed();
        Ok(kiln)
    }
}

fn signer(service: &'static str) -> Signer {
    Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        region: "us-east-1".to_owned(),
        service,
    }
}

fn living() -> MutexGuard<'static, Vec<u32>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every server under test, so that whatever waits for one fails instead of waiting on.
pub(crate) fn end_all() {
    for pid in living().iter() {
        kill(*pid);
    }
}

/// Kills a process that this program started, or one below it. One that is gone already is fine.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// As Ctrl-C does.
pub(crate) fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

fn signal(pid: u32, what: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, what);
    }
}

impl Kiln {
    /// Stops in order and waits for the end; gives the data directory for another start.
    pub(crate) fn stop(mut self) -> Result<Arc<TempDir>> {
        signal(self.child.id(), Signal::TERM);
        let until = Instant::now() + WAIT_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                bail!("the server does not stop");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Arc::clone(&self.data))
    }

    /// Waits for the end of a server that was killed; gives the data directory for another start.
    pub(crate) fn killed(mut self) -> Result<Arc<TempDir>> {
        self.child.wait()?;
        Ok(Arc::clone(&self.data))
    }

    /// The end of what the server has said.
    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        text.get(from..).unwrap_or(&text).to_owned()
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    /// A signed request as it goes over the wire, good for five minutes.
    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let request = self.unsigned(method, path, body);
        sign(&self.signer, request.body(())?, body)
    }

    /// As [`Kiln::request`], with further headers.
    pub(crate) fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let mut request = self.unsigned(method, path, body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sign(&self.signer, request.body(())?, body)
    }

    /// A signed request of a protocol that names its operation in a header.
    pub(crate) fn operation(
        &self,
        service: &'static str,
        target: &str,
        body: &Value,
    ) -> Result<Vec<u8>> {
        let body = body.to_string();
        let request = self.unsigned("POST", "/", body.as_bytes());
        let request = request.header("x-amz-target", target).body(())?;
        sign(&signer(service), request, body.as_bytes())
    }

    /// A signed request of the protocol that sends forms.
    pub(crate) fn form(&self, service: &'static str, form: &str) -> Result<Vec<u8>> {
        let request = http::Request::builder()
            .method("POST")
            .uri("/")
            .header("host", self.address.to_string())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", form.len());
        sign(&signer(service), request.body(())?, form.as_bytes())
    }

    /// A signed question to the server itself.
    pub(crate) fn admin(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.unsigned("GET", path, b"").body(())?;
        sign(&signer("kiln"), request, b"")
    }

    fn unsigned(&self, method: &str, path: &str, body: &[u8]) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("content-length", body.len())
    }

    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(self.address)
    }

    /// The signed request that invokes a function.
    pub(crate) fn invocation(&self, name: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        self.request("POST", &path, payload)
    }

    /// The signed request that invokes a function asynchronously.
    pub(crate) fn event(&self, name: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        self.request_with(
            "POST",
            &path,
            &[("x-amz-invocation-type", "Event")],
            payload,
        )
    }

    /// The signed request that creates a function.
    pub(crate) fn creation(&self, name: &str, function: &Function) -> Result<Vec<u8>> {
        self.creation_with(name, function, &json!({}))
    }

    /// As [`Kiln::creation`], with further members of the request.
    pub(crate) fn creation_with(
        &self,
        name: &str,
        function: &Function,
        more: &Value,
    ) -> Result<Vec<u8>> {
        let mut body = json!({
            "FunctionName": name,
            "Runtime": function.runtime,
            "Handler": function.handler,
            "Role": ROLE,
            "Timeout": 30,
            "MemorySize": 1769,
            "Code": { "ZipFile": STANDARD.encode(&function.zip) },
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.request("POST", "/2015-03-31/functions", body.to_string().as_bytes())
    }

    /// Creates a function and waits until it can be invoked.
    pub(crate) fn deploy(&self, name: &str, function: &Function) -> Result<()> {
        self.deploy_with(name, function, &json!({}))
    }

    /// As [`Kiln::deploy`], with further members of the request.
    pub(crate) fn deploy_with(&self, name: &str, function: &Function, more: &Value) -> Result<()> {
        let mut client = self.client()?;
        client.succeed(&self.creation_with(name, function, more)?)?;
        self.settle(&mut client, name)
    }

    /// Changes the configuration, so that the next call finds no environment.
    pub(crate) fn make_cold(&self, client: &mut Client, name: &str, round: u64) -> Result<()> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let body = json!({ "Environment": { "Variables": { "ROUND": round.to_string() } } });
        client.succeed(&self.request("PUT", &path, body.to_string().as_bytes())?)?;
        self.settle(client, name)
    }

    pub(crate) fn settle(&self, client: &mut Client, name: &str) -> Result<()> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let question = self.request("GET", &path, b"")?;
        let until = Instant::now() + WAIT_MAX;
        loop {
            let answer = client.succeed(&question)?;
            let function: Value = serde_json::from_slice(&answer.body)?;
            let is = |key: &str, value: &str| function.get(key).is_some_and(|v| v == value);
            if is("State", "Active") && !is("LastUpdateStatus", "InProgress") {
                return Ok(());
            }
            if is("State", "Failed") || Instant::now() > until {
                bail!("{name} does not settle: {function}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn sign(signer: &Signer, request: http::Request<()>, body: &[u8]) -> Result<Vec<u8>> {
    let line = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let now = jiff::Timestamp::now().as_second();
    let (head, ()) = signer.sign(request, body, now)?.into_parts();
    let mut bytes = line.into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Ok(bytes)
}

impl Drop for Kiln {
    fn drop(&mut self) {
        // The benchmark does not measure an orderly end; a failure means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        living().retain(|pid| *pid != self.child.id());
        let _ = fs::remove_file(&self.log);
    }
}

/// What is deployed.
pub(crate) struct Function {
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) zip: Vec<u8>,
}

impl Function {
    pub(crate) fn new(runtime: &str, handler: &str, files: &[(&str, &[u8])]) -> Result<Function> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        for (name, content) in files {
            archive.start_file(*name, options)?;
            archive.write_all(content)?;
        }
        Ok(Function {
            runtime: runtime.to_owned(),
            handler: handler.to_owned(),
            zip: archive.finish()?.into_inner(),
        })
    }
}

/// A port that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A process and everything that descends from it.
pub(crate) fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&here) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|(_, ppid)| *ppid == here)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    Ok(found)
}

/// The process that started another.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat_field(pid, 1)?.parse().ok()
}

/// CPU time so far of some processes, all threads, kernel and user.
pub(crate) fn cpu_of(pids: &[u32]) -> Duration {
    let ticks: u64 = pids
        .iter()
        .flat_map(|pid| [stat_field(*pid, 11), stat_field(*pid, 12)])
        .flatten()
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that Kiln runs on.
    Duration::from_millis(ticks * 10)
}

/// Resident memory of some processes in bytes: RSS counts shared pages for each of them.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let path = PathBuf::from(format!("/proc/{pid}/status"));
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
}

/// Private memory of some processes in bytes: pages that no other process has.
pub(crate) fn private(pids: &[u32]) -> u64 {
    rollup(pids, "Private_")
}

/// Memory of some processes in bytes, a page that several share split among them: of a whole tree of
/// processes it is what they take together, where the sum of RSS counts a fork's pages again.
pub(crate) fn shared_out(pids: &[u32]) -> u64 {
    rollup(pids, "Pss:")
}

/// The sum of the lines of `smaps_rollup` that begin so, in bytes.
fn rollup(pids: &[u32], begin: &str) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let lines = text.lines().filter(|line| line.starts_with(begin));
        let kib = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Some(kib.sum())
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
}

/// A field of /proc/PID/stat, counted from the state, which follows the name in brackets.
fn stat_field(pid: u32, at: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(at).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_this_process_holds_its_child() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let pids = tree(std::process::id()).unwrap();
        assert!(pids.contains(&child.id()));
        assert!(resident(&pids) > 1 << 20);
        assert!((1..resident(&pids)).contains(&private(&pids)));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_function_is_a_zip() {
        let function = Function::new("provided.al2023", "x", &[("bootstrap", b"hello")]).unwrap();
        assert!(function.zip.starts_with(b"PK"));
    }
}
