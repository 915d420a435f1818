use model::ports::NotPosted;
use store::StoreError;

/// Why EventBridge refuses; the text is the one that AWS shows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Exists(String),
    #[error("The requested resource exceeds the maximum number allowed.")]
    Limit,
    #[error("Event pattern is not valid. Reason: {0}")]
    Pattern(String),
    #[error("{0}")]
    Status(String),
    /// It goes with its archive.
    #[error("Rule {0} is managed by an AWS service and can't be changed directly.")]
    Managed(String),
    #[error("Policy length exceeds the maximum allowed.")]
    PolicyLength,
    /// Somebody else changed it between reading and writing, again and again.
    #[error("There is concurrent modification on a rule, target, archive, or replay.")]
    Overtaken,
    #[error("Kiln has not built {0} yet; docs/coverage.md lists what it has")]
    NotBuilt(String),
    #[error("storage failed: {0}")]
    Store(#[source] StoreError),
    #[error("{0}")]
    NotPosted(#[source] NotPosted),
}

impl Fault {
    pub(crate) fn no_bus(name: &str) -> Fault {
        Fault::NotFound(format!("Event bus {name} does not exist."))
    }

    pub(crate) fn no_connection(name: &str) -> Fault {
        Fault::NotFound(format!("Connection '{name}' does not exist."))
    }

    pub(crate) fn no_rule(name: &str, bus: &str) -> Fault {
        Fault::NotFound(format!("Rule {name} does not exist on EventBus {bus}."))
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
        let code = match fault {
            Fault::Validation(_) => "ValidationException",
            Fault::NotFound(_) => "ResourceNotFoundException",
            Fault::Exists(_) => "ResourceAlreadyExistsException",
            Fault::Limit => "LimitExceededException",
            Fault::Pattern(_) => "InvalidEventPatternException",
            Fault::Status(_) => "IllegalStatusException",
            Fault::Managed(_) => "ManagedRuleException",
            Fault::PolicyLength => "PolicyLengthExceededException",
            Fault::Overtaken => "ConcurrentModificationException",
            Fault::NotBuilt(_) => {
                return wire::Fault::server("NotImplementedException", 501, text);
            }
            Fault::Store(_) | Fault::NotPosted(_) => return wire::Fault::internal(text),
        };
        wire::Fault::client(code, 400, text)
    }
}
