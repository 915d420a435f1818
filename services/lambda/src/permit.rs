//! What the policy of a function says of a caller.

use functions::Functions;
use model::FunctionRef;
use model::policy::{Caller, Keys, Request, Verdict};
use wire::{Context, Fault};

use crate::fault;
use crate::name::Target;

/// What the policy of exactly what `function` names says of one action.
pub(crate) fn verdict(
    functions: &Functions,
    function: &FunctionRef,
    caller: &Caller,
    action: &str,
    keys: &Keys,
) -> Verdict {
    let Some(policy) = functions.policy(function) else {
        return Verdict::Silent;
    };
    policy.decide(&Request {
        caller,
        action,
        resource: &function.to_string(),
        keys,
    })
}

/// Whether the policy of exactly what `function` names lets `caller` do all of `actions`, each under its
/// own condition keys.
pub(crate) fn allows(
    functions: &Functions,
    function: &FunctionRef,
    caller: &Caller,
    actions: &[(&str, Keys)],
) -> bool {
    actions
        .iter()
        .all(|(action, keys)| verdict(functions, function, caller, action, keys) == Verdict::Allow)
}

/// The action of an operation, as policies name it.  [Service authorization reference: Lambda]
pub(crate) fn action(operation: &str) -> String {
    let name = match operation {
        "Invoke" | "InvokeWithResponseStream" => "InvokeFunction",
        other => other,
    };
    format!("lambda:{name}")
}

/// Refuses who comes from another account and is not let in by the policy of what `target` names, and
/// whom that policy denies. Identities of the function's own account need no statement. `name` is what
/// the caller wrote.
pub(crate) fn check(
    functions: &Functions,
    cx: &Context,
    target: &Target,
    name: &str,
) -> Result<(), Fault> {
    let is_own = target.account.as_str() == cx.account();
    let Ok(function) = target.function() else {
        // No function can be called so: its own account is told that there is none.
        return match is_own {
            true => Ok(()),
            false => Err(fault::other_account(cx, name)),
        };
    };
    // The common case: nothing to look at.
    if is_own && functions.policy(&function).is_none() {
        return Ok(());
    }
    let arn = cx.principal_arn();
    let keys = Keys::new()
        .with("aws:PrincipalAccount", cx.account())
        .with("aws:PrincipalArn", arn.as_str());
    let caller = Caller::Identity {
        account: cx.account().to_owned(),
        arn,
    };
    let action = action(cx.operation());
    match verdict(functions, &function, &caller, &action, &keys) {
        Verdict::Allow => Ok(()),
        Verdict::Deny => Err(fault::denied_explicitly(cx, &function.to_string())),
        Verdict::Silent if is_own => Ok(()),
        Verdict::Silent => Err(fault::other_account(cx, name)),
    }
}
