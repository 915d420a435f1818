use model::{FunctionRef, Published, Qualifier};
use store::{Expect, Op};

use crate::functions::not_found;
use crate::index::{Entry, Key};
use crate::records::RetiredRecord;
use crate::write::number_key;
use crate::{Change, Error, Functions};

/// Records removed in one transaction.
const REMOVED_AT_ONCE: usize = 90;

impl Functions {
    /// Removes a function with all its versions and aliases, or the one version that `f` names.
    ///
    /// # Errors
    /// Fails for a version that an alias points to. Removing a version that is not there is fine.
    pub async fn delete(&self, f: &FunctionRef) -> Result<(), Error> {
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            match &f.qualifier {
                Some(Qualifier::Version(number)) => {
                    this.delete_version(&key, &entry, *number).await
                }
                _ => this.delete_function(&key, &entry).await,
            }
        })
        .await
    }

    async fn delete_version(
        &self,
        key: &Key,
        entry: &Entry,
        number: Published,
    ) -> Result<(), Error> {
        let Some(version) = entry.versions.get(&number) else {
            return Ok(());
        };
        let aliases: Vec<String> = entry
            .aliases
            .values()
            .filter(|a| a.version == Some(number) || a.weight.is_some_and(|(n, _)| n == number))
            .map(|a| a.name.to_string())
            .collect();
        if !aliases.is_empty() {
            return Err(Error::UsedByAliases { aliases });
        }
        let number_text = number_key(number);
        let [account, region, name] = key.parts();
        let parts = [account, region, name, &number_text];
        let policy = number.to_string();
        let mut ops = vec![
            self.0.tables.versions.delete_op(&parts, Expect::Any),
            self.policy_gone(key, &policy),
            self.attached_gone(key, &policy),
        ];
        let mut next = entry.clone();
        next.versions.remove(&number);
        next.policies.remove(&policy);
        next.attached.remove(&policy);
        let is_provisioned = next.unprovision(&Qualifier::Version(number));
        if is_provisioned {
            ops.push(self.function_op(key, &next, Expect::At(entry.rev))?);
        }
        let rev = self.0.tables.versions.txn(ops).await?;
        if is_provisioned {
            next.rev = rev;
        }
        self.0.index.put(key, next);
        self.announce(Change::Retired(version.clone()));
        Ok(())
    }

    async fn delete_function(&self, key: &Key, entry: &Entry) -> Result<(), Error> {
        let tables = &self.0.tables;
        let mut ops = vec![
            tables
                .functions
                .delete_op(&key.parts(), Expect::At(entry.rev)),
        ];
        // Small functions go at once. The rest of a large one is removed after its own record, now or,
        // after a crash, at the next start.
        let mut left = self.leftovers(key, entry);
        let later = left.split_off(left.len().min(REMOVED_AT_ONCE));
        if entry.last_version > 0 || !later.is_empty() {
            let retired = RetiredRecord {
                last_version: entry.last_version.max(1),
            };
            ops.push(tables.retired.put_op(&key.parts(), &retired, Expect::Any)?);
        }
        ops.extend(left);
        tables.functions.txn(ops).await?;
        self.0.index.remove(key);
        self.announce(Change::Retired(entry.running.clone()));
        for version in entry.versions.values() {
            self.announce(Change::Retired(version.clone()));
        }
        for chunk in later.chunks(REMOVED_AT_ONCE) {
            tables.functions.txn(chunk.to_vec()).await?;
        }
        Ok(())
    }

    fn leftovers(&self, key: &Key, entry: &Entry) -> Vec<Op> {
        let tables = &self.0.tables;
        let [account, region, name] = key.parts();
        let versions = entry.versions.keys().map(|n| {
            let parts = [account, region, name, &number_key(*n)];
            tables.versions.delete_op(&parts, Expect::Any)
        });
        let aliases = entry.aliases.keys().map(|a| self.alias_gone(key, a));
        let policies = entry
            .policies
            .keys()
            .map(|name| self.policy_gone(key, name));
        let attached = entry
            .attached
            .keys()
            .map(|name| self.attached_gone(key, name));
        aliases
            .chain(policies)
            .chain(attached)
            .chain(versions)
            .collect()
    }
}
