use std::io;

use store::StoreError;

/// Why CloudWatch Logs refuses; the text is the one that AWS shows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("The specified log group does not exist.")]
    NoGroup,
    #[error("The specified log stream does not exist.")]
    NoStream,
    #[error("The specified log group already exists")]
    GroupExists,
    #[error("The specified log stream already exists")]
    StreamExists,
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    TooManyTags(String),
    #[error("Cannot delete a log group with deletion protection enabled.")]
    Protected,
    #[error("The specified resource was changed by another request. Please try again.")]
    Aborted,
    #[error("storage failed: {0}")]
    Store(#[source] StoreError),
    #[error("storage failed: {0}")]
    Io(#[source] io::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict(_) => Fault::Aborted,
            other => Fault::Store(other),
        }
    }
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let code = match &fault {
            Fault::NoGroup | Fault::NoStream => "ResourceNotFoundException",
            Fault::GroupExists | Fault::StreamExists => "ResourceAlreadyExistsException",
            Fault::Invalid(_) => "InvalidParameterException",
            Fault::Validation(_) | Fault::Protected => "ValidationException",
            Fault::TooManyTags(_) => "TooManyTagsException",
            Fault::Aborted => "OperationAbortedException",
            Fault::Store(_) | Fault::Io(_) => {
                return wire::Fault::server(
                    "ServiceUnavailableException",
                    500,
                    "The service cannot complete the request.",
                )
                .detail(fault.to_string());
            }
        };
        wire::Fault::client(code, 400, fault.to_string())
    }
}
