//! The errors of the API: which shape, which status, which spelling of the message's key.

use functions::{CodeError, Error, ResolveError};
use serde_json::Value;
use wire::{Context, Fault};

use crate::name::Target;
use crate::permit;

/// Longest zip in a request.  [Lambda quotas: deployment package]
pub(crate) const ZIP_MAX: usize = 52_428_800;

const REVISION: &str = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id";

/// [Lambda API: InvalidParameterValueException]
pub(crate) fn invalid_parameter(message: impl Into<String>) -> Fault {
    Fault::client("InvalidParameterValueException", 400, message)
}

/// [Lambda API: ResourceConflictException]
pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    Fault::client("ResourceConflictException", 409, message)
}

/// [Lambda API: ResourceNotFoundException]
pub(crate) fn missing(message: impl Into<String>) -> Fault {
    Fault::client("ResourceNotFoundException", 404, message).capital_message()
}

pub(crate) fn no_resource() -> Fault {
    missing("The resource you requested does not exist.")
}

/// [Lambda API: ResourceInUseException]
pub(crate) fn in_use(verb: &str) -> Fault {
    Fault::client(
        "ResourceInUseException",
        400,
        format!("Cannot {verb} the event source mapping because it is in use."),
    )
    .capital_message()
}

pub(crate) fn not_found(arn: &str) -> Fault {
    missing(format!("Function not found: {arn}"))
}

pub(crate) fn other_region(theirs: &str, ours: &str) -> Fault {
    missing(format!(
        "Functions from '{theirs}' are not reachable in this region ('{ours}')"
    ))
}

/// A function of another account. AWS gives no reason to one who would create it there.
pub(crate) fn other_account(cx: &Context, arn: &str) -> Fault {
    let operation = cx.operation();
    if operation == "CreateFunction" {
        return Fault::client("AccessDeniedException", 403, "")
            .without_message()
            .with_member("Message", Value::Null);
    }
    let action = permit::action(operation);
    denied(
        cx,
        &action,
        arn,
        &format!("because no resource-based policy allows the {action} action"),
    )
}

/// A policy denies what others may allow.
pub(crate) fn denied_explicitly(cx: &Context, arn: &str) -> Fault {
    let action = permit::action(cx.operation());
    denied(
        cx,
        &action,
        arn,
        "with an explicit deny in a resource-based policy",
    )
}

fn denied(cx: &Context, action: &str, arn: &str, why: &str) -> Fault {
    let who = cx.principal_arn();
    Fault::client(
        "AccessDeniedException",
        403,
        format!("User: {who} is not authorized to perform: {action} on resource: {arn} {why}"),
    )
    .capital_message()
}

/// A layer of another account that has not shared it.
pub(crate) fn layer_denied(cx: &Context, action: &str, arn: &str) -> Fault {
    Fault::client(
        "AccessDeniedException",
        403,
        format!(
            "User: {} is not authorized to perform: lambda:{action} on resource: {arn} because no resource-based policy allows the lambda:{action} action",
            cx.principal_arn()
        ),
    )
    .capital_message()
}

pub(crate) fn qualifiers_differ() -> Fault {
    invalid_parameter(
        "The derived qualifier from the function name does not match the specified qualifier.",
    )
}

/// The credential names an account or a region that cannot be.
pub(crate) fn bad_scope(what: &str) -> Fault {
    Fault::client(
        "UnrecognizedClientException",
        403,
        format!("The {what} of the credential is not valid."),
    )
}

/// [Lambda API: PreconditionFailedException]
pub(crate) fn revision_differs() -> Fault {
    Fault::client("PreconditionFailedException", 412, REVISION)
}

/// A part of an operation that Kiln does not have yet.
pub(crate) fn not_built(what: &str) -> Fault {
    Fault::server(
        "NotImplementedException",
        501,
        format!("Kiln has not built {what} yet; docs/coverage.md lists what it has"),
    )
}

pub(crate) fn zip_too_large() -> Fault {
    too_large(format!("Zipped size must be smaller than {ZIP_MAX} bytes"))
}

pub(crate) fn too_large(message: String) -> Fault {
    Fault::client("RequestEntityTooLargeException", 413, message)
}

pub(crate) fn operation_on_version() -> Fault {
    invalid_parameter(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.",
    )
}

/// As [`refused`], for operations that look for a version which is not the one of the target.
pub(crate) fn refused_as_is(error: Error, target: &Target) -> Fault {
    match error {
        Error::NotFound(ResolveError::NotFound { arn }) => not_found(&arn),
        other => refused(other, target),
    }
}

/// The answer to a change that `functions` refused. `target` is what the caller named.
pub(crate) fn refused(error: Error, target: &Target) -> Fault {
    match error {
        Error::NotFound(ResolveError::NotFound { .. }) => not_found(&target.arn()),
        Error::UsedByAliases { aliases } => {
            let arn = target.unqualified_arn();
            let aliases = aliases.iter().map(|a| format!("{arn}:{a}")).collect();
            refused_anywhere(Error::UsedByAliases { aliases })
        }
        other => refused_anywhere(other),
    }
}

/// As [`refused`], where no function was named.
pub(crate) fn refused_anywhere(error: Error) -> Fault {
    match error {
        Error::NotFound(ResolveError::NotFound { arn }) => not_found(&arn),
        Error::Exists { name } => conflict(format!("Function already exist: {name}")),
        Error::UpdateInProgress { arn } => conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )),
        Error::NotReady { state, .. } => conflict(format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )),
        Error::RevisionDiffers => revision_differs(),
        Error::CodeSha256Differs { given, current } => invalid_parameter(format!(
            "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the CodeSHA256 in $LATEST."
        )),
        Error::UsedByAliases { aliases } => conflict(format!(
            "Function version is referenced by aliases: [{}]",
            aliases.join(", ")
        )),
        // With two spaces and without a type.  [observed]
        Error::ReservedBelowProvisioned { reserved, provisioned } => invalid_parameter(format!(
            " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned concurrency [{provisioned}]."
        ))
        .without_type(),
        Error::AliasExists { arn } => conflict(format!("Alias already exists: {arn}")),
        Error::AliasNotFound { arn } => missing(format!("Cannot find alias arn: {arn}")),
        Error::VersionProvisioned => conflict(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        ),
        Error::AliasProvisioned => {
            conflict("Version is pointed by a Provisioned Concurrency alias")
        }
        Error::StatementExists { id } => conflict(format!(
            "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement."
        )),
        Error::NoSuchStatement { id } => {
            missing(format!("Statement {id} is not found in resource policy."))
        }
        Error::NoPolicy => missing("No policy is associated with the given resource."),
        Error::PolicyRevisionDiffers => Fault::client(
            "PreconditionFailedException",
            412,
            "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id",
        ),
        Error::PolicyTooLong { size, max } => Fault::client(
            "PolicyLengthExceededException",
            400,
            format!("The final policy size ({size}) is bigger than the limit ({max})."),
        ),
        // Operations on mappings word it themselves.
        Error::MappingExists { uuid } => conflict(format!("The mapping {uuid} reads the same.")),
        Error::NoSuchMapping => no_resource(),
        Error::MappingBusy => in_use("update"),
        Error::TooManyMappings { max } => invalid_parameter(format!(
            "The number of event source mappings exceeds the limit of {max}."
        )),
        Error::NoSuchLayerVersion { arn } => {
            missing(format!("Layer version {arn} does not exist."))
        }
        // Operations that take layers word it themselves.
        Error::Layers(error) => invalid_parameter(error.to_string()),
        Error::TooManyTags { .. } => {
            invalid_parameter("Number of tags exceeds resource tag limit.")
        }
        Error::Refused(text) => invalid_parameter(text),
        Error::Code(error) => code_refused(error),
        Error::Store(error) => Fault::internal(error.to_string()),
        Error::ShuttingDown => Fault::internal("shutting down"),
    }
}

fn code_refused(error: CodeError) -> Fault {
    match error {
        CodeError::EmptyZip => invalid_parameter("Uploaded file must be a non-empty zip"),
        CodeError::BadZip(why) => invalid_parameter(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        )
        .detail(why.to_string()),
        CodeError::UnzippedTooLarge { max } => {
            invalid_parameter(format!("Unzipped size must be smaller than {max} bytes"))
        }
        CodeError::Io(error) => Fault::internal(format!("code: {error}")),
        CodeError::Store(error) => Fault::internal(format!("code: {error}")),
        CodeError::ShuttingDown => Fault::internal("shutting down"),
    }
}
