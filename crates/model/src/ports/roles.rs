//! What roles may do.

use async_trait::async_trait;

use crate::RoleArn;

/// The question could not be answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the policies of the role cannot be read: {0}")]
pub struct PoliciesUnread(pub String);

/// Knows the policies of roles. `iam` implements it.
#[async_trait]
pub trait Roles: Send + Sync {
    /// Whether the policies of the role let it do `action` (`sqs:SendMessage`) to `resource`. A role that does
    /// not exist may do nothing.
    async fn may(
        &self,
        role: &RoleArn,
        action: &str,
        resource: &str,
    ) -> Result<bool, PoliciesUnread>;
}
