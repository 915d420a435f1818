use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{FunctionRef, Published, Version};
use store::{Expect, Op, Row, StoreError};
use tasks::Time;

use crate::concurrency::provisioned_of;
use crate::deployed::{Failure, LastUpdate, Optimization, State};
use crate::index::{Entry, Key};
use crate::records::{
    DeployedRecord, FunctionRecord, PreparationRecord, VersionRecord, damaged, parse_digest,
};
use crate::{Alias, Deployed, Error, Functions, Policy};

/// Leftovers of deleted functions removed in one transaction.
const REMOVED_AT_ONCE: usize = 90;

impl Functions {
    /// Fills the index from the records. What is on disk is settled by being read.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let tables = &self.0.tables;
        let mut entries: HashMap<Key, Entry> = HashMap::new();
        let mut names = Interner::default();
        for row in tables.functions.all(&[]).await? {
            let (key, entry) = self.load_function(&mut names, row).await?;
            entries.insert(key, entry);
        }
        let mut orphans: Vec<Op> = Vec::new();
        let mut unprepared = Vec::new();
        for row in tables.versions.all(&[]).await? {
            let owner = owner(&mut names, &row)?;
            match entries.get_mut(&owner) {
                Some(entry) if row.value.number >= entry.first_version => {
                    let (number, version) = self.load_version(&owner, entry, row.value).await?;
                    if version.awaits_preparation() {
                        unprepared.push(version.clone());
                    }
                    entry.versions.insert(number, version);
                }
                _ => orphans.push(Op::Delete {
                    key: row.key,
                    expect: Expect::Any,
                }),
            }
        }
        for row in tables.aliases.all(&[]).await? {
            let owner = owner(&mut names, &row)?;
            match entries.get_mut(&owner) {
                Some(entry) if row.value.born == entry.first_version => {
                    let alias = Alias::try_from(row.value)?;
                    entry.aliases.insert(alias.name.clone(), Arc::new(alias));
                }
                _ => orphans.push(Op::Delete {
                    key: row.key,
                    expect: Expect::Any,
                }),
            }
        }
        for row in tables.policies.all(&[]).await? {
            let owner = owner(&mut names, &row)?;
            match entries.get_mut(&owner) {
                Some(entry) if row.value.born == entry.first_version => {
                    let name = row.key.as_str().rsplit('/').next().unwrap_or_default();
                    let policy = Policy::try_from(row.value)?;
                    entry.policies.insert(name.to_owned(), Arc::new(policy));
                }
                _ => orphans.push(Op::Delete {
                    key: row.key,
                    expect: Expect::Any,
                }),
            }
        }
        for row in tables.attached.all(&[]).await? {
            let owner = owner(&mut names, &row)?;
            match entries.get_mut(&owner) {
                Some(entry) if row.value.born == entry.first_version => {
                    let name = row.key.as_str().rsplit('/').next().unwrap_or_default();
                    let attached = Arc::new(row.value.attached);
                    entry.attached.insert(name.to_owned(), attached);
                }
                _ => orphans.push(Op::Delete {
                    key: row.key,
                    expect: Expect::Any,
                }),
            }
        }
        for chunk in orphans.chunks(REMOVED_AT_ONCE) {
            tables.functions.txn(chunk.to_vec()).await?;
        }
        entries
            .into_iter()
            .for_each(|(key, entry)| self.0.index.put(&key, entry));
        let this = self.clone();
        self.0.tasks.spawn("functions: unprepared", async move {
            for version in unprepared {
                this.hand_over(&version).await;
            }
        });
        Ok(())
    }

    async fn load_function(
        &self,
        names: &mut Interner,
        row: Row<FunctionRecord>,
    ) -> Result<(Key, Entry), Error> {
        let record = row.value;
        let key = names.key(&record.account, &record.region, &record.name)?;
        let latest = self
            .load_deployed(key.function(), Version::Latest, record.latest, None)
            .await?;
        let entry = Entry {
            running: latest,
            pending: None,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            policies: BTreeMap::new(),
            attached: BTreeMap::new(),
            tags: Arc::new(record.tags),
            first_version: record.first_version,
            last_version: record.last_version,
            published: record.published,
            reserved: record.reserved,
            provisioned: Arc::new(provisioned_of(record.provisioned)?),
            allows_recursion: record.allows_recursion,
            rev: row.rev,
        };
        Ok((key, entry))
    }

    async fn load_version(
        &self,
        key: &Key,
        entry: &Entry,
        record: VersionRecord,
    ) -> Result<(Published, Arc<Deployed>), Error> {
        let number = Published::from_number(record.number).ok_or_else(|| damaged("number"))?;
        let version = Version::Published(number);
        let preparation = record.preparation;
        let is_optimized = matches!(preparation, Some(PreparationRecord::Optimized));
        let deployed = self
            .load_deployed(
                key.function(),
                version,
                record.version,
                Some(&entry.running),
            )
            .await?;
        let state = match preparation {
            _ if deployed.state != State::Active => None,
            Some(PreparationRecord::Pending) => Some(State::Pending),
            Some(PreparationRecord::Failed { code, reason }) => {
                Some(State::Failed(Failure { code, reason }))
            }
            Some(PreparationRecord::Optimized) | None => None,
        };
        let deployed = match state {
            Some(state) => Arc::new(deployed.in_state(state)),
            None if is_optimized => Arc::new(Deployed {
                last_update: deployed.last_update,
                optimization: Optimization::On,
                ..deployed.in_state(deployed.state.clone())
            }),
            None => deployed,
        };
        Ok((number, deployed))
    }

    async fn load_deployed(
        &self,
        function: FunctionRef,
        version: Version,
        record: DeployedRecord,
        like: Option<&Arc<Deployed>>,
    ) -> Result<Arc<Deployed>, Error> {
        let digest = parse_digest(&record.code)?;
        // Code that cannot be had again makes its function fail, not the start of the server.
        let failed = |what: &str, error: &dyn std::error::Error| {
            tracing::error!(%function, %version, %error, "{what} of a function is lost");
            State::Failed(Failure {
                code: "InternalError".to_owned(),
                reason: format!("The {what} of the function cannot be read: {error}"),
            })
        };
        let (code, mut state) = match self.0.code.open_kept(digest, record.code_bytes).await {
            Ok(code) => (code, State::Active),
            Err(error) => (
                self.0.code.lost(digest, record.code_bytes),
                failed("code", &error),
            ),
        };
        let layers = match self.load_used(record.layers).await {
            Ok(layers) => layers,
            Err(error) => {
                state = failed("layers", &error);
                Arc::default()
            }
        };
        let config = record.config.try_into()?;
        let config = match like {
            Some(latest) if *latest.config == config => latest.config.clone(),
            _ => Arc::new(config),
        };
        Ok(Arc::new(Deployed {
            function,
            version,
            revision: record.revision.clone(),
            revision_settled: record.revision,
            generation: self.next_generation(),
            config,
            code,
            layers,
            state,
            last_update: Some(LastUpdate::Successful),
            last_modified: Time::from_unix_micros(record.modified_us),
            optimization: Optimization::Off,
        }))
    }
}

/// The function that a version or an alias belongs to, from the record's key.
fn owner<R>(names: &mut Interner, row: &Row<R>) -> Result<Key, StoreError> {
    let mut parts = row.key.as_str().split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(account), Some(region), Some(name)) => names.key(account, region, name),
        _ => Err(damaged("key")),
    }
}

/// Makes equal accounts and regions share their text.
#[derive(Default)]
struct Interner {
    accounts: HashMap<String, model::Account>,
    regions: HashMap<String, model::Region>,
}

impl Interner {
    fn key(&mut self, account: &str, region: &str, name: &str) -> Result<Key, StoreError> {
        let account = match self.accounts.get(account) {
            Some(known) => known.clone(),
            None => {
                let parsed: model::Account = account.parse().map_err(|_| damaged("account"))?;
                self.accounts.insert(account.to_owned(), parsed.clone());
                parsed
            }
        };
        let region = match self.regions.get(region) {
            Some(known) => known.clone(),
            None => {
                let parsed: model::Region = region.parse().map_err(|_| damaged("region"))?;
                self.regions.insert(region.to_owned(), parsed.clone());
                parsed
            }
        };
        let name = name.parse().map_err(|_| damaged("function name"))?;
        Ok(Key {
            account,
            region,
            name,
        })
    }
}
