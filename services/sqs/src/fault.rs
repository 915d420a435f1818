use store::StoreError;

/// Why SQS refuses; the text is the one that AWS shows.  [SQS API: common errors]
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error(
        "A queue already exists with the same name and a different value for attribute {attribute}"
    )]
    QueueNameExists { attribute: String },
    #[error("{0}")]
    InvalidAttributeName(String),
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,
    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid(String),
    #[error("There should be at least one {0} in the request.")]
    EmptyBatchRequest(&'static str),
    #[error("Maximum number of entries per request are {max}. You have sent {sent}.")]
    TooManyEntriesInBatchRequest { max: usize, sent: usize },
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    #[error("Batch requests cannot be longer than {max} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong { max: usize, sent: usize },
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    PurgeQueueInProgress(String),
    #[error("{0}")]
    ResourceNotFound(String),
    #[error("Access to the resource {0} is denied.")]
    AccessDenied(String),
    #[error("{0}")]
    OverLimit(String),
    /// Somebody else changed the queue between reading and writing, again and again.
    #[error("the queue is being changed by another request")]
    Overtaken,
    #[error("storage failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict(_) => Fault::Overtaken,
            other => Fault::Store(other),
        }
    }
}

/// What the older protocol says of a queue that is not there.
const NO_QUEUE: &str = "The specified queue does not exist for this wsdl version.";

impl Fault {
    /// A redrive policy is no good.
    pub(crate) fn redrive(policy: &str, reason: &str) -> Fault {
        Fault::InvalidParameterValue(format!(
            "Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}"
        ))
    }

    /// The shape's name, the code that the older protocol has for it, the HTTP status; `None` for
    /// what is no fault of the caller.
    pub(crate) fn codes(&self) -> Option<(&'static str, &'static str, u16)> {
        Some(match self {
            Fault::QueueDoesNotExist => (
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                400,
            ),
            Fault::QueueNameExists { .. } => ("QueueNameExists", "QueueAlreadyExists", 400),
            Fault::InvalidAttributeName(_) => ("InvalidAttributeName", "InvalidAttributeName", 400),
            Fault::InvalidAttributeValue(_) => {
                ("InvalidAttributeValue", "InvalidAttributeValue", 400)
            }
            Fault::InvalidParameterValue(_) => (
                "InvalidParameterValueException",
                "InvalidParameterValue",
                400,
            ),
            Fault::MissingParameter(_) => {
                ("MissingRequiredParameterException", "MissingParameter", 400)
            }
            Fault::InvalidMessageContents => {
                ("InvalidMessageContents", "InvalidMessageContents", 400)
            }
            Fault::ReceiptHandleIsInvalid(_) => {
                ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404)
            }
            Fault::EmptyBatchRequest(_) => (
                "EmptyBatchRequest",
                "AWS.SimpleQueueService.EmptyBatchRequest",
                400,
            ),
            Fault::TooManyEntriesInBatchRequest { .. } => (
                "TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            Fault::InvalidBatchEntryId => (
                "InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                400,
            ),
            Fault::BatchEntryIdsNotDistinct(_) => (
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                400,
            ),
            Fault::BatchRequestTooLong { .. } => (
                "BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
                400,
            ),
            Fault::PurgeQueueInProgress(_) => (
                "PurgeQueueInProgress",
                "AWS.SimpleQueueService.PurgeQueueInProgress",
                403,
            ),
            Fault::ResourceNotFound(_) => (
                "ResourceNotFoundException",
                "ResourceNotFoundException",
                404,
            ),
            Fault::AccessDenied(_) => ("AccessDeniedException", "AccessDenied", 403),
            Fault::OverLimit(_) => ("OverLimit", "OverLimit", 403),
            Fault::Overtaken | Fault::Store(_) => return None,
        })
    }
}

/// What AWS puts before the names of errors in JSON: those of the API's model have another home than those that its
/// framework adds.
fn namespace(shape: &str) -> &'static str {
    match shape {
        "AccessDeniedException"
        | "InvalidParameterValueException"
        | "MissingRequiredParameterException" => "com.amazon.coral.service#",
        _ => "com.amazonaws.sqs#",
    }
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let text = fault.to_string();
        let Some((shape, code, status)) = fault.codes() else {
            return match fault {
                Fault::Store(error) => wire::Fault::internal(format!("{text}: {error}")),
                _ => wire::Fault::internal(text),
            };
        };
        let name = format!("{}{shape}", namespace(shape));
        let refused = wire::Fault::client(name, status, text).query_code(code);
        match fault {
            Fault::QueueDoesNotExist => refused.query_message(NO_QUEUE),
            _ => refused,
        }
    }
}
