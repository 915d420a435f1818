use serde::{Deserialize, Serialize};
use store::embedded::{self, EmbeddedConfig};
use store::{Expect, Record, Space, Store, StoreError, Table};
use tasks::{Clock, Ids, Tasks};

const SPACE: Space = Space("secrets");
const HUSH: &str = "a-secret-that-nobody-reads-on-the-disk";

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Plain(String);

impl Record for Plain {
    const KIND: &'static str = "key";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Sealed(String);

impl Record for Sealed {
    const KIND: &'static str = "key";
    const VERSION: u8 = 1;
    const IS_SECRET: bool = true;
}

fn open(folder: &tempfile::TempDir) -> Store {
    let tasks = Tasks::new(Clock::real(), Ids::seeded(1));
    embedded::open(EmbeddedConfig::new(folder.path(), &tasks)).unwrap()
}

fn files_tell(folder: &tempfile::TempDir) -> bool {
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut files = files.filter_map(|file| std::fs::read(file.unwrap().path()).ok());
    files.any(|bytes| {
        bytes
            .windows(HUSH.len())
            .any(|part| part == HUSH.as_bytes())
    })
}

#[tokio::test]
async fn a_secret_record_is_on_no_disk_in_plain_form() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let table: Table<Sealed> = Table::new(&store, SPACE);
    let value = Sealed(HUSH.to_owned());
    table.put(&["a"], &value, Expect::Absent).await.unwrap();
    assert_eq!(table.get(&["a"]).await.unwrap().unwrap().value, value);
    store.close().await;
    assert!(!files_tell(&folder));

    let store = open(&folder);
    let table: Table<Sealed> = Table::new(&store, SPACE);
    assert_eq!(table.all(&[]).await.unwrap()[0].value, value);
    store.close().await;

    // Without its key it is as good as gone, and nothing else is.
    std::fs::remove_file(folder.path().join("secret.key")).unwrap();
    let store = open(&folder);
    let table: Table<Sealed> = Table::new(&store, SPACE);
    let lost = table.get(&["a"]).await;
    assert!(matches!(lost, Err(StoreError::Damaged(_))), "{lost:?}");
    assert!(table.all(&[]).await.unwrap().is_empty());
    table.put(&["a"], &value, Expect::Any).await.unwrap();
    assert_eq!(table.get(&["a"]).await.unwrap().unwrap().value, value);
    store.close().await;
}

#[tokio::test]
async fn records_of_an_earlier_kiln_are_read_and_sealed() {
    let (store, _, _) = store::simulated::open(1);
    let earlier: Table<Plain> = Table::new(&store, SPACE);
    for name in ["a", "b"] {
        let value = Plain(name.to_owned());
        earlier.put(&[name], &value, Expect::Absent).await.unwrap();
    }
    let table: Table<Sealed> = Table::new(&store, SPACE);
    assert_eq!(table.get(&["a"]).await.unwrap().unwrap().value.0, "a");
    for _ in 0..2 {
        table.seal_all().await.unwrap();
        let rows = table.all(&[]).await.unwrap();
        let values: Vec<&str> = rows.iter().map(|row| row.value.0.as_str()).collect();
        assert_eq!(values, ["a", "b"]);
    }
    for row in table.all(&[]).await.unwrap() {
        let stored = store.records.get(SPACE, &row.key).await.unwrap();
        assert_eq!(stored.unwrap().0[0], u8::MAX, "sealed");
    }
}
