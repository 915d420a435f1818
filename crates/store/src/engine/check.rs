//! Looks at all stored values once, at the start: damage is told before somebody needs the value.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::seal::{Damage, unseal};
use super::tables::{ALL, Which, io_error};
use crate::StoreError;

/// Values that one check looks at; of a larger store it sees the first ones of each table.
const VALUES_MAX: u64 = 100_000;

pub(crate) fn view(database: &Database) -> Result<ReadTransaction, StoreError> {
    database.begin_read().map_err(io_error)
}

/// Whether values are whole, keys are in order and can be looked up, and none is missing.
pub(crate) fn check(view: &ReadTransaction, damage: &Damage) {
    for which in ALL {
        if let Err(error) = check_table(view, which, damage) {
            damage.note(format!("{}: {error}", which.name()));
        }
    }
}

fn check_table(view: &ReadTransaction, which: Which, damage: &Damage) -> Result<(), redb::Error> {
    let table = view.open_table(which.definition())?;
    let (mut count, mut last) = (0, None);
    for pair in table.iter()? {
        let (key, value) = pair?;
        let key = key.value();
        count += 1;
        if count > VALUES_MAX {
            return Ok(());
        }
        let is_found = table.get(key)?.is_some();
        let is_in_order = last.as_deref().is_none_or(|last: &[u8]| last < key);
        if !is_found || !is_in_order || unseal(which, key, value.value()).is_none() {
            damage.value(which, key);
        }
        last = Some(key.to_vec());
    }
    let expected = table.len()?;
    if count != expected {
        damage.note(format!("{}: {count} values of {expected}", which.name()));
    }
    Ok(())
}
