//! Reserved and provisioned concurrency: what functions claim of their account's limit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Account, FunctionRef, Published, Qualifier, Region, Version};
use store::{Expect, StoreError};
use tasks::Time;

use crate::functions::{asleep, not_found};
use crate::index::{Entry, Key};
use crate::records::{ProvisionedRecord, damaged};
use crate::{Alias, Change, Deployed, Error, Functions, ResolveError};

/// Provisioned concurrency of one version or alias.  [Lambda API: PutProvisionedConcurrencyConfig]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provisioned {
    /// Environments that are to be ready.
    pub requested: u32,
    pub modified: Time,
}

/// What one account may run at once in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// [Lambda quotas: concurrent executions]
    pub concurrency: u32,
    /// What functions may not claim, so that those without a reservation can run.
    pub unreserved_min: u32,
}

/// What the functions of one account and region claim. Changes are seen at once.
#[derive(Debug, Default)]
pub struct Claims {
    /// By reserved concurrency.
    reserved: AtomicU64,
    /// By provisioned concurrency of functions that reserve nothing.
    provisioned: AtomicU64,
}

impl Claims {
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// All that functions without a claim cannot use.
    pub fn total(&self) -> u64 {
        self.reserved() + self.provisioned.load(Ordering::Acquire)
    }
}

/// What runs for one call, and what its function may run at once.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub deployed: Arc<Deployed>,
    pub reserved: Option<u32>,
    /// Over all versions and aliases.
    pub provisioned_total: u32,
    /// The version or alias whose provisioned concurrency serves the call, if any does.
    pub provisioned_by: Option<Qualifier>,
}

/// Environments that are to be ready for one version or alias.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// With the qualifier that has provisioned concurrency.
    pub function: FunctionRef,
    pub requested: u32,
    pub modified: Time,
    /// The versions and how many environments each; two for a weighted alias.
    pub versions: Vec<(Arc<Deployed>, u32)>,
}

/// Keeps [`Claims`] true while entries come and go.
#[derive(Default)]
pub(crate) struct Book {
    claims: Mutex<HashMap<(Account, Region), Arc<Claims>>>,
    /// Functions with provisioned concurrency, so that nobody looks through all.
    provisioned: Mutex<BTreeSet<Key>>,
}

impl Book {
    pub(crate) fn of(&self, account: &Account, region: &Region) -> Arc<Claims> {
        let mut all = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((account.clone(), region.clone()))
            .or_default()
            .clone()
    }

    /// Called for one key at a time: its writer holds a lock.
    pub(crate) fn replace(&self, key: &Key, old: Option<&Entry>, new: Option<&Entry>) {
        let claim = |entry: Option<&Entry>| entry.map_or((0, 0), Entry::claimed);
        let (before, after) = (claim(old), claim(new));
        if before != after {
            let claims = self.of(&key.account, &key.region);
            claims.reserved.fetch_add(after.0, Ordering::AcqRel);
            claims.reserved.fetch_sub(before.0, Ordering::AcqRel);
            claims.provisioned.fetch_add(after.1, Ordering::AcqRel);
            claims.provisioned.fetch_sub(before.1, Ordering::AcqRel);
        }
        let has = |entry: Option<&Entry>| entry.is_some_and(|e| !e.provisioned.is_empty());
        if has(old) != has(new) {
            let mut all = self
                .provisioned
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if has(new) {
                all.insert(key.clone());
            } else {
                all.remove(key);
            }
        }
    }

    fn provisioned(&self) -> Vec<Key> {
        let all = self
            .provisioned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}

impl Entry {
    pub(crate) fn provisioned_total(&self) -> u32 {
        self.provisioned
            .values()
            .fold(0, |sum, p| sum.saturating_add(p.requested))
    }

    /// Of the account: by reservation, and by provisioned concurrency without one.
    fn claimed(&self) -> (u64, u64) {
        match self.reserved {
            Some(reserved) => (reserved.into(), 0),
            None => (0, self.provisioned_total().into()),
        }
    }

    /// Removes a configuration; tells whether there was one.
    pub(crate) fn unprovision(&mut self, qualifier: &Qualifier) -> bool {
        if !self.provisioned.contains_key(qualifier) {
            return false;
        }
        Arc::make_mut(&mut self.provisioned).remove(qualifier);
        true
    }

    /// Checks an alias as it will be; tells whether it has provisioned concurrency.
    pub(crate) fn alias_may_move(&self, alias: &Alias) -> Result<bool, Error> {
        let own = Qualifier::Alias(alias.name.clone());
        if !self.provisioned.contains_key(&own) {
            return Ok(false);
        }
        self.alias_fits(alias).map(|()| true)
    }

    fn alias_fits(&self, alias: &Alias) -> Result<(), Error> {
        let Some(version) = alias.version else {
            return Err(unpublished());
        };
        let mut targets = [Some(version), alias.weight.map(|(n, _)| n)]
            .into_iter()
            .flatten();
        if targets.any(|n| self.provisioned.contains_key(&Qualifier::Version(n))) {
            return Err(Error::VersionProvisioned);
        }
        Ok(())
    }

    /// Environments belong to a version: whatever name it is called by, they serve it. Those of the
    /// name itself go first.  [observed: an alias's serve calls that name its version]
    fn provisioned_by(&self, named: Option<&Qualifier>, version: &Version) -> Option<Qualifier> {
        let Version::Published(number) = version else {
            return None;
        };
        let own = named.filter(|q| self.provisioned.contains_key(q));
        own.or_else(|| self.provisioned.keys().find(|q| self.leads_to(q, *number)))
            .cloned()
    }

    fn leads_to(&self, qualifier: &Qualifier, number: Published) -> bool {
        match qualifier {
            Qualifier::Latest => false,
            Qualifier::Version(n) => *n == number,
            Qualifier::Alias(name) => self.aliases.get(name).is_some_and(|alias| {
                alias.version == Some(number) || alias.weight.is_some_and(|(n, _)| n == number)
            }),
        }
    }

    /// Whether `qualifier` exists and may have provisioned concurrency.
    fn may_be_provisioned(&self, f: &FunctionRef, qualifier: &Qualifier) -> Result<(), Error> {
        match qualifier {
            Qualifier::Latest => Err(unpublished()),
            Qualifier::Alias(name) => {
                let arn = || Error::AliasNotFound { arn: f.to_string() };
                self.alias_fits(self.aliases.get(name).ok_or_else(arn)?)
            }
            Qualifier::Version(number) => {
                if !self.versions.contains_key(number) {
                    return Err(not_found(f).into());
                }
                let is_alias = |q: &&Qualifier| matches!(q, Qualifier::Alias(_));
                let mut aliases = self.provisioned.keys().filter(is_alias);
                match aliases.any(|q| self.leads_to(q, *number)) {
                    true => Err(Error::AliasProvisioned),
                    false => Ok(()),
                }
            }
        }
    }

    /// The versions behind a qualifier and their shares of `requested`.
    fn shares(&self, qualifier: &Qualifier, requested: u32) -> Vec<(Arc<Deployed>, u32)> {
        let version = |n: &Published| self.versions.get(n).cloned();
        match qualifier {
            Qualifier::Latest => Vec::new(),
            Qualifier::Version(n) => version(n).map(|v| (v, requested)).into_iter().collect(),
            Qualifier::Alias(name) => {
                let Some(alias) = self.aliases.get(name) else {
                    return Vec::new();
                };
                let second = alias.weight.map_or(0, |(_, share)| part(requested, share));
                let first = alias.version.map(|n| (n, requested - second));
                let second = alias.weight.map(|(n, _)| (n, second));
                [first, second]
                    .into_iter()
                    .flatten()
                    .filter_map(|(n, count)| Some((version(&n)?, count)))
                    .collect()
            }
        }
    }
}

/// The nearest whole number of environments.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share is between 0 and 1
fn part(requested: u32, share: f64) -> u32 {
    ((f64::from(requested) * share).round() as u32).min(requested)
}

/// [spec: CON-16]
fn unpublished() -> Error {
    Error::Refused(
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            .to_owned(),
    )
}

/// What is left to functions without a claim must stay at its minimum.  [spec: CON-7]
fn leaves_enough(limits: AccountLimits, claimed: u64, what: &str) -> Result<(), Error> {
    let left = u64::from(limits.concurrency).checked_sub(claimed);
    if left.is_some_and(|left| left >= limits.unreserved_min.into()) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "Specified {what} for function decreases account's UnreservedConcurrentExecution below its minimum value of [{}].",
        limits.unreserved_min
    )))
}

impl Functions {
    /// As [`Functions::resolve`], with what the function may run at once, for a call: an idle version is
    /// `Inactive` this time and active the next.
    pub fn resolve_call(&self, f: &FunctionRef) -> Result<Resolved, ResolveError> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        let deployed = entry
            .find(f.qualifier.as_ref(), &entry.running, || self.draw())
            .ok_or_else(|| not_found(f))?;
        let was_idle = self.0.idle.was_idle(&deployed, self.0.tasks.clock().now());
        let deployed = asleep(deployed, was_idle);
        let provisioned_by = entry.provisioned_by(f.qualifier.as_ref(), &deployed.version);
        Ok(Resolved {
            deployed,
            reserved: entry.reserved,
            provisioned_total: entry.provisioned_total(),
            provisioned_by,
        })
    }

    /// What functions of this account and region claim of its concurrency.
    pub fn claims(&self, account: &Account, region: &Region) -> Arc<Claims> {
        self.0.index.book.of(account, region)
    }

    /// Reserves concurrency for a function; 0 lets it run no more.
    ///
    /// # Errors
    /// Fails if less than the minimum would be left for others, or if less would be reserved than is
    /// provisioned.
    pub async fn reserve(
        &self,
        f: &FunctionRef,
        reserved: u32,
        limits: AccountLimits,
    ) -> Result<(), Error> {
        let _claiming = self.0.claiming.lock().await;
        let claims = self.claims(&f.account, &f.region);
        self.edit_facts(f, move |entry| {
            let provisioned = entry.provisioned_total();
            if reserved < provisioned {
                return Err(Error::ReservedBelowProvisioned {
                    reserved,
                    provisioned,
                });
            }
            let (a, b) = entry.claimed();
            let others = claims.total().saturating_sub(a + b);
            if reserved > 0 {
                let claimed = others + u64::from(reserved);
                leaves_enough(limits, claimed, "ReservedConcurrentExecutions")?;
            }
            entry.reserved = Some(reserved);
            Ok(())
        })
        .await
    }

    /// Gives a reservation back; that there is none is fine.
    pub async fn unreserve(&self, f: &FunctionRef) -> Result<(), Error> {
        let _claiming = self.0.claiming.lock().await;
        self.edit_facts(f, |entry| {
            entry.reserved = None;
            Ok(())
        })
        .await
    }

    /// Wants environments to be ready for the version or alias that `f` names.
    ///
    /// # Errors
    /// Fails if it does not exist, is not published, has them another way already, or if more would be
    /// claimed than may be.
    pub async fn provision(
        &self,
        f: &FunctionRef,
        requested: u32,
        limits: AccountLimits,
    ) -> Result<Provisioned, Error> {
        let _claiming = self.0.claiming.lock().await;
        let claims = self.claims(&f.account, &f.region);
        let now = self.0.tasks.clock().now();
        let qualified = f.clone();
        self.edit_provisioned(f, move |entry, qualifier| {
            let own = entry.provisioned.get(qualifier).map_or(0, |p| p.requested);
            match entry.may_be_provisioned(&qualified, qualifier) {
                // Told after the limits, as AWS does.
                Err(Error::VersionProvisioned | Error::AliasProvisioned) | Ok(()) => {}
                Err(other) => return Err(other),
            }
            let all = u64::from(entry.provisioned_total() - own) + u64::from(requested);
            match entry.reserved {
                Some(reserved) if all > reserved.into() => {
                    return Err(Error::Refused(
                        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function".to_owned(),
                    ));
                }
                Some(_) => {}
                None => {
                    let others = claims.total().saturating_sub(own.into());
                    let free = u64::from(limits.concurrency).saturating_sub(others);
                    if u64::from(requested) > free {
                        return Err(Error::Refused(format!(
                            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{free}]."
                        )));
                    }
                    let claimed = others + u64::from(requested);
                    leaves_enough(limits, claimed, "ConcurrentExecutions")?;
                }
            }
            entry.may_be_provisioned(&qualified, qualifier)?;
            let provisioned = Provisioned {
                requested,
                modified: now,
            };
            Arc::make_mut(&mut entry.provisioned).insert(qualifier.clone(), provisioned);
            Ok(provisioned)
        })
        .await
    }

    /// Wants none any more; that there were none is fine.
    pub async fn unprovision(&self, f: &FunctionRef) -> Result<(), Error> {
        let _claiming = self.0.claiming.lock().await;
        self.edit_provisioned(f, |entry, qualifier| {
            entry.unprovision(qualifier);
            Ok(())
        })
        .await
    }

    /// What was asked for the version or alias that `f` names.
    ///
    /// # Errors
    /// Fails if that does not exist.
    pub fn provisioned(&self, f: &FunctionRef) -> Result<Option<Provisioned>, Error> {
        let qualifier = f.qualifier.as_ref().ok_or_else(|| not_found(f))?;
        let entry = self.entry(f);
        let exists = entry.as_deref().is_some_and(|e| match qualifier {
            Qualifier::Latest => true,
            Qualifier::Version(n) => e.versions.contains_key(n),
            Qualifier::Alias(name) => e.aliases.contains_key(name),
        });
        match (entry, qualifier) {
            (Some(entry), _) if exists => Ok(entry.provisioned.get(qualifier).copied()),
            (_, Qualifier::Alias(_)) => Err(Error::AliasNotFound { arn: f.to_string() }),
            _ => Err(not_found(f).into()),
        }
    }

    /// In the order of versions, then of aliases.
    pub fn list_provisioned(
        &self,
        f: &FunctionRef,
    ) -> Result<Vec<(Qualifier, Provisioned)>, ResolveError> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        let all = entry.provisioned.iter();
        Ok(all.map(|(q, p)| (q.clone(), *p)).collect())
    }

    /// All environments that are to be ready. Cost grows with the functions that have some.
    pub fn wanted(&self) -> Vec<Wanted> {
        let index = &self.0.index;
        let mut all = Vec::new();
        for key in index.book.provisioned() {
            let Some(entry) = index.get(&key) else {
                continue;
            };
            all.extend(entry.provisioned.iter().map(|(qualifier, p)| Wanted {
                function: key.function().with_qualifier(Some(qualifier.clone())),
                requested: p.requested,
                modified: p.modified,
                versions: entry.shares(qualifier, p.requested),
            }));
        }
        all
    }

    pub(crate) fn announce_provisioned(&self, entry: &Entry) {
        self.announce(Change::Provisioned(entry.running.function.clone()));
    }

    async fn edit_provisioned<T: Send + 'static>(
        &self,
        f: &FunctionRef,
        edit: impl FnOnce(&mut Entry, &Qualifier) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.provisioned(f)?;
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            let qualifier = f.qualifier.as_ref().ok_or_else(|| not_found(&f))?;
            let mut next = (*entry).clone();
            let done = edit(&mut next, qualifier)?;
            if next.provisioned == entry.provisioned {
                return Ok(done);
            }
            let op = this.function_op(&key, &next, Expect::At(entry.rev))?;
            next.rev = this.0.tables.functions.txn(vec![op]).await?;
            this.0.index.put(&key, next);
            this.announce_provisioned(&entry);
            Ok(done)
        })
        .await
    }
}

pub(crate) fn records_of(
    all: &BTreeMap<Qualifier, Provisioned>,
) -> BTreeMap<String, ProvisionedRecord> {
    let record = |p: &Provisioned| ProvisionedRecord {
        requested: p.requested,
        modified_us: p.modified.unix_micros(),
    };
    all.iter()
        .map(|(q, p)| (q.to_string(), record(p)))
        .collect()
}

pub(crate) fn provisioned_of(
    all: BTreeMap<String, ProvisionedRecord>,
) -> Result<BTreeMap<Qualifier, Provisioned>, StoreError> {
    all.into_iter()
        .map(|(text, record)| {
            let qualifier = text.parse().map_err(|_| damaged("qualifier"))?;
            let provisioned = Provisioned {
                requested: record.requested,
                modified: Time::from_unix_micros(record.modified_us),
            };
            Ok((qualifier, provisioned))
        })
        .collect()
}
