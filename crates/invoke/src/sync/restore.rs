//! Lease, for a version with SnapStart: a restored environment.  [Lambda guide: SnapStart]

use functions::Deployed;
use sandbox::{InitReport, StartError};

use super::init_failure;
use super::refused;
use super::run::Run;
use crate::handle::Refused;
use crate::output::EnvironmentLog;
use crate::pool::{Live, Seat};
use crate::report::{Event, Lines, Status};
use crate::snapshots::Found;
use crate::starter::{Planned, StartFailure};

/// What a lease has then.
pub(super) enum Restored {
    Live(Live),
    /// It starts as any other.
    Not(Planned, Seat),
}

impl Run<'_> {
    pub(super) async fn restore(&self, planned: Planned, seat: Seat) -> Result<Restored, Refused> {
        let starter = &self.inner.starter;
        let Some(found) = starter.snapshot(&planned).await else {
            return Ok(Restored::Not(planned, seat));
        };
        let say = |event: Event<'_>| self.push(&planned.log, event);
        let snapshot = match found {
            Ok(Found::Nothing { .. }) => return Ok(Restored::Not(planned, seat)),
            Ok(Found::Snapshot { snapshot, made }) => {
                if let Some(report) = made {
                    self.tell_init(&planned.log, report);
                }
                snapshot
            }
            Err(error) => {
                starter.abandon(&planned);
                return Err(match init_failure(&error) {
                    Some(_) => Refused::NotRegenerated {
                        detail: error.to_string(),
                    },
                    None => refused(StartFailure::Sandbox(error)),
                });
            }
        };
        say(Event::RestoreStart(version(
            &self.pool.deployed,
            &self.request.function.region,
        )));
        let error = match starter.restore(&planned, snapshot, seat).await {
            Ok(live) => {
                self.pool.watch_log(&live.log);
                let took = live.restore.map(|r| r.total).unwrap_or_default();
                let status = Status::Success;
                say(Event::RestoreRuntimeDone(status));
                say(Event::RestoreReport { took, status });
                return Ok(Restored::Live(live));
            }
            Err(error) => error,
        };
        let Some((took, status)) = init_failure(&error) else {
            tracing::warn!(%error, version = %self.pool.deployed, "a snapshot was of no use");
            if let Some(place) = &planned.place {
                place.empty().await;
            }
            return Ok(Restored::Not(planned, self.pool.seat()));
        };
        say(Event::RestoreRuntimeDone(status));
        say(Event::RestoreReport { took, status });
        starter.abandon(&planned);
        Err(match error {
            StartError::InitTimedOut { .. } => Refused::RestoreTimedOut,
            other => Refused::NotRestored {
                detail: other.to_string(),
            },
        })
    }

    fn tell_init(&self, log: &EnvironmentLog, report: InitReport) {
        let version = version(&self.pool.deployed, &self.request.function.region);
        let events = init_events(version, report);
        events.into_iter().for_each(|event| self.push(log, event));
    }
}

/// What the log of an init phase says that ended in a snapshot.
pub(crate) fn init_events(
    version: Option<(String, String)>,
    report: InitReport,
) -> [Event<'static>; 3] {
    let (took, phase, status) = (report.duration, "init", Status::Success);
    [
        Event::InitStart(version),
        Event::InitRuntimeDone(status),
        Event::InitReport {
            took,
            phase,
            status,
        },
    ]
}

/// The version of the runtime and its ARN.
pub(crate) fn version(deployed: &Deployed, region: &model::Region) -> Option<(String, String)> {
    let runtime = deployed.config.runtime?;
    Some((runtime.version_label(), runtime.version_arn(region)))
}

/// Writes the lines of an init phase that no invocation waits for.
pub(crate) fn tell(
    log: &EnvironmentLog,
    lines: &Lines,
    now: tasks::Time,
    events: [Event<'static>; 3],
) {
    for event in &events {
        log.say(now, lines, event);
    }
    log.flush();
}
