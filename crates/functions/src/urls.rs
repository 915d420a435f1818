use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use model::{FunctionRef, Qualifier};
use serde::{Deserialize, Serialize};
use tasks::Time;

use crate::index::{Entry, Key};
use crate::{Attached, Error, Functions};

/// Where a function, or one alias of it, answers HTTP requests.  [Lambda API: CreateFunctionUrlConfig]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionUrl {
    /// The first label of its host: 32 letters and digits, never used twice.
    pub id: String,
    pub auth: UrlAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// `None` was never set and means [`UrlMode::Buffered`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<UrlMode>,
    /// Microseconds since 1970.
    pub created_us: i64,
    /// Microseconds since 1970.
    pub modified_us: i64,
}

impl FunctionUrl {
    pub fn created(&self) -> Time {
        Time::from_unix_micros(self.created_us)
    }

    pub fn modified(&self) -> Time {
        Time::from_unix_micros(self.modified_us)
    }
}

/// Who must sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum UrlAuth {
    /// Nobody.
    None,
    /// Every caller.
    Iam,
}

/// How a response goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum UrlMode {
    /// When it is whole.
    Buffered,
    /// As the function writes it.
    Stream,
}

/// What pages of other origins may do.  [Lambda API: Cors]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cors {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<Vec<String>>,
    /// Seconds for which an answer may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_max_secs: Option<u32>,
}

/// Which function has which URL.
#[derive(Default)]
pub(crate) struct Urls(RwLock<HashMap<String, (Key, String)>>);

impl Urls {
    /// Called for one key at a time: its writer holds a lock.
    pub(crate) fn replace(&self, key: &Key, old: Option<&Entry>, new: Option<&Entry>) {
        fn ids(entry: Option<&Entry>) -> Vec<(&String, &String)> {
            let all = entry.into_iter().flat_map(|e| &e.attached);
            all.filter_map(|(qualifier, a)| Some((qualifier, &a.url.as_ref()?.id)))
                .collect()
        }
        let (before, after) = (ids(old), ids(new));
        if before == after {
            return;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (_, id) in before {
            all.remove(id);
        }
        for (qualifier, id) in after {
            all.insert(id.clone(), (key.clone(), qualifier.clone()));
        }
    }

    fn find(&self, id: &str) -> Option<(Key, String)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(id).cloned()
    }
}

impl Functions {
    /// A URL that was never there.
    pub fn new_url_id(&self) -> String {
        self.0.tasks.ids().upper_alphanumeric(32).to_lowercase()
    }

    /// The function, or the alias of it, whose URL has this id. Reads memory only.
    pub fn by_url(&self, id: &str) -> Option<(FunctionRef, Arc<Attached>)> {
        let (key, qualifier) = self.0.index.urls.find(id)?;
        let qualifier = match qualifier.parse().ok()? {
            Qualifier::Latest => None,
            other => Some(other),
        };
        let function = key.function().with_qualifier(qualifier);
        let attached = self.attached(&function)?;
        Some((function, attached))
    }

    /// Makes a URL, or changes it as `edit` says; durable when it returns.
    ///
    /// # Errors
    /// Fails if what `f` names does not exist, or with what `edit` gives.
    pub async fn edit_url(
        &self,
        f: &FunctionRef,
        edit: impl FnOnce(Option<FunctionUrl>) -> Result<Option<FunctionUrl>, Error> + Send + 'static,
    ) -> Result<Arc<Attached>, Error> {
        self.attach(f, move |attached| {
            attached.url = edit(attached.url.take())?;
            Ok(())
        })
        .await
    }
}
