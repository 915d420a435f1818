use functions::{AliasChange, Error, NewAlias};
use model::{FunctionRef, Published, Qualifier};

use crate::world::{World, zip};

fn number(n: u32) -> Published {
    Published::from_number(n).unwrap()
}

fn named(f: &FunctionRef, alias: &str) -> FunctionRef {
    f.with_qualifier(Some(alias.parse::<Qualifier>().unwrap()))
}

fn new(name: &str, version: u32) -> NewAlias {
    NewAlias {
        name: name.parse().unwrap(),
        version: Published::from_number(version),
        description: String::new(),
        weight: None,
    }
}

/// `f` with versions 1 and 2.
async fn two_versions(w: &World) -> FunctionRef {
    let f = w.active("f").await;
    w.publish(&f).await;
    w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    w.settle("f").await;
    w.publish(&f).await;
    f
}

#[tokio::test]
async fn an_alias_leads_to_its_version_and_can_be_moved() {
    let w = World::new().await;
    let f = two_versions(&w).await;
    let live = named(&f, "live");
    let runs = || w.functions.resolve(&live).unwrap().version.to_string();
    let made = w.functions.create_alias(&f, new("live", 1)).await.unwrap();
    assert_eq!(runs(), "1");
    let to_two = AliasChange {
        version: Some(Some(number(2))),
        ..AliasChange::default()
    };
    let moved = w
        .functions
        .update_alias(&f, made.name.clone(), to_two)
        .await
        .unwrap();
    assert_eq!(runs(), "2");
    assert_ne!(moved.revision, made.revision);
    let to_latest = AliasChange {
        version: Some(None),
        revision: Some(moved.revision.clone()),
        ..AliasChange::default()
    };
    w.functions
        .update_alias(&f, made.name.clone(), to_latest.clone())
        .await
        .unwrap();
    assert_eq!(runs(), "$LATEST");
    let stale = w
        .functions
        .update_alias(&f, made.name.clone(), to_latest)
        .await;
    assert!(matches!(stale, Err(Error::RevisionDiffers)));
    w.functions
        .delete_alias(&f, made.name.clone())
        .await
        .unwrap();
    w.functions
        .delete_alias(&f, made.name.clone())
        .await
        .unwrap();
    assert!(w.functions.resolve(&live).is_err());
}

#[tokio::test]
async fn an_alias_needs_a_free_name_and_versions_that_exist() {
    let w = World::new().await;
    let f = two_versions(&w).await;
    w.functions.create_alias(&f, new("live", 1)).await.unwrap();
    let again = w.functions.create_alias(&f, new("live", 2)).await;
    assert!(matches!(again, Err(Error::AliasExists { arn }) if arn.ends_with(":f:live")));
    let missing = w
        .functions
        .create_alias(&f, new("next", 9))
        .await
        .unwrap_err();
    assert_eq!(missing.to_string(), format!("Function not found: {f}:9"));
    let half = NewAlias {
        weight: Some((number(9), 0.5)),
        ..new("next", 1)
    };
    assert!(w.functions.create_alias(&f, half).await.is_err());
}

#[tokio::test]
async fn weights_split_the_calls() {
    let w = World::new().await;
    let f = two_versions(&w).await;
    let tenth = NewAlias {
        weight: Some((number(2), 0.1)),
        ..new("canary", 1)
    };
    w.functions.create_alias(&f, tenth).await.unwrap();
    let canary = named(&f, "canary");
    let twos = (0..10_000)
        .filter(|_| w.functions.resolve(&canary).unwrap().version.to_string() == "2")
        .count();
    assert!((850..1_150).contains(&twos), "{twos} of 10000");
    for _ in 0..100 {
        let shown = w.functions.describe(&canary).unwrap().deployed;
        assert_eq!(shown.version.to_string(), "1", "reading is not split");
    }
}

#[tokio::test]
async fn a_version_stays_while_an_alias_leads_to_it() {
    let w = World::new().await;
    let f = two_versions(&w).await;
    let both = NewAlias {
        weight: Some((number(2), 0.5)),
        ..new("live", 1)
    };
    w.functions.create_alias(&f, both).await.unwrap();
    for version in ["1", "2"] {
        let gone = w.functions.delete(&named(&f, version)).await;
        assert!(matches!(gone, Err(Error::UsedByAliases { aliases }) if aliases == ["live"]));
    }
}

#[tokio::test]
async fn aliases_live_as_long_as_their_function() {
    let w = World::new().await;
    let f = two_versions(&w).await;
    w.functions.create_alias(&f, new("live", 1)).await.unwrap();
    w.functions.create_alias(&f, new("head", 0)).await.unwrap();
    let w = w.killed().await;
    assert_eq!(w.functions.list_aliases(&f).unwrap().len(), 2);
    assert_eq!(
        w.functions
            .resolve(&named(&f, "live"))
            .unwrap()
            .version
            .to_string(),
        "1"
    );
    w.functions.delete(&f).await.unwrap();
    w.active("f").await;
    assert!(w.functions.list_aliases(&f).unwrap().is_empty());
    let w = w.killed().await;
    assert!(w.functions.list_aliases(&f).unwrap().is_empty());
}
