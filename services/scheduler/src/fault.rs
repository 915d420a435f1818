use model::ports::NotPosted;
use store::StoreError;

/// Why EventBridge Scheduler refuses; the text is the one that AWS shows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Validation(String),
    #[error("{0} does not exist.")]
    NotFound(String),
    #[error("{0} already exists.")]
    Exists(String),
    #[error("{0}")]
    Quota(String),
    /// Somebody else changed it between reading and writing, again and again.
    #[error("The schedule is being changed by another request.")]
    Overtaken,
    #[error("Kiln has not built {0} yet; docs/coverage.md lists what it has")]
    NotBuilt(String),
    #[error("storage failed: {0}")]
    Store(#[source] StoreError),
    #[error("{0}")]
    NotPosted(#[source] NotPosted),
}

impl Fault {
    pub(crate) fn no_schedule(name: &str) -> Fault {
        Fault::NotFound(format!("Schedule {name}"))
    }

    pub(crate) fn no_group(name: &str) -> Fault {
        Fault::NotFound(format!("Schedule group {name}"))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict(_) => Fault::Overtaken,
            other => Fault::Store(other),
        }
    }
}

impl From<wire::Violated> for Fault {
    fn from(violated: wire::Violated) -> Fault {
        Fault::Validation(violated.0)
    }
}

impl From<NotPosted> for Fault {
    fn from(error: NotPosted) -> Fault {
        Fault::NotPosted(error)
    }
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let text = fault.to_string();
        let (code, status) = match fault {
            Fault::Validation(_) => ("ValidationException", 400),
            Fault::NotFound(_) => ("ResourceNotFoundException", 404),
            Fault::Exists(_) | Fault::Overtaken => ("ConflictException", 409),
            Fault::Quota(_) => ("ServiceQuotaExceededException", 402),
            Fault::NotBuilt(_) => {
                return wire::Fault::server("NotImplementedException", 501, text);
            }
            Fault::Store(_) | Fault::NotPosted(_) => return wire::Fault::internal(text),
        };
        wire::Fault::client(code, status, text)
    }
}
