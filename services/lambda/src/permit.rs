//! What the policy of a function says of a caller.

use functions::Functions;
use model::FunctionRef;
use model::policy::{Caller, Keys, Request, Verdict};

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
