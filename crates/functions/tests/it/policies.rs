use functions::{Error, NewAlias, Policy, Principal, Statement};
use model::{FunctionRef, Qualifier};

use crate::world::World;

fn statement(id: &str) -> Statement {
    Statement {
        id: id.to_owned(),
        principal: Principal::Service("s3.amazonaws.com".to_owned()),
        action: "lambda:InvokeFunction".to_owned(),
        conditions: Vec::new(),
        written: None,
    }
}

fn ids(policy: &Policy) -> Vec<&str> {
    policy.statements.iter().map(|s| s.id.as_str()).collect()
}

async fn add(w: &World, f: &FunctionRef, id: &str) -> Result<(), Error> {
    w.functions
        .add_permission(f, statement(id), None, |_| Ok(()))
        .await
}

fn named(f: &FunctionRef, qualifier: &str) -> FunctionRef {
    f.with_qualifier(Some(qualifier.parse::<Qualifier>().unwrap()))
}

#[tokio::test]
async fn statements_come_and_go_with_new_revisions() {
    let w = World::new().await;
    let f = w.active("f").await;
    assert!(w.functions.policy(&f).is_none());
    add(&w, &f, "b").await.unwrap();
    add(&w, &f, "a").await.unwrap();
    let policy = w.functions.policy(&f).unwrap();
    assert_eq!(ids(&policy), ["b", "a"]);
    assert!(matches!(add(&w, &f, "a").await, Err(Error::StatementExists { id }) if id == "a"));
    let remove = |id: &str, revision: Option<&str>| {
        w.functions
            .remove_permission(&f, id.to_owned(), revision.map(str::to_owned))
    };
    assert!(matches!(
        remove("x", None).await,
        Err(Error::NoSuchStatement { .. })
    ));
    assert!(matches!(
        remove("a", Some("x")).await,
        Err(Error::PolicyRevisionDiffers)
    ));
    remove("b", Some(&policy.revision)).await.unwrap();
    remove("a", None).await.unwrap();
    assert!(w.functions.policy(&f).is_none());
    assert!(matches!(remove("a", None).await, Err(Error::NoPolicy)));
}

#[tokio::test]
async fn a_function_its_versions_and_its_aliases_have_policies_of_their_own() {
    let w = World::new().await;
    let f = w.active("f").await;
    w.publish(&f).await;
    let live = NewAlias {
        name: "live".parse().unwrap(),
        version: None,
        description: String::new(),
        weight: None,
    };
    let alias = w.functions.create_alias(&f, live).await.unwrap();
    for (at, id) in [(&f, "whole"), (&named(&f, "1"), "one")] {
        add(&w, at, id).await.unwrap();
    }
    let revision = Some(alias.revision.clone());
    let at = named(&f, "live");
    w.functions
        .add_permission(&at, statement("live"), revision, |_| Ok(()))
        .await
        .unwrap();
    assert!(matches!(
        add(&w, &named(&f, "2"), "x").await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        add(&w, &named(&f, "none"), "x").await,
        Err(Error::AliasNotFound { .. })
    ));
    let w = w.killed().await;
    for (at, id) in [
        (f.clone(), "whole"),
        (named(&f, "1"), "one"),
        (named(&f, "live"), "live"),
    ] {
        assert_eq!(ids(&w.functions.policy(&at).unwrap()), [id]);
    }
    w.functions
        .delete_alias(&f, "live".parse().unwrap())
        .await
        .unwrap();
    w.functions.delete(&named(&f, "1")).await.unwrap();
    let w = w.killed().await;
    assert!(w.functions.policy(&named(&f, "live")).is_none());
    assert!(w.functions.policy(&named(&f, "1")).is_none());
    assert!(w.functions.policy(&f).is_some());
}

#[tokio::test]
async fn a_refused_policy_is_not_kept() {
    let w = World::new().await;
    let f = w.active("f").await;
    let refuse = |_: &Policy| Err(Error::PolicyTooLong { size: 2, max: 1 });
    assert!(
        w.functions
            .add_permission(&f, statement("a"), None, refuse)
            .await
            .is_err()
    );
    assert!(w.functions.policy(&f).is_none());
}
