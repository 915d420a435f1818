//! What a tick sends.

use std::time::Duration;

use bytes::Bytes;
use model::Arn;
use model::ports::{
    DeadLetter, DeadLetterStyle, EventHead, Parcel, Patience, Posting, Sender, Waits,
};
use serde_json::json;
use tasks::Time;

use crate::engine::ScheduleRef;
use crate::record::{Schedule, Tick};

/// The posting of a tick; none if the target would not wait for it any more.
pub(crate) fn posting(
    to: &ScheduleRef,
    schedule: &Schedule,
    tick: Tick,
    now: Time,
) -> Option<Posting> {
    let target = &schedule.target;
    let late = now.since(Time::from_unix_millis(tick.send_ms));
    let age_max = Duration::from_secs(target.age_s).saturating_sub(late);
    if age_max.is_zero() {
        return None;
    }
    let arn: Arn = to.arn().parse().ok()?;
    let id = format!("{}-{}", schedule.id, tick.at_ms);
    let body = body(to, schedule, tick, &id);
    let event = target
        .event
        .as_ref()
        .map(|(source, detail_type)| EventHead {
            source: source.clone(),
            detail_type: detail_type.clone(),
            resources: vec![arn.to_string()],
        });
    let dead_letter = target.dead_letter.as_deref().and_then(|to| {
        let style = DeadLetterStyle::Schedule {
            schedule: arn.clone(),
        };
        to.parse().ok().map(|to| DeadLetter { to, style })
    });
    Some(Posting {
        parcel: Parcel {
            id,
            to: target.arn.parse().ok()?,
            sender: Sender {
                service: "scheduler.amazonaws.com",
                source: arn,
                role: Some(target.role.clone()),
            },
            body: Bytes::from(body),
            attributes: Vec::new(),
            subject: None,
            group: target.group.clone(),
            dedup: None,
            trace: None,
            event,
        },
        patience: Patience {
            retries_max: target.retries,
            age_max,
            waits: Waits::Doubling,
        },
        dead_letter,
    })
}

/// The input with its context attributes, or what AWS sends without one.
/// [EventBridge Scheduler guide: context attributes]
///
/// Differs: the attempt number is always 1, as a try again sends the same bytes.
fn body(to: &ScheduleRef, schedule: &Schedule, tick: Tick, id: &str) -> String {
    let time = Time::from_unix_millis(tick.at_ms).iso_secs();
    if let Some(input) = &schedule.target.input {
        return input
            .replace("<aws.scheduler.schedule-arn>", &to.arn())
            .replace("<aws.scheduler.scheduled-time>", &time)
            .replace("<aws.scheduler.execution-id>", id)
            .replace("<aws.scheduler.attempt-number>", "1");
    }
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": to.at.account,
        "time": time,
        "region": to.at.region,
        "resources": [to.arn()],
        "detail": "{}",
    });
    event.to_string()
}
