use model::{AliasName, Published};
use store::StoreError;

use crate::records::{AliasRecord, damaged};

/// A name that points to one version, or to two with a weight.  [Lambda API: AliasConfiguration]
#[derive(Clone, PartialEq, Debug)]
pub struct Alias {
    pub name: AliasName,
    /// `None`: `$LATEST`.
    pub version: Option<Published>,
    pub description: String,
    pub revision: String,
    /// The second version and the share of calls that it gets.
    pub weight: Option<(Published, f64)>,
}

impl Alias {
    /// The version for one call; `None`: `$LATEST`. `draw` gives a number in `0.0 .. 1.0`.
    pub(crate) fn pick(&self, draw: impl FnOnce() -> f64) -> Option<Published> {
        match self.weight {
            Some((second, share)) if draw() < share => Some(second),
            _ => self.version,
        }
    }
}

impl TryFrom<AliasRecord> for Alias {
    type Error = StoreError;
    fn try_from(record: AliasRecord) -> Result<Alias, StoreError> {
        let weight = match record.weight {
            Some((number, share)) => {
                let second = Published::from_number(number).ok_or_else(|| damaged("alias"))?;
                Some((second, share))
            }
            None => None,
        };
        Ok(Alias {
            name: record.name.parse().map_err(|_| damaged("alias name"))?,
            version: Published::from_number(record.version),
            description: record.description,
            revision: record.revision,
            weight,
        })
    }
}

impl AliasRecord {
    /// `born`: the first version number of the function that the alias belongs to.
    pub(crate) fn of(alias: &Alias, born: u32) -> AliasRecord {
        AliasRecord {
            name: alias.name.to_string(),
            version: alias.version.map_or(0, Published::number),
            description: alias.description.clone(),
            revision: alias.revision.clone(),
            weight: alias.weight.map(|(n, share)| (n.number(), share)),
            born,
        }
    }
}
