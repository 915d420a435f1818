use store::StoreError;

use crate::{CodeError, LayerError};

/// A name that leads to nothing that could run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Carries the qualifier if the caller gave one.
    #[error("Function not found: {arn}")]
    NotFound { arn: String },
}

/// Why the truth about functions was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotFound(#[from] ResolveError),
    #[error("Function already exist: {name}")]
    Exists { name: String },
    /// Another update of the function has not settled.
    #[error("an update is in progress for {arn}")]
    UpdateInProgress { arn: String },
    /// The function has not become active yet, or failed.
    #[error("{arn} is {state}")]
    NotReady { arn: String, state: &'static str },
    #[error("the revision id differs from the latest one")]
    RevisionDiffers,
    #[error("CodeSHA256 ({given}) is different from {current}")]
    CodeSha256Differs { given: String, current: String },
    #[error("{reserved} reserved are fewer than {provisioned} provisioned")]
    ReservedBelowProvisioned { reserved: u32, provisioned: u32 },
    /// A version that an alias points to cannot go.
    #[error("version is used by aliases {aliases:?}")]
    UsedByAliases { aliases: Vec<String> },
    #[error("alias exists: {arn}")]
    AliasExists { arn: String },
    #[error("alias not found: {arn}")]
    AliasNotFound { arn: String },
    /// Provisioned concurrency of an alias and of the version that it points to.
    #[error("the version has provisioned concurrency of its own")]
    VersionProvisioned,
    #[error("an alias with provisioned concurrency points to the version")]
    AliasProvisioned,
    #[error("the policy has a statement {id}")]
    StatementExists { id: String },
    #[error("the policy has no statement {id}")]
    NoSuchStatement { id: String },
    #[error("there is no policy")]
    NoPolicy,
    #[error("the revision id differs from that of the policy")]
    PolicyRevisionDiffers,
    #[error("a policy of {size} bytes is over the limit of {max}")]
    PolicyTooLong { size: usize, max: usize },
    #[error("layer version {arn} does not exist")]
    NoSuchLayerVersion { arn: String },
    /// Another mapping brings the same source to the same function.
    #[error("the mapping {uuid} reads the same")]
    MappingExists { uuid: String },
    #[error("there is no such mapping")]
    NoSuchMapping,
    /// An earlier change of the mapping still shows.
    #[error("the mapping is being changed")]
    MappingBusy,
    #[error("there are {max} mappings already")]
    TooManyMappings { max: usize },
    #[error(transparent)]
    Layers(#[from] LayerError),
    #[error("more than {max} tags")]
    TooManyTags { max: usize },
    /// The change makes no sense for the function as it is; the text is for its caller.
    #[error("{0}")]
    Refused(String),
    #[error("the code cannot be used")]
    Code(#[from] CodeError),
    #[error("storage failed")]
    Store(#[from] StoreError),
    /// The process is going down.
    #[error("shutting down")]
    ShuttingDown,
}
