//! A sum behind every stored value, so that no damaged one is taken for truth.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::tables::{Failure, SCHEMA_KEY, Which};
use crate::StoreError;

/// Bytes of the sum behind a value.
const SUM_BYTES: usize = 4;
/// Damaged values whose names are kept.
const NAMES_MAX: usize = 1_000;
/// Bytes of a key that a name shows.
const SHOWN_BYTES_MAX: usize = 200;

/// The sum covers table and key too: a value that came to another place is not taken either.
fn sum(which: Which, key: &[u8], value: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[which as u8]);
    sum.update(key);
    sum.update(value);
    sum.finalize().to_be_bytes()
}

/// Older programs must be able to read the schema.
fn is_plain(which: Which, key: &[u8]) -> bool {
    which == Which::Meta && key == SCHEMA_KEY
}

pub(crate) fn seal(which: Which, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(value.len() + SUM_BYTES);
    sealed.extend_from_slice(value);
    if !is_plain(which, key) {
        sealed.extend_from_slice(&sum(which, key, value));
    }
    sealed
}

/// The value, unless it is damaged.
pub(crate) fn unseal<'v>(which: Which, key: &[u8], sealed: &'v [u8]) -> Option<&'v [u8]> {
    if is_plain(which, key) {
        return Some(sealed);
    }
    let (value, found) = sealed.split_at_checked(sealed.len().checked_sub(SUM_BYTES)?)?;
    (found == sum(which, key, value)).then_some(value)
}

/// What was found damaged since the start.
#[derive(Default, Debug)]
pub(crate) struct Damage(Mutex<BTreeSet<String>>);

impl Damage {
    pub(crate) fn value(&self, which: Which, key: &[u8]) -> StoreError {
        let shown = key.get(..SHOWN_BYTES_MAX).unwrap_or(key);
        let name = format!("{}: {}", which.name(), shown.escape_ascii());
        self.note(name.clone());
        StoreError::Damaged(name.into())
    }

    /// Each name is told once.
    pub(crate) fn note(&self, name: String) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES_MAX && names.insert(name.clone()) {
            tracing::error!(name, "stored bytes are damaged; the rest stays in use");
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().cloned().collect()
    }
}

/// A damaged value counts as none; it was told.
pub(crate) fn whole<T>(read: Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Err(Failure::Refused(StoreError::Damaged(_))) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bit_that_turns_over_is_seen() {
        let sealed = seal(Which::Records, b"key", b"value");
        let open = |sealed: &[u8]| unseal(Which::Records, b"key", sealed).map(<[u8]>::to_vec);
        assert_eq!(open(&sealed).unwrap(), b"value");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&damaged), None, "bit {bit}");
        }
        assert_eq!(unseal(Which::Records, b"kez", &sealed), None);
        assert_eq!(unseal(Which::QueueBody, b"key", &sealed), None);
        assert_eq!(open(b"abc"), None);
    }
}
