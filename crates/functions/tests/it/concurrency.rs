use functions::{AccountLimits, AliasChange, Change, Error, NewAlias};
use model::{FunctionRef, Published, Qualifier};

use crate::world::{World, function, zip};

const LIMITS: AccountLimits = AccountLimits {
    concurrency: 1_000,
    unreserved_min: 100,
};

fn at(f: &FunctionRef, qualifier: &str) -> FunctionRef {
    f.with_qualifier(Some(qualifier.parse::<Qualifier>().unwrap()))
}

/// `f` with versions 1 and 2 and the alias `live` of version 1.
async fn world() -> (World, FunctionRef) {
    let w = World::new().await;
    let f = w.active("f").await;
    w.publish(&f).await;
    w.update(&f, zip(&[("a.py", "2")])).await.unwrap();
    w.settle("f").await;
    w.publish(&f).await;
    let live = NewAlias {
        name: "live".parse().unwrap(),
        version: Published::from_number(1),
        description: String::new(),
        weight: None,
    };
    w.functions.create_alias(&f, live).await.unwrap();
    (w, f)
}

fn claimed(w: &World, f: &FunctionRef) -> (u64, u64) {
    let claims = w.functions.claims(&f.account, &f.region);
    (claims.reserved(), claims.total())
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

/// CON-7
#[tokio::test]
async fn reservations_leave_the_minimum_to_others() {
    let (w, f) = world().await;
    let g = w.active("g").await;
    w.functions.reserve(&f, 500, LIMITS).await.unwrap();
    assert_eq!(
        refusal(w.functions.reserve(&g, 401, LIMITS).await),
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    );
    w.functions.reserve(&g, 400, LIMITS).await.unwrap();
    w.functions.reserve(&g, 399, LIMITS).await.unwrap();
    assert_eq!(claimed(&w, &f), (899, 899));
    w.functions.unreserve(&f).await.unwrap();
    w.functions.unreserve(&f).await.unwrap();
    assert_eq!(claimed(&w, &f), (399, 399));
    w.functions.delete(&g).await.unwrap();
    assert_eq!(claimed(&w, &f), (0, 0));
    let none_left = AccountLimits {
        concurrency: 50,
        unreserved_min: 100,
    };
    w.functions.reserve(&f, 0, none_left).await.unwrap();
}

/// CON-7: two that each fit do not both fit.
#[tokio::test]
async fn reservations_made_at_once_are_checked_one_after_the_other() {
    let (w, f) = world().await;
    let g = w.active("g").await;
    let (a, b) = tokio::join!(
        w.functions.reserve(&f, 600, LIMITS),
        w.functions.reserve(&g, 600, LIMITS)
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(claimed(&w, &f), (600, 600));
}

/// CON-16
#[tokio::test]
async fn provisioned_concurrency_has_its_limits() {
    let (w, f) = world().await;
    let put = |q: &str, n| {
        let (functions, f) = (w.functions.clone(), at(&f, q));
        async move { functions.provision(&f, n, LIMITS).await }
    };
    assert!(refusal(put("$LATEST", 1).await).starts_with("Provisioned Concurrency Configs cannot"));
    assert!(matches!(
        put("none", 1).await,
        Err(Error::AliasNotFound { .. })
    ));
    assert!(matches!(put("7", 1).await, Err(Error::NotFound(_))));
    assert!(refusal(put("1", 1_001).await).ends_with("unreserved concurrency [1000]."));
    assert!(refusal(put("1", 901).await).ends_with("below its minimum value of [100]."));
    put("1", 3).await.unwrap();
    assert_eq!(claimed(&w, &f), (0, 3));
    assert!(matches!(
        put("live", 1).await,
        Err(Error::VersionProvisioned)
    ));
    assert!(matches!(
        w.functions.reserve(&f, 2, LIMITS).await,
        Err(Error::ReservedBelowProvisioned {
            reserved: 2,
            provisioned: 3
        })
    ));
    w.functions.reserve(&f, 5, LIMITS).await.unwrap();
    assert_eq!(claimed(&w, &f), (5, 5), "the reservation holds it");
    assert!(refusal(put("2", 3).await).starts_with("Requested Provisioned Concurrency should"));
    put("2", 2).await.unwrap();
    w.functions.unprovision(&at(&f, "1")).await.unwrap();
    w.functions.unprovision(&at(&f, "1")).await.unwrap();
    put("live", 2).await.unwrap();
    assert!(matches!(put("1", 1).await, Err(Error::AliasProvisioned)));
    let to_two = AliasChange {
        version: Some(Published::from_number(2)),
        ..AliasChange::default()
    };
    let name = "live".parse().unwrap();
    let moved = w.functions.update_alias(&f, name, to_two).await;
    assert!(matches!(moved, Err(Error::VersionProvisioned)));
}

/// CON-11
#[tokio::test]
async fn what_is_wanted_follows_aliases_and_survives_a_kill() {
    let (w, f) = world().await;
    let live = at(&f, "live");
    let mut changes = w.functions.changes();
    w.functions.provision(&live, 5, LIMITS).await.unwrap();
    assert!(matches!(changes.recv().await, Ok(Change::Provisioned(g)) if g == f));
    let shares = |w: &World| -> Vec<(String, u32)> {
        let wanted = w.functions.wanted();
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].function, live);
        let share =
            |(d, n): &(std::sync::Arc<functions::Deployed>, u32)| (d.version.to_string(), *n);
        wanted[0].versions.iter().map(share).collect()
    };
    assert_eq!(shares(&w), [("1".to_owned(), 5)]);
    let split = AliasChange {
        weight: Some(Some((Published::from_number(2).unwrap(), 0.4))),
        ..AliasChange::default()
    };
    let name: model::AliasName = "live".parse().unwrap();
    w.functions
        .update_alias(&f, name.clone(), split)
        .await
        .unwrap();
    assert!(matches!(changes.recv().await, Ok(Change::Provisioned(_))));
    assert_eq!(shares(&w), [("1".to_owned(), 3), ("2".to_owned(), 2)]);
    let call = w.functions.resolve_call(&live).unwrap();
    assert_eq!(call.provisioned_total, 5);
    assert_eq!(call.provisioned_by, live.qualifier);
    let by = |q: &str| w.functions.resolve_call(&at(&f, q)).unwrap().provisioned_by;
    assert_eq!(
        [by("1"), by("2")],
        [live.qualifier.clone(), live.qualifier.clone()]
    );
    assert_eq!(by("$LATEST"), None);
    let w = w.killed().await;
    assert_eq!(shares(&w).len(), 2);
    assert_eq!(claimed(&w, &function("f")), (0, 5));
    w.functions.delete_alias(&f, name).await.unwrap();
    assert!(w.functions.wanted().is_empty());
    assert_eq!(claimed(&w, &f), (0, 0));
    w.functions
        .provision(&at(&f, "2"), 1, LIMITS)
        .await
        .unwrap();
    w.functions.delete(&at(&f, "2")).await.unwrap();
    let w = w.killed().await;
    assert!(w.functions.wanted().is_empty());
}
