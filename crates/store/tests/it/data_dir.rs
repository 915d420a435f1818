//! What only a folder of this machine can show.

use bytes::Bytes;
use redb::{Database, TableDefinition};
use store::embedded::{self, EmbeddedConfig};
use store::{Expect, Key, Op, Space, Store, StoreError};
use tasks::{Clock, Ids, Tasks};

const SPACE: Space = Space("dir");

fn config(dir: &tempfile::TempDir) -> EmbeddedConfig {
    let tasks = Tasks::new(Clock::real(), Ids::system());
    EmbeddedConfig::new(dir.path().join("data"), &tasks)
}

async fn put(store: &Store, name: &str) {
    let op = Op::Put {
        key: Key::of(&[name]),
        value: Bytes::from_static(b"value"),
        expect: Expect::Absent,
    };
    store.records.txn(SPACE, vec![op]).await.unwrap();
}

#[tokio::test]
async fn a_second_kiln_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = embedded::open(config(&dir)).unwrap();
    let refused = embedded::open(config(&dir)).err().unwrap();
    assert!(matches!(refused, StoreError::InUse(_)));
    let text = refused.to_string();
    assert!(text.contains(&*dir.path().to_string_lossy()), "{text}");
    first.close().await;
    assert!(embedded::open(config(&dir)).is_ok());
}

#[tokio::test]
async fn records_are_there_after_close_and_after_drop() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded::open(config(&dir)).unwrap();
    put(&store, "closed").await;
    store.close().await;
    drop(store);
    let store = embedded::open(config(&dir)).unwrap();
    put(&store, "dropped").await;
    drop(store);
    let store = embedded::open(config(&dir)).unwrap();
    for name in ["closed", "dropped"] {
        let found = store.records.get(SPACE, &Key::of(&[name])).await.unwrap();
        assert!(found.is_some(), "{name}");
    }
}

#[tokio::test]
async fn data_of_a_newer_kiln_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(embedded::open(config(&dir)).unwrap());
    let file = dir.path().join("data/kiln.redb");
    {
        let database = Database::open(&file).unwrap();
        let txn = database.begin_write().unwrap();
        let meta = TableDefinition::<&[u8], &[u8]>::new("meta");
        let newer = 1_000_u32.to_be_bytes();
        txn.open_table(meta)
            .unwrap()
            .insert(&b"schema"[..], &newer[..])
            .unwrap();
        txn.commit().unwrap();
    }
    let refused = embedded::open(config(&dir)).err().unwrap();
    assert!(
        matches!(refused, StoreError::Newer { found: 1_000, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("newer Kiln"));
}

#[tokio::test]
async fn unfinished_files_of_a_crash_are_cleared_at_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(embedded::open(config(&dir)).unwrap());
    let unfinished = dir.path().join("data/unfinished");
    std::fs::write(unfinished.join("7"), b"half").unwrap();
    let store = embedded::open(config(&dir)).unwrap();
    assert_eq!(std::fs::read_dir(&unfinished).unwrap().count(), 0);
    assert!(store.blobs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_blob_is_told_and_not_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded::open(config(&dir)).unwrap();
    let digest = store.blobs.put(Bytes::from_static(b"sound")).await.unwrap();
    std::fs::write(store.blobs.path(&digest).unwrap(), b"other").unwrap();
    assert!(matches!(
        store.blobs.get(&digest).await,
        Err(StoreError::Damaged(_))
    ));
}
