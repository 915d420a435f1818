use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use store::{Expect, Op, Row, Space, Store, Table};
use tasks::{Clock, Ids, Tasks};
use wire::access::{Credential, Credentials, Principal, Secret};

use crate::fault::Fault;
use crate::record::{AccessKey, Policy, Role, Use, User};

const SPACE: Space = Space("iam");

/// How often a change is tried again that another writer overtook.
const ATTEMPTS_MAX: usize = 16;

/// Entities of one kind that are read for one answer; more do not exist, see the quotas.
const LIST_MAX: usize = 5_000;

/// The stored roles, policies and users of all accounts.
pub struct Engine {
    pub(crate) roles: Table<Role>,
    pub(crate) policies: Table<Policy>,
    pub(crate) uses: Table<Use>,
    pub(crate) users: Table<User>,
    pub(crate) keys: Table<AccessKey>,
    /// All access keys by their id, so that checking a signature reads no store.
    known: Mutex<BTreeMap<String, AccessKey>>,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
}

/// The ways in which a role uses a managed policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Usage {
    Permissions,
    Boundary,
}

impl Usage {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Usage::Permissions => "permissions",
            Usage::Boundary => "boundary",
        }
    }
}

impl Engine {
    /// Opens the tables and reads the access keys into memory.
    ///
    /// # Errors
    /// Fails if the store does.
    pub async fn open(store: &Store, tasks: &Tasks) -> Result<Engine, store::StoreError> {
        let keys: Table<AccessKey> = Table::new(store, SPACE);
        let known = keys.all(&[]).await?;
        Ok(Engine {
            roles: Table::new(store, SPACE),
            policies: Table::new(store, SPACE),
            uses: Table::new(store, SPACE),
            users: Table::new(store, SPACE),
            keys,
            known: Mutex::new(
                known
                    .into_iter()
                    .map(|row| (row.value.id.clone(), row.value))
                    .collect(),
            ),
            clock: tasks.clock().clone(),
            ids: tasks.ids().clone(),
        })
    }

    /// The account and the secret behind an active access key; from memory.
    pub fn secret_of(&self, access_key: &str) -> Option<(String, String)> {
        self.known_key(access_key)
            .filter(|key| key.is_active)
            .map(|key| (key.account, key.secret))
    }

    pub(crate) fn known_key(&self, access_key: &str) -> Option<AccessKey> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(access_key)
            .cloned()
    }

    pub(crate) fn remember_key(&self, key: AccessKey) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.id.clone(), key);
    }

    pub(crate) fn forget_key(&self, id: &str) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().unix_micros()
    }

    /// A unique id such as `AROA…`: the prefix and 17 letters.  [IAM guide: unique identifiers]
    pub(crate) fn unique_id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.ids.upper_alphanumeric(17))
    }

    pub(crate) async fn role(&self, account: &str, name: &str) -> Result<Row<Role>, Fault> {
        self.roles
            .get(&[account, &folded(name)])
            .await?
            .ok_or_else(|| Fault::no_role(name))
    }

    pub(crate) async fn all_roles(&self, account: &str) -> Result<Vec<Role>, Fault> {
        let rows = self.roles.scan(&[account], None, LIST_MAX).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub(crate) async fn all_policies(&self, account: &str) -> Result<Vec<Policy>, Fault> {
        let rows = self.policies.scan(&[account], None, LIST_MAX).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub(crate) async fn all_users(&self, account: &str) -> Result<Vec<User>, Fault> {
        let rows = self.users.scan(&[account], None, LIST_MAX).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    /// The roles of the account that use the policy.
    pub(crate) async fn uses_of(
        &self,
        account: &str,
        policy_arn: &str,
        usage: Usage,
    ) -> Result<Vec<Use>, Fault> {
        let rows = self
            .uses
            .scan(&[account, policy_arn, usage.key()], None, LIST_MAX)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub(crate) fn use_op(
        &self,
        account: &str,
        policy_arn: &str,
        usage: Usage,
        role: &Role,
    ) -> Result<Op, Fault> {
        let entry = Use {
            role: role.name.clone(),
            role_id: role.id.clone(),
            role_path: role.path.clone(),
        };
        let parts = [account, policy_arn, usage.key(), &folded(&role.name)];
        Ok(self.uses.put_op(&parts, &entry, Expect::Any)?)
    }

    pub(crate) fn unuse_op(
        &self,
        account: &str,
        policy_arn: &str,
        usage: Usage,
        role: &Role,
    ) -> Op {
        let parts = [account, policy_arn, usage.key(), &folded(&role.name)];
        self.uses.delete_op(&parts, Expect::Any)
    }

    /// Reads the role, lets `change` alter it and writes it back, again if another writer was faster.
    /// `change` may be called several times.
    pub(crate) async fn change_role(
        &self,
        account: &str,
        name: &str,
        change: impl Fn(&mut Role) -> Result<(), Fault> + Send + Sync,
    ) -> Result<Role, Fault> {
        let change = &change;
        again(|| async move {
            let mut row = self.role(account, name).await?;
            change(&mut row.value)?;
            self.roles
                .put(&[account, &folded(name)], &row.value, Expect::At(row.rev))
                .await?;
            Ok(row.value)
        })
        .await
    }
}

impl Credentials for Engine {
    fn find(&self, access_key: &str) -> Option<Credential> {
        let key = self.known_key(access_key).filter(|key| key.is_active)?;
        Some(Credential {
            secret: Secret::new(key.secret),
            account: key.account,
            principal: Some(Principal {
                arn: key.user_arn,
                user_id: key.user_id,
            }),
            session_token: None,
            expires_unix_ms: None,
        })
    }
}

/// Tries a step again as long as another writer overtakes it.
pub(crate) async fn again<T, F>(step: impl Fn() -> F + Send) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>> + Send,
{
    for _ in 1..ATTEMPTS_MAX {
        match step().await {
            Err(Fault::ConcurrentModification) => {}
            done => return done,
        }
    }
    step().await
}

/// Names are compared without case.  [IAM guide: names are unique without distinguishing case]
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
