use bytes::Bytes;
use tasks::ClockControl;

use crate::{Digest, Store, StoreError};

pub async fn a_blob_is_named_by_its_digest_and_read_back(store: Store, _: ClockControl) {
    let abc = store.blobs.put(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(
        abc.to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        store.blobs.put(Bytes::from_static(b"abc")).await.unwrap(),
        abc
    );
    let large = Bytes::from(vec![9; 3 << 20]);
    let other = store.blobs.put(large.clone()).await.unwrap();
    assert_eq!(&store.blobs.get(&abc).await.unwrap()[..], b"abc");
    assert!(store.blobs.get(&other).await.unwrap() == large);
    assert!(store.blobs.contains(&abc).await.unwrap());
    let mut all = vec![abc, other];
    all.sort_unstable();
    assert_eq!(store.blobs.list().await.unwrap(), all);
    if let Some(path) = store.blobs.path(&abc) {
        assert_eq!(std::fs::read(path).unwrap(), b"abc");
    }
}

pub async fn a_blob_that_is_not_there_says_so(store: Store, _: ClockControl) {
    let digest = Digest([7; 32]);
    let missing = store.blobs.get(&digest).await;
    assert!(matches!(missing, Err(StoreError::NoSuchBlob(d)) if d == digest));
    assert!(!store.blobs.contains(&digest).await.unwrap());
    assert!(store.blobs.list().await.unwrap().is_empty());
}

pub async fn a_deleted_blob_is_gone(store: Store, _: ClockControl) {
    let digest = store.blobs.put(Bytes::from_static(b"x")).await.unwrap();
    store.blobs.delete(&digest).await.unwrap();
    store.blobs.delete(&digest).await.unwrap();
    assert!(!store.blobs.contains(&digest).await.unwrap());
    assert_eq!(
        store.blobs.put(Bytes::from_static(b"x")).await.unwrap(),
        digest
    );
    assert!(store.blobs.get(&digest).await.is_ok());
}
