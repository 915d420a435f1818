use model::ports::NotPosted;
use store::StoreError;

/// Why SNS refuses; the text is the one that AWS shows.  [SNS API: common errors]
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// Of the operations on tags.
    #[error("Resource does not exist")]
    ResourceNotFound,
    #[error("Invalid parameter: {0}")]
    InvalidParameter(String),
    /// An invalid parameter whose text has no beginning in common with the others.
    #[error("{0}")]
    InvalidText(String),
    #[error("{0}")]
    ParameterValueInvalid(String),
    #[error("{0}")]
    Validation(String),
    #[error("The batch request contains more entries than permissible.")]
    TooManyEntries,
    #[error("The batch request doesn't contain any entries.")]
    EmptyBatch,
    #[error("Two or more batch entries in the request have the same Id.")]
    IdsNotDistinct,
    #[error("The Id of a batch entry in the batch request {0}")]
    InvalidEntryId(String),
    #[error("The length of all the messages put together is more than the limit.")]
    BatchTooLong,
    #[error("{0}")]
    Authorization(String),
    #[error("Could not complete request: tag quota of per resource exceeded")]
    TooManyTags,
    #[error("Subscription limit exceeded")]
    TooManySubscriptions,
    #[error("Filter policy limit exceeded")]
    TooManyFilters,
    #[error("Endpoint limit exceeded")]
    TooManyEndpoints,
    #[error("Endpoint is disabled")]
    EndpointDisabled,
    #[error("Platform application is disabled")]
    ApplicationDisabled,
    /// Somebody else changed the topic between reading and writing, again and again.
    #[error(
        "A tag or topic attribute was changed by another request at the same time. Try again later."
    )]
    Overtaken,
    #[error("Kiln has not built {0} yet; docs/coverage.md lists what it has")]
    NotBuilt(&'static str),
    #[error("storage failed")]
    Store(#[source] StoreError),
    #[error(transparent)]
    NotPosted(#[from] NotPosted),
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict(_) => Fault::Overtaken,
            other => Fault::Store(other),
        }
    }
}

impl Fault {
    /// `Invalid parameter: TopicArn`, with a reason where AWS gives one.
    pub(crate) fn parameter(text: impl Into<String>) -> Fault {
        Fault::InvalidParameter(text.into())
    }

    pub(crate) fn missing(member: &str) -> Fault {
        Fault::InvalidParameter(format!("{member} Reason: no value for required parameter"))
    }

    pub(crate) fn no_topic() -> Fault {
        Fault::NotFound("Topic")
    }

    pub(crate) fn no_subscription() -> Fault {
        Fault::NotFound("Subscription")
    }

    /// Of an attribute that comes with a creation: AWS names the member it came in.
    pub(crate) fn in_attributes(self) -> Fault {
        match self {
            Fault::InvalidParameter(text) => {
                Fault::InvalidParameter(format!("Attributes Reason: {text}"))
            }
            other => other,
        }
    }
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let text = fault.to_string();
        let (code, status) = match fault {
            Fault::NotFound(_) => ("NotFound", 404),
            Fault::ResourceNotFound => ("ResourceNotFound", 404),
            Fault::InvalidParameter(_) | Fault::InvalidText(_) => ("InvalidParameter", 400),
            Fault::ParameterValueInvalid(_) => ("ParameterValueInvalid", 400),
            Fault::Validation(text) => return wire::Fault::invalid(text),
            Fault::TooManyEntries => ("TooManyEntriesInBatchRequest", 400),
            Fault::EmptyBatch => ("EmptyBatchRequest", 400),
            Fault::IdsNotDistinct => ("BatchEntryIdsNotDistinct", 400),
            Fault::InvalidEntryId(_) => ("InvalidBatchEntryId", 400),
            Fault::BatchTooLong => ("BatchRequestTooLong", 400),
            Fault::Authorization(_) => ("AuthorizationError", 403),
            Fault::TooManyTags => ("TagLimitExceeded", 400),
            Fault::TooManySubscriptions => ("SubscriptionLimitExceeded", 403),
            Fault::TooManyFilters => ("FilterPolicyLimitExceeded", 403),
            Fault::TooManyEndpoints => ("InvalidParameter", 400),
            Fault::EndpointDisabled => ("EndpointDisabled", 400),
            Fault::ApplicationDisabled => ("PlatformApplicationDisabled", 400),
            Fault::Overtaken => ("ConcurrentAccess", 400),
            Fault::NotBuilt(_) => return wire::Fault::server("NotImplementedException", 501, text),
            Fault::Store(error) => return wire::Fault::internal(format!("{text}: {error}")),
            Fault::NotPosted(_) | Fault::Internal(_) => return wire::Fault::internal(text),
        };
        wire::Fault::client(code, status, text)
    }
}
