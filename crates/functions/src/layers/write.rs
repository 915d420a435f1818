use std::sync::Arc;

use bytes::Bytes;
use model::Architecture;
use store::Expect;

use super::{LayerEntry, LayerRef, LayerVersion};
use crate::policies::Policy;
use crate::records::{LayerRecord, LayerVersionRecord, PolicyRecord};
use crate::{Error, Functions, Statement};

/// A version to be published.
#[derive(Debug, Clone)]
pub struct NewLayerVersion {
    pub layer: LayerRef,
    /// The zip as it was uploaded.
    pub zip: Bytes,
    pub description: String,
    pub license: Option<String>,
    pub runtimes: Option<Vec<String>>,
    pub architectures: Option<Vec<Architecture>>,
}

impl Functions {
    /// Makes the next version of a layer; durable when it returns.
    pub async fn publish_layer_version(
        &self,
        new: NewLayerVersion,
    ) -> Result<Arc<LayerVersion>, Error> {
        let code = self.0.code.keep(new.zip.clone()).await?;
        let this = self.clone();
        self.uncancelled(async move {
            let layers = &this.0.layers;
            let _writer = layers.writer.lock().await;
            let mut entry = layers
                .get(&new.layer)
                .map(|e| (*e).clone())
                .unwrap_or_default();
            let number = entry.last_version + 1;
            let version = Arc::new(LayerVersion {
                layer: new.layer.clone(),
                number,
                description: new.description,
                license: new.license,
                runtimes: new.runtimes,
                architectures: new.architectures,
                created: this.0.tasks.clock().now(),
                code,
            });
            entry.last_version = number;
            entry.versions.insert(number, version.clone());
            let tables = &this.0.tables;
            let counter = LayerRecord {
                last_version: number,
            };
            let parts = layer_parts(&new.layer);
            let ops = vec![
                tables.layers.put_op(&parts, &counter, Expect::Any)?,
                tables.layer_versions.put_op(
                    &version_parts(&new.layer, &number_key(number)),
                    &LayerVersionRecord::of(&version, None),
                    Expect::Absent,
                )?,
            ];
            tables.layers.txn(ops).await?;
            layers.put(&new.layer, entry);
            Ok(version)
        })
        .await
    }

    /// Removes a version; one that is not there is fine. Functions that use it keep it.
    pub async fn delete_layer_version(&self, layer: &LayerRef, number: u64) -> Result<(), Error> {
        let (this, layer) = (self.clone(), layer.clone());
        self.uncancelled(async move {
            let layers = &this.0.layers;
            let _writer = layers.writer.lock().await;
            let Some(entry) = layers.get(&layer) else {
                return Ok(());
            };
            if !entry.versions.contains_key(&number) {
                return Ok(());
            }
            let key = number_key(number);
            let table = &this.0.tables.layer_versions;
            table
                .delete(&version_parts(&layer, &key), Expect::Any)
                .await?;
            let mut next = (*entry).clone();
            next.versions.remove(&number);
            next.policies.remove(&number);
            layers.put(&layer, next);
            Ok(())
        })
        .await
    }

    /// Adds a statement to the policy of a version. `check` may refuse the policy as it would be.
    pub async fn add_layer_permission(
        &self,
        layer: &LayerRef,
        number: u64,
        statement: Statement,
        revision: Option<String>,
        check: impl FnOnce(&Policy) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<Policy>, Error> {
        self.edit_layer_policy(layer, number, revision, move |policy| {
            if policy.statements.iter().any(|s| s.id == statement.id) {
                return Err(Error::StatementExists { id: statement.id });
            }
            policy.statements.push(statement);
            check(policy)
        })
        .await
    }

    /// Removes a statement; the last one takes the policy with it.
    pub async fn remove_layer_permission(
        &self,
        layer: &LayerRef,
        number: u64,
        id: String,
        revision: Option<String>,
    ) -> Result<(), Error> {
        self.edit_layer_policy(layer, number, revision, move |policy| {
            let before = policy.statements.len();
            policy.statements.retain(|s| s.id != id);
            match policy.statements.len() < before {
                true => Ok(()),
                false => Err(Error::NoSuchStatement { id }),
            }
        })
        .await
        .map(drop)
    }

    async fn edit_layer_policy(
        &self,
        layer: &LayerRef,
        number: u64,
        expected: Option<String>,
        edit: impl FnOnce(&mut Policy) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<Policy>, Error> {
        let (this, layer) = (self.clone(), layer.clone());
        self.uncancelled(async move {
            let layers = &this.0.layers;
            let _writer = layers.writer.lock().await;
            let entry = layers.get(&layer).unwrap_or_default();
            let Some(version) = entry.versions.get(&number) else {
                return Err(Error::NoSuchLayerVersion {
                    arn: layer.version_arn(number),
                });
            };
            let former = entry.policies.get(&number);
            if expected.is_some_and(|seen| former.is_none_or(|p| p.revision != seen)) {
                return Err(Error::PolicyRevisionDiffers);
            }
            let mut policy = Policy {
                revision: this.0.tasks.ids().uuid(),
                statements: former.map(|p| p.statements.clone()).unwrap_or_default(),
            };
            edit(&mut policy)?;
            let policy = Arc::new(policy);
            let mut next = LayerEntry::clone(&entry);
            let kept = (!policy.statements.is_empty()).then_some(&policy);
            let record =
                LayerVersionRecord::of(version, kept.map(|p| PolicyRecord::of_layer_version(p)));
            let key = number_key(number);
            let table = &this.0.tables.layer_versions;
            table
                .put(&version_parts(&layer, &key), &record, Expect::Any)
                .await?;
            match kept {
                Some(policy) => next.policies.insert(number, policy.clone()),
                None => next.policies.remove(&number),
            };
            layers.put(&layer, next);
            Ok(policy)
        })
        .await
    }
}

fn layer_parts(layer: &LayerRef) -> [&str; 3] {
    [
        layer.account.as_str(),
        layer.region.as_str(),
        layer.name.as_str(),
    ]
}

fn version_parts<'a>(layer: &'a LayerRef, number: &'a str) -> [&'a str; 4] {
    let [account, region, name] = layer_parts(layer);
    [account, region, name, number]
}

/// The last part of a version's key: sorts as its number does.
fn number_key(number: u64) -> String {
    format!("{number:020}")
}
