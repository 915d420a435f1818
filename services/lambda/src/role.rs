//! What the execution role of a function must be allowed, so that events can go where they shall.
//! [Lambda guide: asynchronous invocation, dead-letter queues, destinations]

use model::{Arn, RoleArn};
use wire::Fault;

use crate::Lambda;
use crate::fault::invalid_parameter;

/// The action that a target of this service asks for, and how AWS calls operation and service.
const ACTIONS: &[(&str, &str, &str, &str)] = &[
    ("sqs", "sqs:SendMessage", "SendMessage", "SQS"),
    ("sns", "sns:Publish", "Publish", "SNS"),
    (
        "lambda",
        "lambda:InvokeFunction",
        "InvokeFunction",
        "Lambda",
    ),
    ("events", "events:PutEvents", "PutEvents", "EventBridge"),
    ("s3", "s3:PutObject", "PutObject", "S3"),
];

/// Checks that the role may send dead letters to `target`.
///
/// # Errors
/// It may not, in the words of AWS.
pub(crate) async fn check_dead_letter(
    lambda: &Lambda,
    role: &RoleArn,
    target: &str,
) -> Result<(), Fault> {
    match forbidden(lambda, role, target).await? {
        Some((operation, service)) => Err(invalid_parameter(format!(
            "The provided execution role does not have permissions to call {operation} on {service}"
        ))),
        None => Ok(()),
    }
}

/// Checks that the role may send records to `target`.
///
/// # Errors
/// It may not.
pub(crate) async fn check_destination(
    lambda: &Lambda,
    role: &RoleArn,
    target: &str,
) -> Result<(), Fault> {
    match forbidden(lambda, role, target).await? {
        Some((operation, _)) => Err(invalid_parameter(format!(
            "The function's execution role does not have permissions to call {operation} on {target}"
        ))),
        None => Ok(()),
    }
}

/// What the role would have to be allowed and is not.
async fn forbidden(
    lambda: &Lambda,
    role: &RoleArn,
    target: &str,
) -> Result<Option<(&'static str, &'static str)>, Fault> {
    let Some(roles) = &lambda.roles else {
        return Ok(None);
    };
    let service = target.parse::<Arn>().map(|arn| arn.service);
    let service = service.unwrap_or_default();
    let asked = ACTIONS.iter().find(|(name, ..)| *name == service);
    let Some((_, action, operation, service)) = asked else {
        return Ok(None);
    };
    // Objects are put into the bucket; everything else is the target itself.
    let resource = match *service {
        "S3" => format!("{target}/*"),
        _ => target.to_owned(),
    };
    let may = roles.may(role, action, &resource).await;
    match may.map_err(|e| Fault::internal(e.to_string()))? {
        true => Ok(None),
        false => Ok(Some((operation, service))),
    }
}
