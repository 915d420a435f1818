use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use tasks::Ids;

use crate::StoreError;

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// Only the owner of the server reads the key.
const MODE: u32 = 0o600;

/// Keeps secrets of records unreadable on the disk: AES-256-GCM under a key in a file of its own.
///
/// Who has the store without the key file reads no secret; who has both reads all. A sealed value opens
/// only at the place that it was sealed for.
pub struct Vault(RandomizedNonceKey);

fn failed(what: &str) -> StoreError {
    StoreError::Damaged(what.into())
}

impl Vault {
    /// # Errors
    /// Fails if the machine has no cipher.
    pub fn new(key: &[u8; KEY_BYTES]) -> Result<Vault, StoreError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        key.map(Vault).map_err(|_| failed("the key of secrets"))
    }

    /// The vault whose key is in this file, which is made if it is missing.
    ///
    /// # Errors
    /// Fails if the file cannot be read or made, or holds something else.
    pub fn open(path: &Path) -> Result<Vault, StoreError> {
        let key = match read(path) {
            Ok(Some(key)) => key,
            Ok(None) => make(path).map_err(|e| at(path, &e))?,
            Err(error) => return Err(at(path, &error)),
        };
        Vault::new(&key)
    }

    /// Seals a value for a place, such as the key of its record.
    ///
    /// # Errors
    /// Fails if the machine gives no random numbers.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = plain.to_vec();
        let place = Aad::from(place.as_bytes());
        let nonce = self.0.seal_in_place_append_tag(place, &mut sealed);
        let nonce = nonce.map_err(|_| failed("a secret was not sealed"))?;
        Ok([&nonce.as_ref()[..], &sealed].concat())
    }

    /// What was sealed for this place.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is another key's, another place's, or was changed.
    pub fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let wrong = || failed("a secret does not open: it is damaged, or the key file is another");
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut plain = sealed.to_vec();
        let place = Aad::from(place.as_bytes());
        let opened = self.0.open_in_place(nonce, place, &mut plain);
        let length = opened.map_err(|_| wrong())?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

fn at(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()).into())
}

/// `None`: there is no such file.
fn read(path: &Path) -> std::io::Result<Option<[u8; KEY_BYTES]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read the key of secrets");
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let key = bytes.try_into();
    key.map(Some)
        .map_err(|_| std::io::Error::new(ErrorKind::InvalidData, "this is no key of 32 bytes"))
}

/// The key is on the disk before anything is sealed with it.
fn make(path: &Path) -> std::io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    // Not the cipher's own source: that one gathers for 20 ms before its first number, in each first start.
    Ids::system().fill(&mut key);
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(MODE);
    let mut file = options.open(&fresh)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_at_its_place_with_its_key_only() {
        let (vault, other) = (Vault::new(&[1; 32]).unwrap(), Vault::new(&[2; 32]).unwrap());
        let sealed = vault.seal("a", b"hush").unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"hush"));
        assert_ne!(sealed, vault.seal("a", b"hush").unwrap(), "never the same");
        assert_eq!(vault.unseal("a", &sealed).unwrap(), b"hush");
        assert!(vault.unseal("b", &sealed).is_err());
        assert!(other.unseal("a", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.unseal("a", &damaged).is_err(), "bit {bit}");
        }
        assert!(vault.unseal("a", b"short").is_err());
    }

    #[test]
    fn the_key_is_made_once_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let sealed = Vault::open(&path).unwrap().seal("a", b"hush").unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), MODE);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let again = Vault::open(&path).unwrap();
        assert_eq!(
            (mode(), again.unseal("a", &sealed).unwrap()),
            (MODE, b"hush".to_vec())
        );
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(Vault::open(&path), Err(StoreError::Io(_))));
    }
}
