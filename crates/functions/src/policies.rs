use std::sync::Arc;

use model::policy::Verdict;
use model::{FunctionRef, Qualifier};
use serde_json::{Map, Value, json};
use store::{Expect, Op, StoreError};

use crate::functions::not_found;
use crate::index::{Entry, Key};
use crate::records::{PolicyRecord, StatementRecord, damaged};
use crate::{Error, Functions};

/// Who may do what with a function, one version or one alias of it.  [Lambda API: AddPermission]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub revision: String,
    /// In the order in which they were added.
    pub statements: Vec<Statement>,
}

/// Allows one principal one action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    pub id: String,
    pub principal: Principal,
    /// `lambda:InvokeFunction` …
    pub action: String,
    pub conditions: Vec<Condition>,
    /// The statement in JSON, where it was not made of the members above but put as it is.
    pub written: Option<String>,
}

impl Statement {
    /// One that was put as it is; it may allow or deny.
    pub fn written(id: String, text: String) -> Statement {
        Statement {
            id,
            principal: Principal::Anyone,
            action: String::new(),
            conditions: Vec::new(),
            written: Some(text),
        }
    }

    /// As the evaluator reads it. What was added is about the resource that the policy belongs to.
    fn document(&self) -> Value {
        if let Some(text) = &self.written {
            // What cannot be read is refused by the evaluator, not passed over.
            return serde_json::from_str(text).unwrap_or_default();
        }
        let mut conditions = Map::new();
        for condition in &self.conditions {
            let keys = conditions.entry(condition.operator.clone());
            if let Some(keys) = keys.or_insert_with(|| json!({})).as_object_mut() {
                keys.insert(condition.key.clone(), condition.value.clone().into());
            }
        }
        let principal = match &self.principal {
            Principal::Anyone => json!("*"),
            Principal::Aws(arn) => json!({ "AWS": arn }),
            Principal::Service(name) => json!({ "Service": name }),
        };
        json!({
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": "*",
            "Condition": conditions,
        })
    }
}

impl Policy {
    /// What the policy says of a request.
    pub fn decide(&self, request: &model::policy::Request<'_>) -> Verdict {
        let statements: Vec<Value> = self.statements.iter().map(Statement::document).collect();
        match model::policy::Policy::read(&json!({ "Statement": statements })) {
            Ok(policy) => policy.decide(request),
            // Only what reads was taken.
            Err(_) => Verdict::Silent,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principal {
    Anyone,
    /// The ARN of an identity or of an account's root.
    Aws(String),
    /// `s3.amazonaws.com`
    Service(String),
}

/// `operator` holds for `key` and `value`: `ArnLike`, `AWS:SourceArn`, …
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    pub operator: String,
    pub key: String,
    pub value: String,
}

/// The key of the policy of a function as a whole; no qualifier can be spelled so.
const WHOLE: &str = "$FUNCTION";

pub(crate) fn policy_key(qualifier: Option<&Qualifier>) -> String {
    qualifier.map_or_else(|| WHOLE.to_owned(), ToString::to_string)
}

impl Functions {
    /// The policy of exactly what `f` names.
    pub fn policy(&self, f: &FunctionRef) -> Option<Arc<Policy>> {
        let entry = self.entry(f)?;
        entry
            .policies
            .get(&policy_key(f.qualifier.as_ref()))
            .cloned()
    }

    /// Adds a statement. `check` may refuse the policy as it would be.
    ///
    /// # Errors
    /// Fails if what `f` names does not exist, the statement's id is taken, or `revision` is neither
    /// that of the policy nor, where there is none yet, that of what `f` names.
    pub async fn add_permission(
        &self,
        f: &FunctionRef,
        statement: Statement,
        revision: Option<String>,
        check: impl FnOnce(&Policy) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.edit_policy(f, revision, move |policy| {
            if policy.statements.iter().any(|s| s.id == statement.id) {
                return Err(Error::StatementExists { id: statement.id });
            }
            policy.statements.push(statement);
            check(policy)
        })
        .await
    }

    /// Removes a statement; the last one takes the policy with it.
    pub async fn remove_permission(
        &self,
        f: &FunctionRef,
        id: String,
        revision: Option<String>,
    ) -> Result<(), Error> {
        self.edit_policy(f, revision, move |policy| {
            if policy.statements.is_empty() {
                return Err(Error::NoPolicy);
            }
            let before = policy.statements.len();
            policy.statements.retain(|s| s.id != id);
            match policy.statements.len() < before {
                true => Ok(()),
                false => Err(Error::NoSuchStatement { id }),
            }
        })
        .await
    }

    /// Puts `statements` in the place of the policy, whatever it was.
    ///
    /// # Errors
    /// As [`Functions::add_permission`], but for ids.
    pub async fn put_policy(
        &self,
        f: &FunctionRef,
        statements: Vec<Statement>,
        revision: Option<String>,
    ) -> Result<(), Error> {
        self.edit_policy(f, revision, |policy| {
            policy.statements = statements;
            Ok(())
        })
        .await
    }

    /// Removes the whole policy.
    ///
    /// # Errors
    /// Fails if there is none, and as [`Functions::add_permission`] about the revision.
    pub async fn delete_policy(
        &self,
        f: &FunctionRef,
        revision: Option<String>,
    ) -> Result<(), Error> {
        self.edit_policy(f, revision, |policy| {
            if policy.statements.is_empty() {
                return Err(Error::NoPolicy);
            }
            policy.statements.clear();
            Ok(())
        })
        .await
    }

    async fn edit_policy(
        &self,
        f: &FunctionRef,
        expected: Option<String>,
        edit: impl FnOnce(&mut Policy) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            let name = policy_key(f.qualifier.as_ref());
            let former = entry.policies.get(&name);
            let seen = match former {
                Some(policy) => policy.revision.clone(),
                None => revision_of(&entry, &f)?,
            };
            if expected.is_some_and(|revision| revision != seen) {
                return Err(Error::PolicyRevisionDiffers);
            }
            let mut policy = Policy {
                revision: this.0.tasks.ids().uuid(),
                statements: former.map(|p| p.statements.clone()).unwrap_or_default(),
            };
            edit(&mut policy)?;
            let mut next = (*entry).clone();
            if policy.statements.is_empty() {
                this.0
                    .tables
                    .policies
                    .txn(vec![this.policy_gone(&key, &name)])
                    .await?;
                next.policies.remove(&name);
            } else {
                let record = PolicyRecord::of(&policy, entry.first_version);
                let [account, region, function] = key.parts();
                let parts = [account, region, function, &name];
                this.0
                    .tables
                    .policies
                    .put(&parts, &record, Expect::Any)
                    .await?;
                next.policies.insert(name, Arc::new(policy));
            }
            this.0.index.put(&key, next);
            Ok(())
        })
        .await
    }

    pub(crate) fn policy_gone(&self, key: &Key, name: &str) -> Op {
        let [account, region, function] = key.parts();
        let parts = [account, region, function, name];
        self.0.tables.policies.delete_op(&parts, Expect::Any)
    }
}

/// The revision of what a policy would be attached to.
fn revision_of(entry: &Entry, f: &FunctionRef) -> Result<String, Error> {
    if let Some(Qualifier::Alias(name)) = &f.qualifier {
        let alias = entry.aliases.get(name);
        let found = alias.ok_or_else(|| Error::AliasNotFound { arn: f.to_string() })?;
        return Ok(found.revision.clone());
    }
    let found = entry.find(f.qualifier.as_ref(), entry.shown(), || 0.0);
    Ok(found.ok_or_else(|| not_found(f))?.revision.clone())
}

impl PolicyRecord {
    /// A version of a layer is never made anew.
    pub(crate) fn of_layer_version(policy: &Policy) -> PolicyRecord {
        PolicyRecord::of(policy, 0)
    }

    fn of(policy: &Policy, born: u32) -> PolicyRecord {
        let statement = |s: &Statement| {
            let (kind, principal) = match &s.principal {
                Principal::Anyone => ("*", ""),
                Principal::Aws(arn) => ("AWS", arn.as_str()),
                Principal::Service(name) => ("Service", name.as_str()),
            };
            StatementRecord {
                id: s.id.clone(),
                principal_kind: kind.to_owned(),
                principal: principal.to_owned(),
                action: s.action.clone(),
                conditions: s
                    .conditions
                    .iter()
                    .map(|c| (c.operator.clone(), c.key.clone(), c.value.clone()))
                    .collect(),
                written: s.written.clone(),
            }
        };
        PolicyRecord {
            born,
            revision: policy.revision.clone(),
            statements: policy.statements.iter().map(statement).collect(),
        }
    }
}

impl TryFrom<PolicyRecord> for Policy {
    type Error = StoreError;
    fn try_from(record: PolicyRecord) -> Result<Policy, StoreError> {
        let statement = |r: StatementRecord| {
            Ok(Statement {
                id: r.id,
                principal: match r.principal_kind.as_str() {
                    "*" => Principal::Anyone,
                    "AWS" => Principal::Aws(r.principal),
                    "Service" => Principal::Service(r.principal),
                    _ => return Err(damaged("principal")),
                },
                action: r.action,
                conditions: r
                    .conditions
                    .into_iter()
                    .map(|(operator, key, value)| Condition {
                        operator,
                        key,
                        value,
                    })
                    .collect(),
                written: r.written,
            })
        };
        let statements = record.statements.into_iter().map(statement);
        Ok(Policy {
            revision: record.revision,
            statements: statements.collect::<Result<_, StoreError>>()?,
        })
    }
}
