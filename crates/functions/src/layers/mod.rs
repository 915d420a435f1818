//! Layers: immutable, numbered packages that functions see at `/opt`.  [Lambda guide: layers]

mod load;
mod read;
mod stack;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Account, Architecture, Arn, InvalidName, Region};
use tasks::Time;

use crate::{Code, Policy};

pub use stack::{LayerError, Layers, UsedLayer};
pub use write::NewLayerVersion;

/// A layer without a version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayerRef {
    pub account: Account,
    pub region: Region,
    /// 1 to 140 letters, digits, `-` and `_`.
    pub name: LayerName,
}

/// The bare name of a layer.  [Lambda API: LayerName]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayerName(Arc<str>);

/// Longest name of a layer.
const NAME_MAX: usize = 140;

impl LayerName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for LayerName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<LayerName, InvalidName> {
        let is_word = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if text.is_empty() || text.len() > NAME_MAX || !is_word {
            return Err(InvalidName {
                what: "layer name",
                text: text.chars().take(NAME_MAX).collect(),
            });
        }
        Ok(LayerName(text.into()))
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LayerRef {
    /// `arn:aws:lambda:us-east-1:000000000000:layer:name`
    pub fn arn(&self) -> String {
        let resource = format!("layer:{}", self.name);
        Arn::new("lambda", &self.region, &self.account, &resource).to_string()
    }

    /// Whether all layers of these versions are in `region`; what names no layer is not told here.
    pub(crate) fn all_in(region: &Region, arns: &[String]) -> Result<(), LayerError> {
        let mut layers = arns.iter().filter_map(|arn| Self::parse_version_arn(arn));
        match layers.any(|(layer, _)| layer.region != *region) {
            true => Err(LayerError::OtherRegion {
                expected: region.to_string(),
            }),
            false => Ok(()),
        }
    }

    pub fn version_arn(&self, number: u64) -> String {
        format!("{}:{number}", self.arn())
    }

    /// Takes the ARN of a version apart. `None`: not of a form that Kiln gives.
    pub fn parse_version_arn(text: &str) -> Option<(LayerRef, u64)> {
        let arn: Arn = text.parse().ok()?;
        let rest = arn.resource.strip_prefix("layer:")?;
        let (name, number) = rest.split_once(':')?;
        let layer = LayerRef {
            account: arn.account.parse().ok()?,
            region: arn.region.parse().ok()?,
            name: name.parse().ok()?,
        };
        (arn.service == "lambda").then_some((layer, number.parse().ok()?))
    }
}

/// One version of a layer; never changes.
#[derive(Debug)]
pub struct LayerVersion {
    pub layer: LayerRef,
    /// Counts from 1 and is never used again.
    pub number: u64,
    pub description: String,
    pub license: Option<String>,
    /// As the publisher said; `None`: said nothing.
    pub runtimes: Option<Vec<String>>,
    /// As `runtimes`.
    pub architectures: Option<Vec<Architecture>>,
    pub created: Time,
    pub code: Arc<Code>,
}

impl LayerVersion {
    pub fn arn(&self) -> String {
        self.layer.version_arn(self.number)
    }
}

/// All layers of this process in memory.
#[derive(Default)]
pub(crate) struct LayerIndex {
    layers: RwLock<BTreeMap<LayerRef, Arc<LayerEntry>>>,
    /// One publication or change of a policy at a time.
    pub(crate) writer: tokio::sync::Mutex<()>,
}

/// One layer; stays when its last version goes, because it knows the last number.
#[derive(Clone, Default)]
pub(crate) struct LayerEntry {
    pub(crate) last_version: u64,
    pub(crate) versions: BTreeMap<u64, Arc<LayerVersion>>,
    pub(crate) policies: BTreeMap<u64, Arc<Policy>>,
}

impl LayerIndex {
    pub(crate) fn get(&self, layer: &LayerRef) -> Option<Arc<LayerEntry>> {
        self.read().get(layer).cloned()
    }

    pub(crate) fn put(&self, layer: &LayerRef, entry: LayerEntry) {
        self.write().insert(layer.clone(), Arc::new(entry));
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<LayerRef, Arc<LayerEntry>>> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<LayerRef, Arc<LayerEntry>>> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_version_survives_the_round_trip() {
        let text = "arn:aws:lambda:us-east-1:000000000000:layer:my_layer-1:12";
        let (layer, number) = LayerRef::parse_version_arn(text).unwrap();
        assert_eq!(layer.version_arn(number), text);
        for bad in [
            "arn:aws:lambda:us-east-1:000000000000:layer:l",
            "arn:aws:lambda:us-east-1:000000000000:layer:l:x",
            "arn:aws:lambda:us-east-1:000000000000:function:l:1",
            "arn:aws:lambda:::awslayer:Thing",
            "arn:aws:s3:us-east-1:000000000000:layer:l:1",
        ] {
            assert!(LayerRef::parse_version_arn(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_layers_name_has_its_limits() {
        assert!("l".repeat(140).parse::<LayerName>().is_ok());
        for bad in ["", "a.b", "a:b", &"l".repeat(141)] {
            assert!(bad.parse::<LayerName>().is_err(), "{bad}");
        }
    }
}
