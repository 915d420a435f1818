use std::sync::Arc;

use functions::{Condition, Error, Policy, Principal, Statement};
use model::FunctionRef;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyResponse, PermissionRequest,
};
use crate::fault::{self, invalid_parameter, missing};
use crate::name::{NAMESPACED, Target};
use crate::rules::{
    ACTION, EVENT_SOURCE_TOKEN, NAMESPACED_STATEMENT_ID, ORGANIZATION_ID, PRINCIPAL, PUBLISHER,
    SOURCE_ACCOUNT, STATEMENT_ID, TEXT_MAX,
};
use crate::violations::Violations;

/// Longest policy, in bytes of its JSON.  [Lambda quotas]
pub(crate) const POLICY_MAX: usize = 20_480;

/// [Lambda API: AddPermission]
pub(crate) async fn add(
    lambda: Arc<Lambda>,
    cx: Context,
    input: AddPermissionRequest,
) -> Result<AddPermissionResponse, Fault> {
    check(&input)?;
    let target = Target::resolve(&cx, &input.function_name, input.qualifier.as_deref())?;
    if target.qualifier.as_deref() == Some("$LATEST") {
        return Err(invalid_parameter(
            "We currently do not support adding policies for $LATEST.",
        ));
    }
    let function = target.function()?;
    let statement = statement(&input)?;
    let shown = document(&statement, &target.arn());
    let arn = target.arn();
    let fits = move |policy: &Policy| {
        let size = text(policy, &arn).len();
        match size > POLICY_MAX {
            true => Err(Error::PolicyTooLong {
                size,
                max: POLICY_MAX,
            }),
            false => Ok(()),
        }
    };
    lambda
        .functions
        .add_permission(&function, statement, input.revision_id, fits)
        .await
        .map_err(|e| fault::refused(e, &target))?;
    Ok(AddPermissionResponse {
        statement: serde_json::to_string(&shown).unwrap_or_default(),
    })
}

/// [Lambda API: RemovePermission]
pub(crate) async fn remove(
    lambda: Arc<Lambda>,
    cx: Context,
    input: PermissionRequest,
) -> Result<(), Fault> {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), qualifier);
    let id = Some(input.statement_id.as_str());
    v.text("statementId", id, (1, 100), NAMESPACED_STATEMENT_ID);
    v.check()?;
    let target = Target::resolve(&cx, &input.function_name, qualifier)?;
    let none = || missing(format!("No policy found for: {}", target.arn()));
    let function = target.function().map_err(|_| none())?;
    lambda
        .functions
        .remove_permission(&function, input.statement_id, input.revision_id)
        .await
        .map_err(|e| match e {
            Error::NotFound(_) => none(),
            other => fault::refused(other, &target),
        })
}

/// [Lambda API: GetPolicy]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: PermissionRequest,
) -> Result<GetPolicyResponse, Fault> {
    let qualifier = input.qualifier.as_deref();
    let target = Target::read_shared(&lambda, &cx, NAMESPACED, &input.function_name, qualifier)?;
    let found = |f: FunctionRef| lambda.functions.policy(&f);
    let policy = target
        .function()
        .ok()
        .and_then(found)
        .ok_or_else(|| missing("The resource you requested does not exist."))?;
    Ok(GetPolicyResponse {
        policy: text(&policy, &target.arn()),
        revision_id: policy.revision.clone(),
    })
}

fn check(input: &AddPermissionRequest) -> Result<(), Fault> {
    let mut v = Violations::new();
    let qualifier = input.qualifier.as_deref();
    Target::check(&mut v, NAMESPACED, Some(&input.function_name), qualifier);
    v.required("statementId", input.statement_id.as_ref());
    let id = input.statement_id.as_deref();
    v.text("statementId", id, (1, 100), STATEMENT_ID);
    v.required("action", input.action.as_ref());
    v.text("action", input.action.as_deref(), (0, TEXT_MAX), ACTION);
    v.required("principal", input.principal.as_ref());
    let principal = input.principal.as_deref();
    v.text("principal", principal, (0, 2_048), PRINCIPAL);
    let source = input.source_arn.as_deref();
    v.text("sourceArn", source, (0, TEXT_MAX), PUBLISHER);
    let account = input.source_account.as_deref();
    v.text("sourceAccount", account, (0, 12), SOURCE_ACCOUNT);
    let token = input.event_source_token.as_deref();
    v.text("eventSourceToken", token, (0, 256), EVENT_SOURCE_TOKEN);
    let organization = input.principal_org_id.as_deref();
    v.text("principalOrgID", organization, (12, 34), ORGANIZATION_ID);
    v.one_of(
        "functionUrlAuthType",
        input.function_url_auth_type.as_deref(),
        &["NONE", "AWS_IAM"],
    );
    v.check()
}

fn statement(input: &AddPermissionRequest) -> Result<Statement, Fault> {
    let mut conditions = Vec::new();
    let mut add = |operator: &str, key: &str, value: Option<&str>| {
        conditions.extend(value.map(|value| Condition {
            operator: operator.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        }));
    };
    add(
        "StringEquals",
        "AWS:SourceAccount",
        input.source_account.as_deref(),
    );
    add(
        "StringEquals",
        "lambda:EventSourceToken",
        input.event_source_token.as_deref(),
    );
    add(
        "StringEquals",
        "lambda:FunctionUrlAuthType",
        input.function_url_auth_type.as_deref(),
    );
    add(
        "StringEquals",
        "aws:PrincipalOrgID",
        input.principal_org_id.as_deref(),
    );
    let via_url = input.invoked_via_function_url.map(|is| is.to_string());
    add("Bool", "lambda:InvokedViaFunctionUrl", via_url.as_deref());
    add("ArnLike", "AWS:SourceArn", input.source_arn.as_deref());
    Ok(Statement {
        id: input.statement_id.clone().unwrap_or_default(),
        principal: principal(input.principal.as_deref().unwrap_or_default())?,
        action: input.action.clone().unwrap_or_default(),
        conditions,
        written: None,
    })
}

/// An account, an ARN, a service, or everyone.
pub(crate) fn principal(text: &str) -> Result<Principal, Fault> {
    let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let is_service = [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com"]
        .iter()
        .any(|end| text.len() > end.len() && text.ends_with(end));
    match text {
        "*" => Ok(Principal::Anyone),
        _ if is_account => Ok(Principal::Aws(format!("arn:aws:iam::{text}:root"))),
        _ if text.starts_with("arn:") => Ok(Principal::Aws(text.to_owned())),
        _ if is_service => Ok(Principal::Service(text.to_owned())),
        _ => Err(invalid_parameter(
            "The provided principal was invalid. Please check the principal and try again.",
        )),
    }
}

/// A statement as IAM writes it; the order of its members is AWS's.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Document {
    sid: String,
    effect: &'static str,
    principal: Value,
    action: String,
    resource: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    condition: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Documents {
    version: &'static str,
    id: &'static str,
    statement: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Added(Document),
    /// As it was put.
    Written(Value),
}

pub(crate) fn document(statement: &Statement, arn: &str) -> Document {
    let mut condition = Map::new();
    for c in &statement.conditions {
        let operator = condition
            .entry(c.operator.clone())
            .or_insert_with(|| json!({}));
        if let Some(keys) = operator.as_object_mut() {
            keys.insert(c.key.clone(), c.value.clone().into());
        }
    }
    Document {
        sid: statement.id.clone(),
        effect: "Allow",
        principal: match &statement.principal {
            Principal::Anyone => "*".into(),
            Principal::Aws(arn) => json!({ "AWS": arn }),
            Principal::Service(name) => json!({ "Service": name }),
        },
        action: statement.action.clone(),
        resource: arn.to_owned(),
        condition,
    }
}

pub(crate) fn text(policy: &Policy, arn: &str) -> String {
    let shown = |s: &Statement| match &s.written {
        Some(text) => Shown::Written(serde_json::from_str(text).unwrap_or_default()),
        None => Shown::Added(document(s, arn)),
    };
    let statement = policy.statements.iter().map(shown).collect();
    let all = Documents {
        version: "2012-10-17",
        id: "default",
        statement,
    };
    // Maps of strings always encode.
    serde_json::to_string(&all).unwrap_or_default()
}
