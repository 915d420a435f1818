use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use model::{Architecture, FunctionRef, Published, Version};
use store::{Expect, Op};
use tasks::Time;
use tokio::sync::{mpsc, oneshot};

use crate::attached::attached_key;
use crate::concurrency::records_of;
use crate::deployed::{LastUpdate, Optimization, State};
use crate::functions::not_found;
use crate::index::{Claim, Entry, Key};
use crate::layers::{LayerRef, Layers};
use crate::records::{
    ConfigRecord, DeployedRecord, FunctionRecord, UsedLayerRecord, VersionRecord,
};
use crate::settle::Unsettled;
use crate::tags;
use crate::{Attached, Change, Code, Config, Deployed, Error, Functions, SnapStart};

/// Room for one function in the settler's line.
type Place = mpsc::OwnedPermit<Unsettled>;

/// A function to be made.
#[derive(Debug, Clone)]
pub struct NewFunction {
    /// Its qualifier is ignored.
    pub function: FunctionRef,
    pub config: Config,
    /// The zip as it was uploaded.
    pub zip: Bytes,
    pub tags: BTreeMap<String, String>,
    /// Also publish version 1.
    pub publish: bool,
    /// The id of the code signing configuration that it shall use.
    pub signing: Option<String>,
}

/// Code that replaces that of `$LATEST`.
#[derive(Debug, Clone)]
pub struct NewCode {
    pub zip: Bytes,
    pub architecture: Option<Architecture>,
    /// The revision that the caller saw last.
    pub revision: Option<String>,
    /// Also publish a version.
    pub publish: bool,
}

/// A version to be published.
#[derive(Debug, Clone, Default)]
pub struct NewVersion {
    /// In place of the function's own.
    pub description: Option<String>,
    /// Refuse if the code of `$LATEST` is another.
    pub code_sha256: Option<String>,
    /// Refuse if the revision of `$LATEST` is another.
    pub revision: Option<String>,
}

impl Functions {
    /// Makes a function; durable when it returns, `Pending` for a moment after.
    ///
    /// Gives `$LATEST`, or version 1 if it was to be published.
    ///
    /// # Errors
    /// Fails if the name is taken or the code cannot be used; nothing is kept then.
    pub async fn create(&self, new: NewFunction) -> Result<Arc<Deployed>, Error> {
        let key = Key::of(&new.function);
        // Told before that the name is taken.  [observed]
        LayerRef::all_in(&new.function.region, &new.config.layers)?;
        if self.0.index.get(&key).is_some() {
            return Err(Error::Exists {
                name: key.name.to_string(),
            });
        }
        tags::check(&new.tags)?;
        let used = self.find_layers(&new.function, &new.config.layers)?;
        let code = self.0.code.keep(new.zip.clone()).await?;
        let layers = self.stack(&code, used).await?;
        let this = self.clone();
        self.uncancelled(async move {
            let place = this.place().await?;
            let writer = this.writer(&key).lock().await;
            if this.0.index.get(&key).is_some() {
                return Err(Error::Exists {
                    name: key.name.to_string(),
                });
            }
            let made = this.insert(&key, new, (code, layers), place).await?;
            drop(writer);
            this.hand_over(&made).await;
            Ok(made)
        })
        .await
    }

    /// The durable part of `create`, with the writer's lock held.
    async fn insert(
        &self,
        key: &Key,
        new: NewFunction,
        content: (Arc<Code>, Arc<Layers>),
        place: Place,
    ) -> Result<Arc<Deployed>, Error> {
        let tables = &self.0.tables;
        let retired = tables.retired.get(&key.parts()).await?;
        let last = retired.map_or(0, |row| row.value.last_version);
        let latest = self.deploy(key, Version::Latest, Arc::new(new.config), content, None);
        let mut entry = Entry {
            running: latest.clone(),
            pending: None,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            policies: BTreeMap::new(),
            attached: BTreeMap::new(),
            tags: Arc::new(new.tags),
            first_version: last.saturating_add(1),
            last_version: last,
            published: None,
            reserved: None,
            provisioned: Arc::default(),
            allows_recursion: false,
            rev: store::Rev(0),
        };
        let mut shown = latest.clone();
        let mut ops = Vec::new();
        if new.signing.is_some() {
            let attached = Attached {
                signing: new.signing,
                ..Attached::default()
            };
            let name = attached_key(None);
            ops.push(self.attached_op(key, &name, &entry, &attached)?);
            entry.attached.insert(name, Arc::new(attached));
        }
        if new.publish {
            shown = self.cut_version(key, &mut entry, &latest, None, true)?;
            ops.push(self.version_op(key, &shown)?);
        }
        ops.push(self.function_op(key, &entry, Expect::Absent)?);
        entry.rev = tables.functions.txn(ops).await?;
        self.0.index.put(key, entry);
        self.unsettled(place, key, None);
        Ok(shown)
    }

    /// Checks what [`Functions::update_code`] would check and changes nothing.
    pub async fn try_code(&self, f: &FunctionRef, new: &NewCode) -> Result<Arc<Deployed>, Error> {
        let entry = self.updatable(f)?;
        check_revision(entry.shown(), new.revision.as_deref())?;
        let checked = self.0.code.check(new.zip.clone()).await?;
        let mut config = (*entry.shown().config).clone();
        config.architecture = new.architecture.unwrap_or(config.architecture);
        let shown = entry.shown();
        Ok(Arc::new(Deployed {
            function: shown.function.clone(),
            version: Version::Latest,
            revision: shown.revision.clone(),
            revision_settled: shown.revision_settled.clone(),
            generation: shown.generation,
            config: Arc::new(config),
            code: Arc::new(checked),
            layers: shown.layers.clone(),
            state: shown.state.clone(),
            last_update: shown.last_update,
            last_modified: shown.last_modified,
            optimization: Optimization::Off,
        }))
    }

    /// Replaces the code of `$LATEST`; calls that come before it has settled run the former one.
    ///
    /// Gives `$LATEST`, or the version if one was to be published.
    pub async fn update_code(&self, f: &FunctionRef, new: NewCode) -> Result<Arc<Deployed>, Error> {
        let (key, claim) = self.claim(f)?;
        let entry = self.updatable(f)?;
        check_revision(entry.shown(), new.revision.as_deref())?;
        let code = self.0.code.keep(new.zip.clone()).await?;
        let this = self.clone();
        self.uncancelled(async move {
            let edit = |config: &mut Config| {
                config.architecture = new.architecture.unwrap_or(config.architecture);
                Ok(())
            };
            let seen = new.revision.as_deref();
            let made = this
                .replace(&key, claim, seen, Some(code), new.publish, edit)
                .await?;
            this.hand_over(&made).await;
            Ok(made)
        })
        .await
    }

    /// Changes the configuration of `$LATEST`. `edit` gets the present one; what it refuses is refused.
    pub async fn update_configuration(
        &self,
        f: &FunctionRef,
        revision: Option<&str>,
        edit: impl FnOnce(&mut Config) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<Deployed>, Error> {
        let (key, claim) = self.claim(f)?;
        check_revision(self.updatable(f)?.shown(), revision)?;
        let (this, seen) = (self.clone(), revision.map(str::to_owned));
        self.uncancelled(async move {
            this.replace(&key, claim, seen.as_deref(), None, false, edit)
                .await
        })
        .await
    }

    fn claim(&self, f: &FunctionRef) -> Result<(Key, Claim), Error> {
        self.updatable(f)?;
        let key = Key::of(f);
        let claim = self
            .0
            .index
            .claim(&key)
            .ok_or_else(|| Error::UpdateInProgress {
                arn: f.unqualified_arn(),
            })?;
        Ok((key, claim))
    }

    fn updatable(&self, f: &FunctionRef) -> Result<Arc<Entry>, Error> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        match &entry.running.state {
            State::Active | State::Inactive | State::Failed(_) => Ok(entry),
            state @ State::Pending => Err(Error::NotReady {
                arn: f.unqualified_arn(),
                state: state.as_str(),
            }),
        }
    }

    /// The durable part of every update. Looks again whether the function may be updated: its facts
    /// may have changed since, or it was deleted and made anew.
    async fn replace(
        &self,
        key: &Key,
        claim: Claim,
        revision: Option<&str>,
        code: Option<Arc<Code>>,
        publish: bool,
        edit: impl FnOnce(&mut Config) -> Result<(), Error>,
    ) -> Result<Arc<Deployed>, Error> {
        let place = self.place().await?;
        let _writer = self.writer(key).lock().await;
        let entry = self.updatable(&key.function())?;
        check_revision(entry.shown(), revision)?;
        let mut config = (*entry.running.config).clone();
        edit(&mut config)?;
        let config = if config == *entry.running.config {
            entry.running.config.clone()
        } else {
            Arc::new(config)
        };
        let is_new_code = code.is_some();
        let code = code.unwrap_or_else(|| entry.running.code.clone());
        let layers = if config.layers != entry.running.config.layers {
            let used = self.find_layers(&key.function(), &config.layers)?;
            self.stack(&code, used).await?
        } else {
            if is_new_code {
                self.check_sizes(&code, entry.running.layers.used()).await?;
            }
            entry.running.layers.clone()
        };
        let content = (code, layers);
        let latest = self.deploy(key, Version::Latest, config, content, Some(&entry.running));
        let mut next = (*entry).clone();
        next.pending = Some(latest.clone());
        let mut shown = latest.clone();
        let mut ops = Vec::new();
        if publish {
            shown = self.cut_version(key, &mut next, &latest, None, true)?;
            ops.push(self.version_op(key, &shown)?);
        }
        ops.push(self.function_op(key, &next, Expect::At(entry.rev))?);
        next.rev = self.0.tables.functions.txn(ops).await?;
        self.0.index.put(key, next);
        self.unsettled(place, key, Some(claim));
        Ok(shown)
    }

    /// Freezes `$LATEST`. If nothing changed since the last version, gives that one again.
    pub async fn publish_version(
        &self,
        f: &FunctionRef,
        new: NewVersion,
    ) -> Result<Arc<Deployed>, Error> {
        let (key, claim) = self.claim(f)?;
        let this = self.clone();
        self.uncancelled(async move {
            let _claim = claim;
            let writer = this.writer(&key).lock().await;
            let entry = this.updatable(&key.function())?;
            let latest = &entry.running;
            check_revision(latest, new.revision.as_deref())?;
            check_sha256(latest, new.code_sha256.as_deref())?;
            if let Some(same) = unchanged(&entry, latest)? {
                return Ok(same);
            }
            let mut next = (*entry).clone();
            let version = this.cut_version(&key, &mut next, latest, new.description, false)?;
            let ops = vec![
                this.version_op(&key, &version)?,
                this.function_op(&key, &next, Expect::At(entry.rev))?,
            ];
            next.rev = this.0.tables.functions.txn(ops).await?;
            this.0.index.put(&key, next);
            drop(writer);
            if version.state == State::Active {
                this.announce(Change::Live(version.clone()));
            }
            this.hand_over(&version).await;
            Ok(version)
        })
        .await
    }

    /// A new state of `key`; of `$LATEST` if `former` is what it replaces.
    fn deploy(
        &self,
        key: &Key,
        version: Version,
        config: Arc<Config>,
        (code, layers): (Arc<Code>, Arc<Layers>),
        former: Option<&Arc<Deployed>>,
    ) -> Arc<Deployed> {
        let tasks = &self.0.tasks;
        Arc::new(Deployed {
            function: former.map_or_else(|| key.function(), |d| d.function.clone()),
            version,
            revision: tasks.ids().uuid(),
            revision_settled: tasks.ids().uuid(),
            generation: self.next_generation(),
            config,
            code,
            layers,
            state: former.map_or(State::Pending, |_| State::Active),
            last_update: former.map(|_| LastUpdate::InProgress),
            last_modified: tasks.clock().now(),
            optimization: Optimization::Off,
        })
    }

    /// Adds the next version to `entry`, made of `latest`.
    fn cut_version(
        &self,
        key: &Key,
        entry: &mut Entry,
        latest: &Arc<Deployed>,
        description: Option<String>,
        is_pending: bool,
    ) -> Result<Arc<Deployed>, Error> {
        let number = entry.last_version.saturating_add(1);
        let published = Published::from_number(number)
            .ok_or_else(|| Error::Refused("no version number is left".to_owned()))?;
        let config = match description {
            Some(text) if text != latest.config.description => {
                let mut config = (*latest.config).clone();
                config.description = text;
                Arc::new(config)
            }
            _ => latest.config.clone(),
        };
        let is_pending = is_pending || latest.config.snap_start == SnapStart::PublishedVersions;
        let settled = self.0.tasks.ids().uuid();
        let version = Arc::new(Deployed {
            function: latest.function.clone(),
            version: Version::Published(published),
            revision: if is_pending {
                self.0.tasks.ids().uuid()
            } else {
                settled.clone()
            },
            revision_settled: settled,
            generation: self.next_generation(),
            config,
            code: latest.code.clone(),
            layers: latest.layers.clone(),
            state: if is_pending {
                State::Pending
            } else {
                State::Active
            },
            last_update: (!is_pending).then_some(LastUpdate::Successful),
            last_modified: self.0.tasks.clock().now(),
            optimization: Optimization::Off,
        });
        entry.last_version = number;
        entry.published = Some(fingerprint(latest)?);
        entry.versions.insert(published, version.clone());
        tracing::debug!(function = %key.name, version = number, "version cut");
        Ok(version)
    }

    pub(crate) fn function_op(
        &self,
        key: &Key,
        entry: &Entry,
        expect: Expect,
    ) -> Result<Op, Error> {
        let record = FunctionRecord {
            account: key.account.to_string(),
            region: key.region.to_string(),
            name: key.name.to_string(),
            latest: DeployedRecord::from(&**entry.shown()),
            first_version: entry.first_version,
            last_version: entry.last_version,
            published: entry.published.clone(),
            tags: (*entry.tags).clone(),
            reserved: entry.reserved,
            provisioned: records_of(&entry.provisioned),
            allows_recursion: entry.allows_recursion,
        };
        Ok(self
            .0
            .tables
            .functions
            .put_op(&key.parts(), &record, expect)?)
    }

    pub(crate) fn version_op(&self, key: &Key, version: &Deployed) -> Result<Op, Error> {
        let Version::Published(number) = version.version else {
            return Err(Error::Refused("$LATEST is not a version".to_owned()));
        };
        let record = VersionRecord {
            number: number.number(),
            version: DeployedRecord::from(version),
            preparation: version.preparation(),
        };
        let [account, region, name] = key.parts();
        let parts = [account, region, name, &number_key(number)];
        Ok(self
            .0
            .tables
            .versions
            .put_op(&parts, &record, Expect::Any)?)
    }

    /// Waits for room in the settler's line. Taken before a writer's lock and never with one held: the
    /// settler needs that lock to make room.
    async fn place(&self) -> Result<Place, Error> {
        let line = self.0.unsettled.clone();
        line.reserve_owned().await.map_err(|_| Error::ShuttingDown)
    }

    fn unsettled(&self, place: Place, key: &Key, claim: Option<Claim>) {
        place.send(Unsettled {
            key: key.clone(),
            since: self.0.tasks.clock().monotonic(),
            claim,
        });
    }

    /// Runs a change to its end even if its caller goes away, so that memory and disk agree.
    pub(crate) async fn uncancelled<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        self.0.tasks.spawn("functions: change", async move {
            // The caller may be gone; the change is made all the same.
            let _ = tell.send(work.await);
        });
        told.await.unwrap_or(Err(Error::ShuttingDown))
    }
}

impl From<&Deployed> for DeployedRecord {
    fn from(d: &Deployed) -> DeployedRecord {
        DeployedRecord {
            revision: d.revision_settled.clone(),
            modified_us: Time::unix_micros(d.last_modified),
            code: d.code.digest().to_string(),
            code_bytes: d.code.bytes(),
            layers: d.layers.used().iter().map(UsedLayerRecord::from).collect(),
            config: ConfigRecord::from(&*d.config),
        }
    }
}

/// The last part of a version's key: sorts as its number does.
pub(crate) fn number_key(number: Published) -> String {
    format!("{:010}", number.number())
}

fn check_revision(latest: &Deployed, expected: Option<&str>) -> Result<(), Error> {
    match expected {
        Some(revision) if revision != latest.revision => Err(Error::RevisionDiffers),
        _ => Ok(()),
    }
}

fn check_sha256(latest: &Deployed, expected: Option<&str>) -> Result<(), Error> {
    let current = latest.code.sha256();
    match expected {
        Some(given) if given != current => Err(Error::CodeSha256Differs {
            given: given.to_owned(),
            current,
        }),
        _ => Ok(()),
    }
}

/// The last version, if it was cut from what `$LATEST` is now.
fn unchanged(entry: &Entry, latest: &Deployed) -> Result<Option<Arc<Deployed>>, Error> {
    if entry.published.as_deref() != Some(fingerprint(latest)?.as_str()) {
        return Ok(None);
    }
    let last = Published::from_number(entry.last_version);
    Ok(last.and_then(|n| entry.versions.get(&n).cloned()))
}

/// Tells whether two states of `$LATEST` are the same to a publisher.
fn fingerprint(latest: &Deployed) -> Result<String, Error> {
    let config = serde_json::to_vec(&ConfigRecord::from(&*latest.config))
        .map_err(|_| crate::records::damaged("configuration does not encode"))?;
    let mut all = latest.code.digest().0.to_vec();
    all.extend_from_slice(&config);
    let hash = digest(&SHA256, &all);
    let short = hash.as_ref().iter().take(16);
    Ok(short.map(|b| format!("{b:02x}")).collect())
}
