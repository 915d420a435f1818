use std::cmp::Reverse;
use std::sync::Arc;

use wire::{Context, paging};

use super::{bad_token, page_start, place};
use crate::api::{
    DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream, Nothing, StreamRequest,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{check_choice, check_group, check_limit, check_stream, group_arn, group_of};
use crate::record::Stream;

const DESCRIBED_MAX: i64 = 50;

/// AWS ignores sequence tokens since 2023 and still shows one.
pub(super) fn sequence_token(stream: &Stream) -> String {
    format!("{:056}", stream.id)
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: StreamRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    check_stream(&input.log_stream_name, "logStreamName")?;
    let group = engine.group(&place(&cx), &input.log_group_name).await?;
    engine.create_stream(&group, &input.log_stream_name).await?;
    Ok(Nothing {})
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: StreamRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    check_stream(&input.log_stream_name, "logStreamName")?;
    let group = engine.group(&place(&cx), &input.log_group_name).await?;
    engine.delete_stream(&group, &input.log_stream_name).await?;
    Ok(Nothing {})
}

/// What streams are sorted by: the name, or the last event before the name.
fn order_key(stream: &Stream, by_time: bool) -> (i64, String) {
    let last = stream.activity.last.filter(|_| by_time).unwrap_or(0);
    (last, stream.name.clone())
}

fn write_key((last, name): &(i64, String)) -> String {
    format!("{last}/{name}")
}

fn read_key(key: &str) -> Option<(i64, String)> {
    let (last, name) = key.split_once('/')?;
    Some((last.parse().ok()?, name.to_owned()))
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, wire::Fault> {
    let at = place(&cx);
    let name = group_of(
        &at,
        input.log_group_name.as_deref(),
        input.log_group_identifier.as_deref(),
    )?;
    let limit = check_limit(input.limit, DESCRIBED_MAX, DESCRIBED_MAX)?;
    let order = input.order_by.as_deref().unwrap_or("LogStreamName");
    check_choice(order, "orderBy", &["LogStreamName", "LastEventTime"])?;
    let by_time = order == "LastEventTime";
    let prefix = input.log_stream_name_prefix;
    if let Some(prefix) = &prefix {
        check_stream(prefix, "logStreamNamePrefix")?;
        if by_time {
            let text = "Cannot order by LastEventTime with a logStreamNamePrefix.";
            return Err(Fault::Invalid(text.to_owned()).into());
        }
    }
    let after = match page_start(input.next_token.as_deref())? {
        Some(key) => Some(read_key(&key).ok_or_else(bad_token)?),
        None => None,
    };
    engine.flush().await;
    let group = engine.group(&at, &name).await?;
    let mut streams = engine.all_streams(&group).await?;
    let prefix = prefix.unwrap_or_default();
    let descending = input.descending.unwrap_or(false);
    streams.retain(|stream| {
        let key = order_key(stream, by_time);
        let comes = after.as_ref().is_none_or(|after| match descending {
            true => key < *after,
            false => key > *after,
        });
        stream.name.starts_with(&prefix) && comes
    });
    if descending {
        streams.sort_by_key(|stream| Reverse(order_key(stream, by_time)));
    } else {
        streams.sort_by_key(|stream| order_key(stream, by_time));
    }
    let key = |stream: &Stream| write_key(&order_key(stream, by_time));
    let (streams, next_token) = paging::page(streams, limit, key);
    let arn = group_arn(&at, &group.name);
    Ok(DescribeLogStreamsResponse {
        log_streams: streams.into_iter().map(|s| shape(&arn, s)).collect(),
        next_token,
    })
}

fn shape(group_arn: &str, stream: Stream) -> LogStream {
    LogStream {
        arn: format!("{group_arn}:log-stream:{}", stream.name),
        upload_sequence_token: sequence_token(&stream),
        creation_time: stream.created_ms,
        first_event_timestamp: stream.activity.first,
        last_event_timestamp: stream.activity.last,
        last_ingestion_time: stream.activity.ingested,
        stored_bytes: 0,
        log_stream_name: stream.name,
    }
}
