use std::sync::Arc;

use model::{AliasName, FunctionRef, Published, Qualifier};
use store::{Expect, Op};

use crate::functions::not_found;
use crate::index::{Entry, Key};
use crate::records::AliasRecord;
use crate::{Alias, Error, Functions};

/// An alias to be made.
#[derive(Debug, Clone)]
pub struct NewAlias {
    pub name: AliasName,
    /// `None`: `$LATEST`.
    pub version: Option<Published>,
    pub description: String,
    /// A second version and the share of calls that it gets.
    pub weight: Option<(Published, f64)>,
}

/// What of an alias changes; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct AliasChange {
    /// Inside: `None` for `$LATEST`.
    pub version: Option<Option<Published>>,
    pub description: Option<String>,
    /// Inside: `None` for one version only.
    pub weight: Option<Option<(Published, f64)>>,
    /// The revision that the caller saw last.
    pub revision: Option<String>,
}

impl Functions {
    /// Makes an alias; durable when it returns.
    ///
    /// # Errors
    /// Fails if the name is taken or a version does not exist.
    pub async fn create_alias(&self, f: &FunctionRef, new: NewAlias) -> Result<Arc<Alias>, Error> {
        let target = new.version.map_or(Qualifier::Latest, Qualifier::Version);
        let arn = alias_arn(&new.name, f);
        let f = f.with_qualifier(Some(target));
        self.edit_alias(
            &f,
            new.name.clone(),
            move |name, former, revision| match former {
                Some(_) => Err(Error::AliasExists { arn }),
                None => Ok(Alias {
                    name,
                    version: new.version,
                    description: new.description,
                    revision,
                    weight: new.weight,
                }),
            },
        )
        .await
    }

    /// Changes an alias as a whole: the next call follows it.
    pub async fn update_alias(
        &self,
        f: &FunctionRef,
        name: AliasName,
        change: AliasChange,
    ) -> Result<Arc<Alias>, Error> {
        let f = f.with_qualifier(None);
        self.edit_alias(&f.clone(), name, move |name, former, revision| {
            let Some(former) = former else {
                return Err(Error::AliasNotFound {
                    arn: alias_arn(&name, &f),
                });
            };
            if change.revision.is_some_and(|seen| seen != former.revision) {
                return Err(Error::RevisionDiffers);
            }
            Ok(Alias {
                name,
                version: change.version.unwrap_or(former.version),
                description: change
                    .description
                    .unwrap_or_else(|| former.description.clone()),
                revision,
                weight: change.weight.unwrap_or(former.weight),
            })
        })
        .await
    }

    /// Removes an alias; one that is not there is fine.
    pub async fn delete_alias(&self, f: &FunctionRef, name: AliasName) -> Result<(), Error> {
        let (this, f) = (self.clone(), f.with_qualifier(None));
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            if !entry.aliases.contains_key(&name) {
                return Ok(());
            }
            let mut ops = vec![
                this.alias_gone(&key, &name),
                this.policy_gone(&key, name.as_str()),
                this.attached_gone(&key, name.as_str()),
            ];
            let mut next = (*entry).clone();
            next.aliases.remove(&name);
            next.policies.remove(name.as_str());
            next.attached.remove(name.as_str());
            let is_provisioned = next.unprovision(&Qualifier::Alias(name.clone()));
            if is_provisioned {
                ops.push(this.function_op(&key, &next, Expect::At(entry.rev))?);
            }
            let rev = this.0.tables.aliases.txn(ops).await?;
            if is_provisioned {
                next.rev = rev;
                this.announce_provisioned(&entry);
            }
            this.0.index.put(&key, next);
            Ok(())
        })
        .await
    }

    /// Writes what `edit` makes of the present alias and a fresh revision.
    async fn edit_alias(
        &self,
        f: &FunctionRef,
        name: AliasName,
        edit: impl FnOnce(AliasName, Option<&Alias>, String) -> Result<Alias, Error> + Send + 'static,
    ) -> Result<Arc<Alias>, Error> {
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            let former = entry.aliases.get(&name).map(|a| &**a);
            let alias = Arc::new(edit(name, former, this.0.tasks.ids().uuid())?);
            for version in [alias.version, alias.weight.map(|(n, _)| n)]
                .into_iter()
                .flatten()
            {
                if !entry.versions.contains_key(&version) {
                    let missing = f.with_qualifier(Some(Qualifier::Version(version)));
                    return Err(not_found(&missing).into());
                }
            }
            let is_provisioned = entry.alias_may_move(&alias)?;
            let record = AliasRecord::of(&alias, entry.first_version);
            let [account, region, function] = key.parts();
            let parts = [account, region, function, alias.name.as_str()];
            this.0
                .tables
                .aliases
                .put(&parts, &record, Expect::Any)
                .await?;
            let mut next: Entry = (*entry).clone();
            next.aliases.insert(alias.name.clone(), alias.clone());
            this.0.index.put(&key, next);
            if is_provisioned {
                this.announce_provisioned(&entry);
            }
            Ok(alias)
        })
        .await
    }

    pub(crate) fn alias_gone(&self, key: &Key, name: &AliasName) -> Op {
        let [account, region, function] = key.parts();
        let parts = [account, region, function, name.as_str()];
        self.0.tables.aliases.delete_op(&parts, Expect::Any)
    }
}

fn alias_arn(name: &AliasName, f: &FunctionRef) -> String {
    format!("{}:{name}", f.unqualified_arn())
}
