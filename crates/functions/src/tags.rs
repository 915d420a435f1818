use std::collections::BTreeMap;

use crate::Error;

/// Most tags of one resource.  [Lambda API: TagResource]
pub(crate) const TAGS_MAX: usize = 50;

/// A change of the tags of one resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagChange {
    /// Adds and replaces.
    Add(BTreeMap<String, String>),
    /// Removes by key; one that is not there is fine.
    Remove(Vec<String>),
}

impl TagChange {
    pub(crate) fn apply(self, tags: &mut BTreeMap<String, String>) -> Result<(), Error> {
        match self {
            TagChange::Add(more) => tags.extend(more),
            TagChange::Remove(keys) => keys.iter().for_each(|key| drop(tags.remove(key))),
        }
        check(tags)
    }
}

/// Refuses more tags than a resource may have.
pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    match tags.len() > TAGS_MAX {
        true => Err(Error::TooManyTags { max: TAGS_MAX }),
        false => Ok(()),
    }
}
