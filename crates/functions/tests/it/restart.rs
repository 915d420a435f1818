use functions::{AccountLimits, LastUpdate, State};
use model::Qualifier;

use crate::world::{World, function, new, zip};

fn version(name: &str, number: &str) -> model::FunctionRef {
    function(name).with_qualifier(Some(number.parse::<Qualifier>().unwrap()))
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let w = World::new().await;
    let f = w.active("f").await;
    w.publish(&f).await;
    w.functions
        .tag(
            &f,
            functions::TagChange::Add([("k".to_owned(), "v".to_owned())].into()),
        )
        .await
        .unwrap();
    let limits = AccountLimits {
        concurrency: 1_000,
        unreserved_min: 100,
    };
    w.functions.reserve(&f, 3, limits).await.unwrap();
    let before = w.functions.describe(&f).unwrap();
    let w = w.killed().await;
    let after = w.functions.describe(&f).unwrap();
    assert_eq!(after.deployed.revision, before.deployed.revision);
    assert_eq!(after.deployed.config, before.deployed.config);
    assert_eq!(after.deployed.last_modified, before.deployed.last_modified);
    assert_eq!((after.tags, after.reserved), (before.tags, Some(3)));
    assert!(w.functions.resolve(&version("f", "1")).is_ok());
    assert_eq!(
        w.publish(&f).await.version.to_string(),
        "1",
        "still unchanged"
    );
}

#[tokio::test]
async fn a_change_that_had_not_settled_is_settled_by_the_restart() {
    let w = World::new().await;
    w.create("fresh").await.unwrap();
    let f = w.active("f").await;
    w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    let w = w.killed().await;
    assert_eq!(
        w.functions.resolve(&function("fresh")).unwrap().state,
        State::Active
    );
    let d = w.functions.resolve(&f).unwrap();
    assert_eq!(d.last_update, Some(LastUpdate::Successful));
    assert_eq!(
        std::fs::read(d.code_dir().unwrap().join("a.py")).unwrap(),
        b"2"
    );
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let w = World::new().await;
    for n in 0..5 {
        let code = zip(&[("a.py", &n.to_string())]);
        w.functions
            .create(new(&format!("f{n}"), code))
            .await
            .unwrap();
    }
    let w = w.cut_off().await;
    for n in 0..5 {
        let d = w.functions.resolve(&function(&format!("f{n}"))).unwrap();
        let text = std::fs::read_to_string(d.code_dir().unwrap().join("a.py")).unwrap();
        assert_eq!(text, n.to_string());
    }
}

#[tokio::test]
async fn code_whose_folder_is_gone_is_unpacked_again() {
    let w = World::new().await;
    let f = w.active("f").await;
    let dir = w
        .functions
        .resolve(&f)
        .unwrap()
        .code_dir()
        .unwrap()
        .to_owned();
    std::fs::remove_dir_all(&dir).unwrap();
    let w = w.killed().await;
    assert_eq!(w.functions.resolve(&f).unwrap().state, State::Active);
    assert_eq!(std::fs::read(dir.join("a.py")).unwrap(), b"1");
}

#[tokio::test]
async fn code_that_is_lost_fails_its_function_and_nothing_else() {
    let w = World::new().await;
    let lost = w.active("lost").await;
    w.functions
        .create(new("kept", zip(&[("a.py", "other")])))
        .await
        .unwrap();
    let code = w.functions.resolve(&lost).unwrap().code.clone();
    std::fs::remove_dir_all(code.dir().unwrap()).unwrap();
    w.store().blobs.delete(&code.digest()).await.unwrap();
    let w = w.killed().await;
    assert!(matches!(
        w.functions.resolve(&lost).unwrap().state,
        State::Failed(_)
    ));
    assert_eq!(
        w.functions.resolve(&function("kept")).unwrap().state,
        State::Active
    );
}

#[tokio::test]
async fn leftovers_of_a_deleted_function_do_not_join_its_successor() {
    let w = World::new().await;
    let f = w.active("f").await;
    w.publish(&f).await;
    let (space, all) = (store::Space("lambda"), store::Key::prefix(&["version"]));
    let versions = w.store().records.scan(space, &all, None, 10).await.unwrap();
    w.functions.delete(&f).await.unwrap();
    // As if the process had died before it removed them.
    for (key, value, _) in versions {
        let expect = store::Expect::Absent;
        let put = store::Op::Put { key, value, expect };
        w.store().records.txn(space, vec![put]).await.unwrap();
    }
    w.active("f").await;
    let w = w.killed().await;
    assert!(w.functions.resolve(&version("f", "1")).is_err());
    assert_eq!(w.publish(&f).await.version.to_string(), "2");
    let w = w.killed().await;
    let left = w.store().records.scan(space, &all, None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_store_that_fails_changes_nothing() {
    let w = World::new().await;
    let f = w.active("f").await;
    let before = w.functions.describe(&f).unwrap().deployed;
    w.disk.power_off_at(w.disk.operations() + 1);
    assert!(w.describe_as(&f, "x").await.is_err());
    assert!(w.create("g").await.is_err());
    let after = w.functions.describe(&f).unwrap().deployed;
    assert_eq!(after.revision, before.revision);
    assert!(!w.functions.exists(&function("g")));
}
