use std::collections::BTreeMap;
use std::sync::Arc;

use model::{FunctionRef, Qualifier};
use serde::{Deserialize, Serialize};
use store::{Expect, Op, Record};
use tasks::Time;

use crate::functions::not_found;
use crate::index::{Entry, Key};
use crate::{Error, FunctionUrl, Functions};

/// What is attached to `$LATEST`, a version or an alias and is no part of its configuration.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Attached {
    /// How asynchronous calls are handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_invoke: Option<EventInvoke>,
    /// Which releases of the runtime are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeUpdates>,
    /// Where HTTP requests for it come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<FunctionUrl>,
    /// The id of the function's code signing configuration; of `$LATEST` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
}

impl Attached {
    fn is_empty(&self) -> bool {
        *self == Attached::default()
    }
}

/// How asynchronous calls are handled; what is `None` was not set.  [Lambda API:
/// PutFunctionEventInvokeConfig]
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EventInvoke {
    /// How often a function that failed is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries_max: Option<u32>,
    /// How old an event may become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_max_secs: Option<u32>,
    /// ARN of what hears of events that were handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// ARN of what gets events that were given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Microseconds since 1970.
    pub modified_us: i64,
}

impl EventInvoke {
    pub fn modified(&self) -> Time {
        Time::from_unix_micros(self.modified_us)
    }
}

/// [Lambda API: PutRuntimeManagementConfig]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RuntimeUpdates {
    #[default]
    Auto,
    FunctionUpdate,
    /// One release, the one that Kiln has.
    Manual,
}

/// The stored form.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct AttachedRecord {
    /// As in [`crate::records::AliasRecord`].
    pub(crate) born: u32,
    #[serde(flatten)]
    pub(crate) attached: Attached,
}

impl Record for AttachedRecord {
    const KIND: &'static str = "attached";
    const VERSION: u8 = 1;
}

/// The key of what is attached to a qualifier; without one it is `$LATEST`.
pub(crate) fn attached_key(qualifier: Option<&Qualifier>) -> String {
    qualifier.unwrap_or(&Qualifier::Latest).to_string()
}

impl Functions {
    /// What is attached to exactly what `f` names.
    pub fn attached(&self, f: &FunctionRef) -> Option<Arc<Attached>> {
        let entry = self.entry(f)?;
        entry
            .attached
            .get(&attached_key(f.qualifier.as_ref()))
            .cloned()
    }

    /// Everything that is attached to the function, by qualifier.
    pub fn all_attached(&self, f: &FunctionRef) -> Result<BTreeMap<String, Arc<Attached>>, Error> {
        let entry = self.entry(f).ok_or_else(|| not_found(f))?;
        Ok(entry.attached.clone())
    }

    /// Changes what is attached; durable when it returns. `edit` may refuse.
    ///
    /// # Errors
    /// Fails if what `f` names does not exist, or with what `edit` gives.
    pub async fn attach(
        &self,
        f: &FunctionRef,
        edit: impl FnOnce(&mut Attached) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<Attached>, Error> {
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            let exists = match &f.qualifier {
                Some(Qualifier::Alias(name)) => entry.aliases.contains_key(name),
                other => entry.find(other.as_ref(), entry.shown(), || 0.0).is_some(),
            };
            if !exists {
                return Err(not_found(&f).into());
            }
            let name = attached_key(f.qualifier.as_ref());
            let mut attached = entry.attached.get(&name).map(|a| (**a).clone());
            let mut attached = attached.take().unwrap_or_default();
            edit(&mut attached)?;
            let op = match attached.is_empty() {
                true => this.attached_gone(&key, &name),
                false => this.attached_op(&key, &name, &entry, &attached)?,
            };
            this.0.tables.attached.txn(vec![op]).await?;
            let attached = Arc::new(attached);
            let mut next = (*entry).clone();
            match attached.is_empty() {
                true => drop(next.attached.remove(&name)),
                false => drop(next.attached.insert(name, attached.clone())),
            }
            this.0.index.put(&key, next);
            Ok(attached)
        })
        .await
    }

    pub(crate) fn attached_op(
        &self,
        key: &Key,
        name: &str,
        entry: &Entry,
        attached: &Attached,
    ) -> Result<Op, Error> {
        let record = AttachedRecord {
            born: entry.first_version,
            attached: attached.clone(),
        };
        let [account, region, function] = key.parts();
        let parts = [account, region, function, name];
        let table = &self.0.tables.attached;
        Ok(table.put_op(&parts, &record, Expect::Any)?)
    }

    pub(crate) fn attached_gone(&self, key: &Key, name: &str) -> Op {
        let [account, region, function] = key.parts();
        let parts = [account, region, function, name];
        self.0.tables.attached.delete_op(&parts, Expect::Any)
    }
}
