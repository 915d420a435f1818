use std::sync::Arc;

use wire::Context;

use super::place;
use super::streams::sequence_token;
use crate::api::{InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::frame::Line;
use crate::loops::expired_before;
use crate::names::{broken, check_group, check_stream};
use crate::page::EVENT_BYTES;

/// [CloudWatch Logs API: PutLogEvents]
const BATCH_BYTES_MAX: usize = 1_048_576;
const BATCH_EVENTS_MAX: usize = 10_000;
const BATCH_SPAN_MS_MAX: i64 = 86_400_000;
const FUTURE_MS_MAX: i64 = 2 * 3_600_000;
const PAST_MS_MAX: i64 = 14 * 86_400_000;

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, wire::Fault> {
    let at = place(&cx);
    check_group(&input.log_group_name, "logGroupName")?;
    check_stream(&input.log_stream_name, "logStreamName")?;
    check_batch(&input.log_events)?;
    let group = engine.group(&at, &input.log_group_name).await?;
    let stream = engine.stream(&group, &input.log_stream_name).await?;
    let now = engine.now_ms();
    let (lines, rejected) = accept(input.log_events, now, expired_before(&group, now));
    if !lines.is_empty() {
        engine.put(&at, &group, &stream, lines).await?;
    }
    Ok(PutLogEventsResponse {
        next_sequence_token: sequence_token(&stream),
        rejected_log_events_info: rejected,
    })
}

fn check_batch(events: &[InputLogEvent]) -> Result<(), Fault> {
    let length = |wanted: &str| broken("[]", "logEvents", wanted);
    if events.is_empty() {
        return Err(length("Member must have length greater than or equal to 1"));
    }
    if events.len() > BATCH_EVENTS_MAX {
        return Err(length(
            "Member must have length less than or equal to 10000",
        ));
    }
    let mut bytes = 0;
    let mut before = i64::MIN;
    for (i, event) in events.iter().enumerate() {
        let member = |name: &str| format!("logEvents.{}.member.{name}", i + 1);
        if event.timestamp < 0 {
            let wanted = "Member must have value greater than or equal to 0";
            return Err(broken(event.timestamp, &member("timestamp"), wanted));
        }
        if event.message.is_empty() {
            let wanted = "Member must have length greater than or equal to 1";
            return Err(broken("", &member("message"), wanted));
        }
        bytes += event.message.len() + EVENT_BYTES;
        if event.timestamp < before {
            return Err(Fault::Invalid(
                "Log events in a single PutLogEvents request must be in chronological order."
                    .to_owned(),
            ));
        }
        before = event.timestamp;
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(Fault::Invalid(format!(
            "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    let first = events.first().map_or(before, |event| event.timestamp);
    if before.saturating_sub(first) > BATCH_SPAN_MS_MAX {
        return Err(Fault::Invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 \
             hours."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Leaves out what is too old, expired or too new; the events are in the order of their times.
fn accept(
    events: Vec<InputLogEvent>,
    now: i64,
    expired: i64,
) -> (Vec<Line>, Option<RejectedLogEventsInfo>) {
    let first_at = |time: i64| events.partition_point(|event| event.timestamp < time);
    let (old, expired) = (first_at(now.saturating_sub(PAST_MS_MAX)), first_at(expired));
    let new = first_at(now.saturating_add(FUTURE_MS_MAX + 1));
    let info = RejectedLogEventsInfo {
        too_new_log_event_start_index: (new < events.len()).then_some(new),
        too_old_log_event_end_index: (old > 0).then_some(old),
        expired_log_event_end_index: (expired > 0).then_some(expired),
    };
    let start = old.max(expired);
    let taken = new.saturating_sub(start);
    let lines = events.into_iter().skip(start).take(taken);
    let lines = lines.map(|event| Line {
        time: event.timestamp,
        message: event.message,
    });
    let rejected = (info != RejectedLogEventsInfo::default()).then_some(info);
    (lines.collect(), rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn events(hours: &[i64]) -> Vec<InputLogEvent> {
        let event = |hour: &i64| InputLogEvent {
            timestamp: NOW + hour * HOUR,
            message: "m".to_owned(),
        };
        hours.iter().map(event).collect()
    }

    #[test]
    fn old_expired_and_future_events_are_left_out() {
        let hours = [-24 * 15, -24 * 14, -30, -1, 0, 2, 3];
        let (lines, info) = accept(events(&hours), NOW, NOW - 24 * HOUR);
        let taken: Vec<i64> = lines.iter().map(|l| (l.time - NOW) / HOUR).collect();
        assert_eq!(taken, [-1, 0, 2]);
        let expected = RejectedLogEventsInfo {
            too_new_log_event_start_index: Some(6),
            too_old_log_event_end_index: Some(1),
            expired_log_event_end_index: Some(3),
        };
        assert_eq!(info, Some(expected));
        let (lines, info) = accept(events(&[-1, 0]), NOW, i64::MIN);
        assert_eq!((lines.len(), info), (2, None));
    }

    #[test]
    fn a_batch_is_in_order_within_a_day_and_small_enough() {
        let says = |events: &[InputLogEvent], text: &str| {
            let fault = check_batch(events).unwrap_err().to_string();
            assert!(fault.contains(text), "{fault}");
        };
        assert!(check_batch(&events(&[0, 0, 24])).is_ok());
        says(&events(&[1, 0]), "chronological order");
        says(&events(&[0, 25]), "cannot span more than 24 hours");
        says(&[], "greater than or equal to 1");
        says(&events(&[0; 10_001]), "less than or equal to 10000");
        let mut large = events(&[0]);
        large[0].message = "x".repeat(BATCH_BYTES_MAX - EVENT_BYTES + 1);
        says(
            &large,
            "Upload too large: 1048577 bytes exceeds limit of 1048576",
        );
    }
}
