//! What is stored. One record holds everything that changes together with a role or a policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Record;

pub(crate) type Tags = Vec<(String, String)>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    /// Microseconds since the epoch, as all times here.
    pub(crate) created: i64,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_secs: u32,
    pub(crate) boundary: Option<String>,
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs, in the order in which they were attached.
    pub(crate) attached: Vec<String>,
    pub(crate) tags: Tags,
}

impl Record for Role {
    const KIND: &'static str = "role";
    const VERSION: u8 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) description: Option<String>,
    pub(crate) default: u32,
    /// Highest number ever given; a deleted version's number is not used again.
    pub(crate) last: u32,
    pub(crate) versions: Vec<PolicyVersion>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PolicyVersion {
    pub(crate) number: u32,
    pub(crate) created: i64,
    pub(crate) document: String,
}

impl Record for Policy {
    const KIND: &'static str = "policy";
    const VERSION: u8 = 1;
}

/// That a role uses a policy; found by the policy's ARN. Written in one transaction with the role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Use {
    pub(crate) role: String,
    pub(crate) role_id: String,
    pub(crate) role_path: String,
}

impl Record for Use {
    const KIND: &'static str = "use";
    const VERSION: u8 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) tags: Tags,
}

impl Record for User {
    const KIND: &'static str = "user";
    const VERSION: u8 = 1;
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) user: String,
    pub(crate) user_id: String,
    pub(crate) user_arn: String,
    pub(crate) secret: String,
    pub(crate) is_active: bool,
    pub(crate) created: i64,
}

impl Record for AccessKey {
    const KIND: &'static str = "access-key";
    const VERSION: u8 = 1;
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
