//! Code of functions: checked before anything is kept, unpacked once per digest.

mod archive;
mod merge;
mod store;
mod sweep;
mod unpack;

use std::fmt;
use std::path::{Path, PathBuf};

use ::store::{Digest, StoreError};
use base64::Engine;

pub use archive::UNZIPPED_MAX;
pub(crate) use store::CodeStore;
pub(crate) use sweep::Sweeper;

/// One package of code, or several merged into one. Its files stay on disk as long as a value of it lives.
#[derive(Debug)]
pub struct Code {
    digest: Digest,
    bytes: u64,
    dir: PathBuf,
}

impl Code {
    /// What lies in a folder of the user's; `digest` tells its states apart.
    pub(crate) fn of_folder(digest: Digest, dir: PathBuf) -> Code {
        Code {
            digest,
            bytes: 0,
            dir,
        }
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Size of the zip; zero for a merge.  [Lambda API: CodeSize]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Base64 of the zip's SHA-256.  [Lambda API: CodeSha256]
    pub fn sha256(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.digest.0)
    }

    /// Where its files are.
    pub fn dir(&self) -> Option<&Path> {
        Some(&self.dir)
    }
}

/// Why a zip was refused, or could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// No zip, a damaged one, or one that holds what no function may hold.
    #[error("not a usable zip: {0}")]
    BadZip(BadZip),
    /// A zip without entries.
    #[error("the zip is empty")]
    EmptyZip,
    #[error("unzipped size is over {max} bytes")]
    UnzippedTooLarge { max: u64 },
    #[error("writing code failed")]
    Io(#[from] std::io::Error),
    #[error("storage failed")]
    Store(#[from] StoreError),
    #[error("shutting down")]
    ShuttingDown,
}

/// What is wrong with a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadZip(pub(crate) String);

impl fmt::Display for BadZip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
