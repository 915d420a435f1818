use std::collections::HashMap;

use std::sync::Arc;

use tasks::Time;

use super::{LayerEntry, LayerRef, LayerVersion, Layers, UsedLayer};
use crate::records::{
    LayerVersionRecord, PolicyRecord, UsedLayerRecord, architectures, damaged, parse_digest,
};
use crate::{Error, Functions, Policy};

impl Functions {
    /// Fills the index of layers from the records.
    pub(crate) async fn load_layers(&self) -> Result<(), Error> {
        let tables = &self.0.tables;
        let mut entries: HashMap<LayerRef, LayerEntry> = HashMap::new();
        for row in tables.layers.all(&[]).await? {
            let layer = owner(row.key.as_str())?;
            entries.entry(layer).or_default().last_version = row.value.last_version;
        }
        for row in tables.layer_versions.all(&[]).await? {
            let layer = owner(row.key.as_str())?;
            let entry = entries.entry(layer.clone()).or_default();
            let (version, policy) = self.load_layer_version(layer, row.value).await?;
            let number = version.number;
            entry.last_version = entry.last_version.max(number);
            entry.versions.insert(number, Arc::new(version));
            if let Some(policy) = policy {
                entry.policies.insert(number, Arc::new(policy));
            }
        }
        for (layer, entry) in entries {
            self.0.layers.put(&layer, entry);
        }
        Ok(())
    }

    async fn load_layer_version(
        &self,
        layer: LayerRef,
        record: LayerVersionRecord,
    ) -> Result<(LayerVersion, Option<Policy>), Error> {
        let digest = parse_digest(&record.code)?;
        // Content that cannot be had again makes those fail who use it, not the start of the server.
        let code = match self.0.code.open_kept(digest, record.code_bytes).await {
            Ok(code) => code,
            Err(error) => {
                tracing::error!(layer = %layer.arn(), number = record.number, %error, "content of a layer is lost");
                self.0.code.lost(digest, record.code_bytes)
            }
        };
        let version = LayerVersion {
            layer,
            number: record.number,
            description: record.description,
            license: record.license,
            runtimes: record.runtimes,
            architectures: record.architectures.map(architectures).transpose()?,
            created: Time::from_unix_micros(record.created_us),
            code,
        };
        let policy = record.policy.map(|p: PolicyRecord| Policy::try_from(p));
        Ok((version, policy.transpose()?))
    }

    /// The layers that a function used when it was written.
    pub(crate) async fn load_used(
        &self,
        records: Vec<UsedLayerRecord>,
    ) -> Result<Arc<Layers>, Error> {
        let mut used = Vec::new();
        for record in records {
            let digest = parse_digest(&record.code)?;
            let code = self.0.code.open_kept(digest, record.code_bytes).await?;
            used.push(UsedLayer {
                arn: record.arn,
                code,
            });
        }
        self.merge_layers(used).await
    }
}

/// The layer that a record belongs to, from its key.
fn owner(key: &str) -> Result<LayerRef, Error> {
    let mut parts = key.split('/').skip(1);
    let (Some(account), Some(region), Some(name)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(damaged("key of a layer").into());
    };
    let bad = |_| damaged("key of a layer");
    Ok(LayerRef {
        account: account.parse().map_err(bad)?,
        region: region.parse().map_err(bad)?,
        name: name.parse().map_err(bad)?,
    })
}
