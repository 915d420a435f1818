use std::collections::HashMap;
use std::sync::Arc;

use wire::Context;

use super::{bad_token, place};
use crate::api::{
    FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent, GetLogEventsRequest,
    GetLogEventsResponse, OutputLogEvent,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::journal::{Search, Streams};
use crate::loops::expired_before;
use crate::names::{broken, check_limit, check_stream, check_time, group_of};
use crate::page::{Direction, Limits, Place};
use crate::pattern::Pattern;
use crate::record::{Group, Stream};

/// [CloudWatch Logs API: GetLogEvents, FilterLogEvents]
const PAGE_EVENTS_MAX: i64 = 10_000;
const PAGE_BYTES_MAX: usize = 1 << 20;
const PATTERN_LETTERS_MAX: usize = 1_024;
const STREAM_NAMES_MAX: usize = 100;

/// Where a token of `GetLogEvents` points and in which direction it reads.
fn parse_token(token: &str) -> Result<(Direction, Place), Fault> {
    let (direction, rest) = match token.split_at_checked(2) {
        Some(("f/", rest)) => (Direction::Forward, rest),
        Some(("b/", rest)) => (Direction::Backward, rest),
        _ => return Err(bad_token()),
    };
    let digits = rest.strip_suffix("/s").unwrap_or(rest);
    Ok((direction, Place::parse(digits).ok_or_else(bad_token)?))
}

fn forward_token(place: Place) -> String {
    format!("f/{}/s", place.digits())
}

fn backward_token(place: Place) -> String {
    format!("b/{}/s", place.digits())
}

/// The first place that counts: neither expired nor before `start`.
fn lower_bound(engine: &Engine, group: &Group, start: Option<i64>) -> Place {
    let expired = expired_before(group, engine.now_ms());
    Place::before_time(start.unwrap_or(0).max(expired).max(0))
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, wire::Fault> {
    let at = place(&cx);
    let name = group_of(
        &at,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    check_stream(&input.log_stream_name, "logStreamName")?;
    let limit = check_limit(input.limit, PAGE_EVENTS_MAX, PAGE_EVENTS_MAX)?;
    let start = check_time(input.start_time, "startTime")?;
    let end = check_time(input.end_time, "endTime")?;
    let token = input.next_token.as_deref().map(parse_token).transpose()?;
    engine.flush().await;
    let group = engine.group(&at, &name).await?;
    let stream = engine.stream(&group, &input.log_stream_name).await?;
    let mut from = lower_bound(&engine, &group, start);
    let mut to = Place::before_time(end.unwrap_or(i64::MAX));
    let direction = match token {
        Some((Direction::Forward, place)) => {
            from = from.max(place);
            Direction::Forward
        }
        Some((Direction::Backward, place)) => {
            to = to.min(place);
            Direction::Backward
        }
        None if input.start_from_head.unwrap_or(false) => Direction::Forward,
        None => Direction::Backward,
    };
    let search = Search {
        streams: Streams::Some(HashMap::from([(stream.id, stream.activity.span())])),
        from,
        to,
        direction,
        limits: Limits {
            events: limit,
            bytes: PAGE_BYTES_MAX,
        },
        pattern: Pattern::Everything,
    };
    let found = engine.search(&at, &group, search).await?;
    // Without events both tokens stay where the page began, so that what comes later is found.
    let resting = token.map_or(from, |(_, place)| place);
    let (mut first, mut last) = (resting, resting);
    if let (Some(a), Some(z)) = (found.events.first(), found.events.last()) {
        (first, last) = (a.place, z.place.after());
    } else if let Some(more) = found.more {
        (first, last) = (more, more);
    }
    let events = found.events.into_iter().map(|event| OutputLogEvent {
        timestamp: event.place.time,
        message: event.message,
        ingestion_time: event.ingested,
    });
    Ok(GetLogEventsResponse {
        events: events.collect(),
        next_forward_token: forward_token(last),
        next_backward_token: backward_token(first),
    })
}

fn check_filter(input: &FilterLogEventsRequest) -> Result<Pattern, Fault> {
    let text = input.filter_pattern.as_deref().unwrap_or_default();
    if text.chars().count() > PATTERN_LETTERS_MAX {
        let wanted = "Member must have length less than or equal to 1024";
        return Err(broken(text, "filterPattern", wanted));
    }
    if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
        return Err(Fault::Invalid(
            "Only one of logStreamNames or logStreamNamePrefix can be specified.".to_owned(),
        ));
    }
    let names = input.log_stream_names.iter().flatten();
    if names.clone().count() > STREAM_NAMES_MAX {
        let wanted = "Member must have length less than or equal to 100";
        return Err(broken("[]", "logStreamNames", wanted));
    }
    for name in names {
        check_stream(name, "logStreamNames")?;
    }
    if let Some(prefix) = &input.log_stream_name_prefix {
        check_stream(prefix, "logStreamNamePrefix")?;
    }
    Pattern::parse(text).map_err(|_| Fault::Invalid("Invalid filter pattern".to_owned()))
}

async fn streams_of(
    engine: &Engine,
    group: &Group,
    input: &FilterLogEventsRequest,
) -> Result<Streams, Fault> {
    let Some(names) = &input.log_stream_names else {
        return Ok(Streams::All {
            except: engine.gone_streams(group).await?,
            prefix: input.log_stream_name_prefix.clone().unwrap_or_default(),
        });
    };
    let mut streams = HashMap::with_capacity(names.len());
    for name in names {
        let stream: Stream = engine.stream(group, name).await?;
        streams.insert(stream.id, stream.activity.span());
    }
    Ok(Streams::Some(streams))
}

pub(crate) async fn filter(
    engine: Arc<Engine>,
    cx: Context,
    input: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, wire::Fault> {
    let at = place(&cx);
    let name = group_of(
        &at,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    let limit = check_limit(input.limit, PAGE_EVENTS_MAX, PAGE_EVENTS_MAX)?;
    let start = check_time(input.start_time, "startTime")?;
    let end = check_time(input.end_time, "endTime")?;
    let pattern = check_filter(&input)?;
    let token = input.next_token.as_deref();
    let token = token
        .map(|t| Place::parse(t).ok_or_else(bad_token))
        .transpose()?;
    engine.flush().await;
    let group = engine.group(&at, &name).await?;
    let streams = streams_of(&engine, &group, &input).await?;
    let from = lower_bound(&engine, &group, start);
    let search = Search {
        streams,
        from: token.map_or(from, |token| token.max(from)),
        // An event of the end time itself counts here, unlike in GetLogEvents.
        to: Place::before_time(end.map_or(i64::MAX, |end| end.saturating_add(1))),
        direction: Direction::Forward,
        limits: Limits {
            events: limit,
            bytes: PAGE_BYTES_MAX,
        },
        pattern,
    };
    let found = engine.search(&at, &group, search).await?;
    let events = found.events.into_iter().map(|event| FilteredLogEvent {
        event_id: event.place.digits(),
        log_stream_name: event.stream,
        timestamp: event.place.time,
        message: event.message,
        ingestion_time: event.ingested,
    });
    Ok(FilterLogEventsResponse {
        events: events.collect(),
        searched_log_streams: Vec::new(),
        next_token: found.more.map(Place::digits),
    })
}
