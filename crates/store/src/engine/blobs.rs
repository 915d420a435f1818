use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Shared, files_error};
use crate::{Blobs, Digest, StoreError};

const FOLDER: &str = "blobs";

/// `blobs/ab/abcd…`: 256 folders keep each one small.
fn name(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("{FOLDER}/{}/{hex}", hex.get(..2).unwrap_or_default())
}

fn digest_of(bytes: &[u8]) -> Digest {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut digest = Digest([0; 32]);
    digest
        .0
        .iter_mut()
        .zip(sum.as_ref())
        .for_each(|(to, from)| *to = *from);
    digest
}

fn parse(hex: &str) -> Option<Digest> {
    if hex.len() != 64 {
        return None;
    }
    let mut digest = Digest([0; 32]);
    for (i, byte) in digest.0.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[async_trait]
impl Blobs for Shared {
    async fn put(&self, body: Bytes) -> Result<Digest, StoreError> {
        self.with_files(move |files| {
            let digest = digest_of(&body);
            let name = name(&digest);
            if !files.contains(&name).map_err(|e| files_error(&e))? {
                files.write(&name, &body).map_err(|e| files_error(&e))?;
            }
            Ok(digest)
        })
        .await
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        let digest = *digest;
        self.with_files(move |files| {
            let body = match files.read(&name(&digest)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(StoreError::NoSuchBlob(digest));
                }
                other => other.map_err(|e| files_error(&e))?,
            };
            if digest_of(&body) != digest {
                return Err(StoreError::Damaged(format!("blob {digest}").into()));
            }
            Ok(body)
        })
        .await
    }

    async fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        let name = name(digest);
        self.with_files(move |files| files.contains(&name).map_err(|e| files_error(&e)))
            .await
    }

    async fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        let name = name(digest);
        self.with_files(move |files| files.remove(&name).map_err(|e| files_error(&e)))
            .await
    }

    async fn list(&self) -> Result<Vec<Digest>, StoreError> {
        self.with_files(|files| {
            let names = files.list(FOLDER).map_err(|e| files_error(&e))?;
            let mut digests: Vec<Digest> = names
                .iter()
                .filter_map(|name| parse(name.rsplit('/').next()?))
                .collect();
            digests.sort_unstable();
            Ok(digests)
        })
        .await
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        self.files.path(&name(digest))
    }
}
