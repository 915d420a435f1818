use std::sync::Arc;

use wire::{Context, Fault};

use crate::Lambda;
use crate::api::{RecursionConfig, RecursionRequest};
use crate::fault;
use crate::name::{PLAIN, Target};
use crate::violations::Violations;

/// [Lambda API: PutFunctionRecursionConfig]
pub(crate) async fn put(
    lambda: Arc<Lambda>,
    cx: Context,
    input: RecursionRequest,
) -> Result<RecursionConfig, Fault> {
    let mut v = Violations::new();
    Target::check(&mut v, PLAIN, Some(&input.function_name), None);
    v.required("recursiveLoop", input.recursive_loop.as_ref());
    v.one_of(
        "recursiveLoop",
        input.recursive_loop.as_deref(),
        &["Terminate", "Allow"],
    );
    v.check()?;
    let target = Target::resolve(&cx, &input.function_name, None)?;
    let is_allowed = input.recursive_loop.as_deref() == Some("Allow");
    lambda
        .functions
        .allow_recursion(&target.function()?, is_allowed)
        .await
        .map_err(|e| fault::refused(e, &target))?;
    Ok(shown(is_allowed))
}

/// [Lambda API: GetFunctionRecursionConfig]
pub(crate) async fn get(
    lambda: Arc<Lambda>,
    cx: Context,
    input: RecursionRequest,
) -> Result<RecursionConfig, Fault> {
    let target = Target::read(&cx, PLAIN, &input.function_name, None)?;
    let found = lambda.functions.describe(&target.function()?);
    let found = found.map_err(|_| fault::not_found(&target.arn()))?;
    Ok(shown(found.allows_recursion))
}

fn shown(is_allowed: bool) -> RecursionConfig {
    RecursionConfig {
        recursive_loop: if is_allowed { "Allow" } else { "Terminate" },
    }
}
