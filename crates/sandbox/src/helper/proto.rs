//! What the server, the helper and the first process of an environment say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Server to helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Make a sandbox without a function. With three descriptors: the writing ends of the text and
    /// framed pipes and the socket between the server and the first process.
    Prepare {
        id: String,
        reach: Reach,
        like: Like,
    },
    /// Bring what the next [`ToInit`] of this sandbox needs; may be sent right after `Prepare`.
    Furnish(Furnish),
    /// Kill, reap, remove the cgroup, then say [`Event::Gone`].
    Stop { id: String },
}

/// What a sandbox is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Like {
    /// Any function.
    Any,
    /// A function whose initialised runtime is kept to be forked.
    Snapshot,
    /// A fork of the snapshot with this id.
    ForkOf(String),
}

/// Helper to the first process of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToKeeper {
    /// Make a sandbox for a fork. With the descriptors of [`Request::Prepare`], the socket to the helper
    /// and files that move a process into its cgroups.
    Nest { id: String, reach: Reach },
}

/// And back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromKeeper {
    /// With its pidfd.
    Nested {
        id: String,
    },
    NotNested {
        id: String,
        reason: String,
    },
}

/// What the helper alone can bring into a sandbox: mounts of the host and limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Furnish {
    pub(crate) id: String,
    /// Directory of the host, path inside.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
    pub(crate) memory_bytes: u64,
    /// As much more, for what `/tmp` holds from the beginning.
    pub(crate) tmp_room_bytes: u64,
    /// Or it only waits for one, whose limit may be another.
    pub(crate) is_function: bool,
    /// An interpreter that the function may be forked from.
    pub(crate) template: Option<Box<Keep>>,
}

/// An interpreter to be kept for forks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keep {
    /// Whose functions may be forks of it.
    pub(crate) key: String,
    pub(crate) program: Program,
    /// Directory of the host, path inside.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
}

impl Keep {
    /// Tells one kind of interpreter from all others.
    pub(crate) fn kind(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Helper to the first process, after the word that says that the id maps are written: a list of paths,
/// each with a clone of a mount.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Furniture {
    /// With one clone of a mount for each path inside.
    Mounts {
        inside: Vec<String>,
        /// Where no cgroup limits memory: the most that one process may allocate.
        data_bytes_max: Option<u64>,
        /// An interpreter takes the order to fork. Then its socket follows, and the cgroups to enter.
        template: Option<Offered>,
    },
    /// A mount or limit is not to be had.
    Failed { step: String, errno: i32 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// The first of the cgroups is one of version 2, to be born in.
    pub(crate) has_cgroup: bool,
}

/// Server to the first process: what becomes of the sandbox now. Each goes with a [`Furnish`]; one that
/// makes it a function may come with a pipe that brings what `/tmp` holds from the beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// Becomes the function by starting its program.
    Run {
        tmp_bytes: u64,
        program: Program,
        /// Started before it, which then waits for [`ToInit::Go`].
        neighbours: Option<Neighbours>,
    },
    /// Every extension has registered: start the program. The only word without a [`Furnish`].
    Go,
    /// Starts a program that waits for the function's variables on [`WAIT_FD`].
    Wait { program: Program },
    /// Becomes the function by a fork of the snapshot that it was made below.
    Restore { tmp_bytes: u64 },
    /// Has an interpreter forked, which waits for the function's variables. There must be one.
    WaitAsFork,
    /// Becomes the function by handing these to the waiting program.
    HandOver { tmp_bytes: u64, env: Vec<String> },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    /// Where it starts.
    pub(crate) working_dir: String,
    /// `NAME=value`
    pub(crate) env: Vec<String>,
}

/// The external extensions of a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Neighbours {
    /// Files of `/opt/extensions`.
    pub(crate) names: Vec<String>,
    /// `NAME=value`
    pub(crate) env: Vec<String>,
}

/// What an environment reaches besides the Runtime API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Kiln's own endpoint.
    pub(crate) kiln: bool,
    /// What the host reaches.
    pub(crate) full: bool,
}

/// Helper to server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// First of all.
    Hello(Hello),
    /// With one descriptor: the pidfd of the environment's first process.
    Prepared {
        id: String,
        pid: u32,
    },
    NotPrepared {
        id: String,
        reason: String,
    },
    Gone {
        id: String,
    },
    /// An interpreter can be forked from now on, or no longer. It is named by all of its [`Keep`].
    Interpreter {
        kind: String,
        is_ready: bool,
    },
}

/// What the helper found and can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Why no environment can be made at all.
    pub(crate) problem: Option<String>,
    pub(crate) rootless: bool,
    pub(crate) cgroups: Cgroups,
    /// Why a controller is missing, if one is.
    pub(crate) cgroup_notes: Vec<String>,
    /// 0 if the kernel has none.
    pub(crate) landlock_abi: u8,
    /// Whether an environment can have the full network.
    pub(crate) full_network: bool,
}

/// Where the cgroups of this run are; an environment's is a directory named by its id in each.
/// With version 2 the three are the same place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    /// 1, 2 or 0 for none.
    pub(crate) version: u8,
    pub(crate) memory: Option<PathBuf>,
    pub(crate) cpu: Option<PathBuf>,
    pub(crate) pids: Option<PathBuf>,
    /// A group of version 2, also beside controllers of version 1: there environments are frozen.
    #[serde(default)]
    pub(crate) freezer: Option<PathBuf>,
}

impl Cgroups {
    /// Each directory once.
    pub(crate) fn directories(&self) -> Vec<&PathBuf> {
        let mut all: Vec<_> = [&self.memory, &self.cpu, &self.pids, &self.freezer]
            .into_iter()
            .flatten()
            .collect();
        all.dedup();
        all
    }
}

/// First process of an environment to server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The sandbox is made. With the mount of `/tmp`, the listener of the Runtime API, that of
    /// Kiln's endpoint if the environment reaches it, and if it reaches all: the listener to which
    /// outgoing connections come and the socket to which name lookups come.
    Prepared,
    /// The program of [`ToInit::Wait`] was started.
    Waiting,
    /// The function's program was started, or the waiting one has got the function's variables.
    Started,
    /// An interpreter was not forked, and why; the program is started instead.
    NotForked { step: String, errno: i32 },
    /// `/tmp` is empty, and why it does not hold what was brought.
    TmpNotKept { errno: i32 },
    /// The runtime is initialised and kept, or why it cannot be forked.
    Kept { problem: Option<String> },
    /// Making the environment failed at this step.
    Failed { step: String, errno: i32 },
    /// The program could not be executed.
    BadEntrypoint { errno: i32 },
    /// The program's working directory could not be entered.
    BadWorkingDir { path: String, errno: i32 },
    /// The runtime ended.
    Exited { code: Option<i32>, signal: i32 },
    /// A waiting program ended before it had read the variables of the function that it was to
    /// become.
    Unheard,
    /// The extensions run and the program waits for [`ToInit::Go`]. With the reading end of what
    /// they write, and for each a socket that can be connected inside.
    Beside,
    /// The program of an extension could not be executed.
    ExtensionNotLaunched { name: String, errno: i32 },
    /// The process of an extension ended.
    ExtensionExited {
        name: String,
        code: Option<i32>,
        signal: i32,
    },
}

/// The environment's own address for the Runtime API.  [observed on AWS]
pub(crate) const LINK_LOCAL: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 100, 1);
pub(crate) const RUNTIME_API_PORT: u16 = 9001;
/// Kiln's endpoint as seen from inside.
pub(crate) const KILN_PORT: u16 = 4566;
/// The descriptor of the framed log inside.
pub(crate) const FRAMED_FD: i32 = 3;
/// The descriptor by which the runtime of a snapshot is told to fork.
pub(crate) const SNAPSHOT_FD: i32 = 5;
/// The descriptor on which a waiting program gets its function's variables.
pub(crate) const WAIT_FD: i32 = 4;
