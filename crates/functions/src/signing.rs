use std::collections::BTreeMap;

use model::{Account, FunctionRef, Region};
use serde::{Deserialize, Serialize};
use store::{Expect, Record};
use tasks::Time;

use crate::{Deployed, Error, Functions, TagChange, tags};

/// Whose code functions may run; a record only, code is not checked against it.
/// [Lambda API: CodeSigningConfig]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SigningConfig {
    /// `csc-` and 17 letters and digits.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// ARNs of signing profile versions.
    pub publishers: Vec<String>,
    /// Whether code that is not theirs shall be refused, not only reported.
    pub is_enforced: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Microseconds since 1970.
    pub modified_us: i64,
}

impl SigningConfig {
    pub fn modified(&self) -> Time {
        Time::from_unix_micros(self.modified_us)
    }
}

impl Record for SigningConfig {
    const KIND: &'static str = "signing";
    const VERSION: u8 = 1;
}

/// Code signing configurations read for one answer; AWS allows 100 in a region.  [Lambda quotas]
const CONFIGS_MAX: usize = 1_000;
/// Functions looked at in one step.
const FUNCTIONS_AT_ONCE: usize = 500;

impl Functions {
    /// An id that no configuration has.
    pub fn new_signing_id(&self) -> String {
        let letters = self.0.tasks.ids().upper_alphanumeric(17);
        format!("csc-{}", letters.to_lowercase())
    }

    /// Keeps a new configuration; durable when it returns.
    ///
    /// # Errors
    /// Fails if it has too many tags.
    pub async fn create_signing(
        &self,
        account: &Account,
        region: &Region,
        config: SigningConfig,
    ) -> Result<(), Error> {
        tags::check(&config.tags)?;
        let parts = [account.as_str(), region.as_str(), &config.id];
        let table = &self.0.tables.signing;
        table.put(&parts, &config, Expect::Any).await?;
        Ok(())
    }

    /// Changes a configuration; durable when it returns. `None` if there is none.
    pub async fn edit_signing(
        &self,
        account: &Account,
        region: &Region,
        id: &str,
        edit: impl FnOnce(&mut SigningConfig) -> Result<(), Error> + Send + 'static,
    ) -> Result<Option<SigningConfig>, Error> {
        let (this, id) = (self.clone(), id.to_owned());
        let (account, region) = (account.clone(), region.clone());
        self.uncancelled(async move {
            let _writer = this.0.signing_writer.lock().await;
            let parts = [account.as_str(), region.as_str(), &id];
            let table = &this.0.tables.signing;
            let Some(row) = table.get(&parts).await? else {
                return Ok(None);
            };
            let mut config = row.value;
            edit(&mut config)?;
            // It may have been deleted meanwhile, and stays so.
            table.put(&parts, &config, Expect::At(row.rev)).await?;
            Ok(Some(config))
        })
        .await
    }

    /// Changes the tags of a configuration; durable when it returns. Tells whether there is one.
    pub async fn tag_signing(
        &self,
        account: &Account,
        region: &Region,
        id: &str,
        change: TagChange,
    ) -> Result<bool, Error> {
        let edit = |config: &mut SigningConfig| change.apply(&mut config.tags);
        let changed = self.edit_signing(account, region, id, edit).await?;
        Ok(changed.is_some())
    }

    pub async fn signing(
        &self,
        account: &Account,
        region: &Region,
        id: &str,
    ) -> Result<Option<SigningConfig>, Error> {
        let parts = [account.as_str(), region.as_str(), id];
        let row = self.0.tables.signing.get(&parts).await?;
        Ok(row.map(|row| row.value))
    }

    /// In the order of their ids.
    pub async fn list_signing(
        &self,
        account: &Account,
        region: &Region,
    ) -> Result<Vec<SigningConfig>, Error> {
        let parts = [account.as_str(), region.as_str()];
        let rows = self
            .0
            .tables
            .signing
            .scan(&parts, None, CONFIGS_MAX)
            .await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    pub async fn delete_signing(
        &self,
        account: &Account,
        region: &Region,
        id: &str,
    ) -> Result<(), Error> {
        let parts = [account.as_str(), region.as_str(), id];
        self.0.tables.signing.delete(&parts, Expect::Any).await?;
        Ok(())
    }

    /// Functions that use a configuration, in the order of their names. Cost grows with the functions
    /// of the account.
    pub fn signed_with(&self, account: &Account, region: &Region, id: &str) -> Vec<FunctionRef> {
        let mut users = Vec::new();
        let mut after = None;
        loop {
            let page = self.list(account, region, after.as_ref(), FUNCTIONS_AT_ONCE);
            let Some(last) = page.last() else {
                return users;
            };
            after = Some(last.function.name.clone());
            let uses = |d: &Deployed| self.signing_of(&d.function).as_deref() == Some(id);
            let found = page.iter().filter(|d| uses(d));
            users.extend(found.map(|d| d.function.with_qualifier(None)));
        }
    }

    /// The id of the configuration that a function uses.
    pub fn signing_of(&self, f: &FunctionRef) -> Option<String> {
        let attached = self.attached(&f.with_qualifier(None))?;
        attached.signing.clone()
    }

    /// Makes a function use a configuration, or none; durable when it returns.
    ///
    /// # Errors
    /// Fails if there is no such function.
    pub async fn sign_with(&self, f: &FunctionRef, id: Option<String>) -> Result<(), Error> {
        let f = f.with_qualifier(None);
        let change = self.attach(&f, move |attached| {
            attached.signing = id;
            Ok(())
        });
        change.await.map(drop)
    }
}
