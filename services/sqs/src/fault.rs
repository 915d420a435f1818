use store::StoreError;

/// Why SQS refuses; the text is the one that AWS shows.  [SQS API: common errors]
#[derive(Debug, thiserror::Error)]
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

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let text = fault.to_string();
        // The shape's name, and the code that the older protocol had for it.
        let (shape, code) = match fault {
            Fault::QueueDoesNotExist => (
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
            ),
            Fault::QueueNameExists { .. } => ("QueueNameExists", "QueueAlreadyExists"),
            Fault::InvalidAttributeName(_) => ("InvalidAttributeName", "InvalidAttributeName"),
            Fault::InvalidAttributeValue(_) => ("InvalidAttributeValue", "InvalidAttributeValue"),
            Fault::InvalidParameterValue(_) => {
                ("InvalidParameterValueException", "InvalidParameterValue")
            }
            Fault::OverLimit(_) => ("OverLimit", "OverLimit"),
            Fault::Overtaken => return wire::Fault::internal(text),
            Fault::Store(error) => return wire::Fault::internal(format!("{text}: {error}")),
        };
        wire::Fault::client(shape, 400, text)
            .with_header("x-amzn-query-error", &format!("{code};Sender"))
    }
}
