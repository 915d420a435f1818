use std::sync::Arc;

use model::policy::Policy;
use serde_json::{Value, json};
use wire::{Checks, Context};

use crate::api::{Nothing, PutPermissionRequest, RemovePermissionRequest};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::{BusRef, Names, Place};
use crate::record::Bus;

/// [EventBridge quotas: event bus policy size]
const POLICY_BYTES_MAX: usize = 10_240;

fn refused<T>(text: &str) -> Result<T, Fault> {
    Err(Fault::Validation(text.to_owned()))
}

/// The statement that the members of a request describe.
fn statement(input: &PutPermissionRequest, bus: &BusRef) -> Result<Value, Fault> {
    let (Some(action), Some(principal), Some(id)) =
        (&input.action, &input.principal, &input.statement_id)
    else {
        return refused(
            "Parameter(s) Policy or Action, Principal and StatementId must be specified.",
        );
    };
    let mut checks = Checks::default();
    checks.statement(id, "statementId");
    let is_account = principal.len() == 12 && principal.bytes().all(|b| b.is_ascii_digit());
    let is_principal = is_account || principal == "*";
    checks.pattern(is_principal, principal, "principal", r"(\d{12}|\*)");
    let is_action = action
        .strip_prefix("events:")
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()));
    checks.pattern(is_action, action, "action", "events:[a-zA-Z]+");
    checks.done()?;
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
    };
    let mut statement = json!({
        "Sid": id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": bus.arn(),
    });
    if let Some(condition) = &input.condition {
        let (kind, key, value) = (&condition.kind, &condition.key, &condition.value);
        let is_known = kind == "StringEquals" && key == "aws:PrincipalOrgID";
        if !is_known {
            return refused("Parameter Condition is not valid.");
        }
        if let Some(members) = statement.as_object_mut() {
            members.insert("Condition".to_owned(), json!({kind: {key: value}}));
        }
    }
    Ok(statement)
}

fn statements(policy: &mut Value) -> Option<&mut Vec<Value>> {
    policy.get_mut("Statement")?.as_array_mut()
}

fn check_size(policy: &Value) -> Result<(), Fault> {
    (policy.to_string().len() <= POLICY_BYTES_MAX)
        .then_some(())
        .ok_or(Fault::PolicyLength)
}

pub(crate) async fn put(
    engine: Arc<Engine>,
    cx: Context,
    input: PutPermissionRequest,
) -> Result<Nothing, wire::Fault> {
    let to = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let whole = match &input.policy {
        None => None,
        Some(text) => match serde_json::from_str::<Value>(text) {
            Ok(policy) if Policy::read(&policy).is_ok() => Some(policy),
            _ => return Ok(refused("Parameter Policy is not valid.")?),
        },
    };
    let one = match &whole {
        Some(_) => None,
        None => Some(statement(&input, &to)?),
    };
    let now = engine.now_ms();
    let edit = |bus: &mut Bus| {
        let mut policy = match (&whole, bus.policy.take()) {
            (Some(whole), _) => whole.clone(),
            (None, Some(policy)) => policy,
            (None, None) => json!({"Version": "2012-10-17", "Statement": []}),
        };
        if let (Some(one), Some(all)) = (&one, statements(&mut policy)) {
            all.retain(|known| known.get("Sid") != one.get("Sid"));
            all.push(one.clone());
        }
        check_size(&policy)?;
        bus.policy = Some(policy);
        bus.modified_ms = now;
        Ok(())
    };
    engine.change_bus(&to, edit).await?;
    Ok(Nothing {})
}

pub(crate) async fn remove(
    engine: Arc<Engine>,
    cx: Context,
    input: RemovePermissionRequest,
) -> Result<Nothing, wire::Fault> {
    let to = BusRef::named(&Place::of(&cx), input.event_bus_name.as_deref())?;
    let now = engine.now_ms();
    let is_all = input.remove_all_permissions.unwrap_or_default();
    let edit = |bus: &mut Bus| {
        bus.modified_ms = now;
        if is_all {
            bus.policy = None;
            return Ok(());
        }
        let Some(id) = &input.statement_id else {
            return refused("Parameter StatementId must be specified.");
        };
        let missing =
            || Fault::NotFound("Statement with the provided id does not exist.".to_owned());
        let policy = bus.policy.as_mut().ok_or_else(missing)?;
        let all = statements(policy).ok_or_else(missing)?;
        let before = all.len();
        all.retain(|known| known.get("Sid").is_none_or(|sid| sid != id));
        if all.len() == before {
            return Err(missing());
        }
        if all.is_empty() {
            bus.policy = None;
        }
        Ok(())
    };
    engine.change_bus(&to, edit).await?;
    Ok(Nothing {})
}
