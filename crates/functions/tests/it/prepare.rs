use std::sync::Arc;

use functions::{Deployed, Error, Failure, NewVersion, Optimization, SnapStart, State};
use model::FunctionRef;

use crate::world::{World, function};

fn version(number: &str) -> FunctionRef {
    FunctionRef {
        qualifier: Some(number.parse().unwrap()),
        ..function("f")
    }
}

async fn published() -> (World, Arc<Deployed>) {
    let w = World::new().await;
    let f = w.active("f").await;
    w.functions
        .update_configuration(&f, None, |config| {
            config.snap_start = SnapStart::PublishedVersions;
            Ok(())
        })
        .await
        .unwrap();
    w.settle("f").await;
    let made = w.functions.publish_version(&f, NewVersion::default()).await;
    (w, made.unwrap())
}

impl World {
    fn state(&self, number: &str) -> State {
        let found = self.functions.resolve(&version(number)).unwrap();
        found.state.clone()
    }
}

#[tokio::test]
async fn a_version_with_snap_start_is_pending_until_its_init_phase_has_run() {
    let (w, made) = published().await;
    assert_eq!(made.state, State::Pending);
    w.clock.advance(crate::world::SETTLE * 2);
    assert_eq!(
        w.functions
            .resolve_ready(&version("1"))
            .await
            .unwrap()
            .state,
        State::Pending
    );
    assert_eq!(
        w.functions.resolve(&function("f")).unwrap().state,
        State::Active
    );
    let mut line = w.functions.unprepared().unwrap();
    assert!(w.functions.unprepared().is_none(), "there is one line");
    let next = line.next().await.unwrap();
    assert_eq!(next.generation, made.generation);
    w.functions
        .prepared(&next, Ok(Optimization::On))
        .await
        .unwrap();
    assert_eq!(w.state("1"), State::Active);
    let w = w.killed().await;
    assert_eq!(w.state("1"), State::Active);
}

#[tokio::test]
async fn a_version_whose_init_phase_fails_is_failed_for_good() {
    let (w, made) = published().await;
    let failure = Failure {
        code: "FunctionError.InitTimeout".to_owned(),
        reason: "too long".to_owned(),
    };
    let told = w.functions.prepared(&made, Err(failure.clone())).await;
    told.unwrap();
    assert_eq!(w.state("1"), State::Failed(failure.clone()));
    let w = w.killed().await;
    assert_eq!(w.state("1"), State::Failed(failure));
}

#[tokio::test]
async fn an_init_phase_that_a_crash_broke_off_is_run_again() -> Result<(), Error> {
    let (w, _) = published().await;
    let w = w.killed().await;
    assert_eq!(w.state("1"), State::Pending);
    let mut line = w.functions.unprepared().unwrap();
    let next = line.next().await.unwrap();
    w.functions.prepared(&next, Ok(Optimization::On)).await?;
    assert_eq!(w.state("1"), State::Active);
    Ok(())
}

#[tokio::test]
async fn a_version_that_went_meanwhile_is_left_alone() -> Result<(), Error> {
    let (w, made) = published().await;
    w.functions.delete(&version("1")).await?;
    w.functions.prepared(&made, Ok(Optimization::Off)).await?;
    assert!(w.functions.resolve(&version("1")).is_err());
    Ok(())
}
