use std::fmt;
use std::path::Path;
use std::sync::Arc;

use model::{FunctionRef, Version};
use tasks::Time;

use crate::{Code, Config, Layers};

/// One version of a function as it runs. Immutable; a change makes another one.
#[derive(Debug)]
pub struct Deployed {
    /// Without qualifier.
    pub function: FunctionRef,
    pub version: Version,
    /// A UUID that changes with every change, also of the state.  [Lambda API: RevisionId]
    pub revision: String,
    /// The revision that it will have when it has settled, the only one that is on disk.
    pub(crate) revision_settled: String,
    /// Unique in this process for each distinct state of code and configuration: environments of one
    /// generation are interchangeable, those of two never are.
    pub generation: u64,
    pub config: Arc<Config>,
    pub code: Arc<Code>,
    /// What the configuration names by ARN, with its content.
    pub layers: Arc<Layers>,
    pub state: State,
    /// `None` until the function became active for the first time.
    pub last_update: Option<LastUpdate>,
    pub last_modified: Time,
    pub optimization: Optimization,
}

/// Whether environments of a version are restored from a snapshot.  [Lambda API: OptimizationStatus]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Optimization {
    On,
    #[default]
    Off,
}

/// [Lambda API: State]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Being made ready for the first time.
    Pending,
    Active,
    /// Not called for long: the next call is refused and makes it active again.
    Inactive,
    Failed(Failure),
}

/// Why a version cannot run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// `InternalError`, `FunctionError.InitTimeout` …  [Lambda API: StateReasonCode]
    pub code: String,
    pub reason: String,
}

impl State {
    pub fn as_str(&self) -> &'static str {
        match self {
            State::Pending => "Pending",
            State::Active => "Active",
            State::Inactive => "Inactive",
            State::Failed(_) => "Failed",
        }
    }
}

/// [Lambda API: LastUpdateStatus]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastUpdate {
    /// The previous code and configuration still run.
    InProgress,
    Successful,
}

impl Deployed {
    /// The unpacked code, to be seen as `/var/task`. `None` for container images.
    ///
    /// The directory stays on disk as long as this value or any other of the same code lives.
    pub fn code_dir(&self) -> Option<&Path> {
        self.code.dir()
    }

    /// The merged layers, to be seen as `/opt`; `None` without layers. Stays as [`Deployed::code_dir`].
    pub fn opt_dir(&self) -> Option<&Path> {
        self.layers.dir()
    }

    /// The ARN with the version: `…:function:f:$LATEST`.
    pub fn qualified_arn(&self) -> String {
        format!("{}:{}", self.function.unqualified_arn(), self.version)
    }

    /// The same under another revision.
    pub(crate) fn revised(&self, revision: String) -> Deployed {
        Deployed {
            function: self.function.clone(),
            version: self.version,
            revision: revision.clone(),
            revision_settled: revision,
            generation: self.generation,
            config: self.config.clone(),
            code: self.code.clone(),
            layers: self.layers.clone(),
            state: self.state.clone(),
            last_update: self.last_update,
            last_modified: self.last_modified,
            optimization: self.optimization,
        }
    }

    /// The same while nobody calls it.
    pub(crate) fn inactive(&self) -> Deployed {
        Deployed {
            state: State::Inactive,
            ..self.revised(self.revision.clone())
        }
    }

    pub(crate) fn in_state(&self, state: State) -> Deployed {
        Deployed {
            state,
            last_update: None,
            ..self.revised(self.revision_settled.clone())
        }
    }

    /// The same after it has settled.
    pub(crate) fn settled(&self) -> Deployed {
        Deployed {
            state: State::Active,
            last_update: Some(LastUpdate::Successful),
            ..self.revised(self.revision_settled.clone())
        }
    }

    /// The same after its init phase has run.
    pub(crate) fn prepared(&self, optimization: Optimization) -> Deployed {
        Deployed {
            optimization,
            ..self.settled()
        }
    }

    /// Whether an update of it is being made ready.
    pub fn is_updating(&self) -> bool {
        self.last_update == Some(LastUpdate::InProgress)
    }
}

/// The ARN with the version.
impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified_arn())
    }
}
