use std::sync::Arc;

use model::{Arn, RoleArn};
use schedules::{Expression, Zone};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use crate::api::{
    DeadLetterConfig, EventBridgeParameters, FlexibleTimeWindow, ListSchedulesRequest,
    ListSchedulesResponse, Nothing, RetryPolicy, ScheduleArn, ScheduleInput, ScheduleRequest,
    ScheduleShape, ScheduleSummary, SqsParameters, TargetShape,
};
use crate::checks::{Names, after, limit};
use crate::engine::{DEFAULT_GROUP, Engine, Place, ScheduleRef};
use crate::fault::Fault;
use crate::plan;
use crate::record::{Schedule, Target};

/// Services that Kiln delivers to.
const BUILT: [&str; 4] = ["events", "lambda", "sns", "sqs"];
const RETRIES_DEFAULT: u32 = 185;
const AGE_S_DEFAULT: u64 = 86_400;
const STATES: [&str; 2] = ["ENABLED", "DISABLED"];

fn refused<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Validation(text.into()))
}

fn check(input: &ScheduleInput) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.name(&input.name, "name");
    if let Some(group) = &input.group_name {
        checks.name(group, "groupName");
    }
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    checks.length(&input.schedule_expression, "scheduleExpression", 1, 256);
    if let Some(zone) = &input.schedule_expression_timezone {
        checks.length(zone, "scheduleExpressionTimezone", 1, 50);
    }
    if let Some(state) = &input.state {
        checks.choice(state, "state", &STATES);
    }
    if let Some(action) = &input.action_after_completion {
        checks.choice(action, "actionAfterCompletion", &["NONE", "DELETE"]);
    }
    let window = &input.flexible_time_window;
    checks.choice(
        &window.mode,
        "flexibleTimeWindow.mode",
        &["OFF", "FLEXIBLE"],
    );
    if let Some(minutes) = window.maximum_window_in_minutes {
        let member = "flexibleTimeWindow.maximumWindowInMinutes";
        checks.range(minutes, member, 1, 1_440);
    }
    check_target(&input.target, &mut checks);
    checks.done()?;
    check_times(input)
}

fn check_target(target: &TargetShape, checks: &mut Checks) {
    checks.length(&target.arn, "target.arn", 1, 1_600);
    let is_role = target.role_arn.parse::<RoleArn>().is_ok();
    let pattern = r"^arn:aws(-[a-z]+)?:iam::\d{12}:role\/[\w+=,.@\/-]+$";
    checks.pattern(is_role, &target.role_arn, "target.roleArn", pattern);
    if let Some(retry) = &target.retry_policy {
        if let Some(age) = retry.maximum_event_age_in_seconds {
            let member = "target.retryPolicy.maximumEventAgeInSeconds";
            checks.range(age, member, 60, 86_400);
        }
        if let Some(tries) = retry.maximum_retry_attempts {
            checks.range(tries, "target.retryPolicy.maximumRetryAttempts", 0, 185);
        }
    }
}

/// The rules that span members.
fn check_times(input: &ScheduleInput) -> Result<(), Fault> {
    let expression = &input.schedule_expression;
    if Expression::of_schedule(expression).is_none() {
        return refused(format!("Invalid Schedule Expression {expression}."));
    }
    if let Some(zone) = &input.schedule_expression_timezone
        && Zone::named(zone).is_none()
    {
        return refused(format!("Invalid Schedule Expression Timezone {zone}."));
    }
    let window = &input.flexible_time_window;
    match (&*window.mode, window.maximum_window_in_minutes) {
        ("OFF", Some(_)) => {
            return refused(
                "MaximumWindowInMinutes must not be set when flexible time window is OFF.",
            );
        }
        ("FLEXIBLE", None) => {
            return refused(
                "MaximumWindowInMinutes must be set when flexible time window is FLEXIBLE.",
            );
        }
        _ => {}
    }
    if let (Some(start), Some(end)) = (input.start_date, input.end_date)
        && end <= start
    {
        return refused("EndDate must be after StartDate.");
    }
    Ok(())
}

fn stored(target: TargetShape) -> Result<Target, Fault> {
    let Ok(arn) = target.arn.parse::<Arn>() else {
        return refused(format!(
            "Provided Arn is not in correct format: {}.",
            target.arn
        ));
    };
    if arn.service == "scheduler" {
        return Err(Fault::NotBuilt("universal targets".to_owned()));
    }
    if !BUILT.contains(&arn.service.as_str()) {
        return Err(Fault::NotBuilt(format!("targets of {}", arn.service)));
    }
    let is_json = |text: &String| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if arn.service == "events" {
        if target.event_bridge_parameters.is_none() {
            return refused("EventBridgeParameters must be set for an EventBridge target.");
        }
        if !target.input.as_ref().is_some_and(is_json) {
            return refused("Input must be valid JSON for an EventBridge target.");
        }
    }
    if arn.service == "lambda" && !target.input.as_ref().is_none_or(is_json) {
        return refused("Input must be valid JSON for a Lambda target.");
    }
    let group = target.sqs_parameters.and_then(|sqs| sqs.message_group_id);
    if arn.resource.ends_with(".fifo") && arn.service == "sqs" && group.is_none() {
        return refused("MessageGroupId must be set for a FIFO queue.");
    }
    let retry = target.retry_policy;
    let retries = retry.as_ref().and_then(|r| r.maximum_retry_attempts);
    let age = retry.as_ref().and_then(|r| r.maximum_event_age_in_seconds);
    Ok(Target {
        arn: target.arn,
        role: target.role_arn,
        input: target.input,
        dead_letter: target.dead_letter_config.and_then(|config| config.arn),
        retries: retries.map_or(RETRIES_DEFAULT, |n| u32::try_from(n).unwrap_or_default()),
        age_s: age.map_or(AGE_S_DEFAULT, |n| u64::try_from(n).unwrap_or_default()),
        group,
        event: target
            .event_bridge_parameters
            .map(|head| (head.source, head.detail_type)),
    })
}

fn named(cx: &Context, group: Option<&str>, name: &str) -> ScheduleRef {
    ScheduleRef {
        at: Place::of(cx),
        group: group.unwrap_or(DEFAULT_GROUP).to_owned(),
        name: name.to_owned(),
    }
}

/// The schedule that an input describes, new.
fn fresh(engine: &Engine, to: &ScheduleRef, input: ScheduleInput) -> Result<Schedule, Fault> {
    let now = engine.now_ms();
    let minutes = input.flexible_time_window.maximum_window_in_minutes;
    let zone = input.schedule_expression_timezone;
    let mut schedule = Schedule {
        name: to.name.clone(),
        group: to.group.clone(),
        id: engine.tasks.ids().uuid(),
        client_token: input.client_token,
        created_ms: now,
        modified_ms: now,
        description: input.description,
        kms_key: input.kms_key_arn,
        expression: input.schedule_expression,
        zone: zone.unwrap_or_else(|| "UTC".to_owned()),
        start_ms: input.start_date.map(|time| time.0),
        end_ms: input.end_date.map(|time| time.0),
        window_minutes: minutes.map_or(0, |n| u32::try_from(n).unwrap_or_default()),
        is_enabled: input.state.is_none_or(|state| state == "ENABLED"),
        is_deleted_after: input.action_after_completion.as_deref() == Some("DELETE"),
        target: stored(input.target)?,
        anchor_ms: now,
        next: None,
    };
    plan::begin(&mut schedule, now, engine.tasks.ids().u64());
    Ok(schedule)
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: ScheduleInput,
) -> Result<ScheduleArn, wire::Fault> {
    check(&input)?;
    let to = named(&cx, input.group_name.as_deref(), &input.name);
    engine.group(&to.at, &to.group).await?;
    let token = input.client_token.clone();
    let schedule = fresh(&engine, &to, input)?;
    match engine.write(&to, &schedule, Expect::Absent).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => {
            // The same request again has the same answer.
            let known = engine.schedule(&to).await?;
            if token.is_none() || known.client_token != token {
                return Err(Fault::Exists(format!("Schedule {}", to.name)).into());
            }
        }
        Err(other) => return Err(Fault::from(other).into()),
    }
    Ok(ScheduleArn {
        schedule_arn: to.arn(),
    })
}

/// Whether both tick at the same times, so that a change of the rest moves no tick.
fn same_times(a: &Schedule, b: &Schedule) -> bool {
    a.expression == b.expression
        && a.zone == b.zone
        && a.start_ms == b.start_ms
        && a.end_ms == b.end_ms
        && a.window_minutes == b.window_minutes
        && a.is_enabled == b.is_enabled
}

pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: ScheduleInput,
) -> Result<ScheduleArn, wire::Fault> {
    check(&input)?;
    let to = named(&cx, input.group_name.as_deref(), &input.name);
    engine.group(&to.at, &to.group).await?;
    let new = fresh(&engine, &to, input)?;
    let edit = |schedule: &mut Schedule| {
        let old = std::mem::replace(schedule, new.clone());
        if same_times(&old, schedule) {
            schedule.anchor_ms = old.anchor_ms;
            schedule.next = old.next;
        }
        schedule.id = old.id;
        schedule.created_ms = old.created_ms;
        schedule.client_token = old.client_token;
    };
    engine.change(&to, edit).await?;
    Ok(ScheduleArn {
        schedule_arn: to.arn(),
    })
}

fn state(schedule: &Schedule) -> String {
    let at = usize::from(!schedule.is_enabled);
    STATES.get(at).copied().unwrap_or_default().to_owned()
}

fn target(target: Target) -> TargetShape {
    TargetShape {
        arn: target.arn,
        role_arn: target.role,
        input: target.input,
        dead_letter_config: target
            .dead_letter
            .map(|arn| DeadLetterConfig { arn: Some(arn) }),
        retry_policy: Some(RetryPolicy {
            maximum_event_age_in_seconds: i64::try_from(target.age_s).ok(),
            maximum_retry_attempts: Some(target.retries.into()),
        }),
        sqs_parameters: target.group.map(|group| SqsParameters {
            message_group_id: Some(group),
        }),
        event_bridge_parameters: target
            .event
            .map(|(source, detail_type)| EventBridgeParameters {
                detail_type,
                source,
            }),
    }
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: ScheduleRequest,
) -> Result<ScheduleShape, wire::Fault> {
    let to = named(&cx, input.group_name.as_deref(), &input.name);
    let schedule = engine.schedule(&to).await?;
    let minutes = schedule.window_minutes;
    let action = if schedule.is_deleted_after {
        "DELETE"
    } else {
        "NONE"
    };
    Ok(ScheduleShape {
        action_after_completion: action.to_owned(),
        arn: to.arn(),
        creation_date: Timestamp(schedule.created_ms),
        flexible_time_window: FlexibleTimeWindow {
            maximum_window_in_minutes: (minutes > 0).then_some(minutes.into()),
            mode: if minutes > 0 { "FLEXIBLE" } else { "OFF" }.to_owned(),
        },
        last_modification_date: Timestamp(schedule.modified_ms),
        state: state(&schedule),
        description: schedule.description,
        end_date: schedule.end_ms.map(Timestamp),
        group_name: schedule.group,
        kms_key_arn: schedule.kms_key,
        name: schedule.name,
        schedule_expression: schedule.expression,
        schedule_expression_timezone: schedule.zone,
        start_date: schedule.start_ms.map(Timestamp),
        target: target(schedule.target),
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: ScheduleRequest,
) -> Result<Nothing, wire::Fault> {
    let to = named(&cx, input.group_name.as_deref(), &input.name);
    engine.schedule(&to).await?;
    let gone = engine.remove(&to, Expect::Any).await;
    gone.map_err(Fault::from)?;
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListSchedulesRequest,
) -> Result<ListSchedulesResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.max_results)?;
    let after = after(input.next_token.as_deref())?;
    let mut checks = Checks::default();
    if let Some(state) = &input.state {
        checks.choice(state, "state", &STATES);
    }
    checks.done()?;
    let group = input.group_name.as_deref();
    if let Some(group) = group {
        engine.group(&at, group).await?;
    }
    let key = |schedule: &Schedule| format!("{}/{}", schedule.group, schedule.name);
    let prefix = input.name_prefix.unwrap_or_default();
    let all = engine.all(&at, group).await?;
    let from = after.and_then(|after| all.iter().position(|s| key(s) == after));
    let rest = all.into_iter().skip(from.map_or(0, |at| at + 1));
    let found = rest.filter(|schedule| {
        schedule.name.starts_with(&prefix)
            && input
                .state
                .as_ref()
                .is_none_or(|wanted| state(schedule) == *wanted)
    });
    let (found, next_token) = paging::page(found.collect(), limit, key);
    let summary = |schedule: Schedule| ScheduleSummary {
        arn: named(&cx, Some(&schedule.group), &schedule.name).arn(),
        creation_date: Timestamp(schedule.created_ms),
        last_modification_date: Timestamp(schedule.modified_ms),
        state: state(&schedule),
        group_name: schedule.group,
        name: schedule.name,
        target: Map::from_iter([("Arn".to_owned(), Value::from(schedule.target.arn))]),
    };
    Ok(ListSchedulesResponse {
        next_token,
        schedules: found.into_iter().map(summary).collect(),
    })
}
