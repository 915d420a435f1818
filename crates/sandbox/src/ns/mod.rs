//! The default backend: namespaces, control groups, seccomp and Landlock.
//!
//! The work is done by the [`helper`](crate::helper); this side keeps the sockets, pipes and the
//! meter of each environment.

mod body;
mod freezer;
pub(crate) mod link;
mod meter;
mod outward;
mod relay;
pub(crate) mod report;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use runtime_api::{Session, SessionHandle};
use tasks::Tasks;
use tokio::net::{TcpListener, UdpSocket};

use self::body::Body;
use self::link::{Link, Refusal};
use crate::helper::{
    FRAMED_FD, FromInit, Hello, KILN_PORT, LINK_LOCAL, RUNTIME_API_PORT, Reach, Start,
};
use crate::output::{Streams, pipe};
use crate::running::Running;
use crate::{Environment, EnvironmentSpec, Isolation, Network, Sandbox, StartError, channel};

/// Longest wait for the helper to make an environment: it takes milliseconds.
const SETUP_MAX: Duration = Duration::from_secs(20);

/// Longest id: the name of a host and of a directory.
const ID_CHARS_MAX: usize = 64;

#[derive(Debug, Clone)]
pub struct NsConfig {
    /// The program that calls [`crate::helper::main_if_helper`]; the running one by default.
    pub helper: PathBuf,
    /// Where Kiln's own API listens, for environments that may reach it.
    pub endpoint: Option<SocketAddr>,
}

impl Default for NsConfig {
    fn default() -> NsConfig {
        NsConfig {
            helper: PathBuf::from("/proc/self/exe"),
            endpoint: None,
        }
    }
}

impl NsConfig {
    /// The running program is the helper; functions reach Kiln's API at `endpoint`.
    pub fn new(endpoint: SocketAddr) -> NsConfig {
        NsConfig {
            endpoint: Some(endpoint),
            ..NsConfig::default()
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This host cannot make environments; the text says what would mend it.
    #[error("namespaces cannot be used: {0}")]
    Unsupported(String),
    #[error("the sandbox helper failed: {0}")]
    Helper(String),
}

struct Namespaces {
    config: NsConfig,
    tasks: Tasks,
    /// Replaced when the helper died.
    link: tokio::sync::Mutex<Arc<Link>>,
    hello: std::sync::Mutex<Hello>,
}

/// Starts the helper and finds out what this host can do.
///
/// # Errors
/// Fails if no environment can be made at all. Limits that cannot be enforced are no error:
/// [`Sandbox::isolation`] names them.
pub async fn open(config: NsConfig, tasks: &Tasks) -> Result<Arc<dyn Sandbox>, OpenError> {
    let (link, hello) = Link::open(&config.helper, tasks).await?;
    Ok(Arc::new(Namespaces {
        config,
        tasks: tasks.clone(),
        link: tokio::sync::Mutex::new(link),
        hello: std::sync::Mutex::new(hello),
    }))
}

fn backend(error: impl std::fmt::Display) -> StartError {
    StartError::Backend(error.to_string())
}

impl Namespaces {
    fn hello(&self) -> Hello {
        let hello = self.hello.lock().unwrap_or_else(PoisonError::into_inner);
        hello.clone()
    }

    /// The living helper, started again if it died.
    async fn link(&self) -> Result<Arc<Link>, StartError> {
        let mut link = self.link.lock().await;
        if link.is_dead() {
            tracing::warn!("the sandbox helper died; starting another one");
            let (fresh, hello) = Link::open(&self.config.helper, &self.tasks)
                .await
                .map_err(backend)?;
            *self.hello.lock().unwrap_or_else(PoisonError::into_inner) = hello;
            *link = fresh;
        }
        Ok(link.clone())
    }

    /// Starts serving the listeners of a new environment.
    fn serve(&self, made: &mut Made, reach: Reach) -> Result<SessionHandle, StartError> {
        let mut fds = std::mem::take(&mut made.listeners).into_iter();
        let mut next = || fds.next().ok_or_else(|| backend("a listener is missing"));
        let tcp = |fd: OwnedFd| TcpListener::from_std(fd.into()).map_err(backend);
        let (session, handle) = Session::new();
        self.tasks
            .spawn("runtime-api", session.serve(tcp(next()?)?));
        if let (true, Some(endpoint)) = (reach.kiln, self.config.endpoint) {
            let (listener, gone) = (tcp(next()?)?, made.body.guard());
            let relay = relay::serve(listener, endpoint, gone, self.tasks.clone());
            self.tasks.spawn("kiln-relay", relay);
        }
        if reach.full {
            let (listener, gone) = (tcp(next()?)?, made.body.guard());
            let carry = outward::connections(listener, gone, self.tasks.clone());
            self.tasks.spawn("outward-connections", carry);
            let socket = UdpSocket::from_std(next()?.into()).map_err(backend)?;
            let lookups = outward::lookups(socket, made.body.guard(), self.tasks.clone());
            self.tasks.spawn("outward-lookups", lookups);
        }
        Ok(handle)
    }

    /// Asks the helper, and once more another one if it died over that or just before.
    async fn ask_helper(
        &self,
        start: &Start,
        ends: [&OwnedFd; 3],
    ) -> Result<(Arc<Link>, u32, OwnedFd), StartError> {
        for _ in 0..2 {
            let link = self.link().await?;
            match link.start(start, ends).await {
                Ok((pid, pidfd)) => return Ok((link, pid, pidfd)),
                Err(Refusal::Refused(reason)) => return Err(StartError::Backend(reason)),
                Err(Refusal::Died) => link.died().await,
            }
        }
        Err(backend("the sandbox helper died twice"))
    }

    /// Has the environment made; returns once its runtime runs.
    async fn make(&self, start: Start) -> Result<Made, StartError> {
        let id = start.id.clone();
        let path = start.argv.first().cloned().unwrap_or_default();
        let (text, text_end) = pipe().map_err(backend)?;
        let (framed, framed_end) = pipe().map_err(backend)?;
        let (socket, socket_end) = channel::pair().map_err(backend)?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(backend)?;
        let ends = [&text_end, &framed_end, &socket_end];
        let (link, pid, pidfd) = self.ask_helper(&start, ends).await?;
        drop((text_end, framed_end, socket_end));
        let hello = self.hello();
        let mut body = Body::new(id, link, pid, pidfd, socket, &hello.cgroups, &self.tasks)?;
        match body.first_word().await {
            Ok((FromInit::Started, fds)) => {
                let mut fds = fds.into_iter();
                body.meter_tmp(fds.next());
                Ok(Made {
                    body,
                    text,
                    framed,
                    listeners: fds.collect(),
                })
            }
            Ok((other, _)) => {
                body.finish().await;
                Err(not_started(other, path))
            }
            Err(error) => {
                body.finish().await;
                Err(error)
            }
        }
    }
}

struct Made {
    body: Body,
    text: OwnedFd,
    framed: OwnedFd,
    listeners: Vec<OwnedFd>,
}

/// What an environment says that could not start its program.
fn not_started(said: FromInit, path: String) -> StartError {
    let text = |errno| {
        let full = std::io::Error::from_raw_os_error(errno).to_string();
        let words = full.split(" (os error").next().unwrap_or_default();
        words.to_lowercase()
    };
    match said {
        FromInit::BadEntrypoint { errno } => StartError::BadEntrypoint {
            path,
            reason: text(errno),
        },
        FromInit::Failed { step, errno } => {
            StartError::Backend(format!("cannot {step}: {}", text(errno)))
        }
        other => StartError::Backend(format!("unexpected {other:?}")),
    }
}

/// Takes the spec apart; refuses what could not be a file or host name.
fn start_of(spec: &EnvironmentSpec, reach: Reach) -> Result<Start, StartError> {
    let id_is_fine = (1..=ID_CHARS_MAX).contains(&spec.id.len())
        && spec
            .id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !id_is_fine {
        return Err(backend(format!("{:?} cannot name an environment", spec.id)));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = spec.mounts.iter().find(|m| !seen.insert(&m.inside)) {
        return Err(backend(format!("two mounts at {}", twice.inside.display())));
    }
    let own = [
        format!("AWS_LAMBDA_RUNTIME_API={LINK_LOCAL}:{RUNTIME_API_PORT}"),
        format!("_LAMBDA_TELEMETRY_LOG_FD={FRAMED_FD}"),
    ];
    let given = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    Ok(Start {
        id: spec.id.clone(),
        argv: spec.argv.clone(),
        env: given.chain(own).collect(),
        mounts: spec
            .mounts
            .iter()
            .map(|m| (m.host.clone(), m.inside.clone()))
            .collect(),
        memory_bytes: spec.memory.bytes(),
        tmp_bytes: spec.ephemeral.bytes(),
        reach,
    })
}

#[async_trait]
impl Sandbox for Namespaces {
    fn isolation(&self) -> Isolation {
        report::isolation(&self.hello())
    }

    fn kiln_endpoint(&self) -> Option<SocketAddr> {
        let inside = SocketAddr::from((LINK_LOCAL, KILN_PORT));
        self.config.endpoint.map(|_| inside)
    }

    async fn start(&self, spec: EnvironmentSpec) -> Result<Box<dyn Environment>, StartError> {
        let clock = self.tasks.clock().clone();
        let begin = clock.monotonic();
        let reach = Reach {
            kiln: self.config.endpoint.is_some() && spec.network != Network::None,
            full: spec.network == Network::Full,
        };
        if reach.full && !self.hello().full_network {
            return Err(backend("this host cannot give functions the full network"));
        }
        let start = start_of(&spec, reach)?;
        let made = clock.timeout(SETUP_MAX, self.make(start)).await;
        let mut made = made.map_err(|_| backend("making the environment took too long"))??;
        let started = clock.monotonic();
        let handle = self.serve(&mut made, reach)?;
        made.body.limit_to(spec.memory);
        let streams = Streams::new(made.text, made.framed, spec.output.clone(), clock.clone())
            .map_err(backend)?;
        let times = (started, started.since(begin));
        let body = Box::new(made.body);
        let running = Running::begin(body, handle, streams, clock, times, spec.init_limit).await?;
        Ok(Box::new(running))
    }

    async fn shutdown(&self, grace: Duration) {
        let link = self.link.lock().await;
        link.close(grace).await;
    }
}
