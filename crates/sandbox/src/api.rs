use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Call, Ending, EphemeralStorage, Exit, FunctionError, Memory};
use runtime_api::{Credentials, Extension, ResponseWriter};

use crate::extensions::{Extensions, StopReason};
use crate::left::{Leaves, LeftTmp};

/// Makes environments.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// What this backend isolates and limits on this host.
    fn isolation(&self) -> Isolation;

    /// Where Kiln's own API is as seen from inside an environment of [`Network::Kiln`] or
    /// [`Network::Full`], for the variable `AWS_ENDPOINT_URL`. `None` if functions cannot reach it.
    fn kiln_endpoint(&self) -> Option<SocketAddr> {
        None
    }

    /// Makes an environment, starts the runtime and waits until it asks for its first event.
    async fn start(&self, spec: EnvironmentSpec) -> Result<Box<dyn Environment>, StartError>;

    /// Makes an environment, starts the runtime and keeps it as soon as it has initialised itself and
    /// run its hooks. Needs no template and no waiting process; external extensions are not started.
    ///
    /// # Errors
    /// Those of [`Sandbox::start`]. What cannot be kept although its init phase went well is none.
    async fn snapshot(&self, spec: EnvironmentSpec) -> Result<Taken, StartError> {
        let _ = spec;
        Ok(Taken::Unsupported)
    }

    /// What is ready for starts to come.
    fn kept(&self) -> Kept {
        Kept::default()
    }

    /// Ends every environment and the backend's helper process.
    async fn shutdown(&self, grace: Duration);
}

/// An initialised runtime. Environments of the very same function may be forks of it.
/// Dropping the last reference ends it; environments hold one each.
pub trait Snapshot: Send + Sync {
    /// The id of its environment.
    fn id(&self) -> &str;

    /// False once it ended by itself.
    fn is_alive(&self) -> bool;

    /// The init phase that it is the end of.
    fn init(&self) -> InitReport;

    /// What its `/tmp` holds.
    fn tmp_bytes(&self) -> u64 {
        0
    }
}

/// What came of [`Sandbox::snapshot`].
pub enum Taken {
    Kept(Arc<dyn Snapshot>),
    /// The init phase went well; the reason says what it left that cannot be forked.
    Not {
        reason: String,
        init: InitReport,
    },
    /// The backend keeps none; nothing was run.
    Unsupported,
}

/// One execution environment with its runtime waiting for an event.
///
/// The exclusive borrow says "one invocation at a time"; consuming `stop` says "not after the end".
#[async_trait]
pub trait Environment: Send {
    fn init(&self) -> &InitReport;

    /// Runs one call to its end or its deadline. Everything that the runtime wrote before it answered
    /// has gone to the spec's [`Output`] when this returns.
    ///
    /// After an `Err` the environment is useless: stop it.
    async fn invoke(&mut self, call: Call, limit: Duration) -> Answer;

    /// The same, with a response in streaming mode given to `to` while it comes: the answer's payload
    /// is empty then. Everything else is collected as by `invoke`. The call goes on if the reader of
    /// `to` is gone; while there is no room in `to` the function waits, and its time runs.
    async fn stream(&mut self, call: Call, limit: Duration, to: ResponseWriter) -> Answer;

    /// Stops every process of an idle environment where it is: it uses no CPU until
    /// [`Environment::thaw`], or until it is given a call, which thaws it too. Connections stay open.
    /// Costs one write; harmless if repeated.  [Lambda guide: the environment is frozen]
    fn freeze(&mut self);

    /// Lets a frozen environment go on. Costs one write; harmless if repeated.
    fn thaw(&mut self);

    /// Waits until the runtime asks for its next event; `Err` if the environment ended instead. A
    /// runtime may answer and then exit: only one that has asked can be given the next call.
    /// Cancel-safe.
    async fn ready(&mut self) -> Result<(), Exit>;

    /// Returns when the environment ended by itself (its runtime exited while idle). Cancel-safe.
    async fn lost(&mut self) -> Exit;

    /// Waits until the runtime alone asks for its next event; extensions may still be at work.
    /// Otherwise as [`Environment::ready`].
    async fn runtime_ready(&mut self) -> Result<(), Exit> {
        self.ready().await
    }

    /// Whether there are extensions: then the answer to a call is not yet the end of its work.
    fn has_extensions(&self) -> bool {
        false
    }

    /// Ends every process of the environment and gives everything back that it held. Extensions are
    /// told why and get a moment, at most two seconds; without extensions all are killed at once.
    async fn stop_for(self: Box<Self>, reason: StopReason) {
        let _ = reason;
        self.stop().await;
    }

    /// The same after a failure; gives what `/tmp` held, for the next environment of the function, if
    /// the backend can.
    async fn stop_leaving(self: Box<Self>, reason: StopReason) -> Option<LeftTmp> {
        self.stop_for(reason).await;
        None
    }

    /// Kills every process of the environment at once and gives everything back that it held.
    async fn stop(self: Box<Self>);
}

/// How an invocation ended and what it used.
#[derive(Debug, Clone)]
pub struct Answer {
    pub ending: Ending,
    /// From handing over the event to the last byte of the answer.
    pub duration: Duration,
    /// Until the answer began, if the runtime began one.
    pub latency: Option<Duration>,
    /// Peak memory of all processes of the environment so far, whole MiB, if the host can tell.
    pub memory_max_mib: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitReport {
    /// From the start of the runtime process until it asked for its first event.
    pub duration: Duration,
    /// What came before: making the sandbox.
    pub setup: Duration,
    pub origin: Origin,
}

/// What an environment was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was ready.
    New,
    /// A sandbox that had no function yet.
    Ready,
    /// A [`Waiting`] process.
    Waiting,
    /// A [`Snapshot`]: `duration` is that of the restore as the runtime sees it.
    Snapshot,
}

/// What a backend keeps ready for starts to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Sandboxes without a function.
    pub sandboxes: usize,
    /// [`Waiting`] processes.
    pub waiting: usize,
}

/// Where the code of a function lies, inside.
pub const TASK_DIR: &str = "/var/task";

/// What an environment is made of.
#[derive(Clone)]
pub struct EnvironmentSpec {
    /// Unique among environments of this server; also the name of its cgroup. Letters, digits, `-`
    /// and `_`, at most 64.
    pub id: String,
    /// The program inside the environment, first the path. `/var/task/bootstrap` and the like.
    pub argv: Vec<String>,
    /// Where the program starts, inside; an absolute path. [`TASK_DIR`] but for images.
    pub working_dir: String,
    /// The complete environment of the program, except `AWS_LAMBDA_RUNTIME_API` and
    /// `_LAMBDA_TELEMETRY_LOG_FD`, which the backend adds.
    pub env: Vec<(String, String)>,
    /// Read-only directories of the host and where they appear: `/var/task`, `/opt`, `/var/runtime`,
    /// `/var/lang`.
    pub mounts: Vec<Mount>,
    pub memory: Memory,
    pub ephemeral: EphemeralStorage,
    pub network: Network,
    /// A start that may use a process which was started before the function was known; `None` if
    /// the function's own variables or mounts have to be there from the beginning.
    pub waiting: Option<Arc<Waiting>>,
    /// A start that may be the fork of an interpreter which is kept for that: told like
    /// [`waiting`](Self::waiting), but with `_KILN_TEMPLATE_FD` instead of `_KILN_WAIT_FD`, one process
    /// for all functions of the key, outside of their environments, and never a function itself.
    pub template: Option<Arc<Waiting>>,
    /// The start is a fork of this one, which must have been made of an equal spec.
    pub snapshot: Option<Arc<dyn Snapshot>>,
    /// What `/tmp` holds from the beginning. If it cannot be had there `/tmp` is empty.
    pub left: Option<Arc<LeftTmp>>,
    /// Takes what it holds if the init phase fails.
    pub leaves: Leaves,
    /// What the Runtime API gives on request; the backend then adds
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI` and `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub credentials: Option<Arc<Credentials>>,
    /// What runs beside the runtime.
    pub extensions: Extensions,
    /// Longest init phase.
    pub init_limit: Duration,
    /// Where stdout, stderr and the framed log go.
    pub output: Arc<dyn Output>,
}

/// The runtime's own program, started without a function in an environment of its own. It loads
/// what every function needs and then reads the descriptor that `_KILN_WAIT_FD` names: the complete
/// variables of the function as `NAME=value` records that end with NUL, until the end of file. By
/// then all mounts of the spec are there. It becomes one function, once.
///
/// Backends that keep no such processes start the spec's own program; so does one that has none
/// ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// Whose functions may get it: account, runtime, and whatever else differs between processes
    /// of the same program.
    pub key: String,
    /// As in [`EnvironmentSpec`], the same for every function of the key.
    pub argv: Vec<String>,
    /// Without any function's variables. The backend adds `AWS_LAMBDA_RUNTIME_API`,
    /// `_LAMBDA_TELEMETRY_LOG_FD` and `_KILN_WAIT_FD`.
    pub env: Vec<(String, String)>,
    /// Those of the spec's mounts that are there from the beginning.
    pub mounts: Vec<Mount>,
    /// It is forked from the kept interpreter of [`EnvironmentSpec::template`], once there is one, and
    /// not started.
    pub is_fork: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mount {
    pub host: PathBuf,
    pub inside: PathBuf,
}

/// What an environment may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The Runtime API only.
    None,
    /// Also Kiln's own API endpoint.
    Kiln,
    /// What the host reaches.
    Full,
}

/// One line of output, or one framed message of `_LAMBDA_TELEMETRY_LOG_FD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    pub unix_ms: i64,
    /// Without the final newline of a line; a framed message may hold newlines.
    pub message: String,
    /// The line was longer than the limit and its rest was cut.
    pub cut: bool,
    /// Written by an external extension.
    pub is_extension: bool,
}

/// Takes what an environment prints. Must not wait.
pub trait Output: Send + Sync {
    fn line(&self, line: OutputLine);

    /// The init phase is over, well or not, and an extension stands so.
    fn extension(&self, extension: &Extension, unix_ms: i64) {
        let _ = (extension, unix_ms);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime reported that init failed.
    #[error("the runtime reported an init error")]
    InitFailed {
        error: FunctionError,
        took: Duration,
    },
    #[error("the runtime did not ask for work within {waited:?}")]
    InitTimedOut { waited: Duration },
    /// The runtime process ended before it asked for work.
    #[error("the runtime ended during init: {exit:?}")]
    InitExited { exit: Exit, took: Duration },
    /// An external extension could not be started.
    #[error("extension {name} cannot be started: {reason}")]
    ExtensionNotLaunched {
        name: String,
        /// `exec format error`
        reason: String,
        /// `PermissionDenied`, `TooManyExtensions` or `UnknownError`.
        kind: &'static str,
    },
    /// The program does not exist or cannot be executed.
    #[error("{path} cannot be executed: {reason}")]
    BadEntrypoint { path: String, reason: String },
    /// The working directory of the program does not exist or cannot be one.
    #[error("{reason}")]
    BadWorkingDir { reason: String },
    /// What is to be started makes no sense.
    #[error("{reason}")]
    BadTaskConfig { reason: String },
    /// What waited for a function ended before it knew of this one: another start may do.
    #[error("the waiting process ended before it became the function")]
    Unheard,
    #[error("no capacity: {0}")]
    NoCapacity(String),
    #[error("sandbox failed: {0}")]
    Backend(String),
}

/// What a backend does for a function, for `kiln doctor`, `kiln demo` and the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// `ns (root)`, `ns (rootless)`, `process`.
    pub backend: String,
    pub items: Vec<Enforcement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// `memory limit`, `user namespace`, `seccomp` …
    pub what: String,
    pub state: LimitState,
    /// How it is enforced, or why it is not and what would mend it.
    pub detail: String,
}

impl Enforcement {
    /// Without it functions cannot run at all.
    pub fn is_essential(&self) -> bool {
        self.what == crate::ns::report::NAMESPACES
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitState {
    Enforced,
    /// Approximated by something weaker.
    Weakened,
    Missing,
}
