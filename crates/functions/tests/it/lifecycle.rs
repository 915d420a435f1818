use functions::{Change, Error, LastUpdate, NewFunction, NewVersion, State};
use model::{FunctionRef, Published, Qualifier, Version};

use crate::world::{SETTLE, World, function, new, new_code, set_description, zip};

fn qualified(f: &FunctionRef, qualifier: &str) -> FunctionRef {
    f.with_qualifier(Some(qualifier.parse().unwrap()))
}

#[tokio::test]
async fn a_new_function_is_pending_until_it_settles() {
    let w = World::new().await;
    let created = w.create("f").await.unwrap();
    assert_eq!(
        (&created.state, created.last_update),
        (&State::Pending, None)
    );
    assert_eq!(
        w.functions.resolve(&function("f")).unwrap().state,
        State::Pending
    );
    w.settle("f").await;
    let active = w.functions.resolve(&function("f")).unwrap();
    assert_eq!(active.last_update, Some(LastUpdate::Successful));
    assert_ne!(active.revision, created.revision);
    assert_eq!(active.generation, created.generation);
    assert_eq!(
        std::fs::read(active.code_dir().unwrap().join("a.py")).unwrap(),
        b"1"
    );
}

#[tokio::test]
async fn whoever_needs_a_pending_function_makes_it_ready() {
    let w = World::new().await;
    w.create("f").await.unwrap();
    let ready = w.functions.resolve_ready(&function("f")).await.unwrap();
    assert_eq!(ready.state, State::Active);
}

#[tokio::test]
async fn a_name_is_taken_once_in_each_account_and_region() {
    let w = World::new().await;
    w.create("f").await.unwrap();
    assert!(matches!(w.create("f").await, Err(Error::Exists { name }) if name == "f"));
    for other in [
        "arn:aws:lambda:us-east-1:111111111111:function:f",
        "arn:aws:lambda:eu-west-1:000000000000:function:f",
    ] {
        let there = NewFunction {
            function: function(other),
            ..new("f", zip(&[("a.py", "1")]))
        };
        w.functions.create(there).await.unwrap();
        let f = function(other);
        assert_eq!(w.functions.list(&f.account, &f.region, None, 10).len(), 1);
    }
}

#[tokio::test]
async fn former_code_runs_until_an_update_settles() {
    let w = World::new().await;
    let f = w.active("f").await;
    let mut changes = w.functions.changes();
    let before = w.functions.resolve(&f).unwrap();
    let updated = w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    assert!(updated.is_updating());
    assert_eq!(
        w.functions.resolve(&f).unwrap().generation,
        before.generation
    );
    assert_eq!(
        w.functions.describe(&f).unwrap().deployed.revision,
        updated.revision
    );
    w.settle("f").await;
    let after = w.functions.resolve(&f).unwrap();
    assert_eq!(after.generation, updated.generation);
    assert_ne!(after.revision, updated.revision);
    assert!(
        matches!(changes.recv().await, Ok(Change::Retired(d)) if d.generation == before.generation)
    );
    assert!(
        matches!(changes.recv().await, Ok(Change::Live(d)) if d.generation == after.generation)
    );
    assert!(!w.functions.is_current(&before) && w.functions.is_current(&after));
}

#[tokio::test]
async fn one_update_at_a_time() {
    let w = World::new().await;
    let f = w.active("f").await;
    w.describe_as(&f, "one").await.unwrap();
    let second = w.describe_as(&f, "two").await;
    assert!(matches!(second, Err(Error::UpdateInProgress { .. })));
    let publish = w.functions.publish_version(&f, NewVersion::default()).await;
    assert!(matches!(publish, Err(Error::UpdateInProgress { .. })));
    w.settle("f").await;
    w.describe_as(&f, "two").await.unwrap();
}

#[tokio::test]
async fn a_pending_function_cannot_be_updated() {
    let w = World::new().await;
    w.create("f").await.unwrap();
    let update = w.describe_as(&function("f"), "x").await;
    assert!(matches!(
        update,
        Err(Error::NotReady {
            state: "Pending",
            ..
        })
    ));
}

#[tokio::test]
async fn a_refused_update_leaves_no_claim_behind() {
    let w = World::new().await;
    let f = w.active("f").await;
    assert!(w.update(&f, "no zip".into()).await.is_err());
    let stale = Some("other");
    let edit = w
        .functions
        .update_configuration(&f, stale, set_description("x"))
        .await;
    assert!(matches!(edit, Err(Error::RevisionDiffers)));
    let refuse = |_: &mut functions::Config| Err(Error::Refused("no".to_owned()));
    assert!(
        w.functions
            .update_configuration(&f, None, refuse)
            .await
            .is_err()
    );
    w.describe_as(&f, "x").await.unwrap();
}

#[tokio::test]
async fn versions_are_frozen_and_numbered() {
    let w = World::new().await;
    let f = w.active("f").await;
    let one = w.publish(&f).await;
    assert_eq!(one.version, Version::Published(Published::FIRST));
    assert_eq!(
        w.publish(&f).await.revision,
        one.revision,
        "nothing changed"
    );
    w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    w.settle("f").await;
    let two = w.publish(&f).await;
    assert_eq!(two.version.to_string(), "2");
    let again = w.functions.resolve(&qualified(&f, "1")).unwrap();
    assert_eq!(again.generation, one.generation);
    assert_eq!(
        std::fs::read(again.code_dir().unwrap().join("a.py")).unwrap(),
        b"1"
    );
    let all = w.functions.list_versions(&f).unwrap();
    let numbers: Vec<String> = all.iter().map(|d| d.version.to_string()).collect();
    assert_eq!(numbers, ["$LATEST", "1", "2"]);
}

#[tokio::test]
async fn a_version_may_have_its_own_description() {
    let w = World::new().await;
    let f = w.active("f").await;
    let named = NewVersion {
        description: Some("mine".to_owned()),
        ..NewVersion::default()
    };
    let one = w.functions.publish_version(&f, named).await.unwrap();
    assert_eq!(one.config.description, "mine");
    assert_eq!(
        w.publish(&f).await.version,
        one.version,
        "$LATEST is still what it was"
    );
    w.describe_as(&f, "changed").await.unwrap();
    w.settle("f").await;
    assert_eq!(w.publish(&f).await.version.to_string(), "2");
}

#[tokio::test]
async fn publishing_is_guarded() {
    let w = World::new().await;
    let f = w.active("f").await;
    let guarded = |sha: Option<&str>, revision: Option<&str>| NewVersion {
        code_sha256: sha.map(str::to_owned),
        revision: revision.map(str::to_owned),
        description: None,
    };
    let wrong_sha = w
        .functions
        .publish_version(&f, guarded(Some("x"), None))
        .await;
    assert!(matches!(wrong_sha, Err(Error::CodeSha256Differs { given, .. }) if given == "x"));
    let wrong_revision = w
        .functions
        .publish_version(&f, guarded(None, Some("x")))
        .await;
    assert!(matches!(wrong_revision, Err(Error::RevisionDiffers)));
    let latest = w.functions.describe(&f).unwrap().deployed;
    let right = guarded(Some(&latest.code.sha256()), Some(&latest.revision));
    w.functions.publish_version(&f, right).await.unwrap();
}

#[tokio::test]
async fn create_and_update_can_publish() {
    let w = World::new().await;
    let first = NewFunction {
        publish: true,
        ..new("f", zip(&[("a.py", "1")]))
    };
    let one = w.functions.create(first).await.unwrap();
    assert_eq!(
        (one.version.to_string().as_str(), &one.state),
        ("1", &State::Pending)
    );
    w.settle("f").await;
    let f = function("f");
    assert_eq!(
        w.functions.resolve(&qualified(&f, "1")).unwrap().state,
        State::Active
    );
    assert_eq!(w.publish(&f).await.version, one.version);
    let code = functions::NewCode {
        publish: true,
        ..new_code(zip(&[("a.py", "2")]))
    };
    let two = w.functions.update_code(&f, code).await.unwrap();
    assert_eq!(
        (two.version.to_string().as_str(), &two.state),
        ("2", &State::Pending)
    );
    w.settle("f").await;
    assert_eq!(
        w.functions.resolve(&qualified(&f, "2")).unwrap().revision,
        two_settled(&w, &f)
    );
}

fn two_settled(w: &World, f: &FunctionRef) -> String {
    w.functions
        .describe(&qualified(f, "2"))
        .unwrap()
        .deployed
        .revision
        .clone()
}

#[tokio::test]
async fn numbers_are_never_used_again() {
    let w = World::new().await;
    let f = w.active("f").await;
    w.publish(&f).await;
    w.functions.delete(&qualified(&f, "1")).await.unwrap();
    assert!(w.functions.resolve(&qualified(&f, "1")).is_err());
    assert_eq!(w.publish(&f).await.version.to_string(), "2");
    w.functions.delete(&f).await.unwrap();
    assert!(w.functions.resolve(&f).is_err());
    assert!(w.functions.resolve(&qualified(&f, "2")).is_err());
    let f = w.active("f").await;
    assert_eq!(w.publish(&f).await.version.to_string(), "3");
}

#[tokio::test]
async fn a_name_without_version_is_told_as_the_caller_wrote_it() {
    let w = World::new().await;
    let f = w.active("f").await;
    for qualifier in ["7", "live"] {
        let error = w.functions.resolve(&qualified(&f, qualifier)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Function not found: {f}:{qualifier}")
        );
    }
    assert!(
        w.functions
            .resolve(&f.with_qualifier(Some(Qualifier::Latest)))
            .is_ok()
    );
}

#[tokio::test]
async fn tags_are_counted_and_change_the_revision() {
    let w = World::new().await;
    let f = w.active("f").await;
    let before = w.functions.describe(&f).unwrap().deployed.clone();
    let tags = |n: usize| (0..n).map(|i| (format!("k{i}"), "v".to_owned())).collect();
    assert!(matches!(
        w.functions
            .tag(&f, functions::TagChange::Add(tags(51)))
            .await,
        Err(Error::TooManyTags { max: 50 })
    ));
    w.functions
        .tag(&f, functions::TagChange::Add(tags(50)))
        .await
        .unwrap();
    let gone = functions::TagChange::Remove(vec!["k0".to_owned(), "none".to_owned()]);
    w.functions.tag(&f, gone).await.unwrap();
    let after = w.functions.describe(&f).unwrap();
    assert_eq!(after.tags.len(), 49);
    assert_ne!(after.deployed.revision, before.revision);
    assert_eq!(
        after.deployed.generation, before.generation,
        "environments stay"
    );
}

#[tokio::test]
async fn functions_are_listed_in_pages_by_name() {
    let w = World::new().await;
    for name in ["b", "a", "c", "A-1"] {
        w.create(name).await.unwrap();
    }
    let f = function("a");
    let list = |after: Option<&str>, max| {
        let after = after.map(|a| a.parse().unwrap());
        let page = w.functions.list(&f.account, &f.region, after.as_ref(), max);
        page.iter()
            .map(|d| d.function.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None, 3), ["A-1", "a", "b"]);
    assert_eq!(list(Some("b"), 3), ["c"]);
    assert_eq!(w.functions.usage(&f.account, &f.region).functions, 4);
}

/// The settler's line has an end; who waits for a place in it must not keep the settler from working.
#[tokio::test]
async fn more_functions_than_can_wait_to_settle_are_created_at_once() {
    const MANY: usize = 1_400;
    const IDLE_MAX: usize = 100;
    let w = World::new().await;
    let code = zip(&[("a.py", "1")]);
    let mut creates = tokio::task::JoinSet::new();
    for number in 0..MANY {
        let (functions, new) = (
            w.functions.clone(),
            new(&format!("f{number}"), code.clone()),
        );
        creates.spawn(async move { functions.create(new).await });
    }
    let mut idle = 0;
    while !creates.is_empty() {
        let moment = std::time::Duration::from_millis(50);
        match tokio::time::timeout(moment, creates.join_next()).await {
            Ok(created) => drop(created.unwrap().unwrap().unwrap()),
            Err(_) => {
                idle += 1;
                w.clock.advance(SETTLE);
            }
        }
        assert!(idle < IDLE_MAX, "{} creates never end", creates.len());
    }
    assert!(idle > 0, "the line was never full");
}

#[tokio::test]
async fn more_functions_than_the_settler_queues_can_be_made_at_once() {
    let w = World::new().await;
    let code = zip(&[("a.py", "1")]);
    for n in 0..1_100 {
        let new = new(&format!("f{n}"), code.clone());
        let mut made = Box::pin(w.functions.create(new));
        loop {
            tokio::select! {
                biased;
                made = &mut made => break drop(made.unwrap()),
                () = tokio::task::yield_now() => {}
            }
            if n > 1_000 {
                w.clock.advance(crate::world::SETTLE);
            }
        }
    }
    w.settle("f1099").await;
}

#[tokio::test]
async fn an_update_that_waits_sees_what_came_before_it() {
    let w = World::new().await;
    let f = w.active("f").await;
    let seen = w.functions.describe(&f).unwrap().deployed.revision.clone();
    let tags = [("k".to_owned(), "v".to_owned())].into();
    let edit = |_: &mut functions::Config| Ok(());
    // The first has the function's lock when the second, which saw the same state, comes.
    let (tagged, updated) = tokio::join!(
        w.functions.tag(&f, functions::TagChange::Add(tags)),
        w.functions.update_configuration(&f, Some(&seen), edit),
    );
    tagged.unwrap();
    assert!(
        matches!(updated, Err(Error::RevisionDiffers)),
        "{updated:?}"
    );
}

#[tokio::test]
async fn a_version_that_nobody_calls_falls_asleep_and_its_next_call_wakes_it() {
    const LONG: std::time::Duration = std::time::Duration::from_secs(100);
    let w = World::whose_functions_sleep(Some(LONG)).await;
    let (f, other) = (w.active("f").await, w.active("other").await);
    let called = |f| w.functions.resolve_call(f).unwrap().deployed.state.clone();
    let shown = |f| w.functions.describe(f).unwrap().deployed.state.clone();
    w.clock.advance(LONG / 2);
    assert_eq!((called(&f), shown(&other)), (State::Active, State::Active));
    w.clock.advance(LONG / 2);
    assert_eq!((shown(&f), shown(&other)), (State::Active, State::Inactive));
    // To look at it does not wake it; a call does, and is refused itself.
    assert_eq!(shown(&other), State::Inactive);
    assert_eq!(called(&other), State::Inactive);
    assert_eq!(
        (called(&other), shown(&other)),
        (State::Active, State::Active)
    );
    w.clock.advance(LONG);
    assert_eq!(shown(&f), State::Inactive);
    // A change is a use as well.
    w.describe_as(&f, "changed").await.unwrap();
    w.settle("f").await;
    assert_eq!(called(&f), State::Active);
}
