//! Resource policies as whole documents: they say the same as the statements of `permissions`.

use std::sync::Arc;

use functions::{Error, Statement};
use model::FunctionRef;
use model::policy::Policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::{Context, Fault};

use crate::Lambda;
use crate::fault::{self, invalid_parameter, no_resource};
use crate::name::Target;
use crate::operations::permissions::{POLICY_MAX, text};
use crate::rules::{POLICY_RESOURCE, REVISION};
use crate::violations::Violations;

/// Every request about a resource policy.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResourcePolicyRequest {
    resource_arn: String,
    policy: Option<String>,
    revision_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ResourcePolicyResponse {
    policy: String,
    revision_id: String,
}

/// [Lambda API: PutResourcePolicy]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ResourcePolicyRequest,
) -> Result<ResourcePolicyResponse, Fault> {
    let mut v = checked(&input);
    v.required("policy", input.policy.as_ref());
    v.length("policy", input.policy.as_deref(), 1, POLICY_MAX);
    v.check()?;
    let (target, function) = named(&cx, &input)?;
    if target.qualifier.as_deref() == Some("$LATEST") {
        return Err(invalid_parameter(
            "We currently do not support adding policies for $LATEST.",
        ));
    }
    let statements = statements(&input.policy.unwrap_or_default(), &target.arn())?;
    let functions = &lambda.functions;
    let put = functions.put_policy(&function, statements, input.revision_id);
    put.await.map_err(|e| fault::refused(e, &target))?;
    shown(&lambda, &target, &function)
}

/// [Lambda API: GetResourcePolicy]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ResourcePolicyRequest,
) -> Result<ResourcePolicyResponse, Fault> {
    checked(&input).check()?;
    let (target, function) = named(&cx, &input)?;
    shown(&lambda, &target, &function)
}

/// [Lambda API: DeleteResourcePolicy]
pub(crate) async fn delete(
    lambda: Arc<Lambda>,
    cx: Context,
    input: ResourcePolicyRequest,
) -> Result<(), Fault> {
    checked(&input).check()?;
    let (target, function) = named(&cx, &input)?;
    let gone = lambda.functions.delete_policy(&function, input.revision_id);
    gone.await.map_err(|e| match e {
        Error::NoPolicy => no_resource(),
        other => fault::refused(other, &target),
    })
}

fn checked(input: &ResourcePolicyRequest) -> Violations {
    let mut v = Violations::new();
    let (arn, revision) = (Some(&*input.resource_arn), input.revision_id.as_deref());
    v.length("resourceArn", arn, 0, 512);
    v.pattern("resourceArn", arn, POLICY_RESOURCE);
    v.length("revisionId", revision, 36, 36);
    v.pattern("revisionId", revision, REVISION);
    v
}

fn named(cx: &Context, input: &ResourcePolicyRequest) -> Result<(Target, FunctionRef), Fault> {
    if input.resource_arn.split(':').nth(5) != Some("function") {
        return Err(fault::not_built("policies of runtimes"));
    }
    let target = Target::resolve(cx, &input.resource_arn, None)?;
    let function = target.function()?;
    Ok((target, function))
}

fn shown(
    lambda: &Lambda,
    target: &Target,
    function: &FunctionRef,
) -> Result<ResourcePolicyResponse, Fault> {
    let policy = lambda.functions.policy(function).ok_or_else(no_resource)?;
    Ok(ResourcePolicyResponse {
        policy: text(&policy, &target.arn()),
        revision_id: policy.revision.clone(),
    })
}

/// The statements of a document, each of which is about `arn` and is one that can be evaluated.
fn statements(document: &str, arn: &str) -> Result<Vec<Statement>, Fault> {
    let bad = |why: &str| invalid_parameter(format!("The policy is not valid: {why}."));
    let document: Value = serde_json::from_str(document).map_err(|_| bad("it is no JSON"))?;
    Policy::read(&document).map_err(|e| bad(&e.to_string()))?;
    let all = match document.get("Statement") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    if all.is_empty() {
        return Err(bad("it has no statement"));
    }
    for statement in &all {
        if statement.get("Principal").is_none() && statement.get("NotPrincipal").is_none() {
            return Err(bad("a statement names no principal"));
        }
        if !words(statement.get("Resource")).iter().all(|r| r == arn) {
            return Err(bad(&format!("its statements must be about {arn}")));
        }
        let is_ours = |action: &String| action.starts_with("lambda:");
        if !words(statement.get("Action")).iter().all(is_ours) {
            return Err(bad("its actions must be actions of lambda"));
        }
        if is_public(statement) {
            return Err(public());
        }
    }
    let made = all.iter().map(|statement| {
        let id = statement.get("Sid").and_then(Value::as_str);
        Statement::written(id.unwrap_or_default().to_owned(), statement.to_string())
    });
    Ok(made.collect())
}

/// A text or a list of texts; what is missing is one that fits nothing.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) if !all.is_empty() => all
            .iter()
            .map(|v| v.as_str().unwrap_or_default().to_owned())
            .collect(),
        _ => vec![String::new()],
    }
}

/// Lets in whoever comes.
fn is_public(statement: &Value) -> bool {
    let is_allowed = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
    let principal = statement.get("Principal");
    let by_kind = principal.and_then(|p| p.get("AWS"));
    let is_anyone = |value: Option<&Value>| words(value).iter().any(|p| p == "*");
    let is_free = statement.get("Condition").is_none();
    let is_everyone =
        is_anyone(principal) || is_anyone(by_kind) || statement.get("NotPrincipal").is_some();
    is_allowed && is_free && is_everyone
}

/// [Lambda API: PublicPolicyException]
fn public() -> Fault {
    Fault::client(
        "PublicPolicyException",
        400,
        "The resource-based policy you tried to add to the Lambda resource would grant public access to it, which isn't allowed.",
    )
    .capital_message()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

    fn check(statement: &str) -> String {
        let statement = statement.replace("ARN", ARN);
        match statements(&format!("{{\"Statement\": {statement}}}"), ARN) {
            Ok(all) => format!("{}", all.len()),
            Err(fault) => fault.code().to_owned(),
        }
    }

    #[test]
    fn statements_must_make_sense_for_the_function() {
        const INVALID: &str = "InvalidParameterValueException";
        let who = r#""Effect": "Allow", "Principal": {"AWS": "111111111111"}"#;
        let anyone = r#""Effect": "Allow", "Principal": "*""#;
        let what = r#""Action": "lambda:InvokeFunction", "Resource": "ARN""#;
        let only = r#""Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#;
        for (statement, expected) in [
            (format!("{{{who}, {what}}}"), "1"),
            (format!("[{{{who}, {what}}}, {{{who}, {what}}}]"), "2"),
            ("[]".to_owned(), INVALID),
            (format!("{{{what}, \"Effect\": \"Allow\"}}"), INVALID),
            (
                format!(r#"{{{who}, "Action": "lambda:*", "Resource": "*"}}"#),
                INVALID,
            ),
            (
                format!(r#"{{{who}, "Action": "sqs:*", "Resource": "ARN"}}"#),
                INVALID,
            ),
            (format!("{{{anyone}, {what}}}"), "PublicPolicyException"),
            (format!("{{{anyone}, {what}, {only}}}"), "1"),
        ] {
            assert_eq!(check(&statement), expected, "{statement}");
        }
    }
}
