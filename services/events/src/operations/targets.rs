use std::sync::Arc;

use model::Arn;
use serde::de::IgnoredAny;
use wire::{Checks, Context, paging};

use crate::api::{
    DeadLetterConfig, InputTransformer, ListRuleNamesByTargetRequest,
    ListRuleNamesByTargetResponse, ListTargetsByRuleRequest, ListTargetsByRuleResponse,
    PutTargetsRequest, RemoveTargetsRequest, RetryPolicy, SqsParameters, TargetShape,
    TargetsResponse,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::http::api::TargetHttpParameters;
use crate::http::record::TargetParameters;
use crate::input::unknown_placeholder;
use crate::names::{BusRef, Names, Place, after, limit};
use crate::path::Path;
use crate::record::{Rule, RuleTarget, Transformer};

/// [EventBridge quotas: targets per rule]
const TARGETS_MAX: usize = 5;
/// Targets of one call.
const CALL_MAX: usize = 100;
/// Services that Kiln delivers to.
const BUILT: [&str; 5] = ["events", "lambda", "logs", "sns", "sqs"];

fn check(target: &TargetShape, at: usize, checks: &mut Checks) {
    let member = |name: &str| format!("targets.{at}.member.{name}");
    checks.name(&target.id, &member("id"), 64);
    checks.length(&target.arn, &member("arn"), 1, 1_600);
    if let Some(input) = &target.input {
        checks.length(input, &member("input"), 0, 8_192);
    }
    if let Some(path) = &target.input_path {
        checks.length(path, &member("inputPath"), 0, 256);
    }
    if let Some(transformer) = &target.input_transformer {
        let template = &transformer.input_template;
        checks.length(
            template,
            &member("inputTransformer.inputTemplate"),
            1,
            8_192,
        );
    }
    if let Some(retry) = &target.retry_policy {
        if let Some(tries) = retry.maximum_retry_attempts {
            checks.range(tries, &member("retryPolicy.maximumRetryAttempts"), 0, 185);
        }
        if let Some(age) = retry.maximum_event_age_in_seconds {
            let name = member("retryPolicy.maximumEventAgeInSeconds");
            checks.range(age, &name, 60, 86_400);
        }
    }
}

fn refused<T>(text: String) -> Result<T, Fault> {
    Err(Fault::Validation(text))
}

/// The rules that span members.
fn stored(target: TargetShape) -> Result<RuleTarget, Fault> {
    let id = &target.id;
    let Ok(arn) = target.arn.parse::<Arn>() else {
        return refused(format!(
            "Parameter {} is not valid. Reason: Provided Arn is not in correct format.",
            target.arn
        ));
    };
    if !BUILT.contains(&arn.service.as_str()) {
        return Err(Fault::NotBuilt(format!("targets of {}", arn.service)));
    }
    let inputs = [
        target.input.is_some(),
        target.input_path.is_some(),
        target.input_transformer.is_some(),
    ];
    if inputs.into_iter().filter(|is_given| *is_given).count() > 1 {
        return refused(format!(
            "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        ));
    }
    if let Some(input) = &target.input
        && serde_json::from_str::<IgnoredAny>(input).is_err()
    {
        return refused(format!("JSON syntax error in input for target {id}."));
    }
    let transformer = target.input_transformer.map(|transformer| Transformer {
        paths: transformer.input_paths_map.unwrap_or_default(),
        template: transformer.input_template,
    });
    let paths = transformer.iter().flat_map(|t| t.paths.values());
    for path in paths.chain(&target.input_path) {
        if Path::parse(path).is_none() {
            return refused(format!("Invalid InputPath for target {id}."));
        }
    }
    if let Some(name) = transformer.as_ref().and_then(unknown_placeholder) {
        return refused(format!(
            "InputTemplate for target {id} contains invalid placeholder {name}."
        ));
    }
    let group = target.sqs_parameters.and_then(|sqs| sqs.message_group_id);
    let is_fifo = arn.service == "sqs" && arn.resource.ends_with(".fifo");
    if is_fifo && group.is_none() {
        return refused(format!(
            "Parameter(s) MessageGroupId must be specified for target: {id}."
        ));
    }
    let retry = target.retry_policy;
    let retries = retry.as_ref().and_then(|r| r.maximum_retry_attempts);
    let age = retry.as_ref().and_then(|r| r.maximum_event_age_in_seconds);
    Ok(RuleTarget {
        id: target.id,
        arn: target.arn,
        role: target.role_arn,
        input: target.input,
        input_path: target.input_path,
        transformer,
        group,
        dead_letter: target.dead_letter_config.and_then(|config| config.arn),
        retries: retries.and_then(|n| u32::try_from(n).ok()),
        age_s: age.and_then(|n| u64::try_from(n).ok()),
        http: target.http_parameters.map(|http| TargetParameters {
            path: http.path_parameter_values.unwrap_or_default(),
            headers: http.header_parameters.unwrap_or_default(),
            query: http.query_string_parameters.unwrap_or_default(),
        }),
    })
}

fn shape(target: RuleTarget) -> TargetShape {
    let retry = (target.retries.is_some() || target.age_s.is_some()).then(|| RetryPolicy {
        maximum_retry_attempts: target.retries.map(i64::from),
        maximum_event_age_in_seconds: target.age_s.and_then(|age| i64::try_from(age).ok()),
    });
    TargetShape {
        id: target.id,
        arn: target.arn,
        role_arn: target.role,
        input: target.input,
        input_path: target.input_path,
        input_transformer: target.transformer.map(|transformer| InputTransformer {
            input_paths_map: (!transformer.paths.is_empty()).then_some(transformer.paths),
            input_template: transformer.template,
        }),
        sqs_parameters: target.group.map(|group| SqsParameters {
            message_group_id: Some(group),
        }),
        dead_letter_config: target
            .dead_letter
            .map(|arn| DeadLetterConfig { arn: Some(arn) }),
        retry_policy: retry,
        http_parameters: target.http.map(|http| TargetHttpParameters {
            path_parameter_values: (!http.path.is_empty()).then_some(http.path),
            header_parameters: (!http.headers.is_empty()).then_some(http.headers),
            query_string_parameters: (!http.query.is_empty()).then_some(http.query),
        }),
    }
}

fn done() -> TargetsResponse {
    TargetsResponse {
        failed_entry_count: 0,
        failed_entries: Vec::new(),
    }
}

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutTargetsRequest,
) -> Result<TargetsResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let mut checks = Checks::default();
    checks.name(&input.rule, "rule", 64);
    let count = input.targets.len();
    checks.holds((1..=CALL_MAX).contains(&count), "[]", "targets", || {
        "have length between 1 and 100".to_owned()
    });
    for (at, target) in (1..).zip(&input.targets) {
        check(target, at, &mut checks);
    }
    checks.done()?;
    engine.bus(&bus).await?;
    let targets = input.targets.into_iter().map(stored);
    let targets = targets.collect::<Result<Vec<RuleTarget>, Fault>>()?;
    let edit = |rule: &mut Rule| {
        for target in &targets {
            match rule.targets.iter_mut().find(|known| known.id == target.id) {
                Some(known) => known.clone_from(target),
                None => rule.targets.push(target.clone()),
            }
        }
        (rule.targets.len() <= TARGETS_MAX)
            .then_some(())
            .ok_or(Fault::Limit)
    };
    engine.change_rule(&bus, &input.rule, None, edit).await?;
    Ok(done())
}

pub(crate) async fn remove(
    engine: Arc<Engine>,
    cx: Context,
    input: RemoveTargetsRequest,
) -> Result<TargetsResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let mut checks = Checks::default();
    checks.name(&input.rule, "rule", 64);
    checks.done()?;
    engine.bus(&bus).await?;
    let edit = |rule: &mut Rule| {
        rule.targets
            .retain(|target| !input.ids.contains(&target.id));
        Ok(())
    };
    engine.change_rule(&bus, &input.rule, None, edit).await?;
    Ok(done())
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListTargetsByRuleRequest,
) -> Result<ListTargetsByRuleResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    engine.bus(&bus).await?;
    let Rule {
        targets,
        managed_by,
        ..
    } = engine.rule(&bus, &input.rule).await?;
    let from = after.and_then(|id| targets.iter().position(|target| target.id == id));
    let from = from.map_or(0, |at| at + 1);
    let targets: Vec<RuleTarget> = targets.into_iter().skip(from).collect();
    let (targets, next_token) = paging::page(targets, limit, |target| target.id.clone());
    Ok(ListTargetsByRuleResponse {
        targets: targets
            .into_iter()
            .map(shape)
            .map(|target| match managed_by {
                Some(_) => with_empty_paths(target),
                None => target,
            })
            .collect(),
        next_token,
    })
}

/// The targets of archives show that they have no paths.  [recorded from AWS]
fn with_empty_paths(mut target: TargetShape) -> TargetShape {
    if let Some(transformer) = &mut target.input_transformer {
        transformer.input_paths_map.get_or_insert_default();
    }
    target
}

pub(crate) async fn rules_of(
    engine: Arc<Engine>,
    cx: Context,
    input: ListRuleNamesByTargetRequest,
) -> Result<ListRuleNamesByTargetResponse, wire::Fault> {
    let bus = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    engine.bus(&bus).await?;
    let is_sent = |rule: &Rule| {
        let mut targets = rule.targets.iter();
        targets.any(|target| target.arn == input.target_arn)
    };
    let rules = engine.shown_rules_of(&bus).await?.into_iter();
    let names = rules.filter(is_sent).map(|rule| rule.name);
    let names = names.filter(|name| after.as_ref().is_none_or(|after| name > after));
    let (rule_names, next_token) = paging::page(names.collect(), limit, String::clone);
    Ok(ListRuleNamesByTargetResponse {
        rule_names,
        next_token,
    })
}
