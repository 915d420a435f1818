use std::sync::Arc;

use patterns::Pattern;
use schedules::Expression;
use serde_json::Value;
use wire::{Checks, Context, paging};

use crate::api::{
    DeleteRuleRequest, ListRulesRequest, ListRulesResponse, Nothing, PutRuleRequest,
    PutRuleResponse, RuleRequest, RuleShape, TestEventPatternRequest, TestEventPatternResponse,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{BusRef, DEFAULT_BUS, Names, Place, after, limit};
use crate::operations::tags;
use crate::record::Rule;
use crate::ticks::next_tick;

/// [EventBridge quotas: rules]
const RULES_MAX: usize = 300;
const STATES: [&str; 3] = [
    "ENABLED",
    "DISABLED",
    "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
];
/// Members that an event must have to be tested.
const EVENT_MEMBERS: [&str; 6] = ["id", "account", "source", "time", "region", "detail-type"];

pub(crate) fn check_pattern(text: &str) -> Result<(), Fault> {
    Pattern::parse(text)
        .map(drop)
        .map_err(|refused| Fault::Pattern(refused.to_string()))
}

fn check(input: &PutRuleRequest, bus: &BusRef) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.name(&input.name, "name", 64);
    if let Some(text) = &input.event_pattern {
        checks.length(text, "eventPattern", 0, 4_096);
    }
    if let Some(text) = &input.schedule_expression {
        checks.length(text, "scheduleExpression", 0, 256);
    }
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    if let Some(state) = &input.state {
        checks.choice(state, "state", &STATES);
    }
    checks.done()?;
    let refused = |text: &str| Err(Fault::Validation(text.to_owned()));
    let schedule = input.schedule_expression.as_deref().unwrap_or_default();
    let pattern = input.event_pattern.as_deref().unwrap_or_default();
    if schedule.is_empty() && pattern.is_empty() {
        return refused("Parameter(s) EventPattern or ScheduleExpression must be specified.");
    }
    if !schedule.is_empty() {
        if bus.name != DEFAULT_BUS {
            return refused("ScheduleExpression is supported only on the default event bus.");
        }
        if Expression::of_rule(schedule).is_none() {
            return refused("Parameter ScheduleExpression is not valid.");
        }
    }
    if !pattern.is_empty() {
        check_pattern(pattern)?;
    }
    tags::check(input.tags.as_deref().unwrap_or_default())
}

/// Sets the schedule going, or stops it. A schedule that runs already keeps its ticks.
fn arm(rule: &mut Rule, now: i64) {
    let schedule = rule.schedule.clone().filter(|_| rule.is_enabled());
    match schedule {
        None => rule.next_ms = None,
        Some(schedule) if rule.next_ms.is_none() => {
            rule.anchor_ms = now;
            rule.next_ms = next_tick(&schedule, now, now);
        }
        Some(_) => {}
    }
}

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutRuleRequest,
) -> Result<PutRuleResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    check(&input, &bus)?;
    engine.bus(&bus).await?;
    let rules = engine.rules_of(&bus).await?;
    if rules.len() >= RULES_MAX && !rules.iter().any(|rule| rule.name == input.name) {
        return Err(Fault::Limit.into());
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let fresh = || Rule {
        name: input.name.clone(),
        bus: bus.name.clone(),
        created_by: cx.account().to_owned(),
        tags: tags::map(input.tags.as_deref().unwrap_or_default()),
        ..Rule::default()
    };
    let now = engine.now_ms();
    let edit = |rule: &mut Rule| {
        if rule.schedule != given(&input.schedule_expression) {
            rule.next_ms = None;
        }
        rule.pattern = given(&input.event_pattern);
        rule.schedule = given(&input.schedule_expression);
        rule.state = input.state.clone().unwrap_or_else(|| "ENABLED".to_owned());
        rule.description = given(&input.description);
        rule.role = given(&input.role_arn);
        arm(rule, now);
        Ok(())
    };
    engine
        .change_rule(&bus, &input.name, Some(&fresh), edit)
        .await?;
    Ok(PutRuleResponse {
        rule_arn: bus.rule_arn(&input.name),
    })
}

fn shape(bus: &BusRef, rule: Rule) -> RuleShape {
    RuleShape {
        arn: bus.rule_arn(&rule.name),
        name: rule.name,
        event_pattern: rule.pattern,
        schedule_expression: rule.schedule,
        state: rule.state,
        description: rule.description,
        role_arn: rule.role,
        managed_by: rule.managed_by,
        event_bus_name: rule.bus,
        created_by: None,
    }
}

fn named(cx: &Context, name: &str, bus: Option<&str>) -> Result<BusRef, Fault> {
    let mut checks = Checks::default();
    checks.name(name, "name", 64);
    checks.done()?;
    BusRef::named(&Place::of(cx), bus)
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: RuleRequest,
) -> Result<RuleShape, wire::Fault> {
    let bus = named(&cx, &input.name, input.event_bus_name.as_deref())?;
    let rule = engine.rule(&bus, &input.name).await?;
    let created_by = Some(rule.created_by.clone());
    Ok(RuleShape {
        created_by,
        ..shape(&bus, rule)
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: DeleteRuleRequest,
) -> Result<Nothing, wire::Fault> {
    let bus = named(&cx, &input.name, input.event_bus_name.as_deref())?;
    engine.bus(&bus).await?;
    engine.delete_rule(&bus, &input.name).await?;
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListRulesRequest,
) -> Result<ListRulesResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    engine.bus(&bus).await?;
    let prefix = input.name_prefix.unwrap_or_default();
    let mut rules = engine.shown_rules_of(&bus).await?;
    rules.retain(|rule| {
        rule.name.starts_with(&prefix) && after.as_ref().is_none_or(|after| rule.name > *after)
    });
    let (rules, next_token) = paging::page(rules, limit, |rule| rule.name.clone());
    let rules = rules.into_iter().map(|rule| shape(&bus, rule)).collect();
    Ok(ListRulesResponse { rules, next_token })
}

async fn set_state(
    engine: Arc<Engine>,
    cx: Context,
    input: RuleRequest,
    state: &str,
) -> Result<Nothing, wire::Fault> {
    let bus = named(&cx, &input.name, input.event_bus_name.as_deref())?;
    engine.bus(&bus).await?;
    let now = engine.now_ms();
    let edit = |rule: &mut Rule| {
        state.clone_into(&mut rule.state);
        arm(rule, now);
        Ok(())
    };
    engine.change_rule(&bus, &input.name, None, edit).await?;
    Ok(Nothing {})
}

pub(crate) async fn enable(
    engine: Arc<Engine>,
    cx: Context,
    input: RuleRequest,
) -> Result<Nothing, wire::Fault> {
    set_state(engine, cx, input, "ENABLED").await
}

pub(crate) async fn disable(
    engine: Arc<Engine>,
    cx: Context,
    input: RuleRequest,
) -> Result<Nothing, wire::Fault> {
    set_state(engine, cx, input, "DISABLED").await
}

#[allow(clippy::unused_async)] // as all operations
pub(crate) async fn test_pattern(
    _engine: Arc<Engine>,
    _cx: Context,
    input: TestEventPatternRequest,
) -> Result<TestEventPatternResponse, wire::Fault> {
    let event: Option<Value> = serde_json::from_str(&input.event).ok();
    let is_whole = |event: &Value| EVENT_MEMBERS.iter().all(|name| event.get(name).is_some());
    let Some(event) = event.filter(is_whole) else {
        return Err(Fault::Validation("Parameter Event is not valid.".to_owned()).into());
    };
    let pattern = Pattern::parse(&input.event_pattern);
    let pattern = pattern.map_err(|refused| Fault::Pattern(refused.to_string()))?;
    Ok(TestEventPatternResponse {
        result: pattern.matches(&event),
    })
}
