//! The default backend: namespaces, control groups, seccomp and Landlock.
//!
//! The work is done by the [`helper`](crate::helper); this side keeps the sockets, pipes and the
//! meter of each environment.

mod body;
mod freezer;
pub(crate) mod link;
mod meter;
mod outward;
mod pool;
mod prepared;
mod relay;
pub(crate) mod report;
mod snapshot;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use runtime_api::{Extension, Session, SessionHandle};
use tasks::{Mono, Tasks};
use tokio::net::{TcpListener, UdpSocket};

use self::link::{Forkable, Link};
use self::pool::{Keeper, Pool};
use self::prepared::{Asked, Failed, Made, Order, Prepared};
use crate::deliver::{Deliveries, Dial, Sockets};
use crate::extensions::facts;
use crate::helper::{Hello, KILN_PORT, LINK_LOCAL, Reach};
use crate::output::Streams;
use crate::running::Running;
use crate::{
    Environment, EnvironmentSpec, InitReport, Isolation, Kept, Network, Origin, Sandbox,
    StartError, Taken,
};

/// Longest wait for the helper to make an environment: it takes milliseconds.
const SETUP_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub struct NsConfig {
    /// The program that calls [`crate::helper::main_if_helper`]; the running one by default.
    pub helper: PathBuf,
    /// Where Kiln's own API listens, for environments that may reach it.
    pub endpoint: Option<SocketAddr>,
    /// Most sandboxes without a function that are kept ready for each [`Network`]; how many there
    /// are follows from recent demand. 0: each is made when it is needed.
    pub sandboxes_max: usize,
    /// Most [`Waiting`](crate::Waiting) processes at a time. 0: none.
    pub waiting_max: usize,
    /// What sandboxes are ready for before anybody asks.
    pub ready_for: Option<Network>,
}

impl Default for NsConfig {
    fn default() -> NsConfig {
        NsConfig {
            helper: PathBuf::from("/proc/self/exe"),
            endpoint: None,
            sandboxes_max: 0,
            waiting_max: 0,
            ready_for: None,
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
    pool: Arc<Pool>,
    forkable: Arc<Forkable>,
}

/// Starts the helper and finds out what this host can do.
///
/// # Errors
/// Fails if no environment can be made at all. Limits that cannot be enforced are no error:
/// [`Sandbox::isolation`] names them.
pub async fn open(config: NsConfig, tasks: &Tasks) -> Result<Arc<dyn Sandbox>, OpenError> {
    let forkable = Arc::new(Forkable::default());
    let (link, hello) = Link::open(&config.helper, &forkable, tasks).await?;
    let first = config.ready_for.map(|network| reach(&config, network));
    let clock = tasks.clock().clone();
    let pool = Arc::new(Pool::new(
        config.sandboxes_max,
        config.waiting_max,
        first.filter(|reach| !reach.full || hello.full_network),
        forkable.clone(),
        clock,
    ));
    let namespaces = Arc::new(Namespaces {
        config,
        tasks: tasks.clone(),
        link: tokio::sync::Mutex::new(link),
        hello: std::sync::Mutex::new(hello),
        pool,
        forkable,
    });
    if namespaces.pool.is_on() {
        tasks.add(Keeper::of(&namespaces));
    }
    Ok(namespaces)
}

fn reach(config: &NsConfig, network: Network) -> Reach {
    Reach {
        kiln: config.endpoint.is_some() && network != Network::None,
        full: network == Network::Full,
    }
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
            let (fresh, hello) = Link::open(&self.config.helper, &self.forkable, &self.tasks)
                .await
                .map_err(backend)?;
            *self.hello.lock().unwrap_or_else(PoisonError::into_inner) = hello;
            *link = fresh;
        }
        Ok(link.clone())
    }

    /// Starts serving the listeners of a new environment, whose runtime was started at `started`.
    fn serve(
        &self,
        made: &mut Made,
        spec: &EnvironmentSpec,
        started: Mono,
    ) -> Result<SessionHandle, StartError> {
        let reach = made.reach;
        let mut fds = std::mem::take(&mut made.listeners).into_iter();
        let mut next = || fds.next().ok_or_else(|| backend("a listener is missing"));
        let tcp = |fd: OwnedFd| TcpListener::from_std(fd.into()).map_err(backend);
        let sockets = made.beside.split_off(made.beside.len().min(1));
        let door: Arc<dyn Dial> = Arc::new(Sockets::new(sockets));
        let (host, life) = Deliveries::begin(door, &self.tasks);
        made.body.carries(life);
        // Without a socket there is no way in.
        let host = Some(host).filter(|_| !spec.extensions.external.is_empty());
        let (session, handle) = Session::with(facts(spec, host, (self.tasks.clock(), started)));
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

    /// Makes a sandbox without a function, or a program in it that waits for one.
    async fn prepare(&self, reach: Reach, wait: Option<&Order>) -> Result<Prepared, Failed> {
        let link = self.link().await?;
        let id = format!("ready-{}", self.tasks.ids().hex(8));
        let asked = Asked::of(&link, &id, reach).await?;
        match wait {
            None => asked.made(&self.hello().cgroups, &self.tasks).await,
            Some(order) => {
                asked.order(order, &self.tasks).await?;
                let prepared = asked.made(&self.hello().cgroups, &self.tasks).await?;
                prepared.waits(order).await
            }
        }
    }

    /// Has the environment made; returns once its runtime runs.
    async fn make(&self, spec: &EnvironmentSpec, reach: Reach) -> Result<Made, StartError> {
        let order = Order::run(spec)?;
        if let Some(made) = self.hand_over(spec, reach).await? {
            return Ok(made);
        }
        if let Some(prepared) = self.pool.sandbox(reach) {
            match prepared.becomes(&order, Origin::Ready).await {
                Ok(made) => return Ok(made),
                Err(Failed::Start(error)) => return Err(error),
                Err(lost) => tracing::debug!(%lost, "a ready sandbox was not"),
            }
        }
        for _ in 0..2 {
            let link = self.link().await?;
            match self.make_now(&link, &spec.id, &order, reach).await {
                Ok(made) => return Ok(made),
                Err(Failed::HelperDied) => link.died().await,
                Err(failed) => return Err(failed.into_error()),
            }
        }
        Err(backend("the sandbox helper died twice"))
    }

    async fn make_now(
        &self,
        link: &Arc<Link>,
        id: &str,
        order: &Order,
        reach: Reach,
    ) -> Result<Made, Failed> {
        let asked = Asked::of(link, id, reach).await?;
        asked.order(order, &self.tasks).await?;
        let prepared = asked.made(&self.hello().cgroups, &self.tasks).await?;
        prepared.runs(order, Origin::New).await
    }

    /// Makes the function of a process that waits for one, if there is one.
    async fn hand_over(
        &self,
        spec: &EnvironmentSpec,
        reach: Reach,
    ) -> Result<Option<Made>, StartError> {
        // Extensions come before the runtime, and this one is there already.
        let waiting = spec
            .waiting
            .as_ref()
            .filter(|_| spec.extensions.external.is_empty());
        let Some(waiting) = waiting else {
            return Ok(None);
        };
        let Some(order) = Order::hand_over(spec, waiting)? else {
            return Ok(None);
        };
        let Some(prepared) = self.pool.waiting(waiting, reach) else {
            return Ok(None);
        };
        prepared.forget_output();
        match prepared.becomes(&order, Origin::Waiting).await {
            Ok(made) => Ok(Some(made)),
            Err(failed) => {
                // The start from the beginning finds out whether it is the function's fault.
                tracing::debug!(key = %waiting.key, %failed, "a waiting process was of no use");
                Ok(None)
            }
        }
    }

    async fn begin(&self, spec: &EnvironmentSpec) -> Result<Box<dyn Environment>, StartError> {
        let clock = self.tasks.clock().clone();
        let begin = clock.monotonic();
        let reach = reach(&self.config, spec.network);
        if reach.full && !self.hello().full_network {
            return Err(backend("this host cannot give functions the full network"));
        }
        let starting = self.pool.starting();
        let make = async {
            match &spec.snapshot {
                Some(snapshot) => self.restore(spec, snapshot, reach).await,
                None => self.make(spec, reach).await,
            }
        };
        let made = clock.timeout(SETUP_MAX, make).await;
        let made = made.map_err(|_| backend("making the environment took too long"))?;
        if let Err(StartError::ExtensionNotLaunched { name, kind, .. }) = &made {
            tell_not_launched(spec, (name, kind), clock.now().unix_millis());
        }
        let mut made = made?;
        let started = clock.monotonic();
        let handle = self.serve(&mut made, spec, started)?;
        made.body.limit_to(spec.memory);
        let streams = Streams::new(made.text, made.framed, spec.output.clone(), clock.clone())
            .map_err(backend)?;
        let streams = match made.beside.pop() {
            Some(pipe) => streams.with_extensions(pipe).map_err(backend)?,
            None => streams,
        };
        let init = InitReport {
            duration: Duration::ZERO,
            setup: started.since(begin),
            origin: made.origin,
        };
        let body = Box::new(made.body);
        let path = spec.argv.first().map_or("", String::as_str);
        let limit = (path, spec.init_limit);
        let begin = (started, init);
        let leaves = &spec.leaves;
        let running = Running::begin(body, handle, streams, clock, begin, limit, leaves).await?;
        drop(starting);
        Ok(Box::new(running))
    }
}

/// How the extensions stand when one of them cannot be started: those before it were.
fn tell_not_launched(spec: &EnvironmentSpec, (name, why): (&str, &str), unix_ms: i64) {
    let before = spec.extensions.external.iter().take_while(|n| *n != name);
    let before = before.map(|name| Extension::started(name));
    for extension in before.chain([Extension::not_launched(name, why)]) {
        spec.output.extension(&extension, unix_ms);
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.pool.shut();
    }
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

    async fn start(&self, mut spec: EnvironmentSpec) -> Result<Box<dyn Environment>, StartError> {
        match self.begin(&spec).await {
            Err(StartError::Unheard) => {
                tracing::debug!(id = %spec.id, "a waiting process ended as it was handed over");
                spec.waiting = None;
                self.begin(&spec).await
            }
            other => other,
        }
    }

    async fn snapshot(&self, spec: EnvironmentSpec) -> Result<Taken, StartError> {
        self.take(spec).await
    }

    fn kept(&self) -> Kept {
        self.pool.kept()
    }

    async fn shutdown(&self, grace: Duration) {
        self.pool.shut();
        let link = self.link.lock().await;
        link.close(grace).await;
    }
}
