//! Replays: what an archive kept goes over the bus again, in the order of its times.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{Pos, Row, Seq};
use tasks::{Progress, WorkError, Worker};

use crate::engine::{Engine, change, named};
use crate::event::Event;
use crate::fault::Fault;
use crate::names::{BusRef, Place};
use crate::record::Replay;
use crate::route::Passage;

/// Events of one replay; their times are held in memory.
const EVENTS_MAX: usize = 1_000_000;
/// Events that are sent before the place is written down.
const BATCH: usize = 100;
const PAGE: usize = 500;
/// How often unfinished replays are looked for if nobody tells.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Time and number in the log.
type Mark = (i64, u64);

/// Runs replays one after the other.
pub(crate) struct Runner(pub(crate) Arc<Engine>);

#[async_trait]
impl Worker for Runner {
    fn name(&self) -> String {
        "events: replays".to_owned()
    }

    async fn wait(&mut self) {
        let engine = &self.0;
        tokio::select! {
            () = engine.replay.notified() => {}
            () = engine.tasks.clock().sleep(LOOK_EVERY) => {}
        }
    }

    async fn work(&mut self) -> Result<Progress, WorkError> {
        self.0.run_replays().await?;
        Ok(Progress::More)
    }
}

impl Engine {
    /// Brings every unfinished replay to its end.
    pub(crate) async fn run_replays(&self) -> Result<(), Fault> {
        for row in self.replays.all(&[]).await? {
            if row.value.is_over() {
                continue;
            }
            let Some(at) = place_of(&row) else { continue };
            self.run_replay(&at, &row.value).await?;
        }
        Ok(())
    }

    async fn run_replay(&self, at: &Place, replay: &Replay) -> Result<(), Fault> {
        if replay.state == "CANCELLING" {
            return self.end_replay(at, &replay.name, "CANCELLED").await;
        }
        self.mark_replay(at, &replay.name, None).await?;
        let marks = self.marks(replay).await?;
        for batch in marks.chunks(BATCH) {
            let mut passages = Vec::new();
            for mark in batch {
                passages.extend(self.replayed(at, replay, *mark).await?);
            }
            self.accept(passages).await?;
            let state = self
                .mark_replay(at, &replay.name, batch.last().copied())
                .await?;
            if state.as_deref() != Some("RUNNING") {
                return self.end_replay(at, &replay.name, "CANCELLED").await;
            }
        }
        self.end_replay(at, &replay.name, "COMPLETED").await
    }

    /// Where the events lie that are still to be sent, in the order of their times.
    async fn marks(&self, replay: &Replay) -> Result<Vec<Mark>, Fault> {
        let mut marks = Vec::new();
        let mut from = Pos::Oldest;
        loop {
            let (entries, next) = self.archived(&replay.archive_id, from, PAGE).await?;
            if entries.is_empty() || marks.len() >= EVENTS_MAX {
                break;
            }
            from = next;
            for (Seq(seq), body) in entries {
                let Some(event) = Event::read(&body) else {
                    continue;
                };
                let mark = (event.unix_ms(), seq);
                let is_asked = (replay.from_ms..replay.to_ms).contains(&mark.0);
                if is_asked && replay.last.is_none_or(|last| mark > last) {
                    marks.push(mark);
                }
            }
        }
        marks.sort_unstable();
        Ok(marks)
    }

    async fn replayed(
        &self,
        at: &Place,
        replay: &Replay,
        mark: Mark,
    ) -> Result<Option<(BusRef, Passage)>, Fault> {
        let from = Pos::Seq(Seq(mark.1));
        let (entries, _) = self.archived(&replay.archive_id, from, 1).await?;
        let found = entries.first().filter(|(seq, _)| seq.0 == mark.1);
        let Some(mut event) = found.and_then(|(_, body)| Event::read(body)) else {
            return Ok(None);
        };
        event.replay_name = Some(replay.name.clone());
        let bus = BusRef {
            at: at.clone(),
            name: replay.bus.clone(),
        };
        let passage = Passage {
            event,
            trace: None,
            hops: 0,
            only: replay.filters.clone(),
        };
        Ok(Some((bus, passage)))
    }

    /// Writes down how far the replay came; gives its state.
    async fn mark_replay(
        &self,
        at: &Place,
        name: &str,
        mark: Option<Mark>,
    ) -> Result<Option<String>, Fault> {
        let edit = |replay: &mut Replay| {
            if replay.state == "STARTING" {
                "RUNNING".clone_into(&mut replay.state);
            }
            replay.last = mark.or(replay.last);
            Ok(replay.state.clone())
        };
        change(&self.replays, &named(at, name), edit).await
    }

    async fn end_replay(&self, at: &Place, name: &str, state: &str) -> Result<(), Fault> {
        let now = self.now_ms();
        let edit = |replay: &mut Replay| {
            state.clone_into(&mut replay.state);
            replay.ended_ms = Some(now);
            Ok(())
        };
        change(&self.replays, &named(at, name), edit).await?;
        Ok(())
    }
}

fn place_of(row: &Row<Replay>) -> Option<Place> {
    let mut parts = row.key.as_str().split('/').skip(1);
    Some(Place {
        account: parts.next()?.to_owned(),
        region: parts.next()?.to_owned(),
    })
}
