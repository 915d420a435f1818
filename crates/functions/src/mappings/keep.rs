use std::sync::Arc;

use model::{Account, Region};
use store::Expect;

use super::{Held, Home, Mapping, MappingState, ShownMapping};
use crate::records::damaged;
use crate::{Error, Functions, TagChange, tags};

/// Most mappings of one account in one region.
const MAPPINGS_MAX: usize = 10_000;

impl Functions {
    /// Fills the index of mappings from the records.
    pub(crate) async fn load_mappings(&self) -> Result<(), Error> {
        let now = self.0.tasks.clock().now();
        for row in self.0.tables.mappings.all(&[]).await? {
            let mut parts = row.key.as_str().split('/').skip(1);
            let (Some(account), Some(region)) = (parts.next(), parts.next()) else {
                return Err(damaged("key").into());
            };
            let home = (
                account.parse().map_err(|_| damaged("account"))?,
                region.parse().map_err(|_| damaged("region"))?,
            );
            let held = Held {
                mapping: Arc::new(row.value),
                moving: None,
            };
            self.0.mappings.put(&home, held, now);
        }
        Ok(())
    }

    /// Keeps a new mapping under the id that it has; durable when it returns.
    ///
    /// # Errors
    /// Fails if the function has a mapping that reads the same, and if there are too many.
    pub async fn create_mapping(
        &self,
        account: &Account,
        region: &Region,
        mapping: Mapping,
    ) -> Result<ShownMapping, Error> {
        let (this, home) = (self.clone(), (account.clone(), region.clone()));
        self.uncancelled(async move {
            let _writer = this.0.mappings.writer.lock().await;
            let all = this.mappings(&home.0, &home.1);
            if all.len() >= MAPPINGS_MAX {
                return Err(Error::TooManyMappings { max: MAPPINGS_MAX });
            }
            tags::check(&mapping.tags)?;
            this.refuse_twin(&home, &mapping)?;
            // A mapping that is not to be used has nothing to come up.
            let state = mapping.is_enabled.then_some(MappingState::Creating);
            this.keep(&home, mapping, state).await
        })
        .await
    }

    /// Changes a mapping; durable when it returns. `edit` may refuse.
    ///
    /// # Errors
    /// Fails if there is none, while an earlier change still shows, and with what `edit` gives.
    pub async fn update_mapping(
        &self,
        account: &Account,
        region: &Region,
        uuid: &str,
        edit: impl FnOnce(&mut Mapping) -> Result<(), Error> + Send + 'static,
    ) -> Result<ShownMapping, Error> {
        let (this, home) = (self.clone(), (account.clone(), region.clone()));
        let uuid = uuid.to_owned();
        self.uncancelled(async move {
            let _writer = this.0.mappings.writer.lock().await;
            let former = this.settled(&home, &uuid)?;
            let mut mapping = (*former).clone();
            edit(&mut mapping)?;
            this.refuse_twin(&home, &mapping)?;
            let state = match (former.is_enabled, mapping.is_enabled) {
                (false, true) => MappingState::Enabling,
                (true, false) => MappingState::Disabling,
                _ => MappingState::Updating,
            };
            mapping.modified_us = this.0.tasks.clock().now().unix_micros();
            this.keep(&home, mapping, Some(state)).await
        })
        .await
    }

    /// Changes the tags of a mapping, which is no change of its state; durable when it returns.
    pub async fn tag_mapping(
        &self,
        account: &Account,
        region: &Region,
        uuid: &str,
        change: TagChange,
    ) -> Result<(), Error> {
        let (this, home) = (self.clone(), (account.clone(), region.clone()));
        let uuid = uuid.to_owned();
        self.uncancelled(async move {
            let _writer = this.0.mappings.writer.lock().await;
            let now = this.0.tasks.clock().now();
            let held = this.0.mappings.get(&home, &uuid);
            let held = held.filter(|held| held.at(now).is_some());
            let held = held.ok_or(Error::NoSuchMapping)?;
            if matches!(held.moving, Some((MappingState::Deleting, _))) {
                return Err(Error::MappingBusy);
            }
            let mut mapping = (*held.mapping).clone();
            change.apply(&mut mapping.tags)?;
            this.write_mapping(&home, &mapping).await?;
            let mapping = Arc::new(mapping);
            this.0.mappings.put(&home, Held { mapping, ..held }, now);
            Ok(())
        })
        .await
    }

    /// Removes a mapping, which shows for a moment longer; durable when it returns.
    ///
    /// # Errors
    /// Fails if there is none, and while an earlier change still shows.
    pub async fn delete_mapping(
        &self,
        account: &Account,
        region: &Region,
        uuid: &str,
    ) -> Result<ShownMapping, Error> {
        let (this, home) = (self.clone(), (account.clone(), region.clone()));
        let uuid = uuid.to_owned();
        self.uncancelled(async move {
            let _writer = this.0.mappings.writer.lock().await;
            let mapping = this.settled(&home, &uuid)?;
            let parts = [home.0.as_str(), home.1.as_str(), &uuid];
            this.0.tables.mappings.delete(&parts, Expect::Any).await?;
            Ok(this.show(&home, mapping, Some(MappingState::Deleting)))
        })
        .await
    }

    /// A mapping as it shows now.
    pub fn mapping(&self, account: &Account, region: &Region, uuid: &str) -> Option<ShownMapping> {
        let home = (account.clone(), region.clone());
        let held = self.0.mappings.get(&home, uuid)?;
        held.at(self.0.tasks.clock().now())
    }

    /// All mappings of one account and region as they show now, in the order of their ids.
    pub fn mappings(&self, account: &Account, region: &Region) -> Vec<ShownMapping> {
        let now = self.0.tasks.clock().now();
        let all = self.0.mappings.read();
        let own = all.get(&(account.clone(), region.clone()));
        own.into_iter()
            .flat_map(|own| own.values())
            .filter_map(|held| held.at(now))
            .collect()
    }

    fn settled(&self, home: &Home, uuid: &str) -> Result<Arc<Mapping>, Error> {
        let now = self.0.tasks.clock().now();
        let held = self.0.mappings.get(home, uuid);
        let held = held.filter(|held| held.at(now).is_some());
        match held.ok_or(Error::NoSuchMapping)? {
            held if held.is_moving(now) => Err(Error::MappingBusy),
            held => Ok(held.mapping),
        }
    }

    fn refuse_twin(&self, home: &Home, mapping: &Mapping) -> Result<(), Error> {
        let all = self.mappings(&home.0, &home.1);
        let others = all.iter().filter(|s| s.state != MappingState::Deleting);
        let others = others.filter(|s| s.mapping.uuid != mapping.uuid);
        match others.map(|s| &s.mapping).find(|m| m.meets(mapping)) {
            Some(twin) => Err(Error::MappingExists {
                uuid: twin.uuid.clone(),
            }),
            None => Ok(()),
        }
    }

    async fn keep(
        &self,
        home: &Home,
        mapping: Mapping,
        state: Option<MappingState>,
    ) -> Result<ShownMapping, Error> {
        self.write_mapping(home, &mapping).await?;
        Ok(self.show(home, Arc::new(mapping), state))
    }

    async fn write_mapping(&self, home: &Home, mapping: &Mapping) -> Result<(), Error> {
        let parts = [home.0.as_str(), home.1.as_str(), &mapping.uuid];
        let table = &self.0.tables.mappings;
        table.put(&parts, mapping, Expect::Any).await?;
        Ok(())
    }

    /// Takes a change over that is on disk.
    fn show(
        &self,
        home: &Home,
        mapping: Arc<Mapping>,
        state: Option<MappingState>,
    ) -> ShownMapping {
        let now = self.0.tasks.clock().now();
        let held = Held {
            mapping: mapping.clone(),
            moving: state.map(|state| (state, now.after(self.0.settle))),
        };
        self.0.mappings.put(home, held, now);
        let at_rest = match mapping.is_enabled {
            true => MappingState::Enabled,
            false => MappingState::Disabled,
        };
        ShownMapping {
            mapping,
            state: state.unwrap_or(at_rest),
        }
    }
}
