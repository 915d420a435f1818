use store::StoreError;

use crate::document::Malformed;

/// Why IAM refuses; the text is the one that AWS shows.  [IAM API: common errors]
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    NoSuchEntity(String),
    #[error("{0}")]
    EntityAlreadyExists(String),
    #[error(transparent)]
    MalformedPolicyDocument(#[from] Malformed),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    InvalidInput(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("{0}")]
    DeleteConflict(String),
    #[error("{0}")]
    AccessDenied(String),
    /// A part of a built operation that Kiln lacks; better refused than forgotten.
    #[error("Kiln has not built {0} yet; docs/coverage.md lists what it has")]
    NotBuilt(&'static str),
    /// Somebody else changed the entity between reading and writing, again and again.
    #[error(
        "The request was rejected because multiple requests to change this object were submitted simultaneously."
    )]
    ConcurrentModification,
    #[error("storage failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Conflict(_) => Fault::ConcurrentModification,
            other => Fault::Store(other),
        }
    }
}

impl Fault {
    pub(crate) fn no_role(name: &str) -> Fault {
        Fault::NoSuchEntity(format!("The role with name {name} cannot be found."))
    }

    pub(crate) fn no_user(name: &str) -> Fault {
        Fault::NoSuchEntity(format!("The user with name {name} cannot be found."))
    }

    pub(crate) fn no_policy(arn: &str) -> Fault {
        Fault::NoSuchEntity(format!("Policy {arn} was not found."))
    }

    pub(crate) fn not_attachable(arn: &str) -> Fault {
        Fault::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."))
    }

    pub(crate) fn over_quota(quota: &str, max: usize) -> Fault {
        Fault::LimitExceeded(format!("Cannot exceed quota for {quota}: {max}"))
    }

    /// One broken constraint of a member, in the words of the common validator.
    pub(crate) fn constraint(member: &str, value: &str, constraint: &str) -> Fault {
        Fault::Validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy \
             constraint: {constraint}"
        ))
    }
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> wire::Fault {
        let text = fault.to_string();
        let (code, status) = match &fault {
            Fault::NoSuchEntity(_) => ("NoSuchEntity", 404),
            Fault::EntityAlreadyExists(_) => ("EntityAlreadyExists", 409),
            Fault::MalformedPolicyDocument(_) => ("MalformedPolicyDocument", 400),
            Fault::Validation(_) => ("ValidationError", 400),
            Fault::InvalidInput(_) => ("InvalidInput", 400),
            Fault::LimitExceeded(_) => ("LimitExceeded", 409),
            Fault::DeleteConflict(_) => ("DeleteConflict", 409),
            Fault::AccessDenied(_) => ("AccessDenied", 403),
            Fault::ConcurrentModification => ("ConcurrentModification", 409),
            Fault::NotBuilt(_) => return wire::Fault::server("NotImplementedException", 501, text),
            Fault::Store(error) => return wire::Fault::internal(format!("iam: {error}")),
        };
        wire::Fault::client(code, status, text)
    }
}
