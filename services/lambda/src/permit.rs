//! What the policy of a function says of a caller.

use functions::Functions;
use model::FunctionRef;
use model::policy::{Caller, Keys, Policy, Request, Verdict};

use crate::operations::permissions;

/// Whether the policy of exactly what `function` names lets `caller` do all of `actions`, each under its
/// own condition keys.
pub(crate) fn allows(
    functions: &Functions,
    function: &FunctionRef,
    caller: &Caller,
    actions: &[(&str, Keys)],
) -> bool {
    let Some(stored) = functions.policy(function) else {
        return false;
    };
    let arn = function.to_string();
    // What AddPermission took always reads.
    let Ok(policy) = Policy::parse(&permissions::text(&stored, &arn)) else {
        return false;
    };
    actions.iter().all(|(action, keys)| {
        let request = Request {
            caller,
            action,
            resource: &arn,
            keys,
        };
        policy.decide(&request) == Verdict::Allow
    })
}
